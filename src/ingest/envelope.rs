//! The EventBridge envelope: which sensor speaks.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Ingested, alarm, cloudtrail, config, ended, guardduty, health, scan};
use crate::domain::{OutcomeKind, Text};
use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use serde_json::Value;

/// Opens an object that should be an envelope. Matches on detail-type: GuardDuty's API calls and scan results share its source.
pub fn open(mut value: Value) -> Ingested {
    let of = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (account, region, time) = (of("account"), of("region"), of("time"));
    // Little is decided from these; a malformed one must not cost the event (the crate's type insists on their shapes).
    if let Some(envelope) = value.as_object_mut() {
        for unused in ["version", "id", "account", "region", "time", "resources"] {
            envelope.remove(unused);
        }
    }
    let event: EventBridgeEvent<Value> = match serde_json::from_value(value) {
        Ok(event) => event,
        Err(error) => return ended(OutcomeKind::Ignored, "no-event", format!("no EventBridge event: {error}")),
    };
    match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.guardduty", "GuardDuty Finding") => guardduty::finding(&event.detail),
        ("aws.guardduty", "GuardDuty Malware Protection Object Scan Result") => {
            scan::event(&event.detail, &account, &region, &time)
        }
        ("aws.health", "AWS Health Event") => health::event(&event.detail, &account, &time),
        // GuardDuty's own calls come under its source too. Customers cannot put events of `aws.` on a bus.
        (source, detail_type) if source.starts_with("aws.") && detail_type.ends_with(" via CloudTrail") => {
            cloudtrail::record(event.detail)
        }
        ("aws.config", "Config Rules Compliance Change" | "Config Configuration Item Change") => {
            config::message(&event.detail)
        }
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => {
            alarm::state_change(&event.detail, &account, &region, &time)
        }
        ("aws.ce", "Anomaly Detected") => alarm::cost(&event.detail, &account, &region, &time),
        (source, detail_type) => ended(
            OutcomeKind::Ignored,
            "other-detail-type",
            format!("`{}` of `{}` is not what this function judges", Text::new(detail_type), Text::new(source)),
        ),
    }
}
