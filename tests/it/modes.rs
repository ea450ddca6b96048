//! How far the function goes: observe, approve, contain, and what policy, age and guards make of them.

use crate::lab::{Lab, Setup, codes, differences, kind, lines};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

const SAMPLES: [&str; 3] = ["instance-c2-network", "key-used-from-outside", "role-session-exfiltrated"];

#[tokio::test]
async fn observe_changes_nothing_and_plans_what_contain_then_does() -> Result<()> {
    for sample in SAMPLES {
        let mut lab = Lab::new(Setup { mode: Some("observe"), ..Setup::default() }).await?;
        let before = lab.dump().await?;
        let event = lab.event(sample)?;
        let planned = lab.deliver(&event).await?;
        assert_eq!(kind(&planned), "Observed", "{planned:#}");
        assert_eq!(lab.changes(), Vec::<String>::new());
        assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
        let [mail] = lab.messages().await?.try_into().unwrap();
        for step in planned["steps"].as_array().unwrap() {
            assert!(
                mail["Message"].as_str().unwrap().contains(step["target"].as_str().unwrap()),
                "the plan is in the mail: {mail:#}"
            );
        }

        lab.restart("contain").await?;
        let done = lab.deliver(&event).await?;
        assert_eq!(kind(&done), "Contained", "{done:#}");
        assert_eq!(lines(&planned), lines(&done), "{sample}");
        assert_eq!(planned["plan"], done["plan"], "{sample}");
        let before_and_after = |report: &Value| {
            report["steps"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| (s["target"].clone(), s["before"].clone()))
                .collect::<std::collections::HashMap<_, _>>()
        };
        assert_eq!(before_and_after(&planned), before_and_after(&done), "{sample}");
    }
    Ok(())
}

/// Nor does a sweep: whoever only looks makes no groups ahead either.
#[tokio::test]
async fn observe_changes_nothing_by_a_sweep_either() -> Result<()> {
    let mut lab = Lab::new(Setup { durable: true, mode: Some("observe"), ..Setup::default() }).await?;
    lab.deliver(&lab.event("instance-c2-network")?).await?;
    let before = lab.dump().await?;
    lab.sweep().await?;
    assert_eq!((lab.changes(), differences(&before, &lab.dump().await?)), (Vec::new(), Vec::new()));
    lab.restart("contain").await?;
    lab.sweep().await?;
    assert!(lab.changes().iter().any(|change| change.starts_with("CreateSecurityGroup")), "{:?}", lab.changes());
    Ok(())
}

#[tokio::test]
async fn approve_asks_and_changes_nothing() -> Result<()> {
    let lab = Lab::new(Setup { mode: Some("approve"), ..Setup::default() }).await?;
    for sample in SAMPLES {
        let report = lab.deliver(&lab.event(sample)?).await?;
        assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    }
    assert_eq!(lab.changes(), Vec::<String>::new());
    assert_eq!(lab.messages().await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn what_rests_on_dns_alone_or_is_of_medium_severity_waits_for_a_person() -> Result<()> {
    let lab = Lab::contain().await?;
    for sample in ["instance-c2-dns", "console-user"] {
        let report = lab.deliver(&lab.event(sample)?).await?;
        assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    }
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_finding_that_would_only_ask_joins_where_all_is_contained_already() -> Result<()> {
    let lab = Lab::contain().await?;
    lab.deliver(&lab.event("instance-c2-network")?).await?;
    lab.deliver(&lab.event("key-used-from-outside")?).await?;
    lab.messages().await?;
    for sample in ["instance-c2-dns", "console-user"] {
        let report = lab.deliver(&lab.event(sample)?).await?;
        assert_eq!((kind(&report), codes(&report)), ("Joined", vec!["nothing-new"]), "{sample}: {report:#}");
    }
    assert_eq!(lab.messages().await?.len(), 0);
    // What was undone meanwhile is asked about, and nothing else.
    let interface = lab.interfaces("victim").remove(0);
    let groups = json!({"NetworkInterfaceId": interface, "Groups": [lab.id("/web_group")]});
    lab.call("ec2", "modify_network_interface_attribute", groups).await?;
    let report = lab.deliver(&lab.event("instance-c2-dns")?).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    let waits = |step: &&Value| step["state"].as_str().unwrap().starts_with("waits");
    assert_eq!(report["steps"].as_array().unwrap().iter().filter(waits).count(), 1, "{report:#}");
    Ok(())
}

#[tokio::test]
async fn a_finding_that_lay_around_is_never_more_than_asked_about() -> Result<()> {
    let lab = Lab::contain().await?;
    let event = lab.event("instance-c2-network")?;
    lab.clock.advance(Duration::from_secs(62 * 60))?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "AwaitingApproval", "{report:#}");
    assert!(report["decision"].to_string().contains("stale"), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_protected_role_keeps_its_policies_while_its_instance_is_isolated() -> Result<()> {
    let mut lab = Lab::contain().await?;
    let policy = format!("protections:\n  - arn: {}\n    because: the till runs with it\n", lab.id("/victim/role/arn"));
    lab.restart_with("contain", Some(&policy)).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    assert!(codes(&report).contains(&"protected"), "{report:#}");
    let changes = lab.changes();
    // Once for the group, once for the timeouts.
    assert_eq!(changes.iter().filter(|c| c.starts_with("ModifyNetworkInterfaceAttribute")).count(), 6, "{changes:?}");
    assert!(!changes.iter().any(|c| c.contains("RolePolicy")), "{changes:?}");
    Ok(())
}

#[tokio::test]
async fn cordon_never_acts_on_the_principal_that_it_runs_with() -> Result<()> {
    let lab = Lab::contain().await?;
    let mut event = lab.event("key-used-from-outside")?;
    let details = &mut event["detail"]["resource"]["accessKeyDetails"];
    details["userName"] = json!(lab.id("/operator/name"));
    details["principalId"] = json!(lab.id("/operator/id"));
    let report = lab.deliver(&event).await?;
    assert_eq!((kind(&report), codes(&report)), ("Declined", vec!["own-principal"]), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert_eq!(mail["MessageAttributes"]["urgency"]["Value"], "page");
    Ok(())
}
