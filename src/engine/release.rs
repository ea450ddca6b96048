//! Putting back what an incident changed: each thing only where it is still what was set, in the order that the actions declare.

use super::{
    Asked, Course, EngineError, Illegal, May, State, Task, Worker,
    history::{History, changed_by},
    machine::CHANGED,
};
use crate::{
    actions::AnyChange,
    analyst::shown,
    aws::{Aws, AwsError},
    clock::Clock,
    decision::Treatment,
    domain::{AccountId, IncidentId, Outcome, OutcomeKind, Reason, Report, Target, Timestamp},
    journal::{Approval, Claim, Containment, GivenBack, IncidentRecord, Journal, JournalError},
};
use futures::future::join_all;
use std::collections::BTreeSet;

#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("there is no incident `{0}`")]
    Unknown(IncidentId),
    #[error("nothing was changed for incident `{0}`, so there is nothing to release")]
    NothingHeld(IncidentId),
    #[error("incident `{0}` was released already")]
    Closed(IncidentId),
    #[error("incident `{0}` does not hold its target; it is held by {1}")]
    NotHolder(IncidentId, String),
    #[error("the target is being worked on; try again in some seconds")]
    Busy,
    #[error("the credentials belong to account {own}, the target lies in {target}")]
    OtherAccount { own: AccountId, target: AccountId },
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

/// What an operator says beside the incident.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    pub asked: Asked,
    /// Put back also what the attacker had set, or where that could not be looked up.
    pub force: bool,
}

/// What came of a release.
#[derive(Debug)]
pub struct Release {
    pub incident: IncidentId,
    pub outcome: Outcome,
    /// Of each target that was held.
    pub courses: Vec<Course>,
}

impl Release {
    /// Keeps it with the incident, and with those that had let go before: what they left to others has gone back now too.
    ///
    /// # Errors
    /// It is done, and could not be kept.
    pub async fn conclude(
        &self,
        journal: &dyn Journal,
        record: IncidentRecord,
        now: Timestamp,
    ) -> Result<Report, JournalError> {
        let report = self.report(&record, self.courses.iter());
        // Whatever comes next is news, and needs an approval of its own.
        journal.conclude(&record.id, &report, None, now).await?;
        journal.approve(&record.id, &Approval::default()).await?;
        for course in self.courses.iter().filter(|course| course.holders().is_empty()) {
            for id in course.past().iter().filter(|id| **id != record.id) {
                let Some(record) = journal.incident(id).await? else { continue };
                journal.conclude(id, &self.report(&record, std::iter::once(course)), None, now).await?;
            }
        }
        Ok(report)
    }

    /// Says who changed what was left alone, where CloudTrail knows.
    async fn name_who_changed(&mut self, aws: &Aws) {
        let changed = self
            .courses
            .iter()
            .flat_map(|course| course.steps().map(move |step| (course, step)))
            .filter(|(_, (_, task))| matches!(&task.state, State::UndoFailed { why } if why.starts_with(CHANGED)));
        let one = async |(course, (change, _)): (&Course, (&AnyChange, &Task))| {
            let who = changed_by(aws, change, course).await;
            (change.shown().key(), who)
        };
        let found = join_all(changed.map(one)).await;
        for (key, who) in found {
            let text = match who {
                Ok(Some(who)) => format!("{key}: changed by {who}"),
                Ok(None) => format!("{key}: CloudTrail does not know yet who changed it"),
                Err(error) => format!("{key}: who changed it could not be looked up: {error}"),
            };
            self.outcome.reasons.push(Reason::new("changed-by", text));
        }
    }

    fn report<'c>(&self, record: &IncidentRecord, courses: impl Iterator<Item = &'c Course>) -> Report {
        let none = || Report::without_finding(self.outcome.clone());
        let before = record.report.clone().or_else(|| record.treatment.as_ref().map(|case| case.report.clone()));
        let steps = courses.flat_map(|course| {
            let is_held = !course.holders().is_empty();
            let state = move |state: &State| if is_held { "still in place".to_owned() } else { state.to_string() };
            course.steps().map(move |(change, task)| shown(task.stage, change, &state(&task.state)))
        });
        Report { outcome: self.outcome.clone(), steps: steps.collect(), ..before.unwrap_or_else(none) }
    }
}

/// Releases the targets of one incident. Where others hold one too, only lets go of it.
///
/// # Errors
/// Nothing was undone, or not all; what was done is journalled, and a repeat goes on from there.
pub async fn release(
    aws: &Aws,
    journal: &dyn Journal,
    clock: &Clock,
    incident: &IncidentId,
    wishes: Wishes,
    by: &str,
) -> Result<Release, ReleaseError> {
    let record = journal.incident(incident).await?.ok_or_else(|| ReleaseError::Unknown(incident.clone()))?;
    let case = record.treatment.ok_or_else(|| ReleaseError::NothingHeld(incident.clone()))?;
    let own = &aws.identity().await?.account;
    if let Some(target) = case.targets().find(|target| own != target.account()) {
        return Err(ReleaseError::OtherAccount { own: own.clone(), target: target.account().clone() });
    }
    let (mut released, mut nothing, mut busy) = (Vec::new(), None, false);
    for target in case.targets() {
        match release_target(aws, journal, clock, (&case, target), wishes, by).await {
            Ok(one) => released.push(one),
            // Of several targets some may never have been contained, or were released before.
            Err(error @ (ReleaseError::NothingHeld(_) | ReleaseError::Closed(_) | ReleaseError::NotHolder(..))) => {
                nothing = nothing.or(Some(error));
            }
            // The others go on; a repeat finds it free.
            Err(ReleaseError::Busy) => busy = true,
            Err(error) => return Err(error),
        }
    }
    if busy {
        return Err(ReleaseError::Busy);
    }
    if released.is_empty() {
        return Err(nothing.unwrap_or_else(|| ReleaseError::NothingHeld(incident.clone())));
    }
    let is_whole = released.iter().all(|(outcome, _)| outcome.kind == OutcomeKind::Released);
    let kind = if is_whole { OutcomeKind::Released } else { OutcomeKind::PartiallyReleased };
    let (outcomes, courses): (Vec<Outcome>, Vec<Course>) = released.into_iter().unzip();
    let reasons = outcomes.into_iter().flat_map(|outcome| outcome.reasons).collect();
    let mut released = Release { incident: incident.clone(), outcome: Outcome::new(kind, reasons), courses };
    released.name_who_changed(aws).await;
    Ok(released)
}

async fn release_target(
    aws: &Aws,
    journal: &dyn Journal,
    clock: &Clock,
    (case, target): (&Treatment, &Target),
    wishes: Wishes,
    by: &str,
) -> Result<(Outcome, Course), ReleaseError> {
    let (asked, incident) = (wishes.asked, &case.incident);
    let now = || Timestamp::from_millis(clock.now_millis());
    let key = target.key();
    let history = match journal.read(&key).await? {
        Some(known) if !wishes.force => {
            let since = first_evidence(journal, case, &known).await?;
            Some(History::read(aws, journal, since, &Course::resume(known)).await)
        }
        _ => None,
    };
    let since = now();
    let (lease, known, mut inbox) = match journal.claim(&key, incident, since).await? {
        Claim::Held { lease, containment, inbox } => (lease, containment, inbox),
        Claim::Joined { .. } => return Err(ReleaseError::Busy),
    };
    let worker = Worker::new(aws, journal, clock, lease, since, None, May::PutBack);
    let result = match known {
        None => Err(ReleaseError::NothingHeld(incident.clone())),
        Some(known) if known.is_over() && asked == Asked::No => Err(ReleaseError::Closed(incident.clone())),
        Some(known) => undo(&worker, Course::resume(*known), incident, (asked, by), history.as_ref(), now()).await,
    };
    // A delivery that came meanwhile is not looked at here: its own rechecks and the next delivery do.
    while let GivenBack::NotYet { inbox: more } = journal.give_back(&worker.lease, &inbox).await? {
        inbox = more;
    }
    result
}

/// The earliest that is known of all who hold it, or held it.
async fn first_evidence(
    journal: &dyn Journal,
    case: &Treatment,
    known: &Containment,
) -> Result<Option<Timestamp>, JournalError> {
    let mut first = case.first_seen;
    let opened_by = std::iter::once(&known.opened_by);
    for id in opened_by.chain(&known.holders).chain(&known.past).filter(|id| **id != case.incident) {
        let seen = journal.incident(id).await?.and_then(|record| record.treatment).and_then(|case| case.first_seen);
        first = [first, seen].into_iter().flatten().min();
    }
    Ok(first)
}

async fn undo(
    worker: &Worker<'_>,
    mut course: Course,
    incident: &IncidentId,
    (asked, by): (Asked, &str),
    history: Option<&History>,
    now: Timestamp,
) -> Result<(Outcome, Course), ReleaseError> {
    let holders = course.holders();
    if !holders.is_empty() && !holders.contains(incident) {
        return Err(ReleaseError::NotHolder(incident.clone(), names(holders)));
    }
    let others = course.let_go(incident, now).clone();
    course.note(now, format!("incident {incident} lets go, by hand of {by}"));
    if !others.is_empty() {
        worker.write(&course).await?;
        let why = format!("the target is still held by {}", names(&others));
        let outcome = Outcome::because(OutcomeKind::PartiallyReleased, "still-held", why);
        return Ok((outcome, course));
    }
    let (sights, others) = futures::join!(worker.look(&course), worker.others(&course));
    let target = course.target().clone();
    let withheld = |change: &AnyChange| history.and_then(|history| history.objects(change, &target));
    course.release(sights, others?, withheld, asked)?;
    worker.write(&course).await?;
    worker.finish(&mut course).await?;
    worker.leave(&course).await?;
    let left = course.steps().filter(|(_, task)| !task.state.is_over());
    let reasons: Vec<Reason> = left
        .map(|(change, task)| Reason::new("not-undone", format!("{}: {}", change.shown().key(), task.state)))
        .collect();
    let kind = if reasons.is_empty() { OutcomeKind::Released } else { OutcomeKind::PartiallyReleased };
    Ok((Outcome::new(kind, reasons), course))
}

fn names(holders: &BTreeSet<IncidentId>) -> String {
    holders.iter().map(IncidentId::as_str).collect::<Vec<_>>().join(", ")
}
