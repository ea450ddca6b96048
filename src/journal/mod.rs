//! What was there before, kept so that it survives: the containment of each target, the incidents, the registry of our own
//! groups. Must not decide anything.

mod dynamodb;
mod memory;
mod rules;
mod tallies;

pub use dynamodb::DynamoJournal;
pub use memory::MemoryJournal;
pub use rules::{PolicyVersion, RuleStore, Standing};
pub use tallies::{MemoryTallies, Tallies};

use crate::{
    actions::AnyChange,
    decision::Treatment,
    domain::{
        AccountId, GroupId, IncidentId, OutcomeKind, Reason, Region, Report, StepReport, Target, Timestamp, VpcId,
        WAITS,
    },
    engine::State,
    survey::Baseline,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
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
    /// The incidents that held it and were released.
    #[serde(default)]
    pub past: BTreeSet<IncidentId>,
    pub steps: Vec<Step>,
    /// What happened, oldest first; the last [`MOST_ENTRIES`].
    pub timeline: Vec<Entry>,
    /// When the first plan was journalled; what was there before is from a moment earlier.
    #[serde(default)]
    pub begun: Option<Timestamp>,
    /// When it was released; evidence that is not newer does not contain again.
    pub released: Option<Timestamp>,
}

/// Steps kept of one containment: an item has 400 KB, and an attacker can make interfaces and volumes all day.
pub const MOST_STEPS: usize = 200;

/// Entries kept of one containment.
pub const MOST_ENTRIES: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub text: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.at, self.text)
    }
}

impl Containment {
    /// The incident that people know it by: who opened it, or one that still holds it.
    pub fn known_as(&self) -> &IncidentId {
        match self.holders.contains(&self.opened_by) {
            true => &self.opened_by,
            false => self.holders.first().unwrap_or(&self.opened_by),
        }
    }

    /// What no longer exists needs no looking after, and would fill the item in the end.
    pub fn without_what_is_gone(mut self) -> Self {
        if self.steps.len() > MOST_STEPS / 2 {
            self.steps.retain(|step| step.state != State::Gone);
        }
        self
    }

    /// Whether it has to be looked after.
    pub fn is_held(&self) -> bool {
        self.released.is_none() && !self.is_over()
    }

    /// Whether nothing of it is held any more. What comes then opens a new one.
    pub fn is_over(&self) -> bool {
        self.steps.iter().all(|step| step.state.is_over())
    }
}

/// A change and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub stage: u8,
    pub state: State,
    pub change: AnyChange,
    /// When it was contained again, in the last hour.
    #[serde(default)]
    pub again: Vec<Timestamp>,
    /// When it was last seen as it should be, or was put back by hand.
    #[serde(default)]
    pub seen: Option<Timestamp>,
}

/// The right to work on a target for a while. Every write is fenced by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub target: String,
    /// Nobody else has it.
    pub fence: String,
}

#[derive(Debug)]
pub enum Claim {
    /// Ours until the lease ends. `inbox` is who came while another worked.
    Held { lease: Lease, containment: Option<Box<Containment>>, inbox: Inbox },
    /// Somebody is at work; the delivery was put into his inbox, in which so many wait now.
    Joined { waiting: usize },
}

/// Deliveries that met a live lease, each with a name of its own.
pub type Inbox = BTreeSet<String>;

/// The incidents of those who came.
pub fn joined(inbox: &Inbox) -> impl Iterator<Item = IncidentId> {
    inbox.iter().filter_map(|mark| IncidentId::parse(mark.split('#').next().unwrap_or_default()).ok())
}

#[derive(Debug, PartialEq, Eq)]
pub enum GivenBack {
    Yes,
    /// Something came into the inbox meanwhile: look at the target again.
    NotYet {
        inbox: Inbox,
    },
}

/// An incident, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentRecord {
    pub id: IncidentId,
    pub opened: Timestamp,
    /// `None` where there is nothing to contain, only to tell.
    pub treatment: Option<Treatment>,
    /// The last report that changed something for people.
    pub report: Option<Report>,
    /// Digest of what people were told last.
    pub told: Option<String>,
    /// When the report was kept.
    pub at: Option<Timestamp>,
    pub approval: Approval,
    /// The plan that an operator does not want.
    pub rejected: Option<Rejected>,
    /// What the last look did not give.
    pub unread: Option<UnreadSince>,
    /// What operators did with it, as [`Entry`] writes it.
    pub log: BTreeSet<String>,
}

impl IncidentRecord {
    /// Whether people were not told yet, or have not answered.
    pub fn is_unanswered(&self) -> bool {
        self.at.is_some() && (self.is_waiting() || (self.told.is_none() && self.report.is_some()))
    }

    /// Whether people were asked and it has come to nothing else since.
    pub fn is_waiting(&self) -> bool {
        self.report.as_ref().is_some_and(Report::is_waiting)
    }
}

/// What could not be looked up, where that is all that is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadSince {
    /// The first such look.
    pub since: Timestamp,
    pub what: Vec<String>,
}

/// What an operator does not want done. Another plan is asked about; so is this one, if he approves it after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Hash of the plan.
    pub plan: String,
    pub by: String,
    pub because: String,
    pub at: Timestamp,
    /// The keys of the targets whose plans waited; all where there is none.
    #[serde(default)]
    pub targets: BTreeSet<String>,
}

impl Rejected {
    pub fn is_about(&self, target: &Target) -> bool {
        self.targets.is_empty() || self.targets.contains(&target.key())
    }

    pub fn reason(&self) -> Reason {
        Reason::new("rejected", format!("rejected by {}: {}", self.by, self.because))
    }

    /// Whether all that waits in the report was rejected with it, by the one that people know.
    pub fn covers(&self, report: &Report, known: Option<&Report>) -> bool {
        let no = self.state();
        let is_rejected = |step: &StepReport| {
            let is_it = |old: &StepReport| old.action == step.action && old.target == step.target && old.state == no;
            known.is_some_and(|known| known.steps.iter().any(is_it))
        };
        let mut waiting = report.steps.iter().filter(|step| step.state.starts_with(WAITS)).peekable();
        waiting.peek().is_some() && waiting.all(is_rejected)
    }

    fn state(&self) -> String {
        format!("rejected by {}", self.by)
    }

    /// Its steps wait no longer; what was done beside them stands.
    pub fn taken_out_of(&self, mut report: Report) -> Report {
        for step in report.steps.iter_mut().filter(|step| step.state.starts_with(WAITS)) {
            step.state = self.state();
        }
        if report.outcome.kind != OutcomeKind::AwaitingApproval {
            report.outcome.reasons.push(self.reason());
        }
        report
    }
}

/// What an operator approved; nothing of it outlives a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub plan: Option<Approved>,
    /// What was offered beyond it, by name.
    pub offers: BTreeMap<String, Approved>,
}

/// Each by itself, so that one approval does not make an old one young again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Of the plan, or of the offer.
    pub hash: String,
    /// The hash of each target's plan that it is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    pub at: Timestamp,
    /// The ARN of whoever approved it.
    #[serde(default)]
    pub by: String,
    /// What he saw, a line a step, so that it can be said what is different.
    #[serde(default)]
    pub lines: Vec<String>,
}

impl Approved {
    /// Of one target's plan or offer.
    pub fn new(hash: &str, at: Timestamp, by: &str, lines: Vec<String>) -> Self {
        Self { hash: hash.to_owned(), plans: vec![hash.to_owned()], at, by: by.to_owned(), lines }
    }

    /// Whether it is of this plan, or of several with it.
    pub fn names(&self, plan: &str) -> bool {
        self.hash == plan || self.plans.iter().any(|named| named == plan)
    }
}

impl Approval {
    /// What was approved last, be it over by now.
    pub fn newest(&self) -> Option<&Approved> {
        self.plan.iter().chain(self.offers.values()).max_by_key(|approved| approved.at)
    }

    pub fn is_empty(&self) -> bool {
        self.plan.is_none() && self.offers.is_empty()
    }

    /// Without what nobody acted on in its time.
    pub fn current(mut self, expiry: Duration, now: Timestamp) -> Self {
        let is_current = |approved: &Approved| approved.at.age(now).is_none_or(|age| age < expiry);
        self.plan = self.plan.filter(is_current);
        self.offers.retain(|_, approved| is_current(approved));
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("lost the lease on `{0}`: another worker goes on with it")]
    LeaseLost(String),
    #[error("cannot reach the journal: {0}")]
    Aws(#[from] crate::aws::AwsError),
    #[error("the journal holds something that this version cannot read: {0}")]
    Unreadable(String),
    #[error("there is no incident `{0}`")]
    NoIncident(IncidentId),
}

/// All incidents that there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllIncidents {
    pub records: Vec<IncidentRecord>,
    /// Why some could not be read; they hide no others.
    pub unreadable: Vec<JournalError>,
}

/// Kept in memory for one process, or in a table for all.
pub trait Journal: Registry + RuleStore + Tallies {
    /// Whether it outlives the process, so that an operator's command can release what it holds.
    fn is_durable(&self) -> bool;
    /// Takes the lease, or leaves a mark in the inbox of whoever holds it.
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
    /// Ends the lease, only if the inbox is what was seen.
    fn give_back<'a>(&'a self, lease: &'a Lease, seen: &'a Inbox) -> BoxFuture<'a, Result<GivenBack, JournalError>>;

    /// Remembers that the target may hold a thing that other targets may hold too. Whether it does, its containment says.
    fn share<'a>(&'a self, thing: &'a str, target: &'a str) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Forgets that.
    fn unshare<'a>(&'a self, thing: &'a str, target: &'a str) -> BoxFuture<'a, Result<(), JournalError>>;
    /// The targets that may hold the thing.
    fn sharers<'a>(&'a self, thing: &'a str) -> BoxFuture<'a, Result<BTreeSet<String>, JournalError>>;

    /// Enters the incident if it is new; a known one is treated as the newer evidence says, and keeps its targets beside those that
    /// are new ([`Treatment::joined_with`]). Returns what is known of it then.
    fn open<'a>(
        &'a self,
        id: &'a IncidentId,
        treatment: Option<&'a Treatment>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<IncidentRecord, JournalError>>;
    fn incident<'a>(&'a self, id: &'a IncidentId) -> BoxFuture<'a, Result<Option<IncidentRecord>, JournalError>>;
    /// All of them, in no order.
    fn incidents(&self) -> BoxFuture<'_, Result<AllIncidents, JournalError>>;
    /// Keeps the report of an incident that has none yet: nothing that people were told is replaced.
    fn keep_first<'a>(&'a self, id: &'a IncidentId, report: &'a Report) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Keeps the report, and the digest of what people were told; none where they were not told yet.
    fn conclude<'a>(
        &'a self,
        id: &'a IncidentId,
        report: &'a Report,
        told: Option<&'a str>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Takes the right to ask people about the target; `Some` is the incident that asks about the same things already, as severe or
    /// more, since less than [`ASKED_FOR`]. `instead_of` is one that asks no more.
    fn ask<'a>(
        &'a self,
        target: &'a str,
        question: &'a Question,
        instead_of: Option<&'a IncidentId>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<IncidentId>, JournalError>>;

    /// Containments that are not released, those first that nobody has written to for longest.
    fn held(&self, most: usize) -> BoxFuture<'_, Result<Vec<Containment>, JournalError>>;
    /// Incidents that wait for people, or that people were not told of; the oldest first.
    fn unanswered(&self, most: usize) -> BoxFuture<'_, Result<Vec<IncidentRecord>, JournalError>>;
    /// Counts something for the digest of an hour.
    fn count<'a>(&'a self, hour: i64, what: &'a str) -> BoxFuture<'a, Result<(), JournalError>>;
    /// What was counted in an hour; `None` where it was told already.
    fn counted(&self, hour: i64) -> BoxFuture<'_, Result<Option<Counts>, JournalError>>;
    /// People were told of that hour.
    fn counts_told(&self, hour: i64) -> BoxFuture<'_, Result<(), JournalError>>;
    /// Keeps what is approved from now on, in place of what was.
    fn approve<'a>(&'a self, id: &'a IncidentId, approval: &'a Approval) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Keeps what is not wanted.
    fn reject<'a>(&'a self, id: &'a IncidentId, rejected: &'a Rejected) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Keeps what could not be looked up; `None` once it was.
    fn set_unread<'a>(
        &'a self,
        id: &'a IncidentId,
        unread: Option<&'a UnreadSince>,
    ) -> BoxFuture<'a, Result<(), JournalError>>;
    /// Adds to what operators did with the incident.
    fn log<'a>(&'a self, id: &'a IncidentId, entry: &'a Entry) -> BoxFuture<'a, Result<(), JournalError>>;
}

/// What people are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub incident: IncidentId,
    /// Fingerprint of what would be changed.
    pub things: String,
    /// The higher, the worse.
    pub severity: u8,
}

/// Within this time one incident asks for all that would ask the same.
pub const ASKED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How often what was seen.
pub type Counts = BTreeMap<String, u64>;

/// What a group of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// It has no rules.
    Quarantine,
    /// It lets everything through, and nothing stays in it.
    Passage,
}

/// Our groups of a region.
pub type OwnGroups = HashMap<(VpcId, Purpose), GroupId>;

/// The groups that Cordon made itself, by VPC and purpose: a group that is not in it is a stranger's, whatever its name. And the sensors
/// that were on.
pub trait Registry: Send + Sync {
    fn groups<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<OwnGroups, JournalError>>;
    fn enter<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        vpc: &'a VpcId,
        purpose: Purpose,
        group: &'a GroupId,
    ) -> BoxFuture<'a, Result<(), JournalError>>;
    /// What was on when it was last taken as right; `None` where that was never done.
    fn baseline<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<Option<Baseline>, JournalError>>;
    /// Keeps it in place of the one that was read; `Ok(false)` where somebody kept another meanwhile.
    fn keep_baseline<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        baseline: &'a Baseline,
        instead_of: Option<&'a Baseline>,
    ) -> BoxFuture<'a, Result<bool, JournalError>>;
}

/// A name that no other claim or delivery has.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}-{:x}", std::process::id(), since.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed))
}
