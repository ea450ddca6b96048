//! What is told of a containment. Pure.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    actions::AnyChange,
    analyst::{advice, more, offers, residual, shown, waiting, why, withheld},
    decision::Treatment,
    domain::{Outcome, PLAN_CHANGED, Reason, Report, ResidualRisk, TOO_OFTEN, Way},
    engine::{Course, HeldBack, MOST_AGAIN, State, outcome},
    guard::Verdict,
    journal::Approved,
    playbooks::{self, ESTABLISHED, Plan, PlannedStep},
    recheck::Sent,
};
use std::collections::BTreeMap;

pub const AGAIN: &str = "contained-again";
const NOT_AGAIN: &str = "not-contained-again";

/// The steps that guards hold back, and how.
pub fn held_back<'p>(plan: &'p Plan, verdicts: &'p [Verdict]) -> impl Iterator<Item = (&'p AnyChange, HeldBack)> {
    let why = |verdict: &Verdict| match verdict {
        Verdict::Contain => None,
        Verdict::AwaitApproval(_) => Some(HeldBack::Waits),
        Verdict::Observe(_) | Verdict::Declined(_) => Some(HeldBack::Refused),
    };
    plan.steps.iter().zip(verdicts).filter_map(move |(step, verdict)| Some((&step.change, why(verdict)?)))
}

/// What is told of a containment: from what was seen of its steps, and from what was held back or stays open.
pub fn report(
    case: &Treatment,
    course: &Course,
    plan: &Plan,
    verdicts: &[Verdict],
    undone: &[String],
    sent: Option<Sent>,
) -> Report {
    let mut residual = residual(case, plan, &course.held());
    if let Some(Sent::NotAll(why)) = sent {
        let text = format!("nothing looks again whether it stays so: {why}");
        residual.push(ResidualRisk { way: Way::Unseen, text });
    }
    // What is so already waits for nobody.
    let held: Vec<(&PlannedStep, &Verdict)> = plan
        .steps
        .iter()
        .zip(verdicts)
        .filter(|(step, verdict)| !matches!(verdict, Verdict::Contain) && !step.change.is_already_so())
        .collect();
    let open = held.len() + residual.iter().filter(|risk| risk.way.is_open()).count();
    let mut reasons: Vec<Reason> =
        undone.iter().map(|what| Reason::new(AGAIN, format!("somebody had undone it: {what}"))).collect();
    for (change, task) in course.steps() {
        let key = change.shown().key();
        match &task.state {
            State::Failed { why } => reasons.push(Reason::new("step-failed", format!("{key}: {why}"))),
            State::Drifted { shown } => {
                let (code, why) = match task.again().len() >= MOST_AGAIN {
                    true => (
                        TOO_OFTEN,
                        format!(
                            "it was contained again {MOST_AGAIN} times within an hour and is left to people until then"
                        ),
                    ),
                    false => (NOT_AGAIN, "what may be done now does not contain it again".to_owned()),
                };
                reasons.push(Reason::new(code, format!("{key}: now {shown}; {why}")));
            }
            State::ReleasedByHand { shown } => {
                reasons.push(Reason::new("released-by-hand", format!("{key}: now {shown}")));
            }
            _ => {}
        }
    }
    if course.left_out() > 0 {
        let text =
            format!("more is not contained than the journal of one target has room for: {} things", course.left_out());
        residual.push(ResidualRisk { way: Way::Open, text });
    }
    let open = open + usize::from(course.left_out() > 0);
    let kind = match course.steps().next() {
        None => withheld(plan, verdicts).kind,
        Some(_) => outcome(course.steps().map(|(_, task)| &task.state), open),
    };
    if course.steps().next().is_none() && verdicts.is_empty() {
        reasons.extend(withheld(plan, verdicts).reasons);
    }
    reasons.extend(held.iter().filter_map(|(_, verdict)| why(verdict)).cloned());
    reasons.extend(plan.asked_again.iter().cloned());
    reasons.dedup();
    if !held.is_empty() {
        reasons.extend(more(plan, &reasons));
    }
    let steps = course.steps().map(|(change, task)| shown(task.stage, change, &task.state.to_string()));
    let hash = match course.steps().next() {
        None => plan.hash(),
        // An approval is compared with the plan, made afresh.
        Some(_) if held.iter().any(|(_, verdict)| matches!(verdict, Verdict::AwaitApproval(_))) => plan.hash(),
        Some(_) => playbooks::hash(course.steps().map(|(change, _)| change)),
    };
    Report {
        incident: Some(course.known_as().clone()),
        plan: Some(hash),
        steps: steps
            .chain(held.iter().map(|(step, verdict)| shown(step.stage, &step.change, &waiting(verdict))))
            .collect(),
        residual,
        offers: offers(plan),
        advice: advice(case, plan),
        ..case.report(Outcome::new(kind, reasons))
    }
    .bounded()
}

/// What an approved plan was, and is not any more.
pub fn changed_since(approved: &Approved, report: &Report) -> Reason {
    let now: Vec<String> =
        report.steps.iter().filter(|step| step.before != step.after).map(ToString::to_string).collect();
    let new = now.iter().filter(|line| !approved.lines.contains(line)).map(|line| format!("new: {line}"));
    let gone = approved.lines.iter().filter(|line| !now.contains(line)).map(|line| format!("gone: {line}"));
    let changes: Vec<String> = new.chain(gone).collect();
    let changes = if changes.is_empty() { "its steps are others".to_owned() } else { changes.join("; ") };
    Reason::new(
        PLAN_CHANGED,
        format!("what {} approved at {} is not the plan any more: {changes}", approved.by, approved.at),
    )
}

/// Who has undone what is in the reasons, as far as CloudTrail knows.
pub fn name_undoers(report: &mut Report, undoers: &BTreeMap<String, String>) {
    let is_undone = |code: &str| matches!(code, AGAIN | TOO_OFTEN | NOT_AGAIN);
    for reason in report.outcome.reasons.iter_mut().filter(|reason| is_undone(&reason.code)) {
        // What was undone comes first in the text, and a space follows no key's colons.
        let who = undoers.iter().find(|(key, _)| reason.text.contains(&format!("{key}: ")));
        if let Some((_, who)) = who {
            reason.text.push_str(&format!("; by CloudTrail {who} did it"));
        }
    }
}

/// What is known of connections from before the cut, now that a passage was made or not.
pub fn after_passage(report: &mut Report, passage: Result<(), String>) {
    let text = match passage {
        Ok(()) => "connections that were established before were cut by a passage through an open group; EC2 does not say whether all of them ended".to_owned(),
        Err(why) => format!("{ESTABLISHED} (no passage through an open group was made: {why})"),
    };
    report.residual.retain(|risk| risk.text != ESTABLISHED);
    report.residual.push(ResidualRisk { way: Way::Unseen, text });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{HELD_BACK, OutcomeKind, StepReport, WAITS};

    /// An item of DynamoDB holds 400 KB, and whoever makes sessions all day must not keep people from being told.
    #[test]
    fn a_report_is_cut_to_what_its_item_holds_and_keeps_what_needs_a_person() {
        let step = |n: usize, state: &str| StepReport {
            stage: 0,
            action: "iam.role.session-deny".into(),
            target: format!("{n} {}", "x".repeat(1_000)),
            before: "absent".into(),
            after: "denied".into(),
            state: state.to_owned(),
            undo: "y".repeat(500),
            undo_order: 0,
        };
        let mut long = Report::without_finding(Outcome::new(OutcomeKind::PartiallyContained, Vec::new()));
        long.steps = (0..900).map(|n| step(n, if n == 899 { WAITS } else { "done" })).collect();
        let risk = |n: usize| ResidualRisk {
            way: if n == 899 { Way::Open } else { Way::Unseen },
            text: format!("{n}: {}", "z".repeat(1_000)),
        };
        long.residual = (0..900).map(risk).collect();
        let cut = long.clone().bounded();
        assert!(serde_json::to_string(&cut).unwrap().len() < 380_000);
        assert!(cut.is_waiting() && cut.residual.iter().any(|risk| risk.text.starts_with("899: ")));
        let says = |text: &str| cut.residual.iter().any(|risk| risk.text == text);
        assert!(says("more ways than are shown: 821"), "one of them is that steps were cut");
        long.steps.truncate(3);
        long.residual.truncate(3);
        assert_eq!(long.clone().bounded(), long);
    }

    #[test]
    fn what_was_held_back_is_known_by_its_state_and_no_step_of_a_journal_is_taken_for_it() {
        let is_known = |state: &str| HELD_BACK.iter().any(|known| state.starts_with(known));
        for verdict in [Verdict::AwaitApproval, Verdict::Observe, Verdict::Declined] {
            let state = waiting(&verdict(Reason::new("code", "why")));
            assert!(is_known(&state), "{state}");
        }
        let why = String::from("why");
        for state in [
            State::Already,
            State::Intended,
            State::Done,
            State::Failed { why: why.clone() },
            State::Drifted { shown: why.clone() },
            State::ReleasedByHand { shown: why.clone() },
            State::Kept { why },
            State::Gone,
        ] {
            assert!(!is_known(&state.to_string()), "{state}");
        }
    }
}
