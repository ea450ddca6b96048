//! A command and its answer, as they go over the wire. Pure.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{
    AccessKeyId, BucketName, IncidentId, InstanceId, Region, Report, RoleName, SessionName, Timestamp, UserName,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Of a reason that a person writes.
pub const LONGEST_TEXT: usize = 400;

/// What an operator wants. The first word is the tag `do`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// The plan by its hash, and offers by name and hash, as the operator saw them.
    Approve {
        incident: IncidentId,
        plan: Option<String>,
        #[serde(default)]
        with: BTreeMap<String, String>,
    },
    Reject {
        incident: IncidentId,
        plan: String,
        because: String,
    },
    Release {
        incident: IncidentId,
        #[serde(default)]
        reactivate_keys: bool,
        #[serde(default)]
        force: bool,
    },
    Pause {
        minutes: u32,
        because: String,
    },
    Resume {
        because: String,
    },
    /// `plan` is the hash of the plan that the operator saw; without it guards ask as for any finding. The incident is named by `at`.
    Contain {
        target: Named,
        plan: Option<String>,
        because: String,
        /// When the plan was made.
        at: Timestamp,
    },
}

/// A target as a person names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Named {
    Instance { id: InstanceId, region: Region },
    User { name: UserName },
    RoleSession { role: RoleName, session: SessionName },
    AccessKey { id: AccessKeyId },
    Bucket { name: BucketName, region: Region },
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { id, region } => write!(f, "instance {id} in {region}"),
            Self::User { name } => write!(f, "user {name}"),
            Self::RoleSession { role, session } => write!(f, "session {session} of role {role}"),
            Self::AccessKey { id } => write!(f, "access key {}", id.tail()),
            Self::Bucket { name, .. } => write!(f, "bucket {name}"),
        }
    }
}

impl Command {
    /// The incident that it is about.
    pub fn incident(&self) -> Option<&IncidentId> {
        match self {
            Self::Approve { incident, .. } | Self::Reject { incident, .. } | Self::Release { incident, .. } => {
                Some(incident)
            }
            Self::Pause { .. } | Self::Resume { .. } | Self::Contain { .. } => None,
        }
    }

    /// What is done, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Release { .. } => "release",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Contain { .. } => "contain",
        }
    }

    /// Why a person wants it, where he must say so.
    pub fn because(&self) -> Option<&str> {
        match self {
            Self::Reject { because, .. }
            | Self::Pause { because, .. }
            | Self::Resume { because }
            | Self::Contain { because, .. } => Some(because),
            Self::Approve { .. } | Self::Release { .. } => None,
        }
    }
}

/// What the operator function takes: the command as text, because its very bytes are signed, and the proof of who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub command: String,
    pub proof: super::Proof,
}

/// Which function a command is for, by its ARN: what one deployment was told serves at no other. `account/region/name`.
pub fn audience(function: &str) -> String {
    let mut parts = function.split(':').skip(3);
    let (region, account, name) = (parts.next(), parts.next(), parts.nth(1));
    [account, region, name].map(Option::unwrap_or_default).join("/")
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    Done {
        lines: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incident: Option<IncidentId>,
        /// Of a release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<Box<Report>>,
    },
    Refused(Refused),
}

impl Answer {
    pub fn done(lines: Vec<String>) -> Self {
        Self::Done { lines, incident: None, report: None }
    }
}

/// Why not, with a code that keeps its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    pub code: String,
    pub why: String,
}

pub fn refusal(code: &str, why: impl Into<String>) -> Refused {
    Refused { code: code.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_its_account_region_and_name() {
        let arn = "arn:aws:lambda:eu-west-1:111122223333:function:cordon-operator";
        assert_eq!(audience(arn), "111122223333/eu-west-1/cordon-operator");
        assert_eq!(audience(&format!("{arn}:7")), audience(arn));
    }

    #[test]
    fn a_command_is_read_as_it_is_written_and_nothing_else_is_one() {
        let id = "amber-otter-k7m2q";
        for text in [
            format!(r#"{{"do":"approve","incident":"{id}","plan":"0123456789abcdef"}}"#),
            format!(r#"{{"do":"reject","incident":"{id}","plan":"0123456789abcdef","because":"a test"}}"#),
            format!(r#"{{"do":"release","incident":"{id}","reactivate-keys":true}}"#),
            r#"{"do":"pause","minutes":60,"because":"a drill"}"#.to_owned(),
            r#"{"do":"contain","target":{"kind":"user","name":"deploy"},"plan":null,"because":"x","at":"2026-11-20T12:00:00Z"}"#.to_owned(),
        ] {
            let command: Command = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let again = serde_json::to_string(&command).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&again).unwrap(), command);
        }
        for text in [
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"do":"delete","incident":"amber-otter-k7m2q"}"#.to_owned(),
            format!(r#"{{"do":"release","incident":"{id}","by":"root"}}"#),
            r#"{"do":"release","incident":"../x"}"#.to_owned(),
            r#"{"do":"pause","minutes":-1,"because":"x"}"#.to_owned(),
            r#"{"do":"contain","target":{"kind":"user","name":"a/../b"},"plan":null,"because":"x"}"#.to_owned(),
            r#"{"do":"contain","target":{"kind":"root"},"plan":null,"because":"x"}"#.to_owned(),
        ] {
            assert!(serde_json::from_str::<Command>(&text).is_err(), "{text} is taken");
        }
    }
}
