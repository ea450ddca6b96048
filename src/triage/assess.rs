//! How bad it is and how much may be done about it unattended: the finding and its triage, held against the policy.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Evidence, Standing, Triage};
use crate::{
    domain::{Finding, Reason, Severity, Timestamp},
    policy::{Mode, Policy, Rules},
};
use serde::Serialize;
use std::{borrow::Cow, time::Duration};

/// A clock that runs ahead of ours by more than this is not believed.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assessment {
    pub severity: Severity,
    /// The most that may be done about this finding; guards may lower it for single steps.
    pub mode: Mode,
    pub reasons: Vec<Reason>,
}

/// Reasons come in the order in which they lowered the mode.
pub fn assess(finding: &Finding, triage: &Triage, rules: &Rules, ceiling: Mode, now: Timestamp) -> Assessment {
    let policy = &rules.policy;
    let (severity, told) = match finding.score {
        Some(score) => (score.severity(), format!("severity {score} is {}", score.severity())),
        // Without a number nothing can be authorised by severity; High gets it read by a person.
        None => (Severity::High, "no usable severity: taken as High for people, never contained unattended".to_owned()),
    };
    let mut reasons = vec![Reason::new("severity", told)];
    let mut mode = policy.mode(triage.situation, severity);
    reasons.push(Reason::new("policy-mode", format!("policy: {} at {severity}: {mode}", triage.situation)));
    let mut lower = |cap: Mode, code: Cow<'static, str>, why: String| {
        if cap < mode {
            mode = cap;
            reasons.push(Reason { code, text: why });
        }
    };
    if triage.evidence == Evidence::Dns {
        let cap = policy.dns_evidence(severity);
        lower(
            cap,
            "dns-evidence".into(),
            format!("DNS evidence alone, which anybody who makes a server resolve a name can cause: {cap} at most"),
        );
    }
    if finding.score.is_none() {
        lower(Mode::Approve, "no-severity".into(), "no usable severity: approval at most".to_owned());
    }
    if triage.standing == Standing::Unclear {
        lower(
            Mode::Approve,
            "standing-unclear".into(),
            "the finding does not say who is compromised: approval at most".to_owned(),
        );
    }
    if let Some((code, why)) = stale(finding, policy, now) {
        lower(Mode::Approve, code.into(), why);
    }
    for (cap, Reason { code, text }) in rules.caps(now) {
        lower(cap, code, text);
    }
    lower(ceiling, "ceiling".into(), format!("CORDON_MODE is {ceiling}"));
    Assessment { severity, mode, reasons }
}

/// A finding that lay around for hours may name a resource that is somebody else's by now.
fn stale(finding: &Finding, policy: &Policy, now: Timestamp) -> Option<(&'static str, String)> {
    let Some(seen) = finding.updated.or(finding.last_seen).or(finding.created) else {
        return Some(("no-time", "the finding has no time, so its age is unknown: approval at most".to_owned()));
    };
    let most = policy.most_age();
    match seen.age(now) {
        Some(age) if age > most => {
            let (minutes, most) = (age.as_secs() / 60, most.as_secs() / 60);
            Some(("stale", format!("the finding is {minutes} minutes old, the policy trusts {most}: approval at most")))
        }
        None if now.plus(CLOCK_SKEW) < seen => {
            Some(("from-the-future", format!("the finding says it is from {seen}: approval at most")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ingest, triage::classify};
    use serde_json::{Value, json};

    const NOW: &str = "2026-11-20T12:00:00Z";

    fn mode(kind: &str, severity: Value, updated: &str, ceiling: Mode) -> (Mode, Vec<String>) {
        let raw = json!({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {
            "id": "f1", "type": kind, "severity": severity, "accountId": "111122223333", "region": "us-east-1", "updatedAt": updated,
            "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0a1b2c3d4e5f60718"}},
            "service": {"action": {"actionType": "NETWORK_CONNECTION"}}}});
        let ingest::Ingested::Finding(finding) = ingest::event(&raw.to_string()) else { panic!("no finding") };
        let now = Timestamp::parse(NOW).unwrap();
        let assessment = assess(&finding, &classify(&finding), &Rules::default(), ceiling, now);
        (assessment.mode, assessment.reasons.iter().map(|r| r.code.to_string()).collect())
    }

    #[test]
    fn what_may_be_done_is_the_lowest_of_policy_evidence_age_and_ceiling() {
        let (c2, dns, unclear) =
            ("Backdoor:EC2/C&CActivity.B", "Backdoor:EC2/C&CActivity.B!DNS", "Behavior:EC2/NetworkPortUnusual");
        for (kind, severity, updated, ceiling, expected, lowered_by) in [
            (c2, json!(8), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Contain, None),
            (c2, json!(9.5), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Contain, None),
            (c2, json!(5), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Approve, None),
            (c2, json!(2), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Observe, None),
            (c2, json!(8), "2026-11-20T11:55:00Z", Mode::Approve, Mode::Approve, Some("ceiling")),
            (c2, json!(8), "2026-11-20T11:55:00Z", Mode::Observe, Mode::Observe, Some("ceiling")),
            (c2, json!(8), "2026-11-20T10:59:00Z", Mode::Contain, Mode::Approve, Some("stale")),
            (c2, json!(8), "2026-11-20T12:04:00Z", Mode::Contain, Mode::Contain, None),
            (c2, json!(8), "2026-11-21T12:00:00Z", Mode::Contain, Mode::Approve, Some("from-the-future")),
            (c2, json!(8), "", Mode::Contain, Mode::Approve, Some("no-time")),
            (c2, json!("much"), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Approve, Some("no-severity")),
            (dns, json!(8), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Approve, Some("dns-evidence")),
            (dns, json!(5), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Observe, Some("dns-evidence")),
            (unclear, json!(8), "2026-11-20T11:55:00Z", Mode::Contain, Mode::Approve, Some("standing-unclear")),
        ] {
            let (mode, codes) = mode(kind, severity.clone(), updated, ceiling);
            assert_eq!(mode, expected, "{kind} {severity} {updated} {ceiling}");
            assert_eq!(codes.get(2).map(String::as_str), lowered_by, "{kind} {severity} {updated} {ceiling}");
        }
    }
}
