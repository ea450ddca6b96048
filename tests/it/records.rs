//! CloudTrail's records through the whole function: judged by rules, counted in the table, told once.

use crate::lab::{Lab, kind};
use anyhow::Result;
use serde_json::json;

#[tokio::test]
async fn a_trail_that_was_stopped_is_told_once_however_often_it_comes() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.record("trail-stopped")?;
    let report = lab.deliver(&event).await?;
    assert_eq!((kind(&report), &report["severity"]), ("Observed", &json!("high")), "{report:#}");
    assert_eq!(report["situation"], "audit-trail-silenced");
    let messages = lab.messages().await?;
    assert_eq!(messages.len(), 1, "{messages:#?}");
    let text = messages[0]["Message"].as_str().unwrap();
    assert!(text.contains("A trail was stopped"), "{text}");
    // The same record again, and the same done again an hour later.
    lab.deliver(&event).await?;
    lab.deliver(&lab.record("trail-stopped")?).await?;
    assert!(lab.messages().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn who_is_held_by_an_incident_makes_it_worse() -> Result<()> {
    let lab = Lab::durable().await?;
    assert_eq!(kind(&lab.deliver(&lab.event("key-used-from-outside")?).await?), "Contained");
    let report = lab.deliver(&lab.record("trail-stopped")?).await?;
    assert_eq!(report["severity"], "critical", "{report:#}");
    assert!(report["decision"].to_string().contains("actor-in-incident"), "{report:#}");
    Ok(())
}
