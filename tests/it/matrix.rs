//! Whatever fails or dies on the way, wherever: in the end it is contained, and goes back. The cells are positions of calls x what happens
//! there x what comes next; `make test` runs a part of them, `make faults` all (`states.rs`).

use crate::{
    alike::{self, Alike},
    lab::{Durable, Lab, Server, kind, without_replacement},
    registry::{Phase, SCENARIOS, Scenario},
};
use anyhow::{Context, Result, ensure};
use cordon_support::{Answer, Fault, How, Lasting, Match, When};
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};
use tokio::sync::OnceCell;

#[tokio::test]
async fn whatever_fails_or_dies_on_the_way_it_ends_contained_and_goes_back() -> Result<()> {
    let mut cells = Vec::new();
    for scenario in SCENARIOS {
        // Every change and every fifth question.
        let mut nth_question = 0;
        let found = positions(scenario).await?.into_iter().filter(|position| {
            nth_question += u32::from(!position.mutating);
            position.mutating || nth_question % 5 == 1
        });
        for position in found {
            // Each position meets a death or a fault here, and every pair of them with every recovery comes up.
            let (kills, faults): (Vec<_>, Vec<_>) = position.hits().partition(|hits| matches!(hits, Hits::Kill(_)));
            let n = cells.len();
            let (hits, turn) = (if n % 2 == 0 { kills } else { faults }, n / 2);
            cells.push((position.cell(hits[turn % hits.len()]), RECOVERIES[turn % 3]));
        }
    }
    let tally = run(cells).await;
    println!("{tally}");
    assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
    let rows = tally.rows.keys().filter(|row| *row != NEVER_CAME).count();
    assert_eq!(rows, HITS.len() * RECOVERIES.len(), "a row is missing");
    Ok(())
}

/// Every position with all that can happen there.
pub async fn all() -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for scenario in SCENARIOS {
        for position in positions(scenario).await? {
            cells.extend(position.hits().map(|hits| position.cell(hits)));
        }
    }
    Ok(cells)
}

/// The deaths right before and right after the cut.
pub fn at_the_cut() -> Vec<(Cell, Recovery)> {
    let [scenario, ..] = SCENARIOS;
    let operation = "ModifyNetworkInterfaceAttribute".to_owned();
    let stage = Stage::new(scenario);
    let position = Position { stage, phase: Phase::Finding, operation, nth: 1, mutating: true };
    let [before, after, ..] = HITS;
    [before, after].into_iter().flat_map(|hits| RECOVERIES.map(|recovery| (position.cell(hits), recovery))).collect()
}

/// A call of a scenario: ids differ from world to world, so it is the nth of its operation.
struct Position {
    stage: Arc<Stage>,
    phase: Phase,
    operation: String,
    nth: u32,
    mutating: bool,
}

async fn positions(scenario: Scenario) -> Result<Vec<Position>> {
    let (found, stage) = (scenario.positions().await?.into_iter(), Stage::new(scenario));
    let position = |(phase, operation, nth, mutating)| {
        let stage = stage.clone();
        Position { stage, phase, operation, nth, mutating }
    };
    Ok(found.map(position).collect())
}

impl Position {
    /// Nothing conflicts with reading, and whether a question or its answer was lost is all one to the account.
    fn hits(&self) -> impl Iterator<Item = Hits> {
        let mutating = self.mutating;
        HITS.into_iter().filter(move |hits| match hits {
            Hits::Kill(when) => mutating || *when == When::Before,
            Hits::Fault(_, How::Conflict, _) => mutating,
            Hits::Fault(when, How::Cut, _) => mutating || *when == When::Before,
            Hits::Fault(..) => true,
        })
    }

    fn cell(&self, hits: Hits) -> Cell {
        let Self { stage, phase, operation, nth, .. } = self;
        Cell { stage: stage.clone(), phase: *phase, operation: operation.clone(), nth: *nth, hits }
    }
}

const HITS: [Hits; 13] = {
    use {Hits::*, How::*, Lasting::*, When::*};
    [
        Kill(Before),
        Kill(After),
        Fault(Before, Throttled, Once),
        Fault(After, Cut, Once),
        Fault(Before, Denied, Throughout),
        Fault(Before, Conflict, Once),
        Fault(Before, Throttled, Throughout),
        Fault(After, ServerError, Throughout),
        Fault(Before, Cut, Once),
        Fault(Before, Conflict, Throughout),
        Fault(After, ServerError, Once),
        Fault(After, Cut, Throughout),
        Fault(Before, Cut, Throughout),
    ]
};

#[derive(Clone, Copy, Debug)]
enum Hits {
    /// SIGKILL of the real binary.
    Kill(When),
    Fault(When, How, Lasting),
}

impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(When::Before) => f.write_str("killed before the call"),
            Self::Kill(When::After) => f.write_str("killed before the answer"),
            Self::Fault(when, how, lasting) => {
                let lost = if *when == When::After { ", the answer lost" } else { "" };
                write!(f, "{}{lost}, {}", format!("{how:?}").to_lowercase(), format!("{lasting:?}").to_lowercase())
            }
        }
    }
}

pub const RECOVERIES: [Recovery; 3] = [Recovery::Event, Recovery::Recheck, Recovery::Release];

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recovery {
    Event,
    Recheck,
    /// An operator releases what is there, half done or not.
    Release,
}

/// Where, and what happens there.
#[derive(Clone, Debug)]
pub struct Cell {
    stage: Arc<Stage>,
    phase: Phase,
    operation: String,
    nth: u32,
    hits: Hits,
}

/// Cells tried and right, by row.
#[derive(Debug, Default)]
pub struct Tally {
    pub rows: BTreeMap<String, (usize, usize)>,
    pub wrong: Vec<String>,
}

impl Tally {
    pub fn count(&mut self, row: String, cell: &str, result: Result<()>) {
        let (tried, right) = self.rows.entry(row).or_default();
        *tried += 1;
        match result {
            Ok(()) => *right += 1,
            Err(error) => self.wrong.push(format!("{cell}: {error:#}")),
        }
    }

    pub fn add(&mut self, other: Tally) {
        for (row, (tried, right)) in other.rows {
            let sum = self.rows.entry(row).or_default();
            *sum = (sum.0 + tried, sum.1 + right);
        }
        self.wrong.extend(other.wrong);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<70} {:>6} {:>6}", "row", "tried", "right")?;
        for (row, (tried, right)) in &self.rows {
            writeln!(f, "{row:<70} {tried:>6} {right:>6}")?;
        }
        let sum = self.rows.values().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        write!(f, "{:<70} {:>6} {:>6}", "all", sum.0, sum.1)
    }
}

/// Each has an account and processes of its own; more at a time only wait for moto.
pub const AT_ONCE: usize = 8;

/// A call that comes in some runs only, such as one more write of the journal: it did not come in this one, and nothing happened.
pub const NEVER_CAME: &str = "(the call never came)";

/// Each cell to its end.
pub async fn run(cells: Vec<(Cell, Recovery)>) -> Tally {
    let mut tally = Tally::default();
    let mut results = stream::iter(cells)
        .map(|(cell, recovery)| async move {
            let result = caught(async {
                let played = cell.play().await?;
                let was_hit = played.was_hit;
                played.end(recovery).await.map(|()| was_hit)
            });
            let (row, result) = match result.await {
                Ok(false) => (NEVER_CAME.to_owned(), Ok(())),
                result => (cell.row(recovery), result.map(drop)),
            };
            (row, format!("{cell:?} {recovery:?}"), result)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((row, name, result)) = results.next().await {
        tally.count(row, &name, result);
    }
    tally
}

/// A failed assertion is one wrong cell, not the end of the others.
pub async fn caught<T>(cell: impl Future<Output = Result<T>>) -> Result<T> {
    let result = AssertUnwindSafe(cell).catch_unwind().await;
    result.unwrap_or_else(|_| Err(anyhow::anyhow!("an assertion failed")))
}

/// The account of a scenario, made when the first cell needs it.
pub struct Stage {
    pub scenario: Scenario,
    /// Before anything happens, with a dump.
    made: OnceCell<(Lab, Value)>,
    /// Of the phases that begin with a contained or approved incident.
    begun: [OnceCell<Due>; 3],
    /// What stands when nothing goes wrong, by phase.
    held: [OnceCell<BTreeMap<String, String>>; 3],
}

/// About to be delivered.
struct Due {
    lab: Lab,
    event: Value,
    incident: String,
    struck: i64,
    delivered: Value,
    /// By the clock of the lab.
    at: i64,
}

impl Stage {
    fn new(scenario: Scenario) -> Arc<Self> {
        Arc::new(Self { scenario, made: OnceCell::new(), begun: Default::default(), held: Default::default() })
    }

    async fn made(&self) -> Result<&(Lab, Value)> {
        let make = async || {
            let lab = self.scenario.lab_on(Server::OfCopies).await?;
            let before = lab.dump().await?;
            anyhow::Ok((lab, before))
        };
        self.made.get_or_try_init(make).await
    }

    /// A copy in which it has happened.
    async fn due(&self, phase: Phase) -> Result<Due> {
        if phase == Phase::Finding {
            return self.begin(phase).await;
        }
        let begun = self.begun[phase as usize].get_or_try_init(|| self.begin(phase)).await?;
        let Due { event, incident, struck, delivered, at, .. } = begun;
        let (lab, event, incident, delivered) =
            (begun.lab.copy().await?, event.clone(), incident.clone(), delivered.clone());
        // However late the copy is made, it is as if it went on at once.
        lab.clock.set_offset(at - cordon_support::samples::now_ms())?;
        Ok(Due { lab, event, incident, struck: *struck, delivered, at: *at })
    }

    async fn begin(&self, phase: Phase) -> Result<Due> {
        let lab = self.made().await?.0.copy().await?;
        let struck = cordon_support::samples::now_ms();
        let event = self.scenario.strike(&lab).await?;
        lab.proxy.clear();
        let incident = lab.incident_of(&event)?;
        let delivered = match phase {
            Phase::Finding => event.clone(),
            Phase::Approved => {
                self.scenario.approve(&lab, &event).await?;
                lab.batch(&incident)
            }
            Phase::Offers => {
                ensure!(kind(&lab.deliver(&event).await?) == "Contained", "it was not contained at first");
                self.scenario.ask(&lab, &incident).await?;
                lab.batch(&incident)
            }
        };
        let at = lab.clock.now_ms();
        Ok(Due { lab, event, incident, struck, delivered, at })
    }

    async fn held(&self, phase: Phase) -> Result<&BTreeMap<String, String>> {
        let make = async || {
            let Due { lab, incident, struck, delivered, .. } = self.due(phase).await?;
            lab.deliver(&delivered).await?;
            let (base, before) = self.made().await?;
            let dump = as_used(lab.dump().await?, before);
            let held = Alike::new(&[&base.ids, before], &incident, struck, &dump).parts(&dump);
            anyhow::Ok(held)
        };
        self.held[phase as usize].get_or_try_init(make).await
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scenario.fmt(f)
    }
}

/// The account after what happened to it.
pub struct Played {
    pub lab: Lab,
    pub stage: Arc<Stage>,
    pub phase: Phase,
    pub dump: Value,
    /// Whether the call came, and what was to happen there did.
    pub was_hit: bool,
    incident: String,
    event: Value,
    struck: i64,
    /// Nothing was done by its function yet.
    is_copy: bool,
}

impl Cell {
    pub fn row(&self, recovery: Recovery) -> String {
        format!("{}; then {recovery:?}", self.hits).to_lowercase()
    }

    pub async fn play(&self) -> Result<Played> {
        let (stage, phase) = (self.stage.clone(), self.phase);
        let Due { lab, event, incident, struck, delivered, .. } = stage.due(phase).await?;
        let at = Match { operation: self.operation.clone(), resource: None, occurrence: Some(self.nth) };
        let (was_hit, report) = match self.hits {
            Hits::Kill(when) => (lab.kill_if_at(&delivered, at, when).await?.is_none(), None),
            Hits::Fault(when, how, lasting) => {
                lab.proxy.fail(Fault { at, when, how, lasting });
                let answer = lab.function.invoke(&delivered).await?;
                let was_hit = lab.proxy.calls().iter().any(|call| call.fault == Some(how));
                (was_hit, Some(answer).filter(|_| phase == Phase::Finding))
            }
        };
        // How often the journal is written depends on which answers come first: a last call may have nothing left to do.
        let came = lab.proxy.calls().into_iter().filter(|call| call.operation == self.operation).count();
        ensure!(was_hit || came < self.nth as usize, "it came there and nothing happened");
        lab.proxy.heal();
        // What is under way comes to its end; then it stands still.
        lab.function.kill().await;
        lab.proxy.idle().await?;
        let dump = lab.dump().await?;
        let played = Played { lab, stage, phase, dump, was_hit, incident, event, struck, is_copy: false };
        if let Some(Answer::Response(report)) = report {
            let is_said = kind(&report) == "Contained";
            // A fault that passes is healed at once, by the SDK or by reading.
            ensure!(is_said || !matches!(self.hits, Hits::Fault(_, _, Lasting::Once)), "{report:#}");
            if is_said {
                played.is_held(&played.dump).await.context("it says that it is contained")?;
            }
        }
        Ok(played)
    }
}

impl Played {
    /// The same once more, on its own from here on.
    pub async fn copy(&self) -> Result<Self> {
        let Self { stage, phase, dump, was_hit, incident, event, struck, .. } = self;
        let (stage, dump, incident, event) = (stage.clone(), dump.clone(), incident.clone(), event.clone());
        let lab = self.lab.copy().await?;
        Ok(Self { lab, stage, phase: *phase, dump, was_hit: *was_hit, incident, event, struck: *struck, is_copy: true })
    }

    pub async fn alike(&self, dump: &Value) -> Result<Alike> {
        let (base, before) = self.stage.made().await?;
        Ok(Alike::new(&[&base.ids, before], &self.incident, self.struck, dump))
    }

    /// The account is as it is when nothing goes wrong.
    async fn is_held(&self, dump: &Value) -> Result<()> {
        let dump = &as_used(dump.clone(), &self.stage.made().await?.1);
        let found = self.alike(dump).await?.parts(dump);
        let differences = alike::differences(self.stage.held(self.phase).await?, &found);
        ensure!(differences.is_empty(), "not as contained: {differences:#?}");
        Ok(())
    }

    /// Whether a recheck can come: the messages had left and the plan is there.
    pub fn meets_a_recheck(&self, items: &Value, rechecks: usize) -> bool {
        let is_journalled = || items.as_array().unwrap().iter().any(|item| item.get("containment").is_some());
        self.phase != Phase::Finding || (rechecks == 3 && is_journalled())
    }

    /// Whether the event can come again: what was delivered was no recheck.
    pub fn meets_its_event(&self) -> bool {
        self.phase == Phase::Finding
    }

    /// What comes next comes to a new process; then all goes back.
    pub async fn end(mut self, recovery: Recovery) -> Result<()> {
        if !self.is_copy {
            self.lab.restart("contain").await?;
        }
        self.lab.clock.advance(Duration::from_secs(5))?;
        self.recover(recovery).await?;
        let Self { lab, stage, .. } = self;
        let (_, before) = stage.made().await?;
        let mut left = without_replacement(&lab, before, lab.dump().await?);
        if stage.scenario.is_kept && recovery == Recovery::Release {
            // Half done, and left so: a release sets right no more than it silences.
            let sensors = ["/trails/", "/detectors/", "/recorders/", "/event_rules/", "/flow_logs/"];
            left.retain(|difference| !sensors.iter().any(|kind| difference.starts_with(kind)));
        }
        ensure!(left.is_empty(), "not as before: {left:#?}");
        Ok(())
    }

    async fn recover(&self, recovery: Recovery) -> Result<()> {
        let Self { lab, incident, .. } = self;
        let release = async || {
            let output = lab.cordon(&["release", incident, "--reactivate-keys"]).await?;
            let said = [output.stdout, output.stderr].concat();
            anyhow::Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
        };
        if recovery == Recovery::Release {
            let (code, said) = release().await?;
            let nothing = said.contains("nothing was changed for incident") || said.contains("there is no incident");
            ensure!(code == Some(0) || (code == Some(1) && nothing), "release: {code:?} {said}");
            return Ok(());
        }
        let Durable { table, .. } = lab.durable.as_ref().context("durable")?;
        let items = lab.call("dynamodb", "scan", json!({"TableName": table})).await?["Items"].take();
        let is_met = self.meets_a_recheck(&items, lab.rechecks().await?);
        if !self.meets_its_event() || (recovery == Recovery::Recheck && is_met) {
            lab.recheck(incident).await?;
        } else {
            let report = lab.deliver(&self.event).await?;
            ensure!(["Contained", "Joined"].contains(&kind(&report)), "{report:#}");
        }
        let shown = lab.shown(incident).await?;
        let steps = shown["containment"]["steps"].as_array().with_context(|| format!("{shown:#}"))?;
        let is_held = |step: &Value| step["state"] == "done" || step["state"] == "already";
        ensure!(!steps.is_empty() && steps.iter().all(is_held), "{shown:#}");
        if self.phase == Phase::Offers {
            let asked_for = self.stage.scenario.offers.split(',').count();
            let is_asked_for = |step: &&Value| BEYOND.iter().any(|action| step["change"]["action"] == *action);
            ensure!(steps.iter().filter(is_asked_for).count() == asked_for, "{shown:#}");
        }
        self.is_held(&lab.dump().await?).await?;
        let (code, said) = release().await?;
        ensure!(code == Some(0), "release: {code:?} {said}");
        Ok(())
    }
}

/// Without groups that nobody uses: one whose making had no answer is left, and another with a longer name takes its place.
fn as_used(mut dump: Value, before: &Value) -> Value {
    let interfaces = dump["network_interfaces"].as_object().into_iter().flatten();
    let groups = interfaces.filter_map(|(_, interface)| interface["groups"].as_array()).flatten();
    let used: BTreeSet<String> = groups.filter_map(|group| group.as_str().map(str::to_owned)).collect();
    let is_kept = |id: &String| used.contains(id) || before["security_groups"].get(id).is_some();
    dump["tags"].as_object_mut().unwrap().retain(|id, _| !id.starts_with("sg-") || is_kept(id));
    let groups = dump["security_groups"].as_object_mut().unwrap();
    groups.retain(|id, _| is_kept(id));
    for (id, group) in groups {
        let name = group["name"].as_str().unwrap();
        if name.starts_with("cordon-quarantine-") && before["security_groups"].get(id).is_none() {
            group["name"] = json!("cordon-quarantine");
        }
    }
    dump
}

/// The actions that are never in a plan unasked.
const BEYOND: [&str; 4] = ["ec2.instance.power", "ec2.instance.profile", "iam.role.cutoff", "ssm.session.state"];
