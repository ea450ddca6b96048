//! Carrying out plans: what a step's state becomes and what comes next (pure), and the loop that does it.

mod course;
mod drift;
#[cfg(test)]
mod histories;
mod history;
mod machine;
mod release;
mod run;
mod shared;
mod task;

pub use course::{Course, HeldBack, Looks};
pub use drift::Undone;
pub use history::{changed_by, is_contained};
pub use machine::{Asked, Illegal, State, TaskEvent, transition};
pub use release::{Release, ReleaseError, Wishes, release};
pub use run::{EngineError, May, Worker};
pub use task::{Answer, MOST_AGAIN, Next, Owed, Sight, Task, next, outcome};
