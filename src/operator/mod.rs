//! What operators command, by the operator function or with their own credentials on the table. What tightens is written down and the
//! responder acts with its own role; what loosens is done here. Who asks is proven to the function, not said.

mod command;
mod desk;
mod named;
mod proof;
mod who;

pub use command::{Answer, Command, LONGEST_TEXT, Named, Refused, Request, audience, refusal};
pub use desk::Desk;
pub use proof::{Proof, sign};
pub use who::Who;
