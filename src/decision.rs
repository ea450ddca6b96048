//! What follows from an event before anything is read of the account: its end, or what to survey and how far to go. Pure.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    domain::{
        AccessKeyId, Finding, IncidentId, Lifecycle, Outcome, OutcomeKind, Partition, Report, ResidualRisk, Situation,
        Source, Target, Text, Timestamp, Way,
    },
    playbooks::{self, Playbook},
    policy::{Mode, Policy, Rules},
    triage::{self, Assessment, Context, Targets, Triage},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

pub enum Decision {
    /// `judged` is none where the event was no finding.
    Ended {
        judged: Option<Box<Judged>>,
        outcome: Outcome,
    },
    Treat {
        judged: Box<Judged>,
        treatment: Box<Treatment>,
    },
}

/// Of one incident, over all events of it: their report is one item of the table.
const MOST_TARGETS: usize = 100;

/// All that treating an incident takes. It is kept, so that a recheck can go on where the event is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Treatment {
    pub incident: IncidentId,
    pub target: Target,
    /// Further targets of the same incident.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Target>,
    /// The keys of those of them to whom somebody else granted more: they may be his victims.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub granted: BTreeSet<String>,
    /// The whole of which this is the part of one target.
    #[serde(skip)]
    pub part_of: Option<Arc<Treatment>>,
    /// `None` where a person named the target.
    #[serde(default)]
    pub situation: Option<Situation>,
    /// The playbook's id.
    pub playbook: String,
    pub partition: Partition,
    /// The most that may be done; guards may lower it for single steps.
    pub mode: Mode,
    /// When the evidence is from.
    pub evidence_from: Option<Timestamp>,
    /// When the sensor saw it first.
    #[serde(default)]
    pub first_seen: Option<Timestamp>,
    /// When it was judged.
    #[serde(default)]
    pub judged: Option<Timestamp>,
    /// Where only a rule of AWS Config speaks, when it did: somebody must have been seen to change the target before that.
    #[serde(default)]
    pub change_until: Option<Timestamp>,
    /// AWS Health says it.
    #[serde(default)]
    pub is_told_by_aws: bool,
    /// The access key that the call made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_key: Option<AccessKeyId>,
    /// The rules by which it was judged.
    #[serde(default)]
    pub rules: String,
    /// What is known before the account is read; its outcome is open.
    pub report: Report,
}

impl Treatment {
    /// # Errors
    /// An Observed outcome where this version has no such playbook (any more).
    pub fn playbook(&self) -> Result<&'static dyn Playbook, Outcome> {
        playbooks::ALL.iter().copied().find(|playbook| playbook.id() == self.playbook).ok_or_else(|| {
            Outcome::because(
                OutcomeKind::Observed,
                "no-playbook",
                format!("this version has no playbook `{}`", self.playbook),
            )
        })
    }

    pub fn report(&self, outcome: Outcome) -> Report {
        Report { outcome, ..self.report.clone() }
    }

    /// The first one first.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        std::iter::once(&self.target).chain(&self.also)
    }

    /// Whether somebody else granted him more, and it is all that is said of him.
    pub fn is_granted(&self, target: &Target) -> bool {
        self.whole().granted.contains(&target.key())
    }

    pub fn has(&self, target: &Target) -> bool {
        let key = target.key();
        self.targets().any(|one| one.key() == key)
    }

    /// A finding that comes again may name others: whoever was a target of the incident stays one. The rest is as the newer evidence says.
    /// What is new and finds no room is not in it, and must not be touched for it.
    pub fn joined_with(&self, recorded: &Self) -> Self {
        let (newer, older) =
            if recorded.evidence_from > self.evidence_from { (recorded, self) } else { (self, recorded) };
        // What the newer says of it is nearer to how it is now.
        let now = |target: &Target| newer.targets().find(|one| one.key() == target.key()).unwrap_or(target).clone();
        let mut all: Vec<Target> = recorded.targets().map(now).collect();
        let fresh = self.targets().filter(|target| !recorded.has(target));
        all.extend(fresh.take(MOST_TARGETS.saturating_sub(all.len())).cloned());
        // Whoever acted himself is no victim any more.
        let acted =
            |one: &Self, key: &str| one.targets().any(|target| target.key() == key) && !one.granted.contains(key);
        let granted = newer.granted.union(&older.granted);
        let mut joined = newer.clone();
        joined.granted = granted.filter(|key| !acted(newer, key) && !acted(older, key)).cloned().collect();
        joined.report.target = Some(all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        joined.target = all.remove(0);
        joined.also = all;
        joined
    }

    /// The same, a target each; itself where it has only one.
    pub fn parts(&self) -> Vec<Self> {
        if self.also.is_empty() {
            return vec![self.clone()];
        }
        let whole = Arc::new(self.clone());
        let part = |target: &Target| Self {
            target: target.clone(),
            also: Vec::new(),
            part_of: Some(whole.clone()),
            report: Report {
                target: Some(target.to_string()),
                residual: Vec::new(),
                advice: Vec::new(),
                ..self.report.clone()
            },
            ..self.clone()
        };
        self.targets().map(part).collect()
    }

    /// What the incident is known by.
    pub fn whole(&self) -> &Self {
        self.part_of.as_deref().unwrap_or(self)
    }

    /// How far the policy goes in such a case.
    pub fn allowed_by(&self, policy: &Policy) -> Mode {
        match (self.situation, self.report.severity) {
            (Some(situation), Some(severity)) => policy.mode(situation, severity),
            _ => Mode::Contain,
        }
    }
}

pub struct Judged {
    pub finding: Finding,
    pub triage: Triage,
    pub assessment: Assessment,
    pub incident: IncidentId,
}

/// What the sensors and our rules make of an event, and what is known beside it; or how it ends.
pub type Sensed = Result<(Box<Finding>, Context), Outcome>;

/// Judges what was sensed. `now` is the time by which age is judged.
pub fn decide(sensed: Sensed, rules: &Rules, ceiling: Mode, now: Timestamp) -> Decision {
    let (finding, context) = match sensed {
        Err(outcome) => return Decision::Ended { judged: None, outcome },
        Ok((finding, context)) => (*finding, context),
    };
    let triage = triage::classify(&finding);
    let assessment = triage::assess(&finding, &triage, &context, rules, ceiling, now);
    let incident = IncidentId::of(finding.account_shown.as_str(), &finding.id);
    let course = course(&finding, &triage, &rules.policy);
    let judged = Box::new(Judged { finding, triage, assessment, incident });
    match course {
        Ok(Course { target, also, granted, listed, playbook }) => {
            let unseen = |text: String| ResidualRisk { way: Way::Unseen, text };
            let named: Vec<String> = std::iter::once(&target).chain(&also).map(ToString::to_string).collect();
            let report = judged.report(Outcome::new(OutcomeKind::Observed, Vec::new()));
            let treatment = Treatment {
                incident: judged.incident.clone(),
                situation: Some(judged.triage.situation),
                playbook: playbook.id().to_owned(),
                partition: judged.finding.partition.clone(),
                mode: judged.assessment.mode,
                evidence_from: judged.finding.last_seen.or(judged.finding.updated),
                first_seen: judged.finding.first_seen,
                judged: Some(now),
                is_told_by_aws: judged.finding.source == Source::Health,
                made_key: judged.finding.call.as_ref().and_then(|call| call.made_key.clone()),
                change_until: (judged.finding.source == Source::Config).then(|| judged.finding.updated.unwrap_or(now)),
                rules: rules.stamp(),
                report: Report {
                    target: Some(named.join("; ")),
                    playbook: Some(playbook.id().to_owned()),
                    residual: listed.into_iter().map(unseen).collect(),
                    ..report
                },
                target,
                also,
                granted,
                part_of: None,
            };
            Decision::Treat { judged, treatment: Box::new(treatment) }
        }
        Err(outcome) => Decision::Ended { judged: Some(judged), outcome },
    }
}

struct Course {
    target: Target,
    also: Vec<Target>,
    granted: BTreeSet<String>,
    /// What of the finding is no target, and why.
    listed: Vec<String>,
    playbook: &'static dyn Playbook,
}

fn course(finding: &Finding, triage: &Triage, policy: &Policy) -> Result<Course, Outcome> {
    let ended = |kind, code, text: &str| Err(Outcome::because(kind, code, text));
    match finding.lifecycle {
        Lifecycle::Sample => {
            return ended(OutcomeKind::Ignored, "sample", "a sample finding: its resources do not exist");
        }
        Lifecycle::Archived => return ended(OutcomeKind::Ignored, "archived", "the finding was archived by a person"),
        Lifecycle::Live => {}
    }
    if finding.source == Source::Alarm
        && triage.situation == Situation::ServiceDisruption
        && let Some((_, alarm)) = finding.detections.first().and_then(|seen| seen.subject.as_ref())
        && policy.meaning(alarm.as_str()).is_none()
    {
        let why = format!("the policy does not say what the alarm `{alarm}` means");
        return ended(OutcomeKind::Ignored, "alarm-not-named", &why);
    }
    let why = triage.reasons.first().map_or("", |reason| reason.text.as_str());
    if triage.situation == Situation::AttackedOnly && policy.address_blocks.is_empty() {
        let why = format!("nothing is blocked, because the policy lists nothing in `address-blocks`: {why}");
        return ended(OutcomeKind::Observed, "attacked-only", &why);
    }
    let Some(playbook) = playbooks::for_situation(triage.situation) else {
        let why = format!("no playbook for `{}`: {why}", triage.situation);
        return ended(OutcomeKind::Observed, "no-playbook", &why);
    };
    let Targets { found, granted, listed } = triage::targets(finding, triage, policy)?;
    let mut targets = found.into_iter();
    let Some(target) = targets.next() else {
        return ended(OutcomeKind::Observed, "nothing-to-contain", "the finding names nothing that can be contained");
    };
    Ok(Course { target, also: targets.collect(), granted, listed, playbook })
}

impl Decision {
    pub fn judged(&self) -> Option<&Judged> {
        match self {
            Self::Ended { judged, .. } => judged.as_deref(),
            Self::Treat { judged, .. } => Some(judged),
        }
    }
}

/// What the command is for that a record's own call is taken back by.
const UNDO: &str = "take back what the call did, once it is understood";

impl Judged {
    /// The report as far as it goes without the account.
    pub fn report(&self, outcome: Outcome) -> Report {
        let (finding, triage) = (&self.finding, &self.triage);
        Report {
            incident: Some(self.incident.clone()),
            finding_type: finding.type_shown.clone(),
            title: finding.title.clone(),
            description: finding.description.clone(),
            scope: finding.scope(),
            severity: Some(self.assessment.severity),
            account: finding.account_shown.clone(),
            region: finding.region.as_ref().map(|region| Text::new(region.as_str())).unwrap_or_default(),
            situation: Some(triage.situation.to_string()),
            seen: finding.last_seen.or(finding.updated),
            remote: finding.remote.clone(),
            is_expected: self.assessment.is_expected,
            decision: triage.reasons.iter().chain(&self.assessment.reasons).cloned().collect(),
            advice: finding.call.iter().filter_map(|call| Some((UNDO.to_owned(), call.undo.clone()?))).collect(),
            gaps: finding.gaps.iter().map(ToString::to_string).collect(),
            ..Report::without_finding(outcome)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::{AccountId, UserId, UserName};

    fn user(n: usize) -> Target {
        Target::User {
            account: AccountId::parse("111122223333").unwrap(),
            partition: Partition::standard(),
            name: UserName::parse("bob").unwrap(),
            id: UserId::parse(&format!("AIDA{n:017}")).unwrap(),
        }
    }

    pub fn case(evidence: i64, targets: std::ops::Range<usize>, granted: &[usize]) -> Treatment {
        let mut targets = targets.map(user);
        Treatment {
            incident: IncidentId::parse("amber-otter-k7m2q").unwrap(),
            target: targets.next().unwrap(),
            also: targets.collect(),
            granted: granted.iter().map(|n| user(*n).key()).collect(),
            part_of: None,
            situation: None,
            playbook: evidence.to_string(),
            partition: Partition::standard(),
            mode: Mode::Contain,
            evidence_from: Some(Timestamp::from_millis(evidence)),
            first_seen: None,
            judged: None,
            change_until: None,
            is_told_by_aws: false,
            made_key: None,
            rules: String::new(),
            report: Report::without_finding(Outcome::new(OutcomeKind::Observed, Vec::new())),
        }
    }

    fn keys(targets: std::ops::Range<usize>) -> Vec<String> {
        targets.map(|n| user(n).key()).collect()
    }

    #[test]
    fn whoever_was_a_target_stays_one_and_the_newer_says_the_rest() {
        let held = |joined: &Treatment| joined.targets().map(Target::key).collect::<Vec<_>>();
        for (event, recorded, newer) in [(2, 1, "2"), (1, 2, "2"), (1, 1, "1")] {
            let joined = case(event, 3..5, &[4]).joined_with(&case(recorded, 0..4, &[1, 3]));
            assert_eq!((held(&joined), joined.playbook.as_str()), (keys(0..5), newer), "{event} {recorded}");
            // Whom one of them names as the one who acted is granted nothing by the other.
            assert_eq!(joined.granted, BTreeSet::from([user(1).key(), user(4).key()]), "{event} {recorded}");
        }
        // What is recorded stays, whatever has no room beside it.
        for (event, recorded) in [(2, 1), (1, 2)] {
            let joined = case(event, 200..202, &[]).joined_with(&case(recorded, 0..MOST_TARGETS - 1, &[]));
            assert_eq!(joined.targets().count(), MOST_TARGETS);
            assert!(keys(0..MOST_TARGETS - 1).iter().all(|key| held(&joined).contains(key)));
            assert!(joined.has(&user(200)) && !joined.has(&user(201)));
        }
    }
}
