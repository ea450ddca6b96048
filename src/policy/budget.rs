//! Budgets: how many of a kind are contained unattended within a time. Each has a set of members, so that taking twice is taking once.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Limits;
use crate::domain::{Severity, Target, Timestamp, fingerprint};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One place in one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Of the limit in the policy: `instances-per-hour`.
    pub limit: &'static str,
    /// Names the set: kind and period.
    pub key: String,
    /// Who takes a place; the same in each delivery.
    pub member: String,
    pub most: u32,
    /// When the period is over.
    pub ends: Timestamp,
}

impl Budget {
    /// What containing this target unattended costs. `group` is the Auto Scaling group that would replace it; `is_made`: whoever another
    /// incident is about made it.
    pub fn of(
        target: &Target,
        group: Option<&str>,
        severity: Option<Severity>,
        limits: &Limits,
        is_made: bool,
        now: Timestamp,
    ) -> Vec<Self> {
        // A quarter is kept for Critical.
        let reserved = |most: u32| if severity == Some(Severity::Critical) { most } else { most - most / 4 };
        let member = fingerprint(&target.key());
        let one = |limit, kind: &str, most, period: Duration| {
            let length = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
            let n = now.millis().div_euclid(length);
            let ends = Timestamp::from_millis(n.saturating_add(1).saturating_mul(length));
            Self { limit, key: format!("{kind}#{n}"), member: member.clone(), most, ends }
        };
        // What the actor of an incident made would else fill the pool that others need.
        if is_made {
            return vec![one("made-per-hour", "made", reserved(limits.made_per_hour.get()), HOUR)];
        }
        match target {
            Target::Instance { account, region, .. } => {
                let most = reserved(limits.instances_per_hour.get());
                let group = group.map(|group| {
                    let kind = format!("replacements#{account}#{region}#{group}");
                    one("replacements-per-day", &kind, limits.replacements_per_day.get(), DAY)
                });
                [Some(one("instances-per-hour", "instances", most, HOUR)), group].into_iter().flatten().collect()
            }
            Target::User { .. } | Target::RoleSession { .. } => {
                let most = reserved(limits.credentials_per_hour.get());
                vec![one("credentials-per-hour", "credentials", most, HOUR)]
            }
            // Whoever opens groups in numbers must not keep the trail off by it.
            Target::Sensor { .. } => {
                vec![one("corrections-per-hour", "sensors", reserved(limits.corrections_per_hour.get()), HOUR)]
            }
            Target::SecurityGroup { .. } | Target::Bucket { .. } | Target::Object { .. } => {
                let most = reserved(limits.corrections_per_hour.get());
                vec![one("corrections-per-hour", "corrections", most, HOUR)]
            }
            // A person has agreed.
            Target::Address { .. } | Target::Account { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountId, InstanceId, Region};

    #[test]
    fn a_quarter_is_kept_for_critical_and_each_group_counts_by_itself() {
        let target = Target::Instance {
            account: AccountId::parse("111122223333").unwrap(),
            region: Region::parse("us-east-1").unwrap(),
            id: InstanceId::parse("i-0a1b2c3d").unwrap(),
            profile_hint: None,
            vpc_hint: None,
        };
        let now = Timestamp::parse("2026-11-20T12:59:59Z").unwrap();
        let budgets = |severity, group| Budget::of(&target, group, severity, &Limits::default(), false, now);
        let [alone] = &budgets(Some(Severity::High), None)[..] else { panic!("one") };
        assert_eq!((alone.most, alone.ends.to_string().as_str()), (15, "2026-11-20T13:00:00Z"));
        assert_eq!(budgets(Some(Severity::Critical), None)[0].most, 20);
        assert_eq!(budgets(None, None)[0].most, 15);
        let [_, web] = &budgets(Some(Severity::High), Some("web"))[..] else { panic!("two") };
        assert_eq!((web.limit, web.most), ("replacements-per-day", 3));
        assert_ne!(web.key, budgets(Some(Severity::High), Some("app"))[1].key);
        assert_eq!(web.ends.to_string(), "2026-11-21T00:00:00Z");
    }
}
