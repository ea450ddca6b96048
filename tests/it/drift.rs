//! Somebody undoes what was contained: again and again, or because he may.

use crate::lab::{Lab, kind};
use anyhow::Result;
use cordon::domain::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

async fn reopen(lab: &Lab) -> Result<String> {
    let interface = lab.interfaces("victim").remove(0);
    let groups = json!({"NetworkInterfaceId": interface, "Groups": [lab.id("/web_group")]});
    lab.call("ec2", "modify_network_interface_attribute", groups).await?;
    Ok(interface)
}

fn outcome(shown: &Value) -> &str {
    shown["incident"]["report"]["outcome"]["kind"].as_str().unwrap()
}

#[tokio::test]
async fn what_is_undone_too_often_is_left_to_people_for_an_hour() -> Result<()> {
    let lab = Lab::durable().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let incident = report["incident"].as_str().unwrap();
    for _ in 0..3 {
        let interface = reopen(&lab).await?;
        lab.recheck(incident).await?;
        assert_eq!(lab.group_of(&interface).await?, "cordon-quarantine");
    }
    lab.messages().await?;
    let interface = reopen(&lab).await?;
    lab.recheck(incident).await?;
    assert_ne!(lab.group_of(&interface).await?, "cordon-quarantine", "people must find out who does it");
    let shown = lab.shown(incident).await?;
    assert_eq!(outcome(&shown), "PartiallyContained", "{shown:#}");
    let [page] = lab.messages().await?.try_into().unwrap();
    let text = page["Message"].as_str().unwrap();
    assert!(text.contains("contained again 3 times within an hour") && text.contains(&interface), "{text}");
    assert_eq!(page["MessageAttributes"]["urgency"]["Value"], "page");
    lab.recheck(incident).await?;
    assert_eq!(lab.messages().await?.len(), 0, "once is enough");
    lab.clock.advance(Duration::from_secs(3_600))?;
    lab.recheck(incident).await?;
    assert_eq!(lab.group_of(&interface).await?, "cordon-quarantine");
    assert_eq!(outcome(&lab.shown(incident).await?), "Contained");
    Ok(())
}

#[tokio::test]
async fn an_operators_own_change_is_his_and_nobody_elses_is() -> Result<()> {
    const OPERATOR: &str = "AROACKCEVSQ6C2EXAMPLE";
    for (who, is_his) in [(OPERATOR, true), ("AROAJ2UCCR6DPCEXAMPLE", false), ("", false)] {
        let mut lab = Lab::durable().await?;
        // The third time it is the contained role itself that the policy names an operator.
        let who = if who.is_empty() { lab.id("/victim/role/id").to_owned() } else { who.to_owned() };
        let named = if is_his { OPERATOR.to_owned() } else { lab.id("/victim/role/id").to_owned() };
        let policy = format!("version: 1\noperators:\n  - unique-id: {named}\n");
        lab.restart_with("contain", Some(&policy)).await?;
        let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
        let (incident, session) = (report["incident"].as_str().unwrap(), lab.id("/victim/instance"));
        lab.messages().await?;
        let interface = reopen(&lab).await?;
        let at = Timestamp::from_millis(lab.clock.now_ms() + 1_000).to_string();
        let record = json!({"eventName": "ModifyNetworkInterfaceAttribute", "eventTime": at,
            "requestParameters": {"networkInterfaceId": interface, "groupSet": {"items": []}},
            "userIdentity": {"type": "AssumedRole", "principalId": format!("{who}:{session}"), "arn": "arn:aws:sts::111122223333:assumed-role/people/jane"}});
        lab.recorded(json!({"EventName": "ModifyNetworkInterfaceAttribute", "EventTime": at, "Username": session,
            "Resources": [{"ResourceName": interface}], "CloudTrailEvent": record}))
            .await?;
        for _ in 0..2 {
            lab.recheck(incident).await?;
            assert_eq!(lab.group_of(&interface).await? != "cordon-quarantine", is_his, "{who}");
        }
        let [mail] = lab.messages().await?.try_into().unwrap();
        let text = mail["Message"].as_str().unwrap();
        let jane = "arn:aws:sts::111122223333:assumed-role/people/jane";
        let said = if is_his { format!("by {jane}") } else { format!("by CloudTrail {jane}") };
        assert!(text.contains(&said), "{who}: {text}");
        assert_eq!(text.contains("somebody had undone it"), !is_his, "{who}: {text}");
        assert_eq!(lab.cordon(&["release", incident]).await?.status.code(), Some(0));
        assert_eq!(kind(&json!({"outcome": {"kind": outcome(&lab.shown(incident).await?)}})), "Released");
    }
    Ok(())
}

/// Newer evidence than the operator's decision contains again; what is set back by him is held again.
#[tokio::test]
async fn what_an_operator_gave_back_is_contained_again_by_newer_evidence() -> Result<()> {
    const OPERATOR: &str = "AROACKCEVSQ6C2EXAMPLE";
    let mut lab = Lab::durable().await?;
    let policy = format!("version: 1\noperators:\n  - unique-id: {OPERATOR}\n");
    lab.restart_with("contain", Some(&policy)).await?;
    let event = lab.event("instance-c2-network")?;
    let report = lab.deliver(&event).await?;
    let incident = report["incident"].as_str().unwrap();
    let interface = reopen(&lab).await?;
    let at = Timestamp::from_millis(lab.clock.now_ms() + 1_000).to_string();
    let record = json!({"eventName": "ModifyNetworkInterfaceAttribute", "eventTime": at,
        "requestParameters": {"networkInterfaceId": interface, "groupSet": {"items": []}},
        "userIdentity": {"type": "AssumedRole", "principalId": format!("{OPERATOR}:jane"), "arn": "arn:aws:sts::111122223333:assumed-role/people/jane"}});
    let event_of_trail = json!({"EventName": "ModifyNetworkInterfaceAttribute", "EventTime": at, "Username": "jane",
        "Resources": [{"ResourceName": interface}], "CloudTrailEvent": record});
    lab.recorded(event_of_trail).await?;
    lab.recheck(incident).await?;
    assert_ne!(lab.group_of(&interface).await?, "cordon-quarantine");
    // Evidence from before does not change his mind.
    lab.deliver(&event).await?;
    assert_ne!(lab.group_of(&interface).await?, "cordon-quarantine");
    let again = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!(kind(&again), "Contained", "{again:#}");
    assert_eq!(lab.group_of(&interface).await?, "cordon-quarantine");
    // Now somebody else undoes it, and CloudTrail still knows of nobody but her.
    reopen(&lab).await?;
    lab.recheck(incident).await?;
    assert_eq!(lab.group_of(&interface).await?, "cordon-quarantine", "her call was before that");
    Ok(())
}

/// Our own passage group is open to the world: a moment after the cut it is our doing, later it is his.
#[tokio::test]
async fn who_opens_by_our_own_passage_group_is_told_like_any_other() -> Result<()> {
    let lab = Lab::durable().await?;
    assert!(lab.cordon(&["prepare"]).await?.status.success());
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let named = json!({"Filters": [{"Name": "group-name", "Values": ["cordon-passage"]}, {"Name": "vpc-id", "Values": [lab.id("/vpc")]}]});
    let passage = lab.call("ec2", "describe_security_groups", named).await?["SecurityGroups"][0]["GroupId"].clone();
    lab.messages().await?;
    lab.clock.advance(Duration::from_secs(600))?;
    let interface = lab.interfaces("victim").remove(0);
    let open = json!({"NetworkInterfaceId": interface, "Groups": [passage]});
    lab.call("ec2", "modify_network_interface_attribute", open).await?;
    lab.sweep().await?;
    assert_eq!(lab.group_of(&interface).await?, "cordon-quarantine");
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains("somebody had undone it"), "{mail:#}");
    assert!(lab.cordon(&["release", report["incident"].as_str().unwrap()]).await?.status.success());
    Ok(())
}

/// In mode approve: something new comes to what was approved and contained.
#[tokio::test]
async fn what_waits_within_a_containment_can_be_approved() -> Result<()> {
    let lab = Lab::new(crate::lab::Setup { durable: true, mode: Some("approve"), ..Default::default() }).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let incident = report["incident"].as_str().unwrap();
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.recheck(incident).await?;
    assert_eq!(outcome(&lab.shown(incident).await?), "Contained");
    let made = json!({"SubnetId": lab.id("/subnet"), "Groups": [lab.id("/web_group")]});
    let made = lab.call("ec2", "create_network_interface", made).await?;
    let made = made["NetworkInterface"]["NetworkInterfaceId"].as_str().unwrap().to_owned();
    let attach = json!({"NetworkInterfaceId": made, "InstanceId": lab.id("/victim/instance"), "DeviceIndex": 7});
    lab.call("ec2", "attach_network_interface", attach).await?;
    lab.messages().await?;
    lab.recheck(incident).await?;
    assert_eq!(outcome(&lab.shown(incident).await?), "PartiallyContained");
    assert_eq!(lab.messages().await?.len(), 1);
    assert_ne!(lab.group_of(&made).await?, "cordon-quarantine");
    // Nobody answers: asked again.
    lab.clock.advance(Duration::from_secs(4 * 3_600))?;
    lab.sweep().await?;
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains("nobody has answered"), "{mail:#}");
    let output = lab.cordon(&["approve", incident]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lab.recheck(incident).await?;
    assert_eq!(lab.group_of(&made).await?, "cordon-quarantine");
    assert_eq!(outcome(&lab.shown(incident).await?), "Contained");
    Ok(())
}

/// The reason to ask has gone before anybody answered.
#[tokio::test]
async fn a_question_waits_also_when_its_reason_has_gone() -> Result<()> {
    let lab = Lab::new(crate::lab::Setup { durable: true, world: &["router"], ..Default::default() }).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&report), "AwaitingApproval");
    let interface = json!({"NetworkInterfaceId": lab.interfaces("victim")[0], "SourceDestCheck": {"Value": true}});
    lab.call("ec2", "modify_network_interface_attribute", interface).await?;
    lab.messages().await?;
    lab.clock.advance(Duration::from_secs(4 * 3_600))?;
    lab.proxy.clear();
    lab.sweep().await?;
    let mails = lab.messages().await?;
    assert!(mails.iter().any(|mail| mail["Subject"].as_str().unwrap().contains("WAITS FOR APPROVAL")), "{mails:#?}");
    let changes = lab.changes();
    assert!(!changes.iter().any(|change| change.starts_with("ModifyNetworkInterface")), "{changes:?}");
    Ok(())
}
