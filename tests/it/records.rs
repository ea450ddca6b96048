//! CloudTrail's records through the whole function: judged by rules, counted in the table, told once.

use crate::lab::{HOUR, Lab, Setup, kind};
use anyhow::Result;
use cordon_support::{Fault, How, Match};
use serde_json::{Value, json};

#[tokio::test]
async fn a_trail_that_was_stopped_is_told_once_however_often_it_comes() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.record("silencing/trail-stopped")?;
    let report = lab.deliver(&event).await?;
    assert_eq!((kind(&report), &report["severity"]), ("Observed", &json!("high")), "{report:#}");
    assert_eq!(report["situation"], "audit-trail-silenced");
    let messages = lab.messages().await?;
    assert_eq!(messages.len(), 1, "{messages:#?}");
    let text = messages[0]["Message"].as_str().unwrap();
    assert!(text.contains("A trail was stopped"), "{text}");
    // The same record again, and the same done again an hour later.
    lab.deliver(&event).await?;
    lab.deliver(&lab.record("silencing/trail-stopped")?).await?;
    assert!(lab.messages().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn who_is_held_by_an_incident_makes_it_worse() -> Result<()> {
    let lab = Lab::durable().await?;
    assert_eq!(kind(&lab.deliver(&lab.event("key-used-from-outside")?).await?), "Contained");
    let report = lab.deliver(&lab.record("silencing/trail-stopped")?).await?;
    assert_eq!(report["severity"], "critical", "{report:#}");
    assert!(report["decision"].to_string().contains("actor-in-incident"), "{report:#}");
    Ok(())
}

/// A queue's batch: one is poison, one is a finding that has no business there, one is no event at all.
#[tokio::test]
async fn a_batch_of_events_loses_nothing_and_poison_goes_back_alone() -> Result<()> {
    let lab = Lab::durable().await?;
    let arn = "arn:aws:sqs:us-east-1:111122223333:cordon-Events";
    let message = |n: usize, body: String| json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "eventSourceARN": arn, "body": body});
    let finding = lab.event("instance-c2-network")?;
    let mut bodies = vec![
        lab.record("silencing/trail-stopped")?.to_string(),
        finding.to_string(),
        "no json".to_owned(),
        "amber-otter-k7m2q".to_owned(),
        json!({"Records": [{"body": "amber-otter-k7m2q"}]}).to_string(),
    ];
    for _ in 0..4 {
        bodies.push(lab.record("changes/tags-changed-in-bulk")?.to_string());
    }
    let batch: Vec<Value> = bodies.into_iter().enumerate().map(|(n, body)| message(n, body)).collect();
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    assert_eq!(answer, json!({"batchItemFailures": []}), "{answer:#}");
    // The finding contained nothing: it did not come from where findings come from.
    assert!(lab.proxy.mutations().iter().all(|call| call.operation != "ModifyNetworkInterfaceAttribute"));
    assert_eq!(lab.messages().await?.len(), 1);
    // Where the table does not answer, a message that must be counted goes back, and only that.
    let at = Match::operation("UpdateItem");
    lab.proxy.fail(Fault::throughout(at, How::ServerError));
    let counted = lab.record("access/calls-denied")?.to_string();
    let mut batch: Vec<Value> = (0..10).map(|n| message(n, "no json".to_owned())).collect();
    batch[4] = message(4, counted.clone());
    batch[9] = message(9, counted);
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    assert_eq!(answer["batchItemFailures"], json!([{"itemIdentifier": "m4"}, {"itemIdentifier": "m9"}]));
    lab.proxy.heal();
    Ok(())
}

#[tokio::test]
async fn calls_that_are_denied_again_and_again_are_counted_in_the_table() -> Result<()> {
    let lab = Lab::durable().await?;
    let mut outcomes = Vec::new();
    for _ in 0..10 {
        outcomes.push(lab.deliver(&lab.record("access/calls-denied")?).await?);
    }
    let situations: Vec<&str> = outcomes.iter().map(|report| report["situation"].as_str().unwrap_or("-")).collect();
    assert_eq!(situations[..9], ["-"; 9], "{situations:?}");
    assert_eq!(situations[9], "denied-calls");
    // One call that comes twice is one call.
    let lab = Lab::durable().await?;
    let event = lab.record("access/calls-denied")?;
    for _ in 0..12 {
        assert_eq!(kind(&lab.deliver(&event).await?), "Ignored");
    }
    Ok(())
}

/// Installing rules must not close every old port: first evaluations are read in one digest.
#[tokio::test]
async fn first_evaluations_of_many_rules_are_one_digest() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.away_from_the_end_of(HOUR)?;
    let arn = "arn:aws:sqs:us-east-1:111122223333:cordon-Events";
    let mut event = lab.config("ssh-open-at-first-evaluation")?;
    for batch in 0..6 {
        let messages: Vec<Value> = (0..10)
            .map(|n| {
                event["detail"]["resourceId"] = json!(format!("sg-{:017x}", batch * 10 + n));
                json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "eventSourceARN": arn, "body": event.to_string()})
            })
            .collect();
        let answer = lab.deliver(&json!({"Records": messages})).await?;
        assert_eq!(answer, json!({"batchItemFailures": []}));
    }
    assert!(lab.messages().await?.is_empty());
    lab.clock.advance(HOUR)?;
    lab.sweep().await?;
    let digests = lab.messages().await?;
    assert_eq!(digests.len(), 1, "{digests:#?}");
    assert!(digests[0]["Subject"].as_str().unwrap().contains("digest: 60 events"), "{digests:#?}");
    Ok(())
}

/// The rule's source identifier decides, which Config knows and the name does not say.
#[tokio::test]
async fn a_rule_of_config_is_what_config_says_that_it_is() -> Result<()> {
    let lab = Lab::durable().await?;
    for (name, identifier) in [("our-ports", "INCOMING_SSH_DISABLED"), ("restricted-ssh", "ENCRYPTED_VOLUMES")] {
        let rule = json!({"ConfigRuleName": name, "Source": {"Owner": "AWS", "SourceIdentifier": identifier}});
        lab.call("config", "put_config_rule", json!({"ConfigRule": rule})).await?;
    }
    for (name, situation) in [("our-ports", "exposed-port"), ("restricted-ssh", "non-compliant")] {
        let mut event = lab.config("ssh-opened")?;
        event["detail"]["configRuleName"] = json!(name);
        let report = lab.deliver(&event).await?;
        assert_eq!(report["situation"], situation, "{name}: {report:#}");
        assert_eq!(report["gaps"], json!([]), "{name}");
    }
    Ok(())
}

/// What its own containment makes CloudTrail say is no news; anything else that is done with its role is the worst there is.
#[tokio::test]
async fn its_own_calls_are_known_by_the_journal_and_any_other_use_of_its_role_pages() -> Result<()> {
    let lab = Lab::durable().await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "Contained");
    let incident = report["incident"].as_str().unwrap();
    lab.messages().await?;
    let id = lab.id("/operator/id");
    let arn = format!("arn:aws:iam::{}:user/{}", lab.account, lab.id("/operator/name"));
    let user = lab.id("/user/name");
    let call = |name: &str, service: &str, parameters: Value, read_only: bool, by: &str| -> Result<Value> {
        let mut event = lab.record("iam/admin-granted")?;
        let detail = &mut event["detail"];
        detail["userIdentity"] =
            json!({"type": "IAMUser", "userName": "cordon", "principalId": by, "arn": arn, "accountId": lab.account});
        detail["eventName"] = json!(name);
        detail["eventSource"] = json!(format!("{service}.amazonaws.com"));
        detail["requestParameters"] = parameters;
        detail["responseElements"] = json!(null);
        detail["readOnly"] = json!(read_only);
        detail["userAgent"] = json!(format!("aws-sdk-rust/1.3 os/linux cordon/{incident}"));
        Ok(event)
    };
    let policy = |arn: &str| json!({"userName": user, "policyArn": format!("arn:aws:iam::aws:policy/{arn}")});
    for (name, service, parameters, read_only, by, outcome, reason) in [
        ("AttachUserPolicy", "iam", policy("AWSDenyAll"), false, id, "Ignored", "own-call"),
        ("ListAccessKeys", "iam", json!({"userName": user}), true, id, "Ignored", "own-call"),
        ("AttachUserPolicy", "iam", policy("AdministratorAccess"), false, id, "Observed", "responder-role-misused"),
        (
            "GetSecretValue",
            "secretsmanager",
            json!({"secretId": "prod/db"}),
            true,
            id,
            "Observed",
            "responder-role-misused",
        ),
        (
            "AttachUserPolicy",
            "iam",
            policy("AdministratorAccess"),
            false,
            "AIDASOMEBODYELSE12345",
            // There is no such user.
            "Declined",
            "privilege-escalation",
        ),
    ] {
        let report = lab.deliver(&call(name, service, parameters, read_only, by)?).await?;
        assert_eq!(kind(&report), outcome, "{name}: {report:#}");
        let said = report.to_string();
        assert!(said.contains(reason), "{name}: {report:#}");
    }
    let pages = lab.messages().await?;
    let paged = |page: &&Value| page["MessageAttributes"]["urgency"]["Value"] == "page";
    // The two of its role, and the stranger who is not there.
    assert_eq!(pages.iter().filter(paged).count(), 3, "{pages:#?}");
    Ok(())
}

/// A rule of a folder counts like ours; one that is broken is skipped, and people are paged once.
#[tokio::test]
async fn rules_of_a_folder_hold_and_a_broken_one_is_announced() -> Result<()> {
    let rules = "title: Buckets are listed\nid: buckets-listed\nlogsource: {product: aws, service: cloudtrail}\n\
        detection:\n  call: {eventName: ListBuckets}\n  condition: call\nlevel: high\n---\n\
        title: Broken\nid: broken\nlogsource: {product: aws}\ndetection:\n  call: {eventName: X}\n  condition: call and (\n";
    let lab = Lab::new(Setup { durable: true, rules: Some(rules), ..Setup::default() }).await?;
    let mut event = lab.record("silencing/trail-stopped.benign")?;
    event["detail"]["eventName"] = json!("ListBuckets");
    let report = lab.deliver(&event).await?;
    assert_eq!((kind(&report), &report["severity"]), ("Observed", &json!("high")), "{report:#}");
    let messages = lab.messages().await?;
    let subjects: Vec<&str> = messages.iter().filter_map(|message| message["Subject"].as_str()).collect();
    assert!(subjects.iter().any(|subject| subject.contains("rules are broken")), "{subjects:?}");
    assert!(
        messages.iter().any(|message| message["Message"].as_str().is_some_and(|text| text.contains("mine.yml:9"))),
        "{messages:#?}"
    );
    lab.deliver(&event).await?;
    assert!(lab.messages().await?.is_empty());
    Ok(())
}
