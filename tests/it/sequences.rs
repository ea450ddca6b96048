//! Attack sequences: one incident, several targets, one message.

use crate::{
    lab::{Lab, Setup, kind, undeclared},
    principals::did,
};
use anyhow::Result;
use cordon_support::{Fault, How, Match};
use serde_json::{Value, json};
use std::time::Duration;

/// The sample of a sequence, about the user and the instance of this world.
pub fn sequence(lab: &Lab) -> Result<Value> {
    let mut event = lab.event("attack-sequence-instance")?;
    let sequence = &mut event["detail"]["service"]["detection"]["sequence"];
    let account = json!(lab.account);
    let actor = &mut sequence["actors"][0]["user"];
    actor["name"] = json!(lab.id("/user/name"));
    actor["uid"] = json!(lab.id("/user/id"));
    actor["credentialUid"] = json!(lab.id("/user/keys/0"));
    actor["account"]["uid"] = account.clone();
    for resource in sequence["resources"].as_array_mut().unwrap() {
        resource["accountId"] = account.clone();
        if resource["resourceType"] == "EC2_INSTANCE" {
            resource["uid"] =
                json!(format!("arn:aws:ec2:us-east-1:{}:instance/{}", lab.account, lab.id("/victim/instance")));
        }
        if resource["resourceType"] == "ACCESS_KEY" {
            resource["uid"] = json!(lab.id("/user/keys/0"));
            resource["data"]["accessKey"]["userName"] = json!(lab.id("/user/name"));
            resource["data"]["accessKey"]["principalId"] = json!(lab.id("/user/id"));
        }
    }
    Ok(event)
}

async fn is_denied(lab: &Lab) -> Result<bool> {
    let attached = lab.call("iam", "list_attached_user_policies", json!({"UserName": lab.id("/user/name")})).await?;
    Ok(attached.to_string().contains("AWSDenyAll"))
}

async fn is_quarantined(lab: &Lab) -> Result<bool> {
    Ok(lab.group_of(&lab.interfaces("victim")[0]).await? == "cordon-quarantine")
}

#[tokio::test]
async fn user_and_instance_are_contained_under_one_incident_and_released_with_it() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), ..Setup::default() }).await?;
    let before = lab.dump().await?;
    let event = sequence(&lab)?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert!(is_denied(&lab).await? && is_quarantined(&lab).await?);
    let residual = report["residual"].to_string();
    assert!(residual.contains("s3 bucket") && residual.contains("no playbook contains it"), "{residual}");
    let mails = lab.messages().await?;
    assert_eq!(mails.len(), 1, "{mails:#?}");
    let text = mails[0]["Message"].as_str().unwrap();
    assert!(text.contains(lab.id("/victim/instance")) && text.contains(lab.id("/user/name")), "{text}");
    let incident = report["incident"].as_str().unwrap();
    assert_eq!(lab.incidents().await?, [incident]);

    // Again is nothing new, and rechecks look at each.
    assert_eq!(kind(&lab.deliver(&event).await?), "Contained");
    lab.recheck(incident).await?;
    lab.sweep().await?;
    let mails = lab.messages().await?;
    assert!(mails.is_empty(), "{mails:#?}");
    lab.call(
        "iam",
        "detach_user_policy",
        json!({"UserName": lab.id("/user/name"), "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}),
    )
    .await?;
    lab.recheck(incident).await?;
    assert!(is_denied(&lab).await?);
    assert_eq!(lab.messages().await?.len(), 1, "that it was undone is news");

    let shown = lab.shown(incident).await?;
    assert_eq!(shown["containments"].as_array().unwrap().len(), 2, "{shown:#}");
    let output = lab.cordon(&["release", incident, "--reactivate-keys"]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// Who is named by a finding of his own too is held by both.
#[tokio::test]
async fn a_target_of_two_incidents_is_released_with_the_last() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), ..Setup::default() }).await?;
    let alone = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&alone), "Contained");
    let both = lab.deliver(&sequence(&lab)?).await?;
    assert_eq!(kind(&both), "Contained", "{both:#}");
    let output = lab.cordon(&["release", both["incident"].as_str().unwrap()]).await?;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(is_denied(&lab).await? && !is_quarantined(&lab).await?);
    let output = lab.cordon(&["release", alone["incident"].as_str().unwrap()]).await?;
    assert!(output.status.success(), "{output:?}");
    assert!(!is_denied(&lab).await?);
    Ok(())
}

/// Several actors: the whole waits for one approval, which binds to the whole.
#[tokio::test]
async fn several_actors_need_one_approval_of_the_whole() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), ..Setup::default() }).await?;
    let bob = lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    lab.call("iam", "create_access_key", json!({"UserName": "bob"})).await?;
    // What each of them did before is told, though they are cut at different times.
    let (name, id) = (lab.id("/user/name"), lab.id("/user/id"));
    did(&lab, (name, id), "ListBuckets", json!(null), json!(null)).await?;
    let bobs_id = bob["User"]["UserId"].as_str().unwrap();
    did(&lab, ("bob", bobs_id), "CreateUser", json!({"userName": "eve"}), json!(null)).await?;
    let mut event = sequence(&lab)?;
    let actors = event["detail"]["service"]["detection"]["sequence"]["actors"].as_array_mut().unwrap();
    let mut second = actors[0].clone();
    second["id"] = json!("user:IAMUser:bob");
    second["user"]["name"] = json!("bob");
    second["user"]["uid"] = bob["User"]["UserId"].clone();
    actors.push(second);
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    assert!(report["decision"].to_string().contains("several-targets"));
    assert_eq!((lab.changes(), lab.messages().await?.len()), (Vec::new(), 1));
    let incident = report["incident"].as_str().unwrap();

    // One more key is another plan: of him people are asked anew, and the others are contained as they were approved, after a fault too.
    lab.call("iam", "create_access_key", json!({"UserName": "bob"})).await?;
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    let at = Match { operation: "ModifyNetworkInterfaceAttribute".to_owned(), resource: None, occurrence: None };
    lab.proxy.fail(Fault::throughout(at, How::Throttled));
    lab.clock.advance(Duration::from_secs(5))?;
    lab.function.invoke(&lab.batch(incident)).await?;
    assert!(is_denied(&lab).await? && !is_quarantined(&lab).await?);
    lab.proxy.heal();
    lab.recheck(incident).await?;
    assert!(is_quarantined(&lab).await?, "{:#}", lab.shown(incident).await?);
    let keys = lab.call("iam", "list_access_keys", json!({"UserName": "bob"})).await?;
    assert!(!keys.to_string().contains("\"Inactive\""), "{keys:#}");
    let report = lab.shown(incident).await?["incident"]["report"].clone();
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.recheck(incident).await?;
    let keys = lab.call("iam", "list_access_keys", json!({"UserName": "bob"})).await?;
    assert!(!keys.to_string().contains("\"Active\""), "{keys:#}");
    let report = lab.shown(incident).await?["incident"]["report"].clone();
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let found = &report["investigation"];
    assert_eq!((&found["calls"], &found["made"]), (&json!(2), &json!(["user eve"])), "{found:#}");
    Ok(())
}

/// What is another account's is listed, and what is ours is contained.
#[tokio::test]
async fn of_two_accounts_only_what_is_ours_is_contained() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), ..Setup::default() }).await?;
    let mut event = sequence(&lab)?;
    let instance = lab.id("/victim/instance");
    for resource in event["detail"]["service"]["detection"]["sequence"]["resources"].as_array_mut().unwrap() {
        if resource["resourceType"] == "EC2_INSTANCE" {
            resource["accountId"] = json!("999988887777");
            resource["uid"] = json!(format!("arn:aws:ec2:us-east-1:999988887777:instance/{instance}"));
        }
    }
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert!(is_denied(&lab).await? && !is_quarantined(&lab).await?);
    let residual = report["residual"].to_string();
    assert!(residual.contains(instance) && residual.contains("999988887777"), "{residual}");
    Ok(())
}

/// More targets than the policy allows unattended: a person approves the whole.
#[tokio::test]
async fn more_targets_than_allowed_need_a_person() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), ..Setup::default() }).await?;
    lab.put_policy("limits: {targets-per-sequence: 1}").await?;
    let report = lab.deliver(&sequence(&lab)?).await?;
    assert_eq!((kind(&report), lab.changes()), ("AwaitingApproval", Vec::new()), "{report:#}");
    assert!(report["decision"].to_string().contains("the policy allows 1 unattended"), "{report:#}");
    Ok(())
}

#[tokio::test]
async fn a_sequence_of_anything_else_touches_nothing() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), ..Setup::default() }).await?;
    let before = lab.dump().await?;
    // Of another account, of nothing that we know, of 400 instances that are not there.
    let many: Vec<Value> = (0..400)
        .map(|n| json!({"uid": format!("i-{n:017x}"), "resourceType": "EC2_INSTANCE", "accountId": lab.account}))
        .collect();
    let foreign =
        json!([{"uid": lab.id("/victim/instance"), "resourceType": "EC2_INSTANCE", "accountId": "999988887777"}]);
    for (resources, expected, code) in [
        (foreign, "Observed", "nothing-to-contain"),
        (
            json!([{"uid": "x", "resourceType": "MOON_BASE"}, {"resourceType": 7}, null]),
            "Observed",
            "nothing-to-contain",
        ),
        (json!([]), "Observed", "nothing-to-contain"),
        (json!(many), "Declined", "vanished"),
    ] {
        let mut event = sequence(&lab)?;
        let sequence = &mut event["detail"]["service"]["detection"]["sequence"];
        sequence["actors"] = json!([]);
        sequence["resources"] = resources;
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), expected, "{code}: {report:#}");
        assert!(report["outcome"].to_string().contains(code), "{report:#}");
    }
    assert_eq!(crate::lab::differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}
