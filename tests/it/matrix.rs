//! Whatever fails or dies on the way, wherever: in the end it is contained, and goes back. The cells are positions of calls x what happens
//! there x what comes next; `make test` runs a part of them, `make faults` all (`states.rs`).

use crate::{
    alike::{self, Alike},
    lab::{Durable, Lab, Server, differences, kind, without_replacement},
    registry::{Phase, SCENARIOS, Scenario},
    tally::{Tally, caught},
};
use anyhow::{Context, Result, ensure};
use cordon_support::{Answer, Fault, How, Lasting, Match, When};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::sync::OnceCell;

#[tokio::test]
async fn whatever_fails_or_dies_on_the_way_it_ends_contained_and_goes_back() -> Result<()> {
    // Elsewhere chance decides whether a recheck can come.
    let mut cells = at_the_cut(&HITS);
    for scenario in SCENARIOS {
        // Every second change and every tenth question.
        let (mut changes, mut questions) = (0, 0);
        let found = positions(scenario).await?.into_iter().filter(|position| {
            let (count, one_in) = if position.mutating { (&mut changes, 2) } else { (&mut questions, 10) };
            *count += 1;
            *count % one_in == 1
        });
        for position in found {
            // Each position meets a death or a fault here, and every pair of them with every recovery comes up.
            let (kills, faults): (Vec<_>, Vec<_>) = position.hits().partition(|hits| matches!(hits, Hits::Kill(_)));
            let n = cells.len();
            let (hits, turn) = (if n.is_multiple_of(2) { kills } else { faults }, n / 2);
            cells.push((position.cell(hits[turn % hits.len()]), RECOVERIES[turn % 3]));
        }
    }
    let tally = run(cells).await;
    println!("{tally}");
    assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
    assert_eq!(missing(&tally), BTreeSet::new());
    Ok(())
}

/// Rows that nobody came to.
pub fn missing(tally: &Tally) -> BTreeSet<String> {
    let rows = HITS.into_iter().flat_map(|hits| RECOVERIES.map(|recovery| named(hits, recovery)));
    rows.filter(|row| !tally.rows.contains_key(row)).collect()
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
pub fn deaths_at_the_cut() -> Vec<(Cell, Recovery)> {
    at_the_cut(&HITS[..2])
}

fn at_the_cut(hits: &[Hits]) -> Vec<(Cell, Recovery)> {
    let [scenario, ..] = SCENARIOS;
    let operation = "ModifyNetworkInterfaceAttribute".to_owned();
    let stage = Stage::new(scenario);
    let position = Position { stage, phase: Phase::Finding, operation, nth: 1, mutating: true };
    hits.iter().flat_map(|hits| RECOVERIES.map(|recovery| (position.cell(*hits), recovery))).collect()
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

fn named(hits: Hits, recovery: Recovery) -> String {
    format!("{hits}; then {recovery:?}").to_lowercase()
}

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

const RECOVERIES: [Recovery; 3] = [Recovery::Event, Recovery::Recheck, Recovery::Release];

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

/// Each has an account and processes of its own; more at a time only wait for moto.
pub const AT_ONCE: usize = 8;

/// A call that comes in some runs only, such as one more write of the journal: it did not come in this one, and all went well.
pub const NEVER_CAME: &str = "(the call never came, and it was contained)";

/// Each cell to its end.
pub async fn run(cells: Vec<(Cell, Recovery)>) -> Tally {
    let mut tally = Tally::default();
    let mut results = stream::iter(cells)
        .map(|(cell, recovery)| async move {
            let mut row = cell.row(recovery);
            let result = caught(async {
                let played = cell.play().await?;
                if !played.was_hit {
                    row = NEVER_CAME.to_owned();
                    return Ok(());
                }
                // Where nothing is journalled and no message has left, no recheck comes.
                let possible = played.recoveries().await?;
                let recovery = if possible.contains(&recovery) { recovery } else { possible[0] };
                row = cell.row(recovery);
                played.end(recovery).await
            })
            .await;
            (row, format!("{cell:?} {recovery:?}"), result)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((row, name, result)) = results.next().await {
        tally.count(row, &name, result);
    }
    tally
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
            // A dump tells what was made before from what was made since, by the second.
            tokio::time::sleep(Duration::from_secs(1)).await;
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
        lab.clock.set(*at)?;
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
    /// The scenario, and when in it.
    pub fn stage(&self) -> String {
        format!("{:?} {:?}", self.stage, self.phase)
    }

    pub fn row(&self, recovery: Recovery) -> String {
        named(self.hits, recovery)
    }

    pub async fn play(&self) -> Result<Played> {
        let (stage, phase) = (self.stage.clone(), self.phase);
        let Due { lab, event, incident, struck, delivered, .. } = stage.due(phase).await?;
        let at = Match { operation: self.operation.clone(), resource: None, occurrence: Some(self.nth) };
        let (was_hit, answer) = match self.hits {
            Hits::Kill(when) => {
                let answer = lab.kill_if_at(&delivered, at, when).await?;
                (answer.is_none(), answer)
            }
            Hits::Fault(when, how, lasting) => {
                lab.proxy.fail(Fault { at, when, how, lasting });
                let answer = lab.function.invoke(&delivered).await?;
                (lab.proxy.calls().iter().any(|call| call.fault == Some(how)), Some(answer))
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
        if let Some(answer) = answer {
            let owed = played.stage.scenario.answer();
            let is_said = match (&answer, phase) {
                (Answer::Response(report), Phase::Finding) => kind(report) == owed,
                // Of a message the queue hears no more than that it was dealt with.
                (Answer::Response(batch), _) => *batch == json!({"batchItemFailures": []}),
                (Answer::Error(_), _) => false,
            };
            // A fault that passes is healed at once, by the SDK or by reading; where another wrote to the journal, the delivery comes again.
            let comes_again = is_failure(&answer) && matches!(self.hits, Hits::Fault(_, How::Conflict, _));
            let is_owed = !was_hit || (matches!(self.hits, Hits::Fault(_, _, Lasting::Once)) && !comes_again);
            ensure!(is_said || !is_owed, "{answer:?}");
            if is_owed || (is_said && phase == Phase::Finding) {
                played.is_held(phase, &played.dump).await.context("it says that it is contained")?;
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
    async fn is_held(&self, phase: Phase, dump: &Value) -> Result<()> {
        let dump = &as_used(dump.clone(), &self.stage.made().await?.1);
        let found = self.alike(dump).await?.parts(dump);
        let differences = alike::differences(self.stage.held(phase).await?, &found);
        ensure!(differences.is_empty(), "not as contained: {differences:#?}");
        Ok(())
    }

    pub async fn items(&self) -> Result<Value> {
        let Durable { table, .. } = self.lab.durable.as_ref().context("durable")?;
        Ok(self.lab.call("dynamodb", "scan", json!({"TableName": table})).await?["Items"].take())
    }

    /// What can come next: a recheck only where messages had left, and about what is known by then.
    pub async fn recoveries(&self) -> Result<Vec<Recovery>> {
        let items = self.items().await?;
        let is_known = items.as_array().context("items")?.iter().any(|item| item.get("treatment").is_some());
        let comes = self.phase != Phase::Finding || (is_known && self.lab.rechecks().await? > 0);
        Ok(RECOVERIES.into_iter().filter(|recovery| comes || *recovery != Recovery::Recheck).collect())
    }

    /// What comes next comes to a new process; then all goes back.
    pub async fn end(mut self, recovery: Recovery) -> Result<()> {
        if !self.is_copy {
            self.lab.restart("contain").await?;
        }
        self.lab.clock.advance(Duration::from_secs(5))?;
        self.recover(recovery).await?;
        let Self { lab, stage, dump, .. } = self;
        let ((_, before), after) = (stage.made().await?, lab.dump().await?);
        let mut left = without_replacement(&lab, before, after.clone());
        if stage.scenario.is_kept && recovery == Recovery::Release {
            // Half done, and left so: a release sets right no more than it silences.
            let sensors = ["/trails/", "/detectors/", "/recorders/", "/event_rules/", "/flow_logs/"];
            let is_sensor = |difference: &String| sensors.iter().any(|kind| difference.starts_with(kind));
            left.retain(|difference| !is_sensor(difference));
            left.extend(differences(&dump, &after).into_iter().filter(is_sensor));
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
        let (scenario, is_agreed) = (self.stage.scenario, self.phase != Phase::Finding);
        if recovery == Recovery::Event {
            let report = lab.deliver(&self.event).await?;
            // What was agreed to is done by the message that says so; the finding that comes again does no harm before.
            ensure!(is_agreed || [scenario.answer(), "Joined"].contains(&kind(&report)), "{report:#}");
        }
        if recovery == Recovery::Recheck || is_agreed {
            lab.recheck(incident).await?;
        }
        let is_asked = scenario.is_asked && !is_agreed;
        if is_asked || is_blind(&lab.shown(incident).await?["incident"]["report"]) {
            scenario.agree(lab, incident).await?;
            lab.recheck(incident).await?;
        }
        let contained = if is_asked { Phase::Approved } else { self.phase };
        let shown = lab.shown(incident).await?;
        let steps = shown["containment"]["steps"].as_array().with_context(|| format!("{shown:#}"))?;
        let is_held = |step: &Value| step["state"] == "done" || step["state"] == "already";
        ensure!(!steps.is_empty() && steps.iter().all(is_held), "{shown:#}");
        if self.phase == Phase::Offers {
            let asked_for = self.stage.scenario.offers.split(',').count();
            let is_asked_for = |step: &&Value| BEYOND.iter().any(|action| step["change"]["action"] == *action);
            ensure!(steps.iter().filter(is_asked_for).count() == asked_for, "{shown:#}");
        }
        self.is_held(contained, &lab.dump().await?).await?;
        let messages = lab.messages().await?;
        let is_told = messages.iter().any(|message| message["MessageAttributes"]["outcome"]["Value"] == "Contained");
        ensure!(is_told, "nobody was told that it is contained: {messages:#?}");
        let (code, said) = release().await?;
        ensure!(code == Some(0), "release: {code:?} {said}");
        Ok(())
    }
}

/// The policy could not be read for one target of several, so a person was asked about that one.
fn is_blind(report: &Value) -> bool {
    let report = report.to_string();
    report.contains("\"policy-trouble\"") && report.contains("waits for approval")
}

/// Lambda or the queue delivers it once more.
fn is_failure(answer: &Answer) -> bool {
    match answer {
        Answer::Response(said) => said["batchItemFailures"].as_array().is_some_and(|failures| !failures.is_empty()),
        Answer::Error(_) => true,
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
