//! What of a report is news to people.
//! Pure: made of the report alone.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Notification;
use crate::{
    domain::{OutcomeKind, Report, Severity, StepReport, Way, fingerprint},
    playbooks::AS_IN_BASELINE,
};
use std::collections::BTreeSet;

impl Notification {
    /// What is new to people, whatever the delivery: outcome, plan and the state of each step.
    pub fn digest(report: &Report) -> String {
        let states: Vec<String> =
            report.steps.iter().map(|step| format!("{} {} {}", step.action, step.target, kind(&step.state))).collect();
        let plan = report.plan.as_deref().unwrap_or_default();
        let text = format!("{}\n{plan}\n{}", report.outcome.kind, states.join("\n"));
        fingerprint(&text)
    }

    /// Whether all that is new since people were told is that something could not be looked up this time.
    pub fn is_only_unread(report: &Report, told: &Report) -> bool {
        let stands = |report: &Report| {
            let step = |step: &StepReport| format!("{} {} {}", step.action, step.target, kind(&step.state));
            let open = report.residual.iter().filter(|risk| risk.way == Way::Open).map(|risk| risk.text.clone());
            report.steps.iter().map(step).chain(open).collect::<BTreeSet<String>>()
        };
        let is_held =
            |report: &Report| matches!(report.outcome.kind, OutcomeKind::Contained | OutcomeKind::PartiallyContained);
        report.residual.iter().any(|risk| risk.way == Way::Unread)
            && is_held(report)
            && is_held(told)
            && stands(report) == stands(told)
    }

    /// Whether people are told at all: not of what is not ours, and not of small things that nobody can act on.
    pub fn is_due(report: &Report) -> bool {
        match report.outcome.kind {
            OutcomeKind::Ignored | OutcomeKind::Joined => false,
            OutcomeKind::Observed if report.is_expected => false,
            OutcomeKind::Observed => {
                // A sensor was changed in a way that nothing sets right.
                let by_hand = report.outcome.reasons.iter().any(|reason| reason.code == AS_IN_BASELINE);
                by_hand || !report.steps.is_empty() || report.severity >= Some(Severity::High)
            }
            _ => true,
        }
    }
}

/// Without the reason, which AWS words anew each time.
fn kind(state: &str) -> &str {
    state.split(':').next().unwrap_or(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ResidualRisk, Text},
        notify::message::tests::report,
    };

    #[test]
    fn a_look_that_failed_is_no_news_and_all_else_is() {
        let told = report(OutcomeKind::Contained);
        let risk = |way: Way| ResidualRisk { way, text: "sessions of the keys".into() };
        let mut unread = report(OutcomeKind::PartiallyContained);
        assert!(!Notification::is_only_unread(&unread, &told), "something else made it so");
        unread.residual.push(risk(Way::Unread));
        assert!(Notification::is_only_unread(&unread, &told));
        assert!(!Notification::is_only_unread(&unread, &report(OutcomeKind::AwaitingApproval)));
        let (mut opened, mut failed) = (unread.clone(), unread.clone());
        opened.residual.push(risk(Way::Open));
        failed.steps[0].state = "failed: denied".into();
        assert!(!Notification::is_only_unread(&opened, &told) && !Notification::is_only_unread(&failed, &told));
    }

    #[test]
    fn a_digest_changes_with_the_outcome_and_the_steps_only() {
        let base = report(OutcomeKind::Contained);
        let same = Report { title: Text::new("another occurrence"), ..base.clone() };
        assert_eq!(Notification::digest(&base), Notification::digest(&same));
        assert_ne!(Notification::digest(&base), Notification::digest(&report(OutcomeKind::PartiallyContained)));
        let mut drifted = base.clone();
        drifted.steps[0].state = "DRIFTED: now sg-1".into();
        assert_ne!(Notification::digest(&base), Notification::digest(&drifted));
    }
}
