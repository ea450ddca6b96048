//! Addresses that attack what is only their victim: kept out of the listed lists once a person agrees, and no more than a few.

use crate::lab::{CONTAIN, Lab, Setup, kind, undeclared};
use anyhow::Result;
use serde_json::{Value, json};

fn attacked(lab: &Lab, address: &str) -> Result<Value> {
    let mut event = lab.event("brute-force-inbound")?;
    event["detail"]["service"]["action"]["networkConnectionAction"]["remoteIpDetails"] = json!({"ipAddressV4": address, "organization": {"asn": "64500", "asnOrg": "Example", "isp": "Example", "org": "Example"}});
    event["detail"]["severity"] = json!(8);
    Ok(event)
}

/// Only where the policy lists lists, only after a person has agreed, and people are reminded of it.
#[tokio::test]
async fn an_address_is_kept_out_of_the_listed_lists_once_a_person_agrees() -> Result<()> {
    let world = &["acl", "ip_set"];
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), world, ..Setup::default() }).await?;
    let before = lab.dump().await?;
    assert_eq!(kind(&lab.deliver(&attacked(&lab, "203.0.113.66")?).await?), "Observed");
    lab.put_policy(&format!(
        "modes: {{attacked-only: {CONTAIN}}}\naddress-blocks: {{subnets: [{}], ip-sets: ['{}'], hours: 2, never: [203.0.113.0/26]}}",
        lab.id("/subnet"),
        lab.id("/ip_set/arn")
    ))
    .await?;
    let report = lab.deliver(&attacked(&lab, "203.0.113.66")?).await?;
    assert_eq!((kind(&report), &report["playbook"]), ("AwaitingApproval", &json!("hostile-address")), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    let incident = report["incident"].as_str().unwrap();
    assert!(lab.cordon(&["approve", incident]).await?.status.success());
    lab.recheck(incident).await?;
    let acl = lab.call("ec2", "describe_network_acls", json!({"NetworkAclIds": [lab.id("/acl")]})).await?;
    assert!(acl.to_string().contains("203.0.113.66/32"), "{acl:#}");
    let set = json!({"Id": lab.id("/ip_set/id"), "Name": lab.id("/ip_set/name"), "Scope": "REGIONAL"});
    let set = lab.call("wafv2", "get_ip_set", set).await?;
    assert_eq!(set["IPSet"]["Addresses"], json!(["203.0.113.66/32"]));
    for (address, why) in [("10.0.0.7", "private"), ("203.0.113.7", "never blocked")] {
        let report = lab.deliver(&attacked(&lab, address)?).await?;
        assert_eq!(kind(&report), "Declined", "{report:#}");
        assert!(report["outcome"].to_string().contains(why), "{report:#}");
    }
    lab.messages().await?;
    lab.sweep().await?;
    assert!(lab.messages().await?.is_empty());
    lab.clock.advance(std::time::Duration::from_secs(2 * 3_600))?;
    lab.sweep().await?;
    let reminded = lab.messages().await?;
    let is_reminder = |mail: &&Value| mail["Message"].as_str().unwrap().contains(&format!("cordon release {incident}"));
    assert_eq!(reminded.iter().filter(is_reminder).count(), 1, "{reminded:#?}");
    let output = lab.cordon(&["release", incident]).await?;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// Five at most in each list, of either family; the sixth is refused with the reason, and what is there stays.
#[tokio::test]
async fn a_list_takes_five_addresses_and_no_more() -> Result<()> {
    let world = &["acl", "ip_set"];
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), world, ..Setup::default() }).await?;
    let (subnet, set) = (lab.id("/subnet"), lab.id("/ip_set/arn"));
    lab.put_policy(&format!(
        "modes: {{attacked-only: {CONTAIN}}}\naddress-blocks: {{subnets: [{subnet}], ip-sets: ['{set}'], hours: 2}}"
    ))
    .await?;
    let mut incidents = Vec::new();
    for n in 1..=5 {
        let report = lab.deliver(&attacked(&lab, &format!("203.0.113.{n}"))?).await?;
        assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
        assert!(report["residual"].to_string().contains("after 2 hours people are reminded"), "{report:#}");
        let incident = report["incident"].as_str().unwrap().to_owned();
        assert!(lab.cordon(&["approve", &incident]).await?.status.success());
        lab.recheck(&incident).await?;
        incidents.push(incident);
    }
    let entries = async |lab: &Lab| {
        let acl = lab.call("ec2", "describe_network_acls", json!({"NetworkAclIds": [lab.id("/acl")]})).await?;
        let entries = acl["NetworkAcls"][0]["Entries"].as_array().unwrap().clone();
        let ours = |entry: &&Value| entry["CidrBlock"].as_str().is_some_and(|block| block.starts_with("203.0.113."));
        anyhow::Ok(entries.iter().filter(ours).count())
    };
    assert_eq!(entries(&lab).await?, 5);
    lab.proxy.clear();
    let report = lab.deliver(&attacked(&lab, "203.0.113.6")?).await?;
    assert!(!["Contained", "AwaitingApproval"].contains(&kind(&report)), "{report:#}");
    let said = report.to_string();
    assert!(said.contains("takes no more") || said.contains("list-full"), "{report:#}");
    assert_eq!((lab.changes(), entries(&lab).await?), (Vec::new(), 5));
    // What makes room is the release of one.
    assert!(lab.cordon(&["release", &incidents[0]]).await?.status.success());
    let report = lab.deliver(&attacked(&lab, "203.0.113.7")?).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    Ok(())
}
