//! A containment while it is worked on. Makes no call.

use super::{Illegal, Next, State, Task, TaskEvent, next};
use crate::{
    actions::AnyChange,
    domain::{IncidentId, Target},
    journal::{Containment, Step},
};
use std::collections::BTreeSet;

/// A containment while it is worked on: each step with what it owes.
#[derive(Debug)]
pub struct Course {
    target: Target,
    opened_by: IncidentId,
    holders: BTreeSet<IncidentId>,
    pub(super) work: Vec<(AnyChange, Task)>,
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
    /// again, what has failed is tried again. Returns what was found undone, in words.
    pub fn renew<'c>(&mut self, fresh: impl IntoIterator<Item = &'c AnyChange>) -> Result<Vec<String>, Illegal> {
        let mut undone = Vec::new();
        for change in fresh {
            let now = change.shown().before;
            let Some((known, task)) = self.known(change) else { continue };
            let shown = known.shown();
            let in_place = shown.after == now;
            match task.state {
                State::Done | State::Already if !in_place => {
                    undone.push(format!("{}: was {now}", shown.key()));
                    task.state = State::Drifted { shown: now };
                    task.take(&TaskEvent::Contain)?;
                }
                State::Drifted { .. } | State::Failed { .. } if !in_place => task.take(&TaskEvent::Contain)?,
                State::Drifted { .. } | State::Failed { .. } => task.state = State::Done,
                _ => {}
            }
        }
        Ok(undone)
    }

    pub fn knows(&mut self, change: &AnyChange) -> bool {
        self.known(change).is_some()
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

    pub(super) fn tasks(&self) -> Vec<Task> {
        self.work.iter().map(|(_, task)| task.clone()).collect()
    }

    pub(super) fn containment(&self) -> Containment {
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
