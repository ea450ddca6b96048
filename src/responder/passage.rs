//! The passage through the open group, which ends tracked connections, and closing what is found open.

use super::{Responder, Retry};
use crate::{
    actions::{Action, Groups, InterfaceGroups},
    analyst::SurveyFailed,
    decision::Treatment,
    domain::Target,
    engine::{Course, Worker},
    playbooks::Plan,
    recheck::Sent,
    survey::Instance,
};
use std::time::Duration;

/// What opening, closing and reading back need of an invocation.
const PASSAGE_TIME: Duration = Duration::from_secs(15);

impl Responder {
    /// Open is never an end: a recheck that meets a live lease cannot know whether its holder still lives, and closes what it sees open.
    pub(super) async fn close_what_is_open(&self, instance: &Instance) -> Result<(), Retry> {
        let aws = &self.analyst.aws;
        for interface in instance.interfaces.iter().filter(|interface| interface.groups == Groups::passage()) {
            let target = InterfaceGroups {
                account: instance.account.clone(),
                region: instance.region.clone(),
                vpc: interface.vpc.clone(),
                interface: interface.id.clone(),
            };
            tracing::warn!(%target, "found open under a live lease; closed");
            target.apply(aws, &Groups::quarantine()).await.map_err(SurveyFailed::from)?;
        }
        Ok(())
    }

    /// The passage through the open group, where all that makes it safe is there.
    ///
    /// # Errors
    /// Why it was not made, in words.
    pub(super) async fn pass(
        &self,
        case: &Treatment,
        worker: &Worker<'_>,
        course: &mut Course,
        plan: &Plan,
        sent: Option<&Sent>,
    ) -> Result<(), String> {
        let Target::Instance { account, region, .. } = &case.target else { return Err("it is no instance".to_owned()) };
        if !self.analyst.rules.last().policy.open_passage {
            return Err("the policy does not allow the open passage".to_owned());
        }
        // INVARIANT: nothing is opened unless somebody looks again soon, and there is time to close it.
        if sent != Some(&Sent::All) {
            return Err("no recheck is under way that would close it".to_owned());
        }
        if worker.deadline.is_some_and(|end| end < self.now().plus(PASSAGE_TIME)) {
            return Err("the invocation has no time left for it".to_owned());
        }
        let ours = self.analyst.aws.own_groups(account, region).await.map_err(|error| error.to_string())?;
        let through: Vec<_> = course.in_vpcs(&plan.passages, &ours).collect();
        if through.len() < plan.passages.len() {
            return Err("the VPC has no passage group; `cordon prepare` makes it".to_owned());
        }
        worker.hold(course).await.map_err(|error| error.to_string())?;
        match worker.pass(course, &through).await.len() {
            all if all == plan.passages.len() => Ok(()),
            some => Err(format!("{some} of {} interfaces passed", plan.passages.len())),
        }
    }
}
