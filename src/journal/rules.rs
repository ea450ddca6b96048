//! What operators put, and what is counted against them: versions of the policy, the pause switch, budgets, marks.

use super::JournalError;
use crate::{
    domain::Timestamp,
    policy::{Budget, Pause},
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One version of the policy, as it was put. Versions are never changed and never deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// From 1.
    pub version: u32,
    /// YAML; `None` where the item was edited by hand and holds none.
    pub text: Option<String>,
    /// Why the item cannot be read, where it cannot.
    #[serde(skip)]
    pub unreadable: Option<String>,
    /// The ARN of whoever put it.
    pub by: String,
    pub at: Timestamp,
    #[serde(default)]
    pub because: String,
}

/// What holds now, as it stands in the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    pub newest: Option<PolicyVersion>,
    /// `Err` where it cannot be read.
    pub pause: Option<Result<Pause, String>>,
}

pub trait RuleStore: Send + Sync {
    /// One read.
    fn standing(&self) -> BoxFuture<'_, Result<Standing, JournalError>>;
    /// The newest first.
    fn policies(&self, most: usize) -> BoxFuture<'_, Result<Vec<PolicyVersion>, JournalError>>;
    /// Returns whether it was put; not, if somebody else has put that version meanwhile.
    fn put_policy<'a>(&'a self, version: &'a PolicyVersion) -> BoxFuture<'a, Result<bool, JournalError>>;
    /// In place of the one that was.
    fn set_pause<'a>(&'a self, pause: &'a Pause) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Takes a place of the budget, or finds it taken by the same member; returns whether there was one.
    fn take<'a>(&'a self, budget: &'a Budget) -> BoxFuture<'a, Result<bool, JournalError>>;
    /// Gives a place back.
    fn give<'a>(&'a self, budget: &'a Budget) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Marks something once; returns whether it was new. The mark is forgotten some time after `lasts`.
    fn mark<'a>(&'a self, what: &'a str, lasts: Duration, now: Timestamp) -> BoxFuture<'a, Result<bool, JournalError>>;
    fn is_marked<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<bool, JournalError>>;
}
