//! All cells of the matrix, and no end reached twice.
//!
//! What comes after a fault is the work of a new process, which sees nothing but the account, the table and the queues. So where two cells of a
//! scenario leave these alike, they end alike: the end is reached once with each recovery, and by every twentieth such cell again, to
//! see that it is so. Alike are two dumps of boto3, with the whole table and the counts of the queues, once times, and the ids that
//! every world draws anew, and with what words a call was refused, are out of them.

use crate::{
    matrix::{AT_ONCE, Cell, Played, RECOVERIES, Recovery, Stage, Tally, caught},
    registry::Scenario,
};
use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap, hash_map::DefaultHasher},
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
    fn reach(&self, state: &State, recovery: Recovery, result: Result<()>) {
        let mut known = self.known();
        known.reached += 1;
        let end = known.by_state.entry((state.key, recovery)).or_default();
        if !matches!(end, Some(Err(_))) {
            *end = Some(result.map_err(|error| format!("{error:#}")));
        }
    }

    fn result(&self, state: &State, recovery: Recovery) -> Result<()> {
        match self.known().by_state.get(&(state.key, recovery)) {
            Some(Some(result)) => result.clone().map_err(|wrong| anyhow!(wrong)),
            Some(None) | None => Err(anyhow!("nobody came to this end")),
        }
    }
}

/// All cells with all that can come next.
pub async fn search(scenarios: Vec<(Scenario, Vec<Cell>)>) -> Result<Tally> {
    let (mut tally, ends, mut done) = (Tally::default(), Ends::default(), 0);
    let count: usize = scenarios.iter().map(|(_, cells)| cells.len()).sum();
    for (scenario, cells) in scenarios.into_iter().filter(|(_, cells)| !cells.is_empty()) {
        let stage = Stage::of(scenario).await?;
        let mut left: Vec<(Cell, State)> = Vec::new();
        let mut plays = stream::iter(cells.into_iter().enumerate())
            .map(|(nth, cell)| {
                let (ends, stage) = (&ends, &stage);
                async move {
                    let state = caught(play(&cell, stage, nth, ends)).await;
                    (cell, state)
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((cell, state)) = plays.next().await {
            done += 1;
            match state {
                Ok(state) => left.push((cell, state)),
                Err(error) => tally.count(cell.row(Recovery::Event), &format!("{cell:?}"), Err(error)),
            }
            if done % 100 == 0 || done == count {
                eprintln!(
                    "{done} of {count} positions with what happens there: {ends}, {} plays wrong",
                    tally.wrong.len()
                );
            }
        }
        drop(plays);
        for (cell, state) in &left {
            for recovery in &state.recoveries {
                let result = ends.result(state, *recovery);
                tally.count(cell.row(*recovery), &format!("{cell:?} {recovery:?}"), result);
            }
        }
    }
    Ok(tally)
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Known { by_state, reached } = &*self.known();
        let states: BTreeSet<u64> = by_state.keys().map(|(state, _)| *state).collect();
        let wrong = by_state.values().filter(|end| matches!(end, Some(Err(_)))).count();
        write!(f, "{} different states, {reached} ends reached, {wrong} wrong", states.len())
    }
}

/// Plays a cell, and goes on to all ends that are open.
async fn play(cell: &Cell, stage: &Stage, nth: usize, ends: &Ends) -> Result<State> {
    let played = cell.play(stage.copy().await?).await?;
    let state = State::of(&played).await?;
    let mut open = ends.open(&state);
    if open.is_empty() && nth.is_multiple_of(AGAIN) {
        open.push(state.recoveries[nth / AGAIN % state.recoveries.len()]);
    }
    // The copies first, while it stands as it was left.
    for recovery in open.iter().skip(1) {
        let result = caught(async { played.copy().await?.end(*recovery).await }).await;
        ends.reach(&state, *recovery, result);
    }
    match open.first() {
        Some(recovery) => ends.reach(&state, *recovery, caught(played.end(*recovery)).await),
        None => played.lab.forget().await?,
    }
    Ok(state)
}

impl State {
    async fn of(played: &Played) -> Result<State> {
        let Played { lab, incident, .. } = played;
        let table = &lab.durable.as_ref().context("durable")?.table;
        let items = lab.call("dynamodb", "scan", json!({"TableName": table})).await?["Items"].take();
        let counts = json!({"QueueUrl": lab.id("/queue"), "AttributeNames": ["ApproximateNumberOfMessages"]});
        let told = lab.call("sqs", "get_queue_attributes", counts).await?["Attributes"].take();
        let (dump, rechecks) = (lab.dump().await?, lab.rechecks().await?);
        let mut recoveries = RECOVERIES.to_vec();
        if !played.meets_a_recheck(&items, rechecks) {
            recoveries.retain(|recovery| *recovery != Recovery::Recheck);
        } else if !played.meets_its_event() {
            recoveries.retain(|recovery| *recovery != Recovery::Event);
        }

        let mut names = Names::of(&lab.ids);
        names.0.insert(incident.clone(), "the incident".to_owned());
        names.learn(&dump);
        let all = json!([format!("{:?} {:?}", played.scenario, played.phase), dump, items, told, rechecks]);
        let mut hasher = DefaultHasher::new();
        names.without_chance(&all).hash(&mut hasher);
        Ok(State { key: hasher.finish(), recoveries })
    }
}

/// What the things of a world are called in every world, by their ids in this one.
struct Names(HashMap<String, String>);

impl Names {
    /// Whatever the builder gave an id is called by its place.
    fn of(ids: &Value) -> Self {
        let mut names = HashMap::new();
        collect(ids, String::new(), &mut names);
        Self(names)
    }

    /// What was made since is called by what it is like.
    fn learn(&mut self, dump: &Value) {
        let things = dump.as_object().into_iter().flatten().filter_map(|(_, things)| things.as_object()).flatten();
        let new: Vec<(String, String)> = things
            .filter(|(id, _)| !self.0.contains_key(*id) && is_drawn(id))
            .map(|(id, thing)| (id.clone(), format!("like {}", self.without_chance(thing))))
            .collect();
        self.0.extend(new);
    }

    /// The value as text, in an order of its own, without times and ids.
    fn without_chance(&self, value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let named =
                    members.iter().map(|(name, value)| format!("{}:{}", self.named(name), self.without_chance(value)));
                let mut named: Vec<String> = named.collect();
                named.sort();
                format!("{{{}}}", named.join(","))
            }
            Value::Array(items) => {
                let mut items: Vec<String> = items.iter().map(|item| self.without_chance(item)).collect();
                items.sort();
                format!("[{}]", items.join(","))
            }
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(inner @ (Value::Object(_) | Value::Array(_))) => self.without_chance(&inner),
                _ => self.named(without_why(text)),
            },
            Value::Number(number) => self.named(&number.to_string()),
            other => other.to_string(),
        }
    }

    fn named(&self, text: &str) -> String {
        let mut said = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length);
            rest = after;
            if is_hour(word) {
                rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || ":.+Z".contains(c));
                said.push_str("a time");
            } else if let Some(name) = self.0.get(word) {
                said.push_str(name);
            } else if is_drawn(word) {
                said.push_str("drawn");
            } else {
                said.push_str(word);
            }
            let between = rest.find(is_word).unwrap_or(rest.len());
            let (between, after) = rest.split_at(between);
            said.push_str(between);
            rest = after;
        }
        said
    }
}

/// A call that failed is told with why; that is for people, and nothing follows from it.
fn without_why(text: &str) -> &str {
    let whys = [" was denied: ", " was throttled", " gave no clear answer: "];
    whys.iter().fold(text, |text, why| text.find(why).map_or(text, |end| &text[..end]))
}

fn collect(ids: &Value, place: String, names: &mut HashMap<String, String>) {
    match ids {
        Value::Object(members) => {
            members.iter().for_each(|(name, id)| collect(id, format!("{place}/{name}"), names));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(n, id)| collect(id, format!("{place}/{n}"), names)),
        Value::String(id) if is_drawn(id) => drop(names.insert(id.clone(), place)),
        _ => {}
    }
}

/// `2026-11-20T09`, with which a time begins.
fn is_hour(word: &str) -> bool {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00"
}

/// Ids, hashes, and times in seconds or milliseconds: long, and of digits or of hexadecimal digits or of capitals and digits at the end.
fn is_drawn(word: &str) -> bool {
    let is_hex = |part: &str| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_number = word.len() >= 10 && word.bytes().all(|b| b.is_ascii_digit());
    let is_key = word.len() >= 16 && word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    is_number || is_key || word.split('-').any(is_hex)
}

#[test]
fn worlds_that_differ_by_chance_are_alike_and_others_are_not() {
    let world = |account: &str, group: &str, made: &str, at: &str, name: &str, rule: &str| {
        let ids = json!({"account": account, "web": group, "key": "AKIAIOSFODNN7EXAMPLE"});
        let dump = json!({
            "security_groups": {group: {"name": "web", "rules": []}, made: {"name": name, "rules": [rule], "made": at}},
            "network_interfaces": {"eni-0123456789abcdef0": {"groups": [made, group]}}});
        let mut names = Names::of(&ids);
        names.learn(&dump);
        names.without_chance(&json!([dump, format!("arn:aws:ec2:us-east-1:{account}:security-group/{made}")]))
    };
    let one =
        world("200000000001", "sg-0aaaaaaaaaaaaaaaa", "sg-0bbbbbbbbbbbbbbbb", "2026-11-20T09:15:04.5Z", "q", "all");
    let alike =
        world("200000000002", "sg-0ddddddddddddddddd", "sg-0cccccccccccccccc", "2026-11-21T10:15:04Z", "q", "all");
    assert_eq!(one, alike);
    for (name, rule) in [("p", "all"), ("q", "none")] {
        let other =
            world("200000000001", "sg-0aaaaaaaaaaaaaaaa", "sg-0bbbbbbbbbbbbbbbb", "2026-11-20T09:15:04.5Z", name, rule);
        assert_ne!(one, other);
    }
    let names = Names::of(&json!({"user": {"keys": ["AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"]}}));
    let status = |key: &str| names.without_chance(&json!({"keys": {key: "Inactive"}, "at": 1_763_773_397_123_i64}));
    assert_eq!(status("AKIAIOSFODNN7EXAMPLE"), "{at:drawn,keys:{/user/keys/0:Inactive}}");
    assert_ne!(status("AKIAIOSFODNN7EXAMPLE"), status("AKIAI44QH8DHBEXAMPLE"));
}
