//! Documents as operators write them, right and wrong.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::*;
use crate::domain::Arn;

#[test]
fn an_empty_document_is_the_default() {
    assert_eq!(Policy::parse("version: 1\n").unwrap(), Policy::default());
}

#[test]
fn a_document_says_what_it_changes_and_keeps_the_rest() {
    let policy = Policy::parse(
        "modes:\n  compromised-instance: {critical: approve, high: approve, medium: observe, low: observe}\n\
             protections:\n  - {arn: 'arn:aws:ec2:us-east-1:111122223333:instance/i-0a1b2c3d', because: the till}\n\
             max-finding-age-minutes: 30\n",
    )
    .unwrap();
    assert_eq!(policy.mode(Situation::CompromisedInstance, Severity::High), Mode::Approve);
    assert_eq!(policy.mode(Situation::CompromisedAccessKey, Severity::High), Mode::Contain);
    assert_eq!(policy.most_age(), Duration::from_secs(1800));
    let subject = |id: &str| Subject {
        account: AccountId::parse("111122223333").unwrap(),
        arn: Some(Arn::parse(&format!("arn:aws:ec2:us-east-1:111122223333:instance/{id}")).unwrap()),
        unique_id: id.into(),
        tags: None,
    };
    assert_eq!(policy.protection(&subject("i-0a1b2c3d")).map(ToString::to_string).as_deref(), Some("the till"));
    assert_eq!(policy.protection(&subject("i-0a1b2c3e")), None);
}

/// Each with its line, and with what is allowed.
#[test]
fn what_is_wrong_is_said_with_line_column_and_what_is_allowed() {
    let mut wrong = Vec::new();
    for (yaml, line, said) in [
        ("version: 1\nmode: {}\n", 2, "modes"),
        ("version: 7\n", 1, "allowed are 1 to 1"),
        (
            "version: 1\nmodes:\n  compromised-instance: {critical: contain, high: contian, medium: approve, low: observe}\n",
            3,
            "observe, approve, contain",
        ),
        (
            "modes:\n  compromised-instanze: {critical: contain, high: contain, medium: approve, low: observe}\n",
            2,
            "compromised-instance,",
        ),
        ("modes:\n  compromised-instance: {critical: contain, high: contain, medium: approve}\n", 2, "low"),
        ("max-finding-age-minutes: soon\n", 1, "allowed are 1 to 1440"),
        ("max-finding-age-minutes: 0\n", 1, "allowed are 1 to 1440"),
        ("version: 1\napproval-expiry-minutes: 4\n", 2, "allowed are 5 to 10080"),
        ("limits:\n  steps-per-plan: 201\n", 2, "allowed are 1 to 200"),
        ("limits:\n  instances-per-hour: 0\n", 2, "allowed are 1 to 1000"),
        ("limits:\n  credentials-per-hour: 49\n", 2, "allowed are 50 to 5000"),
        ("limits:\n  credentials-per-hour: -1\n", 2, "allowed are 50 to 5000"),
        ("limits:\n  replacements-per-day: 1001\n", 2, "allowed are 0 to 1000"),
        ("limits:\n  hosts: 1\n", 2, "instances-per-hour"),
        ("protections:\n  - {arn: everything, because: x}\n", 2, "everything"),
        ("protections:\n  - {account: '1111', because: x}\n", 2, "1111"),
        ("protections:\n  - {because: x}\n", 2, "exactly one of arn, unique-id, account, tag"),
        ("protections:\n  - {unique-id: i-1, account: '111122223333', because: x}\n", 2, "exactly one of"),
        ("protections:\n  - {unique-id: i-0a1b2c3d, because: ' '}\n", 2, "write why"),
        ("protections:\n  - {unique-id: i-0a1b2c3d}\n", 2, "because"),
        ("protections:\n  - {tag: {name: env}, because: x}\n", 2, "key"),
        ("operators:\n  - {}\n", 2, "exactly one of arn, unique-id"),
        ("operators:\n  - {arn: 'arn:aws:sts::111122223333:assumed-role/a/b'}\n", 2, "name the role by its own ARN"),
        ("windows:\n  - {from: 8, to: '18:00', at-most: approve, because: x}\n", 2, ""),
        ("windows:\n  - {from: '8:00', to: '18:00', at-most: approve, because: x}\n", 2, "08:30"),
        ("windows:\n  - {days: [monday], from: '08:00', to: '18:00', at-most: approve, because: x}\n", 2, "mon,"),
        ("open-passage: maybe\n", 1, "true and false"),
        ("version: [\n", 1, ""),
        ("version: 1\nversion: 1\n", 2, "version"),
        ("- version\n", 1, ""),
    ] {
        let found = Policy::parse(yaml).err().unwrap_or_else(|| panic!("{yaml} is taken"));
        let is_right = found.problem.contains(said) && found.line >= line && found.column >= 1;
        let said_once = !found.problem.contains(" at line ");
        wrong.extend((!is_right || !said_once).then(|| format!("{yaml}: {found}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    let long = format!("version: 1\n# {}\n", "x".repeat(MOST_BYTES));
    assert!(Policy::parse(&long).is_err_and(|error| error.problem.contains("allowed are 65536")));
}

#[test]
fn a_tag_is_on_a_thing_with_its_value_or_with_any() {
    let tags = BTreeMap::from([("env".to_owned(), "production".to_owned())]);
    let tag = |yaml: &str| serde_saphyr::from_str::<Tag>(yaml).unwrap();
    assert!(tag("{key: env}").is_on(&tags));
    assert!(tag("{key: env, value: production}").is_on(&tags));
    assert!(!tag("{key: env, value: test}").is_on(&tags));
    assert!(!tag("{key: Env}").is_on(&tags));
}

/// What each example is for, in its own terms.
#[test]
fn the_examples_are_read_and_mean_what_they_say() {
    use Situation::{CompromisedAccessKey, CompromisedInstance};
    let [careful, usual, strict] =
        EXAMPLES.map(|example| Policy::parse(example.text).unwrap_or_else(|error| panic!("{}: {error}", example.name)));
    let high = |policy: &Policy, situation| policy.mode(situation, Severity::High);
    for severity in [Severity::Low, Severity::Medium, Severity::High, Severity::Critical] {
        for situation in Situation::ALL {
            assert_ne!(careful.mode(*situation, severity), Mode::Contain, "{situation} {severity}");
        }
        assert_ne!(careful.dns_evidence(severity), Mode::Contain, "{severity}");
    }
    assert_eq!(high(&careful, CompromisedInstance), Mode::Approve);
    assert_eq!(high(&careful, CompromisedAccessKey), Mode::Approve);
    assert!(!careful.open_passage);
    assert_eq!(high(&usual, CompromisedInstance), Mode::Contain);
    assert_eq!(usual.mode(CompromisedInstance, Severity::Medium), Mode::Approve);
    assert_eq!(usual.tags().count(), 1);
    assert_eq!(strict.mode(CompromisedAccessKey, Severity::Medium), Mode::Contain);
    assert!(strict.limits.instances_per_hour > usual.limits.instances_per_hour);
    for policy in [careful, usual, strict] {
        assert!(!policy.operators.is_empty() && !policy.break_glass.is_empty(), "{policy:?}");
    }
}

#[test]
fn the_schema_knows_every_member_and_its_bounds() {
    let schema = Policy::schema();
    let members = schema["properties"].as_object().unwrap();
    let document = serde_json::to_value(Policy::default()).unwrap();
    assert_eq!(
        members.keys().collect::<std::collections::BTreeSet<_>>(),
        document.as_object().unwrap().keys().collect()
    );
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(members["max-finding-age-minutes"]["maximum"], 1440);
}
