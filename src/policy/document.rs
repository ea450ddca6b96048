//! The policy document, its embedded default, and how it is read.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    AddressBlocks, Because, Doer, Expected, PrincipalRef, Protected, Protection, Subject, Tag, Window, number::Within,
};
use crate::domain::{AccountId, Arn, BucketName, Region, Severity, Situation, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::Duration};

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
    /// Who does what as his work: read in the digest, not in the night. Never of sensors that are silenced, of root, of data that is shared, of
    /// grants to oneself.
    pub expected: Vec<Expected>,
    /// Ports that are open to the world on purpose.
    pub public_ports: Vec<u16>,
    /// Buckets that the public reads on purpose: blocked only after approval.
    #[schemars(with = "Vec<String>")]
    pub public_buckets: Vec<BucketName>,
    /// Where an address that attacks may be blocked.
    pub address_blocks: AddressBlocks,
    /// ARN of a bucket, with or without a prefix, to which flow logs go of networks in which an instance is contained and that have none.
    #[schemars(with = "Option<String>")]
    pub flow_logs_to: Option<Arn>,
    /// Accounts that data is shared with and roles are trusted to on purpose.
    #[schemars(with = "Vec<String>")]
    pub known_accounts: Vec<AccountId>,
    /// Regions in which something runs. Where any is named, compute in another is High.
    #[schemars(with = "Vec<String>")]
    pub used_regions: Vec<Region>,
    /// Accounts in which everything that has an impact is one step worse.
    #[schemars(with = "Vec<String>")]
    pub production_accounts: Vec<AccountId>,
    /// What alarms of CloudWatch mean, by their names; one that ends in `*` stands for all that begin so. Others are ignored.
    pub alarms: BTreeMap<String, Meaning>,
    /// Times of the week in which less is done unattended.
    pub windows: Vec<Window>,
    pub limits: Limits,
}

/// What it means that an alarm goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// A web application firewall blocks requests.
    RequestsBlocked,
    /// Calls of APIs are throttled.
    CallsThrottled,
    /// Traffic is other than it usually is.
    TrafficUnusual,
    /// Something else that people should hear of.
    Other,
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestsBlocked => "requests are blocked",
            Self::CallsThrottled => "calls are throttled",
            Self::TrafficUnusual => "traffic is unusual",
            Self::Other => "something that people should hear of",
        })
    }
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
    /// Security groups, buckets and objects that are set right unattended within an hour; and as many sensors, by themselves.
    pub corrections_per_hour: Within<10, 5000>,
    /// Users that whoever is contained has made, and that are contained unattended within an hour: a pool of their own, because he could make
    /// so many that the others' is used up.
    pub made_per_hour: Within<10, 5000>,
    /// Targets of one attack sequence that are contained unattended; with more, or with several principals, a person approves the whole.
    pub targets_per_sequence: Within<1, 20>,
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
            corrections_per_hour: Within::nearest(100),
            made_per_hour: Within::nearest(50),
            targets_per_sequence: Within::nearest(5),
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
            expected: Vec::new(),
            // What load balancers and web servers are for.
            public_ports: vec![80, 443],
            public_buckets: Vec::new(),
            address_blocks: AddressBlocks::default(),
            flow_logs_to: None,
            known_accounts: Vec::new(),
            used_regions: Vec::new(),
            production_accounts: Vec::new(),
            alarms: BTreeMap::new(),
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

    /// Why this is his work.
    pub fn expects(&self, doer: &Doer<'_>, situation: Situation, at: Timestamp) -> Option<&Because> {
        self.expected.iter().find(|expected| expected.covers(doer, situation, at)).map(|expected| &expected.because)
    }

    /// What the operator says that this alarm means.
    pub fn meaning(&self, alarm: &str) -> Option<Meaning> {
        let is_it = |name: &str| name == alarm || name.strip_suffix('*').is_some_and(|start| alarm.starts_with(start));
        self.alarms.iter().find(|(name, _)| is_it(name)).map(|(_, meaning)| *meaning)
    }

    /// Whether all of these ports are open on purpose, as `22` or `8000-8100`.
    pub fn declares_public(&self, ports: &[String]) -> bool {
        let is_declared = |port: &String| {
            let (from, to) = port.split_once('-').unwrap_or((port, port));
            let range = from.parse::<u16>().ok().zip(to.parse::<u16>().ok());
            // A range of thousands is not declared port by port.
            range.is_some_and(|(from, to)| {
                to - from.min(to) < 1000 && (from..=to).all(|port| self.public_ports.contains(&port))
            })
        };
        !ports.is_empty() && ports.iter().all(is_declared)
    }

    pub fn knows(&self, accounts: &[String]) -> bool {
        accounts.iter().all(|account| self.known_accounts.iter().any(|known| known.as_str() == account))
    }

    pub fn is_unused(&self, region: Option<&Region>) -> bool {
        !self.used_regions.is_empty() && region.is_some_and(|region| !self.used_regions.contains(region))
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
        Situation::CompromisedInstance
        | Situation::CompromisedAccessKey
        | Situation::CompromisedRoleSession
        | Situation::LeakedKey
        | Situation::MalwareFound
        | Situation::AttackSequence => Modes::of(Contain, Contain, Approve, Observe),
        // Corrections: what was there is put back.
        Situation::AuditTrailSilenced
        | Situation::ThreatDetectionSilenced
        | Situation::ExposedPort
        | Situation::ExposedBucket => Modes::of(Contain, Contain, Contain, Observe),
        // Who is behind a call may have been allowed to make it.
        Situation::PrivilegeEscalation
        | Situation::DataShared
        | Situation::DataRead
        | Situation::DataDestruction
        | Situation::KeyDestruction
        | Situation::OrganizationChanged
        | Situation::UnusualAccess
        | Situation::Persistence
        | Situation::CodeExecuted
        | Situation::ResourceAbuse => Modes::of(Approve, Approve, Observe, Observe),
        Situation::AttackedOnly
        | Situation::RootUsed
        | Situation::IamChanged
        | Situation::SecurityGroupChanged
        | Situation::FailedSignIns
        | Situation::DeniedCalls
        | Situation::ServiceDisruption
        | Situation::NonCompliant
        | Situation::ConfigurationChanged
        | Situation::ResponderRoleMisused
        | Situation::OtherWorkload
        | Situation::Unknown => Modes::of(Observe, Observe, Observe, Observe),
    }
}

#[cfg(test)]
mod tests;
