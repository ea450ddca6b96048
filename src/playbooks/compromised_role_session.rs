//! Denies one session of a role whose credentials are in strange hands.
//!
//! # What it does
//! Puts an inline policy on the role that denies everything to `aws:userid` = role id and session name. Nothing wider: other
//! sessions of the role go on. An instance's session keeps its name when its credentials are renewed, so it stays denied.
//! # Fires on
//! GuardDuty findings of the IAMUser and S3 families about an assumed role, exfiltrated instance credentials among them.
//! # Blast radius
//! Whatever works under that session name stops: one instance, one function, one person's session.
//! # Undo
//! `cordon release` deletes the policy, or puts back what stood under its name, only where nobody changed it since. Nothing
//! goes back by itself.
//! # Limits
//! Where the caller chooses the session name, he can assume the role again under another: the outcome is then
//! PartiallyContained, and who may assume the role is for a person to decide. Service-linked roles and Identity Center's
//! roles cannot be changed from within the account and are declined with the place where they can. IAM takes seconds to
//! spread the policy.
//! # References
//! IAM user guide, "AWS global condition context keys", `aws:userid`; "Using service-linked roles"; MITRE ATT&CK T1550.001.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{CUT, Case, Plan, PlannedStep, Playbook};
use crate::{
    actions::{Change, PolicyState},
    domain::{InstanceId, Outcome, OutcomeKind, ResidualRisk, Way},
    policy::Subject,
    survey::{Facts, RoleSession},
    triage::Situation,
};

pub struct CompromisedRoleSession;

impl Playbook for CompromisedRoleSession {
    fn id(&self) -> &'static str {
        "compromised-role-session"
    }

    fn situation(&self) -> Situation {
        Situation::CompromisedRoleSession
    }

    fn source(&self) -> &'static str {
        include_str!("compromised_role_session.rs")
    }

    fn plan(&self, facts: &Facts, _case: &Case<'_>) -> Result<Plan, Outcome> {
        let Facts::RoleSession(session) = facts else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no role session"));
        };
        changeable(&session.role.path)?;
        let target = session.deny.clone();
        let subject = Subject {
            account: target.account.clone(),
            arn: Some(session.role.arn.clone()),
            unique_id: target.role_id.to_string(),
        };
        let residual = residual(session);
        let change = Change { target, before: session.state.clone(), after: PolicyState::Deny }.into();
        Ok(Plan { steps: vec![PlannedStep { stage: CUT, change, subject }], residual, refused: Vec::new() })
    }
}

fn changeable(path: &str) -> Result<(), Outcome> {
    let declined = |code, why: &str| Err(Outcome::because(OutcomeKind::Declined, code, why));
    if path.starts_with("/aws-service-role/") {
        return declined(
            "service-linked-role",
            "a service-linked role cannot be changed; look at the service that it belongs to",
        );
    }
    if path.starts_with("/aws-reserved/") {
        return declined(
            "identity-center-role",
            "an Identity Center role cannot be changed from within the account; revoke the person's sessions or the assignment in Identity Center",
        );
    }
    Ok(())
}

fn residual(session: &RoleSession) -> Vec<ResidualRisk> {
    let mut residual =
        vec![ResidualRisk { way: Way::Unseen, text: "IAM takes seconds to spread the policy".to_owned() }];
    // EC2 names the session of an instance's role after the instance; anybody else chooses.
    if InstanceId::parse(session.deny.session.as_str()).is_err() {
        let role = &session.deny.role;
        let text = format!("role {role} can be assumed again under another session name; look at who may assume it");
        residual.push(ResidualRisk { way: Way::Open, text });
    }
    residual
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::SessionDeny,
        domain::{AccountId, Arn, IncidentId, Partition, RoleId, RoleName, SessionName},
        survey::Role,
    };

    fn planned(path: &str, session: &str) -> Result<(usize, bool), String> {
        let deny = SessionDeny {
            account: AccountId::parse("111122223333").unwrap(),
            role: RoleName::parse("web").unwrap(),
            role_id: RoleId::parse("AROACKCEVSQ6C2EXAMPLE").unwrap(),
            session: SessionName::parse(session).unwrap(),
        };
        let role = Role { arn: Arn::parse("arn:aws:iam::111122223333:role/web").unwrap(), path: path.into() };
        let facts = Facts::RoleSession(RoleSession { role, deny, state: PolicyState::Absent });
        let incident = IncidentId::parse("amber-otter-k7m2q").unwrap();
        let plan =
            CompromisedRoleSession.plan(&facts, &Case { incident: &incident, partition: &Partition::standard() });
        plan.map(|p| (p.steps.len(), p.residual.iter().any(|r| r.way == Way::Open)))
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
