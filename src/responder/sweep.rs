//! Every few minutes: what nobody has looked at is looked at, who was not told is told, who has not answered is asked again.

use super::{Responder, Retry};
use crate::{
    actions::OwnGroups,
    analyst::SurveyFailed,
    aws::{AwsError, classify},
    domain::{IncidentId, OutcomeKind, Reason, Report, Target, Timestamp, VpcId},
    journal::{Approved, IncidentRecord},
    notify::Notification,
    policy::Mode,
};
use futures::{StreamExt, stream};
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};

/// Targets a sweep; those that were looked at last come last.
const MOST_TARGETS: usize = 200;
const MOST_INCIDENTS: usize = 100;
/// Looks at a time.
const AT_ONCE: usize = 4;
/// Of an invocation, what one more look needs.
const ENOUGH: Duration = Duration::from_secs(20);
/// Hours back whose digest may not have been told yet.
const HOURS: i64 = 6;

/// What a sweep did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Incidents that were looked at, each with all its targets.
    pub looked: usize,
    /// Messages that were sent: late ones, and questions asked again.
    pub told: usize,
    /// VPCs that have a quarantine group now and had none.
    pub prepared: usize,
    /// What did not work; the log says why.
    pub failed: usize,
    /// What there was no time for; the next sweep begins with it.
    pub left: usize,
}

impl Responder {
    /// # Errors
    /// Only where the journal does not answer. What fails by itself is counted, and tried again by the next sweep.
    pub async fn sweep(&self, deadline: Option<Timestamp>) -> Result<Swept, Retry> {
        let mut swept = Swept::default();
        if let Err(error) = self.analyst.rules.read().await {
            tracing::error!(%error, "swept by the rules that are known");
            swept.failed += 1;
        }
        self.look_after_what_is_held(deadline, &mut swept).await?;
        self.answer_what_waits(&mut swept).await?;
        self.remind_of_addresses().await?;
        self.tell_digest(&mut swept).await?;
        if let Err(error) = self.look_at_sensors(deadline, &mut swept).await {
            tracing::error!(%error, "sensors could not be compared with the baseline");
            swept.failed += 1;
        }
        if let Err(error) = self.prepare(&mut swept).await {
            tracing::error!(%error, "VPCs could not be prepared");
            swept.failed += 1;
        }
        self.tell_trouble().await;
        self.tell_pause().await;
        tracing::info!(swept.looked, swept.told, swept.prepared, swept.failed, swept.left, "swept");
        Ok(swept)
    }

    async fn look_after_what_is_held(&self, deadline: Option<Timestamp>, swept: &mut Swept) -> Result<(), Retry> {
        let held = self.journal().held(MOST_TARGETS).await?;
        let has_time = || deadline.is_none_or(|end| self.now().plus(ENOUGH) < end);
        // One look at an incident is a look at each of its targets.
        let mut seen = BTreeSet::new();
        let incidents =
            held.iter().map(|known| known.known_as().clone()).filter(|incident| seen.insert(incident.clone()));
        let incidents: Vec<IncidentId> = incidents.collect();
        let look = async |incident: IncidentId| match has_time() {
            true => Some(self.recheck(incident.as_str(), deadline).await.map_err(|error| (incident, error))),
            false => None,
        };
        let mut looks = stream::iter(incidents).map(look).buffer_unordered(AT_ONCE);
        while let Some(look) = looks.next().await {
            match look {
                None => swept.left += 1,
                Some(Ok(_)) => swept.looked += 1,
                Some(Err((incident, error))) => {
                    tracing::error!(%incident, %error, "not looked after");
                    swept.failed += 1;
                }
            }
        }
        Ok(())
    }

    /// Who is shut out by his address is so until somebody says otherwise, and somebody must think of it.
    async fn remind_of_addresses(&self) -> Result<(), Retry> {
        let hours = self.analyst.rules.last().policy.address_blocks.hours.get();
        let time = Duration::from_secs(u64::from(hours) * 3_600);
        for known in self.journal().held(MOST_TARGETS).await? {
            let is_over = known.begun.and_then(|begun| begun.age(self.now())).is_some_and(|age| age >= time);
            if matches!(known.target, Target::Address { .. }) && is_over {
                let (target, incident) = (known.target.to_string(), known.known_as().as_str());
                let notification = Notification::of_expired(&target, incident, hours);
                self.tell_marked(&format!("expired#{incident}#{}", known.target.key()), &notification).await;
            }
        }
        Ok(())
    }

    /// Tells what could not be told, and asks again what nobody has answered.
    async fn answer_what_waits(&self, swept: &mut Swept) -> Result<(), Retry> {
        for record in self.journal().unanswered(MOST_INCIDENTS).await? {
            let id = record.id;
            match self.tell_again(&id).await {
                Ok(told) => swept.told += usize::from(told),
                Err(error) => {
                    tracing::error!(incident = %id, %error, "people could not be told");
                    swept.failed += 1;
                }
            }
        }
        Ok(())
    }

    async fn tell_again(&self, listed: &IncidentId) -> Result<bool, Retry> {
        // Read again: while others were told, it may have been answered.
        let Some(record) = self.journal().incident(listed).await?.filter(IncidentRecord::is_unanswered) else {
            return Ok(false);
        };
        // Its message was lost, or the look that it asked for.
        let expiry = self.analyst.rules.last().policy.approval_expiry();
        if !record.approval.clone().current(expiry, self.now()).is_empty() {
            self.rechecks.send_now(listed).await.map_err(SurveyFailed::from)?;
            return Ok(false);
        }
        let Some(mut report) = record.report else { return Ok(false) };
        if record.told.is_none() {
            return self.tell_once(&report).await;
        }
        let asked = record.at.unwrap_or(record.opened);
        if asked.age(self.now()).is_none_or(|age| age < expiry) {
            return Ok(false);
        }
        // Asked about what is there now, not about what was. What needed a person is not done unattended because its reason has gone.
        if let Some(mut case) = record.treatment.filter(|_| report.outcome.kind == OutcomeKind::AwaitingApproval) {
            case.mode = case.mode.min(self.analyst.ceiling).min(Mode::Approve);
            report = self.observe_all(&case).await?;
        }
        if report.is_waiting() {
            let why = match record.approval.newest() {
                Some(Approved { by, at, .. }) if *at >= asked => {
                    format!(
                        "asked before, at {asked}; what {by} approved at {at} was not done in its time, and counts no more"
                    )
                }
                _ => format!("asked before, at {asked}, and nobody has answered"),
            };
            report.outcome.reasons.insert(0, Reason::new("asked-again", why));
        }
        self.tell(&report).await
    }

    /// What was observed and is no message by itself.
    async fn tell_digest(&self, swept: &mut Swept) -> Result<(), Retry> {
        let this_hour = hour(self.now());
        for past in (this_hour - HOURS)..this_hour {
            let Some(counts) = self.journal().counted(past).await? else { continue };
            match self.notifier.publish(&Notification::digest_of(past, &counts)).await {
                Ok(()) => {
                    self.journal().counts_told(past).await?;
                    swept.told += 1;
                }
                Err(error) => {
                    tracing::error!(%error, "the digest could not be sent");
                    swept.failed += 1;
                }
            }
        }
        Ok(())
    }

    /// Counts what was seen and told nobody.
    pub(super) async fn count_for_digest(&self, report: &Report) {
        if report.outcome.kind == OutcomeKind::Observed && !Notification::is_due(report) {
            self.count(report).await;
        }
    }

    pub(super) async fn count(&self, report: &Report) {
        if !self.journal().is_durable() {
            return;
        }
        let severity = report.severity.map(|severity| severity.to_string()).unwrap_or_default();
        let what = format!("{severity} {} in {} {}", report.finding_type, report.account, report.region);
        if let Err(error) = self.journal().count(hour(self.now()), what.trim()).await {
            tracing::error!(%error, "not counted for the digest");
        }
    }

    /// A group in every VPC ahead, so that the cut does not have to make it.
    async fn prepare(&self, swept: &mut Swept) -> Result<(), AwsError> {
        let aws = &self.analyst.aws;
        // Whoever only looks changes nothing, not even this.
        let Some(region) = aws.home().filter(|_| self.analyst.ceiling != Mode::Observe) else { return Ok(()) };
        let account = &aws.identity().await?.account;
        aws.quarantine.forget();
        let mut pages = aws.ec2(&region).describe_vpcs().into_paginator().items().send();
        let mut vpcs = Vec::new();
        while let Some(vpc) = pages.try_next().await.map_err(classify("ec2:DescribeVpcs"))? {
            vpcs.extend(vpc.vpc_id().and_then(|id| VpcId::parse(id).ok()));
        }
        let ours = aws.own_groups(account, &region).await?;
        let is_prepared = |vpc: &VpcId| ours.get(vpc).and_then(OwnGroups::empty_quarantine).is_some();
        for vpc in vpcs.iter().filter(|vpc| !is_prepared(vpc)) {
            aws.ensure_quarantine(account, &region, vpc).await?;
            swept.prepared += 1;
        }
        Ok(())
    }
}

/// Since 1970.
fn hour(at: Timestamp) -> i64 {
    at.millis().div_euclid(3_600_000)
}
