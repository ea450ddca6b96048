//! What is going on, and how well it is known: the words that detection, triage, policy and playbooks share.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! situations {
    ($($(#[$doc:meta])* $Name:ident = $text:literal,)*) => {
        /// What is going on. Playbooks and policy go by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Situation {
            $($(#[$doc])* $Name,)*
        }

        impl Situation {
            pub const ALL: &[Self] = &[$(Self::$Name,)*];
        }

        impl fmt::Display for Situation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$Name => $text,)*
                })
            }
        }
    };
}

situations! {
    /// An EC2 instance does the attacker's work.
    CompromisedInstance = "compromised-instance",
    /// Credentials of an IAM user are in strange hands.
    CompromisedAccessKey = "compromised-access-key",
    /// A session of a role is in strange hands.
    CompromisedRoleSession = "compromised-role-session",
    /// Somebody tries; nothing says that he came in.
    AttackedOnly = "attacked-only",
    /// Root credentials were used.
    RootUsed = "root-used",
    /// A bucket was opened to the public.
    ExposedBucket = "exposed-bucket",
    /// Several signals that belong together.
    AttackSequence = "attack-sequence",
    /// A trail was stopped, deleted or made blind.
    AuditTrailSilenced = "audit-trail-silenced",
    /// Detectors, recorders, flow logs or alarms were switched off or made blind.
    ThreatDetectionSilenced = "threat-detection-silenced",
    /// A policy, a trust or a credential that grants what an administrator may, or that its maker did not have.
    PrivilegeEscalation = "privilege-escalation",
    /// Another change of who may do what.
    IamChanged = "iam-changed",
    /// AWS itself found an access key where everybody finds it.
    LeakedKey = "leaked-key",
    /// Malware was found in an object.
    MalwareFound = "malware-found",
    /// A port of the network was opened to the world.
    ExposedPort = "exposed-port",
    /// Another change of a security group.
    SecurityGroupChanged = "security-group-changed",
    /// Data was shared with everybody or with another account.
    DataShared = "data-shared",
    /// Secrets, parameters or data are read in numbers.
    DataRead = "data-read",
    /// Data, keys or backups are deleted or made useless.
    DataDestruction = "data-destruction",
    /// A key that data is encrypted with is to be deleted or was switched off.
    KeyDestruction = "key-destruction",
    /// The account's place in its organisation, or what the organisation forbids it.
    OrganizationChanged = "organization-changed",
    /// Somebody came in in a way that attackers like: without a second factor, through a console, by a token made for it.
    UnusualAccess = "unusual-access",
    /// A way in that stays: a credential, a provider, a function that others may call.
    Persistence = "persistence",
    /// Commands or code were run on machines or in functions.
    CodeExecuted = "code-executed",
    /// Compute, models or messages on the account's bill.
    ResourceAbuse = "resource-abuse",
    /// Sign-ins that fail, again and again.
    FailedSignIns = "failed-sign-ins",
    /// Calls that are denied, again and again: somebody finds out what he may do.
    DeniedCalls = "denied-calls",
    /// Requests are blocked or throttled, or traffic is unusual.
    ServiceDisruption = "service-disruption",
    /// A resource does not comply with a rule of AWS Config.
    NonCompliant = "non-compliant",
    /// Changes, creations, tags, costs: what is read in the digest.
    ConfigurationChanged = "configuration-changed",
    /// Cordon's own role did what Cordon did not.
    ResponderRoleMisused = "responder-role-misused",
    /// Containers, clusters, functions, databases and what else is not contained yet.
    OtherWorkload = "other-workload",
    /// A type that this version does not know.
    Unknown = "unknown",
}

impl Situation {
    /// Something was opened or silenced, and is set right: nobody is shut out for it.
    pub fn is_correction(self) -> bool {
        matches!(
            self,
            Self::AuditTrailSilenced | Self::ThreatDetectionSilenced | Self::ExposedPort | Self::ExposedBucket
        )
    }
}

/// On whose side the resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It works for the attacker.
    Tool,
    /// It is attacked.
    Victim,
    /// The finding does not say: never more than approval.
    Unclear,
}

/// What the judgement rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    Network,
    Api,
    /// Whoever makes a server resolve a name can make it.
    Dns,
    Malware,
    Runtime,
    Correlation,
    Configuration,
    Unknown,
}

/// How sure it is that something bad happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// A name that was looked up, a call that was denied: anybody may have caused it. Never contained unattended, but for DNS
    /// evidence where the policy's `dns-evidence` says so.
    Possible,
    /// Behaviour that attackers show.
    Likely,
    /// The sensor says that it is compromised.
    Confirmed,
}

/// What it costs whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    None,
    ResourceAbuse,
    ServiceDisruption,
    UnauthorisedAccess,
    EvidenceTampering,
    DataBreach,
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::ResourceAbuse => "resource abuse",
            Self::ServiceDisruption => "service disruption",
            Self::UnauthorisedAccess => "unauthorised access",
            Self::EvidenceTampering => "evidence tampering",
            Self::DataBreach => "data breach",
        })
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Confirmed => "confirmed",
        })
    }
}
