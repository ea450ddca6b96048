//! The sweep's look at the sensors: the first one takes what is on as the baseline, later ones find what of it is silent. Events about
//! sensors may be lost, and whoever stops a trail may have stopped the way of its event first.

use super::{Responder, Retry, Swept};
use crate::{
    aws::AwsError,
    detect::{Author, silent},
    domain::{AccountId, IncidentId, Region, Report, SensorId, Target, Timestamp},
    notify::Notification,
    survey::{
        Baseline, Known, On, Watches, all_on,
        trail::{self, Change},
    },
};
use futures::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

/// CloudTrail tells of a change within fifteen minutes; until then nobody knows whose it is.
const UNKNOWN_FOR: Duration = Duration::from_secs(15 * 60);
/// The sweep looks once in each; four of them ago is at least [`UNKNOWN_FOR`].
const SLOT: Duration = Duration::from_secs(5 * 60);
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
            // What answers in a moment is no news, unless it does not; or a blip would use up the day's.
            if error.is_passing() && !self.lasts(&format!("unread-once#{kind}"), UNKNOWN_FOR, 1..=1).await? {
                continue;
            }
            let day = self.now().millis().div_euclid(86_400_000);
            let text = format!(
                "Whether each {kind} of this region is on cannot be read, so nobody sees that one is silent: {error}"
            );
            self.tell_marked(&format!("unread#{kind}#{day}"), &Notification::of_unread(&text)).await;
        }
        let Some(mut baseline) = known? else {
            if unread.iter().any(|(_, error)| error.is_passing()) {
                return Ok(());
            }
            let unread = unread.iter().map(|(kind, _)| (*kind).to_owned()).collect();
            let sensors = self.taken(&region, on).await;
            let baseline = Baseline { taken: self.now(), by: "the first sweep".to_owned(), sensors, unread };
            self.journal().keep_baseline(account, &region, &baseline, None).await?;
            tracing::info!(sensors = baseline.sensors.len(), "the first baseline of sensors is taken");
            return Ok(());
        };
        let is_read = |kind: &str| !unread.iter().any(|(unread, _)| *unread == kind);
        let late: BTreeSet<String> = baseline.unread.iter().filter(|kind| is_read(kind)).cloned().collect();
        if !late.is_empty() {
            let of_late = on.iter().filter(|(_, (id, _))| late.contains(id.kind()));
            let taken = self.taken(&region, of_late.map(|(name, on)| (name.clone(), on.clone())).collect()).await;
            let mut more = baseline.clone();
            more.sensors.extend(taken);
            more.unread.retain(|kind| !late.contains(kind));
            // An operator who accepted another one meanwhile knows better.
            if self.journal().keep_baseline(account, &region, &more, Some(&baseline)).await? {
                tracing::info!(?late, "kinds of sensors that could not be read are in the baseline now");
                baseline = more;
            }
        }
        let mut silent: Vec<_> =
            baseline.sensors.iter().filter(|(_, known)| is_read(known.id.kind()) && is_silent(known, &on)).collect();
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

    /// Where a rule about the account says that something is silent, and not what.
    pub(super) async fn look_for_unnamed(&self, report: &Report, deadline: Option<Timestamp>) -> Result<(), Retry> {
        let aws = &self.analyst.aws;
        let Some(home) = aws.home() else { return Ok(()) };
        let account = &aws.identity().await?.account;
        if report.account.as_str() != account.as_str() || report.region.as_str() != home.as_str() {
            return Ok(());
        }
        // The first one is the sweep's: by now something may be off. And rules come in numbers; one look serves them all.
        let five_minutes = self.now().millis().div_euclid(300_000);
        if self.journal().baseline(account, &home).await?.is_none()
            || !self.journal().mark(&format!("sensors-looked#{five_minutes}"), UNKNOWN_FOR, self.now()).await?
        {
            return Ok(());
        }
        let end = self.now().plus(ENOUGH * 2);
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        self.look_at_sensors(Some(end), &mut Swept::default()).await
    }

    async fn taken(&self, region: &Region, on: BTreeMap<String, (SensorId, Watches)>) -> BTreeMap<String, Known> {
        let aws = &self.analyst.aws;
        let since = self.now().minus(Duration::from_secs(90 * 24 * 60 * 60));
        let looked =
            join_all(on.values().take(MOST_AUTHORS).map(|(id, _)| trail::last_change(aws, region, id.name(), since)));
        // Who changed it last explains; whether it is known changes nothing.
        let authors = tokio::time::timeout(Duration::from_secs(5), looked).await.unwrap_or_default();
        let authors = authors.into_iter().map(Result::unwrap_or_default).chain(std::iter::repeat_with(|| None));
        let known = |((name, (id, watches)), by): ((String, (SensorId, Watches)), Option<Change>)| {
            (name, Known { id, watches, changed_by: by.map(|change| change.to_string()) })
        };
        on.into_iter().zip(authors).map(known).collect()
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
        if change.is_none() && !self.lasts(&format!("silent#{}", target.key()), SLOT, 4..=6).await? {
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

    /// Whether it was so already that many slots of time ago; that it is so now is noted.
    async fn lasts(&self, what: &str, slot: Duration, ago: RangeInclusive<i64>) -> Result<bool, Retry> {
        let now = self.now().millis().div_euclid(i64::try_from(slot.as_millis()).unwrap_or(i64::MAX));
        let mark = |slot: i64| format!("{what}#{slot}");
        self.journal().mark(&mark(now), UNKNOWN_FOR * 4, self.now()).await?;
        for slots in ago {
            if self.journal().is_marked(&mark(now - slots)).await? {
                return Ok(true);
            }
        }
        Ok(false)
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
