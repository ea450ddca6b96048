//! What of a report is news to people.
//! Pure: made of the report alone.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Notification;
use crate::{
    domain::{HELD_BACK, OutcomeKind, PLAN_CHANGED, Report, Severity, StepReport, Way, fingerprint},
    playbooks::AS_IN_BASELINE,
};
use std::collections::BTreeSet;

/// What a report says beyond the one that people were told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Something,
    /// Only that something could not be looked up this time.
    Unread,
    Nothing,
}

impl News {
    /// `told` is what people know.
    pub fn of(report: &Report, told: &Report) -> Self {
        // AWS words the reasons of what is open anew each time; some of it may come and go unsaid.
        if !opens(report).is_subset(&opens(told)) {
            return Self::Something;
        }
        // Whoever agreed to a plan hears that another came of it.
        if is_changed(report) && !is_changed(told) {
            return Self::Something;
        }
        if Notification::digest(report) == Notification::digest(told) {
            let stems = |report| unread(report).map(stem).collect::<BTreeSet<_>>();
            return if stems(report).is_subset(&stems(told)) { Self::Nothing } else { Self::Unread };
        }
        let is_held =
            |report: &Report| matches!(report.outcome.kind, OutcomeKind::Contained | OutcomeKind::PartiallyContained);
        let is_like = report.outcome.kind == told.outcome.kind || (is_held(report) && is_held(told));
        // A look that failed shows less than there is: what was held back and is not seen now is not over.
        let (stands, stood) = (steps(report), steps(told));
        let is_same = |is_held_back: bool| move |(_, held_back): &&(String, bool)| *held_back == is_held_back;
        let is_less = stands.iter().filter(is_same(false)).eq(stood.iter().filter(is_same(false)))
            && stands.iter().filter(is_same(true)).all(|step| stood.contains(step));
        if is_unread(report) && is_like && is_less { Self::Unread } else { Self::Something }
    }
}

/// What could not be looked up.
pub fn unread(report: &Report) -> impl Iterator<Item = &str> {
    report.residual.iter().filter(|risk| risk.way == Way::Unread).map(|risk| risk.text.as_str())
}

fn is_unread(report: &Report) -> bool {
    unread(report).next().is_some()
}

fn is_changed(report: &Report) -> bool {
    report.outcome.reasons.iter().any(|reason| reason.code == PLAN_CHANGED)
}

fn opens(report: &Report) -> BTreeSet<&str> {
    report.residual.iter().filter(|risk| risk.way == Way::Open).map(|risk| stem(&risk.text)).collect()
}

/// Each with whether it was held back: it is in no journal then.
fn steps(report: &Report) -> BTreeSet<(String, bool)> {
    let one = |step: &StepReport| {
        let is_held_back = HELD_BACK.iter().any(|state| step.state.starts_with(state));
        (format!("{} {} {}", step.action, step.target, kind(&step.state)), is_held_back)
    };
    report.steps.iter().map(one).collect()
}

impl Notification {
    /// What is new to people, whatever the delivery: outcome, plan, the state of each step, and whether all was looked up.
    pub fn digest(report: &Report) -> String {
        let states: Vec<String> =
            report.steps.iter().map(|step| format!("{} {} {}", step.action, step.target, kind(&step.state))).collect();
        let plan = report.plan.as_deref().unwrap_or_default();
        let unread = if is_unread(report) { "\nunread" } else { "" };
        fingerprint(&format!("{}\n{plan}\n{}{unread}", report.outcome.kind, states.join("\n")))
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

/// What is open, without why: an ARN has colons too, a space follows none of them.
pub fn stem(text: &str) -> &str {
    text.split(": ").next().unwrap_or(text)
}

/// Without the reason, which AWS words anew each time.
fn kind(state: &str) -> &str {
    state.split(':').next().unwrap_or(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Reason, ResidualRisk, Text, WAITS},
        notify::message::tests::report,
    };

    fn with(kind: OutcomeKind, way: Way, text: &str) -> Report {
        let mut report = report(kind);
        report.residual.push(ResidualRisk { way, text: text.into() });
        report
    }

    #[test]
    fn a_look_that_failed_is_no_news_and_all_else_is() {
        use OutcomeKind::{AwaitingApproval, Contained, PartiallyContained};
        let told = report(Contained);
        assert_eq!(News::of(&told, &told), News::Nothing);
        assert_eq!(News::of(&report(PartiallyContained), &told), News::Something, "something else made it so");
        let unread = with(PartiallyContained, Way::Unread, "sessions of the keys");
        assert_eq!(News::of(&unread, &told), News::Unread);
        assert_eq!(News::of(&unread, &report(AwaitingApproval)), News::Something);
        assert_eq!(News::of(&unread, &unread), News::Nothing, "people know");
        assert_eq!(News::of(&told, &unread), News::Something, "it could be looked up, and nothing is open");
        let (mut opened, mut failed, mut more) = (unread.clone(), unread.clone(), unread.clone());
        opened.residual.push(ResidualRisk { way: Way::Open, text: "session s: elsewhere".into() });
        failed.steps[0].state = "failed: denied".into();
        more.steps.push(StepReport { target: "eni-9".into(), state: format!("{WAITS}: x"), ..more.steps[0].clone() });
        for (report, what) in [(&opened, "opened"), (&failed, "failed"), (&more, "more")] {
            assert_eq!(News::of(report, &told), News::Something, "{what}");
        }
        let other = with(PartiallyContained, Way::Unread, "session s of role r");
        assert_eq!(News::of(&other, &unread), News::Unread, "people know of another thing");
        let mut changed = unread.clone();
        changed.outcome.reasons.push(Reason::new(PLAN_CHANGED, "one is not there"));
        assert_eq!(News::of(&changed, &told), News::Something, "an approval was not followed");
        assert_eq!(News::of(&changed, &changed), News::Nothing);
        // The question that a blind look does not see is still asked.
        assert_eq!(News::of(&unread, &more), News::Unread);
    }

    #[test]
    fn a_way_that_came_to_light_is_news_though_all_else_stands() {
        let partly = |way, text| with(OutcomeKind::PartiallyContained, way, text);
        let told = partly(Way::Unread, "sessions of the keys: throttled");
        assert_eq!(News::of(&partly(Way::Open, "sessions of the keys: denied"), &told), News::Something);
        let told = partly(Way::Open, "session s of arn:aws:iam::111122223333:role/r is not denied: throttled");
        let again = "session s of arn:aws:iam::111122223333:role/r is not denied: no answer";
        assert_eq!(News::of(&partly(Way::Open, again), &told), News::Nothing);
        let other = "session s of arn:aws:iam::444455556666:role/r is not denied: throttled";
        assert_eq!(News::of(&partly(Way::Open, other), &told), News::Something);
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
