//! What is shown, in its order, and what is expected of each part.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use cordon_support::Moto;
use serde_json::Value;

use crate::account::{self, Check};
use crate::dump::differences;
use crate::report::{Figures, Report};
use crate::scenes::{self, Event, Scene};
use crate::screen::{Screen, Style};
use crate::shown::{Says, folded};
use crate::stage::{Ended, Stage, Whom};

/// The calls that come with the cut, so that the evidence is not lost meanwhile.
const WITH_THE_CUT: [&str; 2] = ["EnterStandby", "ModifyInstanceAttribute"];

pub struct Options {
    pub responder: PathBuf,
    pub if_wrong: IfWrong,
}

/// What is done when something is not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfWrong {
    Stop,
    KeepGoing,
}

/// Everything that was not as expected.
pub struct Wrong(pub Vec<String>);

pub struct Story<'a> {
    pub screen: &'a Screen,
    pub stage: Stage,
    if_wrong: IfWrong,
    wrong: Vec<String>,
    pub before: Value,
    dry_run: Value,
    numbered: usize,
    /// What was seen and decided, of the scenes so far.
    pub told: BTreeSet<String>,
    pub totals: Totals,
}

#[derive(Default)]
pub struct Totals {
    events: usize,
    pub rechecks: usize,
    commands: usize,
    outcomes: BTreeMap<String, usize>,
    calls: usize,
    changes: usize,
    pub mails: usize,
}

/// Tells the whole story, and stops all that it started.
pub async fn tell(screen: &Screen, options: &Options) -> Result<Wrong> {
    let started = Instant::now();
    let mut story = Story::open(screen, options).await?;
    story.table("the account before", None);
    let planned = story.dry_run().await?;
    story.prepare().await?;
    let contained = story.containment(&planned).await?;
    story.killed().await?;
    story.denied_already().await?;
    let waits = story.play(&scenes::WAITS).await?;
    story.account_after().await?;
    story.mail(&contained).await?;
    story.approval(&waits).await?;
    story.release().await?;
    story.close(started).await
}

impl<'a> Story<'a> {
    async fn open(screen: &'a Screen, options: &Options) -> Result<Story<'a>> {
        screen.line(&screen.paint(Style::Bold, "Cordon: first response to what GuardDuty finds in an AWS account"));
        screen.prose(
            Style::Dim,
            "All on this machine: the real function binary, a Lambda Runtime API, and moto in place of AWS.",
        );
        screen.heading("setting the stage");
        let moto = screen.progress("moto, which answers as AWS would", Moto::start()).await?;
        let setting = Stage::set(moto, options.responder.clone());
        let mut stage = screen
            .progress("a little account, its table and queue for Cordon, a proxy to count calls", setting)
            .await?;
        let before = screen.progress("a first look at all that Cordon could touch", stage.dump()).await?;
        let dry_run = stage.event(scenes::DRY_RUN.sample, Whom::Victim)?;
        let (if_wrong, wrong, totals) = (options.if_wrong, Vec::new(), Totals::default());
        Ok(Story { screen, stage, if_wrong, wrong, before, dry_run, numbered: 0, told: BTreeSet::new(), totals })
    }

    async fn dry_run(&mut self) -> Result<Report> {
        self.screen.heading("a dry run: CORDON_MODE=observe");
        self.screen.prose(Style::Dim, "A round is one round trip to AWS; calls that go out side by side share it.");
        self.stage.start_function("observe").await?;
        let planned = self.play(&scenes::DRY_RUN).await?;
        let now = self.stage.dump().await?;
        let changed = differences(&self.before, &now);
        self.check("boto3 sees the account exactly as before", changed.is_empty(), &changed.join("; "))?;
        Ok(planned)
    }

    /// The report of the instance that was contained.
    async fn containment(&mut self, planned: &Report) -> Result<Report> {
        self.screen.heading("in earnest: CORDON_MODE=contain, with a journal in DynamoDB and rechecks in SQS");
        self.stage.start_function("contain").await?;
        self.play(&scenes::ATTACKED).await?;
        let contained = self.play(&scenes::INSTANCE).await?;
        let cut = self.stage.figures().cut;
        let rounds = WITH_THE_CUT.map(|operation| self.stage.round_of(operation));
        let claim = "in the same round its group was told to spare it, and it was protected against its end";
        self.check(claim, cut.is_some() && rounds.iter().all(|round| *round == cut), &format!("{rounds:?}, {cut:?}"))?;
        self.check_passage("victim").await?;
        let same = planned.plan.is_some() && planned.plan == contained.plan;
        let found = format!("plans {:?} and {:?}", planned.plan, contained.plan);
        self.check("what was done is the plan of the dry run", same, &found)?;
        for scene in &scenes::NOTHING_NEW {
            self.play(scene).await?;
        }
        self.check_joined(&contained).await?;
        Ok(contained)
    }

    /// Of the last delivery: what each interface of an instance went through, and that it is over.
    pub async fn check_passage(&mut self, whose: &str) -> Result<()> {
        let after = self.stage.dump().await?;
        let check = account::passed(&self.stage.ids, whose, &self.before, &after, &self.stage.moves());
        self.verdict(&check)
    }

    /// Its step was done before, for the instance.
    async fn denied_already(&mut self) -> Result<()> {
        let report = self.play(&scenes::DENIED_ALREADY).await?;
        let states: Vec<&str> = report.steps.iter().map(|step| step.state.as_str()).collect();
        self.check("the deny that is there counts as its own", states == ["done"], &format!("{states:?}"))
    }

    /// The last finding has a record of its own, which says what came of it.
    async fn check_joined(&mut self, held: &Report) -> Result<()> {
        let incident = self.stage.incidents().await?.pop().context("the journal knows no incident")?;
        let record = self.stage.record(&incident).await?;
        let kind = record["incident"]["report"]["outcome"]["kind"].as_str().unwrap_or_default();
        let holds = held.incident.as_ref() != Some(&incident) && kind == "Joined";
        self.check(&format!("it has a record of its own: {incident} is Joined"), holds, &format!("it is {kind}"))
    }

    async fn account_after(&mut self) -> Result<()> {
        let after = self.stage.dump().await?;
        self.table("the account after, where it is not as before", Some(&after));
        self.screen.line("");
        for check in account::contained(&self.stage.ids, &self.before, &after) {
            self.verdict(&check)?;
        }
        Ok(())
    }

    async fn mail(&mut self, contained: &Report) -> Result<()> {
        let mails = self.stage.mails().await?;
        self.screen.heading("the mail that people got of the instance");
        let attribute = |mail: &Value, name: &str| mail["MessageAttributes"][name]["Value"].as_str().map(str::to_owned);
        let wanted = mails.iter().find(|mail| {
            attribute(mail, "outcome").as_ref() == Some(&contained.outcome.kind)
                && attribute(mail, "incident") == contained.incident
        });
        if let Some(mail) = wanted {
            let text = |key: &str| mail[key].as_str().unwrap_or_default();
            self.screen.quote(&format!("Subject: {}\n\n{}", text("Subject"), folded(text("Message"))));
            self.screen.line("");
        }
        self.check("the mail of the containment is there", wanted.is_some(), &format!("{} other mails", mails.len()))?;
        let claim = format!("{} mails were sent, and as many arrived", self.totals.mails);
        self.check(&claim, mails.len() == self.totals.mails, &format!("{} arrived", mails.len()))
    }

    async fn close(self, started: Instant) -> Result<Wrong> {
        let Story { screen, stage, wrong, totals, .. } = self;
        stage.stop().await;
        screen.heading("in all");
        let outcomes: Vec<String> = totals.outcomes.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let Totals { events, rechecks, commands, calls, changes, mails, .. } = totals;
        screen.prose(
            Style::Bold,
            &format!(
                "{events} events, the dry run among them, and {rechecks} rechecks: {}; {commands} commands.",
                outcomes.join(", ")
            ),
        );
        let seconds = started.elapsed().as_secs_f64();
        screen.prose(
            Style::Bold,
            &format!(
                "{calls} AWS calls, {changes} of them changes and {mails} mails; {seconds:.1} s; everything is stopped."
            ),
        );
        let (style, verdict) = match wrong.len() {
            0 => (Style::Good, "All was as expected.".to_owned()),
            many => (Style::Bad, format!("{many} things were not as expected.")),
        };
        screen.prose(style, &verdict);
        screen.prose(
            Style::Dim,
            "What moto cannot show: the seconds that IAM takes to spread a change, the minutes that snapshots and draining \
             take, that the passage really ends connections, and that a denied session is really refused.",
        );
        Ok(Wrong(wrong))
    }

    /// Delivers the event of a scene, shows what came of it and compares.
    async fn play(&mut self, scene: &Scene) -> Result<Report> {
        self.title(scene);
        let event = self.event(scene)?;
        let (report, figures) = self.stage.deliver(&event).await?;
        self.totals.events += 1;
        self.came(scene, &report, figures)?;
        Ok(report)
    }

    pub fn event(&mut self, scene: &Scene) -> Result<Value> {
        match scene.event {
            Event::DryRun => Ok(self.dry_run.clone()),
            Event::Fresh(whom) => self.stage.event(scene.sample, whom),
        }
    }

    pub fn title(&mut self, scene: &Scene) {
        self.screen.line("");
        self.numbered += 1;
        self.screen.numbered(&self.numbered.to_string(), scene.says);
    }

    /// Shows what came of a scene and compares.
    pub fn came(&mut self, scene: &Scene, report: &Report, figures: Figures) -> Result<()> {
        *self.totals.outcomes.entry(report.outcome.kind.clone()).or_default() += 1;
        self.totals.add(figures);
        self.show(report, figures);
        for unexpected in scene.unexpected(report, figures) {
            self.wrong(format!("{}: {unexpected}", scene.sample))?;
        }
        Ok(())
    }

    /// Runs the command line, and shows what it says.
    pub async fn cordon(&mut self, line: &str, says: Says) -> Result<Ended> {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (ended, figures) = self.stage.cordon(&arguments).await?;
        self.totals.commands += 1;
        self.totals.add(figures);
        self.command(line, &ended, says);
        Ok(ended)
    }

    pub fn check(&mut self, claim: &str, holds: bool, found: &str) -> Result<()> {
        if holds {
            self.screen.line(&format!("  {} {claim}", self.screen.paint(Style::Good, "✓")));
            return Ok(());
        }
        self.wrong(format!("not so: {claim}: {found}"))
    }

    pub fn verdict(&mut self, check: &Check) -> Result<()> {
        let found = check.verdict.as_ref().err().cloned().unwrap_or_default();
        self.check(&check.claim, check.verdict.is_ok(), &found)
    }

    fn wrong(&mut self, what: String) -> Result<()> {
        self.screen.prose(Style::Bad, &format!("✗ {what}"));
        if self.if_wrong == IfWrong::Stop {
            bail!("not as expected: {what} (--keep-going shows the rest)");
        }
        self.wrong.push(what);
        Ok(())
    }
}

impl Totals {
    pub fn add(&mut self, figures: Figures) {
        self.calls += figures.calls;
        self.changes += figures.changes;
        self.mails += figures.mails;
    }

    pub fn died(&mut self, figures: Figures) {
        self.events += 1;
        self.add(figures);
    }
}
