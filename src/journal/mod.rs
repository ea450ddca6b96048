//! What was there before, kept so that it survives: the containment of each target, the registry of our own groups, and what
//! people were told. Must not decide anything.

mod memory;

pub use memory::MemoryJournal;

use crate::{
    actions::AnyChange,
    domain::{AccountId, GroupId, IncidentId, Region, Target, Timestamp, VpcId},
    engine::State,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// Shorter than the first recheck, so that a recheck never waits for a worker that is gone.
pub const LEASE: Duration = Duration::from_secs(4);

/// The journal of one target: every change with its `before`, made or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Containment {
    pub target: Target,
    /// The incident that people were told of; others join it.
    pub opened_by: IncidentId,
    /// The incidents that hold it; the last one released releases it.
    pub holders: BTreeSet<IncidentId>,
    pub steps: Vec<Step>,
}

/// A change and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub stage: u8,
    pub state: State,
    pub change: AnyChange,
}

/// The right to work on a target for a while. Every write is fenced by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub target: String,
    pub fence: u64,
}

#[derive(Debug)]
pub enum Claim {
    /// Ours until the lease ends. `inbox` counts the deliveries that others left so far.
    Held { lease: Lease, containment: Option<Box<Containment>>, inbox: u64 },
    /// Somebody is at work; the delivery was put into his inbox.
    Joined,
}

#[derive(Debug, PartialEq, Eq)]
pub enum GivenBack {
    Yes,
    /// Something came into the inbox meanwhile: look at the target again. `inbox` is what there is now.
    NotYet {
        inbox: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("lost the lease on `{0}`: another worker goes on with it")]
    LeaseLost(String),
    #[error("cannot reach the journal: {0}")]
    Unreachable(String),
}

/// Kept in memory for one process, or in a table for all.
pub trait Journal: Registry {
    /// Takes the lease, or leaves the incident in the inbox of whoever holds it.
    fn claim<'a>(
        &'a self,
        target: &'a str,
        incident: &'a IncidentId,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Claim, JournalError>>;
    /// What is known of the target, without claiming it.
    fn read<'a>(&'a self, target: &'a str) -> BoxFuture<'a, Result<Option<Containment>, JournalError>>;
    /// Keeps the whole containment and extends the lease.
    fn write<'a>(
        &'a self,
        lease: &'a Lease,
        containment: &'a Containment,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Ends the lease, only if nothing has come into the inbox since `inbox` was counted.
    fn give_back<'a>(&'a self, lease: &'a Lease, inbox: u64) -> BoxFuture<'a, Result<GivenBack, JournalError>>;
    /// What people were told last of the incident, as a digest.
    fn told<'a>(&'a self, incident: &'a IncidentId) -> BoxFuture<'a, Result<Option<String>, JournalError>>;
    fn tell<'a>(&'a self, incident: &'a IncidentId, digest: String) -> BoxFuture<'a, Result<(), JournalError>>;
}

/// The quarantine groups that Cordon made itself. A group that is not in it is a stranger's, whatever its name.
pub trait Registry: Send + Sync {
    fn groups<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<HashMap<VpcId, GroupId>, JournalError>>;
    fn enter<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        vpc: &'a VpcId,
        group: &'a GroupId,
    ) -> BoxFuture<'a, Result<(), JournalError>>;
}
