//! Carrying out plans: what a step's state becomes (pure), and the loop that does it.

mod machine;
mod run;

pub use machine::{Answer, Asked, Illegal, Next, Owed, Sight, State, Task, TaskEvent, next, outcome, transition};
pub use run::{Course, EngineError, Worker};
