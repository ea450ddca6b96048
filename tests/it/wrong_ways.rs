//! Ways that look right, and that AWS refuses or that contain nobody: the world refuses them too, and Cordon goes another.

use crate::lab::{Lab, kind};
use anyhow::Result;
use serde_json::json;

/// EC2 takes groups by the instance only where it has one interface.
#[tokio::test]
async fn groups_are_set_interface_by_interface() -> Result<()> {
    let lab = Lab::contain().await?;
    let by_instance = json!({"InstanceId": lab.id("/victim/instance"), "Groups": [lab.id("/web_group")]});
    let refused = lab.call("ec2", "modify_instance_attribute", by_instance).await.unwrap_err();
    assert!(format!("{refused:#}").contains("InvalidInstanceID"), "{refused:#}");
    assert_eq!(kind(&lab.deliver(&lab.event("instance-c2-network")?).await?), "Contained");
    let groups = lab.proxy.mutations().into_iter().filter(|call| call.operation == "ModifyNetworkInterfaceAttribute");
    let mut groups: Vec<String> = groups.map(|call| call.resource).collect();
    groups.sort();
    groups.dedup();
    let mut interfaces = lab.interfaces("victim");
    interfaces.sort();
    assert_eq!(groups, interfaces);
    Ok(())
}

/// A key of GetSessionToken has no status; the user who made it is denied, and what he has for long is switched off.
#[tokio::test]
async fn a_temporary_key_is_ended_by_denying_its_user() -> Result<()> {
    let lab = Lab::contain().await?;
    let key = "ASIAIOSFODNN7EXAMPLE";
    let inactive = json!({"UserName": lab.id("/user/name"), "AccessKeyId": key, "Status": "Inactive"});
    let refused = lab.call("iam", "update_access_key", inactive).await.unwrap_err();
    assert!(format!("{refused:#}").contains("NoSuchEntity"), "{refused:#}");
    let mut event = lab.event("key-used-from-outside")?;
    event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] = json!(key);
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let changes = lab.changes();
    assert!(changes.iter().any(|call| call.starts_with("AttachUserPolicy")), "{changes:?}");
    assert_eq!(changes.iter().filter(|call| call.starts_with("UpdateAccessKey")).count(), 2, "{changes:?}");
    assert!(!changes.iter().any(|call| call.contains(key)), "{changes:?}");
    Ok(())
}
