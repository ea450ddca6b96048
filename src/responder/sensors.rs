//! The sweep's look at the sensors: the first one takes what is on as the baseline, later ones find what of it is silent. Events about
//! sensors may be lost, and whoever stops a trail may have stopped the way of its event first.

use super::{Responder, Retry, Swept};
use crate::{
    aws::AwsError,
    detect::{Author, silent},
    domain::{AccountId, IncidentId, Region, SensorId, Target, Timestamp},
    notify::Notification,
    survey::{
        Baseline, Known, On, Watches, all_on,
        trail::{self, Change},
    },
};
use futures::future::join_all;
use std::{collections::BTreeMap, time::Duration};

/// CloudTrail tells of a change within fifteen minutes; until then nobody knows whose it is.
const UNKNOWN_FOR: Duration = Duration::from_secs(15 * 60);
/// How far back a change of a sensor is looked for.
const LOOK_BACK: Duration = Duration::from_secs(60 * 60);
/// Of an invocation, what one more sensor needs.
const ENOUGH: Duration = Duration::from_secs(15);
/// Of those who changed sensors last so many are looked up: CloudTrail answers two questions a second.
const MOST_AUTHORS: usize = 5;

impl Responder {
    /// What watches the account is compared with what did when the baseline was taken.
    pub(super) async fn look_at_sensors(&self, deadline: Option<Timestamp>, swept: &mut Swept) -> Result<(), Retry> {
        let aws = &self.analyst.aws;
        let Some(region) = aws.home().filter(|_| self.journal().is_durable()) else { return Ok(()) };
        let account = &aws.identity().await?.account;
        let (known, on) = futures::join!(
            self.journal().baseline(account, &region),
            all_on(aws, account, &region, self.event_rules.as_deref())
        );
        let On { sensors: on, unread } = on;
        for (kind, error) in &unread {
            tracing::error!(kind, %error, "sensors of this kind cannot be read");
            swept.failed += 1;
            let day = self.now().millis().div_euclid(86_400_000);
            let text = format!(
                "Whether each {kind} of this region is on cannot be read, so nobody sees that one is silent: {error}"
            );
            self.tell_marked(&format!("unread#{kind}#{day}"), &Notification::of_unread(&text)).await;
        }
        let Some(baseline) = known? else {
            // What answers in a moment must not be missing for good.
            if unread.iter().any(|(_, error)| error.is_passing()) {
                return Ok(());
            }
            let baseline = self.taken(&region, on).await;
            self.journal().keep_baseline(account, &region, &baseline, None).await?;
            tracing::info!(sensors = baseline.sensors.len(), "the first baseline of sensors is taken");
            return Ok(());
        };
        let mut silent: Vec<_> = baseline
            .sensors
            .iter()
            .filter(|(_, known)| !unread.iter().any(|(kind, _)| *kind == known.id.kind()) && is_silent(known, &on))
            .collect();
        // Without its trail the account is dark; flow logs may be many.
        silent.sort_by_key(|(_, known)| {
            (!matches!(known.id, SensorId::Trail(_)), matches!(known.id, SensorId::FlowLog(_)))
        });
        for (name, known) in silent {
            if deadline.is_some_and(|end| self.is_past(end, ENOUGH)) {
                swept.left += 1;
                continue;
            }
            if let Err(error) = self.treat_silent(account, &region, known, deadline).await {
                tracing::error!(sensor = name, %error, "a silent sensor is not set right");
                swept.failed += 1;
            }
        }
        Ok(())
    }

    async fn taken(&self, region: &Region, on: BTreeMap<String, (SensorId, Watches)>) -> Baseline {
        let aws = &self.analyst.aws;
        let since = self.now().minus(Duration::from_secs(90 * 24 * 60 * 60));
        let looked =
            join_all(on.values().take(MOST_AUTHORS).map(|(id, _)| trail::last_change(aws, region, id.name(), since)));
        // Who changed it last explains; whether it is known changes nothing.
        let authors = tokio::time::timeout(Duration::from_secs(5), looked).await.unwrap_or_default();
        let authors = authors.into_iter().map(Result::unwrap_or_default).chain(std::iter::repeat_with(|| None));
        let sensors = on.into_iter().zip(authors).map(|((name, (id, watches)), by)| {
            (name, Known { id, watches, changed_by: by.map(|change| change.to_string()) })
        });
        Baseline { taken: self.now(), by: "the first sweep".to_owned(), sensors: sensors.collect() }
    }

    async fn treat_silent(
        &self,
        account: &AccountId,
        region: &Region,
        known: &Known,
        deadline: Option<Timestamp>,
    ) -> Result<(), Retry> {
        let target = Target::Sensor { account: account.clone(), region: region.clone(), sensor: known.id.clone() };
        // What is held is looked after already.
        if self.journal().read(&target.key()).await?.is_some_and(|held| held.is_held()) {
            return Ok(());
        }
        let now = self.now();
        let change = match trail::last_change(&self.analyst.aws, region, known.id.name(), now.minus(LOOK_BACK)).await {
            Ok(change) => change,
            Err(error @ (AwsError::Denied { .. } | AwsError::Rejected { .. })) => {
                tracing::warn!(sensor = %known.id, %error, "who silenced it is not known");
                None
            }
            Err(error) => return Err(error.into()),
        };
        if change.is_none() && !self.is_silent_for_long(&target).await? {
            return Ok(());
        }
        let author = change.as_ref().map(|Change { arn, principal, .. }| Author { arn: arn.as_ref(), principal });
        let finding = match silent(account, region, &known.id, author, now) {
            Ok(finding) => finding,
            Err(outcome) => {
                tracing::error!(sensor = %known.id, ?outcome, "no finding of it");
                return Ok(());
            }
        };
        // Once a day: people know it then, and `cordon baseline accept` says that it is to be so.
        let incident = IncidentId::of(account.as_str(), &finding.id);
        if self.journal().incident(&incident).await?.is_some_and(|record| record.told.is_some()) {
            return Ok(());
        }
        Box::pin(self.handle_sensed(Ok((finding, Default::default())), deadline)).await.map(drop)
    }

    /// Whether it was so a quarter of an hour ago already.
    async fn is_silent_for_long(&self, target: &Target) -> Result<bool, Retry> {
        let length = i64::try_from(UNKNOWN_FOR.as_millis()).unwrap_or(i64::MAX);
        let quarter = self.now().millis().div_euclid(length);
        let mark = |quarter: i64| format!("silent#{}#{quarter}", target.key());
        self.journal().mark(&mark(quarter), UNKNOWN_FOR * 4, self.now()).await?;
        Ok(self.journal().is_marked(&mark(quarter - 1)).await?)
    }
}

/// Whether it watches less than it did.
fn is_silent(known: &Known, on: &BTreeMap<String, (SensorId, Watches)>) -> bool {
    let now = on.get(&known.id.to_string()).map(|(_, watches)| watches);
    match (&known.watches, now) {
        // One that was made again has another id.
        (Watches::FlowLog { to: Some(_), .. }, _) => !on.values().any(|(_, watches)| *watches == known.watches),
        (_, None) => true,
        (Watches::Detector { features: before }, Some(Watches::Detector { features: now })) => !before.is_subset(now),
        (
            Watches::Trail { coverage, selectors },
            Some(Watches::Trail { coverage: now_covers, selectors: now_selects }),
        ) => !now_covers.covers(coverage) || !now_selects.covers(selectors),
        (before, Some(now)) => before != now,
    }
}
