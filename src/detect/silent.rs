//! A sensor of the baseline that watches less than it did, as a finding.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{
    AccessKeyResource, AccountId, Arn, Call, Confidence, Detection, Finding, FindingId, Impact, Lifecycle, Outcome,
    OutcomeKind, Partition, Region, Resource, SensorId, Severity, Situation, Source, Text, Timestamp, UserType,
    fingerprint,
};

/// Who changed it last, as far as CloudTrail knows.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    pub arn: Option<&'a Arn>,
    /// `AIDA…`, `AROA…:session`.
    pub principal: &'a str,
}

/// # Errors
/// Where it cannot be named.
pub fn silent(
    account: &AccountId,
    region: &Region,
    sensor: &SensorId,
    author: Option<Author<'_>>,
    now: Timestamp,
) -> Result<Box<Finding>, Outcome> {
    let (situation, what) = match sensor {
        SensorId::Trail(_) => (Situation::AuditTrailSilenced, "trail"),
        SensorId::Detector(_) => (Situation::ThreatDetectionSilenced, "detector"),
        SensorId::Recorder(_) => (Situation::ThreatDetectionSilenced, "recorder"),
        SensorId::EventRule(_) => (Situation::ThreatDetectionSilenced, "event rule"),
        SensorId::FlowLog(_) => (Situation::ThreatDetectionSilenced, "flow log"),
    };
    let day = now.millis().div_euclid(86_400_000);
    let who = author.map_or("nobody", |author| author.principal);
    let thing = fingerprint(&format!("{region}\n{sensor}\n{who}\n{day}"));
    let id = FindingId::parse(&format!("sensor-silent-{thing}"))
        .map_err(|error| Outcome::because(OutcomeKind::Declined, "finding-without-id", error.to_string()))?;
    let title = Text::new(&format!("The {sensor} watches less than the baseline says"));
    let subject = (Text::new(what), Text::new(sensor.name()));
    let named = Resource::Named { what: subject.0.clone(), name: subject.1.clone() };
    let caller = author.map(|author| {
        Resource::AccessKey(AccessKeyResource {
            key: None,
            principal_id: Text::new(author.principal),
            name: Text::default(),
            user_type: UserType::Unknown,
        })
    });
    let call = author.map(|author| Call { caller: author.arn.cloned(), ..Call::default() });
    Ok(Box::new(Finding {
        source: if call.is_some() { Source::CloudTrail } else { Source::Config },
        id,
        kind: None,
        type_shown: Text::new("Baseline/sensor-silent"),
        account: Some(account.clone()),
        account_shown: Text::new(account.as_str()),
        region: Some(region.clone()),
        partition: Partition::standard(),
        score: None,
        title: title.clone(),
        description: Text::default(),
        lifecycle: Lifecycle::Live,
        created: Some(now),
        updated: Some(now),
        first_seen: None,
        last_seen: Some(now),
        count: None,
        resource_type: Some(Text::new(what)),
        resources: caller.into_iter().chain([named]).collect(),
        role: None,
        action: None,
        direction: None,
        remote: Vec::new(),
        amazons: Vec::new(),
        gaps: Vec::new(),
        detections: vec![Detection {
            rule: "sensor-silent".to_owned(),
            title,
            level: Severity::High,
            situation,
            impact: Impact::EvidenceTampering,
            confidence: Confidence::Confirmed,
            is_attempt: false,
            counted: None,
            subject: Some(subject),
        }],
        call,
    }))
}
