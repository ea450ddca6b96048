//! From a finding to a situation, a target and how much may be done about it. Pure: facts about the account come later.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod assess;
mod classify;
mod correlate;
mod families;
mod rows;
mod types;

pub use assess::{Assessment, Context, assess};
pub use classify::classify;
pub use correlate::{NOT_NAMED, Targets, actor, members, targets};
pub use rows::ROWS;
pub use types::TYPES;

use crate::domain::{Confidence, Evidence, Reason, Situation, Standing};
use serde::Serialize;

/// What an event means, before policy and context are asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Triage {
    pub situation: Situation,
    pub standing: Standing,
    pub evidence: Evidence,
    pub confidence: Confidence,
    /// How it came about, in order.
    pub reasons: Vec<Reason>,
}
