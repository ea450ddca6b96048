//! One report of several targets. Pure.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    decision::Treatment,
    domain::{Investigation, Outcome, OutcomeKind, Reason, Report, ResidualRisk, Way, fingerprint},
};
use std::collections::BTreeMap;

/// Reasons by which one joins another and is contained by neither.
const LEFT: [&str; 3] = ["asked-already", "told-already", "rejected"];

/// The plans that wait for a person; all where none does. By the keys of their targets.
fn plans(reports: &[(Treatment, Report)]) -> BTreeMap<String, String> {
    let any_waits = reports.iter().any(|(_, report)| report.is_waiting());
    let named = reports.iter().filter(|(_, report)| !any_waits || report.is_waiting());
    named.filter_map(|(part, report)| Some((part.target.key(), report.plan.clone()?))).collect()
}

/// What is told of all of them.
pub fn merge(case: &Treatment, reports: &[(Treatment, Report)]) -> Report {
    let each = || reports.iter().map(|(_, report)| report);
    let is_left = |report: &Report| {
        report.outcome.kind == OutcomeKind::Joined
            && report.outcome.reasons.iter().any(|reason| LEFT.contains(&reason.code.as_ref()))
    };
    let contained = |report: &Report| match report.outcome.kind {
        OutcomeKind::Contained => true,
        OutcomeKind::Joined => !is_left(report),
        _ => false,
    };
    let is = |kind: OutcomeKind| each().any(|report| report.outcome.kind == kind);
    let kind = if each().all(|report| report.outcome.kind == OutcomeKind::Joined) {
        OutcomeKind::Joined
    } else if each().all(contained) {
        OutcomeKind::Contained
    } else if is(OutcomeKind::Contained) || is(OutcomeKind::PartiallyContained) {
        OutcomeKind::PartiallyContained
    } else {
        let order =
            [OutcomeKind::AwaitingApproval, OutcomeKind::NotContained, OutcomeKind::Declined, OutcomeKind::Observed];
        order.into_iter().find(|kind| is(*kind)).unwrap_or(OutcomeKind::Observed)
    };
    let mut reasons: Vec<Reason> = Vec::new();
    let mut residual: Vec<ResidualRisk> = Vec::new();
    for (part, report) in reports {
        for reason in &report.outcome.reasons {
            reasons.push(Reason { code: reason.code.clone(), text: format!("{}: {}", part.target, reason.text) });
        }
        if is_left(report) || matches!(report.outcome.kind, OutcomeKind::Declined | OutcomeKind::NotContained) {
            let why = report.outcome.reasons.first().map_or("", |reason| reason.text.as_str());
            residual.push(ResidualRisk { way: Way::Open, text: format!("{} is not contained: {why}", part.target) });
        }
        for risk in &report.residual {
            if !residual.contains(risk) {
                residual.push(risk.clone());
            }
        }
    }
    residual.extend(case.report.residual.iter().cloned());
    let plans = plans(reports);
    let mut hashes: Vec<&str> = plans.values().map(String::as_str).collect();
    hashes.sort_unstable();
    Report {
        plan: (!hashes.is_empty()).then(|| fingerprint(&hashes.join("\n"))),
        plans,
        steps: each().flat_map(|report| report.steps.iter().cloned()).collect(),
        residual,
        investigation: each().filter_map(|report| report.investigation.clone()).reduce(Investigation::and),
        advice: case.report.advice.iter().chain(each().flat_map(|report| &report.advice)).cloned().collect(),
        release: each().any(|report| report.release.is_some()).then(|| format!("cordon release {}", case.incident)),
        ..case.report(Outcome::new(kind, reasons))
    }
    .bounded()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::tests::case;

    #[test]
    fn what_is_left_to_another_question_is_not_said_to_be_contained() {
        use OutcomeKind::{AwaitingApproval, Contained, Declined, Joined, NotContained, Observed, PartiallyContained};
        let whole = case(0, 0..2, &[]);
        let parts = whole.parts();
        for (one, (kind, code), both, is_open) in [
            (Contained, (Contained, "x"), Contained, false),
            (Contained, (Joined, "nothing-new"), Contained, false),
            (Contained, (Joined, "asked-already"), PartiallyContained, true),
            (Contained, (Joined, "rejected"), PartiallyContained, true),
            (Contained, (NotContained, "x"), PartiallyContained, true),
            (Observed, (Joined, "told-already"), Observed, true),
            (AwaitingApproval, (Declined, "x"), AwaitingApproval, true),
            (Joined, (Joined, "told-already"), Joined, true),
        ] {
            let first = parts[0].report(Outcome::because(one, "nothing-new", "why"));
            let second = parts[1].report(Outcome::because(kind, code, "why"));
            let merged = merge(&whole, &[(parts[0].clone(), first), (parts[1].clone(), second)]);
            assert_eq!(merged.outcome.kind, both, "{one} and {kind} {code}");
            assert_eq!(merged.residual.iter().any(|risk| risk.way.is_open()), is_open, "{one} and {kind} {code}");
        }
    }
}
