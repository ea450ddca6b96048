//! Playbooks: from the facts of a target to a plan. Pure; facts and ids come in, changes go out as data.
//!
//! A new playbook costs its file, its `mod` line and its line in [`ALL`].
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod attack_sequence;
mod audit_trail_silenced;
mod compromised_access_key;
mod compromised_instance;
mod compromised_role_session;
mod exposed_bucket;
mod exposed_port;
mod handed_on;
mod hostile_address;
mod leaked_key;
mod malware_found;
mod plan;
mod privilege_escalation;
mod root_used;
mod sensors;
mod threat_detection_silenced;

pub use plan::{
    Advice, BEYOND, CUT, ESTABLISHED, EVIDENCE, Offer, Plan, PlannedStep, Refusal, SETTLE, TRAFFIC, UnlessHeld, hash,
};
pub use root_used::CODE as ROOT_USED;
pub use sensors::AS_IN_BASELINE;

use crate::{
    actions::{AccessKeyStatus, KeyStatus},
    domain::{Arn, IncidentId, Outcome, Partition, Situation, Target},
    policy::Policy,
    survey::{Facts, Unread},
};

/// Every playbook there is.
pub const ALL: &[&dyn Playbook] = &[
    &compromised_instance::CompromisedInstance,
    &compromised_access_key::CompromisedAccessKey,
    &compromised_role_session::CompromisedRoleSession,
    &attack_sequence::AttackSequence,
    &privilege_escalation::PrivilegeEscalation,
    &leaked_key::LeakedKey,
    &root_used::RootUsed,
    &hostile_address::HostileAddress,
    &malware_found::MalwareFound,
    &exposed_port::ExposedPort,
    &exposed_bucket::ExposedBucket,
    &audit_trail_silenced::AuditTrailSilenced,
    &threat_detection_silenced::ThreatDetectionSilenced,
];

pub trait Playbook: Sync {
    /// Names the situation, never the cure; or what of it is contained.
    fn id(&self) -> &'static str;
    /// What it answers to; the first has its name.
    fn situations(&self) -> &'static [Situation];
    /// The source of the playbook; its `//!` lines are its page.
    fn source(&self) -> &'static str;
    /// # Errors
    /// A Declined outcome where nothing can be done safely, with the reason.
    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome>;

    /// The manual page, with the headings What it does, Fires on, Blast radius, Undo, Limits, References.
    fn page(&self) -> String {
        page(self.source())
    }
}

/// What a plan depends on beside the facts.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub incident: &'a IncidentId,
    pub partition: &'a Partition,
    pub policy: &'a Policy,
    /// With what the event said of it.
    pub target: &'a Target,
    /// Somebody else granted him more, and that is all that is said of him.
    pub is_granted: bool,
    /// The access key that the call made, as it is now.
    pub made: Option<&'a Made>,
    /// AWS Health says it, by an event that comes through no queue.
    pub is_told_by_aws: bool,
}

/// A key with its status and its user's ARN, or why it could not be read.
pub type Made = Result<(AccessKeyStatus, KeyStatus, Option<Arn>), Unread>;

pub fn for_situation(situation: Situation) -> Option<&'static dyn Playbook> {
    ALL.iter().copied().find(|playbook| playbook.situations().contains(&situation))
}

/// The `//!` text of a source file.
pub fn page(source: &str) -> String {
    let lines =
        source.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Plans by the default policy.
#[cfg(test)]
fn planned(playbook: &dyn Playbook, facts: &Facts) -> Result<Plan, Outcome> {
    use crate::domain::AccountId;
    let incident = IncidentId::parse("amber-otter-k7m2q").unwrap();
    let (partition, policy) = (Partition::standard(), Policy::default());
    let target =
        Target::Account { account: AccountId::parse("111122223333").unwrap(), partition: Partition::standard() };
    playbook.plan(
        facts,
        &Case {
            incident: &incident,
            partition: &partition,
            policy: &policy,
            target: &target,
            is_granted: false,
            made: None,
            is_told_by_aws: false,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_playbook_has_a_situation_of_its_own_and_a_whole_page() {
        for playbook in ALL {
            let (id, page) = (playbook.id(), playbook.page());
            // Who is only attacked is not contained, but his attacker.
            assert!(playbook.situations()[0].to_string() == id || id == "hostile-address", "{id} names no situation");
            for situation in playbook.situations() {
                assert_eq!(ALL.iter().filter(|other| other.situations().contains(situation)).count(), 1, "{id}");
            }
            let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# ")).collect();
            assert_eq!(headings, ["What it does", "Fires on", "Blast radius", "Undo", "Limits", "References"], "{id}");
        }
    }
}
