//! What AWS Config and alarms say, as findings.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    config_rules::{ConfigRule, by_identifier, by_name},
    network,
};
use crate::{
    domain::{
        Call, Confidence, Detection, Finding, FindingId, Gap, Impact, Lifecycle, Outcome, OutcomeKind, Partition,
        Resource, Severity, Situation, Source, Text, fingerprint,
    },
    ingest::{About, Alarm, Compliance, Evaluation, ItemChange},
};

/// What a rule is, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Identified<'a> {
    /// By its source identifier.
    As(&'a str),
    /// Nobody was asked, or nobody knows: the name must do.
    ByNameOnly,
}

/// # Errors
/// The Ignored outcome of an evaluation that reports nothing bad.
pub fn evaluated(evaluation: &Evaluation, identified: Identified<'_>) -> Result<Box<Finding>, Outcome> {
    let about = &evaluation.about;
    if evaluation.now != Compliance::NonCompliant {
        let why = format!("{} `{}` does not break the rule", about.resource_type, about.resource);
        return Err(Outcome::because(OutcomeKind::Ignored, "compliant", why));
    }
    let known = match identified {
        Identified::As(identifier) => by_identifier(identifier),
        Identified::ByNameOnly => by_name(evaluation.rule.as_str()),
    };
    // INVARIANT: what a rule finds when it looks for the first time was so before: installing a rule must not close every old port.
    let is_news = evaluation.before == Some(Compliance::Compliant);
    let resource_type = &about.resource_type;
    let (situation, level, impact, title) = match known {
        Some(ConfigRule { situation, severity, impact, name, advice, .. }) if is_news => {
            (*situation, *severity, *impact, format!("{resource_type} breaks `{name}`. {advice}"))
        }
        Some(ConfigRule { name, .. }) => (
            Situation::NonCompliant,
            Severity::Low,
            Impact::None,
            format!("{resource_type} breaks `{name}` at its first evaluation"),
        ),
        None => (
            Situation::NonCompliant,
            Severity::Low,
            Impact::None,
            format!("{resource_type} breaks a rule that Cordon does not know"),
        ),
    };
    let rule = known.map_or_else(|| Text::new(evaluation.rule.as_str()), |known| Text::new(known.identifier));
    let detection = detection(
        rule.as_str(),
        &title,
        situation,
        level,
        impact,
        Some((resource_type.clone(), about.resource.clone())),
    );
    let mut finding = finding(Source::Config, about, format!("Config/{rule}"), detection)?;
    finding.description = evaluation.annotation.clone().unwrap_or_default();
    if matches!(identified, Identified::ByNameOnly) {
        let problem = format!(
            "the rule `{}` was judged by its name, which does not say for certain what it is",
            Text::new(evaluation.rule.as_str())
        );
        finding.gaps.push(Gap { field: "configRuleName", problem });
    }
    Ok(finding)
}

/// # Errors
/// The Ignored outcome of what has no id.
pub fn changed(change: &ItemChange) -> Result<Box<Finding>, Outcome> {
    let about = &change.about;
    let subject = Some((about.resource_type.clone(), about.resource.clone()));
    let opened = match about.resource_type.as_str() {
        "AWS::EC2::SecurityGroup" => network::opened(&without_egress(&change.after)),
        _ => network::Opened::default(),
    };
    let kind = change.kind.as_str().to_lowercase();
    let detection = match opened.world {
        true => detection(
            "config-port-open",
            "A security group lets the world in",
            Situation::ExposedPort,
            Severity::High,
            Impact::UnauthorisedAccess,
            subject,
        ),
        false => {
            let title = format!("{} changed ({kind})", about.resource_type);
            detection(
                "config-item-changed",
                &title,
                Situation::ConfigurationChanged,
                Severity::Low,
                Impact::None,
                subject,
            )
        }
    };
    let mut finding = finding(Source::Config, about, format!("Config/{}", detection.rule), detection)?;
    finding.call = Some(Call {
        world_open: opened.world,
        sensitive_port: opened.sensitive,
        ports: opened.ports.into_iter().collect(),
        ..Call::default()
    });
    if change.is_oversized {
        let problem = "the change is too large for an event; it lies in the bucket of Config".to_owned();
        finding.gaps.push(Gap { field: "configurationItem", problem });
    }
    Ok(finding)
}

/// # Errors
/// The Ignored outcome of what has no id.
pub fn alarmed(alarm: &Alarm) -> Result<Box<Finding>, Outcome> {
    let about = About {
        account: alarm.account.clone(),
        account_shown: alarm.account_shown.clone(),
        region: alarm.region.clone(),
        resource_type: Text::new(if alarm.is_cost { "cost monitor" } else { "alarm" }),
        resource: alarm.name.clone(),
        at: alarm.at,
    };
    let subject = Some((about.resource_type.clone(), alarm.name.clone()));
    let detection = match alarm.is_cost {
        true => {
            let title = format!("Costs are unusual: {}", alarm.says);
            detection("cost-anomaly", &title, Situation::ConfigurationChanged, Severity::Low, Impact::None, subject)
        }
        false => {
            let title = format!("The alarm `{}` went off", alarm.name);
            detection(
                "alarm",
                &title,
                Situation::ServiceDisruption,
                Severity::Medium,
                Impact::ServiceDisruption,
                subject,
            )
        }
    };
    let mut finding = finding(Source::Alarm, &about, format!("Alarm/{}", detection.rule), detection)?;
    finding.description = alarm.says.clone();
    Ok(finding)
}

pub(super) fn detection(
    rule: &str,
    title: &str,
    situation: Situation,
    level: Severity,
    impact: Impact,
    subject: Option<(Text, Text)>,
) -> Detection {
    let title = Text::new(title);
    let confidence = Confidence::Likely;
    Detection {
        rule: rule.to_owned(),
        title,
        level,
        situation,
        impact,
        confidence,
        is_attempt: false,
        counted: None,
        subject,
    }
}

pub(super) fn finding(
    source: Source,
    about: &About,
    shown: String,
    detection: Detection,
) -> Result<Box<Finding>, Outcome> {
    // The same on the same thing is one problem for a day.
    let day = about.at.map_or(0, |at| at.millis().div_euclid(86_400_000));
    let thing = fingerprint(&format!("{shown}\n{:?}\n{}\n{day}", about.region, about.resource));
    let id = FindingId::parse(&format!("{source:?}-{thing}"))
        .map_err(|error| Outcome::because(OutcomeKind::Declined, "finding-without-id", error.to_string()))?;
    let resources = detection.subject.clone().map(|(what, name)| Resource::Named { what, name });
    Ok(Box::new(Finding {
        source,
        id,
        kind: None,
        type_shown: Text::new(&shown),
        account: about.account.clone(),
        account_shown: about.account_shown.clone(),
        region: about.region.clone(),
        partition: Partition::standard(),
        score: None,
        title: detection.title.clone(),
        description: Text::default(),
        lifecycle: Lifecycle::Live,
        created: about.at,
        updated: about.at,
        first_seen: about.at,
        last_seen: about.at,
        count: None,
        resource_type: Some(about.resource_type.clone()),
        resources: resources.into_iter().collect(),
        role: None,
        action: None,
        direction: None,
        remote: Vec::new(),
        amazons: Vec::new(),
        gaps: Vec::new(),
        detections: vec![detection],
        call: None,
    }))
}

/// What goes out is open to the world in most groups, and rightly.
fn without_egress(after: &serde_json::Value) -> serde_json::Value {
    let members = after.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !name.to_lowercase().contains("egress"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Ingested, config};
    use serde_json::{Value, json};

    fn evaluation(name: &str, new: &str, old: Value) -> Evaluation {
        let detail = json!({"messageType": "ComplianceChangeNotification", "configRuleName": name, "resourceId": "sg-0a1b2c3d4e5f60718",
            "resourceType": "AWS::EC2::SecurityGroup", "awsAccountId": "111122223333", "awsRegion": "us-east-1",
            "newEvaluationResult": {"complianceType": new, "resultRecordedTime": "2026-11-20T12:00:00Z"},
            "oldEvaluationResult": old.as_str().map(|old| json!({"complianceType": old}))});
        match config::message(&detail) {
            Ingested::Evaluation(evaluation) => *evaluation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_identifier_decides_and_a_first_look_proves_nothing() {
        use Identified::{As, ByNameOnly};
        for (name, identified, new, old, expected) in [
            (
                "x",
                As("INCOMING_SSH_DISABLED"),
                "NON_COMPLIANT",
                json!("COMPLIANT"),
                Some((Situation::ExposedPort, Severity::High)),
            ),
            (
                "restricted-ssh",
                As("OTHER_RULE"),
                "NON_COMPLIANT",
                json!("COMPLIANT"),
                Some((Situation::NonCompliant, Severity::Low)),
            ),
            (
                "restricted-ssh",
                ByNameOnly,
                "NON_COMPLIANT",
                json!("COMPLIANT"),
                Some((Situation::ExposedPort, Severity::High)),
            ),
            (
                "restricted-ssh",
                ByNameOnly,
                "NON_COMPLIANT",
                json!(null),
                Some((Situation::NonCompliant, Severity::Low)),
            ),
            (
                "restricted-ssh",
                ByNameOnly,
                "NON_COMPLIANT",
                json!("NOT_APPLICABLE"),
                Some((Situation::NonCompliant, Severity::Low)),
            ),
            (
                "restricted-ssh",
                ByNameOnly,
                "NON_COMPLIANT",
                json!("INSUFFICIENT_DATA"),
                Some((Situation::NonCompliant, Severity::Low)),
            ),
            ("restricted-ssh", ByNameOnly, "COMPLIANT", json!("NON_COMPLIANT"), None),
        ] {
            let found = evaluated(&evaluation(name, new, old.clone()), identified);
            let found = found.ok().map(|finding| (finding.detections[0].situation, finding.detections[0].level));
            assert_eq!(found, expected, "{name} {new} {old}");
        }
    }

    #[test]
    fn an_item_that_lets_the_world_in_is_seen_and_what_goes_out_is_not() {
        for (after, opens) in [
            (
                json!({"Configuration.IpPermissions.0": {"updatedValue": {"fromPort": 22, "toPort": 22, "ipProtocol": "tcp", "ipv4Ranges": [{"cidrIp": "0.0.0.0/0"}]}}}),
                true,
            ),
            (
                json!({"Configuration.IpPermissions.0": {"updatedValue": {"fromPort": 22, "toPort": 22, "ipProtocol": "tcp", "ipRanges": ["0.0.0.0/0"]}}}),
                true,
            ),
            (
                json!({"Configuration.IpPermissionsEgress.0": {"updatedValue": {"ipProtocol": "-1", "ipv4Ranges": [{"cidrIp": "0.0.0.0/0"}]}}}),
                false,
            ),
            (
                json!({"Configuration.IpPermissions.0": {"previousValue": {"ipv4Ranges": [{"cidrIp": "0.0.0.0/0"}]}, "updatedValue": null}}),
                false,
            ),
        ] {
            let detail = json!({"messageType": "ConfigurationItemChangeNotification",
                "configurationItemDiff": {"changeType": "UPDATE", "changedProperties": after},
                "configurationItem": {"resourceId": "sg-1", "resourceType": "AWS::EC2::SecurityGroup", "awsAccountId": "111122223333"}});
            let Ingested::Change(change) = config::message(&detail) else { panic!("{detail}") };
            let finding = changed(&change).unwrap();
            assert_eq!(finding.detections[0].situation == Situation::ExposedPort, opens, "{detail}");
        }
    }
}
