//! One test for both journals: what the engine relies on holds in memory and in DynamoDB alike.

use crate::lab::{Lab, Setup};
use anyhow::Result;
use cordon::{
    domain::{
        AccountId, GroupId, IncidentId, InstanceId, Outcome, OutcomeKind, Region, Report, Target, Timestamp, VpcId,
    },
    journal::{
        Approval, Approved, Claim, Containment, DynamoJournal, GivenBack, Inbox, Journal, JournalError, Lease,
        MemoryJournal, Purpose, Question,
    },
};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn both_journals_keep_the_same_promises() -> Result<()> {
    promises(&MemoryJournal::default()).await?;
    let lab = Lab::new(Setup { durable: true, ..Setup::default() }).await?;
    let credentials = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new("us-east-1"))
        .endpoint_url(lab.proxy.endpoint())
        .credentials_provider(aws_credentials(&lab))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    promises(&DynamoJournal::new(&credentials, "cordon".to_owned())).await
}

fn aws_credentials(lab: &Lab) -> aws_sdk_sts::config::SharedCredentialsProvider {
    let (id, secret) = (lab.id("/credentials/access_key_id"), lab.id("/credentials/secret_access_key"));
    aws_sdk_sts::config::SharedCredentialsProvider::new(aws_sdk_sts::config::Credentials::new(
        id, secret, None, None, "test",
    ))
}

async fn promises(journal: &dyn Journal) -> Result<()> {
    let at = Timestamp::from_millis;
    let (one, other) = (IncidentId::parse("amber-otter-k7m2q")?, IncidentId::parse("amber-otter-k7m2r")?);
    let held = |claim: Claim| match claim {
        Claim::Held { lease, containment, inbox } => (lease, containment, inbox),
        Claim::Joined { .. } => panic!("joined"),
    };

    // One worker holds a target, and sees who joined.
    let (lease, known, inbox) = held(journal.claim("t", &one, at(1_000)).await?);
    assert_eq!((known, &inbox), (None, &Inbox::new()));
    assert!(matches!(journal.claim("t", &other, at(4_999)).await?, Claim::Joined { waiting: 1 }));
    assert!(matches!(journal.claim("u", &other, at(1_000)).await?, Claim::Held { .. }));
    let GivenBack::NotYet { inbox: more } = journal.give_back(&lease, &inbox).await? else { panic!("given back") };
    assert!(more.len() == 1 && more.first().is_some_and(|mark| mark.starts_with(other.as_str())), "{more:?}");

    // What is written is there, and extends the lease.
    let containment = Containment {
        target: Target::Instance {
            account: AccountId::parse("111122223333")?,
            region: Region::parse("us-east-1")?,
            id: InstanceId::parse("i-0a1b2c3d")?,
            profile_hint: None,
            vpc_hint: None,
        },
        opened_by: one.clone(),
        holders: BTreeSet::from([one.clone()]),
        past: BTreeSet::new(),
        steps: Vec::new(),
        timeline: Vec::new(),
        begun: Some(at(6)),
        released: Some(at(7)),
    };
    journal.write(&lease, &containment, at(4_000)).await?;
    assert_eq!(journal.read("t").await?.as_ref(), Some(&containment));
    assert!(matches!(journal.claim("t", &other, at(7_999)).await?, Claim::Joined { .. }));
    let GivenBack::NotYet { inbox: more } = journal.give_back(&lease, &more).await? else { panic!("given back") };
    assert_eq!(journal.give_back(&lease, &more).await?, GivenBack::Yes);
    let (lease, known, inbox) = held(journal.claim("t", &one, at(7_999)).await?);
    assert_eq!((known.as_deref(), inbox), (Some(&containment), Inbox::new()));

    // Who slept over his lease writes nothing more.
    let (next, _, inbox) = held(journal.claim("t", &other, at(12_000)).await?);
    let lost = JournalError::LeaseLost("t".to_owned());
    assert_eq!(journal.write(&lease, &containment, at(12_001)).await, Err(lost.clone()));
    assert_eq!(journal.give_back(&lease, &inbox).await, Err(lost.clone()));
    let stranger = Lease { target: "t".to_owned(), fence: "x".to_owned() };
    assert_eq!(journal.write(&stranger, &containment, at(12_001)).await, Err(lost));
    assert_eq!(journal.give_back(&next, &inbox).await?, GivenBack::Yes);

    // A thing that several may hold has a set of its own; leaving a set that one is not in is no error.
    journal.share("thing", "t").await?;
    journal.share("thing", "t").await?;
    journal.share("thing", "u").await?;
    assert_eq!(journal.sharers("thing").await?, BTreeSet::from(["t".to_owned(), "u".to_owned()]));
    for target in ["t", "t", "u", "u"] {
        journal.unshare("thing", target).await?;
    }
    assert_eq!(journal.sharers("thing").await?, BTreeSet::new());
    assert_eq!(journal.sharers("another").await?, BTreeSet::new());

    // Incidents are entered once, and keep what is known of them.
    assert_eq!(journal.incident(&one).await?, None);
    let report = Report::without_finding(Outcome::because(OutcomeKind::Observed, "code", "text"));
    let approved = |hash: &str| Approved {
        hash: hash.to_owned(),
        plans: vec!["of-one".to_owned()],
        at: at(3),
        by: "arn:aws:iam::111122223333:user/ann".to_owned(),
        lines: vec!["a line".to_owned()],
    };
    let offers = BTreeMap::from([("more".to_owned(), approved("other"))]);
    let approval = Approval { plan: Some(approved("hash")), offers };
    assert_eq!(journal.conclude(&one, &report, None, at(3)).await, Err(JournalError::NoIncident(one.clone())));
    assert_eq!(journal.approve(&one, &approval).await, Err(JournalError::NoIncident(one.clone())));
    assert_eq!(journal.keep_first(&one, &report).await, Err(JournalError::NoIncident(one.clone())));
    journal.open(&one, None, at(1)).await?;
    journal.keep_first(&one, &report).await?;
    let later = Report::without_finding(Outcome::because(OutcomeKind::Joined, "code", "text"));
    journal.keep_first(&one, &later).await?;
    assert_eq!(journal.incident(&one).await?.unwrap().report.as_ref(), Some(&report));
    journal.conclude(&one, &report, Some("digest"), at(3)).await?;
    journal.approve(&one, &approval).await?;
    journal.open(&one, None, at(2)).await?;
    let record = journal.incident(&one).await?.unwrap();
    assert_eq!((record.opened, record.told.as_deref(), &record.approval), (at(1), Some("digest"), &approval));
    assert_eq!(record.report.as_ref(), Some(&report));
    journal.conclude(&one, &report, None, at(3)).await?;
    journal.approve(&one, &Approval::default()).await?;
    let record = journal.incident(&one).await?.unwrap();
    assert_eq!((record.told, record.approval), (None, Approval::default()));
    assert_eq!(journal.incidents().await?.records.len(), 1);

    // What is not told is unanswered, and so is what waits; what was told and waits for nobody is not.
    assert_eq!(journal.unanswered(9).await?.len(), 1);
    journal.conclude(&one, &report, Some("digest"), at(5)).await?;
    assert_eq!(journal.unanswered(9).await?, []);
    let waits = Report::without_finding(Outcome::because(OutcomeKind::AwaitingApproval, "code", "text"));
    journal.conclude(&one, &waits, Some("digest"), at(6)).await?;
    let [record] = journal.unanswered(9).await?.try_into().unwrap();
    assert_eq!((record.id, record.at), (one.clone(), Some(at(6))));

    // One question for the same things, unless it is worse, long ago, or asked no more.
    let question = |incident: &IncidentId, things: &str, severity| Question {
        incident: incident.clone(),
        things: things.to_owned(),
        severity,
    };
    let day = 24 * 3_600_000;
    for (incident, things, severity, instead_of, now, asks) in [
        (&one, "a", 2, None, 1, None),
        (&one, "a", 2, None, 2, None),
        (&other, "a", 2, None, 3, Some(&one)),
        (&other, "a", 1, None, 3, Some(&one)),
        (&other, "a", 2, Some(&one), 4, None),
        (&one, "a", 3, None, 5, None),
        (&other, "b", 1, None, 6, None),
        (&one, "b", 1, None, 7, Some(&other)),
        (&one, "b", 1, None, day + 8, None),
    ] {
        let found = journal.ask("q", &question(incident, things, severity), instead_of, at(now)).await?;
        assert_eq!(found.as_ref(), asks, "{things} {severity} {now}");
    }

    // Counts are told once, each hour by itself.
    for what in ["x", "y", "x"] {
        journal.count(7, what).await?;
    }
    let counted = journal.counted(7).await?.unwrap();
    assert_eq!(counted, [("x".to_owned(), 2), ("y".to_owned(), 1)].into());
    assert_eq!(journal.counted(8).await?, None);
    journal.counts_told(7).await?;
    assert_eq!(journal.counted(7).await?, None);

    // The registry knows its own groups by VPC, account and region.
    let (account, region, vpc) =
        (AccountId::parse("111122223333")?, Region::parse("us-east-1")?, VpcId::parse("vpc-0000000a")?);
    for group in ["sg-0000000a", "sg-0000000b"] {
        journal.enter(&account, &region, &vpc, Purpose::Quarantine, &GroupId::parse(group)?).await?;
    }
    let groups = journal.groups(&account, &region).await?;
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[&(vpc.clone(), Purpose::Quarantine)].as_str(), "sg-0000000b");
    journal.enter(&account, &region, &vpc, Purpose::Passage, &GroupId::parse("sg-0000000c")?).await?;
    let groups = journal.groups(&account, &region).await?;
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[&(vpc.clone(), Purpose::Passage)].as_str(), "sg-0000000c");
    assert!(journal.groups(&account, &Region::parse("eu-west-1")?).await?.is_empty());
    Ok(())
}
