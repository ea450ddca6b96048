//! Contains whoever granted himself, or others, more than he had.
//!
//! # What it does
//! Contains the principal behind the call, as compromised-access-key or compromised-role-session does. Where the call made an access key,
//! that key becomes Inactive, whoever's it is. The user who was granted more, or for whom a way in was made, is a target of the same
//! incident, once a person agrees: he may be a victim. What the call granted stays, and the command that takes it back is printed where there is one;
//! for versions, trust and boundaries what to look at.
//! # Fires on
//! CloudTrail: policies and versions that grant administration, one's own rights extended, trust for strangers, boundaries removed, roles
//! passed to what one controls; and ways in that stay: keys, passwords and providers made for others.
//! # Blast radius
//! The principal can do nothing, and whatever runs as him stops: he may have been allowed to do it, and so a person approves by default.
//! # Undo
//! `cordon release` takes the denies away; keys stay Inactive unless `--reactivate-keys` asks for them.
//! # Limits
//! Policies, versions, trust, passwords and boundaries are not changed: the undo commands are printed for a person. Roles and
//! groups that were granted more are named, and their sessions and members contained only if they act. What an operator or a break-glass
//! principal of the policy granted makes nobody a target. Keys made for others are Medium, and by default only read.
//! # References
//! IAM user guide, "Policy evaluation logic"; MITRE ATT&CK T1098, T1548.005.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    CUT, Case, Plan, PlannedStep, Playbook, Refusal, compromised_access_key::CompromisedAccessKey,
    compromised_role_session::CompromisedRoleSession,
};
use crate::{
    actions::{Change, KeyStatus},
    domain::{Outcome, OutcomeKind, Reason, Situation},
    policy::Subject,
    survey::{Facts, Unread},
};

pub struct PrivilegeEscalation;

impl Playbook for PrivilegeEscalation {
    fn id(&self) -> &'static str {
        "privilege-escalation"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::PrivilegeEscalation, Situation::Persistence]
    }

    fn source(&self) -> &'static str {
        include_str!("privilege_escalation.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let mut plan = match facts {
            Facts::User(_) => CompromisedAccessKey.plan(facts, case),
            Facts::RoleSession(_) => CompromisedRoleSession.plan(facts, case),
            _ => Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no principal")),
        }?;
        if case.is_granted {
            // Or whoever may grant could have Cordon shut out anybody.
            let why = "he was granted more by somebody else, and may be his victim: a person must agree";
            plan.approval.push(Reason::new("granted-by-another", why));
        }
        match case.made {
            Some(Ok((key, status, arn))) => {
                let subject = Subject::new(&key.account, arn.clone(), key.user_id.as_str());
                let change = Change { target: key.clone(), before: *status, after: KeyStatus::Inactive };
                let step = PlannedStep::new(CUT, change, &subject);
                // He may have made it for himself.
                if !plan.steps.iter().any(|known| known.change.shown().key() == step.change.shown().key()) {
                    plan.steps.push(step);
                }
            }
            Some(Err(Unread { why, is_passing })) => {
                let why = format!("the key that the call made could not be looked up, and may work: {why}");
                plan.refused.push(Refusal::unread("made-key-unreadable", why, *is_passing));
            }
            None => {}
        }
        Ok(plan)
    }
}
