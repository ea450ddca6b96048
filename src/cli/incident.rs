//! `cordon incidents`, `show`, `prepare`.

use super::deployment::{Deployment, Place};
use crate::{
    analyst::shown,
    aws::classify,
    decision::Treatment,
    domain::{IncidentId, Region, StepReport, Timestamp, VpcId},
    journal::{AllIncidents, Approved, Containment, IncidentRecord, Rejected, UnreadSince},
};
use anyhow::Context;
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
Makes two groups in every VPC of a region ahead, so that containment finds them there: the empty quarantine group, and the passage
group, which lets everything through and in which an interface is only for a moment, to end its connections. Nothing stays in the
passage group, but scanners report it as a group that is open to the world: except it there by its id, which is printed.

Example:
  cordon prepare --stack cordon --region eu-west-1")]
pub struct Prepare {
    #[command(flatten)]
    place: Place,
    /// The region; the SDK's own unless given
    #[arg(long)]
    region: Option<String>,
}

impl Incidents {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let AllIncidents { mut records, unreadable } = deployment.incidents().await?;
        records.sort_by_key(|record| std::cmp::Reverse(record.opened));
        for record in records {
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
        Ok(if unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Show {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let record = deployment.incident(&self.incident).await?;
        let mut containments = Vec::new();
        for target in record.treatment.iter().flat_map(Treatment::targets) {
            containments.extend(deployment.journal.read(&target.key()).await?);
        }
        if self.json {
            // Of several targets `containment` is the first one's.
            let of_all = json!({"incident": record, "containment": containments.first(), "containments": containments});
            println!("{of_all}");
        } else {
            print!("{}", page(&record, &containments));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All that is known of an incident, for a terminal.
fn page(record: &IncidentRecord, containments: &[Containment]) -> String {
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
        let approved =
            |what: &str, Approved { hash, at, by, .. }: &Approved| format!("approved   {what} {hash} at {at} by {by}");
        lines.extend(record.approval.plan.as_ref().map(|plan| approved("plan", plan)));
        lines.extend(record.approval.offers.iter().map(|(name, offer)| approved(name, offer)));
        let kept: Vec<StepReport> = containments.iter().flat_map(containment_steps).collect();
        for step in if kept.is_empty() { &report.steps } else { &kept } {
            lines.push(format!("step       [{}] {step}", step.state));
            lines.push(format!("           undo: {}", step.undo));
        }
        lines.extend(report.residual.iter().map(|risk| format!("open       {}", risk.text)));
        if let Some(found) = &report.investigation {
            lines.extend(found.lines().map(|said| format!("before     {said}")));
            lines.extend(found.most.iter().map(|(name, count)| format!("           {count} {name}")));
            lines.extend(found.from_addresses.iter().map(|address| format!("           from {address}")));
            lines.extend(found.made.iter().map(|made| format!("           made {made}")));
            lines.extend(found.suggests.iter().map(|command| format!("           {command}")));
        }
        for (why, command) in &report.advice {
            lines.push(format!("next       {why}"));
            lines.push(format!("           {command}"));
        }
        lines.extend(report.offers.iter().map(|offer| format!("offered    {}: {}", offer.name, offer.why)));
    }
    for containment in containments {
        let holders: Vec<&str> = containment.holders.iter().map(IncidentId::as_str).collect();
        let held = if holders.is_empty() { "nobody".to_owned() } else { holders.join(", ") };
        let of = if containments.len() > 1 { format!("{}: ", containment.target) } else { String::new() };
        lines.push(format!("held by    {of}{held}"));
        lines.extend(containment.released.map(|at| format!("released   {at}")));
    }
    if let Some(Rejected { plan, by, because, at, .. }) = &record.rejected {
        lines.push(format!("rejected   plan {plan} at {at} by {by}: {because}"));
    }
    if let Some(UnreadSince { since, what }) = &record.unread {
        lines.extend(what.iter().map(|what| format!("not read   since {since}: {what}")));
    }
    // What Cordon did and what people did, as it came.
    let timeline = containments.iter().flat_map(|known| known.timeline.iter().map(ToString::to_string));
    let mut timeline: Vec<String> = timeline.chain(record.log.iter().cloned()).collect();
    // Written with as many decimals as there are, so not by their letters.
    timeline.sort_by_key(|line| line.split(' ').next().and_then(Timestamp::parse).unwrap_or(Timestamp::from_millis(0)));
    lines.extend(timeline);
    lines.join("\n") + "\n"
}

fn containment_steps(containment: &Containment) -> Vec<StepReport> {
    containment.steps.iter().map(|step| shown(step.stage, &step.change, &step.state.to_string())).collect()
}

impl Prepare {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let region = deployment.region(self.region.as_deref())?;
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
