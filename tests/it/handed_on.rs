//! Sessions that contained credentials made: each is denied by itself, and what could not be looked up is said.

use crate::lab::{Lab, Setup, differences, kind, undeclared};
use anyhow::Result;
use cordon_support::{Fault, How, Lasting, Match, When, samples};
use serde_json::{Value, json};
use std::time::Duration;

async fn release(lab: &Lab, report: &Value) -> Result<()> {
    let output = lab.cordon(&["release", report["incident"].as_str().unwrap()]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Of what people were told meanwhile.
async fn outcomes(lab: &Lab) -> Result<Vec<String>> {
    let outcome = |mail: &Value| mail["MessageAttributes"]["outcome"]["Value"].as_str().unwrap().to_owned();
    Ok(lab.messages().await?.iter().map(outcome).collect())
}

fn throttled(operation: &str, occurrence: Option<u32>) -> Fault {
    let at = Match { operation: operation.to_owned(), resource: None, occurrence };
    Fault::throughout(at, How::Throttled)
}

/// The key is dead, and what it made is not: each session is denied on its own role, by the role's unique id.
#[tokio::test]
async fn sessions_that_a_key_handed_on_are_denied_too() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.handed_on("/role_app", "loot").await?;
    // Of a role that was made again under its name nothing is left to deny.
    lab.handed_on("/role_deploy", "old").await?;
    lab.call("iam", "delete_role", json!({"RoleName": lab.id("/role_deploy/name")})).await?;
    let trust = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    let again = json!({"RoleName": lab.id("/role_deploy/name"), "AssumeRolePolicyDocument": trust});
    lab.call("iam", "create_role", again).await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let after = lab.dump().await?;
    let denied: Vec<String> = differences(&before, &after).into_iter().filter(|d| d.starts_with("/roles/")).collect();
    let [denied] = denied.try_into().unwrap();
    assert!(denied.contains(lab.id("/role_app/id")) && denied.contains(":loot"), "{denied}");
    release(&lab, &report).await?;
    let left = undeclared(&before, &lab.dump().await?);
    assert!(left.iter().all(|difference| difference.contains("/keys/")), "{left:#?}");
    Ok(())
}

/// What was found is denied, and what could not be looked up is told as open.
#[tokio::test]
async fn sessions_of_one_key_are_denied_though_another_cannot_be_looked_up() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.handed_on_by(lab.id("/user/keys/0"), "/role_app", "one").await?;
    lab.handed_on_by(lab.id("/user/keys/1"), "/role_deploy", "two").await?;
    let before = lab.dump().await?;
    let at = Match { operation: "LookupEvents".to_owned(), resource: None, occurrence: Some(2) };
    lab.proxy.fail(Fault { at, when: When::Before, how: How::Denied, lasting: Lasting::Once });
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    assert!(report["residual"].to_string().contains("could not be looked up everywhere"), "{report:#}");
    let changed = differences(&before, &lab.dump().await?);
    assert_eq!(changed.iter().filter(|change| change.starts_with("/roles/")).count(), 1, "{changed:#?}");
    // The next look finds the other one, and people hear that all is well.
    lab.messages().await?;
    lab.recheck(report["incident"].as_str().unwrap()).await?;
    let changed = differences(&before, &lab.dump().await?);
    assert_eq!(changed.iter().filter(|change| change.starts_with("/roles/")).count(), 2, "{changed:#?}");
    assert_eq!(lab.messages().await?.len(), 1);
    Ok(())
}

/// A look that CloudTrail throttles is no news, and what is held is not said to be open because it could not be read again; what stays
/// unread is news.
#[tokio::test]
async fn a_look_that_fails_is_told_only_if_it_stays_so() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.handed_on("/role_app", "loot").await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let incident = report["incident"].as_str().unwrap();
    lab.messages().await?;
    let blind = async |operation: &str| {
        lab.proxy.fail(throttled(operation, None));
        lab.sweep().await?;
        let unread = lab.shown(incident).await?["incident"]["unread"].take();
        lab.proxy.heal();
        // Who looks finds it.
        assert!(unread["what"].to_string().contains("could not be"), "{operation}: {unread}");
        outcomes(&lab).await
    };
    let nothing: Vec<String> = Vec::new();
    for operation in ["GetRole", "LookupEvents"] {
        assert_eq!(blind(operation).await?, nothing);
        lab.sweep().await?;
        assert_eq!(outcomes(&lab).await?, nothing);
        lab.clock.advance(Duration::from_secs(40 * 60))?;
        assert_eq!(blind(operation).await?, nothing, "it was read between");
        lab.clock.advance(Duration::from_secs(31 * 60))?;
        assert_eq!(blind(operation).await?, ["PartiallyContained"], "{operation}");
        assert_eq!(blind(operation).await?, nothing);
        lab.sweep().await?;
        assert_eq!(outcomes(&lab).await?, ["Contained"]);
    }
    Ok(())
}

/// What comes to light is told, though all that was done stands as people know it.
#[tokio::test]
async fn a_way_that_comes_to_light_is_told() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.proxy.fail(throttled("LookupEvents", None));
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    lab.proxy.heal();
    lab.messages().await?;
    // He calls his sessions alike.
    for account in ["444455556666", "555566667777"] {
        let arn = format!("arn:aws:iam::{account}:role/theirs");
        lab.assumed(lab.id("/user/keys/0"), &arn, "AROACKCEVSQ6C2EXAMPLE", "loot").await?;
        lab.sweep().await?;
        let [mail] = lab.messages().await?.try_into().unwrap();
        assert!(
            mail["Message"].as_str().unwrap().contains(&format!("in account {account}: contain it there")),
            "{mail:#}"
        );
        lab.sweep().await?;
        assert_eq!(lab.messages().await?, Vec::<Value>::new());
    }
    Ok(())
}

/// A page that was read is worth as much where the next one fails.
#[tokio::test]
async fn what_was_read_before_a_page_failed_is_denied() -> Result<()> {
    let lab = Lab::durable().await?;
    let key = lab.id("/user/keys/0");
    lab.handed_on("/role_app", "loot").await?;
    for n in 0..60 {
        lab.recorded(json!({"EventName": "GetCallerIdentity", "EventSource": "sts.amazonaws.com", "AccessKeyId": key,
            "EventTime": samples::now_ms() / 1000 - 700 - n, "CloudTrailEvent": {"eventName": "GetCallerIdentity"}}))
            .await?;
    }
    // Two keys are looked up one after the other, the first with two pages.
    let at = Match { operation: "LookupEvents".to_owned(), resource: None, occurrence: Some(2) };
    lab.proxy.fail(Fault { at, when: When::Before, how: How::Denied, lasting: Lasting::Once });
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    let changed = differences(&before, &lab.dump().await?);
    assert!(changed.iter().any(|change| change.starts_with("/roles/") && change.contains(":loot")), "{changed:#?}");
    Ok(())
}

/// What is new adds steps, whenever it comes to light; what is known adds none.
#[tokio::test]
async fn a_session_that_is_known_later_is_denied_later() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.event("key-used-from-outside")?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let first = lab.dump().await?;
    // CloudTrail tells of it only now.
    lab.handed_on("/role_app", "loot").await?;
    let report = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let changed = differences(&first, &lab.dump().await?);
    let [denied] = changed.try_into().unwrap();
    assert!(
        denied.starts_with("/roles/") && denied.contains(lab.id("/role_app/id")) && denied.contains(":loot"),
        "{denied}"
    );
    lab.proxy.clear();
    let report = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!((kind(&report), lab.changes()), ("Joined", Vec::new()), "{report:#}");
    release(&lab, &report).await?;
    assert!(!lab.dump().await?["roles"].to_string().contains("loot"));
    Ok(())
}

/// That a session is alive is known, though its role cannot be read: people do not wait for that.
#[tokio::test]
async fn a_session_that_comes_to_light_is_told_though_its_role_cannot_be_read() -> Result<()> {
    let lab = Lab::durable().await?;
    assert_eq!(kind(&lab.deliver(&lab.event("key-used-from-outside")?).await?), "Contained");
    lab.messages().await?;
    lab.handed_on("/role_app", "loot").await?;
    lab.proxy.fail(throttled("GetRole", None));
    lab.sweep().await?;
    let [mail] = lab.messages().await?.try_into().unwrap();
    let text = mail["Message"].as_str().unwrap();
    assert!(text.contains("OPEN: session loot of") && text.contains("is not denied"), "{text}");
    lab.sweep().await?;
    assert_eq!(outcomes(&lab).await?, Vec::<String>::new());
    lab.proxy.heal();
    lab.sweep().await?;
    assert_eq!(outcomes(&lab).await?, ["Contained"]);
    Ok(())
}

/// What a person said no to stays so, also where a look sees less of it than he saw.
#[tokio::test]
async fn a_no_holds_though_a_look_fails_and_what_stays_unread_is_told_all_the_same() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.put_policy("protections:\n  - {tag: {key: tier, value: core}, because: customers notice}\n").await?;
    let tag = json!({"RoleName": lab.id("/role_app/name"), "Tags": [{"Key": "tier", "Value": "core"}]});
    lab.call("iam", "tag_role", tag).await?;
    lab.handed_on_by(lab.id("/user/keys/0"), "/role_app", "asked").await?;
    lab.handed_on_by(lab.id("/user/keys/1"), "/role_deploy", "denied").await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    let incident = report["incident"].as_str().unwrap();
    assert!(lab.cordon(&["reject", incident, "--because", "customers"]).await?.status.success());
    lab.sweep().await?;
    lab.messages().await?;
    let nothing: Vec<String> = Vec::new();
    for _ in 0..2 {
        lab.proxy.clear();
        lab.proxy.fail(throttled("LookupEvents", Some(2)));
        lab.sweep().await?;
        assert_eq!(outcomes(&lab).await?, nothing, "of one key: {:#}", lab.shown(incident).await?);
        lab.proxy.heal();
        lab.sweep().await?;
        assert_eq!(outcomes(&lab).await?, nothing);
    }
    lab.proxy.fail(throttled("LookupEvents", None));
    for minutes in [0, 20, 20] {
        assert_eq!(outcomes(&lab).await?, nothing);
        lab.clock.advance(Duration::from_secs(minutes * 60))?;
        lab.sweep().await?;
    }
    assert_eq!(outcomes(&lab).await?, ["PartiallyContained"], "for forty minutes");
    let shown = lab.shown(incident).await?;
    assert!(!shown["incident"]["report"]["steps"].to_string().contains("waits for approval"), "{shown:#}");
    Ok(())
}

/// Whoever agreed to a plan hears that it was not followed, though only a look that failed made it another.
#[tokio::test]
async fn an_approval_that_a_blind_look_does_not_follow_is_told() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, mode: Some("approve"), ..Setup::default() }).await?;
    lab.handed_on("/role_app", "loot").await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    let incident = report["incident"].as_str().unwrap();
    lab.messages().await?;
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.proxy.clear();
    lab.proxy.fail(throttled("LookupEvents", None));
    lab.recheck(incident).await?;
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains("is not the plan any more"), "{mail:#}");
    lab.recheck(incident).await?;
    assert_eq!((outcomes(&lab).await?, lab.changes()), (Vec::new(), Vec::new()));
    lab.proxy.heal();
    lab.recheck(incident).await?;
    assert_eq!(outcomes(&lab).await?, ["Contained"]);
    Ok(())
}
