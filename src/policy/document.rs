//! The policy document, its embedded default, and how it is read.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Subject;
use crate::{
    domain::{AccountId, Arn, Severity, Timestamp},
    triage::Situation,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::Duration};

/// How far Cordon may go. Ordered: the lowest of several wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Look, plan, tell; change nothing.
    Observe,
    /// Ask a person.
    Approve,
    /// Act.
    Contain,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Approve => "approve",
            Self::Contain => "contain",
        })
    }
}

/// One mode a severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modes {
    pub critical: Mode,
    pub high: Mode,
    pub medium: Mode,
    pub low: Mode,
}

impl Modes {
    /// Informational goes with low.
    pub fn at(&self, severity: Severity) -> Mode {
        match severity {
            Severity::Critical => self.critical,
            Severity::High => self.high,
            Severity::Medium => self.medium,
            Severity::Low | Severity::Informational => self.low,
        }
    }

    const fn of(critical: Mode, high: Mode, medium: Mode, low: Mode) -> Self {
        Self { critical, high, medium, low }
    }
}

/// A thing that Cordon never changes, and why. Exactly one of the first three names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Protection {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<Arn>,
    /// `AIDA…`, `AROA…`, `i-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    pub because: String,
}

/// A principal by ARN or unique id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrincipalRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<Arn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
}

/// The whole document. Members that are left out keep the default's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Of the document's form: 1.
    pub version: u32,
    /// Situations that are not listed keep their default.
    pub modes: BTreeMap<Situation, Modes>,
    /// Caps every situation that rests on DNS evidence alone.
    pub dns_evidence: Modes,
    /// Never changed, whatever is reported of them.
    pub protections: Vec<Protection>,
    /// Principals for the worst day: never changed, a finding about one pages.
    pub break_glass: Vec<PrincipalRef>,
    /// People who approve and release: one of them is contained only with another's approval.
    pub operators: Vec<PrincipalRef>,
    /// Cordon's own principals beside the one that it runs with.
    pub own_principals: Vec<PrincipalRef>,
    /// Findings that are older need approval. 1 to 1440 minutes.
    pub max_finding_age_minutes: u32,
    /// After so long a question that nobody has answered is asked again, and an approval that was not acted on is none. 5 to 10080 minutes.
    pub approval_expiry_minutes: u32,
    /// Whether an interface in a subnet with an internet gateway may pass an open group for a moment, once it is in quarantine, which ends
    /// connections that quarantine alone would keep.
    pub open_passage: bool,
    pub limits: Limits,
}

/// Numbers above which a person must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Changes in one plan. 1 to 200.
    pub steps_per_plan: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // An instance has at most 15 interfaces, and as many again of other steps.
        Self { steps_per_plan: 100 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            modes: BTreeMap::new(),
            dns_evidence: Modes::of(Mode::Approve, Mode::Approve, Mode::Observe, Mode::Observe),
            protections: Vec::new(),
            break_glass: Vec::new(),
            operators: Vec::new(),
            own_principals: Vec::new(),
            max_finding_age_minutes: 60,
            approval_expiry_minutes: 240,
            open_passage: true,
            limits: Limits::default(),
        }
    }
}

/// A policy that is not used, because it does not say what it means.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("cannot read policy at line {line}, column {column}: {problem}")]
    Syntax { line: u64, column: u64, problem: String },
    #[error("cannot use policy: {0}")]
    Meaning(String),
}

impl Policy {
    /// Reads a YAML document.
    ///
    /// # Errors
    /// With line and column: unknown members, wrong types, malformed ids; all that is wrong in meaning in one message.
    pub fn parse(yaml: &str) -> Result<Self, PolicyError> {
        let policy: Self = serde_saphyr::from_str(yaml).map_err(|error| {
            let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
            let problem = error.without_snippet().to_string();
            PolicyError::Syntax { line, column, problem: problem.lines().next().unwrap_or_default().to_owned() }
        })?;
        let problems = policy.problems();
        if problems.is_empty() { Ok(policy) } else { Err(PolicyError::Meaning(problems.join("; "))) }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.version != 1 {
            problems.push(format!("version {} is not known, this is version 1", self.version));
        }
        if !(1..=1440).contains(&self.max_finding_age_minutes) {
            problems
                .push(format!("max-finding-age-minutes is {}, allowed are 1 to 1440", self.max_finding_age_minutes));
        }
        if !(5..=10_080).contains(&self.approval_expiry_minutes) {
            problems
                .push(format!("approval-expiry-minutes is {}, allowed are 5 to 10080", self.approval_expiry_minutes));
        }
        if !(1..=200).contains(&self.limits.steps_per_plan) {
            problems.push(format!("limits.steps-per-plan is {}, allowed are 1 to 200", self.limits.steps_per_plan));
        }
        for (n, protection) in (1..).zip(&self.protections) {
            let named = [protection.arn.is_some(), protection.unique_id.is_some(), protection.account.is_some()];
            if named.iter().filter(|there| **there).count() != 1 {
                problems.push(format!("protection {n} needs exactly one of arn, unique-id, account"));
            }
            if protection.because.trim().is_empty() {
                problems.push(format!("protection {n} does not say because of what"));
            }
        }
        let lists = [
            ("break-glass", &self.break_glass),
            ("operators", &self.operators),
            ("own-principals", &self.own_principals),
        ];
        for (list, members) in lists {
            for (n, member) in (1..).zip(members) {
                if member.arn.is_some() == member.unique_id.is_some() {
                    problems.push(format!("{list} {n} needs exactly one of arn, unique-id"));
                }
            }
        }
        problems
    }

    /// What the operator allows in that situation; the table of the embedded default where the document is silent.
    pub fn mode(&self, situation: Situation, severity: Severity) -> Mode {
        self.modes.get(&situation).copied().unwrap_or_else(|| default_modes(situation)).at(severity)
    }

    pub fn dns_evidence(&self, severity: Severity) -> Mode {
        self.dns_evidence.at(severity)
    }

    pub fn most_age(&self) -> Duration {
        Duration::from_secs(u64::from(self.max_finding_age_minutes) * 60)
    }

    pub fn approval_expiry(&self) -> Duration {
        Duration::from_secs(u64::from(self.approval_expiry_minutes) * 60)
    }

    /// Whether evidence from then is too old to act upon unattended; what has no time is.
    pub fn is_stale(&self, from: Option<Timestamp>, now: Timestamp) -> bool {
        from.is_none_or(|from| from.age(now).is_some_and(|age| age > self.most_age()))
    }

    /// Whether he may undo by hand what Cordon did.
    pub fn is_operator(&self, subject: &Subject) -> bool {
        self.operators.iter().chain(&self.break_glass).any(|principal| principal.is(subject))
    }

    /// Why this thing is never changed.
    pub fn protection(&self, subject: &Subject) -> Option<&str> {
        let protects = |p: &&Protection| {
            p.account.as_ref() == Some(&subject.account)
                || (p.arn.is_some() && p.arn == subject.arn)
                || p.unique_id.as_deref() == Some(subject.unique_id.as_str())
        };
        self.protections.iter().find(protects).map(|p| p.because.as_str())
    }
}

impl PrincipalRef {
    pub fn is(&self, subject: &Subject) -> bool {
        (self.arn.is_some() && self.arn == subject.arn) || self.unique_id.as_deref() == Some(subject.unique_id.as_str())
    }
}

/// The embedded default.
fn default_modes(situation: Situation) -> Modes {
    use Mode::{Approve, Contain, Observe};
    match situation {
        Situation::CompromisedInstance | Situation::CompromisedAccessKey | Situation::CompromisedRoleSession => {
            Modes::of(Contain, Contain, Approve, Observe)
        }
        Situation::AttackedOnly
        | Situation::RootUsed
        | Situation::ExposedBucket
        | Situation::AttackSequence
        | Situation::OtherWorkload
        | Situation::Unknown => Modes::of(Observe, Observe, Observe, Observe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_the_default() {
        assert_eq!(Policy::parse("version: 1\n").unwrap(), Policy::default());
    }

    #[test]
    fn a_document_says_what_it_changes_and_keeps_the_rest() {
        let policy = Policy::parse(
            "modes:\n  compromised-instance: {critical: approve, high: approve, medium: observe, low: observe}\n\
             protections:\n  - {arn: 'arn:aws:ec2:us-east-1:111122223333:instance/i-0a1b2c3d', because: the till}\n\
             max-finding-age-minutes: 30\n",
        )
        .unwrap();
        assert_eq!(policy.mode(Situation::CompromisedInstance, Severity::High), Mode::Approve);
        assert_eq!(policy.mode(Situation::CompromisedAccessKey, Severity::High), Mode::Contain);
        assert_eq!(policy.most_age(), Duration::from_secs(1800));
        let subject = |id: &str| Subject {
            account: AccountId::parse("111122223333").unwrap(),
            arn: Some(Arn::parse(&format!("arn:aws:ec2:us-east-1:111122223333:instance/{id}")).unwrap()),
            unique_id: id.into(),
        };
        assert_eq!(policy.protection(&subject("i-0a1b2c3d")), Some("the till"));
        assert_eq!(policy.protection(&subject("i-0a1b2c3e")), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_column() {
        for (yaml, line, said) in [
            ("version: 1\nmode: {}\n", 2, "mode"),
            (
                "version: 1\nmodes:\n  compromised-instance: {critical: contain, high: contian, medium: approve, low: observe}\n",
                3,
                "contian",
            ),
            (
                "modes:\n  compromised-instanze: {critical: contain, high: contain, medium: approve, low: observe}\n",
                2,
                "compromised-instanze",
            ),
            ("max-finding-age-minutes: soon\n", 1, ""),
            ("protections:\n  - {arn: everything, because: x}\n", 2, "everything"),
            ("version: [\n", 1, ""),
        ] {
            match Policy::parse(yaml) {
                Err(PolicyError::Syntax { line: at, problem, .. }) => {
                    assert!(problem.contains(said), "{yaml}: {problem}");
                    assert!(at >= line, "{yaml}: line {at}");
                }
                other => panic!("{yaml}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_has_no_sense_is_refused_with_all_reasons_at_once() {
        let error = Policy::parse(
            "version: 7\nmax-finding-age-minutes: 0\nlimits: {steps-per-plan: 0}\nprotections: [{because: ''}]\noperators: [{}]\n",
        )
        .unwrap_err()
        .to_string();
        for part in [
            "version 7",
            "max-finding-age-minutes",
            "steps-per-plan",
            "protection 1 needs",
            "protection 1 does not",
            "operators 1",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}
