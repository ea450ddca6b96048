//! Carries commands out. The same whoever it serves: the operator function, or the command line with a person's own rights.

use super::{
    Answer, Command, LONGEST_TEXT, Named, Refused, Request, Who, audience, named::Found, proof::REMEMBERED, refusal,
};
use crate::{
    aws::{Aws, AwsError},
    clock::Clock,
    decision::Treatment,
    domain::{
        FindingId, IncidentId, Outcome, OutcomeKind, Reason, Report, Severity, Situation, Target, Text, Timestamp,
        fingerprint,
    },
    engine::{Asked, ReleaseError, Wishes, release},
    journal::{Approval, Approved, Entry, IncidentRecord, Journal, JournalError, Rejected},
    playbooks,
    policy::{LONGEST_PAUSE, Mode, Pause, Rules},
    recheck::Rechecks,
    rulebook::RuleBook,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// So many open incidents are looked through for whoever commands.
const MOST_OPEN: usize = 500;

/// So old a plan may be whose target a person names.
const MOST_PLANNING: Duration = Duration::from_secs(5 * 60);

pub struct Desk {
    pub aws: Arc<Aws>,
    pub journal: Arc<dyn Journal>,
    pub rules: RuleBook,
    pub rechecks: Rechecks,
    pub clock: Clock,
}

/// Not carried out, and a repeat can help.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

type Carried = Result<Result<Answer, Refused>, NotNow>;

/// Returns early with a refusal.
macro_rules! granted {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}

impl Desk {
    /// A request as the operator function gets it: who asks must be proven, an operator of the policy, and no part of what it is about.
    ///
    /// # Errors
    /// Only where a repeat can help.
    pub async fn serve(&self, payload: &str, function: &str) -> Result<Answer, NotNow> {
        match self.try_serve(payload, function).await? {
            Ok(answer) => Ok(answer),
            Err(refused) => {
                tracing::warn!(code = refused.code, why = refused.why, "refused");
                Ok(Answer::Refused(refused))
            }
        }
    }

    async fn try_serve(&self, payload: &str, function: &str) -> Carried {
        let request: Request = granted!(
            serde_json::from_str(payload)
                .map_err(|_| refusal("no-command", "this function takes commands of the command line, nothing else"))
        );
        let now = self.now();
        let nonce = granted!(request.proof.check(&request.command, &audience(function), now)).to_owned();
        let identity = granted!(request.proof.who(&self.aws).await?);
        let command: Command = granted!(
            serde_json::from_str(&request.command)
                .map_err(|error| refusal("no-command", Text::new(&error.to_string()).to_string()))
        );
        let who = Who::of(&self.aws, identity).await?;
        let rules = self.rules.read().await?;
        if !rules.policy.operators.iter().any(|operator| operator.is(&who.subject)) {
            let why = format!("{} is no operator of the policy in force", who.arn);
            return Ok(Err(refusal("no-operator", why)));
        }
        // Only operators' nonces are kept.
        let nonce = format!("nonce#{}#{nonce}", who.subject.unique_id);
        if !self.journal.mark(&nonce, REMEMBERED, now).await? {
            return Ok(Err(refusal("replayed", "this command was carried out before; sign it anew")));
        }
        self.carry_out(&command, &who).await
    }

    /// # Errors
    /// Only where a repeat can help.
    pub async fn carry_out(&self, command: &Command, who: &Who) -> Carried {
        granted!(said(command));
        granted!(self.has_no_part(command, who).await?);
        let done = match command {
            Command::Approve { incident, plan, with } => self.approve(incident, plan.as_deref(), with, who).await?,
            Command::Reject { incident, plan, because } => self.reject(incident, plan, because, who).await?,
            Command::Release { incident, reactivate_keys, force } => {
                let asked = if *reactivate_keys { Asked::Yes } else { Asked::No };
                self.release(incident, Wishes { asked, force: *force }, who).await?
            }
            Command::Pause { minutes, because } => self.pause(*minutes, because, who).await?,
            Command::Resume { because } => self.resume(because, who).await?,
            Command::Contain { target, plan, because, at } => {
                if at.age(self.now()).unwrap_or_default() > MOST_PLANNING || self.now().plus(MOST_PLANNING) < *at {
                    return Ok(Err(refusal("stale", format!("the plan is from {at}: make it again"))));
                }
                self.contain(target, plan.as_deref(), (because, *at), who).await?
            }
        };
        if done.is_ok() {
            let incident = command.incident().map(ToString::to_string);
            tracing::info!(by = %who.arn, command = command.word(), incident, "carried out");
        }
        Ok(done)
    }

    /// INVARIANT: whoever an open incident is about commands nothing, whatever his rights.
    async fn has_no_part(&self, command: &Command, who: &Who) -> Result<Result<(), Refused>, NotNow> {
        // Whoever has one session of a role can have another: for what loosens, all of them are one.
        let loosens = !matches!(command, Command::Approve { .. } | Command::Contain { .. });
        let (held, unanswered) = futures::try_join!(self.journal.held(MOST_OPEN), self.journal.unanswered(MOST_OPEN))?;
        let waiting = unanswered.into_iter().flat_map(|record| {
            let is_about_it = command.incident() == Some(&record.id);
            // Or whoever grants an operator more would shut him out.
            let binds = |case: &Treatment, target: &Target| is_about_it || !case.is_granted(target);
            let targets = record
                .treatment
                .into_iter()
                .flat_map(|case| case.targets().filter(|target| binds(&case, target)).cloned().collect::<Vec<_>>());
            targets.map(move |target| (record.id.clone(), target)).collect::<Vec<_>>()
        });
        // However many there are, what he is himself is looked up by its key.
        let mut own = Vec::new();
        for key in who.keys() {
            own.extend(self.journal.read(&key).await?.filter(|known| known.is_held()));
        }
        let held = held.into_iter().chain(own);
        let open = held.map(|known| (known.known_as().clone(), known.target)).chain(waiting);
        for (incident, target) in open {
            if who.is_target(&target) || (loosens && who.is_of_role(&target)) {
                let why = format!("{} is what incident {incident} is about: somebody else must command", who.arn);
                return Ok(Err(refusal("own-incident", why)));
            }
        }
        Ok(Ok(()))
    }

    async fn approve(
        &self,
        id: &IncidentId,
        plan: Option<&str>,
        with: &BTreeMap<String, String>,
        who: &Who,
    ) -> Carried {
        let (record, report) = granted!(self.shown(id).await?);
        let (mut approval, mut lines) = (record.approval, Vec::new());
        let (at, by) = (self.now(), who.arn.to_string());
        match plan {
            Some(_) if !report.is_waiting() => {
                let why = format!("incident {id} does not wait for approval; it is {}", report.outcome.kind);
                return Ok(Err(refusal("not-waiting", why)));
            }
            Some(plan) if report.plan.as_deref() != Some(plan) => {
                let now = report.plan.as_deref().unwrap_or("none");
                let why = format!("the plan of incident {id} is {now} by now, not {plan}: look at it again");
                return Ok(Err(refusal("plan-changed", why)));
            }
            Some(plan) => {
                let owed: Vec<String> =
                    report.steps.iter().filter(|step| step.before != step.after).map(ToString::to_string).collect();
                lines.push(format!("approved plan {plan} of {id}"));
                lines.extend(owed.iter().map(|line| format!("  {line}")));
                let approved = Approved::new(plan, at, &by, owed);
                let parts: Vec<String> = report.plans.values().cloned().collect();
                let plans = if parts.is_empty() { approved.plans.clone() } else { parts };
                approval.plan = Some(Approved { plans, ..approved });
            }
            None if with.is_empty() => return Ok(Err(refusal("nothing", "neither a plan nor an offer is named"))),
            None => {}
        }
        for (name, hash) in with {
            let Some(offer) = report.offers.iter().find(|offer| offer.name == *name && offer.hash == *hash) else {
                let offered: Vec<&str> = report.offers.iter().map(|offer| offer.name.as_str()).collect();
                let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
                let why = format!("incident {id} does not offer `{name}` like that; it offers {offered}");
                return Ok(Err(refusal("no-such-offer", why)));
            };
            let owed: Vec<String> = offer.steps.iter().map(ToString::to_string).collect();
            lines.push(format!("approved {name}: {}", offer.why));
            lines.extend(owed.iter().map(|line| format!("  {line}")));
            let approved = Approved::new(&offer.hash, at, &by, owed);
            approval.offers.insert(offer.name.clone(), approved);
        }
        self.journal.approve(id, &approval).await?;
        let what: Vec<&str> = plan.into_iter().chain(with.keys().map(String::as_str)).collect();
        self.note(id, format!("approved {} by {by}", what.join(", "))).await;
        self.rechecks.send_now(id).await?;
        lines.push("the responder looks at it now".to_owned());
        Ok(Ok(Answer::Done { lines, incident: Some(id.clone()), report: None }))
    }

    async fn reject(&self, id: &IncidentId, plan: &str, because: &str, who: &Who) -> Carried {
        let (record, report) = granted!(self.shown(id).await?);
        if !report.is_waiting() {
            let why = format!("incident {id} does not wait for approval; it is {}", report.outcome.kind);
            return Ok(Err(refusal("not-waiting", why)));
        }
        let approval = record.approval.current(self.rules.read().await?.policy.approval_expiry(), self.now());
        let mut is_held = false;
        for target in record.treatment.iter().flat_map(Treatment::targets) {
            let known = self.journal.read(&target.key()).await?;
            is_held |= known.is_some_and(|known| known.is_held() && known.holders.contains(id));
        }
        // Whoever is not asked any more cannot say no; what he wants then is a release.
        let was_contained = report.outcome.kind == OutcomeKind::AwaitingApproval && is_held;
        // What was asked about anew since is another plan.
        let names_it =
            |approved: &Approved| approved.names(plan) || report.plans.values().any(|part| approved.names(part));
        if approval.plan.as_ref().is_some_and(names_it) || was_contained {
            let why =
                format!("incident {id} was approved or contained meanwhile: look again, and release it if need be");
            return Ok(Err(refusal("approved", why)));
        }
        if report.plan.as_deref() != Some(plan) {
            return Ok(Err(refusal(
                "plan-changed",
                format!("the plan of incident {id} is another by now: look again"),
            )));
        }
        let (by, now) = (who.arn.to_string(), self.now());
        let targets = report.plans.keys().cloned().collect();
        let rejected = Rejected { plan: plan.to_owned(), by, because: because.to_owned(), at: now, targets };
        // An approval that is over by now must not outlive the no.
        self.journal.approve(id, &Approval::default()).await?;
        self.journal.reject(id, &rejected).await?;
        self.note(id, rejected.reason().text).await;
        let mut report = rejected.taken_out_of(report);
        if report.outcome.kind == OutcomeKind::AwaitingApproval {
            report.outcome = Outcome::new(OutcomeKind::Declined, vec![rejected.reason()]);
        }
        // The next sweep tells people.
        self.journal.conclude(id, &report, None, now).await?;
        let lines = vec![format!(
            "rejected plan {plan} of {id}; another plan of it is asked about, another incident is judged by itself"
        )];
        Ok(Ok(Answer::Done { lines, incident: Some(id.clone()), report: None }))
    }

    async fn release(&self, id: &IncidentId, wishes: Wishes, who: &Who) -> Carried {
        let Some(record) = self.journal.incident(id).await? else { return Ok(Err(unknown(id))) };
        let by = who.arn.to_string();
        // Before anything goes back: what comes next needs an approval of its own, also if this is cut short.
        self.journal.approve(id, &Approval::default()).await?;
        let released = match release(&self.aws, &*self.journal, &self.clock, id, wishes, &by).await {
            Ok(released) => released,
            Err(ReleaseError::Aws(error)) if error.is_passing() => return Err(error.into()),
            Err(ReleaseError::Journal(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(refusal("not-released", error.to_string()))),
        };
        let report = released.conclude(&*self.journal, record, self.now()).await?;
        self.note(id, format!("released by {by}: {}", report.outcome.kind)).await;
        let lines = vec![format!("{} {id}", report.outcome.kind)];
        Ok(Ok(Answer::Done { lines, incident: Some(id.clone()), report: Some(Box::new(report)) }))
    }

    async fn pause(&self, minutes: u32, because: &str, who: &Who) -> Carried {
        let longest = LONGEST_PAUSE.as_secs() / 60;
        let time = Duration::from_secs(u64::from(minutes) * 60);
        if minutes == 0 || time > LONGEST_PAUSE {
            return Ok(Err(refusal("too-long", format!("a pause lasts 1 to {longest} minutes, not {minutes}"))));
        }
        let (at, by) = (self.now(), who.arn.to_string());
        let pause = Pause { by, because: because.to_owned(), at, until: at.plus(time), resumed_by: None };
        self.journal.set_pause(&pause).await?;
        Ok(Ok(Answer::done(vec![format!(
            "paused until {}: nothing new is contained unattended; what is held or half done is looked after",
            pause.until
        )])))
    }

    async fn resume(&self, because: &str, who: &Who) -> Carried {
        let rules = self.rules.read().await?;
        let now = self.now();
        let pause = match &rules.pause {
            Some(pause) if pause.holds(now) => {
                Pause { until: now, resumed_by: Some(format!("{}: {because}", who.arn)), ..pause.clone() }
            }
            // Written anew also where the one that stands there cannot be read.
            _ => Pause {
                by: who.arn.to_string(),
                because: because.to_owned(),
                at: now,
                until: now,
                resumed_by: Some(format!("{}: {because}", who.arn)),
            },
        };
        self.journal.set_pause(&pause).await?;
        Ok(Ok(Answer::done(vec!["resumed: the policy holds as it stands".to_owned()])))
    }

    async fn contain(&self, named: &Named, plan: Option<&str>, said: (&str, Timestamp), who: &Who) -> Carried {
        let rules = self.rules.read().await?;
        let because = said.0;
        let case = granted!(self.case(named, said, who, &rules).await?);
        let (id, by) = (case.incident.clone(), who.arn.to_string());
        self.journal.open(&id, Some(&case), self.now()).await?;
        // Where the message below is lost, the sweep finds it.
        let begun = Outcome::because(OutcomeKind::AwaitingApproval, "named", "commanded, and not looked at yet");
        self.journal.conclude(&id, &case.report(begun), None, self.now()).await?;
        if let Some(plan) = plan {
            let approved = Approved::new(plan, self.now(), &by, Vec::new());
            let approval = Approval { plan: Some(approved), offers: BTreeMap::new() };
            self.journal.approve(&id, &approval).await?;
        }
        self.note(&id, format!("{named} is to be contained, by {by}: {because}")).await;
        self.rechecks.send_now(&id).await?;
        let lines = vec![format!("incident {id}: {}", case.target), "the responder contains it now".to_owned()];
        Ok(Ok(Answer::Done { lines, incident: Some(id), report: None }))
    }

    /// The case of a target that a person names: as if a finding had said it, just now.
    ///
    /// # Errors
    /// The inner error where the target cannot be named for certain.
    pub async fn case(
        &self,
        named: &Named,
        (because, at): (&str, Timestamp),
        who: &Who,
        rules: &Rules,
    ) -> Result<Result<Treatment, Refused>, NotNow> {
        let identity = self.aws.identity().await?;
        let (target, situation) = match named {
            Named::Instance { id, region } => {
                let account = identity.account.clone();
                let (id, region) = (id.clone(), region.clone());
                let target = Target::Instance { account, region, id, profile_hint: None, vpc_hint: None };
                (Ok(target), Situation::CompromisedInstance)
            }
            Named::Bucket { name, region } => {
                let (account, name, region) = (identity.account.clone(), name.clone(), region.clone());
                (Ok(Target::Bucket { account, region, name }), Situation::ExposedBucket)
            }
            Named::User { name } => (self.user(name).await, Situation::CompromisedAccessKey),
            Named::AccessKey { id } => (self.owner(id).await, Situation::CompromisedAccessKey),
            Named::RoleSession { role, session } => {
                (self.session(role, session).await, Situation::CompromisedRoleSession)
            }
        };
        let target = match target {
            Ok(target) => target,
            Err(Found::Not(refused)) => return Ok(Err(refused)),
            Err(Found::Error(error)) if error.is_passing() => return Err(error.into()),
            Err(Found::Error(error)) => return Ok(Err(refusal("not-found", error.to_string()))),
        };
        let Some(playbook) = playbooks::for_situation(situation) else {
            return Ok(Err(refusal("no-playbook", format!("there is no playbook for {situation}"))));
        };
        let now = self.now();
        let account = target.account().clone();
        // The same command, whoever makes its plan, means one incident.
        let name = fingerprint(&format!("{} {} {}", target.key(), who.arn, at.millis()));
        let finding =
            FindingId::parse(&name).map_err(|error| AwsError::incomplete("incident id", &error.to_string()))?;
        let incident = IncidentId::of(account.as_str(), &finding);
        let report = Report {
            incident: Some(incident.clone()),
            finding_type: Text::new("named by an operator"),
            title: Text::new(because),
            severity: Some(Severity::High),
            account: Text::new(account.as_str()),
            region: Text::new(self.aws.home().map_or(String::new(), |region| region.to_string()).as_str()),
            situation: Some(situation.to_string()),
            playbook: Some(playbook.id().to_owned()),
            target: Some(target.to_string()),
            seen: Some(now),
            decision: vec![Reason::new("named", format!("{} named {named}: {because}", who.arn))],
            ..Report::without_finding(Outcome::new(OutcomeKind::Observed, Vec::new()))
        };
        Ok(Ok(Treatment {
            incident,
            partition: identity.partition.clone(),
            // A person decides; what the ceiling forbids stays forbidden.
            mode: Mode::Contain,
            evidence_from: Some(now),
            first_seen: None,
            judged: Some(now),
            change_until: None,
            is_told_by_aws: false,
            made_key: None,
            situation: None,
            rules: rules.stamp(),
            playbook: playbook.id().to_owned(),
            report,
            target,
            also: Vec::new(),
            granted: BTreeSet::new(),
            part_of: None,
        }))
    }

    /// The incident with what people were shown of it.
    async fn shown(&self, id: &IncidentId) -> Result<Result<(IncidentRecord, Report), Refused>, NotNow> {
        let Some(record) = self.journal.incident(id).await? else { return Ok(Err(unknown(id))) };
        let Some(report) = record.report.clone() else {
            return Ok(Err(refusal("no-plan", "people were shown no plan yet")));
        };
        Ok(Ok((record, report)))
    }

    /// In the incident's log. What is done is done and journalled elsewhere too, so a log that takes nothing stops nobody.
    async fn note(&self, id: &IncidentId, text: String) {
        if let Err(error) = self.journal.log(id, &Entry { at: self.now(), text }).await {
            tracing::error!(incident = %id, %error, "not logged");
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now_millis())
    }
}

fn unknown(id: &IncidentId) -> Refused {
    refusal("no-incident", format!("there is no incident `{id}`"))
}

/// What a person must say is said, and is short enough to be shown.
fn said(command: &Command) -> Result<(), Refused> {
    match command.because() {
        Some(because) if because.trim().is_empty() => Err(refusal("no-reason", "say why: the reason is empty")),
        Some(because) if because.chars().count() > LONGEST_TEXT => {
            Err(refusal("no-reason", format!("the reason has more than {LONGEST_TEXT} characters")))
        }
        _ => Ok(()),
    }
}
