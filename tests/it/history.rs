//! A release gives nothing back to the attacker as he had arranged it, and says who changed what since.

use crate::lab::{Lab, kind, undeclared};
use anyhow::Result;
use cordon::domain::Timestamp;
use cordon_support::{Fault, How, Match};
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;

/// A call as CloudTrail keeps it. `principal` is `AROA…:session` or `AIDA…`, `name` the session's or the user's.
fn call(at: i64, operation: &str, (principal, name): (&str, &str), resource: &str, parameters: Value) -> Value {
    let at = Timestamp::from_millis(at);
    let record = json!({"eventName": operation, "eventTime": at.to_string(), "requestParameters": parameters,
        "userIdentity": {"type": "AssumedRole", "principalId": principal, "arn": format!("arn:aws:sts::111122223333:assumed-role/web/{name}")}});
    json!({"EventName": operation, "EventTime": at.to_string(), "Username": name,
        "Resources": [{"ResourceName": resource}], "CloudTrailEvent": record})
}

async fn release(lab: &Lab, incident: &str, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = lab.cordon(&[&["release", incident], arguments].concat()).await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code(), said))
}

#[tokio::test]
async fn what_the_attacker_had_set_before_goes_back_only_by_force() -> Result<()> {
    let now = cordon_support::samples::now_ms();
    // The finding's first evidence is three minutes old.
    for (age, is_actor, withheld) in [(2, true, true), (10, true, false), (2, false, false)] {
        let lab = Lab::durable().await?;
        let before = lab.dump().await?;
        let interface = lab.interfaces("victim").remove(0);
        let session = format!("{}:{}", lab.id("/victim/role/id"), lab.id("/victim/instance"));
        let other = format!("{}:{}", lab.id("/role_app/id"), lab.id("/victim/instance"));
        let who = (if is_actor { session.as_str() } else { other.as_str() }, lab.id("/victim/instance"));
        let parameters =
            json!({"networkInterfaceId": interface, "groupSet": {"items": [{"groupId": lab.id("/web_group")}]}});
        let set = call(now - age * MINUTE, "ModifyNetworkInterfaceAttribute", who, &interface, parameters);
        lab.recorded(set).await?;
        let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
        assert_eq!(kind(&report), "Contained", "{report:#}");
        let incident = report["incident"].as_str().unwrap();
        let (code, said) = release(&lab, incident, &[]).await?;
        if withheld {
            assert_eq!(code, Some(3), "{said}");
            assert!(said.contains("was set by arn:aws:sts::111122223333:assumed-role/web/i-"), "{said}");
            let dump = lab.dump().await?;
            assert_ne!(dump["network_interfaces"][&interface]["groups"], json!([lab.id("/web_group")]), "it stays");
            let rest = undeclared(&before, &dump);
            assert!(rest.iter().all(|what| what.contains(&interface) || what.contains("/groups")), "{rest:#?}");
            assert_eq!(lab.shown(incident).await?["incident"]["report"]["outcome"]["kind"], "PartiallyReleased");
            let (code, said) = release(&lab, incident, &["--force"]).await?;
            assert_eq!(code, Some(0), "{said}");
        } else {
            assert_eq!(code, Some(0), "{age} {is_actor}: {said}");
        }
        assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_the_attacker_made_is_reactivated_only_by_force() -> Result<()> {
    let lab = Lab::durable().await?;
    let (before, key) = (lab.dump().await?, lab.id("/user/keys/1").to_owned());
    let who = (lab.id("/user/id"), lab.id("/user/name"));
    let mut made = call(
        cordon_support::samples::now_ms() - 2 * MINUTE,
        "CreateAccessKey",
        who,
        lab.id("/user/name"),
        json!({"userName": who.1}),
    );
    made["CloudTrailEvent"]["responseElements"] = json!({"accessKey": {"accessKeyId": key, "userName": who.1}});
    lab.recorded(made).await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    let incident = report["incident"].as_str().unwrap();
    let (code, said) = release(&lab, incident, &["--reactivate-keys"]).await?;
    assert!(code == Some(3) && said.contains("(CreateAccessKey)"), "{said}");
    assert!(!said.contains(&key), "a key's id is shown nowhere: {said}");
    let keys = lab.call("iam", "list_access_keys", json!({"UserName": who.1})).await?;
    let active: Vec<&Value> =
        keys["AccessKeyMetadata"].as_array().unwrap().iter().filter(|key| key["Status"] == "Active").collect();
    assert_eq!(active.len(), 1, "the other key: {active:?}");
    let (code, said) = release(&lab, incident, &["--reactivate-keys", "--force"]).await?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn where_cloudtrail_does_not_answer_nothing_goes_back_unless_forced() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("role-session-exfiltrated")?).await?;
    let incident = report["incident"].as_str().unwrap();
    let contained = lab.dump().await?;
    let at = Match::operation("LookupEvents");
    lab.proxy.fail(Fault::throughout(at, How::Denied));
    let (code, said) = release(&lab, incident, &[]).await?;
    assert!(code == Some(3) && said.contains("could not be looked up"), "{said}");
    assert_eq!(undeclared(&contained, &lab.dump().await?), Vec::<String>::new());
    let (code, said) = release(&lab, incident, &["--force"]).await?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_stranger_who_changed_it_since_is_named() -> Result<()> {
    let lab = Lab::durable().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let incident = report["incident"].as_str().unwrap();
    let (victim, group) = (lab.interfaces("victim").remove(0), lab.id("/admin_group").to_owned());
    let change = json!({"NetworkInterfaceId": victim, "Groups": [group]});
    lab.call("ec2", "modify_network_interface_attribute", change).await?;
    let (code, said) = release(&lab, incident, &[]).await?;
    assert!(code == Some(3) && said.contains("CloudTrail does not know yet who changed it"), "{said}");
    let parameters = json!({"networkInterfaceId": victim, "groupSet": {"items": [{"groupId": group}]}});
    let at = lab.clock.now_ms() + 1_000;
    let who = ("AROACKCEVSQ6C2EXAMPLE:jane", "jane");
    lab.recorded(call(at, "ModifyNetworkInterfaceAttribute", who, &victim, parameters)).await?;
    let (code, said) = release(&lab, incident, &[]).await?;
    assert!(
        code == Some(3) && said.contains("changed by arn:aws:sts::111122223333:assumed-role/web/jane at 20"),
        "{said}"
    );
    assert_eq!(lab.dump().await?["network_interfaces"][&victim]["groups"], json!([group]), "it is hers");
    // Nor by force.
    let (code, _) = release(&lab, incident, &["--force"]).await?;
    assert_eq!(code, Some(3));
    assert_eq!(lab.dump().await?["network_interfaces"][&victim]["groups"], json!([group]));
    Ok(())
}
