//! `cordon shadow`: what Cordon would have done about an account's past, before anybody lets it act.

use super::{
    judging::{Judges, Judging},
    source::{open, sources},
};
use crate::{
    aws::{self, Aws},
    clock::Clock,
    decision::Decision,
    domain::{Finding, Region, RoleId, Severity, Situation, Timestamp, UserId},
    ingest::Piece,
    journal::MemoryJournal,
    notify::Notification,
    policy::{Mode, NEVER_EXPECTED},
    survey::trail,
};
use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the past of an account (CloudTrail's event history, at the pace that AWS allows: two requests of fifty events a second), or files of a
trail as they lie in S3, and reports by day, situation and principal what would have been contained, asked, told and read in the digest. It proposes
entries of the policy's `expected` for what somebody does again and again as his work. It changes nothing.

Examples:
  cordon shadow --since 7d
  cordon shadow --since 30d --region eu-west-1 --json > shadow.json
  aws s3 sync s3://trail-bucket/AWSLogs/111122223333/CloudTrail/ ./logs && cordon shadow ./logs

Exit codes: 0 reported, 1 a file or the history could not be read to its end, 2 wrong usage.")]
pub struct Shadow {
    /// Files and folders of CloudTrail records; without any, the account of the SDK's credentials
    files: Vec<PathBuf>,
    /// How far back in the account: 12h, 7d; the event history has 90 days
    #[arg(long, default_value = "7d")]
    since: String,
    /// Regions of the account, beside the one that is set and us-east-1
    #[arg(long)]
    region: Vec<String>,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judging: Judging,
}

/// A page has fifty events, and two pages a second are allowed (CloudTrail quotas, LookupEvents).
const PACE: Duration = Duration::from_millis(550);

/// For so long a proposed entry holds.
const REVIEWED: Duration = Duration::from_secs(90 * 86_400);

/// Principals and situations that come on so many days are somebody's work.
const DAYS_OF_WORK: usize = 2;

/// What people would have had of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    Contained,
    Asked,
    Told,
    Digest,
}

impl Fate {
    fn shown(self) -> &'static str {
        match self {
            Self::Contained => "would be contained",
            Self::Asked => "would be asked about",
            Self::Told => "would be told",
            Self::Digest => "would be read in the digest",
        }
    }
}

/// By incident: people hear of each once.
struct Tally {
    /// Fate, situation, principal, and the days and rules.
    rows: BTreeMap<(Fate, Situation, String), Row>,
    incidents: BTreeSet<(String, Fate)>,
    records: usize,
    unreadable: usize,
    newest: Timestamp,
}

#[derive(Default)]
struct Row {
    days: BTreeMap<String, usize>,
    rules: BTreeSet<String>,
    severity: Option<Severity>,
    unique_id: String,
    from: BTreeSet<String>,
}

impl Shadow {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let by = self.judging.judges()?;
        let mut tally = Tally {
            rows: BTreeMap::new(),
            incidents: BTreeSet::new(),
            records: 0,
            unreadable: 0,
            newest: Timestamp::from_millis(0),
        };
        let mut broken = 0;
        if self.files.is_empty() {
            self.look_back(&by, &mut tally).await?;
        } else {
            for source in sources(&self.files)? {
                let mut pieces = open(&source)?;
                for piece in pieces.by_ref() {
                    tally.take(&by, &piece).await?;
                    progress(tally.records);
                }
                if let Some(error) = pieces.broken {
                    eprintln!("cordon: `{}` ends early: {error}", source.display());
                    broken += 1;
                }
            }
        }
        if self.json {
            tally.print_json()
        } else {
            tally.print()
        }
        Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The event history is asked newest first; it is judged oldest first, because what comes often is counted in order.
    async fn look_back(&self, by: &Judges, tally: &mut Tally) -> anyhow::Result<()> {
        let now = Timestamp::from_millis(Clock::system().now_millis());
        let from = now.minus(duration(&self.since)?);
        let aws = Aws::new(aws::configuration().await, Arc::new(MemoryJournal::default()));
        let mut regions = trail::regions(&aws, None);
        for region in &self.region {
            regions.push(Region::parse(region)?);
        }
        regions.sort();
        regions.dedup();
        let mut records = Vec::new();
        for region in regions {
            eprintln!("cordon: {region}: reading CloudTrail's event history since {from}");
            records.extend(
                trail::history(&aws, &region, from, PACE, |pages, events| {
                    if pages % 20 == 0 {
                        eprintln!("cordon: {region}: {events} events in {pages} pages");
                    }
                })
                .await
                .with_context(|| format!("cannot read the event history of {region}"))?,
            );
        }
        records.sort_by_key(|record| {
            record.get("eventTime").and_then(|time| time.as_str()).unwrap_or_default().to_owned()
        });
        for record in records {
            tally.take(by, &Piece { line: None, ordinal: 1, value: Ok(record) }).await?;
        }
        Ok(())
    }
}

/// `12h`, `7d`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).unwrap_or((text, ""));
    let hours = match (number.parse::<u64>(), unit) {
        (Ok(days), "d") if days > 0 => days.saturating_mul(24),
        (Ok(hours), "h") if hours > 0 => hours,
        _ => bail!("`{text}` is no time like 12h or 7d"),
    };
    if hours > 90 * 24 {
        bail!("CloudTrail's event history has 90 days; for more, give the files of a trail");
    }
    Ok(Duration::from_secs(hours * 3_600))
}

fn progress(records: usize) {
    if records > 0 && records.is_multiple_of(100_000) {
        eprintln!("cordon: {records} records");
    }
}

impl Tally {
    async fn take(&mut self, by: &Judges, piece: &Piece) -> anyhow::Result<()> {
        self.records += 1;
        self.unreadable += usize::from(piece.value.is_err());
        let (decision, now) = by.decide(by.sense(piece).await?, None);
        let (ended, judged) = match decision {
            Decision::Ended { judged: Some(judged), outcome } => (Some(judged.report(outcome)), judged),
            Decision::Treat { judged, .. } => (None, judged),
            Decision::Ended { judged: None, .. } => return Ok(()),
        };
        self.newest = self.newest.max(now);
        let assessment = &judged.assessment;
        let fate = match (ended, assessment.mode) {
            // Whatever may be done, there is nothing that Cordon could do.
            (Some(report), _) if Notification::is_due(&report) => Fate::Told,
            (Some(_), _) => Fate::Digest,
            (None, Mode::Contain) => Fate::Contained,
            (None, Mode::Approve) => Fate::Asked,
            (None, Mode::Observe) if assessment.is_expected => Fate::Digest,
            (None, Mode::Observe) => Fate::Told,
        };
        // Of the same incident people hear once.
        if !self.incidents.insert((judged.incident.to_string(), fate)) && fate != Fate::Digest {
            return Ok(());
        }
        let (principal, unique_id) = principal(&judged.finding);
        let row = self.rows.entry((fate, judged.triage.situation, principal)).or_default();
        *row.days.entry(now.to_string().chars().take(10).collect()).or_default() += 1;
        row.severity = row.severity.max(Some(assessment.severity));
        row.rules.insert(
            judged
                .finding
                .detections
                .first()
                .map_or_else(|| judged.finding.type_shown.to_string(), |seen| seen.rule.clone()),
        );
        row.unique_id = unique_id;
        if row.from.len() < 5 {
            row.from.extend(judged.finding.remote.iter().map(ToString::to_string));
        }
        Ok(())
    }

    fn print(&self) {
        println!("{} records, {} of them unreadable", self.records, self.unreadable);
        let mut last = None;
        for ((fate, situation, principal), row) in &self.rows {
            if last != Some(*fate) {
                println!("\n{}", fate.shown());
                last = Some(*fate);
            }
            let times: usize = row.days.values().sum();
            let rules: Vec<&str> = row.rules.iter().map(String::as_str).collect();
            let severity = row.severity.map(|severity| severity.to_string()).unwrap_or_default();
            println!(
                "  {times:>6} on {:>3} days  {severity:<8} {:<26} {principal}  ({})",
                row.days.len(),
                situation.to_string(),
                rules.join(", ")
            );
        }
        let proposed = self.proposed();
        if !proposed.is_empty() {
            println!(
                "\nWhat comes on {DAYS_OF_WORK} days or more may be somebody's work. Entries for the policy, if it is; read each before you take it:\nexpected:"
            );
            proposed.iter().for_each(|line| println!("{line}"));
        }
    }

    fn print_json(&self) {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|((fate, situation, principal), row)| {
                json!({"fate": fate, "situation": situation, "principal": principal, "unique_id": row.unique_id, "days": row.days,
                    "rules": row.rules, "severity": row.severity, "from": row.from})
            })
            .collect();
        println!(
            "{}",
            json!({"records": self.records, "unreadable": self.unreadable, "rows": rows, "expected": self.proposed()})
        );
    }

    /// Lines of YAML. What nobody does as his work is never proposed.
    fn proposed(&self) -> Vec<String> {
        let is_work = |(fate, situation, _): &(Fate, Situation, String), row: &Row| {
            *fate != Fate::Digest
                && row.days.len() >= DAYS_OF_WORK
                && !row.unique_id.is_empty()
                && !NEVER_EXPECTED.contains(situation)
        };
        let rows = self.rows.iter().filter(|(key, row)| is_work(key, row));
        // Whoever takes an entry looks at it again in a quarter of a year.
        let until: String = self.newest.plus(REVIEWED).to_string().chars().take(10).collect();
        rows.map(|((_, situation, principal), row)| {
            format!(
                "  - {{principal: {{unique-id: {}}}, situations: [{situation}], until: {until}, because: {}}}",
                row.unique_id,
                json!(format!("{principal} does it; seen on {} days", row.days.len()))
            )
        })
        .collect()
    }
}

/// Who did it, and his unique id if he has one that a policy can name.
fn principal(finding: &Finding) -> (String, String) {
    let Some(who) = finding.access_key() else { return (finding.account_shown.to_string(), String::new()) };
    let id = who.principal_id.as_str();
    let id = id.split_once(':').map_or(id, |(role, _)| role);
    // It goes into a policy: an id by its grammar, or none.
    let is_unique = UserId::parse(id).is_ok() || RoleId::parse(id).is_ok();
    let name = if who.name.as_str().is_empty() { id } else { who.name.as_str() };
    (name.to_owned(), if is_unique { id.to_owned() } else { String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_back() {
        for (text, hours) in [
            ("12h", Some(12)),
            ("7d", Some(168)),
            ("90d", Some(2_160)),
            ("91d", None),
            ("0d", None),
            ("d", None),
            ("", None),
            ("7w", None),
        ] {
            assert_eq!(duration(text).ok().map(|time| time.as_secs() / 3_600), hours, "{text}");
        }
    }
}
