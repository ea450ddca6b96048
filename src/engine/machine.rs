//! Pure: what a step's state becomes, and what is to be done next. It sees states, stages, release and what a read proved;
//! never a change, so it knows no SDK.
//!
//! `Intended → Done | Failed`, `Failed → Intended`, `Done → Drifted → Intended | ReleasedByHand`,
//! `Done → Undoing → Undone | UndoFailed`, `UndoFailed → Undoing`. Whatever the state, what is seen decides.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    actions::{Release, Seen, Side},
    domain::OutcomeKind,
};
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
            } else if seen.after {
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

        (S::Already | S::Undone | S::ReleasedByHand { .. } | S::Gone, E::Release { .. }) => state.clone(),
        (
            S::Intended
            | S::Done
            | S::Failed { .. }
            | S::Drifted { .. }
            | S::Undoing
            | S::UndoFailed { .. }
            | S::Kept { .. },
            E::Release { seen, asked },
        ) => {
            match (release, asked) {
                (Release::Keeps(why), _) | (Release::KeepsUnlessAsked(why), Asked::No) => {
                    S::Kept { why: why.to_owned() }
                }
                // INVARIANT: only what is ours is undone; what a stranger set is told and left.
                (Release::Restores, _) | (Release::KeepsUnlessAsked(_), Asked::Yes) => {
                    if seen.before {
                        S::Undone
                    } else if seen.after {
                        S::Undoing
                    } else {
                        S::UndoFailed { why: format!("changed since: now {}, left alone", seen.shown) }
                    }
                }
            }
        }
    })
}

/// What a step waits for within this run. Not journalled: what is loaded is read first, what was just surveyed is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    Nothing,
    Apply,
    Read,
}

/// A step as the machine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub stage: u8,
    pub state: State,
    pub release: Release,
    pub owed: Owed,
    applied: u8,
    read: u8,
}

/// What came of applying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// AWS took it. That it is so is for a read to say.
    Accepted,
    /// Throttled, timed out, or met another change: it may have happened.
    Unclear {
        why: String,
    },
    Refused {
        why: String,
    },
}

/// What came of reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    Seen(Seen),
    Gone,
    Unreadable { why: String },
}

/// How often one step is applied, and read without success, in one run.
const MOST_TRIES: u8 = 3;

impl Task {
    /// A step that was planned from facts just read.
    pub fn planned(stage: u8, state: State, release: Release) -> Self {
        let owed = if state == State::Intended { Owed::Apply } else { Owed::Nothing };
        Self { stage, state, release, owed, applied: 0, read: 0 }
    }

    /// A step from the journal: what came of it is read before anything is done.
    pub fn loaded(stage: u8, state: State, release: Release) -> Self {
        let owed = if matches!(state, State::Intended | State::Undoing) { Owed::Read } else { Owed::Nothing };
        Self { stage, state, release, owed, applied: 0, read: 0 }
    }

    /// Which side applying sets now.
    pub fn side(&self) -> Side {
        if self.state == State::Undoing { Side::Before } else { Side::After }
    }

    pub fn take(&mut self, event: &TaskEvent) -> Result<(), Illegal> {
        self.state = transition(&self.state, event, self.release)?;
        if matches!(event, TaskEvent::Contain | TaskEvent::Release { .. }) {
            self.owed = if self.is_moving() { Owed::Apply } else { Owed::Nothing };
        }
        Ok(())
    }

    /// Whatever AWS answered, the account is read next.
    pub fn answered(&mut self, answer: Answer) -> Result<(), Illegal> {
        self.applied = self.applied.saturating_add(1);
        self.owed = Owed::Read;
        match answer {
            Answer::Accepted | Answer::Unclear { .. } => Ok(()),
            Answer::Refused { why } => self.take(&TaskEvent::Refused { why }),
        }
    }

    pub fn saw(&mut self, sight: Sight) -> Result<(), Illegal> {
        self.owed = Owed::Nothing;
        match sight {
            Sight::Seen(seen) => {
                let shown = seen.shown.clone();
                self.take(&TaskEvent::Seen(seen))?;
                if !self.is_moving() {
                    return Ok(());
                }
                if self.applied < MOST_TRIES {
                    self.owed = Owed::Apply;
                    return Ok(());
                }
                self.take(&TaskEvent::Refused { why: format!("applied {MOST_TRIES} times, still {shown}") })
            }
            Sight::Gone => self.take(&TaskEvent::Gone),
            Sight::Unreadable { why } => {
                self.read = self.read.saturating_add(1);
                if self.read < MOST_TRIES {
                    self.owed = Owed::Read;
                    return Ok(());
                }
                // INVARIANT: what could not be read is not claimed to be done.
                match self.state {
                    State::Intended | State::Undoing => {
                        self.take(&TaskEvent::Refused { why: format!("could not be read back: {why}") })
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn is_moving(&self) -> bool {
        matches!(self.state, State::Intended | State::Undoing)
    }
}

/// What the loop does next; indices into the tasks.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Apply(Vec<usize>),
    Read(Vec<usize>),
    Rest,
}

/// All that a stage owes goes at once; changes before reads, and a stage is over before the next begins.
pub fn next(tasks: &[Task]) -> Next {
    let owing = |owed: Owed| (0..).zip(tasks).filter(move |(_, task)| task.owed == owed);
    let Some(stage) = tasks.iter().filter(|task| task.owed != Owed::Nothing).map(|task| task.stage).min() else {
        return Next::Rest;
    };
    let of_stage =
        |owed: Owed| owing(owed).filter(|(_, task)| task.stage == stage).map(|(n, _)| n).collect::<Vec<usize>>();
    match of_stage(Owed::Apply) {
        none if none.is_empty() => Next::Read(of_stage(Owed::Read)),
        apply => Next::Apply(apply),
    }
}

/// How a containment stands, by its states. `open`: known ways that stay open, refused and waiting steps.
pub fn outcome<'a>(states: impl Iterator<Item = &'a State>, open: usize) -> OutcomeKind {
    let (mut held, mut not_held) = (0, 0);
    for state in states {
        match state {
            State::Already | State::Done => held += 1,
            _ => not_held += 1,
        }
    }
    match (held, not_held + open) {
        (0, _) => OutcomeKind::NotContained,
        (_, 0) => OutcomeKind::Contained,
        _ => OutcomeKind::PartiallyContained,
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

    fn seen(before: bool, after: bool) -> Seen {
        Seen { before, after, shown: "s".into() }
    }

    const SIGHTS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

    fn events() -> Vec<TaskEvent> {
        let mut events =
            vec![TaskEvent::Gone, TaskEvent::Refused { why: "no".into() }, TaskEvent::Contain, TaskEvent::ByHand];
        for (before, after) in SIGHTS {
            events.push(TaskEvent::Seen(seen(before, after)));
            for asked in [Asked::No, Asked::Yes] {
                events.push(TaskEvent::Release { seen: seen(before, after), asked });
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
                            assert!(seen.after && !seen.before && state != State::Already, "{cell}");
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
                        (TaskEvent::ByHand, Ok(to)) => assert!(
                            matches!((&state, to), (State::Drifted { .. }, State::ReleasedByHand { .. })),
                            "{cell}"
                        ),
                        _ => {}
                    }
                }
            }
        }
        assert_eq!(cells, 11 * 16 * 3);
    }

    #[test]
    fn a_lost_answer_is_resolved_by_reading() {
        for (sight, state, owed) in [
            (Sight::Seen(seen(false, true)), State::Done, Owed::Nothing),
            (Sight::Seen(seen(true, false)), State::Intended, Owed::Apply),
            (Sight::Gone, State::Gone, Owed::Nothing),
            (Sight::Unreadable { why: "t".into() }, State::Intended, Owed::Read),
        ] {
            let mut task = Task::planned(0, State::Intended, Release::Restores);
            task.answered(Answer::Unclear { why: "timeout".into() }).unwrap();
            assert_eq!(task.owed, Owed::Read);
            task.saw(sight).unwrap();
            assert_eq!((task.state, task.owed), (state, owed));
        }
    }

    #[test]
    fn a_refusal_is_checked_against_the_account_and_stands_if_it_is_so() {
        for (after, expected) in [(true, State::Done), (false, State::Failed { why: "denied".into() })] {
            let mut task = Task::planned(0, State::Intended, Release::Restores);
            task.answered(Answer::Refused { why: "denied".into() }).unwrap();
            assert_eq!(task.owed, Owed::Read);
            task.saw(Sight::Seen(seen(false, after))).unwrap();
            assert_eq!((task.state, task.owed), (expected, Owed::Nothing));
        }
    }

    #[test]
    fn trying_ends_whatever_comes_back() {
        let unreadable = || Sight::Unreadable { why: "t".into() };
        for sight in [Sight::Seen(seen(true, false)), Sight::Seen(seen(false, false)), unreadable()] {
            let mut task = Task::planned(0, State::Intended, Release::Restores);
            for turn in 0.. {
                assert!(turn < 20, "it never ends");
                match task.owed {
                    Owed::Apply => task.answered(Answer::Accepted).unwrap(),
                    Owed::Read => task.saw(sight.clone()).unwrap(),
                    Owed::Nothing => break,
                }
            }
            assert!(matches!(task.state, State::Failed { .. }), "{:?}", task.state);
        }
    }

    #[test]
    fn a_stage_goes_at_once_and_is_over_before_the_next() {
        let task = |stage, owed| Task { owed, ..Task::planned(stage, State::Intended, Release::Restores) };
        for (tasks, expected) in [
            (vec![], Next::Rest),
            (vec![task(0, Owed::Apply), task(0, Owed::Apply), task(1, Owed::Apply)], Next::Apply(vec![0, 1])),
            (vec![task(0, Owed::Read), task(0, Owed::Apply), task(1, Owed::Apply)], Next::Apply(vec![1])),
            (vec![task(0, Owed::Read), task(0, Owed::Nothing), task(1, Owed::Apply)], Next::Read(vec![0])),
            (vec![task(0, Owed::Nothing), task(1, Owed::Apply)], Next::Apply(vec![1])),
            (vec![task(0, Owed::Nothing)], Next::Rest),
        ] {
            assert_eq!(next(&tasks), expected);
        }
    }

    #[test]
    fn an_outcome_is_counted_from_what_was_seen() {
        let (done, already, failed) = (State::Done, State::Already, State::Failed { why: "w".into() });
        for (states, open, expected) in [
            (vec![&done, &already], 0, OutcomeKind::Contained),
            (vec![&done], 1, OutcomeKind::PartiallyContained),
            (vec![&done, &failed], 0, OutcomeKind::PartiallyContained),
            (vec![&failed], 0, OutcomeKind::NotContained),
            (vec![&State::Intended], 0, OutcomeKind::NotContained),
            (vec![], 0, OutcomeKind::NotContained),
            (vec![&State::Gone], 0, OutcomeKind::NotContained),
        ] {
            assert_eq!(outcome(states.into_iter(), open), expected);
        }
    }
}
