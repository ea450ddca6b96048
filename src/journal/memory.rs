//! The journal of one process: for dry runs, replays and tests. It is gone with the process, which is why a function without
//! a table only observes.

use super::{Claim, Containment, GivenBack, Journal, JournalError, LEASE, Lease, Registry};
use crate::domain::{AccountId, GroupId, IncidentId, Region, Timestamp, VpcId};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::HashMap,
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
};

#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    targets: HashMap<String, Head>,
    told: HashMap<IncidentId, String>,
    groups: HashMap<(AccountId, Region), HashMap<VpcId, GroupId>>,
}

#[derive(Debug, Default)]
struct Head {
    fence: u64,
    until: Option<Timestamp>,
    inbox: u64,
    containment: Option<Containment>,
}

impl MemoryJournal {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn claim<'a>(
        &'a self,
        target: &'a str,
        _incident: &'a IncidentId,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Claim, JournalError>> {
        let mut content = self.content();
        let head = content.targets.entry(target.to_owned()).or_default();
        let claim = if head.until.is_some_and(|until| now < until) {
            head.inbox += 1;
            Claim::Joined
        } else {
            head.fence += 1;
            head.until = Some(now.plus(LEASE));
            let lease = Lease { target: target.to_owned(), fence: head.fence };
            Claim::Held { lease, containment: head.containment.clone().map(Box::new), inbox: head.inbox }
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
            head.until = Some(now.plus(LEASE));
            head.containment = Some(containment.clone());
        });
        ready(result).boxed()
    }

    fn give_back<'a>(&'a self, lease: &'a Lease, inbox: u64) -> BoxFuture<'a, Result<GivenBack, JournalError>> {
        let mut content = self.content();
        let result = fenced(&mut content, lease).map(|head| {
            if head.inbox != inbox {
                return GivenBack::NotYet { inbox: head.inbox };
            }
            head.until = None;
            GivenBack::Yes
        });
        ready(result).boxed()
    }

    fn told<'a>(&'a self, incident: &'a IncidentId) -> BoxFuture<'a, Result<Option<String>, JournalError>> {
        ready(Ok(self.content().told.get(incident).cloned())).boxed()
    }

    fn tell<'a>(&'a self, incident: &'a IncidentId, digest: String) -> BoxFuture<'a, Result<(), JournalError>> {
        self.content().told.insert(incident.clone(), digest);
        ready(Ok(())).boxed()
    }
}

impl Registry for MemoryJournal {
    fn groups<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<HashMap<VpcId, GroupId>, JournalError>> {
        let groups = self.content().groups.get(&(account.clone(), region.clone())).cloned().unwrap_or_default();
        ready(Ok(groups)).boxed()
    }

    fn enter<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        vpc: &'a VpcId,
        group: &'a GroupId,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        let mut content = self.content();
        content.groups.entry((account.clone(), region.clone())).or_default().insert(vpc.clone(), group.clone());
        ready(Ok(())).boxed()
    }
}

/// The head, if the lease is still the last one that was given.
fn fenced<'a>(content: &'a mut Content, lease: &Lease) -> Result<&'a mut Head, JournalError> {
    let head = content.targets.get_mut(&lease.target).filter(|head| head.fence == lease.fence);
    head.ok_or_else(|| JournalError::LeaseLost(lease.target.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn incident() -> IncidentId {
        IncidentId::parse("amber-otter-k7m2q").unwrap()
    }

    fn held(claim: Claim) -> (Lease, u64) {
        match claim {
            Claim::Held { lease, inbox, .. } => (lease, inbox),
            Claim::Joined => panic!("joined"),
        }
    }

    #[test]
    fn one_worker_holds_a_target_and_sees_who_joined() {
        let (journal, incident) = (MemoryJournal::default(), incident());
        let (lease, inbox) = held(block_on(journal.claim("t", &incident, at(0))).unwrap());
        assert!(matches!(block_on(journal.claim("t", &incident, at(3_999))).unwrap(), Claim::Joined));
        assert!(matches!(block_on(journal.claim("other", &incident, at(0))).unwrap(), Claim::Held { .. }));
        assert_eq!(block_on(journal.give_back(&lease, inbox)).unwrap(), GivenBack::NotYet { inbox: 1 });
        assert_eq!(block_on(journal.give_back(&lease, 1)).unwrap(), GivenBack::Yes);
        assert!(matches!(block_on(journal.claim("t", &incident, at(3_999))).unwrap(), Claim::Held { .. }));
    }

    #[test]
    fn who_slept_over_his_lease_writes_nothing_more() {
        let (journal, incident) = (MemoryJournal::default(), incident());
        let (late, _) = held(block_on(journal.claim("t", &incident, at(0))).unwrap());
        let (next, inbox) = held(block_on(journal.claim("t", &incident, at(4_000))).unwrap());
        assert_eq!(block_on(journal.give_back(&late, inbox)), Err(JournalError::LeaseLost("t".into())));
        assert_eq!(block_on(journal.give_back(&next, inbox)), Ok(GivenBack::Yes));
    }
}
