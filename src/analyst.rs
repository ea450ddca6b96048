//! Everything up to the plan: decide, survey, plan, guard, and say it. Changes nothing.

use crate::{
    actions::{AnyChange, Release},
    aws::{Aws, AwsError, Identity},
    decision::{Decision, Judged, decide},
    domain::{IncidentId, Outcome, OutcomeKind, Reason, Report, ResidualRisk, StepReport, Target, Timestamp, Way},
    engine::State,
    guard::{self, Verdict},
    ingest::Ingested,
    journal::{Journal, JournalError},
    playbooks::{Case, Plan, Playbook},
    policy::{Mode, Policy, Subject},
    survey::{Facts, SurveyError},
};
use std::sync::Arc;

pub struct Analyst {
    pub aws: Arc<Aws>,
    pub journal: Arc<dyn Journal>,
    pub policy: Policy,
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

/// A target with what is to be done about it.
pub struct Treatment<'a> {
    pub decision: &'a Decision,
    pub judged: &'a Judged,
    pub target: &'a Target,
    pub playbook: &'static dyn Playbook,
}

impl Analyst {
    pub fn decide(&self, ingested: Ingested, now: Timestamp) -> Decision {
        decide(ingested, &self.policy, self.ceiling, now)
    }

    /// The report of an event with the full plan, changing nothing and telling nobody. Age is judged at `now`.
    pub async fn look(&self, ingested: Ingested, now: Timestamp) -> Result<Report, SurveyFailed> {
        let decision = self.decide(ingested, now);
        match treatment(&decision) {
            Err(outcome) => Ok(decision.report(outcome.clone())),
            Ok(case) => self.observe(&case).await,
        }
    }

    /// Plans and judges, and changes nothing. What is so already waits for nobody.
    pub async fn observe(&self, case: &Treatment<'_>) -> Result<Report, SurveyFailed> {
        let key = case.target.key();
        let (facts, identity, known) =
            futures::join!(Facts::read(&self.aws, case.target), self.aws.identity(), self.journal.read(&key));
        let (mut facts, own) = match self.ours(case, facts, identity)? {
            Ok(ours) => ours,
            Err(outcome) => return Ok(case.decision.report(outcome)),
        };
        self.complete(&mut facts).await;
        let held_by = known?.map(|containment| containment.opened_by);
        let (mut plan, _) = match self.judged(case, &facts, held_by.as_ref().unwrap_or(&case.judged.incident), &own) {
            Ok(judged) => judged,
            Err(outcome) => return Ok(case.decision.report(outcome)),
        };
        let hash = plan.hash();
        let (already, owed) = plan.steps.into_iter().partition(|step| step.change.is_already_so());
        plan.steps = owed;
        let verdicts = guard::judge(&plan, case.judged.assessment.mode, &self.policy, &own);
        let outcome = match held_by {
            Some(incident) if plan.steps.is_empty() => {
                Outcome::because(OutcomeKind::Joined, "nothing-new", nothing_new(&incident))
            }
            _ => withheld(&verdicts),
        };
        let already = already.iter().map(|step| shown(step.stage, &step.change, &State::Already.to_string()));
        let owed = plan.steps.iter().zip(&verdicts);
        let owed = owed.map(|(step, verdict)| shown(step.stage, &step.change, &waiting(verdict)));
        Ok(Report {
            plan: Some(hash),
            steps: owed.chain(already).collect(),
            residual: residual(&plan),
            ..case.decision.report(outcome)
        })
    }

    /// Reads what the cut does not wait for.
    pub async fn complete(&self, facts: &mut Facts) {
        facts.complete(&self.aws).await;
    }

    /// A plan with the verdict on each of its steps.
    pub fn judged(
        &self,
        case: &Treatment<'_>,
        facts: &Facts,
        incident: &IncidentId,
        own: &Subject,
    ) -> Result<(Plan, Vec<Verdict>), Outcome> {
        let plan = case.plan(facts, incident)?;
        let verdicts = guard::judge(&plan, case.judged.assessment.mode, &self.policy, own);
        Ok((plan, verdicts))
    }

    /// The facts, if the target lies in the account that we can act in; the outcome, if nothing can be done about it.
    pub fn ours(
        &self,
        case: &Treatment<'_>,
        facts: Result<Facts, SurveyError>,
        identity: Result<&Identity, AwsError>,
    ) -> Result<Result<(Facts, Subject), Outcome>, SurveyFailed> {
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) if error.is_passing() => return Err(error.into()),
            Err(error) => {
                return Ok(Err(Outcome::because(OutcomeKind::NotContained, "identity-unknown", error.to_string())));
            }
        };
        // INVARIANT: the account to act in is the finding's; a namesake in our own account is never touched.
        if identity.account != *case.target.account() {
            let why = format!(
                "account {} is not the one that Cordon runs in ({}), and no member role is set",
                case.target.account(),
                identity.account
            );
            return Ok(Err(Outcome::because(OutcomeKind::Declined, "foreign-account", why)));
        }
        let own = Subject {
            account: identity.account.clone(),
            arn: Some(identity.arn.clone()),
            unique_id: identity.unique_id.clone(),
        };
        match facts {
            Ok(facts) => Ok(Ok((facts, own))),
            Err(SurveyError::Vanished(why)) => Ok(Err(Outcome::because(OutcomeKind::Declined, "vanished", why))),
            Err(SurveyError::Aws(error)) if error.is_passing() => Err(error.into()),
            Err(SurveyError::Aws(error)) => {
                Ok(Err(Outcome::because(OutcomeKind::NotContained, "survey-failed", error.to_string())))
            }
        }
    }
}

impl Treatment<'_> {
    fn plan(&self, facts: &Facts, incident: &IncidentId) -> Result<Plan, Outcome> {
        self.playbook.plan(facts, &Case { incident, partition: &self.judged.finding.partition })
    }
}

pub fn treatment(decision: &Decision) -> Result<Treatment<'_>, &Outcome> {
    match decision {
        Decision::Ended { outcome, .. } => Err(outcome),
        Decision::Treat { judged, target, playbook } => Ok(Treatment { decision, judged, target, playbook: *playbook }),
    }
}

pub fn allowed<'p>(plan: &'p Plan, verdicts: &[Verdict]) -> impl Iterator<Item = (u8, &'p AnyChange)> {
    let pairs = plan.steps.iter().zip(verdicts.to_vec());
    pairs.filter(|(_, verdict)| *verdict == Verdict::Contain).map(|(step, _)| (step.stage, &step.change))
}

/// The outcome where no step is taken: the most that was held back for decides.
pub fn withheld(verdicts: &[Verdict]) -> Outcome {
    let has = |is: fn(&Verdict) -> bool| verdicts.iter().any(is);
    let kind = if has(|v| matches!(v, Verdict::AwaitApproval(_))) {
        OutcomeKind::AwaitingApproval
    } else if verdicts.is_empty() || has(|v| matches!(v, Verdict::Observe(_))) {
        OutcomeKind::Observed
    } else {
        OutcomeKind::Declined
    };
    let mut reasons: Vec<Reason> = verdicts.iter().filter_map(why).cloned().collect();
    reasons.dedup();
    if verdicts.is_empty() {
        reasons.push(Reason::new("already-so", "everything that would be changed is so already, or cannot be changed"));
    }
    Outcome::new(kind, reasons)
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
        Verdict::AwaitApproval(reason) => format!("waits for approval: {reason}"),
        Verdict::Observe(_) => "planned only".to_owned(),
        Verdict::Declined(reason) => format!("declined: {reason}"),
    }
}

pub fn nothing_new(incident: &IncidentId) -> String {
    format!("the target is held by incident {incident}, and nothing is new")
}

pub fn residual(plan: &Plan) -> Vec<ResidualRisk> {
    let refused = plan.refused.iter().map(|refusal| ResidualRisk { way: Way::Open, text: refusal.why.clone() });
    refused.chain(plan.residual.iter().cloned()).collect()
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
    }
}
