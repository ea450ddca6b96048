//! A plan: changes in stages, what stays possible, and what could not be planned.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    actions::AnyChange,
    domain::{InterfaceId, Reason, ResidualRisk},
    policy::Subject,
};
use sha2::{Digest, Sha256};

/// The stage whose steps go out at once and contain the target.
pub const CUT: u8 = 0;
/// What makes the cut complete, once it is seen to hold.
pub const SETTLE: u8 = 1;
/// What is kept to be looked at.
pub const EVIDENCE: u8 = 2;
/// What spares others the silence.
pub const TRAFFIC: u8 = 3;

/// What is said of tracked connections unless a passage ended them.
pub const ESTABLISHED: &str =
    "connections that were established before may go on; stop the instance if that must not be";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<PlannedStep>,
    pub residual: Vec<ResidualRisk>,
    /// Steps that a person would expect and that cannot be taken.
    pub refused: Vec<Refusal>,
    /// Interfaces that may pass the open group after the cut, because their connections leave by an internet gateway.
    pub passages: Vec<InterfaceId>,
    /// Why a person must decide, whatever the mode: more hangs on the target than the target.
    pub approval: Vec<Reason>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    pub stage: u8,
    pub change: AnyChange,
    /// What guards compare with protections.
    pub subject: Subject,
}

/// A known way that stays open, because it could not be closed safely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub why: String,
}

impl Plan {
    /// Over the sorted lines, not over JSON: features of dependencies reorder its keys.
    pub fn hash(&self) -> String {
        hash(self.steps.iter().map(|step| &step.change))
    }
}

/// Hash of a list of changes: unique id of the target, action and `after`, sorted. 16 hexadecimal digits.
pub fn hash<'a>(changes: impl Iterator<Item = &'a AnyChange>) -> String {
    let mut lines: Vec<String> = changes.map(|change| change.shown().line()).collect();
    lines.sort();
    Sha256::digest(lines.join("\n")).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
