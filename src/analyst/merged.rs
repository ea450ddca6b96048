//! One report of several targets. Pure.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    decision::Treatment,
    domain::{Investigation, Outcome, OutcomeKind, Reason, Report, ResidualRisk, Way, fingerprint},
};
use std::collections::BTreeMap;

/// The plans that wait for a person; all where none does. By the keys of their targets.
fn plans(reports: &[(Treatment, Report)]) -> BTreeMap<String, String> {
    let any_waits = reports.iter().any(|(_, report)| report.is_waiting());
    let named = reports.iter().filter(|(_, report)| !any_waits || report.is_waiting());
    named.filter_map(|(part, report)| Some((part.target.key(), report.plan.clone()?))).collect()
}

/// What is told of all of them.
pub fn merge(case: &Treatment, reports: &[(Treatment, Report)]) -> Report {
    let each = || reports.iter().map(|(_, report)| report);
    let contained = |report: &Report| matches!(report.outcome.kind, OutcomeKind::Contained | OutcomeKind::Joined);
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
        if matches!(report.outcome.kind, OutcomeKind::Declined | OutcomeKind::NotContained) {
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
