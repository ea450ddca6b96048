//! The operator's alert table, a test a row: what he wants to be told as High, Medium and Low.

use crate::lab::root;
use cordon::{
    decision::{Decision, decide},
    domain::Severity,
    ingest,
    journal::MemoryTallies,
    policy::{Mode, Policy, Rules},
    watch::{NamesOnly, Watch, own_time},
};
use futures::FutureExt;
use serde_json::Value;

/// The severity of the last of these events, which come one after another.
fn severity_of(samples: &[&str], times: usize) -> Severity {
    let (watch, tallies) = (Watch::new(None), MemoryTallies::default());
    let policy = Policy::parse(
        "alarms: {'waf-*': requests-blocked, 'traffic-*': traffic-unusual, 'throttled-*': calls-throttled}",
    )
    .unwrap();
    let rules = Rules::of(policy);
    let mut severity = None;
    for n in 0..times {
        for sample in samples {
            let (path, alarm) = sample.split_once('@').map_or((*sample, None), |(path, alarm)| (path, Some(alarm)));
            let text = std::fs::read_to_string(root().join("events").join(format!("{path}.json"))).unwrap();
            let mut event: Value = serde_json::from_str(&text).unwrap();
            if event["detail"]["eventID"].is_string() {
                event["detail"]["eventID"] = format!("event-{n}").into();
            }
            if let Some(alarm) = alarm {
                event["detail"]["alarmName"] = alarm.into();
            }
            let sensed =
                watch.sense(ingest::event(&event.to_string()), &tallies, &NamesOnly).now_or_never().unwrap().unwrap();
            let now =
                sensed.as_ref().map_or(cordon::domain::Timestamp::from_millis(0), |(finding, _)| own_time(finding));
            if let Decision::Ended { judged: Some(judged), .. } | Decision::Treat { judged, .. } =
                decide(sensed, &rules, Mode::Contain, now)
            {
                severity = Some(judged.assessment.severity);
            }
        }
    }
    severity.unwrap_or_else(|| panic!("{samples:?} is no finding"))
}

macro_rules! rows {
    ($($name:ident: $severity:ident = $samples:expr $(, $times:literal times)?;)*) => {$(
        #[test]
        fn $name() {
            let times: &[usize] = &[$($times,)? 1];
            assert_eq!(severity_of(&$samples, times[0]), Severity::$severity);
        }
    )*};
}

rows! {
    high_security_group_changes_that_open_to_the_world: High = ["cloudtrail/exposure/port-opened-to-the-world"];
    high_iam_policy_changes: High = ["cloudtrail/iam/iam-policy-changed"];
    high_iam_policies_that_grant_administration: High = ["cloudtrail/iam/admin-granted"];
    high_root_account_usage: High = ["cloudtrail/access/root-used"];
    high_kms_key_deletion: High = ["cloudtrail/destruction/key-deletion-scheduled"];
    high_guardduty_high_severity: High = ["guardduty/key-used-from-outside"];
    medium_failed_login_attempts: Medium = ["cloudtrail/access/console-sign-ins-failed"], 5 times;
    medium_waf_blocks: Medium = ["alarms/waf-blocks"];
    medium_s3_public_access: Medium = ["config/bucket-public"];
    medium_s3_public_access_by_policy: Medium = ["cloudtrail/exposure/bucket-policy-public"];
    medium_unusual_traffic_patterns: Medium = ["alarms/waf-blocks@traffic-outbound"];
    medium_api_throttling: Medium = ["alarms/waf-blocks@throttled-api"];
    medium_unusual_call_rates: Medium = ["cloudtrail/access/call-rate-unusual"];
    low_configuration_changes: Low = ["config/tags-changed"];
    low_other_security_group_changes: Low = ["cloudtrail/exposure/security-group-changed"];
    low_resource_creation: Low = ["cloudtrail/changes/resource-created"];
    low_tag_modifications: Low = ["cloudtrail/changes/tags-changed-in-bulk"], 50 times;
    low_cost_anomalies: Low = ["alarms/cost-anomaly"];
}

/// Of five thousand first evaluations nothing would be changed and nobody asked.
#[test]
fn a_conformance_pack_of_first_evaluations_changes_nothing() {
    let (watch, tallies, rules) = (Watch::new(None), MemoryTallies::default(), Rules::default());
    let text = std::fs::read_to_string(root().join("events/config/ssh-open-at-first-evaluation.json")).unwrap();
    let mut event: Value = serde_json::from_str(&text).unwrap();
    let names = cordon::detect::CONFIG_RULES;
    for n in 0..5_000 {
        event["detail"]["configRuleName"] = names[n % names.len()].name.into();
        event["detail"]["resourceId"] = format!("resource-{n}").into();
        let sensed =
            watch.sense(ingest::event(&event.to_string()), &tallies, &NamesOnly).now_or_never().unwrap().unwrap();
        let now = own_time(&sensed.as_ref().unwrap().0);
        match decide(sensed, &rules, Mode::Contain, now) {
            Decision::Ended { judged: Some(judged), .. } => {
                assert_eq!(
                    (judged.assessment.mode, judged.assessment.severity),
                    (Mode::Observe, Severity::Low),
                    "{}",
                    judged.finding.type_shown
                );
            }
            _ => panic!("{event}"),
        }
    }
}
