//! What a step touches, in the terms in which an operator protects things.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{AccountId, Arn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The thing behind a step. Names are not among its members: the attacker can write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub account: AccountId,
    /// As AWS gave it, not as the event did; `None` where the account could not tell.
    pub arn: Option<Arn>,
    /// `AIDA…`, `AROA…`, `i-…`.
    pub unique_id: String,
    /// The attacker can write these too, so the most that they do is to have a person asked. `None` where they were not read.
    #[serde(default)]
    pub tags: Option<Tags>,
}

/// Of a resource, by key.
pub type Tags = BTreeMap<String, String>;

impl Subject {
    pub fn new(account: &AccountId, arn: Option<Arn>, unique_id: impl Into<String>) -> Self {
        Self { account: account.clone(), arn, unique_id: unique_id.into(), tags: None }
    }

    pub fn tagged(self, tags: &Tags) -> Self {
        Self { tags: Some(tags.clone()), ..self }
    }
}
