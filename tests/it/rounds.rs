//! What containment costs, in sequential AWS round trips as the proxy measures them.

use crate::lab::{Lab, Setup, kind};
use anyhow::Result;

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
