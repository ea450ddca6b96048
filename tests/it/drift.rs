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
        let said =
            if is_his { "by arn:aws:sts::111122223333:assumed-role/people/jane" } else { "somebody had undone it" };
        assert!(text.contains(said), "{who}: {text}");
        assert_eq!(lab.cordon(&["release", incident]).await?.status.code(), Some(0));
        assert_eq!(kind(&json!({"outcome": {"kind": outcome(&lab.shown(incident).await?)}})), "Released");
    }
    Ok(())
}
