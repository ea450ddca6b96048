//! What the operator allows. A document of types: what is not in them is refused, with line and column.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod blocks;
mod budget;
mod document;
mod expected;
mod named;
mod number;
mod rules;
mod subject;
mod window;

pub use blocks::AddressBlocks;
pub use budget::Budget;
pub use document::{EXAMPLES, Example, Limits, Meaning, Mode, Modes, Policy, PolicyError};
pub use expected::{Doer, Expected, NEVER_EXPECTED, Network};
pub use named::{Because, PrincipalRef, Protected, Protection, Tag};
pub use rules::{LONGEST_PAUSE, Pause, Rules, Trouble};
pub use subject::{Subject, Tags};
pub use window::Window;
