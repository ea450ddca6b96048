//! Targets that are not what the finding says, or not any more: each ends in one outcome with its reason, and nothing else is touched.

use crate::lab::{Lab, codes, differences, kind};
use anyhow::Result;
use cordon_support::{Answer, Match, When};
use serde_json::{Value, json};

/// With its reason, and nothing is touched.
async fn is_declined(lab: &Lab, event: &Value) -> Result<()> {
    let before = lab.dump().await?;
    let report = lab.deliver(event).await?;
    assert_eq!((kind(&report), codes(&report)), ("Declined", vec!["vanished"]), "{report:#}");
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_declined() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.event("instance-c2-network")?;
    let with = |pointer: &str, value: &str| {
        let mut event = event.clone();
        *event.pointer_mut(pointer).unwrap() = json!(value);
        event
    };
    let id = "/detail/resource/instanceDetails/instanceId";
    let elsewhere = with("/detail/region", "eu-west-1");
    for event in [with(id, "i-0123456789abcdef0"), elsewhere] {
        is_declined(&lab, &event).await?;
    }
    lab.call("ec2", "terminate_instances", json!({"InstanceIds": [lab.id("/victim/instance")]})).await?;
    is_declined(&lab, &event).await?;
    Ok(())
}

#[tokio::test]
async fn a_role_that_was_made_again_under_its_name_is_a_stranger() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.event("role-session-exfiltrated")?;
    let name = lab.id("/victim/role/name").to_owned();
    let role = json!({"RoleName": name});
    let found = lab.call("iam", "get_role", role.clone()).await?;
    let profile = lab.id("/victim/profile/name").to_owned();
    let of_profile = json!({"InstanceProfileName": profile, "RoleName": name});
    lab.call("iam", "remove_role_from_instance_profile", of_profile).await?;
    for policy in
        lab.call("iam", "list_attached_role_policies", role.clone()).await?["AttachedPolicies"].as_array().unwrap()
    {
        lab.call("iam", "detach_role_policy", json!({"RoleName": name, "PolicyArn": policy["PolicyArn"]})).await?;
    }
    for policy in lab.call("iam", "list_role_policies", role.clone()).await?["PolicyNames"].as_array().unwrap() {
        lab.call("iam", "delete_role_policy", json!({"RoleName": name, "PolicyName": policy})).await?;
    }
    lab.call("iam", "delete_role", role).await?;
    let trust = found["Role"]["AssumeRolePolicyDocument"].to_string();
    lab.call("iam", "create_role", json!({"RoleName": name, "AssumeRolePolicyDocument": trust})).await?;
    is_declined(&lab, &event).await?;
    Ok(())
}

/// One interface is deleted and one is attached while the function waits for the answer of its journal write.
#[tokio::test]
async fn interfaces_that_change_between_plan_and_cut_are_told_and_caught() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.event("instance-c2-network")?;
    let head = format!("cordon/T#{}#us-east-1#instance#{}", lab.account, lab.id("/victim/instance"));
    let at = Match { operation: "UpdateItem".to_owned(), resource: Some(head), occurrence: Some(2) };
    let gone = lab.interfaces("victim").remove(2);
    let change = async |_| {
        let found = lab.call("ec2", "describe_network_interfaces", json!({"NetworkInterfaceIds": [gone]})).await?;
        let attachment = found["NetworkInterfaces"][0]["Attachment"]["AttachmentId"].clone();
        lab.call("ec2", "detach_network_interface", json!({"AttachmentId": attachment, "Force": true})).await?;
        lab.call("ec2", "delete_network_interface", json!({"NetworkInterfaceId": gone})).await?;
        let made = json!({"SubnetId": lab.id("/subnet"), "Groups": [lab.id("/web_group")]});
        let made = lab.call("ec2", "create_network_interface", made).await?;
        let made = made["NetworkInterface"]["NetworkInterfaceId"].as_str().unwrap().to_owned();
        let attach = json!({"NetworkInterfaceId": made, "InstanceId": lab.id("/victim/instance"), "DeviceIndex": 7});
        lab.call("ec2", "attach_network_interface", attach).await?;
        anyhow::Ok(made)
    };
    let (answer, made) = lab.while_it_stands((&lab.function, &event), (at, When::After), change).await?;
    let Answer::Response(report) = answer else { panic!("an error") };
    let step = |report: &Value, interface: &str| {
        let steps = report["steps"].as_array().unwrap().clone();
        steps.into_iter().find(|step| {
            step["action"] == "ec2.interface.groups" && step["target"].as_str().unwrap().ends_with(interface)
        })
    };
    assert_eq!(step(&report, &gone).unwrap()["state"], "target gone", "{report:#}");
    assert_eq!(step(&report, &lab.interfaces("victim")[0]).unwrap()["state"], "done");
    assert!(step(&report, &made).is_none(), "nothing is done that was not planned");
    lab.recheck(&lab.incident_of(&event)?).await?;
    let dump = lab.dump().await?;
    let groups = |id: &str| dump["network_interfaces"][id]["groups"].clone();
    assert_eq!(groups(&made), groups(&lab.interfaces("victim")[0]));
    let shown = lab.shown(&lab.incident_of(&event)?).await?;
    assert_eq!(shown["incident"]["report"]["outcome"]["kind"], "Contained", "{shown:#}");
    Ok(())
}
