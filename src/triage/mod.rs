//! From a finding to a situation, a target and how much may be done about it. Pure: facts about the account come later.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod assess;
mod classify;
mod correlate;
mod families;
mod situation;

pub use assess::{Assessment, assess};
pub use classify::classify;
pub use correlate::target;
pub use situation::{Evidence, Situation, Standing, Triage};
