//! `cordon incidents`, `show`, `release`, `approve`, `prepare`.

use super::deployment::{Deployment, Place};
use crate::{
    analyst::shown,
    aws::classify,
    domain::{IncidentId, OutcomeKind, Region, StepReport, Timestamp, VpcId},
    engine::{Asked, Wishes, release},
    journal::{Approved, Containment, IncidentRecord},
};
use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Some of it could not be done.
const PARTLY: u8 = 3;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cordon incidents --stack cordon\n  cordon incidents --table cordon --json")]
pub struct Incidents {
    #[command(flatten)]
    place: Place,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cordon show amber-otter-k7m2q --stack cordon\n  cordon show amber --stack cordon --json"
)]
pub struct Show {
    /// The incident's id; may be shortened as long as it names only one
    incident: String,
    #[command(flatten)]
    place: Place,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Puts back each thing that the incident changed, only where nobody changed it since, and says who did. What another incident holds too
stays, and so does what the attacker himself had set before, between the first evidence and the containment: look at it first.

Examples:
  cordon release amber-otter-k7m2q --stack cordon
  cordon release amber-otter-k7m2q --stack cordon --reactivate-keys
  cordon release amber-otter-k7m2q --stack cordon --force

Exit codes: 0 released, 1 not released, 2 wrong usage, 3 only partly released.")]
pub struct Release {
    /// The incident's id; may be shortened as long as it names only one
    incident: String,
    /// Make the user's keys Active again; they stay Inactive otherwise
    #[arg(long)]
    reactivate_keys: bool,
    /// Put back also what the attacker himself had set before, by CloudTrail, or where that could not be looked up
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Writes down the hash of the plan that people were shown, and of what was offered beyond it and is asked for by name. The responder
acts if the plan, made afresh, has that hash, and asks again otherwise. A release ends all approvals.

Examples:
  cordon approve amber-otter-k7m2q --stack cordon
  cordon approve amber-otter-k7m2q --stack cordon --with stop-instance,terminate-sessions")]
pub struct Approve {
    /// The incident's id; may be shortened as long as it names only one
    incident: String,
    /// What to do beyond the plan, of what the incident offers; of a contained incident, only that
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    with: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Makes two groups in every VPC of a region ahead, so that containment finds them there: the empty quarantine group, and the passage
group, which lets everything through and in which an interface is only for a moment, to end its connections. Nothing stays in the
passage group, but scanners report it as a group that is open to the world: except it there by its id, which is printed.

Example:
  cordon prepare --stack cordon --region eu-west-1")]
pub struct Prepare {
    #[command(flatten)]
    place: Place,
    /// The region; the SDK's own unless given
    #[arg(long, env = "AWS_REGION")]
    region: String,
}

impl Incidents {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let mut found = deployment.journal.incidents().await?;
        found.sort_by_key(|record| std::cmp::Reverse(record.opened));
        for record in found {
            if self.json {
                println!("{}", serde_json::to_string(&record)?);
                continue;
            }
            let report = record.report.as_ref().or_else(|| record.treatment.as_ref().map(|case| &case.report));
            let outcome = record.report.as_ref().map_or_else(|| "under way".to_owned(), |r| r.outcome.kind.to_string());
            let severity = report.and_then(|r| r.severity).map(|s| s.to_string()).unwrap_or_default();
            let target = report.and_then(|r| r.target.clone()).unwrap_or_default();
            println!("{:<24} {}  {severity:<9} {outcome:<19} {target}", record.id.as_str(), record.opened);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let record = deployment.incident(&self.incident).await?;
        let containment = match &record.treatment {
            Some(case) => deployment.journal.read(&case.target.key()).await?,
            None => None,
        };
        if self.json {
            println!("{}", json!({"incident": record, "containment": containment}));
        } else {
            print!("{}", page(&record, containment.as_ref()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All that is known of an incident, for a terminal.
fn page(record: &IncidentRecord, containment: Option<&Containment>) -> String {
    let mut lines = vec![format!("incident   {}", record.id), format!("opened     {}", record.opened)];
    let report = record.report.as_ref().or_else(|| record.treatment.as_ref().map(|case| &case.report));
    if let Some(report) = report {
        let outcome = record.report.as_ref().map_or_else(|| "under way".to_owned(), |r| r.outcome.kind.to_string());
        lines.push(format!("outcome    {outcome}"));
        lines.extend(report.outcome.reasons.iter().map(|reason| format!("           {reason}")));
        lines.push(format!("target     {}", report.target.as_deref().unwrap_or("none")));
        lines.push(format!("finding    {}: {}", report.finding_type, report.title));
        lines.extend(report.seen.map(|seen| format!("last seen  {seen}")));
        lines.extend(report.remote.iter().map(|remote| format!("other side {remote}")));
        lines.extend(report.decision.iter().map(|reason| format!("because    {reason}")));
        lines.extend(report.plan.as_ref().map(|plan| format!("plan       {plan}")));
        let approved = |what: &str, Approved { hash, at }: &Approved| format!("approved   {what} {hash} at {at}");
        lines.extend(record.approval.plan.as_ref().map(|plan| approved("plan", plan)));
        lines.extend(record.approval.offers.iter().map(|(name, offer)| approved(name, offer)));
        let kept = containment.map(containment_steps);
        for step in kept.as_deref().filter(|steps| !steps.is_empty()).unwrap_or(&report.steps) {
            lines.push(format!("step       [{}] {step}", step.state));
            lines.push(format!("           undo: {}", step.undo));
        }
        lines.extend(report.residual.iter().map(|risk| format!("open       {}", risk.text)));
        lines.extend(report.offers.iter().map(|offer| format!("offered    {}: {}", offer.name, offer.why)));
    }
    if let Some(containment) = containment {
        let holders: Vec<&str> = containment.holders.iter().map(IncidentId::as_str).collect();
        let held = if holders.is_empty() { "nobody".to_owned() } else { holders.join(", ") };
        lines.push(format!("held by    {held}"));
        lines.extend(containment.timeline.iter().map(|entry| format!("{}  {}", entry.at, entry.text)));
        lines.extend(containment.released.map(|at| format!("released   {at}")));
    }
    lines.join("\n") + "\n"
}

fn containment_steps(containment: &Containment) -> Vec<StepReport> {
    containment.steps.iter().map(|step| shown(step.stage, &step.change, &step.state.to_string())).collect()
}

impl Release {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let record = deployment.incident(&self.incident).await?;
        let asked = if self.reactivate_keys { Asked::Yes } else { Asked::No };
        let wishes = Wishes { asked, force: self.force };
        let Deployment { aws, journal, clock, .. } = &deployment;
        let released = release(aws, &**journal, clock, &record.id, wishes).await?;
        let now = Timestamp::from_millis(clock.now_millis());
        let report = released.conclude(&**journal, record, now).await?;
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!("{} {}", report.outcome.kind, released.incident);
            for step in &report.steps {
                let now = if step.state == "undone" { &step.before } else { &step.after };
                println!("  [{}] {} {}: {now}", step.state, step.action, step.target);
            }
            for reason in &report.outcome.reasons {
                println!("  {reason}");
            }
        }
        Ok(if report.outcome.kind == OutcomeKind::Released { ExitCode::SUCCESS } else { ExitCode::from(PARTLY) })
    }
}

impl Approve {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let record = deployment.incident(&self.incident).await?;
        let report = record.report.as_ref().context("people were shown no plan yet")?;
        let mut approval = record.approval.clone();
        let at = Timestamp::from_millis(deployment.clock.now_millis());
        let mut lines = Vec::new();
        if report.is_waiting() {
            let plan = report.plan.as_deref().context("the incident has no plan")?;
            approval.plan = Some(Approved { hash: plan.to_owned(), at });
            lines.push(format!("approved plan {plan} of {}", record.id));
            let owed = report.steps.iter().filter(|step| step.before != step.after);
            lines.extend(owed.map(|step| format!("  {step}")));
        } else if self.with.is_empty() {
            bail!("incident {} does not wait for approval; it is {}", record.id, report.outcome.kind);
        }
        for name in &self.with {
            let Some(offer) = report.offers.iter().find(|offer| offer.name == *name) else {
                let offered: Vec<&str> = report.offers.iter().map(|offer| offer.name.as_str()).collect();
                let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
                bail!("incident {} does not offer `{name}`; it offers {offered}", record.id);
            };
            approval.offers.insert(offer.name.clone(), Approved { hash: offer.hash.clone(), at });
            lines.push(format!("approved {name}: {}", offer.why));
            lines.extend(offer.steps.iter().map(|step| format!("  {step}")));
        }
        deployment.journal.approve(&record.id, &approval).await?;
        deployment.rechecks.send_now(&record.id).await?;
        println!("{}\nthe responder looks at it now", lines.join("\n"));
        Ok(ExitCode::SUCCESS)
    }
}

impl Prepare {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let region = Region::parse(&self.region)?;
        let account = &deployment.aws.identity().await?.account;
        let mut failed = 0;
        for vpc in vpcs(&deployment, &region).await? {
            let made = match deployment.aws.ensure_quarantine(account, &region, &vpc).await {
                Ok(group) => {
                    deployment.aws.ensure_passage(account, &region, &vpc).await.map(|passage| (group, passage))
                }
                Err(error) => Err(error),
            };
            match made {
                Ok((group, passage)) => println!("{vpc}  quarantine {group}  passage {passage}"),
                Err(error) => {
                    failed += 1;
                    eprintln!("cordon: {vpc}: {error}");
                }
            }
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(PARTLY) })
    }
}

async fn vpcs(deployment: &Deployment, region: &Region) -> anyhow::Result<Vec<VpcId>> {
    let mut pages = deployment.aws.ec2(region).describe_vpcs().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(vpc) = pages.try_next().await.map_err(classify("ec2:DescribeVpcs"))? {
        found.push(VpcId::parse(vpc.vpc_id().context("a VPC without an id")?)?);
    }
    Ok(found)
}
