//! The decision for each sample, as a snapshot: reviewed as behaviour.

use crate::lab::root;
use cordon::{
    decision::{Decision, decide},
    domain::{Finding, Outcome, Source, Timestamp},
    ingest,
    journal::MemoryTallies,
    policy::{Mode, Rules},
    watch::{NamesOnly, Watch, own_time},
};
use futures::FutureExt;
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

#[test]
fn each_sample_is_decided_as_recorded() {
    let mut files = Vec::new();
    collect(&root().join("events"), &mut files);
    files.sort();
    let mut table = String::new();
    let watch = Watch::new(None);
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        writeln!(table, "{}", file.strip_prefix(root()).unwrap().display()).unwrap();
        let sensed =
            watch.sense(ingest::event(&text), &MemoryTallies::default(), &NamesOnly).now_or_never().unwrap().unwrap();
        let now = sensed.as_ref().map_or(Timestamp::from_millis(0), |(finding, _)| own_time(finding));
        match decide(sensed, &Rules::default(), Mode::Contain, now) {
            Decision::Ended { judged, outcome } => {
                if let Some(judged) = judged {
                    write_finding(&mut table, &judged.finding, &judged.triage.situation.to_string());
                    if judged.finding.source != Source::GuardDuty {
                        let judged = &judged.assessment;
                        writeln!(table, "  {}, {}, at most {}", judged.severity, judged.impact, judged.mode).unwrap();
                    }
                }
                write_outcome(&mut table, &outcome);
            }
            Decision::Treat { judged, treatment } => {
                write_finding(&mut table, &judged.finding, &judged.triage.situation.to_string());
                writeln!(table, "  {} on {}, at most {}", treatment.playbook, treatment.target, treatment.mode)
                    .unwrap();
                for reason in judged.triage.reasons.iter().chain(&judged.assessment.reasons) {
                    writeln!(table, "  {}: {reason}", reason.code).unwrap();
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

fn write_finding(table: &mut String, finding: &Finding, situation: &str) {
    let shown: String = finding.type_shown.as_str().chars().take(80).collect();
    writeln!(table, "  {shown} -> {situation}").unwrap();
    for gap in &finding.gaps {
        writeln!(table, "  gap {gap}").unwrap();
    }
}

fn write_outcome(table: &mut String, outcome: &Outcome) {
    for reason in &outcome.reasons {
        writeln!(table, "  {}, {}: {reason}", outcome.kind, reason.code).unwrap();
    }
}
