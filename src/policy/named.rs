//! How a policy names things and principals, and why.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Subject;
use crate::domain::{AccountId, Arn};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, fmt};

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

/// A tag of an instance, a user, a role, a group or a bucket; with any value where none is given.
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
