//! One line in CloudWatch's embedded metric format for each event. Ids are properties, never dimensions.

use crate::domain::Report;
use serde_json::{Value, json};

const NAMESPACE: &str = "Cordon";

/// Prints the line to standard output, where Lambda's logs pick it up.
pub fn count(report: &Report, now_millis: i64) {
    println!("{}", line(report, now_millis));
}

fn line(report: &Report, now_millis: i64) -> Value {
    json!({
        "_aws": {"Timestamp": now_millis, "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [["Outcome"], ["Outcome", "Playbook", "Severity"]],
            "Metrics": [{"Name": "Events", "Unit": "Count"}],
        }]},
        "Events": 1,
        "Outcome": report.outcome.kind,
        "Playbook": report.playbook.as_deref().unwrap_or("none"),
        "Severity": report.severity.map_or_else(|| "none".to_owned(), |severity| severity.to_string()),
        "Incident": report.incident.as_ref().map(ToString::to_string).unwrap_or_default(),
        "FindingType": report.finding_type,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Outcome, OutcomeKind};

    #[test]
    fn every_dimension_has_a_value_even_for_what_is_no_finding() {
        let report = Report::without_finding(Outcome::because(OutcomeKind::Ignored, "no-json", "no JSON"));
        let line = line(&report, 1_000);
        for dimension in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|set| set.as_array().unwrap())
        {
            let value = line[dimension.as_str().unwrap()].as_str().unwrap();
            assert!(!value.is_empty(), "{dimension}");
        }
    }
}
