//! What AWS Health and scans for malware tell, as findings.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::config::{detection, finding};
use crate::{
    domain::{
        AccessKeyResource, Confidence, Finding, FindingId, Impact, Outcome, OutcomeKind, Resource, Severity, Situation,
        Source, Text, UserType, fingerprint,
    },
    ingest::{About, Health, ObjectScan},
};

/// Whose the keys are is not in the event.
///
/// # Errors
/// The Ignored outcome of what has no id.
pub fn leaked(health: &Health) -> Result<Box<Finding>, Outcome> {
    let about = About {
        account: health.account.clone(),
        account_shown: health.account_shown.clone(),
        region: health.region.clone(),
        resource_type: Text::new("access key"),
        resource: health.arn.clone(),
        at: health.at,
    };
    let (situation, severity, impact) = (Situation::LeakedKey, Severity::High, Impact::UnauthorisedAccess);
    let mut seen = detection("key-leaked", "AWS found an access key in public", situation, severity, impact, None);
    seen.confidence = Confidence::Confirmed;
    let mut found = finding(Source::Health, &about, format!("Health/{}", health.code), seen)?;
    // AWS says it again as long as it is so, under the same ARN.
    found.id =
        FindingId::parse(&format!("health-{}", fingerprint(&format!("{}\n{}", health.arn, health.account_shown))))
            .map_err(|error| Outcome::because(OutcomeKind::Declined, "finding-without-id", error.to_string()))?;
    found.description = health.says.clone();
    let key = |key: &crate::domain::AccessKeyId| {
        Resource::AccessKey(AccessKeyResource {
            key: Some(key.clone()),
            principal_id: Text::default(),
            name: Text::default(),
            user_type: UserType::IamUser,
        })
    };
    found.resources = health.keys.iter().map(key).collect();
    Ok(found)
}

/// # Errors
/// The Ignored outcome of what has no id.
pub fn scanned(scan: &ObjectScan) -> Result<Box<Finding>, Outcome> {
    let object = &scan.object;
    let about = About {
        account: scan.account.clone(),
        account_shown: scan.account_shown.clone(),
        region: scan.region.clone(),
        resource_type: Text::new("object"),
        resource: Text::new(&object.to_string()),
        at: scan.at,
    };
    let subject = Some((Text::new("object"), Text::new(&object.to_string())));
    let (situation, severity, impact) = (Situation::MalwareFound, Severity::High, Impact::UnauthorisedAccess);
    let mut seen =
        detection("malware-in-object", "Malware was found in an object", situation, severity, impact, subject);
    seen.confidence = Confidence::Confirmed;
    let mut found = finding(Source::GuardDuty, &about, "Scan/malware-in-object".to_owned(), seen)?;
    let threats: Vec<&str> = scan.threats.iter().map(Text::as_str).collect();
    found.description = Text::new(&threats.join(", "));
    found.resources = vec![Resource::Object(object.clone())];
    Ok(found)
}
