//! The journal of one process: for dry runs, replays and tests. It is gone with the process, which is why a function without
//! a table only observes.

use super::{
    ASKED_FOR, AllIncidents, Approval, Claim, Containment, Counts, Entry, GivenBack, Inbox, IncidentRecord, Journal,
    JournalError, LEASE, Lease, MemoryTallies, OwnGroups, PolicyVersion, Purpose, Question, Registry, Rejected,
    RuleStore, Standing, Tallies, UnreadSince, unique,
};
use crate::{
    decision::Treatment,
    detect::Tally,
    domain::{AccountId, GroupId, IncidentId, Region, Report, Timestamp, VpcId},
    policy::{Budget, Pause},
    survey::Baseline,
};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::{BTreeSet, HashMap},
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[derive(Debug, Default)]
pub struct MemoryJournal {
    content: Mutex<Content>,
    tallies: MemoryTallies,
}

#[derive(Debug, Default)]
struct Content {
    targets: HashMap<String, Head>,
    incidents: HashMap<IncidentId, IncidentRecord>,
    groups: HashMap<(AccountId, Region), OwnGroups>,
    baselines: HashMap<(AccountId, Region), Baseline>,
    sharers: HashMap<String, BTreeSet<String>>,
    counts: HashMap<i64, Counts>,
    policies: Vec<PolicyVersion>,
    pause: Option<Pause>,
    budgets: HashMap<String, BTreeSet<String>>,
    marks: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Head {
    /// Of the lease that was given last, and when it ends.
    lease: Option<(String, Timestamp)>,
    inbox: Inbox,
    containment: Option<Containment>,
    asked: Option<(Question, Timestamp)>,
}

impl MemoryJournal {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: &IncidentId, change: impl FnOnce(&mut IncidentRecord)) -> Result<(), JournalError> {
        let mut content = self.content();
        let record = content.incidents.get_mut(id).ok_or_else(|| JournalError::NoIncident(id.clone()))?;
        change(record);
        Ok(())
    }
}

impl Journal for MemoryJournal {
    fn is_durable(&self) -> bool {
        false
    }

    fn claim<'a>(
        &'a self,
        target: &'a str,
        incident: &'a IncidentId,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Claim, JournalError>> {
        let mut content = self.content();
        let head = content.targets.entry(target.to_owned()).or_default();
        let claim = if head.lease.as_ref().is_some_and(|(_, until)| now < *until) {
            head.inbox.insert(format!("{incident}#{}", unique()));
            Claim::Joined { waiting: head.inbox.len() }
        } else {
            let lease = Lease { target: target.to_owned(), fence: unique() };
            head.lease = Some((lease.fence.clone(), now.plus(LEASE)));
            Claim::Held { lease, containment: head.containment.clone().map(Box::new), inbox: head.inbox.clone() }
        };
        ready(Ok(claim)).boxed()
    }

    fn read<'a>(&'a self, target: &'a str) -> BoxFuture<'a, Result<Option<Containment>, JournalError>> {
        let known = self.content().targets.get(target).and_then(|head| head.containment.clone());
        ready(Ok(known)).boxed()
    }

    fn write<'a>(
        &'a self,
        lease: &'a Lease,
        containment: &'a Containment,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        let mut content = self.content();
        let result = fenced(&mut content, lease).map(|head| {
            head.lease = Some((lease.fence.clone(), now.plus(LEASE)));
            head.containment = Some(containment.clone());
        });
        ready(result).boxed()
    }

    fn give_back<'a>(&'a self, lease: &'a Lease, seen: &'a Inbox) -> BoxFuture<'a, Result<GivenBack, JournalError>> {
        let mut content = self.content();
        let result = fenced(&mut content, lease).map(|head| {
            if head.inbox != *seen {
                return GivenBack::NotYet { inbox: head.inbox.clone() };
            }
            head.lease = None;
            head.inbox.clear();
            GivenBack::Yes
        });
        ready(result).boxed()
    }

    fn share<'a>(&'a self, thing: &'a str, target: &'a str) -> BoxFuture<'a, Result<(), JournalError>> {
        self.content().sharers.entry(thing.to_owned()).or_default().insert(target.to_owned());
        ready(Ok(())).boxed()
    }

    fn unshare<'a>(&'a self, thing: &'a str, target: &'a str) -> BoxFuture<'a, Result<(), JournalError>> {
        self.content().sharers.entry(thing.to_owned()).or_default().remove(target);
        ready(Ok(())).boxed()
    }

    fn sharers<'a>(&'a self, thing: &'a str) -> BoxFuture<'a, Result<BTreeSet<String>, JournalError>> {
        ready(Ok(self.content().sharers.get(thing).cloned().unwrap_or_default())).boxed()
    }

    fn open<'a>(
        &'a self,
        id: &'a IncidentId,
        treatment: Option<&'a Treatment>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<IncidentRecord, JournalError>> {
        let fresh = || IncidentRecord {
            id: id.clone(),
            opened: now,
            treatment: treatment.cloned(),
            report: None,
            told: None,
            at: None,
            approval: Approval::default(),
            rejected: None,
            unread: None,
            log: BTreeSet::new(),
        };
        let mut content = self.content();
        let record = content.incidents.entry(id.clone()).or_insert_with(fresh);
        if let Some(treatment) = treatment {
            record.treatment = Some(match &record.treatment {
                Some(known) => treatment.joined_with(known),
                None => treatment.clone(),
            });
        }
        ready(Ok(record.clone())).boxed()
    }

    fn incident<'a>(&'a self, id: &'a IncidentId) -> BoxFuture<'a, Result<Option<IncidentRecord>, JournalError>> {
        ready(Ok(self.content().incidents.get(id).cloned())).boxed()
    }

    fn incidents(&self) -> BoxFuture<'_, Result<AllIncidents, JournalError>> {
        let records = self.content().incidents.values().cloned().collect();
        ready(Ok(AllIncidents { records, ..AllIncidents::default() })).boxed()
    }

    fn keep_first<'a>(&'a self, id: &'a IncidentId, report: &'a Report) -> BoxFuture<'a, Result<(), JournalError>> {
        let keep = |record: &mut IncidentRecord| {
            record.report.get_or_insert_with(|| report.clone());
        };
        ready(self.change(id, keep)).boxed()
    }

    fn conclude<'a>(
        &'a self,
        id: &'a IncidentId,
        report: &'a Report,
        told: Option<&'a str>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        let keep = |record: &mut IncidentRecord| {
            record.report = Some(report.clone());
            record.told = told.map(str::to_owned);
            record.at = Some(now);
        };
        ready(self.change(id, keep)).boxed()
    }

    fn ask<'a>(
        &'a self,
        target: &'a str,
        question: &'a Question,
        instead_of: Option<&'a IncidentId>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<IncidentId>, JournalError>> {
        let mut content = self.content();
        let head = content.targets.entry(target.to_owned()).or_default();
        let asks = head.asked.as_ref().filter(|(known, at)| {
            known.incident != question.incident
                && known.things == question.things
                && known.severity >= question.severity
                && at.age(now).is_none_or(|age| age < ASKED_FOR)
                && Some(&known.incident) != instead_of
        });
        let other = asks.map(|(known, _)| known.incident.clone());
        if other.is_none() {
            head.asked = Some((question.clone(), now));
        }
        ready(Ok(other)).boxed()
    }

    fn held(&self, most: usize) -> BoxFuture<'_, Result<Vec<Containment>, JournalError>> {
        let content = self.content();
        let held =
            content.targets.values().filter_map(|head| head.containment.as_ref()).filter(|known| known.is_held());
        ready(Ok(held.take(most).cloned().collect())).boxed()
    }

    fn unanswered(&self, most: usize) -> BoxFuture<'_, Result<Vec<IncidentRecord>, JournalError>> {
        let content = self.content();
        let mut found: Vec<_> = content.incidents.values().filter(|record| record.is_unanswered()).cloned().collect();
        found.sort_by_key(|record| record.at);
        found.truncate(most);
        ready(Ok(found)).boxed()
    }

    fn count<'a>(&'a self, hour: i64, what: &'a str) -> BoxFuture<'a, Result<(), JournalError>> {
        let mut content = self.content();
        *content.counts.entry(hour).or_default().entry(what.to_owned()).or_default() += 1;
        ready(Ok(())).boxed()
    }

    fn counted(&self, hour: i64) -> BoxFuture<'_, Result<Option<Counts>, JournalError>> {
        ready(Ok(self.content().counts.get(&hour).cloned())).boxed()
    }

    fn counts_told(&self, hour: i64) -> BoxFuture<'_, Result<(), JournalError>> {
        self.content().counts.remove(&hour);
        ready(Ok(())).boxed()
    }

    fn approve<'a>(&'a self, id: &'a IncidentId, approval: &'a Approval) -> BoxFuture<'a, Result<(), JournalError>> {
        ready(self.change(id, |record| record.approval = approval.clone())).boxed()
    }

    fn set_unread<'a>(
        &'a self,
        id: &'a IncidentId,
        unread: Option<&'a UnreadSince>,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        ready(self.change(id, |record| record.unread = unread.cloned())).boxed()
    }

    fn reject<'a>(&'a self, id: &'a IncidentId, rejected: &'a Rejected) -> BoxFuture<'a, Result<(), JournalError>> {
        ready(self.change(id, |record| record.rejected = Some(rejected.clone()))).boxed()
    }

    fn log<'a>(&'a self, id: &'a IncidentId, entry: &'a Entry) -> BoxFuture<'a, Result<(), JournalError>> {
        ready(self.change(id, |record| _ = record.log.insert(entry.to_string()))).boxed()
    }
}

impl RuleStore for MemoryJournal {
    fn standing(&self) -> BoxFuture<'_, Result<Standing, JournalError>> {
        let content = self.content();
        let standing = Standing { newest: content.policies.last().cloned(), pause: content.pause.clone().map(Ok) };
        ready(Ok(standing)).boxed()
    }

    fn policies(&self, most: usize) -> BoxFuture<'_, Result<Vec<PolicyVersion>, JournalError>> {
        ready(Ok(self.content().policies.iter().rev().take(most).cloned().collect())).boxed()
    }

    fn put_policy<'a>(&'a self, version: &'a PolicyVersion) -> BoxFuture<'a, Result<bool, JournalError>> {
        let mut content = self.content();
        let is_new = content.policies.iter().all(|known| known.version < version.version);
        if is_new {
            content.policies.push(version.clone());
        }
        ready(Ok(is_new)).boxed()
    }

    fn set_pause<'a>(&'a self, pause: &'a Pause) -> BoxFuture<'a, Result<(), JournalError>> {
        self.content().pause = Some(pause.clone());
        ready(Ok(())).boxed()
    }

    fn take<'a>(&'a self, budget: &'a Budget) -> BoxFuture<'a, Result<bool, JournalError>> {
        let mut content = self.content();
        let members = content.budgets.entry(budget.key.clone()).or_default();
        let has_place = budget.most > 0 && (members.contains(&budget.member) || members.len() < budget.most as usize);
        if has_place {
            members.insert(budget.member.clone());
        }
        ready(Ok(has_place)).boxed()
    }

    fn give<'a>(&'a self, budget: &'a Budget) -> BoxFuture<'a, Result<(), JournalError>> {
        self.content().budgets.entry(budget.key.clone()).or_default().remove(&budget.member);
        ready(Ok(())).boxed()
    }

    fn mark<'a>(&'a self, what: &'a str, _: Duration, _: Timestamp) -> BoxFuture<'a, Result<bool, JournalError>> {
        ready(Ok(self.content().marks.insert(what.to_owned()))).boxed()
    }

    fn is_marked<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<bool, JournalError>> {
        ready(Ok(self.content().marks.contains(what))).boxed()
    }
}

impl Tallies for MemoryJournal {
    fn tally<'a>(&'a self, tally: &'a Tally) -> BoxFuture<'a, Result<u32, JournalError>> {
        self.tallies.tally(tally)
    }
}

impl Registry for MemoryJournal {
    fn groups<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<OwnGroups, JournalError>> {
        let groups = self.content().groups.get(&(account.clone(), region.clone())).cloned().unwrap_or_default();
        ready(Ok(groups)).boxed()
    }

    fn enter<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        vpc: &'a VpcId,
        purpose: Purpose,
        group: &'a GroupId,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        let mut content = self.content();
        let groups = content.groups.entry((account.clone(), region.clone())).or_default();
        groups.insert((vpc.clone(), purpose), group.clone());
        ready(Ok(())).boxed()
    }

    fn baseline<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<Option<Baseline>, JournalError>> {
        ready(Ok(self.content().baselines.get(&(account.clone(), region.clone())).cloned())).boxed()
    }

    fn keep_baseline<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        baseline: &'a Baseline,
        instead_of: Option<&'a Baseline>,
    ) -> BoxFuture<'a, Result<bool, JournalError>> {
        let mut content = self.content();
        let key = (account.clone(), region.clone());
        let is_the_last = content.baselines.get(&key).map(|known| known.taken) == instead_of.map(|known| known.taken);
        if is_the_last {
            content.baselines.insert(key, baseline.clone());
        }
        ready(Ok(is_the_last)).boxed()
    }
}

/// The head, if the lease is still the last one that was given.
fn fenced<'a>(content: &'a mut Content, lease: &Lease) -> Result<&'a mut Head, JournalError> {
    let ours = |head: &&mut Head| head.lease.as_ref().is_some_and(|(fence, _)| *fence == lease.fence);
    content.targets.get_mut(&lease.target).filter(ours).ok_or_else(|| JournalError::LeaseLost(lease.target.clone()))
}
