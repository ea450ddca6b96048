//! Denies one session of a role whose credentials are in strange hands.
//!
//! # What it does
//! Puts an inline policy on the role that denies everything to `aws:userid` = role id and session name. Nothing wider: other
//! sessions of the role go on. An instance's session keeps its name when its credentials are renewed, so it stays denied.
//! Sessions of other roles that it has assumed in the last twelve hours are looked up in CloudTrail by its key, and denied each on its role.
//!
//! Offered, and done only if an operator asks for it by name: `whole-role-cutoff`, which denies all sessions of the role that were
//! issued until then.
//! # Fires on
//! GuardDuty findings of the IAMUser and S3 families about an assumed role, exfiltrated instance credentials among them.
//! # Blast radius
//! Whatever works under that session name stops: one instance, one function, one person's session.
//! # Undo
//! `cordon release` deletes the policy, or puts back what stood under its name, only where nobody changed it since. Nothing
//! goes back by itself.
//! # Limits
//! The name of a session is fixed only where the role trusts EC2 or Lambda alone. Anywhere else the caller chooses it, and can assume
//! the role again under another: the outcome is then PartiallyContained, and names who may assume the role. Service-linked roles and Identity Center's
//! roles cannot be changed from within the account and are declined with the place where they can. IAM takes seconds to
//! spread the policy.
//! # References
//! IAM user guide, "AWS global condition context keys", `aws:userid`; "Using service-linked roles"; MITRE ATT&CK T1550.001.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Advice, BEYOND, CUT, Case, Offer, Plan, PlannedStep, Playbook, handed_on};
use crate::{
    actions::{Change, Cutoff, PolicyState},
    domain::{Outcome, OutcomeKind, ResidualRisk, Situation, Way},
    policy::Subject,
    principal::{self, Session},
    survey::{Facts, RoleSession},
};

pub struct CompromisedRoleSession;

impl Playbook for CompromisedRoleSession {
    fn id(&self) -> &'static str {
        "compromised-role-session"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::CompromisedRoleSession]
    }

    fn source(&self) -> &'static str {
        include_str!("compromised_role_session.rs")
    }

    fn plan(&self, facts: &Facts, _case: &Case<'_>) -> Result<Plan, Outcome> {
        let Facts::RoleSession(session) = facts else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no role session"));
        };
        let what = principal::session_of(&session.role.path, session.role.trust.as_ref(), &session.deny.session);
        let what = what.map_err(|cannot| Outcome::because(OutcomeKind::Declined, cannot.code, cannot.why))?;
        let target = session.deny.clone();
        let subject = Subject::new(&target.account, Some(session.role.arn.clone()), target.role_id.as_str());
        let subject = subject.tagged(&session.role.tags);
        let residual = residual(session, &what);
        let change = Change { target, before: session.state.clone(), after: PolicyState::Deny };
        let mut plan = Plan { steps: vec![PlannedStep::new(CUT, change, &subject)], residual, ..Plan::default() };
        let role = &session.deny.role;
        plan.advice = vec![
            Advice::new(
                "who may take the role on",
                format!("aws iam get-role --role-name {role} --query Role.AssumeRolePolicyDocument"),
            ),
            Advice::new(
                "what the role may do",
                format!(
                    "aws iam list-attached-role-policies --role-name {role}; aws iam list-role-policies --role-name {role}"
                ),
            ),
        ];
        handed_on::deny(session.handed_on.as_ref(), &mut plan);
        offer_cutoff(session, &subject, &mut plan);
        Ok(plan)
    }
}

/// The session's deny leaves every other session of the role, also those that the same hands made under other names.
fn offer_cutoff(session: &RoleSession, subject: &Subject, plan: &mut Plan) {
    match &session.cutoff {
        Some((target, Ok(before))) => {
            let after = Cutoff::Now { from: session.at };
            let step =
                PlannedStep::new(BEYOND, Change { target: target.clone(), before: before.clone(), after }, subject);
            let why = "ends all sessions of the role that were issued until then; whatever works with the role must get new credentials".to_owned();
            plan.offers.push(Offer { name: "whole-role-cutoff", why, steps: vec![step] });
        }
        Some((_, Err(error))) => {
            let text = format!("whether all sessions of the role are cut off already could not be read: {error}");
            plan.residual.push(ResidualRisk { way: Way::Unseen, text });
        }
        None => {}
    }
}

fn residual(session: &RoleSession, what: &Session) -> Vec<ResidualRisk> {
    let unseen = |text: String| ResidualRisk { way: Way::Unseen, text };
    let mut residual = vec![
        unseen("IAM takes seconds to spread the policy".to_owned()),
        unseen(format!("it is {}", what.kind.shown())),
    ];
    if !what.again.is_empty() {
        let (role, who) = (&session.deny.role, what.again.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
        let text = format!("role {role} can be assumed again under another session name, by {who}");
        residual.push(ResidualRisk { way: Way::Open, text });
    }
    residual
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::SessionDeny,
        domain::{AccountId, Arn, RoleId, RoleName, SessionName, Timestamp},
        survey::Role,
    };
    use serde_json::json;

    fn planned(path: &str, session: &str) -> Result<(usize, bool), String> {
        let deny = SessionDeny {
            account: AccountId::parse("111122223333").unwrap(),
            role: RoleName::parse("web").unwrap(),
            role_id: RoleId::parse("AROACKCEVSQ6C2EXAMPLE").unwrap(),
            session: SessionName::parse(session).unwrap(),
        };
        let trust = json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}]});
        let arn = Arn::parse("arn:aws:iam::111122223333:role/web").unwrap();
        let role = Role { arn, path: path.into(), trust: Some(trust), tags: Default::default() };
        let facts = Facts::RoleSession(Box::new(RoleSession {
            role,
            deny,
            state: PolicyState::Absent,
            key: None,
            at: Timestamp::from_millis(0),
            cutoff: None,
            handed_on: None,
        }));
        let plan = super::super::planned(&CompromisedRoleSession, &facts);
        plan.map(|p| (p.steps.len(), p.residual.iter().any(|r| r.way.is_open())))
            .map_err(|o| o.reasons[0].code.to_string())
    }

    #[test]
    fn a_session_is_denied_whole_only_where_its_name_is_fixed() {
        assert_eq!(planned("/", "i-0a1b2c3d"), Ok((1, false)));
        assert_eq!(planned("/", "someone@example.com"), Ok((1, true)));
        assert_eq!(planned("/team/", "i-notaninstance"), Ok((1, true)));
    }

    #[test]
    fn roles_that_cannot_be_changed_are_declined() {
        assert_eq!(
            planned("/aws-service-role/elasticloadbalancing.amazonaws.com/", "elb"),
            Err("service-linked-role".into())
        );
        assert_eq!(
            planned("/aws-reserved/sso.amazonaws.com/eu-west-1/", "someone"),
            Err("identity-center-role".into())
        );
    }
}
