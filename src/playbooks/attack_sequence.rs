//! Contains whom and what GuardDuty has found to belong to one attack, as one incident.
//!
//! # What it does
//! Takes the actors and resources of `service.detection.sequence` as targets of one incident: instances are contained as compromised
//! instances, users as users with compromised keys, sessions of roles as compromised sessions. There is one message, one approval and one
//! release for all of them, and each takes its place in the hour's limits.
//! # Fires on
//! GuardDuty's `AttackSequence:` findings, which are always Critical.
//! # Blast radius
//! That of the playbooks for each target, together.
//! # Undo
//! `cordon release` releases each target as its own playbook says.
//! # Limits
//! With several principals, or more targets than the policy's `targets-per-sequence`, a person must approve the whole: what a fleet has in
//! common is no proof against each of it. Buckets, clusters, images and what lies in other accounts is listed with the reason, not
//! touched. What each playbook offers beyond its plan is offered when the target is named by hand.
//! # References
//! GuardDuty user guide, "Attack sequence finding types"; MITRE ATT&CK TA0040.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    Case, Plan, Playbook, compromised_access_key::CompromisedAccessKey, compromised_instance::CompromisedInstance,
    compromised_role_session::CompromisedRoleSession,
};
use crate::{
    domain::{Outcome, OutcomeKind, Situation},
    survey::Facts,
};

pub struct AttackSequence;

impl Playbook for AttackSequence {
    fn id(&self) -> &'static str {
        "attack-sequence"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::AttackSequence]
    }

    fn source(&self) -> &'static str {
        include_str!("attack_sequence.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let plan = match facts {
            Facts::Instance(_) => CompromisedInstance.plan(facts, case),
            Facts::User(_) => CompromisedAccessKey.plan(facts, case),
            Facts::RoleSession(_) => CompromisedRoleSession.plan(facts, case),
            _ => Err(Outcome::because(OutcomeKind::Declined, "other-target", "no playbook contains such a target")),
        }?;
        Ok(Plan { offers: Vec::new(), ..plan })
    }
}
