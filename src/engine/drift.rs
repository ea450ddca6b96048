//! What was contained and is no longer so: by whom, how often, and what follows from it. Makes no call.

use super::{Course, Illegal, Owed, Sight, State, Task, TaskEvent};
use crate::{
    actions::{AnyChange, PASSING},
    domain::Timestamp,
};

/// What is no longer as Cordon left it, and what is there instead.
pub struct Undone {
    pub change: AnyChange,
    pub shown: String,
}

impl Course {
    /// Holds what was surveyed just now (`before` of fresh changes) against what is known: what was undone is contained
    /// again, what has failed is tried again. Returns what was found undone, in words.
    pub fn renew<'c>(
        &mut self,
        fresh: impl IntoIterator<Item = (u8, &'c AnyChange)>,
        at: Timestamp,
        evidence: Option<Timestamp>,
    ) -> Result<Vec<String>, Illegal> {
        let since = self.since_begun(at);
        let (mut undone, mut news) = (Vec::new(), false);
        for (stage, change) in fresh {
            let now = change.shown().before;
            let Some((known, task)) = self.known(change) else { continue };
            let in_place = known.is_met_by(change);
            // A release gave it another place.
            task.stage = stage;
            match task.state {
                State::Done | State::Already if in_place => task.seen = Some(at),
                State::Done | State::Already if change.is_due(since) => {
                    task.state = State::Drifted { shown: now };
                    task.take(&TaskEvent::Contain)?;
                }
                State::Done | State::Already | State::Drifted { .. } if !in_place => {
                    news |= !matches!(task.state, State::Drifted { .. });
                    task.state = State::Drifted { shown: now.clone() };
                    if task.contain_again(at)? {
                        undone.push(format!("{}: was {now}", known.shown().key()));
                    }
                }
                State::Failed { .. } if !in_place => task.take(&TaskEvent::Contain)?,
                // It could not be read back then, or somebody set it anew.
                State::Drifted { .. } | State::Failed { .. } => {
                    (task.state, task.seen) = (State::Done, Some(at));
                    news = true;
                }
                // After a release: what it left in place keeps its `before`.
                State::Undoing | State::UndoFailed { .. } | State::Kept { .. } if in_place => {
                    (task.state, task.owed) = (State::Done, Owed::Nothing);
                    news = true;
                }
                // What was put back, or was away, and is there now is planned from what is there now.
                State::Undoing | State::UndoFailed { .. } | State::Kept { .. } | State::Undone | State::Gone => {
                    let state = if change.is_already_so() { State::Already } else { State::Intended };
                    *task = Task::planned(task.stage, state, change.release()).at_most(change.most_tries());
                    *known = change.clone();
                }
                // Set again by whoever had put it back, or newer evidence than his decision.
                State::ReleasedByHand { .. } if in_place => {
                    (task.state, task.seen) = (State::Done, Some(at));
                    news = true;
                }
                State::ReleasedByHand { .. } if evidence > task.seen => {
                    *task = Task::planned(stage, State::Intended, change.release()).at_most(change.most_tries());
                    *known = change.clone();
                }
                _ => {}
            }
        }
        self.unwritten |= news;
        Ok(undone)
    }

    /// Which of the steps that the plan does not name is no longer in place, by what was read of them.
    pub fn undone<'s>(&'s self, looked: impl IntoIterator<Item = (usize, &'s Sight)>, at: Timestamp) -> Vec<Undone> {
        let since = self.since_begun(at);
        let one = |(n, sight): (usize, &Sight)| match (self.work.get(n), sight) {
            (Some((change, task)), Sight::Seen(seen))
                if !(seen.after || (seen.ours && since < PASSING))
                    && matches!(task.state, State::Done | State::Already | State::Drifted { .. }) =>
            {
                Some(Undone { change: change.clone(), shown: seen.shown.clone() })
            }
            _ => None,
        };
        looked.into_iter().filter_map(one).collect()
    }

    /// What is no longer in place, by what was surveyed just now.
    pub fn drifted<'c>(&mut self, fresh: impl IntoIterator<Item = (u8, &'c AnyChange)>, at: Timestamp) -> Vec<Undone> {
        let since = self.since_begun(at);
        let is_drift = |(known, task): &(AnyChange, Task), change: &AnyChange| {
            matches!(task.state, State::Done | State::Already | State::Drifted { .. })
                && !known.is_met_by(change)
                && !change.is_due(since)
        };
        let drifted = fresh.into_iter().filter(|(_, change)| {
            let key = change.shown().key();
            self.work.iter().any(|step| step.0.shown().key() == key && is_drift(step, change))
        });
        drifted.map(|(_, change)| Undone { change: change.clone(), shown: change.shown().before }).collect()
    }

    /// Of what guards hold back now: what somebody has undone is said to be so, and left.
    pub fn saw_held_back<'c>(&mut self, held_back: impl IntoIterator<Item = &'c AnyChange>, at: Timestamp) {
        let since = self.since_begun(at);
        let mut news = false;
        for fresh in held_back {
            if let Some((known, task)) = self.known(fresh)
                && matches!(task.state, State::Done | State::Already)
                && !known.is_met_by(fresh)
                && !fresh.is_due(since)
            {
                task.state = State::Drifted { shown: fresh.shown().before };
                news = true;
            }
        }
        self.unwritten |= news;
    }

    /// Somebody who may has put it back, which is his to decide.
    pub fn put_back_by_hand(&mut self, undone: &Undone, who: &str, at: Timestamp) -> Result<(), Illegal> {
        if let Some((_, task)) = self.known(&undone.change) {
            task.state = State::Drifted { shown: format!("{}, by {who}", undone.shown) };
            task.take(&TaskEvent::ByHand)?;
            task.seen = Some(at);
            self.unwritten = true;
        }
        // As by a release: what comes then needs newer evidence.
        if self.work.iter().all(|(_, task)| task.state.is_over()) {
            self.released = Some(at);
        }
        Ok(())
    }

    /// Takes in what was read of such steps: what was undone is contained again, where Cordon acts. Returns that in words.
    pub fn saw_unnamed(
        &mut self,
        looked: impl IntoIterator<Item = (usize, Sight)>,
        acts: bool,
        at: Timestamp,
    ) -> Result<Vec<String>, Illegal> {
        let mut again = Vec::new();
        for (n, sight) in looked {
            again.extend(self.saw_one(n, sight, acts, at)?);
        }
        Ok(again)
    }

    fn saw_one(&mut self, n: usize, sight: Sight, acts: bool, at: Timestamp) -> Result<Option<String>, Illegal> {
        let since = self.since_begun(at);
        let Some((change, task)) = self.work.get_mut(n) else { return Ok(None) };
        // It was put back by somebody who may.
        if matches!(task.state, State::ReleasedByHand { .. }) {
            return Ok(None);
        }
        match sight {
            Sight::Seen(seen) if !seen.after => {
                let what = format!("{}: was {}", change.shown().key(), seen.shown);
                let (was, is_due) = (task.state.clone(), seen.ours && since < PASSING);
                task.take(&TaskEvent::Seen(seen))?;
                if !acts {
                    self.unwritten |= task.state != was;
                    return Ok(None);
                }
                if is_due || matches!(task.state, State::Failed { .. }) {
                    task.take(&TaskEvent::Contain)?;
                    return Ok(None);
                }
                let again = task.contain_again(at)?;
                self.unwritten |= task.state != was;
                Ok(again.then_some(what))
            }
            Sight::Gone => task.take(&TaskEvent::Gone).map(|()| None),
            Sight::Seen(seen) => {
                let was = task.state.clone();
                task.take(&TaskEvent::Seen(seen))?;
                self.unwritten |= task.state != was;
                Ok(None)
            }
            Sight::Unreadable { .. } => Ok(None),
        }
    }
}
