//! Whatever fails or dies on the way, wherever: in the end it is contained, and goes back. The cells are positions of calls x what happens
//! there x what comes next; `make test` runs a part of them, `make faults` all (`states.rs`).

use crate::{
    lab::{Durable, Lab, kind, without_replacement},
    registry::{Phase, SCENARIOS, Scenario},
};
use anyhow::{Context, Result, ensure};
use cordon_support::{Answer, Fault, How, Lasting, Match, When};
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, future::Future, panic::AssertUnwindSafe, time::Duration};

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
    assert_eq!(tally.rows.len(), HITS.len() * RECOVERIES.len(), "a row is missing");
    Ok(())
}

/// Every position with all that can happen there, by scenario.
pub async fn all() -> Result<Vec<(Scenario, Vec<Cell>)>> {
    let mut all = Vec::new();
    for scenario in SCENARIOS {
        let positions = positions(scenario).await?;
        let cells = positions.iter().flat_map(|position| position.hits().map(|hits| position.cell(hits)));
        all.push((scenario, cells.collect()));
    }
    Ok(all)
}

/// The deaths right before and right after the cut.
pub fn at_the_cut() -> Vec<(Cell, Recovery)> {
    let [scenario, ..] = SCENARIOS;
    let operation = "ModifyNetworkInterfaceAttribute".to_owned();
    let position = Position { scenario, phase: Phase::Finding, operation, nth: 1, mutating: true };
    let [before, after, ..] = HITS;
    [before, after].into_iter().flat_map(|hits| RECOVERIES.map(|recovery| (position.cell(hits), recovery))).collect()
}

/// A call of a scenario: ids differ from world to world, so it is the nth of its operation.
struct Position {
    scenario: Scenario,
    phase: Phase,
    operation: String,
    nth: u32,
    mutating: bool,
}

async fn positions(scenario: Scenario) -> Result<Vec<Position>> {
    let found = scenario.positions().await?.into_iter();
    let position = |(phase, operation, nth, mutating)| Position { scenario, phase, operation, nth, mutating };
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
        let Self { scenario, phase, nth, .. } = *self;
        Cell { scenario, phase, operation: self.operation.clone(), nth, hits }
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
    scenario: Scenario,
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

/// Each cell to its end.
pub async fn run(cells: Vec<(Cell, Recovery)>) -> Tally {
    let mut tally = Tally::default();
    let mut results = stream::iter(cells)
        .map(|(cell, recovery)| async move {
            let result = caught(async { cell.play(Stage::of(cell.scenario).await?).await?.end(recovery).await }).await;
            (cell.row(recovery), format!("{cell:?} {recovery:?}"), result)
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

/// The account of a scenario before anything happens in it.
pub struct Stage {
    lab: Lab,
    before: Value,
}

impl Stage {
    pub async fn of(scenario: Scenario) -> Result<Self> {
        let lab = scenario.lab().await?;
        let before = lab.dump().await?;
        Ok(Self { lab, before })
    }

    pub async fn copy(&self) -> Result<Self> {
        Ok(Self { lab: self.lab.copy().await?, before: self.before.clone() })
    }
}

/// The account after what happened to it.
pub struct Played {
    pub lab: Lab,
    pub incident: String,
    pub scenario: Scenario,
    before: Value,
    event: Value,
    pub phase: Phase,
}

impl Cell {
    pub fn row(&self, recovery: Recovery) -> String {
        format!("{}; then {recovery:?}", self.hits).to_lowercase()
    }

    pub async fn play(&self, stage: Stage) -> Result<Played> {
        let Stage { lab, before } = stage;
        let event = self.scenario.strike(&lab).await?;
        lab.proxy.clear();
        let incident = lab.incident_of(&event)?;
        let at = Match { operation: self.operation.clone(), resource: None, occurrence: Some(self.nth) };
        let delivered = match self.phase {
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
        match self.hits {
            Hits::Kill(when) => {
                // How often the journal is written depends on which answers come first: a last call may have nothing left to do.
                if lab.kill_if_at(&delivered, at, when).await?.is_some() {
                    let calls = lab.proxy.calls().into_iter().filter(|call| call.operation == self.operation);
                    ensure!(calls.count() < self.nth as usize, "it came there and was not killed");
                }
            }
            Hits::Fault(when, how, lasting) => {
                lab.proxy.fail(Fault { at, when, how, lasting });
                let answer = lab.function.invoke(&delivered).await?;
                // A fault that passes is healed at once, by the SDK or by reading.
                if let (Lasting::Once, Phase::Finding, Answer::Response(report)) = (lasting, self.phase, &answer) {
                    ensure!(kind(report) == "Contained", "{report:#}");
                }
            }
        }
        lab.proxy.heal();
        Ok(Played { lab, incident, before, event, scenario: self.scenario, phase: self.phase })
    }
}

impl Played {
    /// Whether a recheck can come: the messages had left and the plan is there.
    pub fn meets_a_recheck(&self, items: &Value, rechecks: usize) -> bool {
        let is_journalled = || items.as_array().unwrap().iter().any(|item| item.get("containment").is_some());
        self.phase != Phase::Finding || (rechecks == 3 && is_journalled())
    }

    /// Whether the event can come again: what was delivered was no recheck.
    pub fn meets_its_event(&self) -> bool {
        self.phase == Phase::Finding
    }

    pub async fn copy(&self) -> Result<Self> {
        let Self { incident, scenario, before, event, phase, .. } = self;
        let (incident, before, event) = (incident.clone(), before.clone(), event.clone());
        Ok(Self { lab: self.lab.copy().await?, incident, scenario: *scenario, before, event, phase: *phase })
    }

    /// What comes next comes to a new process; then all goes back.
    pub async fn end(mut self, recovery: Recovery) -> Result<()> {
        self.lab.restart("contain").await?;
        self.lab.clock.advance(Duration::from_secs(5))?;
        self.recover(recovery).await?;
        let Self { lab, before, scenario, .. } = self;
        let mut left = without_replacement(&lab, &before, lab.dump().await?);
        if scenario.is_kept && recovery == Recovery::Release {
            // Half done, and left so: a release sets right no more than it silences.
            let sensors = ["/trails/", "/detectors/", "/recorders/", "/event_rules/", "/flow_logs/"];
            left.retain(|difference| !sensors.iter().any(|kind| difference.starts_with(kind)));
        }
        ensure!(left.is_empty(), "not as before: {left:#?}");
        lab.forget().await
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
            let asked_for = self.scenario.offers.split(',').count();
            let is_asked_for = |step: &&Value| BEYOND.iter().any(|action| step["change"]["action"] == *action);
            ensure!(steps.iter().filter(is_asked_for).count() == asked_for, "{shown:#}");
        }
        let (code, said) = release().await?;
        ensure!(code == Some(0), "release: {code:?} {said}");
        Ok(())
    }
}

/// The actions that are never in a plan unasked.
const BEYOND: [&str; 4] = ["ec2.instance.power", "ec2.instance.profile", "iam.role.cutoff", "ssm.session.state"];
