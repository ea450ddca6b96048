//! What goes further than the plan: offered with its cost, done only if an operator asks for it by name, and put back like the rest.

use crate::lab::{Lab, Setup, kind, undeclared, without_replacement};
use anyhow::{Context, Result};
use cordon_support::{Match, When};
use serde_json::{Value, json};
use std::time::Duration;

const SAMPLE: &str = "instance-c2-network";

async fn approve(lab: &Lab, incident: &str, with: &[&str]) -> Result<(Option<i32>, String)> {
    let output = lab.cordon(&[&["approve", incident], with].concat()).await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code(), said))
}

/// Approves, and delivers the recheck that the command has sent.
async fn done(lab: &Lab, incident: &str, names: &str) -> Result<()> {
    let (code, said) = approve(lab, incident, &["--with", names]).await?;
    assert_eq!(code, Some(0), "{said}");
    lab.recheck(incident).await
}

async fn release(lab: &Lab, incident: &str) -> Result<()> {
    let output = lab.cordon(&["release", incident]).await?;
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

fn offered(report: &Value) -> Vec<&str> {
    report["offers"].as_array().unwrap().iter().map(|offer| offer["name"].as_str().unwrap()).collect()
}

async fn open_session(lab: &Lab) -> Result<String> {
    let open = json!({"op": "session", "account": lab.account, "target": lab.id("/victim/instance")});
    let answer = lab.boto3.request(open).await?;
    answer.as_str().or_else(|| answer["session"].as_str()).map(str::to_owned).context("no session")
}

#[tokio::test]
async fn nothing_is_stopped_or_taken_off_unless_it_is_asked_for_by_name() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, world: &["scaling"], ..Setup::default() }).await?;
    let (session, victim) = (open_session(&lab).await?, lab.id("/victim/instance").to_owned());
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event(SAMPLE)?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let incident = report["incident"].as_str().unwrap();
    assert_eq!(offered(&report), ["terminate-sessions", "stop-instance", "disassociate-instance-profile"]);
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains(&format!("cordon approve {incident} --with stop-instance")));
    lab.recheck(incident).await?;
    let dump = lab.dump().await?;
    assert_eq!(
        (&dump["instances"][&victim]["state"], &dump["sessions"][&session]),
        (&json!("running"), &json!(victim))
    );

    let (code, said) = approve(&lab, incident, &["--with", "reboot-instance"]).await?;
    assert!(code == Some(1) && said.contains("it offers terminate-sessions, stop-instance"), "{said}");
    let (code, said) = approve(&lab, incident, &[]).await?;
    assert!(code == Some(1) && said.contains("does not wait for approval"), "{said}");

    lab.proxy.clear();
    done(&lab, incident, "terminate-sessions").await?;
    let dump = lab.dump().await?;
    assert_eq!((&dump["instances"][&victim]["state"], &dump["sessions"][&session]), (&json!("running"), &Value::Null));
    assert_eq!(lab.changes(), [format!("TerminateSession {session}")]);
    done(&lab, incident, "stop-instance,disassociate-instance-profile").await?;
    let stopped = lab.dump().await?;
    assert_eq!(stopped["instances"][&victim]["state"], "stopped");
    assert_eq!(stopped["instances"][&victim]["profile"], Value::Null);
    assert_eq!(stopped["instances"][&victim]["attributes"]["disableApiStop"], true, "it is protected again");
    let shown = lab.shown(incident).await?;
    assert_eq!(shown["incident"]["report"]["outcome"]["kind"], "Contained", "{shown:#}");
    assert_eq!(offered(&shown["incident"]["report"]), Vec::<&str>::new());

    // Somebody starts it again.
    lab.call("ec2", "start_instances", json!({"InstanceIds": [victim]})).await?;
    lab.recheck(incident).await?;
    assert_eq!(lab.dump().await?["instances"][&victim]["state"], "stopped");

    release(&lab, incident).await?;
    assert_eq!(without_replacement(&lab, &before, lab.dump().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_is_not_what_was_approved_is_asked_about_again_and_people_are_told() -> Result<()> {
    let lab = Lab::durable().await?;
    open_session(&lab).await?;
    let report = lab.deliver(&lab.event(SAMPLE)?).await?;
    let incident = report["incident"].as_str().unwrap();
    lab.messages().await?;
    let (code, said) = approve(&lab, incident, &["--with", "terminate-sessions"]).await?;
    assert_eq!(code, Some(0), "{said}");
    let second = open_session(&lab).await?;
    lab.recheck(incident).await?;
    assert_eq!(lab.dump().await?["sessions"].as_object().unwrap().len(), 2, "neither of them is ended");
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains("not what was approved any more"), "{mail:#}");
    lab.recheck(incident).await?;
    assert_eq!(lab.messages().await?.len(), 0, "they are told once");
    done(&lab, incident, "terminate-sessions").await?;
    assert_eq!(lab.dump().await?["sessions"], json!({}), "{second} too");
    Ok(())
}

#[tokio::test]
async fn plan_and_offers_are_approved_at_once_and_no_approval_outlives_a_release() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, mode: Some("approve"), ..Setup::default() }).await?;
    let (before, victim) = (lab.dump().await?, lab.id("/victim/instance").to_owned());
    let event = lab.event(SAMPLE)?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "AwaitingApproval");
    let incident = report["incident"].as_str().unwrap();
    done(&lab, incident, "stop-instance").await?;
    let shown = lab.shown(incident).await?;
    assert_eq!(shown["incident"]["report"]["outcome"]["kind"], "Contained", "{shown:#}");
    assert_eq!(lab.dump().await?["instances"][&victim]["state"], "stopped");
    let calls: Vec<String> = lab.proxy.mutations().into_iter().map(|call| call.operation).collect();
    let place = |operation: &str| calls.iter().position(|call| call == operation).unwrap();
    assert!(place("ModifyNetworkInterfaceAttribute") < place("CreateSnapshots"), "{calls:?}");
    assert!(place("CreateSnapshots") < place("StopInstances"), "the evidence first: {calls:?}");
    release(&lab, incident).await?;
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());

    // The same incident, and newer evidence.
    let again = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!((kind(&again), again["incident"].as_str()), ("AwaitingApproval", Some(incident)));
    lab.proxy.clear();
    lab.recheck(incident).await?;
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

/// Approved together; then the attacker changes what the plan is about, and the plan waits again.
#[tokio::test]
async fn nothing_is_stopped_before_its_evidence_is_kept() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, world: &["router"], ..Setup::default() }).await?;
    let report = lab.deliver(&lab.event(SAMPLE)?).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "though the mode is contain");
    let incident = report["incident"].as_str().unwrap();
    assert_eq!(approve(&lab, incident, &["--with", "stop-instance"]).await?.0, Some(0));
    let made = json!({"SubnetId": lab.id("/subnet"), "Groups": [lab.id("/web_group")]});
    let made =
        lab.call("ec2", "create_network_interface", made).await?["NetworkInterface"]["NetworkInterfaceId"].clone();
    let attach = json!({"NetworkInterfaceId": made, "InstanceId": lab.id("/victim/instance"), "DeviceIndex": 7});
    lab.call("ec2", "attach_network_interface", attach).await?;
    lab.proxy.clear();
    lab.recheck(incident).await?;
    assert_eq!(lab.changes(), Vec::<String>::new());
    done(&lab, incident, "stop-instance").await?;
    assert_eq!(lab.dump().await?["instances"][lab.id("/victim/instance")]["state"], "stopped");
    Ok(())
}

/// Dies while the stop protection is off.
#[tokio::test]
async fn the_protection_that_stopping_takes_off_is_set_again_whatever_happens() -> Result<()> {
    for when in [When::Before, When::After] {
        let mut lab = Lab::durable().await?;
        let victim = lab.id("/victim/instance").to_owned();
        let report = lab.deliver(&lab.event(SAMPLE)?).await?;
        let incident = report["incident"].as_str().unwrap();
        assert_eq!(approve(&lab, incident, &["--with", "stop-instance"]).await?.0, Some(0));
        lab.clock.advance(Duration::from_secs(5))?;
        let at = Match { operation: "StopInstances".to_owned(), resource: None, occurrence: Some(2) };
        lab.kill_at(&lab.batch(incident), at, when).await?;
        assert_eq!(lab.dump().await?["instances"][&victim]["attributes"]["disableApiStop"], false);
        lab.proxy.heal();
        lab.restart("contain").await?;
        lab.recheck(incident).await?;
        let instance = lab.dump().await?["instances"][&victim].clone();
        assert_eq!((&instance["state"], &instance["attributes"]["disableApiStop"]), (&json!("stopped"), &json!(true)));
    }
    Ok(())
}

fn cutoff(dump: &Value) -> Option<(String, String)> {
    let roles = dump["roles"].as_object().unwrap().values();
    let policies = roles.flat_map(|role| role["inline"].as_object().unwrap());
    let (_, policy) = policies.into_iter().find(|(name, _)| name.starts_with("CordonCutoff-"))?;
    let statement = &policy["Statement"][0];
    let at = statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"].as_str().unwrap();
    Some((statement["Sid"].as_str().unwrap().to_owned(), at.to_owned()))
}

#[tokio::test]
async fn a_cutoff_of_a_role_is_written_twice_never_moved_back_and_released() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("role-session-exfiltrated")?).await?;
    let incident = report["incident"].as_str().unwrap();
    assert_eq!(offered(&report), ["whole-role-cutoff"]);
    assert_eq!(cutoff(&lab.dump().await?), None);
    lab.messages().await?;
    let asked = lab.clock.now_ms();
    done(&lab, incident, "whole-role-cutoff").await?;
    let (pass, first) = cutoff(&lab.dump().await?).unwrap();
    assert_eq!(pass, "CordonCutoffFirst");
    let first = cordon::domain::Timestamp::parse(&first).unwrap();
    assert!(first.millis() > asked && first.millis() <= lab.clock.now_ms() + 1_000, "in UTC, and no later: {first}");
    lab.messages().await?;
    // Not before its time.
    lab.recheck(incident).await?;
    assert_eq!(cutoff(&lab.dump().await?).unwrap().0, "CordonCutoffFirst");
    lab.clock.advance(Duration::from_secs(55))?;
    lab.recheck(incident).await?;
    let (pass, second) = cutoff(&lab.dump().await?).unwrap();
    assert_eq!(pass, "CordonCutoff");
    assert!(cordon::domain::Timestamp::parse(&second).unwrap() > first);
    assert_eq!(lab.messages().await?.len(), 0, "nobody had undone anything");
    lab.clock.advance(Duration::from_secs(3_600))?;
    lab.recheck(incident).await?;
    assert_eq!(cutoff(&lab.dump().await?).unwrap().1, second, "it cuts once, not for ever");

    // Somebody moves it back, for the sake of a session of his.
    let role = lab.id("/victim/role/name").to_owned();
    let policy = format!("CordonCutoff-{incident}");
    let found = lab.call("iam", "get_role_policy", json!({"RoleName": role, "PolicyName": policy})).await?;
    let moved = found["PolicyDocument"].to_string().replace(&second, "2020-01-01T00:00:00Z");
    lab.call("iam", "put_role_policy", json!({"RoleName": role, "PolicyName": policy, "PolicyDocument": moved}))
        .await?;
    lab.recheck(incident).await?;
    let (_, again) = cutoff(&lab.dump().await?).unwrap();
    assert!(again > second, "{again}");
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert!(mail["Message"].as_str().unwrap().contains("somebody had undone it"), "{mail:#}");

    release(&lab, incident).await?;
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// It is taken off for the stop, and setting it again meets another change: nothing is said to be in place that is not.
#[tokio::test]
async fn stop_protection_is_on_again_after_the_stop_whatever_met_it() -> Result<()> {
    use cordon_support::{Fault, How, Lasting};
    for (lasting, outcome) in [(Lasting::Once, "Contained"), (Lasting::Throughout, "PartiallyContained")] {
        let lab = Lab::durable().await?;
        let victim = lab.id("/victim/instance").to_owned();
        let report = lab.deliver(&lab.event(SAMPLE)?).await?;
        let incident = report["incident"].as_str().unwrap();
        lab.messages().await?;
        lab.proxy.clear();
        // The first takes it off, the second sets it again.
        let at = Match { operation: "ModifyInstanceAttribute".to_owned(), resource: None, occurrence: Some(2) };
        lab.proxy.fail(Fault { at, when: When::Before, how: How::Conflict, lasting });
        done(&lab, incident, "stop-instance").await?;
        let instance = lab.dump().await?["instances"][&victim].clone();
        assert_eq!(instance["state"], "stopped", "{instance:#}");
        let [mail] = lab.messages().await?.try_into().unwrap();
        assert_eq!(mail["MessageAttributes"]["outcome"]["Value"], outcome, "{mail:#}");
        assert_eq!(instance["attributes"]["disableApiStop"] == json!(true), outcome == "Contained", "{instance:#}");
        lab.proxy.heal();
        lab.recheck(incident).await?;
        assert_eq!(lab.dump().await?["instances"][&victim]["attributes"]["disableApiStop"], json!(true));
        assert_eq!(lab.shown(incident).await?["incident"]["report"]["outcome"]["kind"], "Contained");
    }
    Ok(())
}
