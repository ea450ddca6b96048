//! What is shown, in its order, and what is expected of each part.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use cordon_support::Moto;
use serde_json::Value;

use crate::account::{self, Row};
use crate::scenes::{self, Cut, Event, Scene};
use crate::screen::{Screen, Style};
use crate::stage::{Figures, Group, Report, Stage, Step, Whom};

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

struct Story<'a> {
    screen: &'a Screen,
    stage: Stage,
    if_wrong: IfWrong,
    wrong: Vec<String>,
    before: Value,
    dry_run: Value,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    events: usize,
    outcomes: BTreeMap<String, usize>,
    calls: usize,
    changes: usize,
    mails: usize,
}

/// Tells the whole story, and stops all that it started.
pub async fn tell(screen: &Screen, options: &Options) -> Result<Wrong> {
    let started = Instant::now();
    let mut story = Story::open(screen, options).await?;
    story.table("the account before", None);
    let planned = story.dry_run().await?;
    let contained = story.containment(&planned).await?;
    story.account_after().await?;
    story.mail(&contained).await?;
    story.once_more().await?;
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
        let mut stage =
            screen.progress("a little account, made with boto3, and a proxy to count calls", setting).await?;
        let before = screen.progress("a first look at all that Cordon could touch", stage.dump()).await?;
        let dry_run = stage.event(scenes::DRY_RUN.sample, Whom::Victim)?;
        let (if_wrong, wrong, totals) = (options.if_wrong, Vec::new(), Totals::default());
        Ok(Story { screen, stage, if_wrong, wrong, before, dry_run, totals })
    }

    async fn dry_run(&mut self) -> Result<Report> {
        self.screen.heading("a dry run: CORDON_MODE=observe");
        self.stage.start_function("observe").await?;
        let planned = self.play("", &scenes::DRY_RUN).await?;
        let now = self.stage.dump().await?;
        let changed = account::differences(&self.before, &now);
        self.check("boto3 sees the account exactly as before", changed.is_empty(), &changed.join("; "))?;
        Ok(planned)
    }

    /// The report of the instance that was contained.
    async fn containment(&mut self, planned: &Report) -> Result<Report> {
        self.screen.heading("in earnest: CORDON_MODE=contain");
        self.screen.prose(Style::Dim, "A round is one round trip to AWS; calls that go out side by side share it.");
        self.stage.start_function("contain").await?;
        let mut contained = None;
        for (nth, scene) in (1_usize..).zip(&scenes::ALL) {
            let report = self.play(&nth.to_string(), scene).await?;
            if scene.cut == Cut::AfterTheGroup {
                let same = planned.plan.is_some() && planned.plan == report.plan;
                let found = format!("plans {:?} and {:?}", planned.plan, report.plan);
                self.check("what was done is the plan of the dry run", same, &found)?;
                contained = Some(report);
            }
        }
        match contained {
            Some(report) => Ok(report),
            None => bail!("no scene contains an instance"),
        }
    }

    async fn account_after(&mut self) -> Result<()> {
        let after = self.stage.dump().await?;
        self.table("the account after", Some(&after));
        self.screen.line("");
        for check in account::contained(&self.stage.ids, &self.before, &after) {
            let found = check.verdict.as_ref().err().cloned().unwrap_or_default();
            self.check(&check.claim, check.verdict.is_ok(), &found)?;
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
            self.screen.quote(&format!("Subject: {}\n\n{}", text("Subject"), text("Message")));
            self.screen.line("");
        }
        self.check("the mail of the containment is there", wanted.is_some(), &format!("{} other mails", mails.len()))?;
        let claim = format!("{} mails were sent, and as many arrived", self.totals.mails);
        self.check(&claim, mails.len() == self.totals.mails, &format!("{} arrived", mails.len()))
    }

    async fn once_more(&mut self) -> Result<()> {
        self.screen.heading("once more, where the group without rules is there already");
        self.play(&(scenes::ALL.len() + 1).to_string(), &scenes::SECOND).await.map(drop)
    }

    async fn close(self, started: Instant) -> Result<Wrong> {
        let Story { screen, stage, wrong, totals, .. } = self;
        stage.stop().await;
        screen.heading("in all");
        let outcomes: Vec<String> = totals.outcomes.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let Totals { events, calls, changes, mails, .. } = totals;
        screen.prose(Style::Bold, &format!("{events} events, the dry run among them: {}.", outcomes.join(", ")));
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
            "What moto cannot show: the seconds that IAM takes to spread a change, connections that were open before the cut, \
             and that a denied session is really refused.",
        );
        Ok(Wrong(wrong))
    }

    /// Delivers the event of a scene, shows what came of it and compares.
    async fn play(&mut self, number: &str, scene: &Scene) -> Result<Report> {
        let event = match scene.event {
            Event::DryRun => self.dry_run.clone(),
            Event::Fresh(whom) => self.stage.event(scene.sample, whom)?,
        };
        let (report, figures) = self.stage.deliver(&event).await?;
        self.totals.add(&report, figures);
        self.show(number, scene, &report, figures);
        for unexpected in scene.unexpected(&report, figures) {
            self.wrong(format!("{}: {unexpected}", scene.sample))?;
        }
        Ok(report)
    }

    fn show(&self, number: &str, scene: &Scene, report: &Report, figures: Figures) {
        let screen = self.screen;
        screen.line("");
        screen.numbered(number, scene.says);
        let remote = if report.remote.is_empty() { String::new() } else { format!(" [{}]", report.remote.join(", ")) };
        screen.labelled("seen", Style::Plain, &format!("{}: {}{remote}", report.finding_type, report.title));
        let reasons: Vec<&str> = report.decision.iter().map(|reason| reason.text.as_str()).collect();
        screen.labelled("decided", Style::Plain, &reasons.join("; "));
        // Of an event that joined, the steps are those of the incident that it joined.
        let steps = if report.outcome.kind == "Joined" { &[][..] } else { &report.steps };
        let mut label = if figures.changes > 0 { "changed" } else { "steps" };
        for step in steps {
            let (style, line) = self.step(step);
            screen.line(&format!(
                "     {} {}",
                screen.paint(Style::Dim, &format!("{label:<8}")),
                screen.paint(style, &line)
            ));
            label = "";
        }
        let why: String = report.outcome.reasons.iter().map(|reason| format!(": {}", reason.text)).collect();
        screen.labelled("outcome", style_of(&report.outcome.kind), &format!("{}{why}", report.outcome.kind));
        screen.labelled("cost", Style::Dim, &cost(report, figures));
    }

    /// State, thing, and from what to what.
    fn step(&self, step: &Step) -> (Style, String) {
        let state = step.state.split(':').next().unwrap_or_default();
        let style = match state {
            "done" | "already so" => Style::Good,
            _ if state.starts_with("planned") || state.starts_with("waits") => Style::Wait,
            _ => Style::Bad,
        };
        let named = |text: &str| account::name_groups(&self.before, text);
        let change = if step.before == step.after {
            named(&step.after)
        } else {
            format!("{} → {}", named(&step.before), named(&step.after))
        };
        (style, format!("{state:<18} {:<37} {change}", target(step)))
    }

    /// The account as it is in `after`, or before all; what differs is marked.
    fn table(&self, title: &str, after: Option<&Value>) {
        self.screen.heading(title);
        let before = account::rows(&self.stage.ids, &self.before);
        let rows = after.map_or_else(|| before.clone(), |after| account::rows(&self.stage.ids, after));
        let mut last = "";
        for row in &rows {
            let Row { thing, part, value } = row;
            let was = before.iter().find(|old| (&old.thing, &old.part) == (thing, part));
            let (style, mark) = match was {
                Some(old) if old == row => (Style::Plain, String::new()),
                Some(old) => (Style::Good, format!("  ◀ was {}", old.value)),
                None => (Style::Good, "  ◀ new".to_owned()),
            };
            let thing_once = if thing == last { "" } else { thing };
            let value = self.screen.paint(style, value);
            let mark = self.screen.paint(Style::Wait, &mark);
            self.screen.line(&format!("  {thing_once:<23} {part:<34} {value}{mark}"));
            last = thing;
        }
    }

    fn check(&mut self, claim: &str, holds: bool, found: &str) -> Result<()> {
        if holds {
            self.screen.line(&format!("  {} {claim}", self.screen.paint(Style::Good, "✓")));
            return Ok(());
        }
        self.wrong(format!("not so: {claim}: {found}"))
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
    fn add(&mut self, report: &Report, figures: Figures) {
        self.events += 1;
        *self.outcomes.entry(report.outcome.kind.clone()).or_default() += 1;
        self.calls += figures.calls;
        self.changes += figures.changes;
        self.mails += figures.mails;
    }
}

fn cost(report: &Report, figures: Figures) -> String {
    let Figures { calls, changes, mails, rounds, cut, group } = figures;
    if calls == 0 {
        return "no call to AWS".to_owned();
    }
    let network = report.steps.iter().any(|step| step.action == "ec2.interface.groups");
    let what = if network { "off the network" } else { "cut off" };
    let cut = match (cut, group) {
        (Some(round), Group::Made) => format!("{what} in round {round}, as this VPC had no group without rules yet; "),
        (Some(round), Group::NotMade) => format!("{what} in round {round}; "),
        (None, _) => String::new(),
    };
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{cut}{} in {}, {}, {}",
        many(calls, "call"),
        many(rounds, "round"),
        many(changes, "change"),
        many(mails, "mail")
    )
}

fn style_of(outcome: &str) -> Style {
    match outcome {
        "Contained" => Style::Good,
        "Observed" | "Joined" | "Ignored" => Style::Bold,
        "AwaitingApproval" => Style::Wait,
        _ => Style::Bad,
    }
}

/// A step's target without what is the same everywhere: account, region, VPC, unique ids.
fn target(step: &Step) -> String {
    let (path, of) = step.target.split_once(' ').unwrap_or((&step.target, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let last = parts.last().copied().unwrap_or_default();
    match (step.action.as_str(), parts.get(1)) {
        ("iam.role.session-deny", Some(role)) => {
            format!("role {role} session {}", last.rsplit(':').next().unwrap_or_default())
        }
        ("iam.user.attachment", Some(user)) => format!("user {user}: {}", of.rsplit('/').next().unwrap_or_default()),
        ("iam.access-key.status", Some(user)) => format!("user {user}: {}", of.split(" (").next().unwrap_or_default()),
        ("ec2.instance.tag", _) => format!("tag of {last}"),
        _ => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_without_what_is_the_same_everywhere() {
        for (action, long, short) in [
            ("ec2.interface.groups", "200000000001/us-east-1/vpc-1/eni-1", "eni-1"),
            ("ec2.instance.tag", "200000000001/us-east-1/i-1", "tag of i-1"),
            ("iam.role.session-deny", "200000000001/web/AROA1:i-1", "role web session i-1"),
            (
                "iam.user.attachment",
                "200000000001/bob/AIDA1 arn:aws:iam::aws:policy/AWSDenyAll",
                "user bob: AWSDenyAll",
            ),
            ("iam.access-key.status", "200000000001/bob/AIDA1 key …0001 (ee4bc20f)", "user bob: key …0001"),
            ("new.kind", "odd", "odd"),
        ] {
            let step = Step {
                action: action.to_owned(),
                target: long.to_owned(),
                before: String::new(),
                after: String::new(),
                state: String::new(),
            };
            assert_eq!(target(&step), short);
        }
    }
}
