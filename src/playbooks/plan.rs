//! A plan: changes in stages, what stays possible, and what could not be planned.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    actions::AnyChange,
    domain::{InterfaceId, Reason, ResidualRisk, Way, fingerprint},
    policy::Subject,
};
use std::collections::BTreeMap;

/// The stage whose steps go out at once and contain the target.
pub const CUT: u8 = 0;
/// What makes the cut complete, once it is seen to hold.
pub const SETTLE: u8 = 1;
/// What is kept to be looked at.
pub const EVIDENCE: u8 = 2;
/// What spares others the silence.
pub const TRAFFIC: u8 = 3;
/// What was asked for beyond the plan, once all else is done.
pub const BEYOND: u8 = 4;

/// What is said of tracked connections unless a passage ended them.
pub const ESTABLISHED: &str =
    "connections that were established before may go on; stop the instance if that must not be";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<PlannedStep>,
    pub residual: Vec<ResidualRisk>,
    pub unless_held: Vec<UnlessHeld>,
    /// Steps that a person would expect and that cannot be taken.
    pub refused: Vec<Refusal>,
    /// Interfaces that may pass the open group after the cut, because their connections leave by an internet gateway.
    pub passages: Vec<InterfaceId>,
    /// Why a person must decide, whatever the mode: more hangs on the target than the target.
    pub approval: Vec<Reason>,
    /// The Auto Scaling group that would replace the target, and do so again.
    pub replaced_by: Option<String>,
    /// What more a person may want. Never done unasked.
    pub offers: Vec<Offer>,
    /// Offers that were approved and are others now.
    pub asked_again: Vec<Reason>,
    /// Why there is nothing to do, where there is not.
    pub idle: Option<Reason>,
    /// What a person does next: printed, never run.
    pub advice: Vec<Advice>,
}

/// Of what could not be looked at: it is open, unless a step of this key was seen to hold before, which then is all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlessHeld {
    pub key: String,
    pub open: ResidualRisk,
    pub held: ResidualRisk,
}

/// A command for whoever eradicates and recovers. Every id in it has passed its grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What it is good for.
    pub why: String,
    pub command: String,
}

impl Advice {
    pub fn new(why: &str, command: String) -> Self {
        Self { why: why.to_owned(), command }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    pub stage: u8,
    pub change: AnyChange,
    /// What guards compare with protections.
    pub subject: Subject,
    /// An operator asked for it by name.
    pub is_asked_for: bool,
}

impl PlannedStep {
    pub fn new(stage: u8, change: impl Into<AnyChange>, subject: &Subject) -> Self {
        Self { stage, change: change.into(), subject: subject.clone(), is_asked_for: false }
    }
}

/// Steps that go further than the plan, at a cost that only a person can weigh.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub name: &'static str,
    /// What it is good for, and what it costs.
    pub why: String,
    pub steps: Vec<PlannedStep>,
}

impl Offer {
    /// Whether there is anything of it to do.
    fn is_owed(&self) -> bool {
        self.steps.iter().any(|step| !step.change.is_already_so())
    }

    /// An approval binds to it.
    pub fn hash(&self) -> String {
        hash(self.steps.iter().map(|step| &step.change))
    }
}

/// A known way that stays open, because it could not be closed safely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub why: String,
    pub way: Way,
}

impl Refusal {
    pub fn new(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), way: Way::Open }
    }

    /// Because it could not be read, which asking again may heal.
    pub fn unread(code: &'static str, why: String, is_passing: bool) -> Self {
        Self { code, why, way: Way::of_unread(is_passing) }
    }
}

impl Plan {
    /// Over the sorted lines, not over JSON: features of dependencies reorder its keys.
    pub fn hash(&self) -> String {
        hash(self.steps.iter().filter(|step| !step.is_asked_for).map(|step| &step.change))
    }

    /// Takes in what an operator approved beyond it, by name and hash. What is another by now is asked about again.
    pub fn take_in(&mut self, approved: &BTreeMap<String, String>) {
        for offer in std::mem::take(&mut self.offers) {
            match approved.get(offer.name) {
                Some(hash) if *hash == offer.hash() => {
                    self.steps.extend(offer.steps.into_iter().map(|step| PlannedStep { is_asked_for: true, ..step }));
                }
                Some(_) if offer.is_owed() => {
                    let why = format!("`{}` is not what was approved any more: approve it again", offer.name);
                    self.asked_again.push(Reason::new("offer-changed", why));
                    self.offers.push(offer);
                }
                _ => self.offers.push(offer),
            }
        }
        self.offers.retain(Offer::is_owed);
    }
}

/// Hash of a list of changes: unique id of the target, action and `after`, sorted. 16 hexadecimal digits.
pub fn hash<'a>(changes: impl Iterator<Item = &'a AnyChange>) -> String {
    let mut lines: Vec<String> = changes.map(|change| change.shown().line()).collect();
    lines.sort();
    fingerprint(&lines.join("\n"))
}
