//! What the operator allows. A document of types: what is not in them is refused, with line and column.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod document;
mod subject;

pub use document::{Mode, Modes, Policy, PolicyError, PrincipalRef, Protection};
pub use subject::Subject;
