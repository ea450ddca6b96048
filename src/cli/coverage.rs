//! `cordon coverage`: what is done about everything that the sensors can report, and what is not, and why.

use crate::{
    detect::{Detector, Rule},
    domain::Situation,
    ingest::{Ingested, event},
    playbooks,
    triage::{self, TYPES, Triage},
};
use clap::Args;
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::ExitCode};

#[derive(Debug, Args)]
#[command(after_help = "\
Every finding type of GuardDuty and every behaviour that our rules see in CloudTrail: what it is taken for, the playbook of that situation or why
people are told instead, and what has to be switched on for the sensor to see it at all. A playbook sets right the kinds of things that its page
names (`cordon playbooks show`); of others of its situation, a database that was made public for instance, people are told too.

Examples:
  cordon coverage
  cordon coverage --json | jq 'select(.playbook == null)'

Exit code: 0.")]
pub struct Coverage {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Coverage {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let rows = rows();
        let contained = rows.iter().filter(|row| row.playbook.is_some()).count();
        for row in &rows {
            match self.json {
                true => println!("{}", row.json()),
                false => println!("{}", row.text()),
            }
        }
        if !self.json {
            println!("\n{} behaviours, {contained} with a playbook; of the others people are told", rows.len());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What an account has that has a trail.
const ALWAYS: &str = "CloudTrail management events";

/// One thing that a sensor can report.
pub struct Row {
    pub source: &'static str,
    pub what: String,
    pub triage: Triage,
    pub playbook: Option<&'static str>,
    /// What has to be switched on.
    pub needs: String,
}

impl Row {
    fn json(&self) -> Value {
        let triage = &self.triage;
        json!({"source": self.source, "what": self.what, "situation": triage.situation, "standing": triage.standing,
            "evidence": triage.evidence, "confidence": triage.confidence, "playbook": self.playbook, "because": triage.reasons.first(),
            "needs": self.needs})
    }

    fn text(&self) -> String {
        let triage = &self.triage;
        let done = match self.playbook {
            Some(playbook) => format!("playbook {playbook}"),
            None => format!("told: {}", triage.reasons.first().map(|reason| reason.text.as_str()).unwrap_or_default()),
        };
        let evidence = format!("{:?}", triage.evidence).to_lowercase();
        let needs = if self.needs == ALWAYS { String::new() } else { format!("  [needs {}]", self.needs) };
        format!(
            "{:<62} {:<26} {evidence:<13} {:<9} {done}{needs}",
            self.what,
            triage.situation.to_string(),
            triage.confidence.to_string()
        )
    }
}

pub fn rows() -> Vec<Row> {
    let of = |situation: Situation| playbooks::for_situation(situation).map(|playbook| playbook.id());
    let guardduty = TYPES.iter().flat_map(|(needs, types)| types.iter().map(move |kind| (needs, kind)));
    let guardduty = guardduty.filter_map(|(needs, kind)| {
        let triage = typical(kind)?;
        let playbook = of(triage.situation);
        Some(Row { source: "GuardDuty", what: (*kind).to_owned(), triage, playbook, needs: (*needs).to_owned() })
    });
    let detector = Detector::ours();
    let rule = |rule: &Rule| {
        let ours = &rule.meta.cordon;
        let needs = match (ours.read_only, ours.data_events) {
            (_, true) => "data events, which a trail must record",
            (true, false) => "read-only management events",
            (false, false) => ALWAYS,
        };
        let triage = Triage {
            situation: ours.situation,
            standing: crate::domain::Standing::Tool,
            evidence: crate::domain::Evidence::Api,
            confidence: ours.confidence,
            reasons: vec![crate::domain::Reason::new("rule", rule.meta.title.clone())],
        };
        Row {
            source: "CloudTrail",
            what: rule.meta.id.clone(),
            playbook: of(ours.situation),
            triage,
            needs: needs.to_owned(),
        }
    };
    guardduty.chain(detector.rules().iter().map(rule)).collect()
}

/// How a finding of that type is judged that looks as they do.
fn typical(kind: &str) -> Option<Triage> {
    let about: BTreeMap<&str, Value> = match kind.split_once(':')?.1.split('/').next()? {
        "IAMUser" | "S3" => [(
            "accessKeyDetails",
            json!({"userType": "IAMUser", "userName": "somebody", "principalId": "AIDACKCEVSQ6C2EXAMPLE"}),
        )]
        .into(),
        "EC2" | "Runtime" => [("instanceDetails", json!({"instanceId": "i-0a1b2c3d4e5f60718"}))].into(),
        _ => BTreeMap::new(),
    };
    let action = json!({"networkConnectionAction": {"connectionDirection": "OUTBOUND"}});
    let finding = json!({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {"id": "typical", "type": kind,
        "resource": about, "service": {"action": action, "resourceRole": "ACTOR"}}});
    match event(&finding.to_string()) {
        Ingested::Finding(finding) => Some(triage::classify(&finding)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_guardduty_is_answered_by_decision() {
        let types: usize = TYPES.iter().map(|(_, types)| types.len()).sum();
        let rows: Vec<Row> = rows().into_iter().filter(|row| row.source == "GuardDuty").collect();
        assert_eq!(rows.len(), types);
        let unknown: Vec<&str> =
            rows.iter().filter(|row| row.triage.situation == Situation::Unknown).map(|row| row.what.as_str()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
