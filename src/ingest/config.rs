//! AWS Config: what a rule says of a resource, and what changed in one. `detail` of "Config Rules Compliance Change" and "Config
//! Configuration Item Change" (ordinary and oversized); members after the Config developer guide, "Notifications".
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Ingested, cursor::Cursor, ended};
use crate::domain::{AccountId, ConfigRuleName, OutcomeKind, Region, Text, Timestamp};
use serde_json::Value;

/// Where a thing is, and when it was said.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    pub account: Option<AccountId>,
    pub account_shown: Text,
    pub region: Option<Region>,
    /// `AWS::EC2::SecurityGroup`.
    pub resource_type: Text,
    pub resource: Text,
    pub at: Option<Timestamp>,
}

/// A rule says something else of a resource than before.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub about: About,
    /// Not stable: conformance packs and Security Hub give names of their own.
    pub rule: ConfigRuleName,
    pub now: Compliance,
    /// `None` at the first evaluation.
    pub before: Option<Compliance>,
    pub annotation: Option<Text>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compliance {
    Compliant,
    NonCompliant,
    NotApplicable,
    InsufficientData,
}

/// A resource is other than it was.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemChange {
    pub about: About,
    pub kind: Text,
    /// What was opened is in here: the new values of what changed, or of a new resource all.
    pub after: Value,
    /// Too large for an event: what changed lies in a bucket.
    pub is_oversized: bool,
}

/// Whether it is a message of Config without an envelope around it.
pub fn is_message(value: &Value) -> bool {
    Cursor::new(value).get("messageType").str().is_some_and(|kind| kind.contains("ChangeNotification"))
}

pub fn message(detail: &Value) -> Ingested {
    let at = Cursor::new(detail);
    match at.get("messageType").str() {
        Some("ComplianceChangeNotification") => evaluation(at),
        Some("ConfigurationItemChangeNotification") => change(at, "configurationItem", false),
        Some("OversizedConfigurationItemChangeNotification") => change(at, "configurationItemSummary", true),
        other => {
            let shown = Text::new(other.unwrap_or("nothing"));
            ended(
                OutcomeKind::Ignored,
                "other-message-type",
                format!("Config's message `{shown}` says nothing about a resource"),
            )
        }
    }
}

fn evaluation(at: Cursor<'_>) -> Ingested {
    let new = at.get("newEvaluationResult");
    let rule = at.get("configRuleName").str().and_then(|name| ConfigRuleName::parse(name).ok());
    let (Some(rule), Some(now)) = (rule, compliance(new)) else {
        return ended(
            OutcomeKind::Declined,
            "evaluation-without-result",
            "the evaluation names no rule or no result that is known",
        );
    };
    let qualifier = new.path("evaluationResultIdentifier.evaluationResultQualifier");
    let account = at.get("awsAccountId");
    Ingested::Evaluation(Box::new(Evaluation {
        about: About {
            account: account.str().and_then(|id| AccountId::parse(id).ok()),
            account_shown: account.text().unwrap_or_default(),
            region: at.get("awsRegion").str().and_then(|region| Region::parse(region).ok()),
            resource_type: at
                .get("resourceType")
                .text()
                .or_else(|| qualifier.get("resourceType").text())
                .unwrap_or_default(),
            resource: at.get("resourceId").text().or_else(|| qualifier.get("resourceId").text()).unwrap_or_default(),
            at: new.get("resultRecordedTime").time().or_else(|| at.get("notificationCreationTime").time()),
        },
        rule,
        now,
        before: compliance(at.get("oldEvaluationResult")),
        annotation: new.get("annotation").text(),
    }))
}

fn compliance(at: Cursor<'_>) -> Option<Compliance> {
    Some(match at.get("complianceType").str()? {
        "COMPLIANT" => Compliance::Compliant,
        "NON_COMPLIANT" => Compliance::NonCompliant,
        "NOT_APPLICABLE" => Compliance::NotApplicable,
        "INSUFFICIENT_DATA" => Compliance::InsufficientData,
        _ => return None,
    })
}

fn change(at: Cursor<'_>, item: &str, is_oversized: bool) -> Ingested {
    let item = at.get(item);
    if !item.exists() {
        return ended(OutcomeKind::Declined, "change-without-item", "the change names no configuration item");
    }
    let kind = at
        .path("configurationItemDiff.changeType")
        .text()
        .or_else(|| item.get("changeType").text())
        .unwrap_or_default();
    let is_new = kind.as_str() == "CREATE";
    let changed = at.path("configurationItemDiff.changedProperties").value().and_then(Value::as_object);
    let after = match (is_new, changed) {
        (false, Some(changed)) => changed
            .iter()
            .filter_map(|(name, change)| Some((name.clone(), Cursor::new(change).get("updatedValue").value()?.clone())))
            .collect(),
        _ => item.get("configuration").value().cloned().unwrap_or(Value::Null),
    };
    let account = item.get("awsAccountId");
    Ingested::Change(Box::new(ItemChange {
        about: About {
            account: account.str().and_then(|id| AccountId::parse(id).ok()),
            account_shown: account.text().unwrap_or_default(),
            region: item.get("awsRegion").str().and_then(|region| Region::parse(region).ok()),
            resource_type: item.get("resourceType").text().unwrap_or_default(),
            resource: item.get("resourceId").text().unwrap_or_default(),
            at: item.get("configurationItemCaptureTime").time().or_else(|| at.get("notificationCreationTime").time()),
        },
        kind,
        after,
        is_oversized,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_rule_said_before_is_known_or_it_said_nothing() {
        for (old, before) in [
            (json!(null), None),
            (json!({"complianceType": "COMPLIANT"}), Some(Compliance::Compliant)),
            (json!({"complianceType": "NOT_APPLICABLE"}), Some(Compliance::NotApplicable)),
            (json!({"complianceType": 7}), None),
        ] {
            let detail = json!({"messageType": "ComplianceChangeNotification", "configRuleName": "restricted-ssh", "resourceId": "sg-1",
                "newEvaluationResult": {"complianceType": "NON_COMPLIANT"}, "oldEvaluationResult": old});
            let Ingested::Evaluation(evaluation) = message(&detail) else { panic!("{detail}") };
            assert_eq!((evaluation.now, evaluation.before), (Compliance::NonCompliant, before), "{old}");
        }
    }

    #[test]
    fn of_a_change_only_what_is_new_is_looked_at() {
        let detail = |kind: &str| {
            json!({"messageType": "ConfigurationItemChangeNotification",
                "configurationItemDiff": {"changeType": kind, "changedProperties": {"Configuration.IpPermissions.0": {"updatedValue": {"fromPort": 22}}}},
                "configurationItem": {"resourceId": "sg-1", "configuration": {"ipPermissions": [{"fromPort": 80}]}}})
        };
        for (kind, after) in [
            ("UPDATE", json!({"Configuration.IpPermissions.0": {"fromPort": 22}})),
            ("CREATE", json!({"ipPermissions": [{"fromPort": 80}]})),
        ] {
            let Ingested::Change(change) = message(&detail(kind)) else { panic!("{kind}") };
            assert_eq!(change.after, after);
        }
    }
}
