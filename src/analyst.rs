//! Everything up to the plan: decide, survey, plan, guard, and say it. Changes nothing.

mod merged;

pub use merged::merge;

use crate::{
    actions::{AnyChange, Release},
    aws::{Aws, AwsError, Identity},
    decision::{Decision, Sensed, Treatment, decide},
    detect::misused,
    domain::{
        AccessKeyResource, AccountId, Arn, Detection, Finding, IncidentId, OfferReport, Outcome, OutcomeKind, Reason,
        Report, ResidualRisk, Resource, Situation, StepReport, Target, Text, Timestamp, UserName, UserType, WAITS,
    },
    engine::{Course, State},
    guard::{self, Verdict},
    ingest::Ingested,
    journal::{Journal, JournalError},
    own::Whose,
    playbooks::{Case, Made, Offer, Plan},
    policy::{Mode, Policy, Subject},
    rulebook::RuleBook,
    survey::{
        Bucket, Facts, NamedUser, SurveyError, Unread, key_owner, named_user,
        trail::{self, By, Window},
    },
    triage::{self, Context},
    watch::{SenseError, Watch},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Between a call and what it made, by IAM's clock.
const MADE_WITHIN: Duration = Duration::from_secs(5);

/// A bucket that is made so soon after what was seen of its name is the one that was meant: made anew to get rid of the block, perhaps.
const OPENED_WITHIN: Duration = Duration::from_secs(120);

pub struct Analyst {
    pub aws: Arc<Aws>,
    pub journal: Arc<dyn Journal>,
    pub rules: RuleBook,
    pub watch: Watch,
    /// CORDON_MODE: nothing goes above it.
    pub ceiling: Mode,
}

/// No answer; asking again can help.
#[derive(Debug, thiserror::Error)]
pub enum SurveyFailed {
    #[error("cannot survey the target: {0}")]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What was surveyed, or why nothing can be done.
pub type Surveyed = Result<Survey, Outcome>;

#[derive(Clone, Debug)]
pub struct Survey {
    pub facts: Facts,
    /// Who we are.
    pub own: Subject,
    /// Why a person must decide, by what was found beside the target.
    pub doubts: Vec<Reason>,
    /// The access key that the call made.
    pub made: Option<Made>,
    /// Whoever is contained by another incident made it: it is counted in a pool of its own.
    pub is_made: bool,
}

impl Analyst {
    /// What an event is, by our rules and with what is known of whoever is behind it.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn sense(&self, ingested: Ingested) -> Result<Sensed, SenseError> {
        if let Ingested::Record(record) = &ingested {
            let whose = self.whose(record).await?;
            if let Some(outcome) = whose.outcome() {
                return Ok(Err(outcome));
            }
            if whose == Whose::Misused {
                return Ok(misused(record).map(|finding| (finding, Context::default())));
            }
        }
        let sensed = self.watch.sense(ingested, &*self.journal, &*self.aws).await?;
        let Ok((mut finding, mut context)) = sensed else { return Ok(sensed) };
        self.resolve(&mut finding).await?;
        if !finding.detections.is_empty()
            && let Some(actor) = triage::actor(&finding)
        {
            let held = self.journal.read(&actor.key()).await?.filter(|held| held.released.is_none() && !held.is_over());
            context.actor_held_by = held.map(|held| held.known_as().clone());
        }
        Ok(Ok((finding, context)))
    }

    pub fn decide(&self, sensed: Sensed, now: Timestamp) -> Decision {
        decide(sensed, &self.rules.last(), self.ceiling, now)
    }

    /// The report of an event with the full plan, changing nothing and telling nobody. Age is judged at `now`.
    pub async fn look(&self, sensed: Sensed, now: Timestamp) -> Result<Report, SurveyFailed> {
        match self.decide(sensed, now) {
            Decision::Treat { treatment, .. } => {
                let mut looked = Vec::new();
                for part in treatment.parts() {
                    looked.push((part.clone(), self.observe(&part).await?));
                }
                Ok(match looked.as_slice() {
                    [(_, only)] => only.clone(),
                    several => merge(&treatment, several),
                })
            }
            Decision::Ended { judged: Some(judged), outcome } => Ok(judged.report(outcome)),
            Decision::Ended { judged: None, outcome } => Ok(Report::without_finding(outcome)),
        }
    }

    /// Plans and judges, and changes nothing. What is so already waits for nobody.
    pub async fn observe(&self, case: &Treatment) -> Result<Report, SurveyFailed> {
        let key = case.target.key();
        let (surveyed, known) = futures::join!(self.survey(case), self.journal.read(&key));
        let Survey { mut facts, own, doubts, made, .. } = match surveyed? {
            Ok(ours) => ours,
            Err(outcome) => return Ok(case.report(outcome)),
        };
        let known = known?.filter(|containment| !containment.is_over());
        let held_by = known.as_ref().map(|containment| containment.opened_by.clone());
        let held = known.map(|containment| Course::resume(containment).held()).unwrap_or_default();
        let incident = held_by.as_ref().unwrap_or(&case.incident);
        facts.complete(&self.aws, incident).await;
        let rules = self.rules.last();
        let mut plan = match plan(case, &facts, incident, &rules.policy, made.as_ref()) {
            Ok(plan) => plan,
            Err(outcome) => return Ok(case.report(outcome)),
        };
        plan.approval.extend(doubts);
        plan.take_in(&BTreeMap::new());
        let hash = plan.hash();
        let (already, owed) = plan.steps.into_iter().partition(|step| step.change.is_already_so());
        plan.steps = owed;
        let verdicts = guard::judge(&plan, case.mode, &rules, &own, None);
        let outcome = match held_by {
            Some(incident) if plan.steps.is_empty() => {
                Outcome::because(OutcomeKind::Joined, "nothing-new", nothing_new(&incident))
            }
            _ => withheld(&plan, &verdicts),
        };
        let already = already.iter().map(|step| shown(step.stage, &step.change, &State::Already.to_string()));
        let owed = plan.steps.iter().zip(&verdicts);
        let owed = owed.map(|(step, verdict)| shown(step.stage, &step.change, &waiting(verdict)));
        Ok(Report {
            plan: Some(hash),
            steps: owed.chain(already).collect(),
            residual: residual(case, &plan, &held),
            offers: offers(&plan),
            advice: advice(case, &plan),
            ..case.report(outcome)
        }
        .bounded())
    }

    /// One round: the facts, and who we are.
    ///
    /// # Errors
    /// Only where a repeat can help.
    pub async fn survey(&self, case: &Treatment) -> Result<Surveyed, SurveyFailed> {
        // What an earlier invocation knew of our groups says nothing about now.
        self.aws.quarantine.forget();
        let key = case.target.key();
        let mark = made_mark(&key);
        let (facts, identity, doubts, made, is_made) = futures::join!(
            Facts::read(&self.aws, &case.target),
            self.aws.identity(),
            self.doubts(case),
            self.made(case),
            self.journal.is_marked(&mark)
        );
        let not_contained = |code, error: AwsError| match error.is_passing() {
            true => Err(error.into()),
            false => Ok(Err(Outcome::because(OutcomeKind::NotContained, code, error.to_string()))),
        };
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => return not_contained("identity-unknown", error),
        };
        if let Some(outcome) = foreign(case, identity) {
            return Ok(Err(outcome));
        }
        let is_later =
            |bucket: &Bucket| case.evidence_from.is_some_and(|seen| seen.plus(OPENED_WITHIN) < bucket.access.created);
        match facts {
            Ok(Facts::Bucket(bucket)) if is_later(&bucket) => {
                let why =
                    format!("the bucket {} was made after that was seen: it is another one", bucket.access.bucket);
                Ok(Err(Outcome::because(OutcomeKind::Declined, "vanished", why)))
            }
            Ok(mut facts) => {
                if let Facts::Address(address) = &mut facts {
                    let held = self.journal.held(MOST_HELD).await?;
                    let is_other = |target: &Target| matches!(target, Target::Address { .. }) && target.key() != key;
                    address.others = held.iter().filter(|held| is_other(&held.target)).count();
                }
                Ok(Ok(Survey { facts, own: own(identity), doubts, made, is_made: is_made.unwrap_or(false) }))
            }
            Err(SurveyError::Refused(code, why)) => Ok(Err(Outcome::because(OutcomeKind::Declined, code, why))),
            Err(SurveyError::Vanished(why)) => Ok(Err(Outcome::because(OutcomeKind::Declined, "vanished", why))),
            Err(SurveyError::Aws(error)) => not_contained("survey-failed", error),
        }
    }

    /// The key that the call made, as it is now; a key that is gone is none.
    async fn made(&self, case: &Treatment) -> Option<Made> {
        let key = case.made_key.as_ref()?;
        match key_owner(&self.aws, key).await {
            Ok(Some(owner)) => Some(Ok((owner.status, owner.now, Some(owner.arn)))),
            Ok(None) => None,
            Err(error) => Some(Err(Unread::from(&error))),
        }
    }

    /// Puts the unique id to whoever was granted more by the call: the record has his name only. Whom it cannot tell is listed; the
    /// caller does not wait for it.
    async fn resolve_granted(&self, finding: &mut Finding) {
        let grants =
            |seen: &Detection| matches!(seen.situation, Situation::PrivilegeEscalation | Situation::Persistence);
        let Some(name) = finding.call.as_ref().and_then(|call| call.granted.clone()) else { return };
        if !finding.detections.iter().any(grants) {
            return;
        }
        // One who was made after the call only has the name of whoever was meant.
        let is_meant = |user: &NamedUser| match (user.made, finding.last_seen) {
            (Some(made), Some(called)) => made <= called.plus(MADE_WITHIN),
            _ => false,
        };
        match named_user(&self.aws, &name).await {
            Ok(Some(user)) if is_meant(&user) => finding.resources.push(Resource::AccessKey(AccessKeyResource {
                key: None,
                principal_id: Text::new(user.id.as_str()),
                name: Text::new(name.as_str()),
                user_type: UserType::IamUser,
            })),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "whoever was granted more could not be looked up"),
        }
    }

    /// Puts unique ids to leaked keys and to users whom AWS has put into quarantine: events have names only.
    async fn resolve(&self, finding: &mut Finding) -> Result<(), SenseError> {
        self.resolve_granted(finding).await;
        let leaked = finding.detections.first().filter(|seen| seen.situation == Situation::LeakedKey);
        let Some(leaked) = leaked else { return Ok(()) };
        if let Some((_, name)) = &leaked.subject {
            let named = match UserName::parse(name.as_str()) {
                Ok(user) => named_user(&self.aws, &user).await?,
                Err(_) => None,
            };
            let id = named.map(|user| Text::new(user.id.as_str())).unwrap_or_default();
            let user =
                AccessKeyResource { key: None, principal_id: id, name: name.clone(), user_type: UserType::IamUser };
            finding.resources = vec![Resource::AccessKey(user)];
            return Ok(());
        }
        for resource in &mut finding.resources {
            if let Resource::AccessKey(AccessKeyResource { key: Some(key), principal_id, name, .. }) = resource
                && let Some(owner) = key_owner(&self.aws, key).await?
            {
                *principal_id = Text::new(owner.status.user_id.as_str());
                *name = Text::new(owner.status.user.as_str());
            }
        }
        Ok(())
    }

    /// What AWS Config finds may have been so for years, or be an operator's doing: somebody else must have been seen to change it.
    async fn doubts(&self, case: &Treatment) -> Vec<Reason> {
        let (Some(seen), Some(name), Some(region)) =
            (case.change_until, case.target.resource_name(), case.target.region())
        else {
            return Vec::new();
        };
        let window = Window { from: seen.minus(CHANGE_SEEN), until: None };
        let rules = self.rules.last();
        let is_a_change = |record: &Value| {
            let is = |name: &str| record.get(name).unwrap_or(&Value::Null);
            let changes = is("readOnly") != &Value::Bool(true) && is("errorCode").is_null();
            changes && !by_our_people(record, &rules.policy)
        };
        match trail::look_up(&self.aws, region, By::Resource(name), window, CHANGE_PAGES).await {
            Ok(looked) if looked.records.iter().any(is_a_change) => Vec::new(),
            Ok(_) => {
                let why = "a rule says that it is so, and CloudTrail knows nobody but operators who changed it in the last thirty minutes";
                vec![Reason::new("change-not-seen", why)]
            }
            Err(error) => vec![Reason::new("change-not-read", format!("who changed it could not be read: {error}"))],
        }
    }
}

/// Containments that are looked through for addresses that are blocked.
const MOST_HELD: usize = 500;

/// Of fifty calls that name the thing; most only read it.
const CHANGE_PAGES: usize = 3;

/// How long before a rule of AWS Config speaks the change may have been: it evaluates within fifteen minutes.
const CHANGE_SEEN: Duration = Duration::from_secs(30 * 60);

/// Whether it was called by somebody who undoes what Cordon does.
fn by_our_people(record: &Value, policy: &Policy) -> bool {
    let at = |path: &str| record.pointer(path).and_then(Value::as_str);
    let id = at("/userIdentity/principalId").unwrap_or_default();
    let id = id.split_once(':').map_or(id, |(role, _)| role);
    let arn = at("/userIdentity/sessionContext/sessionIssuer/arn").or_else(|| at("/userIdentity/arn"));
    let account = at("/userIdentity/accountId").and_then(|account| AccountId::parse(account).ok());
    account.is_some_and(|account| {
        let who = Subject::new(&account, arn.and_then(|arn| Arn::parse(arn).ok()), id);
        policy.is_operator(&who) || policy.own_principals.iter().any(|own| own.is(&who))
    })
}

/// What is marked when whoever is contained turns out to have made this target.
pub fn made_mark(target: &str) -> String {
    format!("made#{target}")
}

/// INVARIANT: the account to act in is the finding's; a namesake in our own account is never touched.
fn foreign(case: &Treatment, identity: &Identity) -> Option<Outcome> {
    let account = case.target.account();
    (identity.account != *account).then(|| {
        let own = &identity.account;
        let why = format!("account {account} is not the one that Cordon runs in ({own}), and no member role is set");
        Outcome::because(OutcomeKind::Declined, "foreign-account", why)
    })
}

/// The principal that we run with, as guards compare it.
fn own(identity: &Identity) -> Subject {
    Subject::new(&identity.account, Some(identity.arn.clone()), identity.unique_id.clone())
}

/// # Errors
/// A Declined outcome where nothing can be done safely.
pub fn plan(
    case: &Treatment,
    facts: &Facts,
    incident: &IncidentId,
    policy: &Policy,
    made: Option<&Made>,
) -> Result<Plan, Outcome> {
    let (partition, target) = (&case.partition, &case.target);
    let is_told_by_aws = case.is_told_by_aws;
    let is_granted = case.is_granted(target);
    case.playbook()?.plan(facts, &Case { incident, partition, policy, target, is_granted, made, is_told_by_aws })
}

pub fn allowed<'p>(plan: &'p Plan, verdicts: &[Verdict]) -> impl Iterator<Item = (u8, &'p AnyChange)> {
    let pairs = plan.steps.iter().zip(verdicts.to_vec());
    pairs.filter(|(_, verdict)| *verdict == Verdict::Contain).map(|(step, _)| (step.stage, &step.change))
}

/// The outcome where no step is taken: the most that was held back for decides.
pub fn withheld(plan: &Plan, verdicts: &[Verdict]) -> Outcome {
    let has = |is: fn(&Verdict) -> bool| verdicts.iter().any(is);
    let kind = if has(|v| matches!(v, Verdict::AwaitApproval(_))) {
        OutcomeKind::AwaitingApproval
    } else if verdicts.is_empty() && !plan.refused.is_empty() {
        OutcomeKind::NotContained
    } else if verdicts.is_empty() || has(|v| matches!(v, Verdict::Observe(_))) {
        OutcomeKind::Observed
    } else {
        OutcomeKind::Declined
    };
    let mut reasons: Vec<Reason> = Vec::new();
    for reason in verdicts.iter().filter_map(why) {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    reasons.extend(more(plan, &reasons));
    if verdicts.is_empty() && !plan.refused.is_empty() {
        reasons.extend(plan.refused.iter().map(|refusal| Reason::new(refusal.code, refusal.why.clone())));
    } else if verdicts.is_empty() {
        let so = || Reason::new("already-so", "everything that would be changed is so already, or cannot be changed");
        reasons.push(plan.idle.clone().unwrap_or_else(so));
    }
    Outcome::new(kind, reasons)
}

/// Who approves must know all that speaks against it, whatever else made it wait.
pub fn more(plan: &Plan, said: &[Reason]) -> Vec<Reason> {
    plan.approval.iter().filter(|reason| !said.contains(reason)).cloned().collect()
}

pub fn why(verdict: &Verdict) -> Option<&Reason> {
    match verdict {
        Verdict::Contain => None,
        Verdict::AwaitApproval(reason) | Verdict::Observe(reason) | Verdict::Declined(reason) => Some(reason),
    }
}

pub fn waiting(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Contain => "planned".to_owned(),
        Verdict::AwaitApproval(reason) => format!("{WAITS}: {reason}"),
        Verdict::Observe(_) => "planned only".to_owned(),
        Verdict::Declined(reason) => format!("declined: {reason}"),
    }
}

pub fn nothing_new(incident: &IncidentId) -> String {
    format!("the target is held by incident {incident}, and nothing is new")
}

/// What is known to stay before the account is read, and after; `held` are the keys of what is in place.
pub fn residual(case: &Treatment, plan: &Plan, held: &BTreeSet<String>) -> Vec<ResidualRisk> {
    let refused = plan.refused.iter().map(|refusal| ResidualRisk { way: refusal.way, text: refusal.why.clone() });
    let sessions = plan.unless_held.iter().map(|unless| {
        let is_held = held.contains(&unless.key);
        if is_held { unless.held.clone() } else { unless.open.clone() }
    });
    let known = plan.residual.iter().chain(&case.report.residual).cloned();
    refused.chain(sessions).chain(known).collect()
}

pub fn offers(plan: &Plan) -> Vec<OfferReport> {
    let one = |offer: &Offer| OfferReport {
        name: offer.name.to_owned(),
        why: offer.why.clone(),
        hash: offer.hash(),
        steps: offer.steps.iter().map(|step| shown(step.stage, &step.change, "offered")).collect(),
    };
    plan.offers.iter().map(one).collect()
}

/// What is known to be of use before the account is read, and after.
pub fn advice(case: &Treatment, plan: &Plan) -> Vec<(String, String)> {
    let of_plan = plan.advice.iter().map(|advice| (advice.why.clone(), advice.command.clone()));
    case.report.advice.iter().cloned().chain(of_plan).collect()
}

pub fn shown(stage: u8, change: &AnyChange, state: &str) -> StepReport {
    let shown = change.shown();
    let undo = match (change.release(), change.undo_command()) {
        (Release::Restores, Some(command)) => command,
        (Release::Restores, None) => format!("by hand: {}", shown.before),
        (kept, _) => kept.to_string(),
    };
    StepReport {
        stage,
        action: shown.action.to_owned(),
        target: shown.target,
        before: shown.before,
        after: shown.after,
        state: state.to_owned(),
        undo,
        undo_order: change.undo_order(),
    }
}
