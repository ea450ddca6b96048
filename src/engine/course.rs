//! A containment while it is worked on. Makes no call.

use super::{Asked, Illegal, Next, Owed, Sight, State, Task, TaskEvent, next};
use crate::{
    actions::{AnyChange, OwnGroups, Release, Side},
    domain::{GroupId, IncidentId, InterfaceId, Target, Timestamp, VpcId},
    journal::{Containment, Entry, Inbox, MOST_ENTRIES, MOST_STEPS, Step, joined},
    playbooks::Plan,
};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// Why guards hold a step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    Refused,
    Waits,
}

/// Who asks for the target to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Fresh evidence, which may hold again what it let go.
    Anew,
    /// A recheck.
    Again,
}

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
    begun: Option<Timestamp>,
    pub(super) released: Option<Timestamp>,
    /// There is something that the journal does not hold yet.
    pub(super) unwritten: bool,
    left_out: usize,
    pub(super) work: Vec<(AnyChange, Task)>,
}

impl Course {
    /// What the journal holds, to look at or to release.
    pub fn resume(known: Containment) -> Self {
        let Containment { target, opened_by, holders, past, steps, timeline, begun, released } = known;
        let work = steps.into_iter().map(loaded).collect();
        Self {
            target,
            opened_by,
            holders,
            past,
            has_new_holder: false,
            timeline,
            begun,
            released,
            unwritten: false,
            left_out: 0,
            work,
        }
    }

    /// Goes on with what the journal holds, or opens a containment. A late look for an incident that let go does not hold again.
    pub fn of(target: &Target, incident: &IncidentId, known: Option<Box<Containment>>, looks: Looks) -> Self {
        let mut course = match known {
            Some(known) if known.released.is_some() => Self::reopen(*known, incident),
            // What is over stays over; what comes now opens a containment of its own.
            Some(known) if !known.is_over() => Self::resume(known.without_what_is_gone()),
            _ => Self {
                target: target.clone(),
                opened_by: incident.clone(),
                holders: BTreeSet::new(),
                past: BTreeSet::new(),
                has_new_holder: false,
                timeline: Vec::new(),
                begun: None,
                released: None,
                unwritten: false,
                left_out: 0,
                work: Vec::new(),
            },
        };
        if looks == Looks::Anew || !course.past.contains(incident) {
            course.past.remove(incident);
            course.has_new_holder = course.holders.insert(incident.clone());
        }
        course
    }

    /// Of a release, finished or not, what is still in place is contained by the new incident; nothing is put back on the way.
    fn reopen(known: Containment, incident: &IncidentId) -> Self {
        let mut course = Self::resume(known);
        course.opened_by = incident.clone();
        course.past.clear();
        course.begun = None;
        course.released = None;
        course.unwritten = true;
        let is_asked_for = |change: &AnyChange| matches!(change.release(), Release::KeepsUnlessAsked(_));
        // A kept key remembers what it was before the first containment.
        course.work.retain(|(change, task)| !task.state.is_over() || (is_asked_for(change) && task.state.is_kept()));
        for (_, task) in &mut course.work {
            // INVARIANT: only a release puts back.
            if task.state == State::Undoing {
                task.state = State::UndoFailed { why: "the release was interrupted".to_owned() };
            }
            task.owed = Owed::Nothing;
        }
        course
    }

    /// Takes in the incidents of those who came while this one was worked on.
    pub fn join(&mut self, inbox: &Inbox) {
        // A late look for one that let go does not hold again.
        for incident in joined(inbox).filter(|incident| !self.past.contains(incident)).collect::<Vec<_>>() {
            self.has_new_holder |= self.holders.insert(incident);
        }
    }

    /// When the thing was last seen in place.
    pub fn seen(&self, change: &AnyChange) -> Option<Timestamp> {
        let key = change.shown().key();
        self.work.iter().find(|(known, _)| known.shown().key() == key).and_then(|(_, task)| task.seen)
    }

    pub(super) fn since_begun(&self, at: Timestamp) -> Duration {
        self.begun.and_then(|begun| begun.age(at)).unwrap_or_default()
    }

    pub fn begun(&self) -> Option<Timestamp> {
        self.begun
    }

    /// The first plan is about to be journalled.
    pub fn begin(&mut self, now: Timestamp) {
        self.begun.get_or_insert(now);
    }

    /// Things that there was no room for: somebody makes more of them than can be kept.
    pub fn left_out(&self) -> usize {
        self.left_out
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

    /// The incident that people know it by: who opened it, or one that still holds it.
    pub fn known_as(&self) -> &IncidentId {
        match self.holders.contains(&self.opened_by) {
            true => &self.opened_by,
            false => self.holders.first().unwrap_or(&self.opened_by),
        }
    }

    /// The incident whose name its things bear.
    pub fn incident(&self) -> &IncidentId {
        &self.opened_by
    }

    /// Adds what is planned and not known. A thing that is known keeps its `before`: what is there now may be ours.
    pub fn add(&mut self, changes: impl IntoIterator<Item = (u8, AnyChange)>) {
        for (stage, change) in changes {
            if self.known(&change).is_none() {
                if self.work.len() >= MOST_STEPS {
                    self.left_out += 1;
                    continue;
                }
                let state = if change.is_already_so() { State::Already } else { State::Intended };
                let task = Task::planned(stage, state, change.release()).at_most(change.most_tries());
                self.unwritten |= task.state == State::Intended;
                self.work.push((change, task));
            }
        }
    }

    /// The steps that keep interfaces in quarantine.
    pub fn interfaces(&self) -> Vec<usize> {
        let is_interface = |(_, (change, task)): &(usize, &(AnyChange, Task))| {
            matches!(change, AnyChange::InterfaceGroups(_)) && task.state == State::Done
        };
        (0..).zip(&self.work).filter(is_interface).map(|(n, _)| n).collect()
    }

    /// Those of the interfaces that have a group in their VPC.
    pub fn in_vpcs<'a>(
        &'a self,
        interfaces: &'a [InterfaceId],
        ours: &'a HashMap<VpcId, OwnGroups>,
    ) -> impl Iterator<Item = (InterfaceId, GroupId)> + 'a {
        self.work.iter().filter_map(move |(change, _)| {
            let AnyChange::InterfaceGroups(change) = change else { return None };
            let interface = &change.target.interface;
            Some((
                interfaces.contains(interface).then(|| interface.clone())?,
                ours.get(&change.target.vpc)?.open_passage()?.clone(),
            ))
        })
    }

    /// What another change of this look took off for a moment may not have been set again, whatever AWS answered. Returns whether there is
    /// such a thing: it is to be read before anything is said of it.
    pub fn doubt(&mut self) -> bool {
        let is_applied = |task: &Task| task.was_applied() && task.side() == Side::After;
        let applied: Vec<AnyChange> =
            self.work.iter().filter(|(_, task)| is_applied(task)).map(|(change, _)| change.clone()).collect();
        let mut is_doubted = false;
        for (change, task) in &mut self.work {
            if matches!(task.state, State::Done | State::Already) && applied.iter().any(|other| other.unsettles(change))
            {
                task.doubt();
                is_doubted = true;
            }
        }
        is_doubted
    }

    /// What is held and not in this plan, because the account no longer leads there: nobody has looked at it.
    pub fn unnamed(&self, plan: &Plan) -> Vec<usize> {
        let named: BTreeSet<String> = plan.steps.iter().map(|step| step.change.shown().key()).collect();
        let unseen = |(_, (change, task)): &(usize, &(AnyChange, Task))| {
            let is_held =
                matches!(task.state, State::Done | State::Already | State::Failed { .. } | State::Drifted { .. });
            is_held && !named.contains(&change.shown().key())
        };
        (0..).zip(&self.work).filter(unseen).map(|(n, _)| n).collect()
    }

    /// Takes back what was intended and is not in place, where guards no longer allow it: never what is refused, and what waits for
    /// a person only while nothing of the containment is held, because a containment that was begun is finished.
    pub fn withdraw<'c>(&mut self, held_back: impl IntoIterator<Item = (&'c AnyChange, HeldBack)>) -> bool {
        let held_back: Vec<(&AnyChange, HeldBack)> = held_back.into_iter().collect();
        // Whether the account has it already, though the journal does not know yet.
        let applied = |known: &AnyChange| {
            held_back.iter().any(|(fresh, _)| fresh.is_already_so() && fresh.shown().key() == known.shown().key())
        };
        let is_begun = self.work.iter().any(|(known, task)| match task.state {
            State::Done | State::Drifted { .. } => true,
            State::Intended => applied(known),
            _ => false,
        });
        let count = self.work.len();
        self.work.retain(|(known, task)| {
            let key = known.shown().key();
            let goes = |(fresh, why): &(&AnyChange, HeldBack)| {
                let is_ours = task.state == State::Already || (task.state == State::Intended && !fresh.is_already_so());
                is_ours && (*why == HeldBack::Refused || !is_begun) && fresh.shown().key() == key
            };
            !held_back.iter().any(goes)
        });
        let withdrawn = self.work.len() < count;
        self.unwritten |= withdrawn;
        withdrawn
    }

    /// Takes in what a fuller plan has beside the first one, whose things may be changing at this moment.
    pub fn take_in<'c>(
        &mut self,
        first: &Plan,
        allowed: impl Iterator<Item = (u8, &'c AnyChange)>,
        at: Timestamp,
        evidence: Option<Timestamp>,
    ) -> Result<Vec<String>, Illegal> {
        let known: Vec<String> = first.steps.iter().map(|step| step.change.shown().key()).collect();
        let later: Vec<_> = allowed.filter(|(_, change)| !known.contains(&change.shown().key())).collect();
        let undone = self.renew(later.iter().copied(), at, evidence)?;
        self.add(later.into_iter().map(|(stage, change)| (stage, change.clone())));
        Ok(undone)
    }

    /// What was so already because another containment had made it so is held by this one too, from what was there before.
    pub(super) fn adopt(&mut self, n: usize, other: &AnyChange) {
        if let Some((change, task)) = self.work.get_mut(n)
            && let Some(since) = change.since(other)
        {
            self.unwritten = true;
            *task = Task::loaded(task.stage, State::Intended, since.release());
            *change = since;
        }
    }

    /// Sets every step on its way back, by what was just seen of it. What could not be read stays as it is; what `others`
    /// hold too is left to them, and what is `withheld` stays in place, with the reason.
    pub fn release(
        &mut self,
        sights: Vec<Sight>,
        others: Vec<Option<String>>,
        withheld: impl Fn(&AnyChange) -> Option<String>,
        asked: Asked,
    ) -> Result<(), Illegal> {
        for (((change, task), sight), held) in self.work.iter_mut().zip(sights).zip(others) {
            task.stage = change.undo_order();
            match sight {
                Sight::Seen(_) if held.is_some() => {
                    task.take(&TaskEvent::LeftToOthers { why: held.unwrap_or_default() })?;
                }
                Sight::Seen(seen) => {
                    let mut next = task.clone();
                    next.take(&TaskEvent::Release { seen, asked })?;
                    match next.state == State::Undoing {
                        true if let Some(why) = withheld(change) => task.take(&TaskEvent::Withheld { why })?,
                        _ => *task = next,
                    }
                }
                Sight::Gone => task.take(&TaskEvent::Gone)?,
                Sight::Unreadable { .. } => {}
            }
        }
        Ok(())
    }

    /// Whether there is something that the journal does not hold yet.
    pub fn has_unwritten(&self) -> bool {
        self.unwritten
    }

    pub fn written(&mut self) {
        self.unwritten = false;
    }

    /// What is, or was, in place by this containment.
    pub fn held(&self) -> BTreeSet<String> {
        let is_held = |state: &State| matches!(state, State::Already | State::Done | State::Drifted { .. });
        let held = self.work.iter().filter(|(_, task)| is_held(&task.state));
        held.map(|(change, _)| change.shown().key()).collect()
    }

    /// Whether anything of it was changed, as far as the journal knows.
    pub fn is_begun(&self) -> bool {
        let is_done = |task: &Task| matches!(task.state, State::Done | State::Drifted { .. });
        self.work.iter().any(|(_, task)| is_done(task))
    }

    pub fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    pub fn is_idle(&self) -> bool {
        next(&self.tasks()) == Next::Rest
    }

    pub fn steps(&self) -> impl Iterator<Item = (&AnyChange, &Task)> {
        self.work.iter().map(|(change, task)| (change, task))
    }

    /// Whether the journal has a step for the thing, however far it is.
    pub fn knows(&self, change: &AnyChange) -> bool {
        let key = change.shown().key();
        self.work.iter().any(|(known, _)| known.shown().key() == key)
    }

    pub(super) fn known(&mut self, change: &AnyChange) -> Option<&mut (AnyChange, Task)> {
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
            again: task.again().to_vec(),
            seen: task.seen,
        };
        Containment {
            target: self.target.clone(),
            opened_by: self.opened_by.clone(),
            holders: self.holders.clone(),
            past: self.past.clone(),
            steps: self.work.iter().map(step).collect(),
            timeline: self.timeline.clone(),
            begun: self.begun,
            released: self.released,
        }
    }
}

fn loaded(step: Step) -> (AnyChange, Task) {
    let task = Task::loaded(step.stage, step.state, step.change.release());
    let mut task = task.at_most(step.change.most_tries()).contained_again(step.again);
    task.seen = step.seen;
    (step.change, task)
}
