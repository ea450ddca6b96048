//! The tick of the schedule: nothing that is held, waits or could not be sent is forgotten.

use crate::lab::{HOUR, Lab, Setup, differences, kind};
use anyhow::Result;
use cordon_support::{Fault, How, Match, When};
use serde_json::{Value, json};

fn swept(looked: u64, told: u64, prepared: u64) -> Value {
    json!({"looked": looked, "told": told, "prepared": prepared, "failed": 0, "left": 0})
}

#[tokio::test]
async fn what_is_held_is_looked_after_until_it_is_released() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.cordon(&["prepare"]).await?;
    assert_eq!(lab.sweep().await?, swept(0, 0, 0), "nothing is held");
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let user = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    let contained = lab.dump().await?;
    lab.clock.advance(HOUR)?;
    let interface = lab.interfaces("victim").remove(1);
    let open = json!({"NetworkInterfaceId": interface, "Groups": [lab.id("/web_group")]});
    lab.call("ec2", "modify_network_interface_attribute", open).await?;
    let key = json!({"UserName": lab.id("/user/name"), "AccessKeyId": lab.id("/user/keys/0"), "Status": "Active"});
    lab.call("iam", "update_access_key", key).await?;
    lab.messages().await?;
    assert_eq!(lab.sweep().await?, swept(2, 0, 0));
    assert_eq!(differences(&contained, &lab.dump().await?), Vec::<String>::new());
    assert_eq!(lab.messages().await?.len(), 2, "both are told");
    assert_eq!(lab.sweep().await?, swept(2, 0, 0));
    assert_eq!(lab.messages().await?.len(), 0);
    lab.cordon(&["release", report["incident"].as_str().unwrap()]).await?;
    // What was released is told, once.
    assert_eq!(lab.sweep().await?, swept(1, 1, 0));
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Subject"].as_str().unwrap().contains("released"), "{mail:#}");
    assert!(mail["Message"].as_str().unwrap().contains("WHAT WENT BACK"), "{mail:#}");
    lab.cordon(&["release", user["incident"].as_str().unwrap()]).await?;
    lab.sweep().await?;
    lab.proxy.clear();
    assert_eq!(lab.sweep().await?, swept(0, 0, 0));
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

/// The function dies right after its journal write, and all three messages are lost.
#[tokio::test]
async fn what_was_begun_is_finished() -> Result<()> {
    let mut lab = Lab::durable().await?;
    let event = lab.event("instance-c2-network")?;
    let at = Match { operation: "ModifyNetworkInterfaceAttribute".to_owned(), resource: None, occurrence: Some(1) };
    lab.kill_at(&event, at, When::Before).await?;
    lab.proxy.heal();
    lab.restart("contain").await?;
    assert_eq!(lab.sweep().await?["looked"], 1);
    for interface in lab.interfaces("victim") {
        assert_eq!(lab.group_of(&interface).await?, "cordon-quarantine");
    }
    assert_eq!(lab.messages().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_message_that_could_not_be_sent_is_sent_later() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.cordon(&["prepare"]).await?;
    let down = || Fault::throughout(Match::operation("Publish"), How::Denied);
    lab.proxy.fail(down());
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&report), "Contained", "containing does not wait for the mail: {report:#}");
    lab.proxy.clear();
    let again = lab.deliver(&lab.event("instance-mining")?).await?;
    assert_eq!((kind(&again), lab.changes()), ("Contained", Vec::new()), "nobody was told, so it is news: {again:#}");
    assert_eq!(lab.messages().await?.len(), 0);
    lab.recheck(report["incident"].as_str().unwrap()).await?;
    assert_eq!(lab.messages().await?.len(), 0, "it is down still");
    lab.proxy.heal();
    lab.recheck(report["incident"].as_str().unwrap()).await?;
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Subject"].as_str().unwrap().contains("CONTAINED"), "{mail:#}");

    // Of what has no rechecks, the sweep is the next.
    lab.proxy.fail(down());
    assert_eq!(kind(&lab.deliver(&lab.event("attack-sequence")?).await?), "Observed");
    lab.proxy.heal();
    assert_eq!(lab.sweep().await?, swept(1, 1, 0));
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains("AttackSequence"), "{mail:#}");
    assert_eq!(lab.sweep().await?, swept(1, 0, 0));
    Ok(())
}

#[tokio::test]
async fn a_question_is_asked_again_and_an_old_approval_is_none() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, mode: Some("approve"), ..Setup::default() }).await?;
    lab.cordon(&["prepare"]).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&report), "AwaitingApproval");
    let incident = report["incident"].as_str().unwrap();
    assert_eq!(lab.messages().await?.len(), 1);
    assert_eq!(lab.sweep().await?, swept(0, 0, 0));
    for _ in 0..2 {
        lab.clock.advance(4 * HOUR)?;
        assert_eq!(lab.sweep().await?, swept(0, 1, 0));
        let [mail] = lab.messages().await?.try_into().unwrap();
        let text = mail["Message"].as_str().unwrap();
        assert!(text.contains("nobody has answered") && text.contains("WAITS FOR APPROVAL"), "{text}");
        assert_eq!(mail["MessageAttributes"]["urgency"]["Value"], "page");
        assert_eq!(lab.sweep().await?, swept(0, 0, 0), "not before its time");
    }
    // An approval whose message was lost.
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.clock.advance(4 * HOUR)?;
    lab.proxy.clear();
    lab.recheck(incident).await?;
    assert_eq!(lab.changes(), Vec::<String>::new(), "what was approved hours ago may not be what he would approve now");
    assert_eq!(lab.sweep().await?, swept(0, 1, 0));
    let [mail] = lab.messages().await?.try_into().unwrap();
    let text = mail["Message"].as_str().unwrap();
    assert!(text.contains("was not done in its time") && !text.contains("nobody has answered"), "{text}");
    // One whose message was lost, and that is not over.
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    let before = lab.rechecks().await?;
    assert_eq!(lab.sweep().await?, swept(0, 0, 0));
    assert_eq!(lab.rechecks().await?, before + 1);
    lab.clock.advance(4 * HOUR)?;
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.recheck(incident).await?;
    assert_eq!(lab.group_of(&lab.interfaces("victim")[0]).await?, "cordon-quarantine");
    Ok(())
}

#[tokio::test]
async fn routine_is_told_once_an_hour_and_groups_are_made_ahead() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.away_from_the_end_of(HOUR)?;
    let vpcs = lab.call("ec2", "describe_vpcs", json!({})).await?["Vpcs"].as_array().unwrap().len() as u64;
    assert_eq!(lab.sweep().await?, swept(0, 0, vpcs), "a group in every VPC");
    assert_eq!(lab.sweep().await?, swept(0, 0, 0));
    for _ in 0..3 {
        assert_eq!(kind(&lab.deliver(&lab.event("port-probe")?).await?), "Observed");
    }
    assert_eq!(lab.messages().await?.len(), 0);
    assert_eq!(lab.sweep().await?, swept(0, 0, 0), "the hour is not over");
    lab.clock.advance(HOUR)?;
    // What could not be sent is sent by a later one.
    let at = Match::operation("Publish");
    lab.proxy.fail(Fault::throughout(at, How::Denied));
    assert_eq!(lab.sweep().await?["failed"], 1);
    lab.proxy.heal();
    lab.clock.advance(HOUR)?;
    assert_eq!(lab.sweep().await?, swept(0, 1, 0));
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert_eq!(mail["Subject"], "[Cordon] digest: 3 events observed, nothing changed");
    assert!(mail["Message"].as_str().unwrap().contains("3  Low Recon:EC2/PortProbeUnprotectedPort"), "{mail:#}");
    assert_eq!(mail["MessageAttributes"]["urgency"]["Value"], "digest");
    assert_eq!(lab.sweep().await?, swept(0, 0, 0), "once");
    Ok(())
}

/// One item that cannot be read hides no other.
#[tokio::test]
async fn an_item_of_another_version_is_left_out_by_name_and_never_overwritten() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.cordon(&["prepare"]).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    lab.deliver(&lab.event("key-used-from-outside")?).await?;
    let head = format!("T#{}#us-east-1#instance#{}", lab.account, lab.id("/victim/instance"));
    let update = json!({"TableName": "cordon", "Key": {"pk": {"S": head}, "sk": {"S": "HEAD"}},
        "UpdateExpression": "SET #s = :v", "ExpressionAttributeNames": {"#s": "schema"}, "ExpressionAttributeValues": {":v": {"N": "7"}}});
    lab.call("dynamodb", "update_item", update).await?;
    let item = async || {
        lab.call(
            "dynamodb",
            "get_item",
            json!({"TableName": "cordon", "Key": {"pk": {"S": head}, "sk": {"S": "HEAD"}}}),
        )
        .await
    };
    let before = item().await?;
    assert_eq!(lab.sweep().await?, swept(1, 0, 0), "the other one");
    assert!(lab.function.logs().iter().any(|line| line.contains(&head) && line.contains("left out")));
    let answer = lab.function.invoke(&lab.batch(report["incident"].as_str().unwrap())).await?;
    let cordon_support::Answer::Response(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 1, "it goes to the dead letters, with a page");
    let output = lab.cordon(&["release", report["incident"].as_str().unwrap()]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("schema 7"), "{said}");
    assert_eq!(item().await?, before);
    Ok(())
}

/// Who opened it lets go; the other still holds it.
#[tokio::test]
async fn what_goes_on_is_told_under_the_name_of_who_holds_it() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let first = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let other = lab.event("instance-mining")?;
    assert_eq!(kind(&lab.deliver(&other).await?), "Joined");
    let (first, other) = (first["incident"].as_str().unwrap(), lab.incident_of(&other)?);
    assert_eq!(lab.cordon(&["release", first]).await?.status.code(), Some(3), "held by the other");
    lab.messages().await?;
    lab.sweep().await?;
    let mails = lab.messages().await?;
    let of =
        |id: &str| mails.iter().filter(|mail| mail["MessageAttributes"]["incident"]["Value"] == id).collect::<Vec<_>>();
    assert!(of(first).iter().all(|mail| mail["Subject"].as_str().unwrap().contains("RELEASED")), "{mails:#?}");
    assert!(
        of(&other).iter().all(|mail| mail["Message"].as_str().unwrap().contains(&format!("cordon release {other}")))
    );
    assert!(lab.cordon(&["release", &other]).await?.status.success());
    let left = crate::lab::undeclared(&before, &lab.dump().await?);
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}
