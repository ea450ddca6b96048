//! Putting back what an incident changed: each thing only where it is still what was set, in the order that the actions declare.

use super::{Asked, Course, EngineError, Illegal, May, State, Worker};
use crate::{
    analyst::shown,
    aws::{Aws, AwsError},
    clock::Clock,
    domain::{AccountId, IncidentId, Outcome, OutcomeKind, Reason, Report, Timestamp},
    journal::{Claim, GivenBack, IncidentRecord, Journal, JournalError},
};
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

/// What came of a release.
#[derive(Debug)]
pub struct Release {
    pub incident: IncidentId,
    pub outcome: Outcome,
    pub course: Course,
}

impl Release {
    /// Keeps it with the incident, and with those that had let go before: what they left to others has gone back now too.
    ///
    /// # Errors
    /// It is done, and could not be kept.
    pub async fn conclude(&self, journal: &dyn Journal, record: IncidentRecord) -> Result<Report, JournalError> {
        let report = self.report(&record);
        // Whatever comes next is news.
        journal.conclude(&record.id, &report, None).await?;
        if self.course.holders().is_empty() {
            for id in self.course.past().iter().filter(|id| **id != record.id) {
                let Some(record) = journal.incident(id).await? else { continue };
                journal.conclude(id, &self.report(&record), None).await?;
            }
        }
        Ok(report)
    }

    fn report(&self, record: &IncidentRecord) -> Report {
        let none = || Report::without_finding(self.outcome.clone());
        let before = record.report.clone().or_else(|| record.treatment.as_ref().map(|case| case.report.clone()));
        let is_held = !self.course.holders().is_empty();
        let state = |state: &State| if is_held { "still in place".to_owned() } else { state.to_string() };
        let steps = self.course.steps().map(|(change, task)| shown(task.stage, change, &state(&task.state)));
        Report { outcome: self.outcome.clone(), steps: steps.collect(), ..before.unwrap_or_else(none) }
    }
}

/// Releases the target of one incident. Where others hold it too, only lets go of it.
///
/// # Errors
/// Nothing was undone, or not all; what was done is journalled, and a repeat goes on from there.
pub async fn release(
    aws: &Aws,
    journal: &dyn Journal,
    clock: &Clock,
    incident: &IncidentId,
    asked: Asked,
) -> Result<Release, ReleaseError> {
    let now = || Timestamp::from_millis(clock.now_millis());
    let record = journal.incident(incident).await?.ok_or_else(|| ReleaseError::Unknown(incident.clone()))?;
    let target = record.treatment.ok_or_else(|| ReleaseError::NothingHeld(incident.clone()))?.target;
    let own = &aws.identity().await?.account;
    if own != target.account() {
        return Err(ReleaseError::OtherAccount { own: own.clone(), target: target.account().clone() });
    }
    let key = target.key();
    let since = now();
    let (lease, known, mut inbox) = match journal.claim(&key, incident, since).await? {
        Claim::Held { lease, containment, inbox } => (lease, containment, inbox),
        Claim::Joined => return Err(ReleaseError::Busy),
    };
    let worker = Worker::new(aws, journal, clock, lease, since, None, May::PutBack);
    let result = match known {
        None => Err(ReleaseError::NothingHeld(incident.clone())),
        Some(known) if known.is_over() && asked == Asked::No => Err(ReleaseError::Closed(incident.clone())),
        Some(known) => undo(&worker, Course::resume(*known), incident, asked, now()).await,
    };
    // A delivery that came meanwhile is not looked at here: its own rechecks and the next delivery do.
    while let GivenBack::NotYet { inbox: more } = journal.give_back(&worker.lease, &inbox).await? {
        inbox = more;
    }
    result
}

async fn undo(
    worker: &Worker<'_>,
    mut course: Course,
    incident: &IncidentId,
    asked: Asked,
    now: Timestamp,
) -> Result<Release, ReleaseError> {
    let holders = course.holders();
    if !holders.is_empty() && !holders.contains(incident) {
        return Err(ReleaseError::NotHolder(incident.clone(), names(holders)));
    }
    let others = course.let_go(incident, now).clone();
    course.note(now, format!("incident {incident} lets go, by hand of {}", worker.aws.identity().await?.arn));
    if !others.is_empty() {
        worker.write(&course).await?;
        let why = format!("the target is still held by {}", names(&others));
        let outcome = Outcome::because(OutcomeKind::PartiallyReleased, "still-held", why);
        return Ok(Release { incident: incident.clone(), outcome, course });
    }
    let (sights, others) = futures::join!(worker.look(&course), worker.others(&course));
    course.release(sights, others?, asked)?;
    worker.write(&course).await?;
    worker.finish(&mut course).await?;
    worker.leave(&course).await?;
    let left = course.steps().filter(|(_, task)| !task.state.is_over());
    let reasons: Vec<Reason> = left
        .map(|(change, task)| Reason::new("not-undone", format!("{}: {}", change.shown().key(), task.state)))
        .collect();
    let kind = if reasons.is_empty() { OutcomeKind::Released } else { OutcomeKind::PartiallyReleased };
    Ok(Release { incident: incident.clone(), outcome: Outcome::new(kind, reasons), course })
}

fn names(holders: &BTreeSet<IncidentId>) -> String {
    holders.iter().map(IncidentId::as_str).collect::<Vec<_>>().join(", ")
}
