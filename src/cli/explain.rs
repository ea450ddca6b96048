//! `cordon explain FILE`: what one event is to Cordon, in a person's words, and what would change the decision.

use super::{judging::Judging, source::open};
use crate::{
    decision::Decision,
    detect::{Document, Near},
    domain::{Finding, Severity, Situation, Source, Text},
    ingest::{self, Ingested},
    policy::Mode,
};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
#[command(after_help = "\
Tells what was seen, which rules matched and which nearly did, how severity and confidence came about, what would be done, and what would
change the decision. Reads the first event of the file; changes nothing and asks no account.

Examples:
  cordon explain events/cloudtrail/silencing/trail-stopped.json
  cordon explain --json event.json

Exit codes: 0 explained, 1 the file cannot be read or is an empty list, 2 wrong usage.")]
pub struct Explain {
    /// A file, or - for standard input
    file: PathBuf,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judging: Judging,
}

/// Of rules that nearly matched.
const MOST_NEAR: usize = 3;

impl Explain {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let by = self.judging.judges()?;
        let piece = open(&self.file)?.next().context("the file holds no event")?;
        let ingested = ingest::replayed(&piece);
        let near = match &ingested {
            Ingested::Record(record) => by.watch.detector().near(record, MOST_NEAR),
            _ => Vec::new(),
        };
        let derived = match &ingested {
            Ingested::Record(record) => Some(Document::of(record).derived().clone()),
            _ => None,
        };
        let (decision, _) = by.decide(by.sense(&piece).await?, None);
        let changes = decision
            .judged()
            .map(|judged| changes(&judged.finding, &decision, judged.assessment.severity))
            .unwrap_or_default();
        if self.json {
            let judged = decision.judged();
            println!(
                "{}",
                json!({"finding": judged.map(|j| &j.finding), "triage": judged.map(|j| &j.triage), "assessment": judged.map(|j| &j.assessment),
                    "outcome": outcome(&decision), "nearly": near.iter().map(Near::json).collect::<Vec<_>>(), "derived": derived,
                    "would_change": changes})
            );
            return Ok(ExitCode::SUCCESS);
        }
        tell(&decision, &near, derived.as_ref(), &changes);
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(decision: &Decision, near: &[Near<'_>], derived: Option<&serde_json::Value>, changes: &[String]) {
    match decision.judged() {
        None => println!("Nothing that Cordon acts upon."),
        Some(judged) => {
            let (finding, triage, assessment) = (&judged.finding, &judged.triage, &judged.assessment);
            println!("What was seen\n  {:?}: {}", finding.source, finding.title);
            if !finding.description.as_str().is_empty() {
                println!("  {}", finding.description);
            }
            let place = finding.region.as_ref().map(|region| format!(", {region}")).unwrap_or_default();
            println!("  in account {}{place}", finding.account_shown);
            for remote in &finding.remote {
                println!("  from {remote}");
            }
            println!(
                "\nWhat it is taken for\n  {} ({:?}, {:?} evidence)",
                triage.situation, triage.standing, triage.evidence
            );
            for reason in &triage.reasons {
                println!("  - {reason}");
            }
            println!(
                "\nHow bad\n  {}; impact: {}; confidence: {}",
                assessment.severity, assessment.impact, triage.confidence
            );
            for reason in &assessment.reasons {
                println!("  - {reason}");
            }
        }
    }
    println!("\nWhat would be done");
    match decision {
        Decision::Treat { treatment, .. } => {
            println!("  playbook {} on {}, at most: {}", treatment.playbook, treatment.target, treatment.mode)
        }
        Decision::Ended { outcome, .. } => {
            for reason in &outcome.reasons {
                println!("  {}: {reason}", outcome.kind);
            }
        }
    }
    if !near.is_empty() {
        println!("\nRules that nearly matched");
        for near in near {
            println!("  {} ({}): {}", near.rule.meta.id, near.rule.meta.title, near.missing.join("; "));
        }
    }
    if let Some(derived) = derived.and_then(serde_json::Value::as_object) {
        let says = |value: &serde_json::Value| {
            !matches!(value, serde_json::Value::Bool(false)) && *value != json!([]) && *value != json!(0)
        };
        let said: Vec<String> = derived
            .iter()
            .filter(|(_, value)| says(value))
            .map(|(name, value)| format!("cordon.{name}={}", Text::new(&value.to_string())))
            .collect();
        println!("\nDerived from the record\n  {}", said.join("  "));
    }
    if !changes.is_empty() {
        println!("\nWhat would change the decision");
        for change in changes {
            println!("  - {change}");
        }
    }
}

fn outcome(decision: &Decision) -> serde_json::Value {
    match decision {
        Decision::Treat { treatment, .. } => {
            json!({"kind": "NeedsFacts", "playbook": treatment.playbook, "target": treatment.target.to_string(), "mode": treatment.mode})
        }
        Decision::Ended { outcome, .. } => json!(outcome),
    }
}

/// What a person could do, or what else could happen.
fn changes(finding: &Finding, decision: &Decision, severity: Severity) -> Vec<String> {
    let Some(judged) = decision.judged() else { return Vec::new() };
    let (triage, mode) = (&judged.triage, judged.assessment.mode);
    let mut found = Vec::new();
    let has_playbook = crate::playbooks::for_situation(triage.situation).is_some();
    if matches!(decision, Decision::Ended { .. }) && !has_playbook {
        found.push(format!("a playbook for `{}`: this version has none, so people are told", triage.situation));
    }
    for (code, says) in [
        ("ceiling", "a higher CORDON_MODE"),
        ("stale", "the same seen again: this report is old"),
        ("standing-unclear", "a finding that says who is compromised"),
        ("dns-evidence", "a second finding that agrees, or the policy's `dns-evidence`"),
        ("possible-only", "a call of the kind that succeeds"),
        ("window", "the end of the policy's window"),
        ("paused", "the end of the pause"),
    ] {
        if judged.assessment.reasons.iter().any(|reason| reason.code == code) {
            found.push(says.to_owned());
        }
    }
    if triage.situation.is_correction() && matches!(decision, Decision::Treat { .. }) {
        found.push("a principal of the policy's `break-glass` who did it: then it is told only; of `operators`: then another is asked".to_owned());
        if finding.source == Source::Config {
            found.push("nobody but operators who is seen in CloudTrail to have changed it within thirty minutes: then a person is asked".to_owned());
        }
        if matches!(triage.situation, Situation::AuditTrailSilenced | Situation::ThreatDetectionSilenced) {
            found.push(
                "a sensor that the baseline does not know (`cordon baseline show`): such a one is never switched on"
                    .to_owned(),
            );
        }
    }
    if has_playbook && mode < Mode::Contain && !found.iter().any(|what| what.contains("CORDON_MODE")) {
        found.push(format!("the policy's `modes`: `{}` at {severity} goes to `{mode}`", triage.situation));
    }
    if finding.call.is_some()
        && !judged.assessment.is_expected
        && !crate::policy::NEVER_EXPECTED.contains(&triage.situation)
    {
        found.push(format!(
            "an entry of the policy's `expected` for whoever did it, with `{}`: then it is read in the digest alone",
            triage.situation
        ));
    }
    if finding.detections.iter().any(|seen| seen.counted.is_some()) {
        found.push("fewer within the rule's time".to_owned());
    }
    found
}

impl Near<'_> {
    fn json(&self) -> serde_json::Value {
        json!({"rule": self.rule.meta.id, "title": self.rule.meta.title, "missing": self.missing})
    }
}
