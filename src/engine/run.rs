//! The loop: ask the machine, do it all at once, journal what was learnt.

use super::{Answer, Next, Sight, State, Task, TaskEvent, machine::Illegal, next};
use crate::{
    actions::AnyChange,
    aws::{Aws, AwsError},
    clock::Clock,
    domain::{IncidentId, Target, Timestamp},
    journal::{Containment, Journal, JournalError, Lease, Step},
};
use futures::future::join_all;
use std::{collections::BTreeSet, time::Duration};

/// What journal and notification need of an invocation; nothing is begun with less left.
const RESERVE: Duration = Duration::from_secs(5);

/// EC2 and IAM answer reads from copies that lag behind; a second look waits this long, a third twice.
const READ_AGAIN: Duration = Duration::from_millis(400);

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Illegal(#[from] Illegal),
    #[error("the invocation has no time left for another stage")]
    Deadline,
}

/// Everything that working on one target needs.
pub struct Worker<'a> {
    pub aws: &'a Aws,
    pub journal: &'a dyn Journal,
    pub lease: Lease,
    pub clock: &'a Clock,
    /// When the invocation ends; `None` where nothing ends it.
    pub deadline: Option<Timestamp>,
}

/// A containment while it is worked on: each step with what it owes.
#[derive(Debug)]
pub struct Course {
    target: Target,
    opened_by: IncidentId,
    holders: BTreeSet<IncidentId>,
    work: Vec<(AnyChange, Task)>,
}

impl Course {
    /// Goes on with what the journal holds, or opens a containment.
    pub fn of(target: &Target, incident: &IncidentId, known: Option<Box<Containment>>) -> Self {
        let load = |step: Step| {
            let task = Task::loaded(step.stage, step.state, step.change.release());
            (step.change, task)
        };
        let (opened_by, mut holders, steps) = match known {
            Some(known) => (known.opened_by, known.holders, known.steps),
            None => (incident.clone(), BTreeSet::new(), Vec::new()),
        };
        holders.insert(incident.clone());
        Self { target: target.clone(), opened_by, holders, work: steps.into_iter().map(load).collect() }
    }

    /// The incident that people know it by.
    pub fn incident(&self) -> &IncidentId {
        &self.opened_by
    }

    /// Adds what is planned and not known. A thing that is known keeps its `before`: what is there now may be ours.
    pub fn add(&mut self, changes: impl IntoIterator<Item = (u8, AnyChange)>) {
        for (stage, change) in changes {
            if self.known(&change).is_none() {
                let state = if change.is_already_so() { State::Already } else { State::Intended };
                let task = Task::planned(stage, state, change.release());
                self.work.push((change, task));
            }
        }
    }

    /// Holds what was surveyed just now (`before` of fresh changes) against what is known: what was undone is contained
    /// again, what has failed is tried again.
    pub fn renew<'c>(&mut self, fresh: impl IntoIterator<Item = &'c AnyChange>) -> Result<(), Illegal> {
        for change in fresh {
            let now = change.shown().before;
            let Some((known, task)) = self.known(change) else { continue };
            let in_place = known.shown().after == now;
            match task.state {
                State::Done | State::Already if !in_place => {
                    task.state = State::Drifted { shown: now };
                    task.take(&TaskEvent::Contain)?;
                }
                State::Drifted { .. } | State::Failed { .. } if !in_place => task.take(&TaskEvent::Contain)?,
                State::Drifted { .. } | State::Failed { .. } => task.state = State::Done,
                _ => {}
            }
        }
        Ok(())
    }

    pub fn is_idle(&self) -> bool {
        next(&self.tasks()) == Next::Rest
    }

    pub fn steps(&self) -> impl Iterator<Item = (&AnyChange, &Task)> {
        self.work.iter().map(|(change, task)| (change, task))
    }

    fn known(&mut self, change: &AnyChange) -> Option<&mut (AnyChange, Task)> {
        let key = change.shown().key();
        self.work.iter_mut().find(|(known, _)| known.shown().key() == key)
    }

    fn tasks(&self) -> Vec<Task> {
        self.work.iter().map(|(_, task)| task.clone()).collect()
    }

    fn containment(&self) -> Containment {
        let step = |(change, task): &(AnyChange, Task)| Step {
            stage: task.stage,
            state: task.state.clone(),
            change: change.clone(),
        };
        Containment {
            target: self.target.clone(),
            opened_by: self.opened_by.clone(),
            holders: self.holders.clone(),
            steps: self.work.iter().map(step).collect(),
        }
    }
}

impl Worker<'_> {
    /// Journals every `before`; nothing is applied before this has been answered.
    pub async fn write(&self, course: &Course) -> Result<(), EngineError> {
        let now = Timestamp::from_millis(self.clock.now_millis());
        Ok(self.journal.write(&self.lease, &course.containment(), now).await?)
    }

    /// One round: everything that the first stage has to change goes out at once. Changes nothing where nothing is owed.
    pub async fn apply(&self, course: &mut Course) -> Result<(), EngineError> {
        match next(&course.tasks()) {
            Next::Apply(due) => self.apply_these(course, &due).await,
            Next::Read(_) | Next::Rest => Ok(()),
        }
    }

    /// Goes on until nothing is owed, and keeps what was learnt.
    pub async fn finish(&self, course: &mut Course) -> Result<(), EngineError> {
        let mut looks = 0;
        loop {
            if let Some(end) = self.deadline
                && end < Timestamp::from_millis(self.clock.now_millis()).plus(RESERVE)
            {
                self.write(course).await?;
                return Err(EngineError::Deadline);
            }
            match next(&course.tasks()) {
                Next::Rest => return self.write(course).await,
                Next::Apply(due) => self.apply_these(course, &due).await?,
                Next::Read(due) => {
                    tokio::time::sleep(READ_AGAIN * looks).await;
                    looks += 1;
                    self.read_these(course, &due).await?;
                    self.write(course).await?;
                }
            }
        }
    }

    async fn apply_these(&self, course: &mut Course, due: &[usize]) -> Result<(), EngineError> {
        let answers = {
            let apply = |n: &usize| course.work.get(*n).map(|(change, task)| change.apply(self.aws, task.side()));
            join_all(due.iter().filter_map(apply)).await
        };
        for (n, answer) in due.iter().zip(answers) {
            let Some((change, task)) = course.work.get_mut(*n) else { continue };
            let shown = change.shown();
            let answer = match answer {
                Ok(()) => Answer::Accepted,
                Err(error) => {
                    tracing::warn!(step = shown.action, target = shown.target, %error, "change was not taken");
                    if error.is_passing() {
                        Answer::Unclear { why: error.to_string() }
                    } else {
                        Answer::Refused { why: error.to_string() }
                    }
                }
            };
            task.answered(answer)?;
        }
        Ok(())
    }

    async fn read_these(&self, course: &mut Course, due: &[usize]) -> Result<(), EngineError> {
        self.aws.quarantine.forget();
        let sights = {
            let read = |n: &usize| course.work.get(*n).map(|(change, _)| change.read(self.aws));
            join_all(due.iter().filter_map(read)).await
        };
        for (n, sight) in due.iter().zip(sights) {
            let Some((change, task)) = course.work.get_mut(*n) else { continue };
            let sight = match sight {
                Ok(seen) => Sight::Seen(seen),
                Err(AwsError::NotFound { .. }) => Sight::Gone,
                Err(error) => Sight::Unreadable { why: error.to_string() },
            };
            task.saw(sight)?;
            let shown = change.shown();
            tracing::info!(step = shown.action, target = shown.target, state = %task.state, "read back");
        }
        Ok(())
    }
}
