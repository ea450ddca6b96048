//! Playbooks: from the facts of a target to a plan. Pure; facts and ids come in, changes go out as data.
//!
//! A new playbook costs its file, its `mod` line and its line in [`ALL`].
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod compromised_access_key;
mod compromised_instance;
mod compromised_role_session;
mod handed_on;
mod plan;

pub use plan::{BEYOND, CUT, ESTABLISHED, EVIDENCE, Offer, Plan, PlannedStep, Refusal, SETTLE, TRAFFIC, hash};

use crate::{
    domain::{IncidentId, Outcome, Partition, Situation},
    survey::Facts,
};

/// Every playbook there is.
pub const ALL: &[&dyn Playbook] = &[
    &compromised_instance::CompromisedInstance,
    &compromised_access_key::CompromisedAccessKey,
    &compromised_role_session::CompromisedRoleSession,
];

pub trait Playbook: Sync {
    /// Names the situation, never the cure.
    fn id(&self) -> &'static str;
    fn situation(&self) -> Situation;
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
}

pub fn for_situation(situation: Situation) -> Option<&'static dyn Playbook> {
    ALL.iter().copied().find(|playbook| playbook.situation() == situation)
}

/// The `//!` text of a source file.
pub fn page(source: &str) -> String {
    let lines =
        source.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_playbook_has_a_situation_of_its_own_and_a_whole_page() {
        for playbook in ALL {
            let (id, page) = (playbook.id(), playbook.page());
            assert_eq!(playbook.situation().to_string(), id, "the id names the situation");
            assert_eq!(ALL.iter().filter(|other| other.situation() == playbook.situation()).count(), 1, "{id}");
            let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# ")).collect();
            assert_eq!(headings, ["What it does", "Fires on", "Blast radius", "Undo", "Limits", "References"], "{id}");
        }
    }
}
