//! The whole story: an event comes in, one outcome goes out.

use crate::{
    analyst::{Analyst, SurveyFailed, Treatment, allowed, residual, shown, treatment, waiting, why, withheld},
    aws::INCIDENT,
    clock::Clock,
    decision::Decision,
    domain::{Outcome, OutcomeKind, Reason, Report, ResidualRisk, Timestamp, Way},
    engine::{Course, EngineError, State, Worker, outcome},
    guard::Verdict,
    ingest,
    journal::{Claim, GivenBack, Journal, JournalError},
    metrics,
    notify::{Notification, Notifier, NotifyError},
    playbooks::{self, Plan},
    policy::{Mode, Subject},
    survey::Facts,
};
use std::sync::Arc;

/// How often one delivery looks again because others came in while it worked.
const MOST_TURNS: usize = 3;

pub struct Responder {
    pub analyst: Analyst,
    pub journal: Arc<dyn Journal>,
    pub notifier: Arc<dyn Notifier>,
    pub clock: Clock,
}

/// The event could not be brought to an outcome, and a repeat can help.
#[derive(Debug, thiserror::Error)]
pub enum Retry {
    #[error(transparent)]
    Survey(#[from] SurveyFailed),
    #[error("cannot tell people")]
    Notify(#[from] NotifyError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Responder {
    /// Brings one EventBridge event to its outcome: contains, tells people, logs and counts.
    ///
    /// # Errors
    /// Only where a repeat of the delivery can help.
    pub async fn handle(&self, event: &str, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let decision = self.analyst.decide(ingest::event(event), self.now());
        let report = self.treat(&decision, deadline).await?;
        self.tell(&report).await?;
        log(&report);
        metrics::count(&report, self.clock.now_millis());
        Ok(report)
    }

    async fn treat(&self, decision: &Decision, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let case = match treatment(decision) {
            Err(outcome) => return Ok(decision.report(outcome.clone())),
            Ok(case) => case,
        };
        INCIDENT
            .scope(case.judged.incident.clone(), async {
                match case.judged.assessment.mode {
                    Mode::Observe | Mode::Approve => Ok(Box::pin(self.analyst.observe(&case)).await?),
                    Mode::Contain => Box::pin(self.contain(&case, deadline)).await,
                }
            })
            .await
    }

    async fn contain(&self, case: &Treatment<'_>, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let key = case.target.key();
        let (claim, facts, identity) = futures::join!(
            self.journal.claim(&key, &case.judged.incident, self.now()),
            Facts::read(&self.analyst.aws, case.target),
            self.analyst.aws.identity()
        );
        let (lease, containment, mut inbox) = match claim? {
            Claim::Held { lease, containment, inbox } => (lease, containment, inbox),
            Claim::Joined => {
                let outcome = Outcome::because(
                    OutcomeKind::Joined,
                    "worked-on",
                    "another delivery works on this target and takes this one in",
                );
                return Ok(case.decision.report(outcome));
            }
        };
        let worker = Worker { aws: &self.analyst.aws, journal: &*self.journal, lease, clock: &self.clock, deadline };
        let mut course = Course::of(case.target, &case.judged.incident, containment);
        let mut surveyed = self.analyst.ours(case, facts, identity);
        for _ in 0..MOST_TURNS {
            let report = match surveyed {
                Ok(Ok((facts, own))) => self.cut(case, &worker, &mut course, facts, &own).await,
                Ok(Err(outcome)) => Ok(case.decision.report(outcome)),
                Err(failed) => Err(failed.into()),
            };
            // The lease is given back whatever came of it: a repeat must not wait for it.
            match self.journal.give_back(&worker.lease, inbox).await? {
                GivenBack::Yes => return report,
                GivenBack::NotYet { inbox: more } => inbox = more,
            }
            self.analyst.aws.quarantine.forget();
            let (facts, identity) =
                futures::join!(Facts::read(&self.analyst.aws, case.target), self.analyst.aws.identity());
            surveyed = self.analyst.ours(case, facts, identity);
        }
        Err(JournalError::LeaseLost(key).into())
    }

    /// Journal, cut, read back. What comes later than the cut is read beside it.
    async fn cut(
        &self,
        case: &Treatment<'_>,
        worker: &Worker<'_>,
        course: &mut Course,
        mut facts: Facts,
        own: &Subject,
    ) -> Result<Report, Retry> {
        let incident = course.incident().clone();
        let (mut plan, mut verdicts) = match self.analyst.judged(case, &facts, &incident, own) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.decision.report(outcome)),
        };
        course.renew(allowed(&plan, &verdicts).map(|(_, change)| change)).map_err(EngineError::from)?;
        course.add(allowed(&plan, &verdicts).map(|(stage, change)| (stage, change.clone())));
        let nothing_new = course.is_idle() && facts.is_complete();
        if !course.is_idle() {
            worker.write(course).await?;
        }
        let complete = async {
            while !facts.is_complete() {
                facts.complete(&self.analyst.aws).await;
            }
            facts
        };
        // ← the target is contained here
        let (applied, facts) = futures::join!(worker.apply(course), complete);
        applied?;
        if !nothing_new {
            (plan, verdicts) = match self.analyst.judged(case, &facts, &incident, own) {
                Ok(judged) => judged,
                Err(outcome) => return Ok(case.decision.report(outcome)),
            };
            course.add(allowed(&plan, &verdicts).map(|(stage, change)| (stage, change.clone())));
            worker.write(course).await?;
            worker.finish(course).await?;
        }
        self.report(case, course, &plan, &verdicts).await
    }

    async fn report(
        &self,
        case: &Treatment<'_>,
        course: &Course,
        plan: &Plan,
        verdicts: &[Verdict],
    ) -> Result<Report, Retry> {
        let mut residual = residual(plan);
        residual.push(ResidualRisk {
            way: Way::Unseen,
            text: "nothing looks again whether it stays so: this deployment has no recheck queue".to_owned(),
        });
        let held_back = verdicts.iter().filter(|verdict| !matches!(verdict, Verdict::Contain)).count();
        let open = held_back + residual.iter().filter(|risk| risk.way == Way::Open).count();
        let mut reasons = Vec::new();
        for (change, task) in course.steps() {
            if let State::Failed { why } = &task.state {
                reasons.push(Reason::new("step-failed", format!("{}: {why}", change.shown().key())));
            }
        }
        let kind = if course.steps().next().is_none() {
            withheld(verdicts).kind
        } else {
            outcome(course.steps().map(|(_, task)| &task.state), open)
        };
        reasons.extend(verdicts.iter().filter_map(why).cloned());
        reasons.dedup();
        let mut report = case.decision.report(Outcome::new(kind, reasons));
        report.incident = Some(course.incident().clone());
        report.plan = Some(playbooks::hash(course.steps().map(|(change, _)| change)));
        report.steps =
            course.steps().map(|(change, task)| shown(task.stage, change, &task.state.to_string())).collect();
        let held = plan.steps.iter().zip(verdicts).filter(|(_, verdict)| !matches!(verdict, Verdict::Contain));
        report.steps.extend(held.map(|(step, verdict)| shown(step.stage, &step.change, &waiting(verdict))));
        report.residual = residual;
        if self.already_told(&report).await? {
            report.outcome = Outcome::because(
                OutcomeKind::Joined,
                "nothing-new",
                format!("the target is held by incident {}, and nothing is new", course.incident()),
            );
        }
        Ok(report)
    }

    async fn already_told(&self, report: &Report) -> Result<bool, Retry> {
        let Some(incident) = &report.incident else { return Ok(false) };
        Ok(self.journal.told(incident).await? == Some(Notification::digest(report)))
    }

    /// Tells people, once for each change of an incident's outcome.
    async fn tell(&self, report: &Report) -> Result<(), Retry> {
        let Some(incident) = &report.incident else { return Ok(()) };
        if !Notification::is_due(report) || self.already_told(report).await? {
            return Ok(());
        }
        self.notifier.publish(&Notification::of(report)).await?;
        Ok(self.journal.tell(incident, Notification::digest(report)).await?)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now_millis())
    }
}

fn log(report: &Report) {
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    tracing::info!(
        incident = report.incident.as_ref().map(ToString::to_string).unwrap_or_default(),
        outcome = %report.outcome.kind,
        severity = report.severity.map(|s| s.to_string()).unwrap_or_default(),
        situation = shown(&report.situation),
        playbook = shown(&report.playbook),
        target = shown(&report.target),
        reasons = report.outcome.reasons.iter().map(|r| r.code.as_ref()).collect::<Vec<_>>().join(","),
        steps = report.steps.len(),
        "event judged"
    );
}
