//! What follows from an event before anything is read of the account: its end, or what to survey and how far to go. Pure.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    domain::{Finding, IncidentId, Lifecycle, Outcome, OutcomeKind, Reason, Report, Target, Text, Timestamp},
    ingest::Ingested,
    playbooks::{self, Playbook},
    policy::{Mode, Policy},
    triage::{self, Assessment, Situation, Triage},
};

pub enum Decision {
    /// `judged` is none where the event was no finding.
    Ended {
        judged: Option<Box<Judged>>,
        outcome: Outcome,
    },
    Treat {
        judged: Box<Judged>,
        target: Target,
        playbook: &'static dyn Playbook,
    },
}

pub struct Judged {
    pub finding: Finding,
    pub triage: Triage,
    pub assessment: Assessment,
    pub incident: IncidentId,
}

/// Judges what was ingested. `now` is the time by which age is judged.
pub fn decide(ingested: Ingested, policy: &Policy, ceiling: Mode, now: Timestamp) -> Decision {
    let finding = match ingested {
        Ingested::Ended(outcome) => return Decision::Ended { judged: None, outcome },
        Ingested::Finding(finding) => *finding,
    };
    let triage = triage::classify(&finding);
    let assessment = triage::assess(&finding, &triage, policy, ceiling, now);
    let incident = IncidentId::of(finding.account_shown.as_str(), &finding.id);
    let course = course(&finding, &triage);
    let judged = Box::new(Judged { finding, triage, assessment, incident });
    match course {
        Ok((target, playbook)) => Decision::Treat { judged, target, playbook },
        Err(outcome) => Decision::Ended { judged: Some(judged), outcome },
    }
}

fn course(finding: &Finding, triage: &Triage) -> Result<(Target, &'static dyn Playbook), Outcome> {
    let ended = |kind, code, text: &str| Err(Outcome::because(kind, code, text));
    match finding.lifecycle {
        Lifecycle::Sample => {
            return ended(OutcomeKind::Ignored, "sample", "a sample finding: its resources do not exist");
        }
        Lifecycle::Archived => return ended(OutcomeKind::Ignored, "archived", "the finding was archived by a person"),
        Lifecycle::Live => {}
    }
    let Some(playbook) = playbooks::for_situation(triage.situation) else {
        let why = triage.reasons.first().map_or("", |reason| reason.text.as_str());
        let code = if triage.situation == Situation::AttackedOnly { "attacked-only" } else { "no-playbook" };
        return ended(OutcomeKind::Observed, code, &format!("no playbook for `{}`: {why}", triage.situation));
    };
    Ok((triage::target(finding, triage)?, playbook))
}

impl Decision {
    /// The report as far as it goes without the account.
    pub fn report(&self, outcome: Outcome) -> Report {
        let (judged, target, playbook) = match self {
            Self::Treat { judged, target, playbook } => {
                (judged, Some(target.to_string()), Some(playbook.id().to_owned()))
            }
            Self::Ended { judged: Some(judged), .. } => (judged, None, None),
            Self::Ended { judged: None, .. } => return Report::without_finding(outcome),
        };
        let (finding, triage) = (&judged.finding, &judged.triage);
        let decision: Vec<Reason> = triage.reasons.iter().chain(&judged.assessment.reasons).cloned().collect();
        Report {
            incident: Some(judged.incident.clone()),
            outcome,
            finding_type: finding.type_shown.clone(),
            title: finding.title.clone(),
            severity: Some(judged.assessment.severity),
            account: finding.account_shown.clone(),
            region: finding.region.as_ref().map(|region| Text::new(region.as_str())).unwrap_or_default(),
            situation: Some(triage.situation.to_string()),
            playbook,
            target,
            seen: finding.last_seen.or(finding.updated),
            remote: finding.remote.clone(),
            decision,
            plan: None,
            steps: Vec::new(),
            residual: Vec::new(),
            gaps: finding.gaps.iter().map(ToString::to_string).collect(),
        }
    }
}
