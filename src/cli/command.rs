//! What operators command: through the operator function, which proves who asks, or with `--direct` by their own rights on the table.

use super::deployment::{Deployment, Place};
use crate::{
    analyst::Analyst,
    domain::{AccessKeyId, BucketName, InstanceId, Report, RoleName, SessionName, Timestamp, UserName},
    journal::{AllIncidents, IncidentRecord},
    operator::{Answer, Command, Desk, Named, Request, Who, audience, sign},
    policy::Mode,
    rulebook::RuleBook,
    watch::Watch,
};
use anyhow::{Context, anyhow, bail};
use aws_sdk_lambda::primitives::Blob;
use clap::{Args, Subcommand};
use similar::TextDiff;
use std::{collections::BTreeMap, process::ExitCode};

/// Not carried out, with a reason.
const REFUSED: u8 = 1;
/// Only partly released.
const PARTLY: u8 = 3;

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
Approves the plan that people were shown, by its hash, and of what was offered beyond it what is asked for by name. The responder acts
if the plan, made afresh, has that hash; otherwise it says what has changed and asks again. A release ends all approvals.

Examples:
  cordon approve amber-otter-k7m2q --stack cordon
  cordon approve amber-otter-k7m2q --stack cordon --with stop-instance,terminate-sessions
  cordon approve --all-waiting --stack cordon")]
pub struct Approve {
    /// The incident's id; may be shortened as long as it names only one
    #[arg(required_unless_present = "all_waiting", conflicts_with = "all_waiting")]
    incident: Option<String>,
    /// Every incident that waits, each with the plan that people were shown
    #[arg(long)]
    all_waiting: bool,
    /// What to do beyond the plan, of what the incident offers; of a contained incident, only that
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "all_waiting")]
    with: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "\
That plan is not asked about again, and not carried out unattended. Another plan of this incident is asked about; another incident is judged by itself.

Example:
  cordon reject amber-otter-k7m2q --because 'our own penetration test' --stack cordon")]
pub struct Reject {
    /// The incident's id; may be shortened as long as it names only one
    incident: String,
    /// Why; it is kept and told
    #[arg(long, value_name = "TEXT")]
    because: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing new is contained unattended: people are asked instead. What is held or half done is looked after as before. Everybody who gets
Cordon's messages is told of it.

Example:
  cordon pause --minutes 120 --because 'moving the web fleet' --stack cordon")]
pub struct PauseCommand {
    /// 1 to 480
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=480))]
    minutes: u32,
    /// Why; it is kept and told
    #[arg(long, value_name = "TEXT")]
    because: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cordon resume --stack cordon")]
pub struct Resume {
    /// Why; it is kept and told
    #[arg(long, value_name = "TEXT", default_value = "done")]
    because: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The plan is made with your own rights and shown; the responder carries it out, under the same guards and with the same journal and
release as for a finding. The command is the approval of that plan; protections hold all the same.

Examples:
  cordon contain instance i-0a1b2c3d4e5f60718 --region eu-west-1 --because 'seen scanning' --dry-run
  cordon contain user deploy --because 'key in a public repository' --stack cordon
  cordon contain role-session deploy-role/build-17 --because 'made from a strange address' --stack cordon
  cordon contain access-key AKIAIOSFODNN7EXAMPLE --because 'key in a public repository' --stack cordon
  cordon contain bucket customer-exports --because 'readable by anybody' --stack cordon

Exit codes: 0 handed to the responder (or shown), 1 refused, 2 wrong usage.")]
pub struct Contain {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// An EC2 instance, by its id
    Instance {
        id: String,
        #[command(flatten)]
        how: How,
    },
    /// An IAM user, by name
    User {
        name: String,
        #[command(flatten)]
        how: How,
    },
    /// One session of a role, as ROLE/SESSION
    RoleSession {
        session: String,
        #[command(flatten)]
        how: How,
    },
    /// The user who owns a long-term access key
    AccessKey {
        id: String,
        #[command(flatten)]
        how: How,
    },
    /// A bucket of this account: the public is shut out
    Bucket {
        name: String,
        #[command(flatten)]
        how: How,
    },
}

impl What {
    const fn how(&self) -> &How {
        match self {
            Self::Instance { how, .. }
            | Self::User { how, .. }
            | Self::RoleSession { how, .. }
            | Self::AccessKey { how, .. }
            | Self::Bucket { how, .. } => how,
        }
    }
}

#[derive(Debug, Args)]
struct How {
    /// Why; it is kept and told
    #[arg(long, value_name = "TEXT", default_value = "named by hand")]
    because: String,
    /// Show the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Of an instance or a bucket; the SDK's own unless given
    #[arg(long)]
    region: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Deployment {
    /// Has the command carried out where it belongs.
    ///
    /// # Errors
    /// It is not known whether it was.
    pub async fn command(&self, command: &Command) -> anyhow::Result<Answer> {
        match (&self.function, self.is_direct) {
            (_, true) => {
                let desk = self.desk();
                let who = Who::of(&self.aws, self.aws.identity().await?.clone()).await?;
                Ok(desk.carry_out(command, &who).await?.unwrap_or_else(Answer::Refused))
            }
            (Some(function), false) => self.invoke(function, command).await,
            (None, false) => bail!(
                "which operator function? name its stack with --stack, or itself with --function; or use --direct, with rights of your own on the table"
            ),
        }
    }

    async fn invoke(&self, function: &str, command: &Command) -> anyhow::Result<Answer> {
        let text = serde_json::to_string(command)?;
        let proof = sign(&self.aws, &text, &self.audience(function).await?, &nonce()).await?;
        let payload = serde_json::to_vec(&Request { command: text, proof })?;
        let call = self.aws.lambda().invoke().function_name(function).payload(Blob::new(payload));
        let answer = call.send().await.map_err(crate::aws::classify("lambda:Invoke"))?;
        let said = String::from_utf8_lossy(answer.payload().map(Blob::as_ref).unwrap_or_default()).into_owned();
        match answer.function_error() {
            None => serde_json::from_str(&said).with_context(|| format!("function `{function}` answered {said}")),
            Some(_) => bail!(
                "function `{function}` failed: {said}\nas long as it does, --direct works with rights of your own"
            ),
        }
    }

    /// Of a function by name: in this account and region.
    async fn audience(&self, function: &str) -> anyhow::Result<String> {
        if function.starts_with("arn:") {
            return Ok(audience(function));
        }
        let region = self.region(None)?;
        Ok(format!("{}/{region}/{function}", self.aws.identity().await?.account))
    }

    pub fn desk(&self) -> Desk {
        let Self { aws, journal, rechecks, clock, .. } = self;
        let rules = RuleBook::new(None, journal.clone());
        Desk { aws: aws.clone(), journal: journal.clone(), rules, rechecks: rechecks.clone(), clock: clock.clone() }
    }
}

/// What nobody has used before.
fn nonce() -> String {
    format!("{:032x}", u128::from_be_bytes(uuid::Uuid::new_v4().into_bytes()))
}

fn print(answer: Answer) -> ExitCode {
    match answer {
        Answer::Done { lines, .. } => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Answer::Refused(refused) => {
            eprintln!("cordon: refused: {refused}");
            ExitCode::from(REFUSED)
        }
    }
}

impl Release {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let record = deployment.incident(&self.incident).await?;
        let Self { reactivate_keys, force, json, .. } = self;
        let command = Command::Release { incident: record.id, reactivate_keys, force };
        match deployment.command(&command).await? {
            Answer::Done { lines, report: Some(report), .. } => {
                if json {
                    println!("{}", serde_json::to_string(&report)?);
                } else {
                    print_release(&lines, &report);
                }
                let is_whole = report.outcome.kind == crate::domain::OutcomeKind::Released;
                Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(PARTLY) })
            }
            Answer::Done { .. } => bail!("the function did not say what came of it; look with `cordon show`"),
            refused => Ok(print(refused)),
        }
    }
}

fn print_release(lines: &[String], report: &Report) {
    println!("{}", lines.join("\n"));
    for step in &report.steps {
        let now = if step.state == "undone" { &step.before } else { &step.after };
        println!("  [{}] {} {}: {now}", step.state, step.action, step.target);
    }
    for reason in &report.outcome.reasons {
        println!("  {reason}");
    }
}

impl Approve {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        if let Some(given) = &self.incident {
            let record = deployment.incident(given).await?;
            return approve(&deployment, record, &self.with).await;
        }
        let AllIncidents { records: mut all, unreadable } = deployment.incidents().await?;
        let mut refused = unreadable.len();
        all.retain(IncidentRecord::is_waiting);
        all.sort_by_key(|record| record.opened);
        if all.is_empty() {
            println!("no incident waits for approval");
        }
        for record in all {
            let code = approve(&deployment, record, &[]).await?;
            refused += usize::from(code != ExitCode::SUCCESS);
        }
        Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
    }
}

async fn approve(deployment: &Deployment, record: IncidentRecord, names: &[String]) -> anyhow::Result<ExitCode> {
    let id = record.id;
    let report = record.report.context("people were shown no plan yet")?;
    if !report.is_waiting() && names.is_empty() {
        bail!("incident {id} does not wait for approval; it is {}", report.outcome.kind);
    }
    let plan = report.plan.clone().filter(|_| report.is_waiting());
    let mut with = BTreeMap::new();
    for name in names {
        let Some(offer) = report.offers.iter().find(|offer| offer.name == *name) else {
            let offered: Vec<&str> = report.offers.iter().map(|offer| offer.name.as_str()).collect();
            let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
            bail!("incident {id} does not offer `{name}`; it offers {offered}");
        };
        with.insert(name.clone(), offer.hash.clone());
    }
    let answer = deployment.command(&Command::Approve { incident: id.clone(), plan, with }).await?;
    if matches!(&answer, Answer::Refused(refused) if refused.code == "plan-changed") {
        let now = deployment.incident(id.as_str()).await?.report.context("it has no plan any more")?;
        print!("{}", changes(&report, &now));
    }
    Ok(print(answer))
}

/// What is different about a plan.
fn changes(before: &Report, now: &Report) -> String {
    let text = |report: &Report| report.steps.iter().map(|step| format!("{step}\n")).collect::<String>();
    let (before, now) = (text(before), text(now));
    TextDiff::from_lines(&before, &now).unified_diff().header("as it was", "as it is").to_string()
}

impl Reject {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let record = deployment.incident(&self.incident).await?;
        let plan = record.report.and_then(|report| report.plan).context("people were shown no plan yet")?;
        let command = Command::Reject { incident: record.id, plan, because: self.because };
        Ok(print(deployment.command(&command).await?))
    }
}

impl PauseCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        let command = Command::Pause { minutes: self.minutes, because: self.because };
        Ok(print(deployment.command(&command).await?))
    }
}

impl Resume {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let deployment = self.place.open().await?;
        Ok(print(deployment.command(&Command::Resume { because: self.because }).await?))
    }
}

impl Contain {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let how = self.what.how();
        let deployment = how.place.open().await?;
        let region = || deployment.region(how.region.as_deref());
        let target = match &self.what {
            What::Instance { id, .. } => Named::Instance { id: InstanceId::parse(id)?, region: region()? },
            What::User { name, .. } => Named::User { name: UserName::parse(name)? },
            What::RoleSession { session, .. } => {
                let parts = session.split_once('/').ok_or_else(|| anyhow!("`{session}` is no ROLE/SESSION"))?;
                Named::RoleSession { role: RoleName::parse(parts.0)?, session: SessionName::parse(parts.1)? }
            }
            What::AccessKey { id, .. } => Named::AccessKey { id: AccessKeyId::parse(id)? },
            What::Bucket { name, .. } => Named::Bucket { name: BucketName::parse(name)?, region: region()? },
        };
        let at = Timestamp::from_millis(deployment.clock.now_millis());
        let Some(report) = plan(&deployment, &target, (&how.because, at)).await? else {
            return Ok(ExitCode::from(REFUSED));
        };
        for step in &report.steps {
            println!("  [{}] {step}", step.state);
        }
        for risk in &report.residual {
            println!("  open: {}", risk.text);
        }
        let outcome = &report.outcome;
        for reason in &outcome.reasons {
            println!("  {reason}");
        }
        if how.dry_run {
            println!("plan {}: nothing was changed", report.plan.as_deref().unwrap_or("none"));
            return Ok(ExitCode::SUCCESS);
        }
        let command = Command::Contain { target, plan: report.plan, because: how.because.clone(), at };
        Ok(print(deployment.command(&command).await?))
    }
}

/// The plan as the responder will make it; `None` where there is nothing to do, which was said.
async fn plan(deployment: &Deployment, target: &Named, said: (&str, Timestamp)) -> anyhow::Result<Option<Report>> {
    let desk = deployment.desk();
    let who = Who::of(&deployment.aws, deployment.aws.identity().await?.clone()).await?;
    let rules = desk.rules.read().await?;
    let case = match desk.case(target, said, &who, &rules).await? {
        Ok(case) => case,
        Err(refused) => {
            eprintln!("cordon: refused: {refused}");
            return Ok(None);
        }
    };
    let (aws, journal) = (deployment.aws.clone(), deployment.journal.clone());
    let analyst = Analyst { aws, journal, rules: desk.rules, watch: Watch::new(None), ceiling: Mode::Contain };
    let report = analyst.observe(&case).await?;
    println!("{}", case.target);
    Ok(Some(report))
}
