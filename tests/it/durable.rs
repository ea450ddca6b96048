//! With a table and a queue: once however often it is delivered, whole after any crash, and back to what was.

use crate::lab::{Durable, Lab, Setup, differences, kind, undeclared};
use anyhow::{Context, Result};
use cordon_support::{Answer, Fault, How, Match, When};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SAMPLES: [&str; 3] = ["instance-c2-network", "key-used-from-outside", "role-session-exfiltrated"];

fn incident(report: &Value) -> &str {
    report["incident"].as_str().unwrap()
}

#[tokio::test]
async fn a_containment_goes_back_to_what_was_and_keys_only_if_asked_for() -> Result<()> {
    for sample in SAMPLES {
        let lab = Lab::durable().await?;
        let before = lab.dump().await?;
        let report = lab.deliver(&lab.event(sample)?).await?;
        assert_eq!(kind(&report), "Contained", "{report:#}");
        let output = lab.cordon(&["release", incident(&report)]).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{sample}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.starts_with("Released"), "{said}");
        let left = undeclared(&before, &lab.dump().await?);
        let keys = if sample == "key-used-from-outside" { 2 } else { 0 };
        assert_eq!(left.len(), keys, "{sample}: {left:#?}");
        assert!(left.iter().all(|difference| difference.ends_with("\"Active\" -> \"Inactive\"")), "{left:#?}");
        if keys > 0 {
            let output = lab.cordon(&["release", incident(&report), "--reactivate-keys"]).await?;
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
        }
        // The same evidence does not contain again; newer evidence does.
        let mut old = lab.event(sample)?;
        old["detail"]["service"]["eventLastSeen"] = json!("2026-01-01T00:00:00Z");
        let again = lab.deliver(&old).await?;
        assert_eq!(kind(&again), "Observed", "{again:#}");
        lab.clock.advance(std::time::Duration::from_secs(60))?;
        let mut new = lab.event(sample)?;
        let later = cordon::domain::Timestamp::from_millis(cordon_support::samples::now_ms() + 30_000);
        new["detail"]["service"]["eventLastSeen"] = json!(later.to_string());
        let again = lab.deliver(&new).await?;
        assert_eq!(kind(&again), "Contained", "{again:#}");
    }
    Ok(())
}

/// Three looks, after 5, 15 and 60 seconds, and each message is the incident's id and nothing else.
#[tokio::test]
async fn the_looks_come_after_five_fifteen_and_sixty_seconds() -> Result<()> {
    let lab = Lab::durable().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let request = json!({"op": "queued", "account": lab.account, "queue": "cordon-rechecks"});
    let look = |after: u64| json!({"body": incident(&report), "delay": after});
    assert_eq!(lab.boto3.request(request).await?, json!([look(5), look(15), look(60)]));
    Ok(())
}

#[tokio::test]
async fn what_a_stranger_changed_since_is_told_and_left() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let interface = lab.interfaces("victim").remove(0);
    let groups = json!({"NetworkInterfaceId": interface, "Groups": [lab.id("/admin_group")]});
    lab.call("ec2", "modify_network_interface_attribute", groups).await?;
    let output = lab.cordon(&["release", incident(&report)]).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("PartiallyReleased") && said.contains("left alone"), "{said}");
    let left = undeclared(&before, &lab.dump().await?);
    let theirs =
        |d: &&String| d.contains(&format!("/network_interfaces/{interface}/groups")) || d.contains("/instances/");
    assert!(left.iter().all(|d| theirs(&d)) && !left.is_empty(), "{left:#?}");
    Ok(())
}

#[tokio::test]
async fn twenty_deliveries_by_four_workers_are_one_containment_and_one_message() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.event("instance-c2-network")?;
    let alone = Lab::durable().await?;
    alone.deliver(&alone.event("instance-c2-network")?).await?;
    let workers =
        [lab.another("contain", None).await?, lab.another("contain", None).await?, lab.another("contain", None).await?];
    lab.proxy.clear();
    let mut kinds = Vec::new();
    for _ in 0..5 {
        let (a, b, c, d) = futures::join!(
            lab.function.invoke(&event),
            workers[0].invoke(&event),
            workers[1].invoke(&event),
            workers[2].invoke(&event)
        );
        for answer in [a?, b?, c?, d?] {
            match answer {
                Answer::Response(report) => kinds.push(kind(&report).to_owned()),
                // A machine with too much to do may take longer than the lease lasts; Lambda delivers again.
                Answer::Error(error) if error.to_string().contains("lost the lease") => {
                    kinds.push(kind(&lab.deliver(&event).await?).to_owned());
                }
                Answer::Error(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(kinds.len(), 20);
    assert!(kinds.iter().all(|kind| kind == "Contained" || kind == "Joined"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "Contained").count(), 1, "{kinds:?}");
    assert_eq!(by_operation(&lab), by_operation(&alone), "as often as one delivery by itself changes it");
    assert_eq!(lab.messages().await?.len(), 1);
    Ok(())
}

fn by_operation(lab: &Lab) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for change in lab.changes() {
        *found.entry(change.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    found
}

#[tokio::test]
async fn three_rechecks_leave_with_the_journal_write_before_the_cut() -> Result<()> {
    for interfaces in [1, 8] {
        let lab =
            Lab::new(Setup { durable: true, rounds: true, interfaces: Some(interfaces), ..Setup::default() }).await?;
        let output = lab.cordon(&["prepare"]).await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lab.proxy.clear();
        let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
        assert_eq!(kind(&report), "Contained", "{report:#}");
        let calls = lab.proxy.calls();
        let shown = || calls.iter().map(|c| format!("{} {} {}", c.round, c.operation, c.resource)).collect::<Vec<_>>();
        let round = |operation: &str| lab.proxy.round_of(|call| call.operation == operation);
        let cuts: Vec<usize> = calls
            .iter()
            .filter(|call| call.operation == "ModifyNetworkInterfaceAttribute")
            .map(|call| call.round)
            .take(interfaces)
            .collect();
        assert_eq!(round("SendMessageBatch"), Some(2), "{:#?}", shown());
        assert_eq!(cuts, vec![3; interfaces], "{:#?}", shown());
        assert_eq!(round("PutRolePolicy"), Some(4), "at most one later: {:#?}", shown());
        let Durable { queue, .. } = lab.durable.clone().context("durable")?;
        let names = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
        let attributes = lab.call("sqs", "get_queue_attributes", names).await?;
        // The first may be due by now.
        let number =
            |name: &str| attributes["Attributes"][name].as_str().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        let sent = number("ApproximateNumberOfMessagesDelayed") + number("ApproximateNumberOfMessages");
        assert_eq!(sent, 3, "{attributes:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_recheck_contains_again_what_an_attacker_undid() -> Result<()> {
    let lab = Lab::durable().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let contained = lab.dump().await?;
    lab.messages().await?;
    lab.recheck(incident(&report)).await?;
    assert_eq!(lab.messages().await?.len(), 0, "nothing is new");
    let interface = lab.interfaces("victim").remove(1);
    let groups = json!({"NetworkInterfaceId": interface, "Groups": [lab.id("/web_group")]});
    lab.call("ec2", "modify_network_interface_attribute", groups).await?;
    lab.recheck(incident(&report)).await?;
    assert_eq!(differences(&contained, &lab.dump().await?), Vec::<String>::new());
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains("somebody had undone it"), "{mail:#}");
    Ok(())
}

#[tokio::test]
async fn rechecks_that_make_no_sense_end_quietly() -> Result<()> {
    let lab = Lab::durable().await?;
    for body in ["", "no id", "amber-otter-22222", "\"x\"", "[1]"] {
        lab.recheck(body).await?;
    }
    // Of an incident that only waits.
    let report = lab.deliver(&lab.event("instance-c2-dns")?).await?;
    lab.recheck(incident(&report)).await?;
    // Of one that was released, late and doubled.
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    lab.cordon(&["release", incident(&report)]).await?;
    let released = lab.dump().await?;
    for _ in 0..2 {
        lab.recheck(incident(&report)).await?;
    }
    assert_eq!(differences(&released, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_approved_plan_is_carried_out_and_another_is_asked_about_again() -> Result<()> {
    for changed in [false, true] {
        let lab = Lab::durable().await?;
        let report = lab.deliver(&lab.event("instance-c2-dns")?).await?;
        assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
        let id = incident(&report).to_owned();
        let output = lab.cordon(&["approve", &id]).await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lab.messages().await?;
        if changed {
            let interface = json!({"SubnetId": lab.id("/subnet"), "Groups": [lab.id("/web_group")]});
            let interface = lab.call("ec2", "create_network_interface", interface).await?;
            let interface = interface["NetworkInterface"]["NetworkInterfaceId"].clone();
            let attach =
                json!({"NetworkInterfaceId": interface, "InstanceId": lab.id("/victim/instance"), "DeviceIndex": 5});
            lab.call("ec2", "attach_network_interface", attach).await?;
        }
        lab.proxy.clear();
        lab.recheck(&id).await?;
        let [mail] = lab.messages().await?.try_into().unwrap();
        let expected = if changed { "AwaitingApproval" } else { "Contained" };
        assert_eq!(mail["MessageAttributes"]["outcome"]["Value"], expected, "{mail:#}");
        assert_eq!(lab.changes().is_empty(), changed, "{:?}", lab.changes());
    }
    Ok(())
}

#[tokio::test]
async fn commands_say_what_is_wrong_and_how_far_they_came() -> Result<()> {
    let lab = Lab::durable().await?;
    let first = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    let second = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let short = &incident(&first)[..incident(&first).len() - 2];
    for (arguments, code, said) in [
        (&["show", "amber-otter-22222"][..], 1, "there is no incident"),
        (&["release", "nonsense"], 1, "there is no incident"),
        (&["release", ""], 1, "there is no incident"),
        (&["approve", incident(&first)], 1, "does not wait for approval"),
        (&["show", short], 0, incident(&first)),
        (&["incidents"], 0, incident(&second)),
        (&["release", incident(&first)], 0, "Released"),
        (&["release", incident(&first)], 1, "released already"),
    ] {
        let output = lab.cordon(arguments).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    // Of another schema, without permission, without credentials, not there at all.
    let key = json!({"pk": {"S": format!("I#{}", incident(&second))}, "sk": {"S": "HEAD"}});
    let newer = json!({"TableName": "cordon", "Key": key, "UpdateExpression": "SET #s = :two",
        "ExpressionAttributeNames": {"#s": "schema"}, "ExpressionAttributeValues": {":two": {"N": "2"}}});
    lab.call("dynamodb", "update_item", newer).await?;
    let output = lab.cordon(&["show", incident(&second)]).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("schema 2; this version knows 1"), "{text}");
    let denied = Fault::throughout(Match::operation("Scan"), How::Denied);
    lab.proxy.fail(denied);
    let output = lab.cordon(&["incidents"]).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("dynamodb:Scan was denied"), "{text}");
    lab.proxy.heal();
    let mut nobody = std::process::Command::new(env!("CARGO_BIN_EXE_cordon"));
    nobody.args(["incidents", "--table", "cordon"]).env_clear().env("AWS_REGION", "us-east-1");
    nobody
        .env("AWS_ENDPOINT_URL", lab.proxy.endpoint())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nowhere");
    let output = tokio::task::spawn_blocking(move || nobody.output()).await??;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("credentials"), "{text}");
    lab.call("dynamodb", "delete_table", json!({"TableName": "cordon"})).await?;
    let output = lab.cordon(&["incidents"]).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("dynamodb:Scan"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_target_that_two_incidents_hold_is_released_by_the_last() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let first = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let event = lab.event("instance-mining")?;
    let second = lab.deliver(&event).await?;
    assert_eq!(kind(&second), "Joined", "{second:#}");
    let id = lab.incident_of(&event)?;
    let output = lab.cordon(&["release", incident(&first)]).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(3) && text.contains(id.as_str()), "{text}");
    assert_ne!(undeclared(&before, &lab.dump().await?), Vec::<String>::new(), "it is still held");
    assert!(!text.contains("[done]") && text.contains("[still in place]"), "{text}");
    assert_eq!(outcome_of(&lab, incident(&first)).await?, "PartiallyReleased");
    assert_eq!(outcome_of(&lab, &id).await?, "Joined");
    let output = lab.cordon(&["release", &id]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    assert_eq!(outcome_of(&lab, incident(&first)).await?, "Released", "what was left to the other is back now too");
    assert_eq!(outcome_of(&lab, &id).await?, "Released");
    Ok(())
}

async fn outcome_of(lab: &Lab, incident: &str) -> Result<String> {
    let shown = lab.cordon(&["show", incident, "--json"]).await?;
    let shown: Value = serde_json::from_slice(&shown.stdout)?;
    Ok(shown.pointer("/incident/report/outcome/kind").and_then(Value::as_str).unwrap_or("nothing").to_owned())
}

/// The instance's containment and the session's own hold one deny: it goes with the last of them, in either order.
#[tokio::test]
async fn a_deny_that_two_targets_hold_goes_with_the_last() -> Result<()> {
    for order in [[0, 1], [1, 0]] {
        for samples in
            [["instance-c2-network", "role-session-exfiltrated"], ["role-session-exfiltrated", "instance-c2-network"]]
        {
            let lab = Lab::durable().await?;
            let before = lab.dump().await?;
            let mut ids = Vec::new();
            for sample in samples {
                let report = lab.deliver(&lab.event(sample)?).await?;
                assert_eq!(kind(&report), "Contained", "{report:#}");
                ids.push(incident(&report).to_owned());
            }
            let puts = lab.changes().into_iter().filter(|change| change.starts_with("PutRolePolicy")).count();
            assert_eq!(puts, 1, "{:#?}", lab.changes());
            let denies = |dump: &Value| dump["roles"].to_string().matches("CordonDenySession").count();
            for (n, left) in [(order[0], 1), (order[1], 0)] {
                let output = lab.cordon(&["release", &ids[n]]).await?;
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
                assert_eq!(said.contains("is held for"), left == 1, "{said}");
                assert_eq!(denies(&lab.dump().await?), left, "{samples:?} {order:?}: {said}");
            }
            assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
        }
    }
    Ok(())
}

/// A worker stands still at each of its writes, for as long as the SDK waits for an answer; meanwhile the instance gets one
/// more interface and another finding names it.
#[tokio::test]
async fn a_late_finding_during_a_live_lease_is_not_lost_wherever_it_comes() -> Result<()> {
    let mut joined = 0;
    for (operation, nth) in [
        ("UpdateItem", 2),
        ("SendMessageBatch", 1),
        ("ModifyNetworkInterfaceAttribute", 1),
        ("PutRolePolicy", 1),
        ("Publish", 1),
        ("UpdateItem", 4),
        ("UpdateItem", 5),
    ] {
        for when in [When::Before, When::After] {
            let lab = Lab::durable().await?;
            let other = lab.another("contain", None).await?;
            let (first, second) = (lab.event("instance-c2-network")?, lab.event("instance-mining")?);
            let head = format!("cordon/T#{}#us-east-1#instance#{}", lab.account, lab.id("/victim/instance"));
            let resource = (operation == "UpdateItem").then_some(head);
            let at = Match { operation: operation.to_owned(), resource, occurrence: Some(nth) };
            let late = async |stands| {
                let interface = json!({"SubnetId": lab.id("/subnet"), "Groups": [lab.id("/web_group")]});
                let interface = lab.call("ec2", "create_network_interface", interface).await?;
                let interface = interface["NetworkInterface"]["NetworkInterfaceId"].as_str().unwrap().to_owned();
                let attach = json!({"NetworkInterfaceId": interface, "InstanceId": lab.id("/victim/instance"), "DeviceIndex": 5});
                lab.call("ec2", "attach_network_interface", attach).await?;
                lab.clock.set(stands)?;
                anyhow::Ok((other.invoke(&second).await?, interface))
            };
            let cell = format!("{when:?} {operation} #{nth}");
            let stood = lab.while_it_stands((&lab.function, &first), (at, when), late).await;
            let (Answer::Response(report), (Answer::Response(late), interface)) =
                stood.with_context(|| cell.clone())?
            else {
                panic!("{cell}: an error")
            };
            assert!(["Contained", "Joined"].contains(&kind(&report)), "{cell}: {report:#}");
            joined += usize::from(kind(&late) == "Joined");
            let dump = lab.dump().await?;
            let groups = |id: &str| dump["network_interfaces"][id]["groups"].clone();
            assert_eq!(groups(&interface), groups(&lab.interfaces("victim")[0]), "{cell}: {report:#} {late:#}");
        }
    }
    assert!(joined >= 8, "only {joined} met a live lease");
    Ok(())
}
