//! One normalised report of a sensor.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    AccessKeyId, AccountId, Arn, BucketName, Confidence, FindingId, FindingType, Impact, InstanceId, ObjectKey,
    Partition, Region, Score, Severity, Situation, Text, Timestamp, UserName, VersionId, VpcId,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Of resources and principals that people are told of.
const MOST_SCOPE: usize = 20;

/// A finding as the rest of Cordon sees it: ids are parsed, text is cleaned, what was odd is a [`Gap`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub source: Source,
    pub id: FindingId,
    /// `None` where the type has no grammar of a type; `type_shown` shows it nevertheless.
    pub kind: Option<FindingType>,
    pub type_shown: Text,
    /// Where it happened: the account to act in, never the bus's (`detail.accountId`).
    pub account: Option<AccountId>,
    pub account_shown: Text,
    pub region: Option<Region>,
    pub partition: Partition,
    pub score: Option<Score>,
    pub title: Text,
    pub description: Text,
    pub lifecycle: Lifecycle,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    /// Occurrences that GuardDuty has folded into this finding.
    pub count: Option<u64>,
    /// `Instance`, `AccessKey`, …: what the sensor says; `resources` is what we could read of it.
    pub resource_type: Option<Text>,
    pub resources: Vec<Resource>,
    pub role: Option<Role>,
    pub action: Option<Action>,
    pub direction: Option<Direction>,
    /// Addresses and domains of the other side, for people to read.
    pub remote: Vec<Text>,
    /// Of them, those that are Amazon's: whoever is behind one shares it with others.
    pub amazons: Vec<Text>,
    pub gaps: Vec<Gap>,
    /// What our rules saw, the worst first; none where the sensor judged itself.
    pub detections: Vec<Detection>,
    /// The call in which they saw it.
    pub call: Option<Call>,
}

/// Which sensor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    GuardDuty,
    CloudTrail,
    Config,
    Alarm,
    /// AWS Health.
    Health,
}

/// What one rule saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// The rule's id.
    pub rule: String,
    pub title: Text,
    /// What the rule says of itself; triage knows better of most situations.
    pub level: Severity,
    pub situation: Situation,
    pub impact: Impact,
    pub confidence: Confidence,
    /// The call was denied: he tried.
    pub is_attempt: bool,
    /// How many were seen within the rule's window.
    pub counted: Option<u32>,
    /// What was changed: its kind and its name.
    pub subject: Option<(Text, Text)>,
}

/// A call that CloudTrail recorded, as far as triage asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Call {
    pub name: Text,
    pub service: Text,
    /// `user`, `role`, `root`, `service`, …
    pub actor: Text,
    /// Of the user, or of the role whose session he is.
    pub caller: Option<Arn>,
    pub from: Option<std::net::IpAddr>,
    pub by_service: bool,
    /// AWS of its own accord, for nobody.
    pub by_aws: bool,
    /// The access key that the call made.
    pub made_key: Option<AccessKeyId>,
    /// The user, not the caller, whose rights or ways in it changed.
    pub granted: Option<UserName>,
    /// The command that takes back what the call did, for a person.
    pub undo: Option<String>,
    pub on_self: bool,
    pub world_open: bool,
    pub sensitive_port: bool,
    /// Of what is open to the world.
    pub ports: Vec<String>,
    pub shared_publicly: bool,
    /// Other accounts.
    pub shared_with: Vec<String>,
}

impl Finding {
    pub fn instance(&self) -> Option<&InstanceResource> {
        self.resources.iter().find_map(|r| match r {
            Resource::Instance(instance) => Some(instance),
            _ => None,
        })
    }

    /// What it is about, in words: resources and principals, each once.
    pub fn scope(&self) -> Vec<Text> {
        let shown = |resource: &Resource| match resource {
            Resource::Instance(instance) => format!("instance {}", instance.id),
            Resource::AccessKey(key) if key.name.as_str().is_empty() => format!("principal {}", key.principal_id),
            Resource::AccessKey(key) => format!("principal {} ({})", key.name, key.principal_id),
            Resource::Object(object) => format!("object {object}"),
            Resource::Named { what, name } => format!("{what} {name}"),
            Resource::Other { what, name } => format!("{what} {name}"),
        };
        let mut scope: Vec<Text> = self.resources.iter().map(|resource| Text::new(shown(resource).trim())).collect();
        scope.dedup();
        scope.truncate(MOST_SCOPE);
        scope
    }

    pub fn access_key(&self) -> Option<&AccessKeyResource> {
        self.resources.iter().find_map(|r| match r {
            Resource::AccessKey(key) => Some(key),
            _ => None,
        })
    }
}

/// Whether a finding is about something real and open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    Live,
    /// Made by CreateSampleFindings; its resources do not exist, or are somebody else's by accident.
    Sample,
    /// Put aside by a person; GuardDuty goes on sending its occurrences.
    Archived,
}

/// A part of the finding that could not be used, and why. A gap is no error: the rest of the finding stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Path of the member, as in `resource.instanceDetails.instanceId`.
    pub field: &'static str,
    pub problem: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Resource {
    Instance(InstanceResource),
    AccessKey(AccessKeyResource),
    Object(ObjectResource),
    /// What a rule names: a trail, a group, a key, …
    Named {
        what: Text,
        name: Text,
    },
    /// A bucket, cluster, database, function, …: named for people, not parsed for a call.
    Other {
        what: &'static str,
        name: Text,
    },
}

/// What the event says of an instance. Read the instance again before acting: this was true at detection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstanceResource {
    pub id: InstanceId,
    /// Lets the role be looked up beside the instance; believed only if the instance says the same.
    pub profile: Option<Arn>,
    /// Lets its route tables be read beside the instance; believed only if its interfaces say the same.
    pub vpc: Option<VpcId>,
}

/// An object of S3, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectResource {
    pub bucket: BucketName,
    /// A stranger's text.
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

impl fmt::Display for ObjectResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.as_ref().map(|version| format!(" version {version}")).unwrap_or_default();
        write!(f, "{}/{}{version}", self.bucket, Text::new(self.key.as_str()))
    }
}

/// Whose credentials were used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccessKeyResource {
    /// Console sign-ins have none.
    pub key: Option<AccessKeyId>,
    /// `AIDA…`, `AROA…:session` or what else the sensor says.
    pub principal_id: Text,
    pub name: Text,
    pub user_type: UserType,
}

/// `userType` of GuardDuty's accessKeyDetails, `type` of CloudTrail's userIdentity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserType {
    IamUser,
    AssumedRole,
    FederatedUser,
    Root,
    /// Another account, or nobody (anonymous access).
    AwsAccount,
    AwsService,
    Directory,
    /// Who signs in by SAML, before he has a role's session.
    SamlUser,
    /// The same by OpenID Connect.
    WebIdentityUser,
    IdentityCenterUser,
    Unknown,
}

/// `service.resourceRole`; alone it does not say who is compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Target,
    Actor,
    Unknown,
}

/// `service.action.actionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    NetworkConnection,
    PortProbe,
    DnsRequest,
    AwsApiCall,
    KubernetesApiCall,
    RdsLoginAttempt,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    Inbound,
    Outbound,
    Unknown,
}
