//! The whole story: an event or a recheck comes in, one outcome goes out.

mod contain;
mod operators;
mod passage;
mod sensors;
mod several;
mod sweep;
mod told;

pub use sweep::Swept;

use crate::{
    analyst::{Analyst, SurveyFailed},
    aws::{AwsError, INCIDENT},
    clock::Clock,
    decision::{Decision, Sensed, Treatment},
    domain::{IncidentId, Outcome, OutcomeKind, Report, Timestamp, fingerprint},
    engine::{EngineError, Illegal},
    ingest::{self, Ingested},
    journal::{Approval, IncidentRecord, Journal, JournalError, Question, Rejected, UnreadSince},
    metrics,
    notify::{News, Notification, Notifier, NotifyError, stem, unread},
    policy::{Mode, Rules, Trouble},
    recheck::Rechecks,
    rulebook::trouble_mark,
    triage::NOT_NAMED,
    watch::SenseError,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

pub struct Responder {
    pub analyst: Analyst,
    pub notifier: Arc<dyn Notifier>,
    pub rechecks: Rechecks,
    pub clock: Clock,
    /// How the names of the event rules begin by which Cordon gets its events.
    pub event_rules: Option<String>,
}

/// The event could not be brought to an outcome, and a repeat can help.
#[derive(Debug, thiserror::Error)]
pub enum Retry {
    #[error(transparent)]
    Survey(#[from] SurveyFailed),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("cannot tell people: {0}")]
    Notify(#[from] NotifyError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Sense(#[from] SenseError),
    #[error(transparent)]
    Illegal(#[from] Illegal),
    #[error("the policy was changed while the event was judged by it")]
    RulesChanged,
}

/// How often an event is judged anew because the rules are others than those that it was judged by.
const MOST_RULES: usize = 3;
/// So long looks may fail before people hear of it, where that is all there is to say.
const UNREAD_FOR: Duration = Duration::from_secs(30 * 60);
/// How much of it is kept and logged: whoever makes sessions all day must not fill the incident's item.
const MOST_UNREAD: usize = 10;

/// For so long people are not told again of the same trouble.
const TROUBLE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a target is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Occasion {
    Delivery,
    Recheck,
    /// A recheck after an operator approved a plan, or more.
    Approved(Approval),
}

impl Responder {
    /// Brings one EventBridge event to its outcome: contains, tells people, logs and counts.
    ///
    /// # Errors
    /// Only where a repeat of the delivery can help.
    pub async fn handle(&self, event: &str, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        self.handle_ingested(ingest::event(event), deadline).await
    }

    /// The same for an event of a queue. GuardDuty's findings, by which instances and principals are contained, come straight from EventBridge.
    ///
    /// # Errors
    /// Only where a repeat of the message can help.
    pub async fn handle_queued(&self, event: &str, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let ingested = match ingest::event(event) {
            Ingested::Finding(_) | Ingested::Health(_) | Ingested::Scan(_) => {
                let why = "findings of GuardDuty and AWS Health come straight from EventBridge, never through a queue";
                Ingested::Ended(Outcome::because(OutcomeKind::Ignored, "finding-from-a-queue", why))
            }
            other => other,
        };
        self.handle_ingested(ingested, deadline).await
    }

    async fn handle_ingested(&self, ingested: Ingested, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        // What ends before a target is surveyed is judged by the rules in force too; a finding of GuardDuty reads them beside its survey.
        if !matches!(ingested, Ingested::Finding(_) | Ingested::Ended(_))
            && let Err(error) = self.analyst.rules.read().await
        {
            tracing::error!(%error, "judged by the rules that are known");
        }
        let is_evaluation = matches!(ingested, Ingested::Evaluation(_));
        let sensed = self.analyst.sense(ingested).await?;
        let report = self.handle_sensed(sensed, deadline).await?;
        let is_unnamed = report.outcome.reasons.iter().any(|reason| reason.code == NOT_NAMED);
        if is_evaluation
            && is_unnamed
            && let Err(error) = self.look_for_unnamed(&report, deadline).await
        {
            tracing::error!(%error, "sensors are looked at by the next sweep");
        }
        Ok(report)
    }

    async fn handle_sensed(&self, sensed: Sensed, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        for _ in 0..MOST_RULES {
            match self.handle_by_last_rules(sensed.clone(), deadline).await {
                // What it was judged by is not what is in force.
                Err(Retry::RulesChanged) => {}
                other => {
                    self.tell_trouble().await;
                    return other;
                }
            }
        }
        Err(Retry::RulesChanged)
    }

    async fn handle_by_last_rules(&self, sensed: Sensed, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let report = match self.analyst.decide(sensed, self.now()) {
            Decision::Ended { judged: None, outcome } => Report::without_finding(outcome),
            Decision::Ended { judged: Some(judged), outcome } => {
                // That nothing is to be done is judged by the rules in force too: the policy may list what would be done.
                let judged_by = self.analyst.rules.last().stamp();
                match self.analyst.rules.read().await {
                    Ok(rules) if rules.stamp() != judged_by => return Err(Retry::RulesChanged),
                    Ok(_) => {}
                    Err(error) => tracing::error!(%error, "judged by the rules that are known"),
                }
                let report = judged.report(outcome);
                if Notification::is_due(&report) {
                    self.journal().open(&judged.incident, None, self.now()).await?;
                    if !self.tell_once(&report).await? {
                        // Told before, and seen again: the digest says how often.
                        self.count(&report).await;
                    }
                }
                report
            }
            Decision::Treat { treatment, .. } if treatment.also.is_empty() => {
                self.treat(&treatment, &Occasion::Delivery, deadline).await?
            }
            Decision::Treat { treatment, .. } => {
                let parts = treatment.parts().into_iter().map(|part| (part, Occasion::Delivery));
                self.treat_all(&treatment, parts.collect(), deadline).await?
            }
        };
        Ok(self.concluded(report).await)
    }

    /// Looks at an incident again: finishes what is half done, contains again what was undone, acts on an approval.
    ///
    /// # Errors
    /// Only where a repeat can help.
    pub async fn recheck(&self, incident: &str, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let ended = |code, why: String| Report::without_finding(Outcome::because(OutcomeKind::Ignored, code, why));
        let id = match IncidentId::parse(incident) {
            Ok(id) => id,
            Err(error) => return Ok(self.concluded(ended("no-incident-id", error.to_string())).await),
        };
        let Some(record) = self.analyst.journal.incident(&id).await? else {
            return Ok(self.concluded(ended("no-incident", format!("there is no incident `{id}`"))).await);
        };
        let nothing = || ended("nothing-to-recheck", format!("nothing was changed for incident {id}"));
        let told_nobody = record.at.is_none();
        let IncidentRecord { treatment, approval, rejected, .. } = record;
        let Some(case) = treatment else { return Ok(self.concluded(nothing()).await) };
        let mut parts = Vec::new();
        for part in case.parts() {
            let known = self.journal().read(&part.target.key()).await?;
            let is_held = known.is_some_and(|known| known.released.is_none() && !known.is_over());
            parts.push((part, is_held));
        }
        let any_held = parts.iter().any(|(_, is_held)| *is_held);
        let rules = match self.analyst.rules.read().await {
            Ok(rules) => rules,
            // What is held is looked after whatever else does not answer.
            Err(error) if any_held => {
                tracing::error!(%error, "by the rules that are known");
                self.analyst.rules.last()
            }
            Err(error) => return Err(error.into()),
        };
        // An approval that nobody acted on in its time is none.
        let approval = approval.current(rules.policy.approval_expiry(), self.now());
        let is_over = rejected.is_some_and(|no| case.targets().all(|target| no.is_about(target)));
        if is_over && approval.is_empty() && !any_held {
            return Ok(self.concluded(ended("rejected", format!("an operator rejected incident {id}"))).await);
        }
        let looks = parts.into_iter().filter_map(|(mut part, is_held)| {
            self.cap(&mut part, &rules, is_held, &approval);
            let occasion = match approval.is_empty() {
                false => Occasion::Approved(approval.clone()),
                true if is_held || part.mode == Mode::Contain => Occasion::Recheck,
                // Nobody was told of it, and it would only be asked about by now: as if it came just now.
                true if told_nobody => {
                    part.rules = rules.stamp();
                    Occasion::Delivery
                }
                true => return None,
            };
            Some((part, occasion))
        });
        let looks: Vec<(Treatment, Occasion)> = looks.collect();
        let report = match looks.as_slice() {
            [] => return Ok(self.concluded(nothing()).await),
            [(part, occasion)] if case.also.is_empty() => self.treat(part, occasion, deadline).await?,
            _ => self.treat_all(&case, looks, deadline).await?,
        };
        self.tell_trouble().await;
        Ok(self.concluded(report).await)
    }

    /// What was allowed when it was judged may not be any more; what is held is looked after in any case.
    fn cap(&self, case: &mut Treatment, rules: &Rules, is_held: bool, approval: &Approval) {
        case.mode = case.mode.min(self.analyst.ceiling);
        if is_held {
            return;
        }
        let now_allowed = rules.at_most(self.now()).min(case.allowed_by(&rules.policy));
        // An approval is given knowing what holds it back.
        case.mode = case.mode.min(if approval.is_empty() { now_allowed } else { now_allowed.max(Mode::Approve) });
        if rules.policy.is_stale(case.judged, self.now()) {
            case.mode = case.mode.min(Mode::Approve);
        }
    }

    async fn treat(&self, case: &Treatment, occasion: &Occasion, deadline: Option<Timestamp>) -> Result<Report, Retry> {
        let work = async {
            match (case.mode, occasion) {
                (Mode::Contain, _) | (_, Occasion::Approved(_) | Occasion::Recheck) => {
                    Box::pin(self.contain(case, occasion, deadline)).await
                }
                (Mode::Observe | Mode::Approve, Occasion::Delivery) => {
                    let key = case.target.key();
                    let (rules, opened, known, report) = futures::join!(
                        self.analyst.rules.read(),
                        self.journal().open(&case.incident, Some(case.whole()), self.now()),
                        self.journal().read(&key),
                        Box::pin(self.analyst.observe(case))
                    );
                    if rules?.stamp() != case.rules {
                        return Err(Retry::RulesChanged);
                    }
                    let whole = opened?.treatment.filter(|whole| case.part_of.is_none() && whole.targets().count() > 1);
                    let report = match whole {
                        // Other events of the incident named others: people are shown, and asked about, all of them.
                        Some(whole) if case.also.is_empty() => match self.stand(&whole).await {
                            Ok(whole) => whole,
                            Err(error) => {
                                tracing::error!(%error, "people are shown this target alone");
                                report?
                            }
                        },
                        // Nor is a person asked again about what was released, and of which nothing newer is known.
                        _ => match (report?, contain::released(case, known?.as_ref(), occasion)) {
                            (asks, Some(outcome)) if asks.is_waiting() => {
                                let report = case.report(outcome);
                                if case.part_of.is_none() {
                                    self.journal().keep_first(&case.incident, &report).await?;
                                }
                                return Ok(report);
                            }
                            (report, _) => report,
                        },
                    };
                    let report = self.unless_rejected(case, report).await?;
                    let report = self.unless_asked_already(case, report).await?;
                    // Of a part people hear with the whole.
                    if case.part_of.is_none() {
                        self.tell_once(&report).await?;
                        self.keep_joined(case, &report).await?;
                    }
                    Ok(report)
                }
            }
        };
        INCIDENT.scope(case.incident.clone(), work).await
    }

    /// One question for all that would ask the same, and one message where Cordon only looks: several regions report one principal, several
    /// findings one target.
    async fn unless_asked_already(&self, case: &Treatment, report: Report) -> Result<Report, Retry> {
        let is_look =
            report.outcome.kind == OutcomeKind::Observed && !report.steps.is_empty() && Notification::is_due(&report);
        if !is_look && report.outcome.kind != OutcomeKind::AwaitingApproval {
            return Ok(report);
        }
        // The same things; the plan's own hash names the incident.
        let things: BTreeSet<String> =
            report.steps.iter().map(|step| format!("{} {}", step.action, step.target)).collect();
        let things = fingerprint(&things.into_iter().collect::<Vec<_>>().join("\n"));
        let severity = report.severity.map_or(0, |severity| severity as u8 + 1);
        let question = Question { incident: case.incident.clone(), things, severity };
        let key = case.target.key();
        let mut other = self.journal().ask(&key, &question, None, self.now()).await?;
        if let Some(asks) = &other {
            let record = self.journal().incident(asks).await?;
            let stands = |record: IncidentRecord| record.is_waiting() || (is_look && record.told.is_some());
            if !record.is_some_and(stands) {
                other = self.journal().ask(&key, &question, Some(asks), self.now()).await?;
            }
        }
        let Some(asks) = other else { return Ok(report) };
        let (code, how) = if is_look { ("told-already", "know of") } else { ("asked-already", "are asked about") };
        if is_look {
            // The digest says how often.
            self.count(&report).await;
        }
        let why = format!("people {how} the same things already, by incident {asks}");
        let joined = case.report(Outcome::because(OutcomeKind::Joined, code, why));
        if case.part_of.is_none() {
            self.journal().keep_first(&case.incident, &joined).await?;
        }
        Ok(joined)
    }

    /// A plan that a person rejected is not asked about again.
    async fn unless_rejected(&self, case: &Treatment, report: Report) -> Result<Report, Retry> {
        if !report.is_waiting() {
            return Ok(report);
        }
        let Some(record) = self.journal().incident(&case.incident).await? else { return Ok(report) };
        let is_it = |rejected: &Rejected| {
            // A look that failed plans less of it.
            let is_less = || unread(&report).next().is_some() && rejected.covers(&report, record.report.as_ref());
            report.plan.as_ref() == Some(&rejected.plan) || is_less()
        };
        match record.rejected.as_ref().filter(|rejected| is_it(rejected)) {
            Some(rejected) if report.outcome.kind != OutcomeKind::AwaitingApproval => Ok(rejected.taken_out_of(report)),
            Some(rejected) => {
                let why = format!("{} rejected this plan at {}: {}", rejected.by, rejected.at, rejected.because);
                Ok(Report { outcome: Outcome::because(OutcomeKind::Joined, "rejected", why), ..report })
            }
            None => Ok(report),
        }
    }

    /// Whether people know it already, or need not hear of it yet: that something could not be looked up is kept, and told if it stays so.
    async fn is_told(&self, report: &Report) -> Result<bool, Retry> {
        let Some(incident) = &report.incident else { return Ok(false) };
        let Some(record) = self.journal().incident(incident).await? else { return Ok(false) };
        let (Some(known), Some(_)) = (&record.report, &record.told) else { return Ok(false) };
        let news = News::of(report, known);
        if news != News::Unread {
            // What people were told could not be looked up may stay so.
            if record.unread.is_some() && (news == News::Something || unread(report).next().is_none()) {
                self.journal().set_unread(incident, None).await?;
            }
            return Ok(news == News::Nothing);
        }
        // The next look may give it; people hear of what stays so.
        let mut kept = record.unread.clone().unwrap_or(UnreadSince { since: self.now(), what: Vec::new() });
        for what in unread(report) {
            if kept.what.len() < MOST_UNREAD && !kept.what.iter().any(|known| stem(known) == stem(what)) {
                kept.what.push(what.to_owned());
            }
        }
        let UnreadSince { since, what } = &kept;
        tracing::warn!(%incident, %since, ?what, "not all could be looked up");
        if record.unread.as_ref() != Some(&kept) {
            self.journal().set_unread(incident, Some(&kept)).await?;
        }
        Ok(since.age(self.now()).is_none_or(|age| age < UNREAD_FOR))
    }

    /// Tells people, once for each change of an incident's outcome. Returns whether they were told now.
    async fn tell_once(&self, report: &Report) -> Result<bool, Retry> {
        if report.incident.is_none() || !Notification::is_due(report) || self.is_told(report).await? {
            return Ok(false);
        }
        self.tell(report).await
    }

    /// Tells people. What could not be sent is kept, and the next recheck or sweep sends it.
    async fn tell(&self, report: &Report) -> Result<bool, Retry> {
        let Some(incident) = &report.incident else { return Ok(false) };
        let digest = match self.notifier.publish(&Notification::of(report)).await {
            Ok(()) => Some(Notification::digest(report)),
            Err(error) if self.journal().is_durable() => {
                tracing::error!(%incident, %error, "people could not be told yet");
                None
            }
            Err(error) => return Err(error.into()),
        };
        self.keep(incident, report, digest.as_deref()).await?;
        Ok(digest.is_some())
    }

    /// Keeps the report in place of the last one; a later look does not look into the past again.
    async fn keep(&self, incident: &IncidentId, report: &Report, told: Option<&str>) -> Result<(), Retry> {
        let mut kept = report.clone();
        if kept.investigation.is_none() {
            let known = self.journal().incident(incident).await?.and_then(|record| record.report);
            kept.investigation = known.and_then(|report| report.investigation);
        }
        Ok(self.journal().conclude(incident, &kept, told, self.now()).await?)
    }

    /// That Cordon was paused, or goes on, once each.
    async fn tell_pause(&self) {
        let rules = self.analyst.rules.last();
        let Some(pause) = &rules.pause else { return };
        let mark = format!("pause#{}#{}", pause.at, if pause.resumed_by.is_some() { "resumed" } else { "paused" });
        // What was over before anybody looked is old news, but news.
        if pause.end().age(self.now()).is_none_or(|age| age <= TROUBLE_KEPT) {
            self.tell_marked(&mark, &Notification::of_pause(pause)).await;
        }
    }

    /// What is wrong with the policy or with rules, once a day each.
    async fn tell_trouble(&self) {
        if let Some(trouble) = &self.analyst.rules.last().trouble {
            tracing::error!(what = trouble.what, "policy trouble");
            self.tell_marked(&trouble_mark(trouble, self.now()), &Notification::of_trouble(&trouble.what)).await;
        }
        let errors: Vec<String> = self.analyst.watch.errors().iter().map(ToString::to_string).collect();
        if !errors.is_empty() {
            let trouble =
                Trouble { about: fingerprint(&errors.join("\n")), what: errors.join("\n"), at_most: Mode::Contain };
            self.tell_marked(&trouble_mark(&trouble, self.now()), &Notification::of_broken_rules(&errors)).await;
        }
    }

    /// Marked once it was sent: better told twice than never.
    async fn tell_marked(&self, mark: &str, notification: &Notification) {
        if self.journal().is_marked(mark).await.unwrap_or(false) {
            return;
        }
        match self.notifier.publish(notification).await {
            Ok(()) => drop(self.journal().mark(mark, TROUBLE_KEPT, self.now()).await),
            Err(error) => tracing::error!(%error, mark, "people could not be told of it"),
        }
    }

    async fn concluded(&self, report: Report) -> Report {
        self.count_for_digest(&report).await;
        log(&report);
        metrics::count(&report, self.clock.now_millis());
        report
    }

    /// Whether less than that is left.
    pub fn is_past(&self, deadline: Timestamp, needs: Duration) -> bool {
        deadline < self.now().plus(needs)
    }

    fn journal(&self) -> &dyn Journal {
        &*self.analyst.journal
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
