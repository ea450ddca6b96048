//! From CloudTrail records to findings, by Sigma rules: ours, which are part of the binary, and those of a folder. Pure.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod check;
mod config;
mod config_rules;
mod document;
mod grants;
mod near;
mod network;
mod patterns;
mod rule;
mod silent;
mod told;
mod undo;

pub use check::{Checked, check, samples, whole};
pub use config::{Identified, alarmed, changed, evaluated};
pub use config_rules::{CONFIG_RULES, ConfigRule};
pub use document::{DERIVED, Document};
pub use near::Near;
pub use network::{LiveRule, is_private, world_open};
pub use patterns::{Pattern, patterns};
pub use rule::{By, Count, Denied, Level, Meta, Ours, Rule, RuleError, documents, read};
pub use silent::{Author, silent};
pub use told::{leaked, scanned};

use crate::{
    domain::{
        AccessKeyResource, Call, Confidence, Detection, Finding, FindingId, Impact, Lifecycle, Outcome, OutcomeKind,
        Partition, Resource, Severity, Situation, Source, Text, Timestamp, UserType, fingerprint,
    },
    ingest::{CallResult, Record},
};
use rsigma_eval::Engine;
use std::time::Duration;

/// Our rules, a family a file.
pub const OURS: &[(&str, &str)] = &[
    ("abuse.yml", include_str!("rules/abuse.yml")),
    ("access.yml", include_str!("rules/access.yml")),
    ("changes.yml", include_str!("rules/changes.yml")),
    ("compute.yml", include_str!("rules/compute.yml")),
    ("destruction.yml", include_str!("rules/destruction.yml")),
    ("exposure.yml", include_str!("rules/exposure.yml")),
    ("iam.yml", include_str!("rules/iam.yml")),
    ("organization.yml", include_str!("rules/organization.yml")),
    ("silencing.yml", include_str!("rules/silencing.yml")),
    ("theft.yml", include_str!("rules/theft.yml")),
];

/// All rules there are, ready to be asked.
pub struct Detector {
    rules: Vec<Rule>,
    engine: Engine,
    /// What is no rule and was skipped.
    pub errors: Vec<RuleError>,
}

/// An event that counts towards a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The rule, and whose calls are counted together.
    pub key: String,
    /// What is counted: an event, or a value of it. A repeat is the same member.
    pub member: String,
    pub at: Timestamp,
    pub window: Duration,
    pub at_least: u32,
}

/// What the rules see in a record.
pub struct Sighting<'a> {
    record: &'a Record,
    document: Document<'a>,
    seen: Vec<Seen<'a>>,
}

struct Seen<'a> {
    rule: &'a Rule,
    is_attempt: bool,
    tally: Option<Tally>,
}

impl Detector {
    /// Of files' names and texts; `is_ours` of those that are part of Cordon.
    pub fn of<'t>(files: impl IntoIterator<Item = (&'t str, &'t str, bool)>) -> Self {
        let (mut rules, mut compiled, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (file, text, is_ours) in files {
            let (more, wrong) = read(file, text, is_ours);
            for (rule, mut form) in more {
                // The engine names what matches by id; two files may have one id.
                form.id = Some(rules.len().to_string());
                rules.push(rule);
                compiled.push(form);
            }
            errors.extend(wrong);
        }
        let mut engine = Engine::new();
        engine.extend_compiled_rules(compiled);
        Self { rules, engine, errors }
    }

    pub fn ours() -> Self {
        Self::of(OURS.iter().map(|(file, text)| (*file, *text, true)))
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn look<'a>(&'a self, record: &'a Record) -> Sighting<'a> {
        let document = Document::of(record);
        let matched = self.engine.evaluate(&document);
        let mut numbers: Vec<usize> =
            matched.iter().filter_map(|result| result.header.rule_id.as_ref()?.parse().ok()).collect();
        numbers.sort_unstable();
        let seen = numbers
            .into_iter()
            .filter_map(|n| self.rules.get(n))
            .filter_map(|rule| seen(rule, record, &document))
            .collect();
        Sighting { record, document, seen }
    }
}

/// What a call is that was made with Cordon's own role and not by Cordon: whoever made it has the rights of a first responder.
///
/// # Errors
/// Where it could not be told from another.
pub fn misused(record: &Record) -> Result<Box<Finding>, Outcome> {
    let sighting = Sighting { record, document: Document::of(record), seen: Vec::new() };
    sighting.finding(vec![Detection {
        rule: "responder-role-misused".to_owned(),
        title: Text::new("Cordon's own role did what Cordon did not"),
        level: Severity::Critical,
        situation: Situation::ResponderRoleMisused,
        impact: Impact::UnauthorisedAccess,
        confidence: Confidence::Confirmed,
        is_attempt: false,
        counted: None,
        subject: Some((Text::new("call"), record.name.clone())),
    }])
}

/// `None` where the rule speaks of something done and it was not.
fn seen<'a>(rule: &'a Rule, record: &Record, document: &Document<'_>) -> Option<Seen<'a>> {
    let ours = &rule.meta.cordon;
    let is_attempt = match record.result {
        CallResult::Done => false,
        _ if rule.judges_errors => false,
        CallResult::Denied if ours.denied == Denied::IsAnAttempt => true,
        CallResult::Denied | CallResult::Failed => return None,
    };
    // An attempt of the listed kind is one at the first time.
    let tally = ours.count.as_ref().filter(|_| !is_attempt).map(|count| tally(rule, count, record, document));
    Some(Seen { rule, is_attempt, tally })
}

fn tally(rule: &Rule, count: &Count, record: &Record, document: &Document<'_>) -> Tally {
    let whose = match count.by {
        By::Principal => principal(record),
        By::Address => record.from.to_string(),
        By::Account => String::new(),
    };
    let member = match &count.different {
        Some(path) => document.text(path).unwrap_or_default(),
        None => record.id.to_string(),
    };
    Tally {
        key: format!("{}#{}", rule.meta.id, fingerprint(&format!("{}\n{whose}", record.account_shown))),
        member: fingerprint(&member),
        at: record.at.unwrap_or(Timestamp::from_millis(0)),
        window: Duration::from_secs(u64::from(count.within_minutes) * 60),
        at_least: count.at_least,
    }
}

/// Who called, as far as it tells one from another.
fn principal(record: &Record) -> String {
    // So do those of a federated user: whoever made them chose their names.
    if let Some((_, issuer)) = record.caller.issuer.as_ref().filter(|_| record.caller.kind == UserType::FederatedUser) {
        return issuer.to_string();
    }
    let id = record.caller.principal_id.as_str();
    // Sessions of one role count together: their names are the caller's choice.
    let id = id.split_once(':').filter(|(role, _)| role.starts_with("AROA")).map_or(id, |(role, _)| role);
    if id.is_empty() { record.from.to_string() } else { id.to_owned() }
}

impl Sighting<'_> {
    /// The ids of the rules that see something, counted or not.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.seen.iter().map(|seen| seen.rule.meta.id.as_str())
    }

    /// What must be counted before it is known whether this is a finding.
    pub fn tallies(&self) -> Vec<&Tally> {
        self.seen.iter().filter_map(|seen| seen.tally.as_ref()).collect()
    }

    /// `counted`: of each tally, in order, how many were seen within its window.
    ///
    /// # Errors
    /// The Ignored outcome of a record in which no rule sees anything.
    pub fn conclude(self, counted: &[u32]) -> Result<Box<Finding>, Outcome> {
        let mut counted = counted.iter();
        let mut detections: Vec<Detection> = Vec::new();
        for seen in &self.seen {
            let count = seen.tally.as_ref().map(|tally| (tally.at_least, counted.next().copied().unwrap_or_default()));
            if count.is_none_or(|(least, seen)| seen >= least) {
                detections.push(self.detection(seen, count.map(|(_, seen)| seen)));
            }
        }
        let of = |record: &Record| format!("{} of {}", record.name, record.service);
        if detections.is_empty() {
            let (code, why) = match self.seen.is_empty() {
                true => ("no-rule", format!("no rule sees anything in {}", of(self.record))),
                false => {
                    ("not-often-enough", format!("{} is counted, and is a finding only if it goes on", of(self.record)))
                }
            };
            return Err(Outcome::because(OutcomeKind::Ignored, code, why));
        }
        // The worst first; what was done before what was tried.
        detections.sort_by_key(|seen| (seen.is_attempt, std::cmp::Reverse(seen.level)));
        self.finding(detections)
    }

    fn detection(&self, seen: &Seen<'_>, counted: Option<u32>) -> Detection {
        let (meta, ours) = (&seen.rule.meta, &seen.rule.meta.cordon);
        let subject = ours.subject.iter().find_map(|path| self.document.text(path));
        Detection {
            rule: meta.id.clone(),
            title: Text::new(&meta.title),
            level: meta.level.severity(),
            situation: ours.situation,
            impact: ours.impact,
            confidence: ours.confidence,
            is_attempt: seen.is_attempt,
            counted,
            subject: subject.map(|name| (Text::new(&ours.subject_is), Text::new(&name))),
        }
    }

    fn finding(&self, detections: Vec<Detection>) -> Result<Box<Finding>, Outcome> {
        let (record, document) = (self.record, &self.document);
        let Some(first) = detections.first() else {
            return Err(Outcome::because(OutcomeKind::Ignored, "no-rule", "no rule sees anything"));
        };
        // The same on the same thing by the same caller from the same place is one problem for a day, however often he calls. What is counted is
        // one by what it is counted by.
        let day = record.at.map_or(0, |at| at.millis().div_euclid(86_400_000));
        let counted =
            self.seen.iter().find(|seen| seen.rule.meta.id == first.rule).and_then(|seen| seen.tally.as_ref());
        let parts = match counted {
            Some(tally) => tally.key.clone(),
            None => {
                let subject =
                    first.subject.as_ref().map_or_else(|| record.name.to_string(), |(_, name)| name.to_string());
                let opened: Vec<&str> = document
                    .list("ports")
                    .chain(document.list("shared_with"))
                    .chain(document.list("policy_grants"))
                    .collect();
                let region = record.region.as_ref().map(ToString::to_string).unwrap_or_default();
                let publicly = document.says("shared_publicly") || document.says("policy_is_public");
                format!("{}\n{subject}\n{region}\n{}\n{opened:?}\n{publicly}", principal(record), record.from)
            }
        };
        let id = fingerprint(&format!("{}\n{parts}\n{day}\n{}", first.rule, first.is_attempt));
        let id = FindingId::parse(&format!("{}-{id}", first.rule))
            .map_err(|error| Outcome::because(OutcomeKind::Declined, "finding-without-id", error.to_string()))?;
        let caller = &record.caller;
        let mut resources = vec![Resource::AccessKey(AccessKeyResource {
            key: caller.key.clone(),
            principal_id: caller.principal_id.clone(),
            name: caller.name.clone(),
            user_type: caller.kind.clone(),
        })];
        resources.extend(
            detections
                .iter()
                .filter_map(|seen| seen.subject.clone())
                .map(|(what, name)| Resource::Named { what, name }),
        );
        resources.dedup();
        let call = Call {
            name: record.name.clone(),
            service: record.service.clone(),
            by_service: document.says("by_service"),
            by_aws: document.says("by_aws"),
            made_key: undo::made_key(record),
            granted: undo::granted(record, document.says("on_self")),
            undo: undo::command(record),
            actor: document.text("cordon.actor").map(|actor| Text::new(&actor)).unwrap_or_default(),
            caller: caller.arn.clone(),
            from: record.from.as_str().parse().ok(),
            world_open: document.says("world_open"),
            sensitive_port: document.says("sensitive_port"),
            ports: document.list("ports").map(str::to_owned).collect(),
            shared_publicly: document.says("shared_publicly") || document.says("policy_is_public"),
            shared_with: document
                .list("shared_with")
                .chain(document.list("policy_grants"))
                .map(str::to_owned)
                .collect(),
            on_self: document.says("on_self"),
        };
        Ok(Box::new(Finding {
            source: Source::CloudTrail,
            id,
            kind: None,
            type_shown: Text::new(&format!("CloudTrail/{}", first.rule)),
            account: record.account.clone(),
            account_shown: record.account_shown.clone(),
            region: record.region.clone(),
            partition: Partition::standard(),
            score: None,
            title: first.title.clone(),
            description: Text::new(&format!("{} called {} of {}", caller.shown(), record.name, record.service)),
            lifecycle: Lifecycle::Live,
            created: record.at,
            updated: record.at,
            first_seen: record.at,
            last_seen: record.at,
            count: first.counted.map(u64::from),
            resource_type: None,
            resources,
            role: None,
            action: None,
            direction: None,
            remote: Some(record.from.clone()).into_iter().filter(|from| !from.as_str().is_empty()).collect(),
            amazons: Vec::new(),
            gaps: record.gaps(),
            detections,
            call: Some(call),
        }))
    }
}
