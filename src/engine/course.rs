//! A containment while it is worked on. Makes no call.

use super::{Asked, Illegal, Next, Sight, State, Task, TaskEvent, next};
use crate::{
    actions::AnyChange,
    domain::{IncidentId, Target, Timestamp},
    journal::{Containment, Entry, Inbox, MOST_ENTRIES, Step},
    playbooks::Plan,
};
use std::collections::BTreeSet;

/// A containment while it is worked on: each step with what it owes.
#[derive(Debug)]
pub struct Course {
    target: Target,
    opened_by: IncidentId,
    holders: BTreeSet<IncidentId>,
    past: BTreeSet<IncidentId>,
    /// Somebody holds it now who is not in the journal yet.
    has_new_holder: bool,
    timeline: Vec<Entry>,
    released: Option<Timestamp>,
    pub(super) work: Vec<(AnyChange, Task)>,
}

impl Course {
    /// What the journal holds, to look at or to release.
    pub fn resume(known: Containment) -> Self {
        let Containment { target, opened_by, holders, past, steps, timeline, released } = known;
        let work = steps.into_iter().map(loaded).collect();
        Self { target, opened_by, holders, past, has_new_holder: false, timeline, released, work }
    }

    /// Goes on with what the journal holds, or opens a containment.
    pub fn of(target: &Target, incident: &IncidentId, known: Option<Box<Containment>>) -> Self {
        // What is over stays over; what comes now opens a containment of its own.
        let mut course = match known.filter(|known| !known.is_over()) {
            Some(known) => Self::resume(*known),
            None => Self {
                target: target.clone(),
                opened_by: incident.clone(),
                holders: BTreeSet::new(),
                past: BTreeSet::new(),
                has_new_holder: false,
                timeline: Vec::new(),
                released: None,
                work: Vec::new(),
            },
        };
        course.has_new_holder = course.holders.insert(incident.clone());
        course
    }

    /// Takes in the incidents of those who came while this one was worked on.
    pub fn join(&mut self, inbox: &Inbox) {
        let incident = |mark: &String| IncidentId::parse(mark.split('#').next().unwrap_or_default()).ok();
        for incident in inbox.iter().filter_map(incident) {
            self.has_new_holder |= self.holders.insert(incident);
        }
    }

    pub fn has_new_holder(&self) -> bool {
        self.has_new_holder
    }

    /// One more line of the timeline.
    pub fn note(&mut self, at: Timestamp, text: String) {
        if self.timeline.len() >= MOST_ENTRIES {
            self.timeline.remove(0);
        }
        self.timeline.push(Entry { at, text });
    }

    pub fn holders(&self) -> &BTreeSet<IncidentId> {
        &self.holders
    }

    /// Lets go of one incident. Returns who else holds it.
    pub fn let_go(&mut self, incident: &IncidentId, now: Timestamp) -> &BTreeSet<IncidentId> {
        self.holders.remove(incident);
        self.past.insert(incident.clone());
        if self.holders.is_empty() {
            self.released = Some(now);
        }
        &self.holders
    }

    /// The incidents that held it and were released.
    pub fn past(&self) -> &BTreeSet<IncidentId> {
        &self.past
    }

    pub fn target(&self) -> &Target {
        &self.target
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

    /// Takes in what a fuller plan has beside the first one, whose things may be changing at this moment.
    pub fn take_in<'c>(
        &mut self,
        first: &Plan,
        allowed: impl Iterator<Item = (u8, &'c AnyChange)>,
    ) -> Result<Vec<String>, Illegal> {
        let known: Vec<String> = first.steps.iter().map(|step| step.change.shown().key()).collect();
        let later: Vec<_> = allowed.filter(|(_, change)| !known.contains(&change.shown().key())).collect();
        let undone = self.renew(later.iter().map(|(_, change)| *change))?;
        self.add(later.into_iter().map(|(stage, change)| (stage, change.clone())));
        Ok(undone)
    }

    /// What was so already because another containment had made it so is held by this one too, from what was there before.
    pub(super) fn adopt(&mut self, n: usize, other: &AnyChange) {
        if let Some((change, task)) = self.work.get_mut(n)
            && let Some(since) = change.since(other)
        {
            *task = Task::loaded(task.stage, State::Intended, since.release());
            *change = since;
        }
    }

    /// Sets every step on its way back, by what was just seen of it. What could not be read stays as it is; what `others`
    /// hold too is left to them.
    pub fn release(&mut self, sights: Vec<Sight>, others: Vec<Option<String>>, asked: Asked) -> Result<(), Illegal> {
        for (((change, task), sight), held) in self.work.iter_mut().zip(sights).zip(others) {
            task.stage = change.undo_order();
            match sight {
                Sight::Seen(_) if held.is_some() => {
                    task.take(&TaskEvent::LeftToOthers { why: held.unwrap_or_default() })?;
                }
                Sight::Seen(seen) => task.take(&TaskEvent::Release { seen, asked })?,
                Sight::Gone => task.take(&TaskEvent::Gone)?,
                Sight::Unreadable { .. } => {}
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

    pub(super) fn tasks(&self) -> Vec<Task> {
        self.work.iter().map(|(_, task)| task.clone()).collect()
    }

    pub fn containment(&self) -> Containment {
        let step = |(change, task): &(AnyChange, Task)| Step {
            stage: task.stage,
            state: task.state.clone(),
            change: change.clone(),
        };
        Containment {
            target: self.target.clone(),
            opened_by: self.opened_by.clone(),
            holders: self.holders.clone(),
            past: self.past.clone(),
            steps: self.work.iter().map(step).collect(),
            timeline: self.timeline.clone(),
            released: self.released,
        }
    }
}

fn loaded(step: Step) -> (AnyChange, Task) {
    let task = Task::loaded(step.stage, step.state, step.change.release());
    (step.change, task)
}
