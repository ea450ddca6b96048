//! What comes after a containment or a release: newer evidence, half a release, things that went away or were renamed.

use crate::lab::{Lab, Setup, differences, kind, undeclared};
use anyhow::{Context, Result};
use cordon::domain::Timestamp;
use cordon_support::{Fault, How, Match};
use serde_json::{Value, json};

fn incident(report: &Value) -> String {
    report["incident"].as_str().unwrap().to_owned()
}

async fn released(lab: &Lab, incident: &str, arguments: &[&str], code: i32) -> Result<String> {
    let output = lab.cordon(&[&["release", incident], arguments].concat()).await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    Ok(said)
}

fn fails(operation: &str, occurrence: Option<u32>, how: How) -> Fault {
    let at = Match { operation: operation.to_owned(), resource: None, occurrence };
    Fault::throughout(at, how)
}

/// The operator's terminal dies with the journal saying that everything is being put back.
#[tokio::test]
async fn half_a_release_is_not_finished_by_a_finding() -> Result<()> {
    for sample in ["instance-c2-network", "key-used-from-outside", "role-session-exfiltrated"] {
        let lab = Lab::durable().await?;
        let before = lab.dump().await?;
        let event = lab.event(sample)?;
        let report = lab.deliver(&event).await?;
        let contained = lab.dump().await?;
        lab.proxy.clear();
        for operation in [
            "ModifyNetworkInterfaceAttribute",
            "ModifyInstanceAttribute",
            "DeleteRolePolicy",
            "DetachUserPolicy",
            "UpdateAccessKey",
            "DeleteTags",
        ] {
            lab.proxy.fail(fails(operation, None, How::Denied));
        }
        // Approvals are ended, the claim, and the write that says what will be done; the one that says what came of it is lost.
        lab.proxy.fail(fails("UpdateItem", Some(4), How::Denied));
        released(&lab, &incident(&report), &["--reactivate-keys"], 1).await?;
        lab.proxy.heal();
        assert_eq!(differences(&contained, &lab.dump().await?), Vec::<String>::new());

        lab.proxy.clear();
        let again = lab.deliver(&lab.newer(&event)?).await?;
        assert_eq!(kind(&again), "Contained", "{sample}: {again:#}");
        let changed = differences(&contained, &lab.dump().await?);
        assert!(changed.iter().all(|change| change.contains("cordon:incident")), "{sample}: {changed:#?}");
        released(&lab, &incident(&again), &["--reactivate-keys"], 0).await?;
        assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new(), "{sample}");
    }
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_put_back_does_not_protect_the_target_from_the_next_containment() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.event("instance-c2-network")?;
    let first = lab.deliver(&event).await?;
    let contained = lab.dump().await?;
    let tags = |value: &str| json!([{"Key": "cordon:incident", "Value": value}]);
    let instance = lab.id("/victim/instance").to_owned();
    lab.call("ec2", "create_tags", json!({"Resources": [instance], "Tags": tags("mine")})).await?;
    let said = released(&lab, &incident(&first), &[], 3).await?;
    assert!(said.contains("left alone"), "{said}");
    assert_eq!(kind(&lab.deliver(&event).await?), "Observed", "the evidence is not newer than the release");
    lab.messages().await?;
    let again = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!(kind(&again), "Contained", "{again:#}");
    assert_eq!(lab.messages().await?.len(), 1, "people are told, though the same was told before the release");
    assert_eq!(differences(&contained, &lab.dump().await?), Vec::<String>::new());
    released(&lab, &incident(&again), &[], 0).await?;
    let dump = lab.dump().await?;
    assert_eq!(dump["instances"][&instance]["tags"]["cordon:incident"], "mine", "as it was found");
    Ok(())
}

/// As the README advises: observe first, and contain later.
#[tokio::test]
async fn what_was_observed_first_is_looked_after_once_it_is_contained() -> Result<()> {
    let mut lab = Lab::new(Setup { durable: true, mode: Some("observe"), ..Setup::default() }).await?;
    let event = lab.event("role-session-exfiltrated")?;
    assert_eq!(kind(&lab.deliver(&event).await?), "Observed");
    lab.restart("contain").await?;
    let report = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let contained = lab.dump().await?;
    let role = lab.id("/victim/role/name").to_owned();
    let policies = lab.call("iam", "list_role_policies", json!({"RoleName": role})).await?;
    let ours = policies["PolicyNames"].as_array().unwrap().iter().filter_map(Value::as_str);
    let ours = ours.filter(|name| name.starts_with("CordonDeny-")).collect::<Vec<_>>().concat();
    lab.call("iam", "delete_role_policy", json!({"RoleName": role, "PolicyName": ours})).await?;
    lab.recheck(&incident(&report)).await?;
    assert_eq!(differences(&contained, &lab.dump().await?), Vec::<String>::new());
    // Turned down again, it changes nothing more.
    lab.call("iam", "delete_role_policy", json!({"RoleName": role, "PolicyName": ours})).await?;
    lab.restart("observe").await?;
    lab.recheck(&incident(&report)).await?;
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

/// The profile is taken off the instance, so nothing leads to the role any more, and the deny is deleted: by somebody, by an operator, or
/// while Cordon only looks.
#[tokio::test]
async fn a_deny_that_nothing_leads_to_any_more_is_looked_after_too() -> Result<()> {
    const OPERATOR: &str = "AROACKCEVSQ6C2EXAMPLE";
    for (who, mode) in [("AROAJ2UCCR6DPCEXAMPLE", "contain"), (OPERATOR, "contain"), ("", "observe")] {
        let mut lab = Lab::durable().await?;
        let policy = format!("version: 1\noperators:\n  - unique-id: {OPERATOR}\n");
        lab.restart_with("contain", Some(&policy)).await?;
        let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
        let (instance, role) = (lab.id("/victim/instance").to_owned(), lab.id("/victim/role/name").to_owned());
        let found = lab.call("ec2", "describe_iam_instance_profile_associations", json!({})).await?;
        let found = found["IamInstanceProfileAssociations"].as_array().unwrap();
        let association = found.iter().find(|each| each["InstanceId"] == json!(instance)).context("no association")?;
        let association = json!({"AssociationId": association["AssociationId"]});
        lab.call("ec2", "disassociate_iam_instance_profile", association).await?;
        let steps = report["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["action"] == "iam.role.session-deny").unwrap();
        let name = step["undo"].as_str().unwrap().rsplit(' ').next().unwrap();
        let call = json!({"RoleName": role, "PolicyName": name});
        lab.call("iam", "delete_role_policy", call).await?;
        if !who.is_empty() {
            let at = Timestamp::from_millis(lab.clock.now_ms() + 1_000).to_string();
            let record = json!({"eventName": "DeleteRolePolicy", "eventTime": at,
                "requestParameters": {"roleName": role, "policyName": name},
                "userIdentity": {"type": "AssumedRole", "principalId": format!("{who}:jane"), "arn": "arn:aws:sts::111122223333:assumed-role/people/jane"}});
            lab.recorded(json!({"EventName": "DeleteRolePolicy", "EventTime": at, "Username": "jane",
                "Resources": [{"ResourceName": role}], "CloudTrailEvent": record}))
                .await?;
        }
        lab.messages().await?;
        lab.restart_with(mode, Some(&policy)).await?;
        lab.proxy.clear();
        lab.recheck(&incident(&report)).await?;
        let is_stranger = who != OPERATOR && mode == "contain";
        assert_eq!(lab.dump().await?["roles"].to_string().contains("CordonDenySession"), is_stranger, "{who} {mode}");
        assert_eq!(lab.changes().is_empty(), !is_stranger, "{who} {mode}: {:?}", lab.changes());
        let [mail] = lab.messages().await?.try_into().unwrap();
        let text = mail["Message"].as_str().unwrap();
        let jane = "arn:aws:sts::111122223333:assumed-role/people/jane";
        let said = match (who, mode) {
            (_, "observe") => "what may be done now does not contain it again".to_owned(),
            (OPERATOR, _) => format!("by {jane}"),
            _ => format!("by CloudTrail {jane}"),
        };
        assert!(text.contains(&said), "{who} {mode}: {text}");
        assert_eq!(text.contains("somebody had undone it"), is_stranger, "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_user_who_was_renamed_is_released_under_his_new_name() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    lab.call("iam", "update_user", json!({"UserName": lab.id("/user/name"), "NewUserName": "renamed"})).await?;
    lab.proxy.clear();
    lab.recheck(&incident(&report)).await?;
    assert_eq!(lab.changes(), Vec::<String>::new(), "all of it is in place");
    released(&lab, &incident(&report), &["--reactivate-keys"], 0).await?;
    lab.call("iam", "update_user", json!({"UserName": "renamed", "NewUserName": lab.id("/user/name")})).await?;
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_instance_that_ended_later_keeps_what_is_known_of_it() -> Result<()> {
    let lab = Lab::durable().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let instance = lab.id("/victim/instance").to_owned();
    let off = json!({"InstanceId": instance, "DisableApiTermination": {"Value": false}});
    lab.call("ec2", "modify_instance_attribute", off).await?;
    lab.call("ec2", "terminate_instances", json!({"InstanceIds": [instance]})).await?;
    lab.recheck(&incident(&report)).await?;
    let shown = lab.cordon(&["show", &incident(&report), "--json"]).await?;
    let shown: Value = serde_json::from_slice(&shown.stdout)?;
    assert_eq!(shown["incident"]["report"]["outcome"]["kind"], "Contained", "{shown:#}");
    let steps = shown["containment"]["steps"].as_array().unwrap();
    let deny = steps.iter().find(|step| step["change"]["action"] == "iam.role.session-deny").unwrap();
    assert_eq!(deny["state"], "done", "it is still denied");
    released(&lab, &incident(&report), &[], 0).await?;
    assert!(!lab.dump().await?["roles"].to_string().contains("CordonDenySession"));
    Ok(())
}

/// A queue may be written to by more people than may invoke the function.
#[tokio::test]
async fn an_event_in_the_recheck_queue_contains_nothing() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.recheck(&lab.event("key-used-from-outside")?.to_string()).await?;
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}
