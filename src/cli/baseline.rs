//! `cordon baseline show|accept`: which sensors Cordon switches on again.

use super::deployment::{Deployment, Place};
use crate::{
    domain::{Region, Target, Timestamp},
    survey::{Baseline, Known, On, all_on, trail},
};
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::Duration,
};

#[derive(Debug, Args)]
#[command(after_help = "\
The first sweep takes what it finds on: trails and what they record, detectors and their features, recorders, flow logs, and the rules of
EventBridge by which Cordon gets its events. Cordon switches on again what is in it, and nothing else. What you switched off, or on, for
good becomes right with `accept`; look at `show` first: an attacker's trail must not become part of it.

Examples:
  cordon baseline show --stack cordon --region eu-west-1
  cordon baseline accept --stack cordon --region eu-west-1

Exit codes: 0 shown or accepted, 1 not, 2 wrong usage.")]
pub struct BaselineCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What was taken as right, and what is different now
    Show {
        #[command(flatten)]
        how: How,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take what is on now as right
    Accept {
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
struct How {
    /// The region; the SDK's own unless given
    #[arg(long)]
    region: Option<String>,
    /// How the names of the event rules begin by which Cordon gets its events; with --stack it is known
    #[arg(long, env = "CORDON_EVENT_RULES", value_name = "PREFIX")]
    event_rules: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Containments that are looked through for sensors.
const MOST_HELD: usize = 500;

impl How {
    async fn look(&self) -> anyhow::Result<(Deployment, Region, Option<Baseline>, On)> {
        let deployment = self.place.open().await?;
        let region = deployment.region(self.region.as_deref())?;
        let account = &deployment.aws.identity().await?.account;
        let rules = self.event_rules.clone().or_else(|| self.place.stack().map(|stack| format!("{stack}-")));
        let on = all_on(&deployment.aws, account, &region, rules.as_deref()).await;
        let known = deployment.journal.baseline(account, &region).await?;
        Ok((deployment, region, known, on))
    }
}

impl BaselineCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Show { how, json } => {
                let (_, _, known, on) = how.look().await?;
                if json {
                    println!("{}", json!({"baseline": known, "changes": changes(known.as_ref(), &on)}));
                    return Ok(ExitCode::SUCCESS);
                }
                match &known {
                    Some(baseline) => print!("{}", page(baseline)),
                    None => println!("no baseline was taken yet: the next sweep does, or `cordon baseline accept`"),
                }
                for change in changes(known.as_ref(), &on) {
                    println!("{change}");
                }
            }
            What::Accept { how } => accept(&how).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn accept(how: &How) -> anyhow::Result<()> {
    let (deployment, region, known, on) = how.look().await?;
    let identity = deployment.aws.identity().await?;
    // What cannot be read now would be missing from the baseline, and never be switched on again.
    if let Some((kind, error)) = on.unread.first() {
        bail!("whether each {kind} is on could not be read, so nothing was accepted: {error}");
    }
    let changes = changes(known.as_ref(), &on);
    if known.is_some() && changes.is_empty() {
        println!("nothing is different from the baseline");
        return Ok(());
    }
    let now = Timestamp::from_millis(deployment.clock.now_millis());
    let mut sensors = BTreeMap::new();
    for (count, (name, (id, watches))) in on.sensors.into_iter().enumerate() {
        eprintln!("cordon: {} {name}: who changed it last?", count + 1);
        let since = now.minus(Duration::from_secs(90 * 24 * 60 * 60));
        let change = trail::last_change(&deployment.aws, &region, id.name(), since).await?;
        sensors.insert(name, Known { id, watches, changed_by: change.map(|change| change.to_string()) });
    }
    let baseline = Baseline { taken: now, by: identity.arn.to_string(), sensors, unread: BTreeSet::new() };
    let journal = &deployment.journal;
    if !journal.keep_baseline(&identity.account, &region, &baseline, known.as_ref()).await? {
        bail!("somebody else has taken another baseline meanwhile: look at it with `cordon baseline show`");
    }
    for change in changes {
        println!("{change}");
    }
    for held in journal.held(MOST_HELD).await? {
        if matches!(held.target, Target::Sensor { .. }) {
            println!(
                "{}: is still held to what it was; let it go with `cordon release {}`",
                held.target,
                held.known_as()
            );
        }
    }
    println!("the baseline of {region} has {} sensors now", baseline.sensors.len());
    Ok(())
}

fn page(baseline: &Baseline) -> String {
    let mut lines = vec![format!("taken {} by {}", baseline.taken, baseline.by)];
    for (name, known) in &baseline.sensors {
        lines.push(format!("  {name}: {}", known.watches));
        lines.extend(known.changed_by.as_ref().map(|by| format!("    changed before by {by}")));
    }
    lines.join("\n") + "\n"
}

/// What accepting would change, a line each.
fn changes(known: Option<&Baseline>, on: &On) -> Vec<String> {
    let none = BTreeMap::new();
    let known = known.map_or(&none, |baseline| &baseline.sensors);
    let unread = on.unread.iter().map(|(kind, error)| format!("? {kind}: could not be read: {error}"));
    let is_unread = |known: &Known| on.unread.iter().any(|(kind, _)| *kind == known.id.kind());
    let new = on.sensors.iter().filter(|(name, _)| !known.contains_key(*name));
    let new = new.map(|(name, (_, watches))| format!("+ {name}: {watches}; not in the baseline"));
    let changed =
        known.iter().filter(|(_, known)| !is_unread(known)).filter_map(|(name, known)| match on.sensors.get(name) {
            None => Some(format!("- {name}: is off or gone")),
            Some((_, now)) if *now != known.watches => Some(format!("~ {name}: {} now", now)),
            Some(_) => None,
        });
    unread.chain(new).chain(changed).collect()
}
