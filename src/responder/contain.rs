//! Containing one target under its lease: look, journal, cut, read back, and look again for those who came meanwhile.

use super::{
    Occasion, Responder, Retry,
    operators::{Places, Undoers},
    told::{after_passage, changed_since, held_back, name_undoers, report},
};
use crate::{
    analyst::{Survey, SurveyFailed, Surveyed, allowed, nothing_new, plan},
    decision::Treatment,
    domain::{IncidentId, Outcome, OutcomeKind, Reason, Report, ResidualRisk, Target, Timestamp, Way},
    engine::{Course, Looks, May, Worker},
    guard::{self, Verdict},
    journal::{Approval, Claim, Containment, GivenBack, Inbox, IncidentRecord, JournalError, joined},
    notify::Notification,
    playbooks::{CUT, Plan, PlannedStep},
    policy::Mode,
    recheck::Sent,
    survey::{Facts, Surroundings},
};
use futures::future::Either;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

/// With more in the inbox of whoever holds the lease, a recheck is not put back again.
const MOST_WAITING: usize = 5;

/// How often one delivery looks again because others came in while it worked.
const MOST_TURNS: usize = 5;

impl Responder {
    pub(super) async fn contain(
        &self,
        case: &Treatment,
        occasion: &Occasion,
        deadline: Option<Timestamp>,
    ) -> Result<Report, Retry> {
        let (key, since) = (case.target.key(), self.now());
        let (rules, claim, opened, mut surveyed) = futures::join!(
            self.analyst.rules.read(),
            self.journal().claim(&key, &case.incident, since),
            self.enter(case, occasion),
            self.analyst.survey(case),
        );
        let (lease, known, mut inbox) = match claim? {
            Claim::Held { lease, containment, inbox } => (lease, containment, inbox),
            Claim::Joined { waiting } => {
                let why = "another delivery works on this target and takes this one in";
                let report = case.report(Outcome::because(OutcomeKind::Joined, "worked-on", why));
                opened?;
                if *occasion != Occasion::Delivery {
                    if let Ok(Ok(Survey { facts: Facts::Instance(instance), .. })) = &surveyed {
                        self.close_what_is_open(instance).await?;
                    }
                    // Nobody knows whether the holder still lives. What waits in his inbox counts how often this was done.
                    if waiting <= MOST_WAITING {
                        self.rechecks.send_later(&case.incident).await.map_err(SurveyFailed::from)?;
                    }
                }
                if case.part_of.is_none() {
                    self.journal().keep_first(&case.incident, &report).await?;
                }
                return Ok(report);
            }
        };
        let aws = &*self.analyst.aws;
        let changed = match rules {
            Ok(rules) => Ok(*occasion == Occasion::Delivery && rules.stamp() != case.rules),
            // What is held or half done is looked after by the rules that are known; without any, nothing new is done.
            Err(_) if *occasion != Occasion::Delivery => Ok(false),
            Err(error) => Err(error),
        };
        if !matches!(changed, Ok(false)) {
            loop {
                match self.journal().give_back(&lease, &inbox).await {
                    Ok(GivenBack::NotYet { inbox: more }) => inbox = more,
                    // Whoever has the lease now has the inbox too.
                    Ok(GivenBack::Yes) | Err(JournalError::LeaseLost(_)) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if changed.is_err() {
                // Lambda's repeat comes after a minute, these sooner.
                self.rechecks.send(&case.incident).await;
            }
            let answer = Err(changed.map_or_else(Retry::from, |_| Retry::RulesChanged));
            self.hand_over(case, &answer, &inbox).await;
            return answer;
        }
        // Where the claim took its time, another may have contained it since the account was read: what he did would look undone.
        let last = known.as_ref().and_then(|known| known.timeline.last());
        if last.is_some_and(|entry| entry.at >= since) {
            surveyed = self.analyst.survey(case).await;
        }
        // What a person rejected is not done unattended, whatever has changed since.
        let says_no = |record: &IncidentRecord| record.rejected.as_ref().is_some_and(|no| no.is_about(&case.target));
        let is_rejected = opened.as_ref().is_ok_and(says_no);
        let asked_first = Treatment { mode: case.mode.min(Mode::Approve), ..case.clone() };
        let case = if is_rejected { &asked_first } else { case };
        let worker = Worker::new(aws, self.journal(), &self.clock, lease, since, deadline, May::Tighten);
        // What is not recorded would be looked after and released by nobody.
        let no_room = |record: &IncidentRecord| record.treatment.as_ref().is_some_and(|whole| !whole.has(&case.target));
        let no_room = opened.as_ref().is_ok_and(no_room).then(|| {
            let why = format!(
                "incident {} has as many targets as it takes: contain this one by `cordon contain`",
                case.incident
            );
            Outcome::because(OutcomeKind::NotContained, "too-many-targets", why)
        });
        let is_unlisted = no_room.is_some();
        let released = no_room.or_else(|| released(case, known.as_deref(), occasion));
        let looks = if *occasion == Occasion::Recheck { Looks::Again } else { Looks::Anew };
        let mut course = Course::of(&case.target, &case.incident, known, looks);
        course.join(&inbox);
        if surveyed.is_err() && *occasion == Occasion::Delivery {
            // Lambda's repeat comes after a minute, these sooner.
            self.rechecks.send(&case.incident).await;
        }
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
        let answer = answer.unwrap_or_else(|| Err(JournalError::LeaseLost(key).into()));
        self.hand_over(case, &answer, &inbox).await;
        let report = answer?;
        if is_unlisted {
            // Beside the incident's own report, which is about those that it has.
            let day = self.now().millis().div_euclid(86_400_000);
            self.tell_marked(&format!("no-room#{}#{day}", case.incident), &Notification::of(&report)).await;
        }
        self.keep_joined(case, &report).await?;
        Ok(report)
    }

    /// Those who joined a look that contained nothing get one of their own: their evidence may be newer, or more may be allowed for it.
    async fn hand_over(&self, case: &Treatment, answer: &Result<Report, Retry>, inbox: &Inbox) {
        let contained = |report: &Report| {
            matches!(
                report.outcome.kind,
                OutcomeKind::Contained | OutcomeKind::PartiallyContained | OutcomeKind::Joined
            )
        };
        // What an event says of a group is what it opened; another event opened something else.
        let says_more = matches!(case.target, Target::SecurityGroup { .. }) || case.made_key.is_some();
        if answer.as_ref().is_ok_and(contained) && !says_more {
            return;
        }
        for incident in joined(inbox).filter(|incident| *incident != case.incident) {
            if let Err(error) = self.rechecks.send_now(&incident).await {
                tracing::error!(%incident, %error, "a delivery that joined is looked at by nobody");
            }
        }
    }

    /// Of an incident that goes on under another's name, or that nobody is told of, there is something to show too.
    pub(super) async fn keep_joined(&self, case: &Treatment, report: &Report) -> Result<(), Retry> {
        // Of a part people hear with the whole.
        if case.part_of.is_some() {
            return Ok(());
        }
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
            Ok(survey) => self.cut(case, occasion, worker, course, survey).await?,
            Err(outcome) => self.without_facts((case, occasion), worker, course, outcome).await?,
        };
        if case.part_of.is_none() {
            self.tell_once(&report).await?;
        }
        Ok(report)
    }

    /// The target is away, or cannot be read. What is held of it is still held, and is looked at by itself.
    async fn without_facts(
        &self,
        (case, occasion): (&Treatment, &Occasion),
        worker: &Worker<'_>,
        course: &mut Course,
        outcome: Outcome,
    ) -> Result<Report, Retry> {
        if course.is_empty() {
            return Ok(case.report(outcome));
        }
        let (undone, undoers) = self.look_after((case, occasion), worker, course, &Plan::default()).await?;
        worker.write(course).await?;
        worker.finish(course).await?;
        let mut stands = report(case, course, &Plan::default(), &[], &undone, None);
        name_undoers(&mut stands, &undoers);
        let reasons = outcome.reasons.into_iter().chain(stands.outcome.reasons.iter().cloned()).collect();
        Ok(Report { outcome: Outcome::new(stands.outcome.kind, reasons), ..stands })
    }

    /// Journal, cut, read back. What guards must know beyond the survey is read beside the journal write; what comes later than the
    /// cut is read beside the cut. Everything is journalled before it is changed.
    async fn cut(
        &self,
        case: &Treatment,
        occasion: &Occasion,
        worker: &Worker<'_>,
        course: &mut Course,
        survey: Survey,
    ) -> Result<Report, Retry> {
        let Survey { mut facts, own, doubts, made, is_made } = survey;
        let (aws, incident) = (&*self.analyst.aws, course.incident().clone());
        // An approval binds to the whole plan, so the whole plan must be known first; a recheck has the time.
        if *occasion != Occasion::Delivery {
            facts.complete(aws, &incident).await;
        }
        let approval = match occasion {
            Occasion::Approved(approval) => approval.clone(),
            Occasion::Delivery | Occasion::Recheck => Approval::default(),
        };
        if let Some(error) = facts.passing() {
            return Err(SurveyFailed::from(error.clone()).into());
        }
        let (held, is_new) = (course.held(), course.is_empty());
        let none = BTreeMap::new();
        let offers: BTreeMap<String, String> =
            approval.offers.iter().map(|(name, approved)| (name.clone(), approved.hash.clone())).collect();
        let rules = self.analyst.rules.last();
        let judged = |facts: &Facts, over: &[Reason]| {
            let mut plan = plan(case, facts, &incident, &rules.policy, made.as_ref())?;
            plan.approval.extend(doubts.iter().chain(over).cloned());
            // What goes further than the plan is done with the plan or after it, never before.
            let hash = plan.hash();
            let approved = approval.plan.as_ref().filter(|approved| approved.names(&hash)).map(|_| hash.as_str());
            let begun = !held.is_empty() || approved.is_some();
            plan.take_in(if begun { &offers } else { &none });
            let verdicts = guard::judge(&plan, case.mode, &rules, &own, approved);
            let verdicts = finish_what_is_held(&plan, verdicts, &held);
            Ok::<_, Outcome>((plan, verdicts))
        };
        let (first, verdicts) = match judged(&facts, &[]) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.report(outcome)),
        };
        // Whoever approves knows the limits; what was begun is finished.
        let is_approved = approval.plan.as_ref().is_some_and(|approved| approved.names(&first.hash()));
        let costs = case.mode == Mode::Contain && !is_approved && !course.is_begun();
        // What a person asked for is looked after as what was found: three times, and no more for each look.
        let begins = is_new || first.steps.iter().any(|step| step.is_asked_for && !course.knows(&step.change));
        let mut undoers = Undoers::new();
        if *occasion != Occasion::Delivery {
            let drifted = course.drifted(allowed(&first, &verdicts), self.now());
            undoers = self.leave_to_operators(course, &first, drifted).await?;
        }
        let mut undone = course.renew(allowed(&first, &verdicts), self.now(), case.evidence_from)?;
        course.saw_held_back(held_back(&first, &verdicts).map(|(change, _)| change), self.now());
        course.add(allowed(&first, &verdicts).map(|(stage, change)| (stage, change.clone())));

        // Something is to be changed, or held again after a release.
        let journalled = !course.is_idle() || course.has_unwritten();
        if journalled {
            course.begin(self.now());
            course.note(self.now(), format!("incident {}: plan {} is journalled", case.incident, first.hash()));
        }
        let (around, surveyed) = (facts.around(), facts.clone());
        let look = async {
            match &around {
                Some(around) => Some(around.look(aws).await),
                None => None,
            }
        };
        let mut rest = Box::pin(async {
            facts.follow(aws, &incident).await;
            facts
        });
        let before = async {
            match journalled {
                true => futures::join!(
                    worker.write(course),
                    self.send_rechecks(occasion, begins, &incident),
                    look,
                    self.take_places(case, &first, (costs, is_made))
                ),
                false => (Ok(()), None, look.await, Ok(Places::default())),
            }
        };
        let ((written, mut sent, seen, over), early) = beside(before, &mut rest).await;
        written?;
        let Places { taken, over } = over?;
        if journalled {
            course.written();
        }
        if let Some(error) = seen.as_ref().and_then(Surroundings::passing) {
            return Err(SurveyFailed::from(error.clone()).into());
        }
        let with_surroundings = |mut facts: Facts| {
            if let Some(seen) = &seen {
                facts.put(seen.clone());
            }
            facts
        };
        let known = with_surroundings(early.clone().unwrap_or(surveyed));
        let (second, verdicts) = match judged(&known, &over) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.report(outcome)),
        };
        if allowed(&second, &verdicts).next().is_none() {
            self.give_places(taken).await;
        }
        let withdrawn = course.withdraw(held_back(&second, &verdicts));
        worker.hold(course).await?;
        let due = worker.due(course);
        undone.extend(course.take_in(&first, allowed(&second, &verdicts), self.now(), case.evidence_from)?);
        // What is known by now of later steps is journalled beside the cut; the rest after it.
        let snapshot = course.containment();
        let grown = withdrawn || (journalled && course.has_unwritten());
        let write_down = async {
            match grown {
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
        written?;
        if grown {
            course.written();
        }
        worker.learn(course, &due, answers)?;
        let (plan, verdicts) = match judged(&with_surroundings(facts), &over) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.report(outcome)),
        };
        undone.extend(course.take_in(&second, allowed(&plan, &verdicts), self.now(), case.evidence_from)?);
        worker.adopt(course).await?;
        let (again, others) = self.look_after((case, occasion), worker, course, &plan).await?;
        undone.extend(again);
        undoers.extend(others);
        let acts = journalled || !course.is_idle() || course.has_unwritten();
        if acts && !journalled {
            let written;
            (written, sent) = futures::join!(worker.write(course), self.send_rechecks(occasion, begins, &incident));
            written?;
            course.written();
        } else if acts && course.has_unwritten() {
            worker.write(course).await?;
            course.written();
        }
        let mut passage = None;
        if acts {
            worker.finish_through(course, CUT).await?;
            // Only what was cut just now: what lies in quarantine since a while has no connection to lose.
            if is_new && !plan.passages.is_empty() && !course.interfaces().is_empty() {
                let passed = self.pass(case, worker, course, &plan, sent.as_ref()).await;
                let these = course.interfaces();
                let sights = worker.look_at(course, &these).await;
                undone.extend(course.saw_unnamed(these.into_iter().zip(sights), true, self.now())?);
                passage = Some(passed);
            }
            worker.finish(course).await?;
            if course.doubt() {
                worker.finish(course).await?;
            }
        }
        let looked = if acts && begins { self.investigate(case).await } else { Ok(None) };
        let mut report = report(case, course, &plan, &verdicts, &undone, sent);
        name_undoers(&mut report, &undoers);
        match looked {
            Ok(found) => report.investigation = found,
            Err(why) => report.residual.push(ResidualRisk { way: Way::Unseen, text: why }),
        }
        let other = approval.plan.as_ref().filter(|approved| report.is_waiting() && !approved.names(&plan.hash()));
        report.outcome.reasons.extend(other.map(|approved| changed_since(approved, &report)));
        if let Some(passage) = passage {
            after_passage(&mut report, passage);
        }
        report.release = (self.journal().is_durable() && !course.is_empty())
            .then(|| format!("cordon release {}", course.known_as()));
        let report = self.unless_rejected(case, report).await?;
        // Whoever holds it too is known to a release, whether people are told of it or not.
        if !acts && course.has_new_holder() {
            worker.write(course).await?;
        }
        if case.part_of.is_some() {
            return Ok(report);
        }
        if !plan.asked_again.is_empty() {
            self.ask_again(case, &plan, &approval, &report).await?;
        } else if !undone.is_empty() {
            // News, even if all stands as people were told it does; and news still, if telling fails.
            self.keep(course.known_as(), &report, None).await?;
        } else if !acts && self.is_told(&report).await? {
            self.keep_offers(&report).await?;
            let outcome = Outcome::because(OutcomeKind::Joined, "nothing-new", nothing_new(course.known_as()));
            return Ok(Report { outcome, ..report });
        }
        Ok(report)
    }

    /// A recheck sends no rechecks, nor does a second look after an approval: the chain is three messages long.
    async fn send_rechecks(&self, occasion: &Occasion, begins: bool, incident: &IncidentId) -> Option<Sent> {
        match occasion {
            Occasion::Recheck => None,
            Occasion::Approved(_) if !begins => None,
            Occasion::Delivery | Occasion::Approved(_) => Some(self.rechecks.send(incident).await),
        }
    }
}

/// How long the cut waits for reads that are about to come, so that what follows from them goes out one round earlier. What has come must be
/// parsed first, which takes a debug build several times as long.
const GRACE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 30 });

/// Both at once; when `first` is done, `rest` has a moment more, and is left to go on.
async fn beside<A, B>(first: impl Future<Output = A>, rest: &mut (impl Future<Output = B> + Unpin)) -> (A, Option<B>) {
    match futures::future::select(pin!(first), &mut *rest).await {
        Either::Left((done, rest)) => (done, tokio::time::timeout(GRACE, rest).await.ok()),
        Either::Right((come, first)) => (first.await, Some(come)),
    }
}

/// A containment that was begun is finished, and contained again where it was undone, though a person would be asked to begin it.
fn finish_what_is_held(plan: &Plan, verdicts: Vec<Verdict>, held: &BTreeSet<String>) -> Vec<Verdict> {
    let one = |(step, verdict): (&PlannedStep, Verdict)| match verdict {
        Verdict::AwaitApproval(_) if held.contains(&step.change.shown().key()) => Verdict::Contain,
        other => other,
    };
    plan.steps.iter().zip(verdicts).map(one).collect()
}

/// After a release, evidence that is not newer does not contain again.
pub(super) fn released(case: &Treatment, known: Option<&Containment>, occasion: &Occasion) -> Option<Outcome> {
    let released = known?.released?;
    if case.evidence_from.is_some_and(|from| from > released) {
        return None;
    }
    let why = format!("the target was released at {released}, and nothing newer is known against it");
    let kind = if *occasion == Occasion::Delivery { OutcomeKind::Observed } else { OutcomeKind::Ignored };
    Some(Outcome::because(kind, "released-since", why))
}
