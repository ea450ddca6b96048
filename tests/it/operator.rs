//! Commands through the operator function, by people whose signature is checked; and by hand on the table.

use crate::lab::{Lab, Person, differences, kind, undeclared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{process::Output, time::Duration};

rows!("commands": a_waiting_incident_is_listed_read_approved_contained_and_released, who_is_no_operator_or_is_the_target_commands_nothing, what_is_forged_replayed_stale_or_signed_by_others_is_refused, the_responder_takes_no_commands, a_pause_has_people_asked_is_told_and_stops_nothing_that_is_held, what_is_rejected_is_neither_done_nor_asked_about_again, what_a_person_names_is_contained_with_the_plan_that_he_saw_and_released, an_approval_of_a_plan_that_has_changed_says_what_and_asks_again);

const SAMPLE: &str = "key-used-from-outside";
const ASK: &str =
    "modes:\n  compromised-access-key: {critical: approve, high: approve, medium: approve, low: approve}\n";

/// A deployment with an operator, whose policy asks about everything.
pub async fn staffed() -> Result<(Lab, Person)> {
    let lab = Lab::durable().await?;
    let ann = lab.person("ann").await?;
    lab.put_policy(&format!("{ASK}operators: [{{arn: '{}'}}]\n", ann.arn)).await?;
    lab.start_operator().await?;
    Ok((lab, ann))
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

pub async fn waiting(lab: &Lab) -> Result<(Value, String)> {
    let event = lab.event(SAMPLE)?;
    let report = lab.deliver(&event).await?;
    ensure!(kind(&report) == "AwaitingApproval", "{report:#}");
    Ok((event, report["incident"].as_str().context("id")?.to_owned()))
}

/// The operator's whole story: listed, read, approved, contained, seen by boto3, released.
async fn a_waiting_incident_is_listed_read_approved_contained_and_released() -> Result<()> {
    let (lab, ann) = staffed().await?;
    let before = lab.dump().await?;
    let (_, incident) = waiting(&lab).await?;
    let listed = lab.cordon_as(&ann, &["incidents"]).await?;
    assert!(said(&listed).contains("AwaitingApproval"), "{}", said(&listed));
    let shown = said(&lab.cordon_as(&ann, &["show", &incident]).await?);
    assert!(shown.contains("AWSDenyAll") && shown.contains("plan "), "{shown}");
    let approved = lab.cordon_as(&ann, &["approve", &incident]).await?;
    assert!(approved.status.success(), "{}", said(&approved));
    lab.recheck(&incident).await?;
    let after = lab.dump().await?;
    assert!(after["users"].to_string().contains("AWSDenyAll"), "by boto3");
    let released = lab.cordon_as(&ann, &["release", &incident, "--reactivate-keys"]).await?;
    assert_eq!(released.status.code(), Some(0), "{}", said(&released));
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    // Who did what, as it came.
    let shown = said(&lab.cordon_as(&ann, &["show", &incident]).await?);
    let at = |what: &str| shown.find(what).with_context(|| format!("no {what} in {shown}"));
    assert!(at(&format!("by {}", ann.arn))? < at("lets go, by hand of")?, "{shown}");
    assert!(at("approved ")? > 0 && at(&format!("released by {}", ann.arn))? > 0);
    println!("{shown}");
    Ok(())
}

async fn who_is_no_operator_or_is_the_target_commands_nothing() -> Result<()> {
    let (lab, ann) = staffed().await?;
    let stranger = lab.person("mallory").await?;
    let (_, incident) = waiting(&lab).await?;
    let before = lab.dump().await?;
    for command in [
        &["approve", &incident][..],
        &["release", &incident],
        &["reject", &incident, "--because", "x"],
        &["pause", "--because", "x"],
        &["resume"],
    ] {
        let output = lab.cordon_as(&stranger, command).await?;
        assert_eq!(output.status.code(), Some(1), "{command:?}: {}", said(&output));
        assert!(said(&output).contains("no operator"), "{}", said(&output));
    }
    // An operator about whom an incident is open.
    let mut event = lab.event(SAMPLE)?;
    event["detail"]["id"] = json!("0123456789abcdef0123456789abcdef");
    let details = &mut event["detail"]["resource"]["accessKeyDetails"];
    (details["userName"], details["principalId"]) = (json!("ann"), json!(ann.id));
    assert_eq!(kind(&lab.deliver(&event).await?), "AwaitingApproval");
    for id in [incident.as_str(), &lab.incident_of(&event)?] {
        let output = lab.cordon_as(&ann, &["reject", id, "--because", "it was me"]).await?;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("somebody else must command"), "{}", said(&output));
    }
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// One answer for each thing that can be wrong with a request, none of which does anything.
async fn what_is_forged_replayed_stale_or_signed_by_others_is_refused() -> Result<()> {
    let (lab, ann) = staffed().await?;
    let (_, incident) = waiting(&lab).await?;
    let code = async |payload: &str| {
        let answer = lab.invoke_operator(payload).await?;
        anyhow::Ok(answer["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
    };
    let event = lab.event(SAMPLE)?.to_string();
    let batch = lab.batch(&incident).to_string();
    for payload in ["null", "[]", "{}", "1", r#""approve""#, r#"{"command":1}"#, &event, &batch] {
        assert_eq!(code(payload).await?, "no-command", "{payload}");
    }
    let text = json!({"do": "pause", "minutes": 60, "because": "a test"}).to_string();
    let sign_for = async |function: &str, person: &Person, text: &str| {
        let request = json!({"op": "sign", "account": lab.account, "endpoint": lab.proxy.endpoint(), "command": text,
            "key": person.key, "secret": person.secret, "function": function});
        lab.boto3.request(request).await
    };
    let sign = async |person: &Person, text: &str| sign_for("cordon-operator", person, text).await;
    let request = |text: &str, proof: &Value| json!({"command": text, "proof": {"headers": proof}}).to_string();
    let proof = sign(&ann, &text).await?;
    // Forged: another command under that signature, a changed signature, a secret that is not his.
    let year = json!({"do": "pause", "minutes": 480, "because": "a test"}).to_string();
    assert_eq!(code(&request(&year, &proof)).await?, "no-proof");
    let mut changed = proof.clone();
    changed["authorization"] = json!(proof["authorization"].as_str().unwrap().replace("Signature=", "Signature=0"));
    assert_eq!(code(&request(&text, &changed)).await?, "not-proven");
    let impostor = Person { secret: "0123456789".to_owned(), ..lab.person("eve").await? };
    assert_eq!(code(&request(&text, &sign(&impostor, &text).await?)).await?, "not-proven");
    let unknown = Person { key: "AKIAIOSFODNN7EXAMPLE".to_owned(), ..lab.person("oscar").await? };
    assert_eq!(code(&request(&text, &sign(&unknown, &text).await?)).await?, "not-proven");
    // Meant for the function of another deployment.
    let elsewhere = sign_for("staging-operator", &ann, &text).await?;
    assert_eq!(code(&request(&text, &elsewhere)).await?, "no-proof");
    // Taken once, and not twice.
    let answer = lab.invoke_operator(&request(&text, &proof)).await?;
    assert_eq!(answer["answer"], "done", "{answer}");
    assert_eq!(code(&request(&text, &proof)).await?, "replayed");
    // What is no command, though it is signed.
    for odd in ["null", "{}", r#"{"do":"delete"}"#, r#"{"do":"release","incident":"../x"}"#] {
        assert_eq!(code(&request(odd, &sign(&ann, odd).await?)).await?, "no-command", "{odd}");
    }
    let long = json!({"do": "pause", "minutes": 525_600, "because": "a year"}).to_string();
    assert_eq!(code(&request(&long, &sign(&ann, &long).await?)).await?, "too-long");
    let mute = json!({"do": "pause", "minutes": 5, "because": "  "}).to_string();
    assert_eq!(code(&request(&mute, &sign(&ann, &mute).await?)).await?, "no-reason");
    // Signed too long ago.
    let late = sign(&ann, &text).await?;
    lab.clock.advance(Duration::from_secs(6 * 60))?;
    assert_eq!(code(&request(&text, &late)).await?, "stale");
    Ok(())
}

async fn the_responder_takes_no_commands() -> Result<()> {
    let (lab, _) = staffed().await?;
    let (_, incident) = waiting(&lab).await?;
    let before = lab.dump().await?;
    let command = json!({"do": "release", "incident": incident}).to_string();
    for payload in
        [json!({"command": command, "proof": {"headers": {}}}), json!({"do": "release", "incident": incident})]
    {
        assert_eq!(kind(&lab.deliver(&payload).await?), "Ignored");
    }
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

async fn a_pause_has_people_asked_is_told_and_stops_nothing_that_is_held() -> Result<()> {
    let lab = Lab::durable().await?;
    let ann = lab.person("ann").await?;
    lab.put_policy(&format!("operators: [{{arn: '{}'}}]\n", ann.arn)).await?;
    lab.start_operator().await?;
    let first = lab.deliver(&lab.event(SAMPLE)?).await?;
    assert_eq!(kind(&first), "Contained");
    lab.messages().await?;
    let paused = lab.cordon_as(&ann, &["pause", "--minutes", "30", "--because", "moving the fleet"]).await?;
    assert!(paused.status.success(), "{}", said(&paused));
    lab.sweep().await?;
    let told = lab.messages().await?;
    assert!(told.iter().any(|m| m["Subject"].as_str().unwrap().contains("PAUSED")), "{told:#?}");
    let waits = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&waits), "AwaitingApproval");
    assert!(waits["decision"].to_string().contains("moving the fleet"), "{waits:#}");
    // Held: an attacker's change is contained again.
    let deny = json!({"UserName": lab.id("/user/name"), "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
    lab.call("iam", "detach_user_policy", deny).await?;
    lab.recheck(first["incident"].as_str().unwrap()).await?;
    assert!(lab.dump().await?["users"].to_string().contains("AWSDenyAll"));
    // It can be approved meanwhile, and it ends before its time, or by itself.
    let resumed = lab.cordon_as(&ann, &["resume"]).await?;
    assert!(resumed.status.success(), "{}", said(&resumed));
    lab.messages().await?;
    lab.sweep().await?;
    let told = lab.messages().await?;
    assert!(told.iter().any(|m| m["Subject"].as_str().unwrap().contains("goes on")), "{told:#?}");
    let newer = lab.newer(&lab.event("instance-c2-network")?)?;
    assert_eq!(kind(&lab.deliver(&newer).await?), "Contained");
    Ok(())
}

async fn what_is_rejected_is_neither_done_nor_asked_about_again() -> Result<()> {
    let (lab, ann) = staffed().await?;
    let before = lab.dump().await?;
    let (event, incident) = waiting(&lab).await?;
    let rejected = lab.cordon_as(&ann, &["reject", &incident, "--because", "our own test"]).await?;
    assert!(rejected.status.success(), "{}", said(&rejected));
    lab.messages().await?;
    lab.sweep().await?;
    let told = lab.messages().await?;
    assert!(told.iter().any(|m| m["Message"].as_str().unwrap().contains("our own test")), "{told:#?}");
    let again = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!(kind(&again), "Joined", "{again:#}");
    let all = lab.cordon_as(&ann, &["approve", "--all-waiting"]).await?;
    assert!(said(&all).contains("no incident waits"), "{}", said(&all));
    // Not even where the policy would contain it by now.
    lab.put_policy("max-finding-age-minutes: 1440\n").await?;
    let again = lab.deliver(&lab.newer(&event)?).await?;
    assert_eq!(kind(&again), "Joined", "{again:#}");
    lab.recheck(&incident).await?;
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    assert_eq!(lab.messages().await?.len(), 0);
    Ok(())
}

async fn what_a_person_names_is_contained_with_the_plan_that_he_saw_and_released() -> Result<()> {
    let lab = Lab::durable().await?;
    let ann = lab.person("ann").await?;
    lab.put_policy(&format!("operators: [{{arn: '{}'}}]\n", ann.arn)).await?;
    lab.start_operator().await?;
    let before = lab.dump().await?;
    let (user, instance) = (lab.id("/user/name").to_owned(), lab.id("/victim/instance").to_owned());
    let dry = lab.cordon_as(&ann, &["contain", "user", &user, "--dry-run"]).await?;
    assert!(dry.status.success() && said(&dry).contains("AWSDenyAll"), "{}", said(&dry));
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    let key = lab.id("/user/keys/0").to_owned();
    for command in [
        &["contain", "instance", &instance, "--because", "seen scanning"][..],
        &["contain", "access-key", &key, "--because", "in a public repository"],
    ] {
        let output = lab.cordon_as(&ann, command).await?;
        assert!(output.status.success(), "{}", said(&output));
        let said = said(&output);
        let incident = said.split("incident ").nth(1).and_then(|rest| rest.split(':').next()).context("no incident")?;
        let incident = incident.to_owned();
        lab.recheck(&incident).await?;
        let shown = lab.shown(&incident).await?;
        let outcome = &shown["incident"]["report"]["outcome"];
        assert!(outcome["kind"].as_str().unwrap().ends_with("Contained"), "{outcome:#}");
        assert!(shown["incident"]["log"].to_string().contains(command[4]), "{shown:#}");
        let released = lab.cordon_as(&ann, &["release", &incident, "--reactivate-keys"]).await?;
        assert_eq!(released.status.code(), Some(0), "{}", String::from_utf8_lossy(&released.stderr));
    }
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    for (command, why) in [
        (&["contain", "user", "nobody"][..], "no user nobody"),
        (&["contain", "access-key", "ASIAIOSFODNN7EXAMPLE"], "temporary key"),
        (&["contain", "role-session", "no-role/me"], "no role no-role"),
        (&["contain", "role-session", "norole"], "ROLE/SESSION"),
        (&["contain", "instance", "i-../x"], "instance id"),
    ] {
        let output = lab.cordon_as(&ann, command).await?;
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(said(&output).contains(why), "{command:?}: {}", said(&output));
    }
    Ok(())
}

async fn an_approval_of_a_plan_that_has_changed_says_what_and_asks_again() -> Result<()> {
    let (lab, ann) = staffed().await?;
    let (_, incident) = waiting(&lab).await?;
    let approved = lab.cordon_as(&ann, &["approve", &incident]).await?;
    assert!(approved.status.success(), "{}", said(&approved));
    // Between the approval and the look that acts on it.
    let old = json!({"UserName": lab.id("/user/name"), "AccessKeyId": lab.id("/user/keys/1")});
    lab.call("iam", "delete_access_key", old).await?;
    let new = lab.call("iam", "create_access_key", json!({"UserName": lab.id("/user/name")})).await?;
    let key = new["AccessKey"]["AccessKeyId"].as_str().unwrap().to_owned();
    lab.proxy.clear();
    lab.messages().await?;
    lab.recheck(&incident).await?;
    assert_eq!(lab.changes(), Vec::<String>::new());
    let told = lab.messages().await?;
    let mail = told[0]["Message"].as_str().unwrap();
    assert!(mail.contains("is not the plan any more") && mail.contains("new: ") && mail.contains("gone: "), "{mail}");
    let all = lab.cordon_as(&ann, &["approve", "--all-waiting"]).await?;
    assert!(all.status.success(), "{}", said(&all));
    lab.recheck(&incident).await?;
    let listed = lab.call("iam", "list_access_keys", json!({"UserName": lab.id("/user/name")})).await?;
    let status = listed["AccessKeyMetadata"].as_array().unwrap().iter().find(|known| known["AccessKeyId"] == key);
    assert_eq!(status.unwrap()["Status"], "Inactive");
    Ok(())
}
