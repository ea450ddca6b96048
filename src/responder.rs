//! The whole story: an event or a recheck comes in, one outcome goes out.

use crate::{
    analyst::{Analyst, SurveyFailed, Surveyed, allowed, nothing_new, plan, residual, shown, waiting, why, withheld},
    aws::INCIDENT,
    clock::Clock,
    decision::{Decision, Treatment},
    domain::{IncidentId, Outcome, OutcomeKind, Reason, Report, ResidualRisk, Timestamp, Way},
    engine::{Course, EngineError, Illegal, State, Worker, outcome},
    guard::{self, Verdict},
    ingest,
    journal::{Claim, Containment, GivenBack, IncidentRecord, Journal, JournalError},
    metrics,
    notify::{Notification, Notifier, NotifyError},
    playbooks::{self, Plan},
    policy::{Mode, Subject},
    recheck::{Rechecks, Sent},
    survey::Facts,
};
use futures::future::Either;
use std::{pin::pin, sync::Arc, time::Duration};

/// How often one delivery looks again because others came in while it worked.
const MOST_TURNS: usize = 5;

pub struct Responder {
    pub analyst: Analyst,
    pub notifier: Arc<dyn Notifier>,
    pub rechecks: Rechecks,
    pub clock: Clock,
}

/// The event could not be brought to an outcome, and a repeat can help.
#[derive(Debug, thiserror::Error)]
pub enum Retry {
    #[error(transparent)]
    Survey(#[from] SurveyFailed),
    #[error("cannot tell people: {0}")]
    Notify(#[from] NotifyError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

/// Why a target is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Occasion {
    Delivery,
    Recheck,
    /// A recheck after an operator approved the plan of that hash.
    Approved(String),
}

impl Responder {
    /// Brings one EventBridge event to its outcome: contains, tells people, logs and counts.
    ///
    /// # Errors
    /// Only where a repeat of the delivery can help.
    pub async fn handle(&self, event: &str, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let report = match self.analyst.decide(ingest::event(event), self.now()) {
            Decision::Ended { judged: None, outcome } => Report::without_finding(outcome),
            Decision::Ended { judged: Some(judged), outcome } => {
                let report = judged.report(outcome);
                if Notification::is_due(&report) {
                    self.journal().open(&judged.incident, None, self.now()).await?;
                    self.tell_once(&report).await?;
                }
                report
            }
            Decision::Treat { treatment, .. } => self.treat(&treatment, &Occasion::Delivery, deadline).await?,
        };
        Ok(self.concluded(report))
    }

    /// Looks at an incident again: finishes what is half done, contains again what was undone, acts on an approval.
    ///
    /// # Errors
    /// Only where a repeat can help.
    pub async fn recheck(&self, incident: &str, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let ended = |code, why: String| Report::without_finding(Outcome::because(OutcomeKind::Ignored, code, why));
        let id = match IncidentId::parse(incident) {
            Ok(id) => id,
            Err(error) => return Ok(self.concluded(ended("no-incident-id", error.to_string()))),
        };
        let Some(record) = self.analyst.journal.incident(&id).await? else {
            return Ok(self.concluded(ended("no-incident", format!("there is no incident `{id}`"))));
        };
        let IncidentRecord { treatment, approved, .. } = record;
        let occasion = match (&treatment, approved) {
            (Some(_), Some(plan)) => Some(Occasion::Approved(plan)),
            (Some(Treatment { mode: Mode::Contain, .. }), None) => Some(Occasion::Recheck),
            _ => None,
        };
        let report = match (treatment, occasion) {
            (Some(treatment), Some(occasion)) => self.treat(&treatment, &occasion, deadline).await?,
            _ => ended("nothing-to-recheck", format!("nothing was changed for incident {id}")),
        };
        Ok(self.concluded(report))
    }

    async fn treat(&self, case: &Treatment, occasion: &Occasion, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let work = async {
            match (case.mode, occasion) {
                (Mode::Contain, _) | (_, Occasion::Approved(_)) => {
                    Box::pin(self.contain(case, occasion, deadline)).await
                }
                (Mode::Observe | Mode::Approve, _) => {
                    let (opened, report) = futures::join!(
                        self.journal().open(&case.incident, Some(case), self.now()),
                        Box::pin(self.analyst.observe(case))
                    );
                    opened?;
                    let report = report?;
                    self.tell_once(&report).await?;
                    self.keep_joined(case, &report).await?;
                    Ok(report)
                }
            }
        };
        INCIDENT.scope(case.incident.clone(), work).await
    }

    async fn contain(
        &self,
        case: &Treatment,
        occasion: &Occasion,
        deadline: Option<Timestamp>,
    ) -> Result<Report, Retry> {
        let key = case.target.key();
        let (claim, opened, mut surveyed) = futures::join!(
            self.journal().claim(&key, &case.incident, self.now()),
            self.journal().open(&case.incident, Some(case), self.now()),
            self.analyst.survey(case),
        );
        let (lease, known, mut inbox) = match claim? {
            Claim::Held { lease, containment, inbox } => (lease, containment, inbox),
            Claim::Joined => {
                let why = "another delivery works on this target and takes this one in";
                let report = case.report(Outcome::because(OutcomeKind::Joined, "worked-on", why));
                opened?;
                self.journal().keep_first(&case.incident, &report).await?;
                return Ok(report);
            }
        };
        let worker = Worker { aws: &self.analyst.aws, journal: self.journal(), lease, clock: &self.clock, deadline };
        let released = released(case, known.as_deref(), occasion);
        let mut course = Course::of(&case.target, &case.incident, known);
        course.join(&inbox);
        let mut answer = opened.err().map(|error| Err(error.into()));
        for _ in 0..MOST_TURNS {
            let result = match (&released, answer.take()) {
                (_, Some(Err(error))) => Err(error),
                (Some(outcome), _) => Ok(case.report(outcome.clone())),
                // What this delivery did is its answer, even if the look for the others finds nothing new.
                (None, Some(Ok(first))) => match self.turn(case, occasion, &worker, &mut course, surveyed).await {
                    Ok(second) if second.outcome.kind == OutcomeKind::Joined => Ok(first),
                    other => other,
                },
                (None, None) => self.turn(case, occasion, &worker, &mut course, surveyed).await,
            };
            answer = Some(result);
            // The lease is given back whatever came of it: a repeat must not wait for it.
            match self.journal().give_back(&worker.lease, &inbox).await {
                // Whoever has the lease now has the inbox too: given back with a lost answer, or slept over after the last write.
                Ok(GivenBack::Yes) | Err(JournalError::LeaseLost(_)) => break,
                Ok(GivenBack::NotYet { inbox: more }) => inbox = more,
                Err(error) => return Err(error.into()),
            }
            course.join(&inbox);
            surveyed = self.analyst.survey(case).await;
        }
        let report = answer.unwrap_or_else(|| Err(JournalError::LeaseLost(key).into()))?;
        self.keep_joined(case, &report).await?;
        Ok(report)
    }

    /// Of an incident that goes on under another's name, or that nobody is told of, there is something to show too.
    async fn keep_joined(&self, case: &Treatment, report: &Report) -> Result<(), Retry> {
        let known_by = report.incident.as_ref().unwrap_or(&case.incident);
        if *known_by != case.incident {
            let joined =
                Outcome::because(OutcomeKind::Joined, "held", format!("the target is held by incident {known_by}"));
            self.journal().keep_first(&case.incident, &case.report(joined)).await?;
        } else if !Notification::is_due(report) {
            self.journal().keep_first(&case.incident, report).await?;
        }
        Ok(())
    }

    /// One look at the target, under the lease: what came of it is told before the lease ends, so nobody tells it twice.
    async fn turn(
        &self,
        case: &Treatment,
        occasion: &Occasion,
        worker: &Worker<'_>,
        course: &mut Course,
        surveyed: Result<Surveyed, SurveyFailed>,
    ) -> Result<Report, Retry> {
        let report = match surveyed? {
            Ok((facts, own)) => self.cut(case, occasion, worker, course, facts, &own).await?,
            Err(outcome) => case.report(outcome),
        };
        self.tell_once(&report).await?;
        Ok(report)
    }

    /// Journal, cut, read back. What comes later than the cut is read beside it, and journalled before it is changed.
    async fn cut(
        &self,
        case: &Treatment,
        occasion: &Occasion,
        worker: &Worker<'_>,
        course: &mut Course,
        mut facts: Facts,
        own: &Subject,
    ) -> Result<Report, Retry> {
        let incident = course.incident().clone();
        let approved = match occasion {
            // An approval binds to the whole plan, so the whole plan must be known first.
            Occasion::Approved(plan) => {
                facts.complete(&self.analyst.aws).await;
                Some(plan.as_str())
            }
            Occasion::Delivery | Occasion::Recheck => None,
        };
        let judged = |facts: &Facts| {
            let plan = plan(case, facts, &incident)?;
            let verdicts = guard::judge(&plan, case.mode, &self.analyst.policy, own, approved);
            Ok::<_, Outcome>((plan, verdicts))
        };
        let (first, verdicts) = match judged(&facts) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.report(outcome)),
        };
        let mut undone = course.renew(allowed(&first, &verdicts).map(|(_, change)| change))?;
        course.add(allowed(&first, &verdicts).map(|(stage, change)| (stage, change.clone())));
        let (due, mut sent, mut early) = (worker.due(course), None, None);
        let mut rest = Box::pin(async {
            facts.complete(&self.analyst.aws).await;
            facts
        });
        let journalled = !course.is_idle();
        if journalled {
            course.note(self.now(), format!("incident {}: plan {} is journalled", case.incident, first.hash()));
            let journal = async { futures::join!(worker.write(course), self.send_rechecks(occasion, &incident)) };
            let (written, messages);
            ((written, messages), early) = beside(journal, &mut rest).await;
            written?;
            sent = messages;
        }
        // Later steps that are known by now are journalled beside the cut; the others after it.
        let known_early = early.as_ref().map(&judged);
        if let Some(Ok((plan, verdicts))) = &known_early {
            undone.extend(course.take_in(&first, allowed(plan, verdicts))?);
        }
        let snapshot = course.containment();
        let write_down = async {
            match known_early.is_some() {
                true => worker.write_down(&snapshot).await,
                false => Ok(()),
            }
        };
        let rest = async {
            match early {
                Some(facts) => facts,
                None => rest.await,
            }
        };
        // ← the target is contained here
        let (answers, written, facts) = futures::join!(worker.send(course, &due), write_down, rest);
        worker.learn(course, &due, answers)?;
        written?;
        let (plan, verdicts) = match judged(&facts) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.report(outcome)),
        };
        undone.extend(course.take_in(&first, allowed(&plan, &verdicts))?);
        worker.adopt(course).await?;
        let acts = journalled || !course.is_idle();
        if acts && !journalled {
            let (written, messages) = futures::join!(worker.write(course), self.send_rechecks(occasion, &incident));
            written?;
            sent = messages;
        } else if acts && known_early.is_none() {
            worker.write(course).await?;
        }
        if acts {
            worker.finish(course).await?;
        }
        let mut report = report(case, course, &plan, &verdicts, &undone, sent);
        report.release = self.journal().is_durable().then(|| format!("cordon release {incident}"));
        if !undone.is_empty() {
            // News, even if all stands as people were told it does; and news still, if telling fails.
            self.journal().conclude(course.incident(), &report, None).await?;
        } else if !acts && self.is_told(&report).await? {
            if course.has_new_holder() {
                worker.write(course).await?;
            }
            let outcome = Outcome::because(OutcomeKind::Joined, "nothing-new", nothing_new(course.incident()));
            return Ok(Report { outcome, ..report });
        }
        Ok(report)
    }

    /// A recheck sends no rechecks: the chain is three messages long.
    async fn send_rechecks(&self, occasion: &Occasion, incident: &IncidentId) -> Option<Sent> {
        match occasion {
            Occasion::Recheck => None,
            Occasion::Delivery | Occasion::Approved(_) => Some(self.rechecks.send(incident).await),
        }
    }

    async fn is_told(&self, report: &Report) -> Result<bool, Retry> {
        let Some(incident) = &report.incident else { return Ok(false) };
        let record = self.journal().incident(incident).await?;
        Ok(record.is_some_and(|record| record.told == Some(Notification::digest(report))))
    }

    /// Tells people, once for each change of an incident's outcome.
    async fn tell_once(&self, report: &Report) -> Result<(), Retry> {
        let Some(incident) = &report.incident else { return Ok(()) };
        if !Notification::is_due(report) || self.is_told(report).await? {
            return Ok(());
        }
        self.notifier.publish(&Notification::of(report)).await?;
        Ok(self.journal().conclude(incident, report, Some(&Notification::digest(report))).await?)
    }

    fn concluded(&self, report: Report) -> Report {
        log(&report);
        metrics::count(&report, self.clock.now_millis());
        report
    }

    fn journal(&self) -> &dyn Journal {
        &*self.analyst.journal
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now_millis())
    }
}

/// How long the cut waits for reads that are about to come, so that what follows from them goes out one round earlier.
const GRACE: Duration = Duration::from_millis(30);

/// Both at once; when `first` is done, `rest` has a moment more, and is left to go on.
async fn beside<A, B>(first: impl Future<Output = A>, rest: &mut (impl Future<Output = B> + Unpin)) -> (A, Option<B>) {
    match futures::future::select(pin!(first), &mut *rest).await {
        Either::Left((done, rest)) => (done, tokio::time::timeout(GRACE, rest).await.ok()),
        Either::Right((come, first)) => (first.await, Some(come)),
    }
}

/// After a release, evidence that is not newer does not contain again.
fn released(case: &Treatment, known: Option<&Containment>, occasion: &Occasion) -> Option<Outcome> {
    let known = known.filter(|known| known.is_over())?;
    let released = known.released?;
    if *occasion == Occasion::Delivery && case.evidence_from.is_some_and(|from| from > released) {
        return None;
    }
    let why = format!("the target was released at {released}, and nothing newer is known against it");
    let kind = if *occasion == Occasion::Delivery { OutcomeKind::Observed } else { OutcomeKind::Ignored };
    Some(Outcome::because(kind, "released-since", why))
}

/// What is told of a containment: from what was seen of its steps, and from what was held back or stays open.
fn report(
    case: &Treatment,
    course: &Course,
    plan: &Plan,
    verdicts: &[Verdict],
    undone: &[String],
    sent: Option<Sent>,
) -> Report {
    let mut residual = residual(plan);
    if let Some(Sent::NotAll(why)) = sent {
        let text = format!("nothing looks again whether it stays so: {why}");
        residual.push(ResidualRisk { way: Way::Unseen, text });
    }
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
    let hash = match course.steps().next() {
        None => plan.hash(),
        Some(_) => playbooks::hash(course.steps().map(|(change, _)| change)),
    };
    Report {
        incident: Some(course.incident().clone()),
        plan: Some(hash),
        steps: steps.chain(held.map(|(step, verdict)| shown(step.stage, &step.change, &waiting(verdict)))).collect(),
        residual,
        ..case.report(Outcome::new(kind, reasons))
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
