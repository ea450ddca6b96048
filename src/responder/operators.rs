//! What operators have to do with a containment: the limits that they set, what they approved, and what they changed by hand.

use super::{Occasion, Responder, Retry};
use crate::{
    analyst::made_mark,
    aws::AwsError,
    decision::Treatment,
    domain::{Investigation, Reason, Report},
    engine::{Course, Undone, Worker, changed_by, is_contained},
    journal::{Approval, IncidentRecord, JournalError},
    playbooks::Plan,
    policy::{Budget, Mode},
    survey::investigate,
};
use futures::future::join_all;
use std::{collections::BTreeMap, time::Duration};

/// How long a recheck waits for CloudTrail's word before it contains again.
const MOST_LOOKING: Duration = Duration::from_secs(2);

/// So long what he made is told from what others made.
const MADE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Who undid a step, by its key.
pub(super) type Undoers = BTreeMap<String, String>;

/// What was taken, and why a person must be asked instead.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub taken: Vec<Budget>,
    pub over: Vec<Reason>,
}

impl Responder {
    /// Takes the places that containing this unattended costs. Returns why a person must be asked instead.
    ///
    /// # Errors
    /// Where a repeat can find out.
    pub(super) async fn take_places(
        &self,
        case: &Treatment,
        plan: &Plan,
        (costs, is_made): (bool, bool),
    ) -> Result<Places, Retry> {
        let mut places = Places::default();
        if !costs {
            return Ok(places);
        }
        let (rules, now) = (self.analyst.rules.last(), self.now());
        let group = plan.replaced_by.as_deref();
        let budgets = Budget::of(&case.target, group, case.report.severity, &rules.policy.limits, is_made, now);
        let taken = join_all(budgets.iter().map(|budget| self.journal().take(budget))).await;
        let over = &mut places.over;
        for (budget, taken) in budgets.into_iter().zip(taken) {
            let (limit, most) = (budget.limit, budget.most);
            match taken {
                Ok(true) => places.taken.push(budget),
                Ok(false) => {
                    let why =
                        format!("the policy's {limit} are used up: {most} at this severity, until {}", budget.ends);
                    over.push(Reason::new(limit, why));
                }
                // INVARIANT: a limit that cannot be read is reached.
                Err(
                    error @ (JournalError::Aws(AwsError::Denied { .. } | AwsError::Rejected { .. })
                    | JournalError::Unreadable(_)),
                ) => {
                    let why = format!("the policy's {limit} could not be compared: {error}");
                    over.push(Reason::new("limit-unreadable", why));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(places)
    }

    /// What whoever was just contained did before, after the cut and within bounds: what is not known in time is not waited for.
    ///
    /// # Errors
    /// Why it is not known, in words for people.
    pub(super) async fn investigate(&self, case: &Treatment) -> Result<Option<Investigation>, String> {
        let looked = investigate(&self.analyst.aws, &case.target, case.first_seen);
        let found = match tokio::time::timeout(MOST_LOOKING, looked).await {
            Ok(Ok(Some(found))) => found,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(error)) => return Err(format!("what {} did before could not be looked up: {error}", case.target)),
            Err(_) => {
                return Err(format!(
                    "CloudTrail did not say in time what {} did before: look in its event history",
                    case.target
                ));
            }
        };
        let account = case.target.account();
        for id in &found.made_users {
            let mark = made_mark(&format!("{account}#global#user#{id}"));
            if let Err(error) = self.journal().mark(&mark, MADE_KEPT, self.now()).await {
                tracing::warn!(user = %id, %error, "not marked as made by whoever is contained");
            }
        }
        Ok(Some(found))
    }

    /// What is not contained after all takes nobody else's place.
    pub(super) async fn give_places(&self, taken: Vec<Budget>) {
        for budget in taken {
            if let Err(error) = self.journal().give(&budget).await {
                tracing::warn!(limit = budget.limit, %error, "a place stays taken until its time is over");
            }
        }
    }

    /// The incident, entered by a delivery. A later look changes nothing of how it was judged: what caps that look may be over by the next.
    pub(super) async fn enter(&self, case: &Treatment, occasion: &Occasion) -> Result<IncidentRecord, JournalError> {
        if *occasion == Occasion::Delivery {
            return self.journal().open(&case.incident, Some(case.whole()), self.now()).await;
        }
        let record = self.journal().incident(&case.incident).await?;
        record.ok_or_else(|| JournalError::NoIncident(case.incident.clone()))
    }

    /// An offer is another by now than what was approved: that approval is over, and people are told what is offered now.
    pub(super) async fn ask_again(
        &self,
        case: &Treatment,
        plan: &Plan,
        approval: &Approval,
        report: &Report,
    ) -> Result<(), Retry> {
        let mut left = approval.clone();
        left.offers.retain(|name, _| !plan.offers.iter().any(|offer| offer.name == name));
        self.journal().approve(&case.incident, &left).await?;
        let told = report.incident.as_ref().unwrap_or(&case.incident);
        self.keep(told, report, None).await
    }

    /// What is offered may change while nothing else does: who approves must find what is offered now.
    pub(super) async fn keep_offers(&self, report: &Report) -> Result<(), Retry> {
        let Some(id) = &report.incident else { return Ok(()) };
        let record = self.journal().incident(id).await?;
        let Some(IncidentRecord { report: Some(kept), told: Some(told), at, .. }) = record else { return Ok(()) };
        if kept.offers != report.offers {
            let kept = Report { offers: report.offers.clone(), ..kept };
            // A question keeps its date: it expires by it.
            self.journal().conclude(id, &kept, Some(&told), at.unwrap_or(self.now())).await?;
        }
        Ok(())
    }

    /// What an operator has changed by hand since is his, as far as CloudTrail knows already; what it does not know is contained again.
    /// Returns who else has undone what.
    pub(super) async fn leave_to_operators(
        &self,
        course: &mut Course,
        plan: &Plan,
        undone: Vec<Undone>,
    ) -> Result<Undoers, Retry> {
        let rules = self.analyst.rules.last();
        let authors = {
            let course = &*course;
            let looked = join_all(undone.iter().map(|undone| changed_by(&self.analyst.aws, &undone.change, course)));
            tokio::time::timeout(MOST_LOOKING, looked).await.unwrap_or_default()
        };
        let mut others = Undoers::new();
        for (undone, author) in undone.iter().zip(authors) {
            let key = undone.change.shown().key();
            match author {
                Ok(Some(author)) => {
                    let who = &author.subject;
                    let is_planned = plan.steps.iter().any(|step| step.subject.unique_id == who.unique_id);
                    // INVARIANT: who is contained releases nothing, whoever he is.
                    let is_stranger = !is_planned && !is_contained(course, who);
                    if is_stranger && rules.policy.is_operator(who) {
                        tracing::info!(step = key, by = %author, "put back by hand");
                        course.put_back_by_hand(undone, &author.to_string(), self.now())?;
                    } else {
                        others.insert(key, author.to_string());
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(step = key, %error, "who undid it is not known"),
            }
        }
        Ok(others)
    }

    /// Looks at what the plan does not name any more: what was undone is contained again, but for what operators undid. Returns in words what
    /// was contained again, and who undid it.
    pub(super) async fn look_after(
        &self,
        (case, occasion): (&Treatment, &Occasion),
        worker: &Worker<'_>,
        course: &mut Course,
        plan: &Plan,
    ) -> Result<(Vec<String>, Undoers), Retry> {
        let unnamed = course.unnamed(plan);
        let sights = worker.look_at(course, &unnamed).await;
        let mut others = Undoers::new();
        if *occasion != Occasion::Delivery {
            let undone = course.undone(unnamed.iter().copied().zip(&sights), self.now());
            others = self.leave_to_operators(course, plan, undone).await?;
        }
        let again = course.saw_unnamed(unnamed.into_iter().zip(sights), case.mode != Mode::Observe, self.now())?;
        Ok((again, others))
    }
}
