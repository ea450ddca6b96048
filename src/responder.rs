//! The whole story: an event comes in, one outcome goes out.

use crate::{
    analyst::{
        Analyst, SurveyFailed, Treatment, allowed, nothing_new, residual, shown, treatment, waiting, why, withheld,
    },
    aws::INCIDENT,
    clock::Clock,
    decision::Decision,
    domain::{Outcome, OutcomeKind, Reason, Report, ResidualRisk, Timestamp, Way},
    engine::{Course, EngineError, Illegal, State, Worker, outcome},
    guard::Verdict,
    ingest,
    journal::{Claim, GivenBack, JournalError},
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
    #[error(transparent)]
    Illegal(#[from] Illegal),
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
            self.analyst.journal.claim(&key, &case.judged.incident, self.now()),
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
        let worker =
            Worker { aws: &self.analyst.aws, journal: &*self.analyst.journal, lease, clock: &self.clock, deadline };
        let mut course = Course::of(case.target, &case.judged.incident, containment);
        let mut surveyed = self.analyst.ours(case, facts, identity);
        for _ in 0..MOST_TURNS {
            let report = match surveyed {
                Ok(Ok((facts, own))) => self.cut(case, &worker, &mut course, facts, &own).await,
                Ok(Err(outcome)) => Ok(case.decision.report(outcome)),
                Err(failed) => Err(failed.into()),
            };
            // The lease is given back whatever came of it: a repeat must not wait for it.
            match self.analyst.journal.give_back(&worker.lease, inbox).await? {
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

    /// Journal, cut, read back. What comes later than the cut is read beside it, and journalled before it is changed.
    async fn cut(
        &self,
        case: &Treatment<'_>,
        worker: &Worker<'_>,
        course: &mut Course,
        mut facts: Facts,
        own: &Subject,
    ) -> Result<Report, Retry> {
        let incident = course.incident().clone();
        let (first, verdicts) = match self.analyst.judged(case, &facts, &incident, own) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.decision.report(outcome)),
        };
        let mut undone = course.renew(allowed(&first, &verdicts).map(|(_, change)| change))?;
        course.add(allowed(&first, &verdicts).map(|(stage, change)| (stage, change.clone())));
        let mut acts = !course.is_idle();
        if acts {
            worker.write(course).await?;
        }
        // ← the target is contained here
        let (applied, ()) = futures::join!(worker.apply(course), self.analyst.complete(&mut facts));
        applied?;
        let (plan, verdicts) = match self.analyst.judged(case, &facts, &incident, own) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.decision.report(outcome)),
        };
        let cut: Vec<String> = first.steps.iter().map(|step| step.change.shown().key()).collect();
        let later = || allowed(&plan, &verdicts).filter(|(_, change)| !cut.contains(&change.shown().key()));
        undone.extend(course.renew(later().map(|(_, change)| change))?);
        course.add(later().map(|(stage, change)| (stage, change.clone())));
        acts |= !course.is_idle();
        if acts {
            worker.write(course).await?;
            worker.finish(course).await?;
        }
        let report = report(case, course, &plan, &verdicts, &undone);
        if !undone.is_empty() {
            // News, even if all stands as people were told it does; and news still, if telling fails.
            self.analyst.journal.tell(course.incident(), String::new()).await?;
        } else if !acts && self.already_told(&report).await? {
            let why = nothing_new(course.incident());
            return Ok(Report { outcome: Outcome::because(OutcomeKind::Joined, "nothing-new", why), ..report });
        }
        Ok(report)
    }

    async fn already_told(&self, report: &Report) -> Result<bool, Retry> {
        let Some(incident) = &report.incident else { return Ok(false) };
        Ok(self.analyst.journal.told(incident).await? == Some(Notification::digest(report)))
    }

    /// Tells people, once for each change of an incident's outcome.
    async fn tell(&self, report: &Report) -> Result<(), Retry> {
        let Some(incident) = &report.incident else { return Ok(()) };
        if !Notification::is_due(report) || self.already_told(report).await? {
            return Ok(());
        }
        self.notifier.publish(&Notification::of(report)).await?;
        Ok(self.analyst.journal.tell(incident, Notification::digest(report)).await?)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now_millis())
    }
}

/// What is told of a containment: from what was seen of its steps, and from what was held back or stays open.
fn report(case: &Treatment<'_>, course: &Course, plan: &Plan, verdicts: &[Verdict], undone: &[String]) -> Report {
    let mut residual = residual(plan);
    let no_recheck = "nothing looks again whether it stays so: this deployment has no recheck queue";
    residual.push(ResidualRisk { way: Way::Unseen, text: no_recheck.to_owned() });
    let held_back = verdicts.iter().filter(|verdict| !matches!(verdict, Verdict::Contain)).count();
    let open = held_back + residual.iter().filter(|risk| risk.way == Way::Open).count();
    let mut reasons: Vec<Reason> =
        undone.iter().map(|what| Reason::new("contained-again", format!("somebody had undone it: {what}"))).collect();
    for (change, task) in course.steps() {
        if let State::Failed { why } = &task.state {
            reasons.push(Reason::new("step-failed", format!("{}: {why}", change.shown().key())));
        }
    }
    let kind = match course.steps().next() {
        None => withheld(verdicts).kind,
        Some(_) => outcome(course.steps().map(|(_, task)| &task.state), open),
    };
    reasons.extend(verdicts.iter().filter_map(why).cloned());
    reasons.dedup();
    let held = plan.steps.iter().zip(verdicts).filter(|(_, verdict)| !matches!(verdict, Verdict::Contain));
    let steps = course.steps().map(|(change, task)| shown(task.stage, change, &task.state.to_string()));
    Report {
        incident: Some(course.incident().clone()),
        plan: Some(playbooks::hash(course.steps().map(|(change, _)| change))),
        steps: steps.chain(held.map(|(step, verdict)| shown(step.stage, &step.change, &waiting(verdict)))).collect(),
        residual,
        ..case.decision.report(Outcome::new(kind, reasons))
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
