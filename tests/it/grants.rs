//! Whoever is granted more, or given a way in, by somebody else: contained with him once a person agrees, by the id that he had then.

use crate::{
    lab::{CONTAIN, Lab, kind, undeclared},
    operator::{said, staffed, waiting},
    principals::is_denied,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

fn unattended(situation: &str) -> String {
    format!("modes: {{{situation}: {CONTAIN}}}")
}

/// The user granted another one more: he is contained himself, and people are asked about the other.
async fn granted_to_bob() -> Result<(Lab, String, Value)> {
    let lab = Lab::durable().await?;
    lab.put_policy(&unattended("privilege-escalation")).await?;
    lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    lab.call("iam", "create_access_key", json!({"UserName": "bob"})).await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&grant(&lab, "bob")?).await?;
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    assert!(report["outcome"].to_string().contains("granted-by-another"), "{report:#}");
    assert!(is_denied(&lab).await? && !denied(&lab, "bob").await?);
    Ok((lab, report["incident"].as_str().unwrap_or_default().to_owned(), before))
}

async fn denied(lab: &Lab, user: &str) -> Result<bool> {
    let attached = lab.call("iam", "list_attached_user_policies", json!({"UserName": user})).await?;
    Ok(attached.to_string().contains("AWSDenyAll"))
}

fn grant(lab: &Lab, to: &str) -> Result<Value> {
    let mut grant = lab.record("iam/admin-granted")?;
    grant["detail"]["requestParameters"] =
        json!({"userName": to, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    grant["detail"]["eventName"] = json!("AttachUserPolicy");
    grant["detail"]["eventTime"] = lab.ago(0);
    Ok(grant)
}

/// He made a key for another user: he is asked about, the key with him, and the command that takes it back is printed.
#[tokio::test]
async fn whoever_makes_keys_for_others_is_contained_with_the_key_once_a_person_agrees() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    let made = lab.call("iam", "create_access_key", json!({"UserName": "bob"})).await?;
    let mut event = lab.record("iam/access-key-made")?;
    event["detail"]["requestParameters"] = json!({"userName": "bob"});
    event["detail"]["responseElements"] =
        json!({"accessKey": {"accessKeyId": made["AccessKey"]["AccessKeyId"], "userName": "bob", "status": "Active"}});
    let report = lab.deliver(&event).await?;
    // Medium by its rule: read, and not asked about.
    assert_eq!((kind(&report), &report["situation"]), ("Observed", &json!("persistence")), "{report:#}");
    let mut grant = lab.record("iam/admin-granted")?;
    grant["detail"]["requestParameters"] =
        json!({"userName": "bob", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    grant["detail"]["eventName"] = json!("AttachUserPolicy");
    let report = lab.deliver(&grant).await?;
    assert_eq!(
        (kind(&report), &report["playbook"]),
        ("AwaitingApproval", &json!("privilege-escalation")),
        "{report:#}"
    );
    let undo = "aws iam detach-user-policy --user-name bob --policy-arn arn:aws:iam::aws:policy/AdministratorAccess";
    assert!(report["advice"].to_string().contains(undo), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    let incident = report["incident"].as_str().unwrap();
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.recheck(incident).await?;
    assert!(is_denied(&lab).await?);

    // Where the policy contains unattended, the key goes with him.
    let lab = Lab::durable().await?;
    lab.put_policy(&unattended("persistence")).await?;
    lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    let made = lab.call("iam", "create_access_key", json!({"UserName": "bob"})).await?;
    let mut event = lab.record("iam/access-key-made")?;
    event["detail"]["requestParameters"] = json!({"userName": "bob"});
    event["detail"]["responseElements"] =
        json!({"accessKey": {"accessKeyId": made["AccessKey"]["AccessKeyId"], "userName": "bob", "status": "Active"}});
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert!(is_denied(&lab).await?);
    let keys = lab.call("iam", "list_access_keys", json!({"UserName": "bob"})).await?;
    assert_eq!(keys["AccessKeyMetadata"][0]["Status"], "Inactive");
    // Bob himself is not touched.
    let attached = lab.call("iam", "list_attached_user_policies", json!({"UserName": "bob"})).await?;
    assert_eq!(attached["AttachedPolicies"], json!([]));
    Ok(())
}

/// An attacker's grant to another user: both are one incident. The caller is cut as the policy says, the other only with a person, because
/// whoever may grant could name anybody.
#[tokio::test]
async fn whoever_was_granted_more_is_contained_once_a_person_agrees() -> Result<()> {
    let (lab, incident, before) = granted_to_bob().await?;
    let incident = incident.as_str();
    let output = lab.cordon(&["approve", incident]).await?;
    assert!(output.status.success(), "{output:?}");
    lab.recheck(incident).await?;
    assert!(denied(&lab, "bob").await?, "{:#}", lab.shown(incident).await?);
    let keys = lab.call("iam", "list_access_keys", json!({"UserName": "bob"})).await?;
    assert_eq!(keys["AccessKeyMetadata"][0]["Status"], "Inactive");
    let output = lab.cordon(&["release", incident, "--reactivate-keys"]).await?;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());

    // Who is not there is named, and the caller does not wait for it.
    let lab = Lab::durable().await?;
    lab.put_policy(&unattended("privilege-escalation")).await?;
    let report = lab.deliver(&grant(&lab, "nobody")?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert!(report["residual"].to_string().contains("user nobody, whom the call gave more"), "{report:#}");

    // What an operator grants is his work: nobody but he is asked about.
    let lab = Lab::durable().await?;
    lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    lab.put_policy(&format!(
        "operators: [{{unique-id: {}}}]\n{}",
        lab.id("/user/id"),
        unattended("privilege-escalation")
    ))
    .await?;
    let report = lab.deliver(&grant(&lab, "bob")?).await?;
    assert!(!report["target"].to_string().contains("bob"), "{report:#}");
    assert!(!denied(&lab, "bob").await?);
    Ok(())
}

/// Whoever grants an operator more does not shut him out: of that incident alone he is a part.
#[tokio::test]
async fn an_operator_who_is_granted_more_commands_on() -> Result<()> {
    let (lab, ann) = staffed().await?;
    let (_, other) = waiting(&lab).await?;
    let report = lab.deliver(&grant(&lab, "ann")?).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    assert!(report["target"].to_string().contains("ann"), "{report:#}");
    let own = lab.cordon_as(&ann, &["approve", report["incident"].as_str().unwrap()]).await?;
    assert!(!own.status.success() && said(&own).contains("somebody else must command"), "{}", said(&own));
    let others = lab.cordon_as(&ann, &["approve", &other]).await?;
    assert!(others.status.success(), "{}", said(&others));
    lab.recheck(&other).await?;
    assert!(is_denied(&lab).await?);
    Ok(())
}

/// He says no to the other user, and the caller stays contained: nobody is asked again.
#[tokio::test]
async fn a_no_to_whoever_was_granted_more_holds() -> Result<()> {
    let (lab, incident, _) = granted_to_bob().await?;
    let incident = incident.as_str();
    let rejected = lab.cordon(&["reject", incident, "--because", "bob is the victim"]).await?;
    assert!(rejected.status.success(), "{}", said(&rejected));
    lab.clock.advance(Duration::from_secs(300))?;
    lab.sweep().await?;
    lab.messages().await?;
    for _ in 0..2 {
        lab.clock.advance(Duration::from_secs(300))?;
        lab.sweep().await?;
        lab.recheck(incident).await?;
    }
    assert_eq!(lab.messages().await?, Vec::<Value>::new());
    let report = lab.shown(incident).await?["incident"]["report"].clone();
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    assert!(report["steps"].to_string().contains("rejected by"), "{report:#}");
    assert!(is_denied(&lab).await? && !denied(&lab, "bob").await?);
    Ok(())
}

/// The name may pass to another: he who was held stays a target, is looked after and released.
#[tokio::test]
async fn whoever_was_a_target_stays_one() -> Result<()> {
    let (lab, incident, before) = granted_to_bob().await?;
    let incident = incident.as_str();
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.recheck(incident).await?;
    assert!(denied(&lab, "bob").await?);
    lab.call("iam", "update_user", json!({"UserName": "bob", "NewUserName": "robert"})).await?;
    lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    lab.clock.advance(Duration::from_secs(60))?;
    let again = lab.deliver(&grant(&lab, "bob")?).await?;
    assert_eq!(again["incident"], incident, "{again:#}");
    // What he undoes is done again, under his new name.
    let detach = json!({"UserName": "robert", "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
    lab.call("iam", "detach_user_policy", detach).await?;
    lab.recheck(incident).await?;
    assert!(denied(&lab, "robert").await? && !denied(&lab, "bob").await?, "{:#}", lab.shown(incident).await?);
    let output = lab.cordon(&["release", incident, "--reactivate-keys"]).await?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(!denied(&lab, "robert").await? && !is_denied(&lab).await?);
    lab.call("iam", "delete_user", json!({"UserName": "bob"})).await?;
    lab.call("iam", "update_user", json!({"UserName": "robert", "NewUserName": "bob"})).await?;
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// Of a renamed user he who has the name now; nobody who was made after the call; and him alone where the caller cannot be contained.
#[tokio::test]
async fn it_is_he_who_was_meant() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.put_policy(&unattended("persistence")).await?;
    let bob = lab.call("iam", "create_user", json!({"UserName": "bob"})).await?["User"]["UserId"].clone();
    let bob = bob.as_str().unwrap();
    lab.call("iam", "create_user", json!({"UserName": "victim"})).await?;
    let mut renamed = lab.record("iam/user-renamed")?;
    renamed["detail"]["requestParameters"] = json!({"userName": "victim", "newUserName": "bob"});
    renamed["detail"]["eventTime"] = lab.ago(0);
    let report = lab.deliver(&renamed).await?;
    let target = report["target"].as_str().unwrap();
    assert!(target.contains(bob) && !target.contains("victim"), "{report:#}");

    let lab = Lab::durable().await?;
    lab.put_policy(&unattended("privilege-escalation")).await?;
    lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    let mut grant_to_bob = grant(&lab, "bob")?;
    grant_to_bob["detail"]["eventTime"] = lab.ago(60);
    let report = lab.deliver(&grant_to_bob).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert!(report["residual"].to_string().contains("is another by now"), "{report:#}");

    let lab = Lab::durable().await?;
    lab.put_policy(&unattended("privilege-escalation")).await?;
    lab.call("iam", "create_user", json!({"UserName": "bob"})).await?;
    let mut by_nobody = grant(&lab, "bob")?;
    by_nobody["detail"]["userIdentity"]["principalId"] = json!("");
    let report = lab.deliver(&by_nobody).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    assert!(report["residual"].to_string().contains("whoever granted it is not contained"), "{report:#}");
    Ok(())
}

/// Sessions of one role that do the same are one incident, in whatever order their events come: each is asked about, contained and released.
#[tokio::test]
async fn sessions_of_one_incident_are_all_in_it() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let (role, id) = (lab.id("/role_app/name").to_owned(), lab.id("/role_app/id").to_owned());
    let by = |session: &str, ago: i64| -> Result<Value> {
        let mut event = lab.record("iam/admin-granted")?;
        event["detail"]["userIdentity"] = json!({"type": "AssumedRole", "principalId": format!("{id}:{session}"),
            "arn": format!("arn:aws:sts::{}:assumed-role/{role}/{session}", lab.account), "accountId": lab.account,
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": id, "userName": role, "accountId": lab.account,
                "arn": format!("arn:aws:iam::{}:role/{role}", lab.account)}}});
        event["detail"]["eventTime"] = lab.ago(ago);
        Ok(event)
    };
    let first = lab.deliver(&by("one", 10)?).await?;
    assert_eq!(kind(&first), "AwaitingApproval", "{first:#}");
    // The later event was the earlier call.
    let report = lab.deliver(&by("two", 40)?).await?;
    assert_eq!((kind(&report), &report["incident"]), ("AwaitingApproval", &first["incident"]), "{report:#}");
    let incident = report["incident"].as_str().unwrap();
    for session in [":one", ":two"] {
        assert!(report["steps"].to_string().contains(session), "{session}: {report:#}");
    }
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.recheck(incident).await?;
    let policies = lab.call("iam", "list_role_policies", json!({"RoleName": role})).await?;
    let denies = |policies: &Value| policies.to_string().matches("CordonDeny").count();
    assert_eq!(denies(&policies), 2, "{:#}", lab.shown(incident).await?);
    let output = lab.cordon(&["release", incident]).await?;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}
