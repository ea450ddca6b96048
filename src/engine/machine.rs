//! Pure: what a step's state becomes. It sees states, release and what a read proved; never a change, so it knows no SDK.
//!
//! `Intended → Done | Failed`, `Failed → Intended`, `Done → Drifted → Intended | ReleasedByHand`,
//! `Done → Undoing → Undone | UndoFailed`, `UndoFailed → Undoing`. Whatever the state, what is seen decides.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::actions::{Release, Seen};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Was so before: never applied, and left alone by release.
    Already,
    /// Journalled; perhaps applied, not yet seen.
    Intended,
    /// `after` was seen.
    Done,
    Failed {
        why: String,
    },
    /// Was done, and is something else now.
    Drifted {
        shown: String,
    },
    /// Somebody who may has put it back.
    ReleasedByHand {
        shown: String,
    },
    Undoing,
    /// `before` was seen, or the step had never changed anything.
    Undone,
    UndoFailed {
        why: String,
    },
    /// Stays, as the action declares.
    Kept {
        why: String,
    },
    /// The target is no longer there.
    Gone,
}

impl State {
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }

    /// Nothing is held, and nothing is under way.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Already | Self::Undone | Self::Kept { .. } | Self::ReleasedByHand { .. } | Self::Gone)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Already => f.write_str("already so"),
            Self::Intended => f.write_str("intended"),
            Self::Done => f.write_str("done"),
            Self::Failed { why } => write!(f, "FAILED: {why}"),
            Self::Drifted { shown } => write!(f, "DRIFTED: now {shown}"),
            Self::ReleasedByHand { shown } => write!(f, "released by hand: now {shown}"),
            Self::Undoing => f.write_str("being undone"),
            Self::Undone => f.write_str("undone"),
            Self::UndoFailed { why } => write!(f, "UNDO FAILED: {why}"),
            Self::Kept { why } => write!(f, "kept: {why}"),
            Self::Gone => f.write_str("target gone"),
        }
    }
}

/// What happens to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// The account was read.
    Seen(Seen),
    /// The account was read, and the target is not there.
    Gone,
    /// AWS said no.
    Refused { why: String },
    /// Contain, or contain again.
    Contain,
    /// An operator's own change put it back.
    ByHand,
    /// Another target holds the same thing: it is left to whoever lets go last.
    LeftToOthers { why: String },
    /// A release leaves it in place, for a reason that a person must look at.
    Withheld { why: String },
    /// An operator releases. What is there now was read just before. `asked` names what stays otherwise.
    Release { seen: Seen, asked: Asked },
}

/// Whether the operator asked by name for what release keeps otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    No,
    Yes,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a step that is `{state}` cannot take {event:?}")]
pub struct Illegal {
    pub state: State,
    pub event: TaskEvent,
}

/// How the reason begins where a stranger's value was left alone.
pub const CHANGED: &str = "changed since";

/// One total match; what is illegal is an error, never a silent "no change".
pub fn transition(state: &State, event: &TaskEvent, release: Release) -> Result<State, Illegal> {
    use {State as S, TaskEvent as E};
    let illegal = || Err(Illegal { state: state.clone(), event: event.clone() });
    Ok(match (state, event) {
        (S::Intended, E::Seen(seen)) => {
            if seen.after {
                S::Done
            } else {
                S::Intended
            }
        }
        (S::Failed { why }, E::Seen(seen)) => {
            if seen.after {
                S::Done
            } else {
                S::Failed { why: why.clone() }
            }
        }
        (S::Already, E::Seen(seen)) => {
            if seen.after {
                S::Already
            } else {
                S::Drifted { shown: seen.shown.clone() }
            }
        }
        (S::Done | S::Drifted { .. }, E::Seen(seen)) => {
            if seen.after {
                S::Done
            } else {
                S::Drifted { shown: seen.shown.clone() }
            }
        }
        (S::Undoing, E::Seen(seen)) => {
            if seen.before {
                S::Undone
            } else if seen.ours {
                S::Undoing
            } else {
                S::UndoFailed { why: format!("changed meanwhile: now {}", seen.shown) }
            }
        }
        (S::UndoFailed { why }, E::Seen(seen)) => {
            if seen.before {
                S::Undone
            } else {
                S::UndoFailed { why: why.clone() }
            }
        }
        (S::Undone | S::Kept { .. } | S::ReleasedByHand { .. } | S::Gone, E::Seen(_) | E::Gone) => state.clone(),
        (
            S::Already
            | S::Intended
            | S::Done
            | S::Failed { .. }
            | S::Drifted { .. }
            | S::Undoing
            | S::UndoFailed { .. },
            E::Gone,
        ) => S::Gone,

        (S::Intended, E::Refused { why }) => S::Failed { why: why.clone() },
        (S::Undoing, E::Refused { why }) => S::UndoFailed { why: why.clone() },
        (
            S::Already
            | S::Done
            | S::Failed { .. }
            | S::Drifted { .. }
            | S::ReleasedByHand { .. }
            | S::Undone
            | S::UndoFailed { .. }
            | S::Kept { .. }
            | S::Gone,
            E::Refused { .. },
        ) => return illegal(),

        (S::Intended | S::Failed { .. } | S::Drifted { .. }, E::Contain) => S::Intended,
        (S::Already | S::Done, E::Contain) => state.clone(),
        (
            S::ReleasedByHand { .. } | S::Undoing | S::Undone | S::UndoFailed { .. } | S::Kept { .. } | S::Gone,
            E::Contain,
        ) => return illegal(),

        (S::Drifted { shown }, E::ByHand) => S::ReleasedByHand { shown: shown.clone() },
        (
            S::Already
            | S::Intended
            | S::Done
            | S::Failed { .. }
            | S::ReleasedByHand { .. }
            | S::Undoing
            | S::Undone
            | S::UndoFailed { .. }
            | S::Kept { .. }
            | S::Gone,
            E::ByHand,
        ) => return illegal(),

        (
            S::Already | S::Undone | S::ReleasedByHand { .. } | S::Gone,
            E::Release { .. } | E::LeftToOthers { .. } | E::Withheld { .. },
        ) => state.clone(),
        (
            S::Intended
            | S::Done
            | S::Failed { .. }
            | S::Drifted { .. }
            | S::Undoing
            | S::UndoFailed { .. }
            | S::Kept { .. },
            E::Withheld { .. } | E::LeftToOthers { .. } | E::Release { .. },
        ) => match event {
            E::Withheld { why } => S::UndoFailed { why: why.clone() },
            E::LeftToOthers { why } => S::Kept { why: why.clone() },
            E::Release { seen, asked } => released(seen, *asked, release),
            E::Seen(_) | E::Gone | E::Refused { .. } | E::Contain | E::ByHand => return illegal(),
        },
    })
}

fn released(seen: &Seen, asked: Asked, release: Release) -> State {
    match (release, asked) {
        (Release::Keeps(why), _) | (Release::KeepsUnlessAsked(why), Asked::No) => State::Kept { why: why.to_owned() },
        // INVARIANT: only what is ours is undone; what a stranger set is told and left.
        (Release::Restores, _) | (Release::KeepsUnlessAsked(_), Asked::Yes) => {
            if seen.before {
                State::Undone
            } else if seen.ours {
                State::Undoing
            } else {
                State::UndoFailed { why: format!("{CHANGED}: now {}, left alone", seen.shown) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> Vec<State> {
        let why = || "w".to_owned();
        vec![
            State::Already,
            State::Intended,
            State::Done,
            State::Failed { why: why() },
            State::Drifted { shown: why() },
            State::ReleasedByHand { shown: why() },
            State::Undoing,
            State::Undone,
            State::UndoFailed { why: why() },
            State::Kept { why: why() },
            State::Gone,
        ]
    }

    /// `after` is always ours; something else may be too.
    fn seen((before, after, ours): (bool, bool, bool)) -> Seen {
        Seen { before, after, ours: after || ours, shown: "s".into() }
    }

    const SIGHTS: [(bool, bool, bool); 5] =
        [(false, false, false), (false, false, true), (true, false, false), (false, true, true), (true, true, true)];

    fn events() -> Vec<TaskEvent> {
        let mut events =
            vec![TaskEvent::Gone, TaskEvent::Refused { why: "no".into() }, TaskEvent::Contain, TaskEvent::ByHand];
        events.push(TaskEvent::LeftToOthers { why: "held".into() });
        events.push(TaskEvent::Withheld { why: "his".into() });
        for sight in SIGHTS {
            events.push(TaskEvent::Seen(seen(sight)));
            for asked in [Asked::No, Asked::Yes] {
                events.push(TaskEvent::Release { seen: seen(sight), asked });
            }
        }
        events
    }

    const RELEASES: [Release; 3] = [Release::Restores, Release::Keeps("evidence"), Release::KeepsUnlessAsked("known")];

    #[test]
    fn the_whole_table_keeps_its_promises() {
        let mut cells = 0;
        for state in states() {
            for event in events() {
                for release in RELEASES {
                    cells += 1;
                    let result = transition(&state, &event, release);
                    let cell = format!("{state:?} × {event:?} × {release:?} = {result:?}");
                    match (&event, &result) {
                        // What was seen is never contradicted.
                        (TaskEvent::Seen(s), Ok(State::Done)) => assert!(s.after, "{cell}"),
                        (TaskEvent::Seen(s), Ok(State::Undone)) => {
                            assert!(s.before || state == State::Undone, "{cell}")
                        }
                        // A read ends no containment, and never puts a finished step back to work.
                        (TaskEvent::Seen(_), Ok(State::Intended)) => assert_eq!(state, State::Intended, "{cell}"),
                        (TaskEvent::Seen(_), Ok(State::Undoing)) => assert_eq!(state, State::Undoing, "{cell}"),
                        (TaskEvent::Seen(_) | TaskEvent::Gone, Err(_)) => {
                            panic!("an observation is always legal: {cell}")
                        }
                        // A stranger's value is never overwritten, and what was so before is never touched.
                        (TaskEvent::Release { seen, asked }, Ok(State::Undoing)) => {
                            assert!(seen.ours && !seen.before && state != State::Already, "{cell}");
                            assert!(
                                release == Release::Restores
                                    || (matches!(release, Release::KeepsUnlessAsked(_)) && *asked == Asked::Yes),
                                "{cell}"
                            );
                        }
                        (TaskEvent::Release { .. }, Ok(State::Intended | State::Done)) => {
                            panic!("release contains nothing: {cell}")
                        }
                        (TaskEvent::Release { .. }, Err(_)) => panic!("a release always has an answer: {cell}"),
                        // Containing never begins from a release.
                        (TaskEvent::Contain, Ok(to)) => {
                            assert!(matches!(to, State::Intended | State::Done | State::Already), "{cell}")
                        }
                        // What is left to others is over for this containment.
                        (TaskEvent::LeftToOthers { .. }, result) => {
                            assert!(result.as_ref().is_ok_and(State::is_over), "{cell}")
                        }
                        // What is withheld is neither put back nor forgotten.
                        (TaskEvent::Withheld { .. }, result) => assert!(
                            result.as_ref().is_ok_and(|to| to.is_over()
                                == matches!(
                                    to,
                                    State::Already | State::Undone | State::ReleasedByHand { .. } | State::Gone
                                )
                                && *to != State::Undoing),
                            "{cell}"
                        ),
                        (TaskEvent::ByHand, Ok(to)) => assert!(
                            matches!((&state, to), (State::Drifted { .. }, State::ReleasedByHand { .. })),
                            "{cell}"
                        ),
                        _ => {}
                    }
                }
            }
        }
        assert_eq!(cells, 11 * 21 * 3);
    }
}
