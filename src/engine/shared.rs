//! Things that the containments of several targets hold: the deny of an instance's session belongs to the instance and to the
//! session. Each containment journals its own step; an index tells where to look for the others, and their journals are believed,
//! not the index. So a crash between two writes leaves nothing that would hold for ever.

use super::State;
use crate::{
    actions::AnyChange,
    domain::Target,
    journal::{Containment, Journal, JournalError},
};
use futures::future::try_join_all;

/// The step of another target's containment on the same thing.
pub struct Elsewhere {
    pub target: Target,
    pub change: AnyChange,
}

/// Enters what the containment holds and others may hold too, in the round in which it is journalled.
pub async fn enter(journal: &dyn Journal, target: &str, containment: &Containment) -> Result<(), JournalError> {
    // What is further than intended was entered when it was that.
    let held = containment.steps.iter().filter(|step| step.change.is_shared() && step.state == State::Intended);
    let things: Vec<String> = held.map(|step| step.change.shown().key()).collect();
    try_join_all(things.iter().map(|thing| journal.share(thing, target))).await.map(drop)
}

/// What is asked of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Who keeps it in place.
    Hold,
    /// Who knows what was there before.
    Before,
}

/// Who else holds the thing of this change, if anybody does.
pub async fn elsewhere(
    journal: &dyn Journal,
    target: &str,
    change: &AnyChange,
    whose: Whose,
) -> Result<Option<Elsewhere>, JournalError> {
    let thing = change.shown().key();
    for other in journal.sharers(&thing).await?.iter().filter(|other| *other != target) {
        let Some(containment) = journal.read(other).await? else { continue };
        let holds = |state: &State| match state {
            State::Intended | State::Done | State::Drifted { .. } => true,
            // It is on its way out, and what was there before is the other's `before` all the same.
            State::Undoing | State::UndoFailed { .. } => whose == Whose::Before,
            _ => false,
        };
        let step = containment.steps.into_iter().find(|step| step.change.shown().key() == thing && holds(&step.state));
        if let Some(step) = step {
            return Ok(Some(Elsewhere { target: containment.target, change: step.change }));
        }
    }
    Ok(None)
}
