//! What is counted within a while: events that are a finding only if they go on.

use super::JournalError;
use crate::detect::Tally;
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::{BTreeSet, HashMap},
    future::ready,
    sync::{Mutex, PoisonError},
};

/// Members of one bucket; more are not needed to know that it is enough.
pub const MOST_MEMBERS: usize = 200;

/// Buckets in memory.
const MOST_BUCKETS: usize = 20_000;

pub trait Tallies: Send + Sync {
    /// Counts it once, however often it is told, and says how many different members there are within its window. What lies up to half a
    /// window before it is counted too: windows are made of halves.
    fn tally<'a>(&'a self, tally: &'a Tally) -> BoxFuture<'a, Result<u32, JournalError>>;
}

/// The halves of windows that an event counts in: its own, and the two before it.
pub fn buckets(tally: &Tally) -> [String; 3] {
    let half = i64::try_from(tally.window.as_millis() / 2).unwrap_or(i64::MAX).max(1);
    let number = tally.at.millis().div_euclid(half);
    [0, 1, 2].map(|before| format!("{}#{}", tally.key, number - before))
}

/// In memory, for one process: what is older than it has room for is forgotten.
#[derive(Debug, Default)]
pub struct MemoryTallies(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    buckets: HashMap<String, (i64, BTreeSet<String>)>,
}

impl MemoryTallies {
    pub fn count(&self, tally: &Tally) -> u32 {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = buckets(tally);
        let at = tally.at.millis();
        let (_, members) = memory.buckets.entry(names[0].clone()).or_insert_with(|| (at, BTreeSet::new()));
        if members.len() < MOST_MEMBERS {
            members.insert(tally.member.clone());
        }
        let all: BTreeSet<&String> =
            names.iter().filter_map(|name| memory.buckets.get(name)).flat_map(|(_, members)| members).collect();
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        if memory.buckets.len() > MOST_BUCKETS {
            let mut times: Vec<i64> = memory.buckets.values().map(|(at, _)| *at).collect();
            times.sort_unstable();
            let oldest = times.get(times.len() / 2).copied().unwrap_or(i64::MAX);
            memory.buckets.retain(|_, (at, _)| *at > oldest);
        }
        count
    }
}

impl Tallies for MemoryTallies {
    fn tally<'a>(&'a self, tally: &'a Tally) -> BoxFuture<'a, Result<u32, JournalError>> {
        ready(Ok(self.count(tally))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use std::time::Duration;

    fn tally(key: &str, member: &str, minute: u64) -> Tally {
        let at = Timestamp::parse("2026-11-20T12:00:00Z").unwrap().plus(Duration::from_secs(minute * 60));
        Tally { key: key.into(), member: member.into(), at, window: Duration::from_secs(600), at_least: 5 }
    }

    #[test]
    fn members_are_counted_once_by_key_and_within_a_window() {
        let tallies = MemoryTallies::default();
        for (key, member, minute, count) in [
            ("a", "1", 0, 1),
            ("a", "1", 1, 1),
            ("a", "2", 4, 2),
            ("b", "3", 4, 1),
            ("a", "3", 6, 3),
            ("a", "4", 12, 4),
            // The first half has gone.
            ("a", "5", 16, 3),
            ("a", "6", 60, 1),
        ] {
            assert_eq!(tallies.count(&tally(key, member, minute)), count, "{key} {member} {minute}");
        }
    }

    #[test]
    fn memory_stays_bounded() {
        let tallies = MemoryTallies::default();
        for n in 0..100_000 {
            tallies.count(&tally(&n.to_string(), "x", n / 1000));
        }
        assert!(tallies.0.lock().unwrap().buckets.len() <= MOST_BUCKETS + 1);
    }
}
