//! Faults at every position of a containment. What AWS refuses is told; what it loses is found by reading.

use crate::lab::{Lab, codes, kind};
use anyhow::Result;
use cordon_support::{Answer, Fault, How, Lasting, Match, When};
use serde_json::Value;

const SAMPLES: [&str; 3] = ["instance-c2-network", "key-used-from-outside", "role-session-exfiltrated"];

/// The mutating calls of one containment, learnt from a run without faults: the nth call of an operation. Resource ids differ
/// from world to world, so they cannot name a position here.
async fn positions(sample: &str) -> Result<Vec<(String, u32)>> {
    let lab = Lab::contain().await?;
    assert_eq!(kind(&lab.deliver(&lab.event(sample)?).await?), "Contained");
    let mut found: Vec<(String, u32)> = Vec::new();
    for call in lab.proxy.mutations().into_iter().filter(|call| call.operation != "Publish") {
        let nth = found.iter().filter(|(operation, _)| *operation == call.operation).count() + 1;
        found.push((call.operation, u32::try_from(nth)?));
    }
    Ok(found)
}

#[tokio::test]
async fn a_fault_that_passes_is_healed_at_every_position() -> Result<()> {
    let mut cells = 0;
    for sample in SAMPLES {
        for (operation, nth) in positions(sample).await? {
            for (when, how) in [
                (When::Before, How::Throttled),
                (When::After, How::Cut),
                (When::After, How::ServerError),
                (When::Before, How::Conflict),
            ] {
                let lab = Lab::contain().await?;
                let cell = format!("{sample} {operation} #{nth} {when:?} {how:?}");
                let at = Match { operation: operation.clone(), resource: None, occurrence: Some(nth) };
                lab.proxy.fail(Fault { at, when, how, lasting: Lasting::Once });
                let report = deliver_until_answered(&lab, sample).await?;
                assert_eq!(kind(&report), "Contained", "{cell}: {report:#}");
                assert!(lab.proxy.calls().iter().any(|call| call.fault == Some(how)), "{cell}: the fault did not fire");
                cells += 1;
            }
        }
    }
    assert!(cells >= 40, "only {cells} cells");
    Ok(())
}

#[tokio::test]
async fn what_is_refused_throughout_is_said_and_the_rest_is_done() -> Result<()> {
    for (sample, operation, expected) in [
        ("instance-c2-network", "PutRolePolicy", "PartiallyContained"),
        ("instance-c2-network", "ModifyNetworkInterfaceAttribute", "PartiallyContained"),
        ("instance-c2-network", "CreateTags", "PartiallyContained"),
        ("key-used-from-outside", "AttachUserPolicy", "PartiallyContained"),
        ("key-used-from-outside", "UpdateAccessKey", "PartiallyContained"),
        ("role-session-exfiltrated", "PutRolePolicy", "NotContained"),
    ] {
        let lab = Lab::contain().await?;
        lab.proxy.fail(Fault::throughout(Match::operation(operation), How::Denied));
        let report = lab.deliver(&lab.event(sample)?).await?;
        assert_eq!(kind(&report), expected, "{sample} {operation}: {report:#}");
        assert!(codes(&report).contains(&"step-failed"), "{report:#}");
        let [mail] = lab.messages().await?.try_into().unwrap();
        assert!(mail["Message"].as_str().unwrap().contains("FAILED"), "{mail:#}");

        // Once AWS takes it again, the next delivery finishes the job and says so.
        lab.proxy.heal();
        let event = lab.event(sample)?;
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), "Contained", "{sample} {operation} after: {report:#}");
        assert_eq!(lab.messages().await?.len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_not_contained_but_told_or_tried_again() -> Result<()> {
    for (operation, how, expected) in [
        ("DescribeInstances", How::Denied, Some("NotContained")),
        ("DescribeNetworkInterfaces", How::Denied, Some("NotContained")),
        ("GetCallerIdentity", How::Denied, Some("NotContained")),
        ("GetInstanceProfile", How::Denied, Some("PartiallyContained")),
        ("GetRolePolicy", How::Denied, Some("PartiallyContained")),
        ("DescribeInstances", How::Throttled, None),
        ("DescribeNetworkInterfaces", How::ServerError, None),
    ] {
        let lab = Lab::contain().await?;
        lab.proxy.fail(Fault::throughout(Match::operation(operation), how));
        let event = lab.event("instance-c2-network")?;
        match (lab.function.invoke(&event).await?, expected) {
            (Answer::Response(report), Some(expected)) => {
                assert_eq!(kind(&report), expected, "{operation} {how:?}: {report:#}")
            }
            (Answer::Error(_), None) => {
                assert_eq!(lab.changes(), Vec::<String>::new());
                lab.proxy.heal();
                assert_eq!(kind(&lab.deliver(&event).await?), "Contained", "{operation} {how:?}: the repeat does it");
            }
            (answer, expected) => panic!("{operation} {how:?}: expected {expected:?}, got {answer:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_could_not_be_sent_is_sent_by_the_repeat() -> Result<()> {
    let lab = Lab::contain().await?;
    lab.proxy.fail(Fault::throughout(Match::operation("Publish"), How::ServerError));
    let event = lab.event("instance-c2-network")?;
    assert!(matches!(lab.function.invoke(&event).await?, Answer::Error(_)));
    lab.proxy.heal();
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert_eq!(lab.messages().await?.len(), 1);
    assert_eq!(kind(&lab.deliver(&event).await?), "Joined");
    Ok(())
}

/// Delivers, and once more if the function asks for it, as Lambda does.
async fn deliver_until_answered(lab: &Lab, sample: &str) -> Result<Value> {
    let event = lab.event(sample)?;
    match lab.function.invoke(&event).await? {
        Answer::Response(report) => Ok(report),
        Answer::Error(_) => lab.deliver(&event).await,
    }
}
