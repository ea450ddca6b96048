//! All cells of the matrix, and no end reached twice.
//!
//! What comes after a fault is the work of a new process, which sees nothing but the account, the table and the queues. So where two cells of a
//! scenario leave these alike, they end alike: the end is reached once with each recovery, and by every twentieth such cell again, to
//! see that it is so. Alike are two dumps of boto3, with the whole table and the counts of the queues, where chance alone makes them differ
//! (`alike.rs`).

use crate::{
    matrix::{AT_ONCE, Cell, NEVER_CAME, Played, Recovery},
    tally::{Tally, caught},
};
use anyhow::{Result, anyhow};
use futures::{StreamExt, stream};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::DefaultHasher},
    fmt,
    hash::{Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Of the cells whose ends are known, one in so many is taken to one all the same.
const AGAIN: usize = 20;

/// The account as a cell leaves it, and what can come next.
#[derive(Clone)]
struct State {
    key: u64,
    recoveries: Vec<Recovery>,
}

/// What is known of the ends.
#[derive(Default)]
struct Ends(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Nothing yet where somebody is on his way.
    by_state: HashMap<(u64, Recovery), Option<Result<(), String>>>,
    reached: usize,
}

impl Ends {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ends that nobody has reached or is on his way to.
    fn open(&self, state: &State) -> Vec<Recovery> {
        let ends = &mut self.known().by_state;
        let mut open = state.recoveries.clone();
        open.retain(|recovery| !ends.contains_key(&(state.key, *recovery)));
        ends.extend(open.iter().map(|recovery| ((state.key, *recovery), None)));
        open
    }

    /// What went wrong once is wrong.
    fn reach(&self, cell: &Cell, state: &State, recovery: Recovery, result: Result<()>) {
        if let Err(error) = &result {
            eprintln!("WRONG: {cell:?} {recovery:?}: {error:#}");
        }
        let mut known = self.known();
        known.reached += 1;
        let end = known.by_state.entry((state.key, recovery)).or_default();
        let result = result.map_err(|error| format!("{error:#}"));
        *end = Some(match (end.take(), result) {
            (Some(Ok(())), Err(wrong)) | (Some(Err(wrong)), Ok(())) => {
                Err(format!("alike, and ended right and wrong: {wrong}"))
            }
            (_, result) => result,
        });
    }

    fn result(&self, state: &State, recovery: Recovery) -> Result<()> {
        match self.known().by_state.get(&(state.key, recovery)) {
            Some(Some(result)) => result.clone().map_err(|wrong| anyhow!(wrong)),
            Some(None) | None => Err(anyhow!("nobody came to this end")),
        }
    }
}

/// All cells with all that can come next.
pub async fn search(cells: Vec<Cell>) -> Tally {
    let (mut tally, ends, count) = (Tally::default(), Ends::default(), cells.len());
    let mut hits: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut left: Vec<(Cell, State)> = Vec::new();
    let mut plays = stream::iter(cells.into_iter().enumerate())
        .map(|(nth, cell)| {
            let ends = &ends;
            async move {
                let state = caught(play(&cell, nth, ends)).await;
                (cell, state)
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut done = 0;
    while let Some((cell, state)) = plays.next().await {
        done += 1;
        let (tried, hit) = hits.entry(cell.stage()).or_default();
        (*tried, *hit) = (*tried + 1, *hit + usize::from(!matches!(state, Ok(None))));
        match state {
            Ok(Some(state)) => left.push((cell, state)),
            Ok(None) => tally.count(NEVER_CAME.to_owned(), &format!("{cell:?}"), Ok(())),
            Err(error) => {
                eprintln!("WRONG: {cell:?}: {error:#}");
                tally.count(cell.row(Recovery::Event), &format!("{cell:?}"), Err(error));
            }
        }
        if done % 100 == 0 || done == count {
            let wrong = tally.wrong.len();
            eprintln!("{done} of {count} calls with what happens at them, {wrong} wrong: {ends}");
        }
    }
    drop(plays);
    // Calls that come in some runs only are few; were they many, nothing would be tried.
    for (stage, (tried, hit)) in hits {
        if tried >= 20 && hit * 10 < tried * 8 {
            tally.wrong.push(format!("{stage}: of {tried} calls only {hit} came"));
        }
    }
    for (cell, state) in &left {
        for recovery in &state.recoveries {
            tally.count(cell.row(*recovery), &format!("{cell:?} {recovery:?}"), ends.result(state, *recovery));
        }
    }
    tally
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Known { by_state, reached } = &*self.known();
        let states: BTreeSet<u64> = by_state.keys().map(|(state, _)| *state).collect();
        let wrong = by_state.values().filter(|end| matches!(end, Some(Err(_)))).count();
        write!(f, "{} different states, {reached} ends, {wrong} wrong", states.len())
    }
}

/// Plays a cell, and goes on to all ends that are open.
async fn play(cell: &Cell, nth: usize, ends: &Ends) -> Result<Option<State>> {
    let played = cell.play().await?;
    if !played.was_hit {
        return Ok(None);
    }
    let state = State::of(&played).await?;
    let mut open = ends.open(&state);
    if open.is_empty() && nth.is_multiple_of(AGAIN) {
        open.push(state.recoveries[nth / AGAIN % state.recoveries.len()]);
    }
    // The copies first, while it stands as it was left.
    for recovery in open.iter().skip(1) {
        let result = caught(async { played.copy().await?.end(*recovery).await }).await;
        ends.reach(cell, &state, *recovery, result);
    }
    if let Some(recovery) = open.first() {
        ends.reach(cell, &state, *recovery, caught(played.end(*recovery)).await);
    }
    Ok(Some(state))
}

impl State {
    async fn of(played: &Played) -> Result<State> {
        let lab = &played.lab;
        let items = played.items().await?;
        let counts = json!({"QueueUrl": lab.id("/queue"), "AttributeNames": ["ApproximateNumberOfMessages"]});
        let told = lab.call("sqs", "get_queue_attributes", counts).await?["Attributes"].take();
        let rechecks = lab.rechecks().await?;
        let recoveries = played.recoveries().await?;
        let all = json!([format!("{:?} {:?}", played.stage, played.phase), played.dump, items, told, rechecks]);
        let mut hasher = DefaultHasher::new();
        played.alike(&played.dump).await?.text(&all).hash(&mut hasher);
        Ok(State { key: hasher.finish(), recoveries })
    }
}
