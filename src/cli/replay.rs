//! `cordon replay FILE…`: what would be decided, and why. Pure unless an account is asked for.

use super::{
    judging::{Judges, Judging},
    source::{open, sources},
};
use crate::{
    analyst::Analyst,
    aws::{self, Aws},
    clock::Clock,
    decision::{Decision, Treatment},
    domain::{Outcome, Report, Timestamp},
    ingest::Piece,
    journal::MemoryJournal,
    rulebook::RuleBook,
    survey::Facts,
    watch::Watch,
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Reads EventBridge events, bare findings in either casing, records of CloudTrail as they lie in S3 (.json.gz), messages of AWS Config,
arrays, NDJSON and GetFindings output.
Age is judged at the time of the event itself, unless --now is given.

Examples:
  cordon replay events/guardduty
  cordon replay --json event.json | jq .outcome
  aws guardduty get-findings … | cordon replay -
  cordon replay --against event.json        the full plan for the account of your credentials; changes nothing

Exit codes: 0 every event was judged, 1 a file could not be read or the account could not be surveyed, 2 wrong usage.")]
pub struct Replay {
    /// Files, folders (their .json, .jsonl and .ndjson files, packed by gzip too), or - for standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// One JSON object for each event
    #[arg(long)]
    json: bool,
    /// Only how many events had which outcome
    #[arg(long)]
    count: bool,
    /// Read the account of the SDK's credentials and show the full plan
    #[arg(long)]
    against: bool,
    /// Judge the age of findings at this moment
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    judging: Judging,
}

impl Replay {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let by = self.judging.judges()?;
        let analyst = if self.against { Some(analyst(&by).await) } else { None };
        let (mut counts, mut failed) = (BTreeMap::<String, usize>::new(), 0);
        for source in sources(&self.files)? {
            let mut pieces = match open(&source) {
                Ok(pieces) => pieces,
                Err(error) => {
                    eprintln!("cordon: {error:#}");
                    failed += 1;
                    continue;
                }
            };
            for piece in pieces.by_ref() {
                let record = match self.judge(&piece, &by, analyst.as_ref()).await {
                    Ok(record) => record,
                    Err(error) => {
                        eprintln!("cordon: {}: {error:#}", source.display());
                        failed += 1;
                        continue;
                    }
                };
                *counts.entry(record.outcome_kind()).or_default() += 1;
                if !self.count {
                    record.print(&source, &piece, self.json)?;
                }
            }
            if let Some(error) = pieces.broken {
                eprintln!("cordon: `{}` ends early: {error}", source.display());
                failed += 1;
            }
        }
        if self.count || !self.json {
            let counted: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            eprintln!("\n{} events: {}", counts.values().sum::<usize>(), counted.join(", "));
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn judge(&self, piece: &Piece, by: &Judges, analyst: Option<&Analyst>) -> anyhow::Result<Record> {
        let sensed = by.sense(piece).await?;
        let now = self.now.then(|| Timestamp::from_millis(Clock::system().now_millis()));
        let (decision, now) = by.decide(sensed.clone(), now);
        let report = match analyst {
            Some(analyst) => Some(analyst.look(sensed, now).await?),
            None => None,
        };
        Ok(Record { decision, report })
    }
}

async fn analyst(by: &Judges) -> Analyst {
    let journal = Arc::new(MemoryJournal::default());
    let aws = Arc::new(Aws::new(aws::configuration().await, journal.clone()));
    let rules = RuleBook::new(Some(by.policy.clone()), journal.clone());
    Analyst { aws, journal, rules, watch: Watch::new(None), ceiling: by.ceiling }
}

/// One event, judged.
struct Record {
    decision: Decision,
    /// Only with an account.
    report: Option<Report>,
}

impl Record {
    /// The outcome as far as it is known; none where facts must be read first.
    fn outcome(&self) -> Option<&Outcome> {
        match (&self.report, &self.decision) {
            (Some(report), _) => Some(&report.outcome),
            (None, Decision::Ended { outcome, .. }) => Some(outcome),
            (None, Decision::Treat { .. }) => None,
        }
    }

    fn outcome_kind(&self) -> String {
        self.outcome().map_or_else(|| "NeedsFacts".to_owned(), |outcome| outcome.kind.to_string())
    }

    fn treatment(&self) -> Option<&Treatment> {
        match &self.decision {
            Decision::Treat { treatment, .. } => Some(treatment),
            Decision::Ended { .. } => None,
        }
    }

    fn reads(&self) -> &'static [&'static str] {
        self.treatment().map(|treatment| Facts::reads(&treatment.target)).unwrap_or_default()
    }

    fn print(&self, source: &Path, piece: &Piece, as_json: bool) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if as_json { writeln!(out, "{}", self.json(source, piece)) } else { self.text(&mut out, source, piece) }
    }

    fn json(&self, source: &Path, piece: &Piece) -> Value {
        let judged = self.decision.judged();
        json!({
            "source": source.to_string_lossy(),
            "line": piece.line,
            "ordinal": piece.ordinal,
            "finding": judged.map(|j| json!({
                "id": j.finding.id,
                "type": j.finding.type_shown,
                "severity": j.finding.score,
                "resource_type": j.finding.resource_type,
                "account": Some(&j.finding.account_shown).filter(|shown| !shown.as_str().is_empty()),
                "region": j.finding.region,
                "gaps": j.finding.gaps,
            })),
            "incident": judged.map(|j| &j.incident),
            "severity": judged.map(|j| j.assessment.severity),
            "triage": judged.map(|j| &j.triage),
            "mode": judged.map(|j| j.assessment.mode),
            "reasons": judged.map(|j| &j.assessment.reasons),
            "playbook": self.treatment().map(|treatment| &treatment.playbook),
            "target": self.treatment().map(|treatment| treatment.target.to_string()),
            "reads": self.reads(),
            "outcome": {
                "kind": self.outcome_kind(),
                "reasons": self.outcome().map(|outcome| outcome.reasons.as_slice()).unwrap_or_default(),
            },
            "report": self.report,
        })
    }

    fn text(&self, out: &mut impl Write, source: &Path, piece: &Piece) -> std::io::Result<()> {
        let line = piece.line.map(|line| format!(":{line}")).unwrap_or_default();
        writeln!(out, "{}{line}", source.display())?;
        if let Some(judged) = self.decision.judged() {
            let finding = &judged.finding;
            let score = finding.score.map(|score| format!(" ({score})")).unwrap_or_default();
            writeln!(
                out,
                "  {}{score}  {}  incident {}",
                judged.assessment.severity, finding.type_shown, judged.incident
            )?;
            let triage = &judged.triage;
            writeln!(out, "  situation  {} ({:?}, {:?} evidence)", triage.situation, triage.standing, triage.evidence)?;
        }
        if let Some(treatment) = self.treatment() {
            writeln!(out, "  playbook   {} on {}", treatment.playbook, treatment.target)?;
            writeln!(out, "  mode       {}", treatment.mode)?;
            for reason in &treatment.report.decision {
                writeln!(out, "  because    {reason}")?;
            }
        }
        match &self.report {
            None if !self.reads().is_empty() => writeln!(out, "  reads      {}", self.reads().join(", "))?,
            None => {}
            Some(report) => {
                for step in &report.steps {
                    writeln!(out, "  step       [{}] {step}", step.state)?;
                }
                for risk in &report.residual {
                    writeln!(out, "  open       {}", risk.text)?;
                }
                if let Some(plan) = &report.plan {
                    writeln!(out, "  plan       {plan}")?;
                }
            }
        }
        if let Some(outcome) = self.outcome() {
            writeln!(out, "  outcome    {}", outcome.kind)?;
            for reason in &outcome.reasons {
                writeln!(out, "             {reason}")?;
            }
        }
        for gap in self.decision.judged().map(|judged| judged.finding.gaps.as_slice()).unwrap_or_default() {
            writeln!(out, "  gap        {gap}")?;
        }
        Ok(())
    }
}
