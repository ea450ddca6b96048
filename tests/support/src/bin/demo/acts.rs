//! What the operator does, and what happens to the function: prepare, death, approval, release.

use anyhow::{Context, Result};

use crate::account;
use crate::dump::differences;
use crate::report::Report;
use crate::scenes;
use crate::screen::Style;
use crate::shown::Says;
use crate::stage::{Ended, TABLE};
use crate::story::Story;

/// The delays of the product's rechecks, which nobody here waits for.
const RECHECKS: usize = 3;
/// Where the function dies: the deny and one of two keys come through, the second key does not.
const DIES_BEFORE: (&str, u32) = ("UpdateAccessKey", 2);
/// The playbook whose release asks for the keys too.
const KEYS: &str = "compromised-access-key";
/// The exit code where another incident holds the same.
const PARTLY: i32 = 3;

impl Story<'_> {
    /// The groups of each VPC are made ahead.
    pub async fn prepare(&mut self) -> Result<()> {
        self.screen.heading("prepared: an empty group and an open one in each VPC, before they are needed");
        self.screen.prose(
            Style::Dim,
            &format!("The command line has CORDON_TABLE={TABLE}, as the function has, and CORDON_DIRECT=true."),
        );
        let ended = self.cordon("prepare", Says::Most).await?;
        self.check_code(&ended, 0)
    }

    /// The function dies in the middle, and another process finishes what it finds in the journal.
    pub async fn killed(&mut self) -> Result<()> {
        let scene = &scenes::KILLED;
        self.title(scene);
        let event = self.event(scene)?;
        let waiting = self.stage.rechecks().await?;
        let (operation, nth) = DIES_BEFORE;
        let figures = self.stage.kill_before(&event, operation, nth).await?;
        self.totals.died(figures);
        let before_the_cut = self.stage.round_of("SendMessageBatch") < figures.cut;
        let now = self.stage.dump().await?;
        let new = self.stage.rechecks().await?.saturating_sub(waiting);
        let died = format!("in round {}, before its {operation} number {nth} reached AWS", figures.rounds);
        self.screen.labelled("KILLED", Style::Bad, &died);
        self.screen.labelled("boto3", Style::Bad, &account::user(&self.stage.ids, &now));
        let active = account::active_keys(&self.stage.ids, &now);
        self.check("it is half done: one key is inactive, one is not", active == 1, &format!("{active} are active"))?;
        let claim = format!("{RECHECKS} rechecks wait in their queue; they had left before the first change");
        self.check(&claim, new == RECHECKS && before_the_cut, &format!("{new}, {:?}", figures.cut))?;

        self.stage.start_function("contain").await?;
        let goes_on = "a new process gets the first recheck, which is an incident's id and no more";
        self.screen.labelled("+5 s", Style::Bold, goes_on);
        let incident = self.stage.incidents().await?.pop().context("the journal knows no incident")?;
        let (report, figures) = self.stage.recheck(&incident).await?;
        self.totals.rechecks += 1;
        self.came(scene, &report, figures)
    }

    /// A person lets a plan that waits be carried out.
    pub async fn approval(&mut self, waits: &Report) -> Result<()> {
        self.screen.heading("an approval, by the command line");
        let scene = &scenes::APPROVED;
        self.title(scene);
        let incident = waits.incident.as_deref().context("what waits has no incident")?;
        let ended = self.cordon(&format!("approve {incident}"), Says::Most).await?;
        self.check_code(&ended, 0)?;
        let (report, figures) = self.stage.recheck(incident).await?;
        self.totals.rechecks += 1;
        self.came(scene, &report, figures)?;
        self.check_passage("bystander").await?;
        let same = waits.plan.is_some() && waits.plan == report.plan;
        self.check("it is the plan that was shown", same, &format!("{:?} and {:?}", waits.plan, report.plan))?;
        let mails = self.stage.mails().await?.len();
        self.check("one more mail says so", mails == 1, &format!("{mails} mails"))
    }

    /// Every incident that holds something lets go of it; the world must be as it was.
    pub async fn release(&mut self) -> Result<()> {
        self.screen.heading("all is understood: every incident that holds something is released");
        let contained = self.stage.dump().await?;
        let mut seen = false;
        for incident in self.stage.incidents().await? {
            let record = self.stage.record(&incident).await?;
            let holders = record["containment"]["holders"].as_array().cloned().unwrap_or_default();
            if !holders.iter().any(|holder| *holder == incident) {
                continue;
            }
            let (code, outcome) = if holders.len() == 1 { (0, "Released") } else { (PARTLY, "PartiallyReleased") };
            // One is enough to see how it looks.
            let is_first = code == 0 && !seen;
            let says = if is_first { Says::Most } else { Says::InShort };
            seen |= code == 0;
            let keys = record["incident"]["treatment"]["playbook"] == KEYS;
            let line = format!("release {incident}{}", if keys { " --reactivate-keys" } else { "" });
            let ended = self.cordon(&line, says).await?;
            self.check_code(&ended, code)?;
            if !ended.stdout.starts_with(outcome) {
                self.check(&format!("it says {outcome}"), false, &ended.stdout)?;
            }
            if code == PARTLY {
                let changed = differences(&contained, &self.stage.dump().await?);
                let holds = ended.stdout.contains("[still in place]") && changed.is_empty();
                self.check("another incident holds it too: nothing was put back yet", holds, &changed.join("; "))?;
            }
            if is_first {
                let holds = account::is_denied(&self.stage.ids, &self.before, &self.stage.dump().await?);
                let claim = "its session is still denied: the incident of the leaked credentials holds that deny too";
                self.check(claim, holds, "the role has no such policy")?;
            }
        }
        let after = self.stage.dump().await?;
        self.table("the account after the release, where it is not as before", Some(&after));
        self.screen.line("");
        let left = account::released(&self.before, &after);
        for declared in &left.declared {
            self.screen.prose(Style::Dim, &format!("stays: {declared}"));
        }
        self.verdict(&left.check)
    }

    fn check_code(&mut self, ended: &Ended, expected: i32) -> Result<()> {
        if ended.code == Some(expected) {
            return Ok(());
        }
        self.check(&format!("the exit code is {expected}"), false, &format!("{:?}", ended.code))
    }
}
