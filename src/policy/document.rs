//! The policy document, its embedded default, and how it is read.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Subject, Window, number::Within};
use crate::{
    domain::{AccountId, Arn, Severity, Timestamp},
    triage::Situation,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

/// How far Cordon may go. Ordered: the lowest of several wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Why, in words that are shown to whoever asks. Not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Because(String);

impl JsonSchema for Because {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Because".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 200})
    }
}

impl TryFrom<String> for Because {
    type Error = String;
    fn try_from(given: String) -> Result<Self, String> {
        match given.trim() {
            "" => Err("`because` says nothing, write why".to_owned()),
            why if why.chars().count() > 200 => Err("`because` has more than 200 characters".to_owned()),
            why => Ok(Self(why.to_owned())),
        }
    }
}

impl From<Because> for String {
    fn from(because: Because) -> Self {
        because.0
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A thing that Cordon never changes, or, named by a tag, changes only after approval: tags are written by whoever has the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WireProtection", into = "WireProtection")]
#[schemars(with = "WireProtection")]
pub struct Protection {
    pub what: Protected,
    pub because: Because,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protected {
    Arn(Arn),
    /// `AIDA…`, `AROA…`, `i-…`.
    UniqueId(String),
    Account(AccountId),
    Tag(Tag),
}

/// A tag of an instance, a user or a role; with any value where none is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tag {
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Exactly one of arn, unique-id, account and tag names it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireProtection {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    arn: Option<Arn>,
    /// `AIDA…`, `AROA…`, `i-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unique_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    account: Option<AccountId>,
    /// The most that a tag does is to have a person asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
    because: Because,
}

impl TryFrom<WireProtection> for Protection {
    type Error = &'static str;
    fn try_from(wire: WireProtection) -> Result<Self, Self::Error> {
        let what = match (wire.arn, wire.unique_id, wire.account, wire.tag) {
            (Some(arn), None, None, None) => Protected::Arn(arn),
            (None, Some(id), None, None) => Protected::UniqueId(id),
            (None, None, Some(account), None) => Protected::Account(account),
            (None, None, None, Some(tag)) => Protected::Tag(tag),
            _ => return Err("a protection needs exactly one of arn, unique-id, account, tag"),
        };
        Ok(Self { what, because: wire.because })
    }
}

impl From<Protection> for WireProtection {
    fn from(protection: Protection) -> Self {
        let because = protection.because;
        let mut wire = Self { arn: None, unique_id: None, account: None, tag: None, because };
        match protection.what {
            Protected::Arn(arn) => wire.arn = Some(arn),
            Protected::UniqueId(id) => wire.unique_id = Some(id),
            Protected::Account(account) => wire.account = Some(account),
            Protected::Tag(tag) => wire.tag = Some(tag),
        }
        wire
    }
}

/// A principal, by exactly one of ARN and unique id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WirePrincipal", into = "WirePrincipal")]
#[schemars(with = "WirePrincipal")]
pub enum PrincipalRef {
    Arn(Arn),
    UniqueId(String),
}

/// Exactly one of arn and unique-id names it; of a role, not of one of its sessions.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WirePrincipal {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    arn: Option<Arn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unique_id: Option<String>,
}

impl TryFrom<WirePrincipal> for PrincipalRef {
    type Error = &'static str;
    fn try_from(wire: WirePrincipal) -> Result<Self, Self::Error> {
        match (wire.arn, wire.unique_id) {
            (Some(arn), None) if arn.as_str().contains(":assumed-role/") => {
                Err("name the role by its own ARN (`arn:aws:iam::…:role/…`), not a session of it")
            }
            (Some(arn), None) => Ok(Self::Arn(arn)),
            (None, Some(id)) => Ok(Self::UniqueId(id)),
            _ => Err("a principal needs exactly one of arn, unique-id"),
        }
    }
}

impl From<PrincipalRef> for WirePrincipal {
    fn from(principal: PrincipalRef) -> Self {
        match principal {
            PrincipalRef::Arn(arn) => Self { arn: Some(arn), unique_id: None },
            PrincipalRef::UniqueId(id) => Self { arn: None, unique_id: Some(id) },
        }
    }
}

/// What Cordon may do, to what, how often, and who decides. What is left out keeps the default's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Of the document's form: 1.
    pub version: Within<1, 1>,
    /// How far Cordon goes by situation and severity. Situations that are not listed keep their default.
    pub modes: BTreeMap<Situation, Modes>,
    /// Caps every situation that rests on DNS evidence alone.
    pub dns_evidence: Modes,
    /// Never changed, whatever is reported of them; by tag: only after approval.
    pub protections: Vec<Protection>,
    /// Principals for the worst day: never changed, a finding about one pages.
    pub break_glass: Vec<PrincipalRef>,
    /// People who approve and release: one of them is contained only with another's approval.
    pub operators: Vec<PrincipalRef>,
    /// Cordon's own principals beside the one that it runs with.
    pub own_principals: Vec<PrincipalRef>,
    /// Findings that are older need approval.
    pub max_finding_age_minutes: Within<1, 1440>,
    /// After so long a question that nobody has answered is asked again, and an approval that was not acted on is none.
    pub approval_expiry_minutes: Within<5, 10_080>,
    /// Whether an interface in a subnet with an internet gateway may pass an open group for a moment, once it is in quarantine, which ends
    /// connections that quarantine alone would keep.
    pub open_passage: bool,
    /// Times of the week in which less is done unattended.
    pub windows: Vec<Window>,
    pub limits: Limits,
}

/// Numbers above which a person must agree. A quarter of what an hour has is kept for Critical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Changes in one plan.
    pub steps_per_plan: Within<1, 200>,
    /// Instances that are contained unattended within an hour, in all accounts and regions of this table.
    pub instances_per_hour: Within<1, 1000>,
    /// Users and sessions of roles that are contained unattended within an hour.
    pub credentials_per_hour: Within<50, 5000>,
    /// Instances of one Auto Scaling group that are contained unattended within a day: the group replaces each, and what took the
    /// first may take the next.
    pub replacements_per_day: Within<0, 1000>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // An instance has at most 15 interfaces, and as many again of other steps.
            steps_per_plan: Within::nearest(100),
            instances_per_hour: Within::nearest(20),
            credentials_per_hour: Within::nearest(100),
            replacements_per_day: Within::nearest(3),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: Within::nearest(1),
            modes: BTreeMap::new(),
            dns_evidence: Modes::of(Mode::Approve, Mode::Approve, Mode::Observe, Mode::Observe),
            protections: Vec::new(),
            break_glass: Vec::new(),
            operators: Vec::new(),
            own_principals: Vec::new(),
            max_finding_age_minutes: Within::nearest(60),
            approval_expiry_minutes: Within::nearest(240),
            open_passage: true,
            windows: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// A policy that is not used, because it does not say what it means.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read policy at line {line}, column {column}: {problem}")]
pub struct PolicyError {
    pub line: u64,
    pub column: u64,
    pub problem: String,
}

/// A longer document is no policy.
const MOST_BYTES: usize = 64 * 1024;

impl Policy {
    /// Reads a YAML document of at most 64 KiB.
    ///
    /// # Errors
    /// The first that is wrong, with line and column: unknown members, wrong types, malformed ids, numbers out of bounds.
    pub fn parse(yaml: &str) -> Result<Self, PolicyError> {
        if yaml.trim().is_empty() {
            let problem = "the document is empty; `version: 1` alone is the default".to_owned();
            return Err(PolicyError { line: 1, column: 1, problem });
        }
        if yaml.len() > MOST_BYTES {
            let problem = format!("the document has {} bytes, allowed are {MOST_BYTES}", yaml.len());
            return Err(PolicyError { line: 1, column: 1, problem });
        }
        serde_saphyr::from_str(yaml).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let problem = error.without_snippet().to_string();
            let problem = problem.lines().next().unwrap_or_default();
            // It says the place once more.
            let problem = problem.rsplit_once(" at line ").map_or(problem, |(problem, _)| problem);
            let problem = problem.replace("invalid boolean", "no boolean, allowed are true and false");
            PolicyError { line, column, problem }
        })
    }

    /// The JSON schema of the document.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// What the operator allows in that situation; the table of the embedded default where the document is silent.
    pub fn mode(&self, situation: Situation, severity: Severity) -> Mode {
        self.modes.get(&situation).copied().unwrap_or_else(|| default_modes(situation)).at(severity)
    }

    pub fn dns_evidence(&self, severity: Severity) -> Mode {
        self.dns_evidence.at(severity)
    }

    pub fn most_age(&self) -> Duration {
        self.max_finding_age_minutes.minutes()
    }

    pub fn approval_expiry(&self) -> Duration {
        self.approval_expiry_minutes.minutes()
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
    pub fn protection(&self, subject: &Subject) -> Option<&Because> {
        let protects = |what: &Protected| match what {
            Protected::Arn(arn) => subject.arn.as_ref() == Some(arn),
            Protected::UniqueId(id) => *id == subject.unique_id,
            Protected::Account(account) => *account == subject.account,
            Protected::Tag(_) => false,
        };
        self.protections.iter().find(|p| protects(&p.what)).map(|p| &p.because)
    }

    /// The tags that have a person asked, and why.
    pub fn tags(&self) -> impl Iterator<Item = (&Tag, &Because)> {
        self.protections.iter().filter_map(|p| match &p.what {
            Protected::Tag(tag) => Some((tag, &p.because)),
            _ => None,
        })
    }

    /// Whether any member names something by ARN.
    pub fn goes_by_arn(&self) -> bool {
        let lists = [&self.break_glass, &self.operators, &self.own_principals];
        self.protections.iter().any(|p| matches!(p.what, Protected::Arn(_)))
            || lists.iter().any(|list| list.iter().any(|p| matches!(p, PrincipalRef::Arn(_))))
    }
}

impl Tag {
    pub fn is_on(&self, tags: &BTreeMap<String, String>) -> bool {
        let value = tags.get(&self.key);
        value.is_some_and(|value| self.value.as_ref().is_none_or(|wanted| wanted == value))
    }
}

impl PrincipalRef {
    pub fn is(&self, subject: &Subject) -> bool {
        match self {
            Self::Arn(arn) => subject.arn.as_ref() == Some(arn),
            Self::UniqueId(id) => *id == subject.unique_id,
        }
    }
}

/// A document to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    pub name: &'static str,
    pub text: &'static str,
}

pub const EXAMPLES: [Example; 3] = [
    Example { name: "careful", text: include_str!("examples/careful.yaml") },
    Example { name: "usual", text: include_str!("examples/usual.yaml") },
    Example { name: "strict", text: include_str!("examples/strict.yaml") },
];

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
mod tests;
