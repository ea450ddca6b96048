//! One problem is one incident and one question, however it arrives.

use crate::lab::{HOUR, Lab, Setup, codes, kind};
use anyhow::Result;
use cordon_support::{Answer, Fault, How, Match, When};
use serde_json::{Value, json};
use std::time::Duration;

async fn approving() -> Result<Lab> {
    Lab::new(Setup { durable: true, mode: Some("approve"), ..Setup::default() }).await
}

fn incident(report: &Value) -> &str {
    report["incident"].as_str().unwrap()
}

/// The same detail under a new envelope, seen more often: GuardDuty publishes it again, or the administrator's bus has it too.
fn again(event: &Value) -> Value {
    let mut event = event.clone();
    event["id"] = json!("11111111-2222-3333-4444-555555555555");
    event["account"] = json!("999988887777");
    event["detail"]["service"]["count"] = json!(23);
    event
}

#[tokio::test]
async fn a_finding_that_comes_again_or_by_another_bus_joins() -> Result<()> {
    for mode in ["contain", "approve"] {
        let lab = Lab::new(Setup { durable: true, mode: Some(mode), ..Setup::default() }).await?;
        let event = lab.event("key-used-from-outside")?;
        let first = lab.deliver(&event).await?;
        lab.messages().await?;
        lab.proxy.clear();
        let second = lab.deliver(&again(&event)).await?;
        assert_eq!(incident(&first), incident(&second), "{mode}");
        assert_eq!((lab.changes(), lab.messages().await?.len()), (Vec::new(), 0), "{mode}: {second:#}");
        assert_eq!(lab.incidents().await?.len(), 1);
    }
    Ok(())
}

/// It read the account before another's cut and gets the lease after it: what he did is not taken for undone.
#[tokio::test]
async fn whoever_comes_late_to_the_lease_looks_again() -> Result<()> {
    let lab = Lab::durable().await?;
    let (event, late) = (lab.event("key-used-from-outside")?, lab.another("contain", None).await?);
    let head = format!("cordon/T#{}#global#user#{}", lab.account, lab.id("/user/id"));
    // The first attempt of the claim has no answer until the SDK gives it up.
    let claim = Match { operation: "UpdateItem".to_owned(), resource: Some(head), occurrence: Some(1) };
    let in_time = async |_| lab.deliver(&event).await;
    let (slow, first) = lab.while_it_stands((&late, &event), (claim, When::Before), in_time).await?;
    assert_eq!(kind(&first), "Contained");
    let Answer::Response(second) = slow else { panic!("the late one failed") };
    assert_eq!((kind(&second), codes(&second)), ("Joined", vec!["nothing-new"]), "{second:#}");
    let denies = lab.proxy.calls().into_iter().filter(|call| call.operation == "AttachUserPolicy").count();
    assert_eq!((denies, lab.messages().await?.len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn several_regions_report_one_user_and_people_hear_of_it_once() -> Result<()> {
    for (mode, code) in [("contain", "nothing-new"), ("approve", "asked-already"), ("observe", "told-already")] {
        let lab = Lab::new(Setup { durable: true, mode: Some(mode), ..Setup::default() }).await?;
        lab.away_from_the_end_of(HOUR)?;
        let first = lab.deliver(&lab.event("key-used-from-outside")?).await?;
        let mut elsewhere = lab.event("key-used-from-outside")?;
        elsewhere["region"] = json!("eu-west-1");
        elsewhere["detail"]["region"] = json!("eu-west-1");
        lab.proxy.clear();
        let second = lab.deliver(&elsewhere).await?;
        assert_eq!((kind(&second), codes(&second)), ("Joined", vec![code]), "{mode}: {second:#}");
        assert_eq!(lab.changes(), Vec::<String>::new(), "{mode}");
        assert_eq!(lab.messages().await?.len(), 1, "{mode}");
        // The same once more is what it was.
        assert_eq!(kind(&lab.deliver(&elsewhere).await?), "Joined", "{mode}");
        assert_eq!(lab.messages().await?.len(), 0, "{mode}");
        // It holds with the first one where that contained.
        let shown = lab.shown(&lab.incident_of(&elsewhere)?).await?;
        assert!(shown.to_string().contains(incident(&first)), "{mode}: {shown:#}");
        if mode == "observe" {
            lab.clock.advance(HOUR)?;
            lab.sweep().await?;
            let [mail] = lab.messages().await?.try_into().unwrap();
            assert_eq!(mail["Subject"], "[Cordon] digest: 2 events observed, nothing changed", "the other region's");
        }
    }
    Ok(())
}

#[tokio::test]
async fn findings_of_several_types_on_one_target_ask_one_question() -> Result<()> {
    let lab = approving().await?;
    let first = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&first), "AwaitingApproval");
    let second = lab.deliver(&lab.event("instance-mining")?).await?;
    assert_eq!((kind(&second), codes(&second)), ("Joined", vec!["asked-already"]), "{second:#}");
    assert_eq!(lab.messages().await?.len(), 1);
    // Something new is another question.
    let interface = json!({"SubnetId": lab.id("/subnet"), "Groups": [lab.id("/web_group")]});
    let interface = lab.call("ec2", "create_network_interface", interface).await?;
    let interface = interface["NetworkInterface"]["NetworkInterfaceId"].clone();
    let attach = json!({"NetworkInterfaceId": interface, "InstanceId": lab.id("/victim/instance"), "DeviceIndex": 5});
    lab.call("ec2", "attach_network_interface", attach).await?;
    let third = lab.deliver(&lab.event("instance-mining")?).await?;
    assert_eq!(kind(&third), "AwaitingApproval", "{third:#}");
    assert_eq!(lab.messages().await?.len(), 1);
    assert!(lab.cordon(&["approve", incident(&third)]).await?.status.success());
    lab.recheck(incident(&third)).await?;
    assert_eq!(lab.group_of(interface.as_str().unwrap()).await?, "cordon-quarantine");

    // The question was answered; once that is over, newer evidence asks anew.
    assert!(lab.cordon(&["release", incident(&third)]).await?.status.success());
    let event = lab.newer(&lab.event("instance-mining")?)?;
    let fourth = lab.deliver(&event).await?;
    assert_eq!(kind(&fourth), "AwaitingApproval", "{fourth:#}");
    Ok(())
}

#[tokio::test]
async fn what_is_worse_asks_again() -> Result<()> {
    let lab = approving().await?;
    let mut medium = lab.event("key-used-from-outside")?;
    medium["detail"]["severity"] = json!(5);
    assert_eq!(kind(&lab.deliver(&medium).await?), "AwaitingApproval");
    let high = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&high), "AwaitingApproval", "{high:#}");
    let medium = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&medium), "Joined", "{medium:#}");
    assert_eq!(lab.messages().await?.len(), 2);
    Ok(())
}

/// Nor are people asked once more about what was released, unless something newer is known.
#[tokio::test]
async fn what_was_released_is_not_asked_about_again() -> Result<()> {
    let lab = approving().await?;
    let event = lab.event("key-used-from-outside")?;
    let first = lab.deliver(&event).await?;
    assert_eq!(kind(&first), "AwaitingApproval", "{first:#}");
    assert!(lab.cordon(&["approve", incident(&first)]).await?.status.success());
    lab.recheck(incident(&first)).await?;
    assert!(lab.cordon(&["release", incident(&first), "--reactivate-keys"]).await?.status.success());
    lab.messages().await?;
    lab.proxy.clear();
    lab.clock.advance(Duration::from_secs(60))?;
    // Published again, and another finding about it, from before the release.
    let mut other = lab.event("key-used-from-outside")?;
    for member in ["eventFirstSeen", "eventLastSeen"] {
        other["detail"]["service"][member] = event["detail"]["service"][member].clone();
    }
    for old in [again(&event), other] {
        let report = lab.deliver(&old).await?;
        assert_eq!((kind(&report), codes(&report)), ("Observed", vec!["released-since"]), "{report:#}");
        assert_eq!((lab.changes(), lab.messages().await?.len()), (Vec::new(), 0));
    }
    let report = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    assert_eq!(lab.messages().await?.len(), 1);
    Ok(())
}

/// What the second one's look told was news; it holds all the same.
#[tokio::test]
async fn a_second_incident_holds_too_though_its_look_was_news() -> Result<()> {
    let lab = Lab::durable().await?;
    let at = Match::operation("LookupEvents");
    lab.proxy.fail(Fault::throughout(at, How::Throttled));
    let first = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&first), "PartiallyContained", "{first:#}");
    lab.proxy.heal();
    let mut elsewhere = lab.event("key-used-from-outside")?;
    elsewhere["region"] = json!("eu-west-1");
    elsewhere["detail"]["region"] = json!("eu-west-1");
    let second = lab.deliver(&elsewhere).await?;
    assert_eq!((kind(&second), lab.messages().await?.len()), ("Contained", 2), "{second:#}");
    lab.proxy.clear();
    let code = lab.cordon(&["release", incident(&first), "--reactivate-keys"]).await?.status.code();
    assert_eq!((code, lab.changes()), (Some(3), Vec::new()), "held by the other");
    let second = lab.incident_of(&elsewhere)?;
    assert_eq!(lab.cordon(&["release", &second, "--reactivate-keys"]).await?.status.code(), Some(0));
    Ok(())
}
