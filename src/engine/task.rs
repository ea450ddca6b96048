//! Pure: what a step waits for within a run, what is done next, and how a containment stands. Knows no SDK either.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::machine::{Illegal, State, TaskEvent, transition};
use crate::{
    actions::{Release, Seen, Side},
    domain::{OutcomeKind, Timestamp},
};
use std::time::Duration;

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
    most_tries: u8,
    /// When it was contained again because somebody had undone it; the last ones.
    again: Vec<Timestamp>,
    /// When it was last seen as it should be, or was put back by hand.
    pub seen: Option<Timestamp>,
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
/// How often an hour one step is contained again.
pub const MOST_AGAIN: usize = 3;
const AN_HOUR: Duration = Duration::from_secs(60 * 60);

impl Task {
    /// A step that was planned from facts just read.
    pub fn planned(stage: u8, state: State, release: Release) -> Self {
        let owed = if state == State::Intended { Owed::Apply } else { Owed::Nothing };
        Self { stage, state, release, owed, applied: 0, read: 0, most_tries: MOST_TRIES, again: Vec::new(), seen: None }
    }

    /// A step from the journal: what came of it is read before anything is done.
    pub fn loaded(stage: u8, state: State, release: Release) -> Self {
        let owed = if matches!(state, State::Intended | State::Undoing) { Owed::Read } else { Owed::Nothing };
        Self { stage, state, release, owed, applied: 0, read: 0, most_tries: MOST_TRIES, again: Vec::new(), seen: None }
    }

    /// It owes nothing as long as its stage is beyond the last one.
    pub fn beyond(self, last: u8) -> Self {
        if self.stage > last { Self { owed: Owed::Nothing, ..self } } else { self }
    }

    /// How often it is applied in this run.
    pub fn at_most(self, most_tries: u8) -> Self {
        Self { most_tries, ..self }
    }

    /// It was contained again before.
    pub fn contained_again(self, again: Vec<Timestamp>) -> Self {
        Self { again, ..self }
    }

    pub fn again(&self) -> &[Timestamp] {
        &self.again
    }

    /// Contains again what somebody undid, at most [`MOST_AGAIN`] times an hour: who undoes it that often must be found by people.
    /// Returns whether it did.
    pub fn contain_again(&mut self, now: Timestamp) -> Result<bool, Illegal> {
        self.again.retain(|at| at.age(now).is_none_or(|age| age < AN_HOUR));
        if self.again.len() >= MOST_AGAIN {
            return Ok(false);
        }
        self.again.push(now);
        self.take(&TaskEvent::Contain)?;
        Ok(true)
    }

    /// Which side applying sets now.
    pub fn side(&self) -> Side {
        if self.state == State::Undoing { Side::Before } else { Side::After }
    }

    pub fn take(&mut self, event: &TaskEvent) -> Result<(), Illegal> {
        self.state = transition(&self.state, event, self.release)?;
        if matches!(
            event,
            TaskEvent::Contain
                | TaskEvent::Release { .. }
                | TaskEvent::LeftToOthers { .. }
                | TaskEvent::Withheld { .. }
        ) {
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
                if self.applied < self.most_tries {
                    self.owed = Owed::Apply;
                    return Ok(());
                }
                self.take(&TaskEvent::Refused { why: format!("applied {} times, still {shown}", self.most_tries) })
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

    /// Whether it was applied in this run.
    pub fn was_applied(&self) -> bool {
        self.applied > 0
    }

    /// It is read again, and applied where it is not so any more, as if it had never been seen.
    pub fn doubt(&mut self) {
        (self.state, self.owed) = (State::Intended, Owed::Read);
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
            // What is gone, or was left to stay, leaves nothing open.
            State::Gone | State::Kept { .. } => {}
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

    fn seen(before: bool, after: bool) -> Seen {
        Seen { before, after, ours: after, shown: "s".into() }
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
            (vec![&done, &State::Gone], 0, OutcomeKind::Contained),
        ] {
            assert_eq!(outcome(states.into_iter(), open), expected);
        }
    }
}
