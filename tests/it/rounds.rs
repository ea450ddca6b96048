//! What containment costs, in sequential AWS round trips as the proxy measures them.

use crate::lab::{Lab, Setup, kind};
use anyhow::Result;
use serde_json::json;

/// Where this process has made the group, and no target group is there to be asked; the durable journal adds one round.
#[tokio::test]
async fn the_network_cut_comes_in_the_second_round_however_many_interfaces() -> Result<()> {
    for interfaces in [1, 8] {
        let lab = Lab::new(Setup { interfaces: Some(interfaces), rounds: true, ..Setup::default() }).await?;
        // The bystander first: it makes the group of the VPC.
        let mut first = lab.event("instance-c2-network")?;
        first["detail"]["resource"]["instanceDetails"]["instanceId"] = json!(lab.id("/bystander/instance"));
        assert_eq!(kind(&lab.deliver(&first).await?), "Contained");

        lab.proxy.clear();
        let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
        assert_eq!(kind(&report), "Contained", "{report:#}");
        let calls = lab.proxy.calls();
        let shown = || calls.iter().map(|c| format!("{} {} {}", c.round, c.operation, c.resource)).collect::<Vec<_>>();
        let cuts = calls.iter().filter(|call| call.operation == "ModifyNetworkInterfaceAttribute").take(interfaces);
        assert_eq!(cuts.map(|call| call.round).collect::<Vec<_>>(), vec![2; interfaces], "{:#?}", shown());
        let deny = lab.proxy.round_of(|call| call.operation == "PutRolePolicy");
        assert_eq!(deny, Some(3), "the session deny comes at most one later: {:#?}", shown());
    }
    Ok(())
}

#[tokio::test]
async fn a_user_and_a_role_session_are_cut_in_the_second_round() -> Result<()> {
    let lab = Lab::new(Setup { rounds: true, ..Setup::default() }).await?;
    for (sample, cut) in [
        ("key-used-from-outside", &["AttachUserPolicy", "UpdateAccessKey"][..]),
        ("role-session-exfiltrated", &["PutRolePolicy"]),
    ] {
        lab.proxy.clear();
        let report = lab.deliver(&lab.event(sample)?).await?;
        assert_eq!(kind(&report), "Contained", "{report:#}");
        for operation in cut {
            assert_eq!(lab.proxy.round_of(|call| call.operation == *operation), Some(2), "{sample} {operation}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_call_of_an_incident_carries_its_id() -> Result<()> {
    let lab = Lab::contain().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let mark = format!("cordon/{}", report["incident"].as_str().unwrap());
    let calls = lab.proxy.calls();
    assert!(
        calls.iter().filter(|call| call.operation != "Publish").all(|call| call.user_agent.contains(&mark)),
        "{calls:#?}"
    );
    Ok(())
}
