//! What a step touches, in the terms in which an operator protects things.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{AccountId, Arn};
use serde::{Deserialize, Serialize};

/// The thing behind a step. Names and tags are not among its members: the attacker can write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub account: AccountId,
    /// As AWS gave it, not as the event did; `None` where the account could not tell.
    pub arn: Option<Arn>,
    /// `AIDA…`, `AROA…`, `i-…`.
    pub unique_id: String,
}
