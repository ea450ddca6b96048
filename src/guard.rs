//! Guards: what may be done of a plan, step by step. Pure, and closed where it does not know.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    domain::Reason,
    playbooks::{Plan, PlannedStep},
    policy::{Mode, Policy, Rules, Subject},
};

/// What may be done with one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Contain,
    AwaitApproval(Reason),
    Observe(Reason),
    Declined(Reason),
}

/// Judges every step of the plan, in its order. `own` is the principal that Cordon runs with; `approved` the hash of the plan
/// that an operator approved, which lets through what waited for him, and nothing that is declined.
pub fn judge(plan: &Plan, mode: Mode, rules: &Rules, own: &Subject, approved: Option<&str>) -> Vec<Verdict> {
    let policy = &rules.policy;
    let is_approved = approved == Some(plan.hash().as_str());
    let most = policy.limits.steps_per_plan.get() as usize;
    let planned = plan.steps.iter().filter(|step| !step.is_asked_for).count();
    let over = planned > most;
    let verdict = |step: &PlannedStep| {
        let subject = &step.subject;
        if let Some(refusal) = refusal(subject, policy, own) {
            return Verdict::Declined(refusal);
        }
        match mode {
            Mode::Approve | Mode::Contain if rules.is_blind => {
                let why = "what the policy protects is not known, so nothing new is done, not even with approval";
                Verdict::AwaitApproval(Reason::new("policy-unknown", why))
            }
            Mode::Approve | Mode::Contain if is_approved || step.is_asked_for => Verdict::Contain,
            Mode::Observe => Verdict::Observe(Reason::new("mode", "mode is observe")),
            Mode::Approve => Verdict::AwaitApproval(Reason::new("mode", "mode is approve")),
            Mode::Contain if over => {
                let why = format!("the plan has {planned} steps, the policy allows {most} unattended");
                Verdict::AwaitApproval(Reason::new("steps-per-plan", why))
            }
            Mode::Contain => match plan.approval.first().cloned().or_else(|| approval(subject, policy)) {
                Some(why) => Verdict::AwaitApproval(why),
                None => Verdict::Contain,
            },
        }
    };
    plan.steps.iter().map(verdict).collect()
}

/// What is never changed.
fn refusal(subject: &Subject, policy: &Policy, own: &Subject) -> Option<Reason> {
    let id = &subject.unique_id;
    let is_own = subject.unique_id == own.unique_id
        || (subject.arn.is_some() && subject.arn == own.arn)
        || policy.own_principals.iter().any(|p| p.is(subject));
    if is_own {
        return Some(Reason::new(
            "own-principal",
            format!("{id} is Cordon's own; if this finding is true, Cordon's role is misused: act by hand"),
        ));
    }
    if let Some(because) = policy.protection(subject) {
        return Some(Reason::new("protected", format!("{id} is protected by the policy: {because}")));
    }
    if policy.break_glass.iter().any(|p| p.is(subject)) {
        return Some(Reason::new("break-glass", format!("{id} is a break-glass principal of the policy: act by hand")));
    }
    None
}

/// What needs a person even where the mode would contain.
fn approval(subject: &Subject, policy: &Policy) -> Option<Reason> {
    let id = &subject.unique_id;
    // INVARIANT: tags are anybody's who has the account, so they never make Cordon decline; at most a person is asked.
    for (tag, because) in policy.tags() {
        match &subject.tags {
            Some(tags) if tag.is_on(tags) => {
                let why = format!("the policy has a person asked about things with the tag `{}`: {because}", tag.key);
                return Some(Reason::new("protected-by-tag", why));
            }
            Some(_) => {}
            None => {
                let why = format!("the tags of {id} are unknown, and the policy asks about the tag `{}`", tag.key);
                return Some(Reason::new("tags-unknown", why));
            }
        }
    }
    if policy.operators.iter().any(|p| p.is(subject)) {
        return Some(Reason::new(
            "operator",
            format!("{id} is an operator of the policy: another operator must approve"),
        ));
    }
    // INVARIANT: a protection that cannot be compared blocks the step that it would guard.
    if subject.arn.is_none() && policy.goes_by_arn() {
        return Some(Reason::new(
            "arn-unknown",
            format!("the ARN of {id} is unknown, so the policy's protections by ARN could not be compared"),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::{Change, InstanceTag, TagValue},
        domain::{AccountId, Arn, InstanceId, Region},
        playbooks::{CUT, PlannedStep},
    };

    fn subject(id: &str, arn: Option<&str>) -> Subject {
        let tags = [("env".to_owned(), "production".to_owned())].into();
        let account = AccountId::parse("111122223333").unwrap();
        Subject::new(&account, arn.map(|a| Arn::parse(a).unwrap()), id).tagged(&tags)
    }

    fn plan(subject: Subject, steps: usize) -> Plan {
        let target = InstanceTag {
            account: subject.account.clone(),
            region: Region::parse("us-east-1").unwrap(),
            instance: InstanceId::parse("i-0a1b2c3d").unwrap(),
        };
        let change = Change { target, before: TagValue(None), after: TagValue(Some("x".into())) };
        let step = PlannedStep::new(CUT, change, &subject);
        Plan { steps: vec![step; steps], ..Plan::default() }
    }

    #[test]
    fn a_step_is_judged_by_whose_thing_it_changes() {
        const ARN: &str = "arn:aws:iam::111122223333:role/web";
        let own = subject("AROAOWNOWNOWNOWNOWN11", Some("arn:aws:iam::111122223333:role/cordon"));
        let yaml = |text: &str| Rules::of(Policy::parse(text).unwrap());
        let (plain, ours) = (subject("AROAWEBWEBWEBWEBWEB11", Some(ARN)), own.clone());
        for (policy, mode, subject, steps, expected) in [
            ("version: 1", Mode::Contain, &plain, 1, "contain"),
            ("version: 1", Mode::Approve, &plain, 1, "approve mode"),
            ("version: 1", Mode::Observe, &plain, 1, "observe mode"),
            ("version: 1", Mode::Contain, &ours, 1, "declined own-principal"),
            ("version: 1", Mode::Observe, &ours, 1, "declined own-principal"),
            ("limits: {steps-per-plan: 2}", Mode::Contain, &plain, 2, "contain"),
            ("limits: {steps-per-plan: 2}", Mode::Contain, &plain, 3, "approve steps-per-plan"),
            (
                "protections: [{arn: 'arn:aws:iam::111122223333:role/web', because: till}]",
                Mode::Contain,
                &plain,
                1,
                "declined protected",
            ),
            (
                "protections: [{unique-id: AROAWEBWEBWEBWEBWEB11, because: till}]",
                Mode::Contain,
                &plain,
                1,
                "declined protected",
            ),
            ("protections: [{account: '111122223333', because: till}]", Mode::Approve, &plain, 1, "declined protected"),
            ("protections: [{account: '111122223334', because: till}]", Mode::Contain, &plain, 1, "contain"),
            (
                "break-glass: [{arn: 'arn:aws:iam::111122223333:role/web'}]",
                Mode::Contain,
                &plain,
                1,
                "declined break-glass",
            ),
            (
                "own-principals: [{unique-id: AROAWEBWEBWEBWEBWEB11}]",
                Mode::Contain,
                &plain,
                1,
                "declined own-principal",
            ),
            ("protections: [{tag: {key: env}, because: till}]", Mode::Contain, &plain, 1, "approve protected-by-tag"),
            ("protections: [{tag: {key: env}, because: till}]", Mode::Observe, &plain, 1, "observe mode"),
            ("protections: [{tag: {key: env, value: test}, because: till}]", Mode::Contain, &plain, 1, "contain"),
            (
                "protections: [{tag: {key: env, value: test}, because: till}]",
                Mode::Contain,
                &Subject { tags: None, ..plain.clone() },
                1,
                "approve tags-unknown",
            ),
            ("operators: [{unique-id: AROAWEBWEBWEBWEBWEB11}]", Mode::Contain, &plain, 1, "approve operator"),
            (
                "protections: [{arn: 'arn:aws:iam::111122223333:role/other', because: x}]",
                Mode::Contain,
                &super::tests::subject("AROAX", None),
                1,
                "approve arn-unknown",
            ),
            (
                "protections: [{account: '111122223334', because: x}]",
                Mode::Contain,
                &super::tests::subject("AROAX", None),
                1,
                "contain",
            ),
        ] {
            let verdicts = judge(&plan(subject.clone(), steps), mode, &yaml(policy), &own, None);
            assert_eq!(verdicts.len(), steps);
            let shown = match &verdicts[0] {
                Verdict::Contain => "contain".to_owned(),
                Verdict::AwaitApproval(why) => format!("approve {}", why.code),
                Verdict::Observe(why) => format!("observe {}", why.code),
                Verdict::Declined(why) => format!("declined {}", why.code),
            };
            assert_eq!(shown, expected, "{policy} {mode} {}", subject.unique_id);
        }
    }

    #[test]
    fn an_approval_lets_through_that_plan_and_nothing_that_is_declined() {
        let own = subject("AROAOWNOWNOWNOWNOWN11", None);
        let (plain, policy) = (plan(subject("AROAWEBWEBWEBWEBWEB11", None), 1), Rules::default());
        let hash = plain.hash();
        assert_eq!(judge(&plain, Mode::Approve, &policy, &own, Some(&hash)), [Verdict::Contain]);
        let blind = Rules { is_blind: true, ..Rules::default() };
        for mode in [Mode::Approve, Mode::Contain] {
            assert!(matches!(judge(&plain, mode, &blind, &own, Some(&hash))[..], [Verdict::AwaitApproval(_)]));
        }
        assert!(matches!(
            judge(&plain, Mode::Approve, &policy, &own, Some("0123456789abcdef"))[..],
            [Verdict::AwaitApproval(_)]
        ));
        assert!(matches!(judge(&plain, Mode::Observe, &policy, &own, Some(&hash))[..], [Verdict::Observe(_)]));
        assert!(matches!(
            judge(&plan(own.clone(), 1), Mode::Approve, &policy, &own, Some(&hash))[..],
            [Verdict::Declined(_)]
        ));
    }
}
