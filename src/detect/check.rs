//! Tests beside rules: for each rule, records in which it must see something and records in which it must not. A file `NAME.test.yml`
//! stands beside `NAME.yml`.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Detector, RuleError};
use crate::ingest::{Ingested, cloudtrail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The records of one rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    #[serde(default)]
    fires: Vec<Map<String, Value>>,
    #[serde(default)]
    quiet: Vec<Map<String, Value>>,
}

/// How the tests of some files went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Records that were tried, by rule.
    pub tried: BTreeMap<String, usize>,
    /// What is wrong, in words: a rule that does not do as its test says, or has none.
    pub wrong: Vec<String>,
}

/// Holds the rules of a detector against test files, given by name and text.
pub fn check<'t>(detector: &Detector, tests: impl IntoIterator<Item = (&'t str, &'t str)>) -> Checked {
    let mut checked =
        Checked { wrong: detector.errors.iter().map(RuleError::to_string).collect(), ..Checked::default() };
    let ids: BTreeSet<&str> = detector.rules().iter().map(|rule| rule.meta.id.as_str()).collect();
    let mut has: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (file, text) in tests {
        let cases: Vec<Case> = match serde_saphyr::from_str(text) {
            Ok(cases) => cases,
            Err(error) => {
                let problem = error.without_snippet().to_string();
                checked.wrong.push(format!("{file}: {}", problem.lines().next().unwrap_or_default()));
                continue;
            }
        };
        for case in cases {
            let known = has.entry(case.rule.clone()).or_default();
            (known.0, known.1) = (known.0 + case.fires.len(), known.1 + case.quiet.len());
            if !ids.contains(case.rule.as_str()) {
                checked.wrong.push(format!("{file}: there is no rule `{}`", case.rule));
            }
            *checked.tried.entry(case.rule.clone()).or_default() += case.fires.len() + case.quiet.len();
            let fires = case.fires.into_iter().map(|record| (record, true));
            for (record, must) in fires.chain(case.quiet.into_iter().map(|record| (record, false))) {
                let shown = Value::Object(record.clone());
                match fires_in(detector, &case.rule, record) {
                    Ok(does) if does == must => {}
                    Ok(true) => checked.wrong.push(format!("{file}: `{}` fires in {shown}", case.rule)),
                    Ok(false) => checked.wrong.push(format!("{file}: `{}` does not fire in {shown}", case.rule)),
                    Err(problem) => checked.wrong.push(format!("{file}: {problem} in {shown}")),
                }
            }
        }
    }
    for rule in &ids {
        match has.get(*rule) {
            None => checked.wrong.push(format!("`{rule}` has no test")),
            Some((0, _)) => checked.wrong.push(format!("no test has `{rule}` fire")),
            Some((_, 0)) => checked.wrong.push(format!("no test has `{rule}` keep quiet")),
            Some(_) => {}
        }
    }
    let mut seen = BTreeSet::new();
    for rule in detector.rules() {
        if !seen.insert(&rule.meta.id) {
            checked.wrong.push(format!("two rules have the id `{}`", rule.meta.id));
        }
    }
    checked
}

/// A rule, with records in which it fires and records in which it keeps quiet.
pub type Samples = (String, Vec<Value>, Vec<Value>);

/// Of a test file: all that its rules are tried with.
///
/// # Errors
/// Where it is no test file.
pub fn samples(text: &str) -> Result<Vec<Samples>, String> {
    let cases: Vec<Case> = serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string())?;
    let all = |records: Vec<Map<String, Value>>| records.into_iter().map(whole).collect::<Result<_, String>>();
    cases.into_iter().map(|case| Ok((case.rule, all(case.fires)?, all(case.quiet)?))).collect()
}

fn fires_in(detector: &Detector, rule: &str, record: Map<String, Value>) -> Result<bool, String> {
    match cloudtrail::record(whole(record)?) {
        Ingested::Record(record) => Ok(detector.look(&record).rules().any(|seen| seen == rule)),
        _ => Err("no record".to_owned()),
    }
}

/// A record of which a test says what matters. `as` names the caller: `user`, `role`, `service-linked-role`, `root`, `service`, `other-account`, `saml`,
/// `identity-center`; a user by default.
///
/// # Errors
/// Where there is no such caller.
pub fn whole(given: Map<String, Value>) -> Result<Value, String> {
    let mut given = given;
    let caller = match given.remove("as") {
        None => "user".to_owned(),
        Some(Value::String(caller)) => caller,
        Some(other) => return Err(format!("`as` is {other}, which is no text")),
    };
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": "2026-11-20T09:15:04Z", "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.23",
        "userAgent": "aws-cli/2.31.4", "requestParameters": null, "responseElements": null, "readOnly": false,
        "requestID": "0d1f6f2e-1f55-4f2f-8f0b-0c7d0f4b6a11", "eventID": "7b1b4c5d-63c2-4f8e-8a3f-2f1d5c9a7e02",
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333", "eventCategory": "Management",
        "userIdentity": identity(&caller)?,
    });
    if let Some(record) = record.as_object_mut() {
        record.extend(given);
    }
    Ok(record)
}

fn identity(caller: &str) -> Result<Value, String> {
    let session = |role: &str, path: &str, name: &str| {
        json!({"type": "AssumedRole", "principalId": format!("AROACKCEVSQ6C2EXAMPLE:{name}"), "accountId": "111122223333",
            "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}"), "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROACKCEVSQ6C2EXAMPLE", "accountId": "111122223333",
                "arn": format!("arn:aws:iam::111122223333:role{path}{role}"), "userName": role},
                "attributes": {"creationDate": "2026-11-20T09:00:00Z", "mfaAuthenticated": "false"}}})
    };
    Ok(match caller {
        "user" => {
            json!({"type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "arn": "arn:aws:iam::111122223333:user/reporting",
            "accountId": "111122223333", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "reporting"})
        }
        "role" => session("deploy", "/", "ci-42"),
        "service-linked-role" => {
            session("AWSServiceRoleForAutoScaling", "/aws-service-role/autoscaling.amazonaws.com/", "AutoScaling")
        }
        "root" => {
            json!({"type": "Root", "principalId": "111122223333", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"})
        }
        "service" => json!({"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"}),
        "other-account" => {
            json!({"type": "AWSAccount", "principalId": "AIDAOTHEROTHEROTHER11", "accountId": "444455556666"})
        }
        "saml" => {
            json!({"type": "SAMLUser", "principalId": "x:ann@example.com", "identityProvider": "x", "userName": "ann@example.com"})
        }
        "identity-center" => {
            json!({"type": "IdentityCenterUser", "accountId": "111122223333", "onBehalfOf": {"userId": "u-1", "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-1"}})
        }
        other => return Err(format!("there is no caller `{other}`")),
    })
}
