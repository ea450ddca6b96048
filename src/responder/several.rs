//! An incident with several targets: each is looked at by itself, and people hear of all of them at once.

use super::{Occasion, Responder, Retry, told::AGAIN};
use crate::{
    analyst::{SurveyFailed, merge},
    decision::Treatment,
    domain::{Investigation, Outcome, OutcomeKind, Report, Target, Timestamp},
    journal::{Approval, Approved},
    notify::Notification,
};
use futures::{StreamExt, TryStreamExt, stream};

/// Targets at a time.
const AT_ONCE: usize = 4;

impl Responder {
    /// Each target with its occasion; a target for which there is none is left out.
    ///
    /// # Errors
    /// Where a repeat can help: what was done of the other targets is journalled, and joined by the repeat.
    pub(super) async fn treat_all(
        &self,
        case: &Treatment,
        parts: Vec<(Treatment, Occasion)>,
        deadline: Option<Timestamp>,
    ) -> Result<Report, Retry> {
        let parts = self.divide(parts).await?;
        let is_delivery = parts.iter().any(|(_, occasion)| *occasion == Occasion::Delivery);
        let one = async |(part, occasion): (Treatment, Occasion)| {
            let report = Box::pin(self.treat(&part, &occasion, deadline)).await;
            (part, report)
        };
        // Addresses take places of the same lists, one after the other.
        let at_once = if matches!(case.target, Target::Address { .. }) { 1 } else { AT_ONCE };
        let looked: Vec<_> = stream::iter(parts).map(one).buffered(at_once).collect().await;
        let (mut reports, mut failed) = (Vec::new(), None);
        for (part, report) in looked {
            let report = match report {
                Ok(report) => report,
                // Nothing was judged by the rules in force.
                Err(Retry::RulesChanged) => return Err(Retry::RulesChanged),
                // What was done of the others is told all the same.
                Err(error) => {
                    let why = format!("it is tried again: {error}");
                    let report = part.report(Outcome::because(OutcomeKind::NotContained, "tried-again", why));
                    failed = failed.or(Some(error));
                    report
                }
            };
            reports.push((part, report));
        }
        let record = self.journal().incident(&case.incident).await?;
        let known = record.as_ref().and_then(|record| record.report.as_ref()?.investigation.clone());
        // Other events of the incident may have named others.
        let whole = record.and_then(|record| record.treatment);
        let case = whole.as_ref().unwrap_or(case);
        // Of those for which there was no occasion it is said how they stand.
        let is_looked = |part: &Treatment| reports.iter().any(|(one, _)| one.target.key() == part.target.key());
        let others = case.parts().into_iter().filter(|part| !is_looked(part));
        let observe = async |part: Treatment| {
            let stands = self.analyst.observe(&part).await;
            (part, stands)
        };
        let others: Vec<_> = stream::iter(others.collect::<Vec<_>>()).map(observe).buffered(AT_ONCE).collect().await;
        for (part, stands) in others {
            // What was done of the others is told all the same.
            let stands = match stands {
                Ok(stands) => stands,
                Err(error) => {
                    let why = format!("it could not be looked at: {error}");
                    failed = failed.or(Some(error.into()));
                    part.report(Outcome::because(OutcomeKind::NotContained, "tried-again", why))
                }
            };
            reports.push((part, stands));
        }
        // What could not be looked at again is no news; that it was not contained at first is.
        if let Some(error) = failed.take_if(|_| !is_delivery) {
            return Err(error);
        }
        let says = |code: &str| {
            reports.iter().flat_map(|(_, report)| &report.outcome.reasons).any(|reason| reason.code == code)
        };
        let undone = says(AGAIN);
        // Whoever works on one of them tells of it, or the look that was put back for it does.
        if !is_delivery && says("worked-on") && !undone {
            let why = "another delivery works on one of its targets and takes this look in";
            return Ok(case.report(Outcome::because(OutcomeKind::Joined, "worked-on", why)));
        }
        let mut report = merge(case, &reports);
        if report.investigation.is_some() {
            // Targets that a person agreed to later are looked into later.
            report.investigation = known.into_iter().chain(report.investigation).reduce(Investigation::and);
        }
        let report = self.unless_rejected(case, report).await?;
        if undone {
            // News, even if all stands as people were told it does.
            self.keep(&case.incident, &report, None).await?;
        }
        if !self.tell_once(&report).await? && !Notification::is_due(&report) {
            self.journal().keep_first(&case.incident, &report).await?;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    /// An approval names the plans of all that waited, so each target gets its own part of it, at the first look or after a fault; one whose
    /// plan is another by now gets none, and is asked about again.
    async fn divide(&self, parts: Vec<(Treatment, Occasion)>) -> Result<Vec<(Treatment, Occasion)>, Retry> {
        let approved = parts.iter().find_map(|(_, occasion)| match occasion {
            Occasion::Approved(Approval { plan: Some(plan), .. }) => Some(plan.clone()),
            _ => None,
        });
        let Some(approved) = approved else { return Ok(parts) };
        let looked = self.observe_each(parts.iter().map(|(part, _)| part)).await?;
        let mine = |report: &Report| {
            let hash = report.plan.clone().filter(|plan| report.is_waiting() && approved.names(plan))?;
            Some(Approved { hash, ..approved.clone() })
        };
        let divided = parts.into_iter().zip(&looked).map(|((part, _), report)| {
            let occasion = match mine(report) {
                Some(plan) => Occasion::Approved(Approval { plan: Some(plan), ..Approval::default() }),
                None => Occasion::Recheck,
            };
            (part, occasion)
        });
        Ok(divided.collect())
    }

    /// The plan of all targets, changing nothing.
    pub(super) async fn observe_all(&self, case: &Treatment) -> Result<Report, SurveyFailed> {
        let parts = case.parts();
        if parts.len() <= 1 {
            return self.analyst.observe(case).await;
        }
        let looked = self.observe_each(parts.iter()).await?;
        Ok(merge(case, &parts.into_iter().zip(looked).collect::<Vec<_>>()))
    }

    /// How all targets of an incident stand.
    pub(super) async fn stand(&self, case: &Treatment) -> Result<Report, SurveyFailed> {
        let parts = case.parts();
        let looked = self.observe_each(parts.iter()).await?;
        Ok(merge(case, &parts.into_iter().zip(looked).collect::<Vec<_>>()))
    }

    async fn observe_each<'a>(&self, parts: impl Iterator<Item = &'a Treatment>) -> Result<Vec<Report>, SurveyFailed> {
        stream::iter(parts).map(|part| self.analyst.observe(part)).buffered(AT_ONCE).try_collect().await
    }
}
