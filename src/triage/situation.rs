//! The words of triage: situation, standing, evidence.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is going on. Playbooks and policy go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Situation {
    /// An EC2 instance does the attacker's work.
    CompromisedInstance,
    /// Credentials of an IAM user are in strange hands.
    CompromisedAccessKey,
    /// A session of a role is in strange hands.
    CompromisedRoleSession,
    /// Somebody tries; nothing says that he came in.
    AttackedOnly,
    /// Root credentials were used.
    RootUsed,
    ExposedBucket,
    /// Several signals that belong together.
    AttackSequence,
    /// Containers, clusters, functions, databases, objects and what else is not contained yet.
    OtherWorkload,
    /// A type that this version does not know.
    Unknown,
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CompromisedInstance => "compromised-instance",
            Self::CompromisedAccessKey => "compromised-access-key",
            Self::CompromisedRoleSession => "compromised-role-session",
            Self::AttackedOnly => "attacked-only",
            Self::RootUsed => "root-used",
            Self::ExposedBucket => "exposed-bucket",
            Self::AttackSequence => "attack-sequence",
            Self::OtherWorkload => "other-workload",
            Self::Unknown => "unknown",
        })
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

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Triage {
    pub situation: Situation,
    pub standing: Standing,
    pub evidence: Evidence,
    pub reasons: Vec<Reason>,
}
