//! How bad it is and how much may be done about it unattended: the finding and its triage, held against the policy.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    Triage,
    correlate::{caller, members},
    rows,
};
use crate::{
    domain::{
        Call, Confidence, Evidence, Finding, Impact, IncidentId, Reason, Severity, Situation, Source, Standing, Target,
        Timestamp,
    },
    policy::{Doer, Mode, Policy, Rules},
};
use serde::Serialize;
use std::{borrow::Cow, time::Duration};

/// A clock that runs ahead of ours by more than this is not believed.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assessment {
    pub severity: Severity,
    pub impact: Impact,
    /// The policy says that this is somebody's work: it is read in the digest.
    pub is_expected: bool,
    /// The most that may be done about this finding; guards may lower it for single steps.
    pub mode: Mode,
    pub reasons: Vec<Reason>,
}

/// What is known beside the event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// The incident that holds whoever is behind it.
    pub actor_held_by: Option<IncidentId>,
}

/// Reasons come in the order in which they lowered the mode.
pub fn assess(
    finding: &Finding,
    triage: &Triage,
    context: &Context,
    rules: &Rules,
    ceiling: Mode,
    now: Timestamp,
) -> Assessment {
    let policy = &rules.policy;
    let expected = expected(finding, triage, context, policy, now);
    let (severity, impact, mut reasons) = weigh(finding, triage, context, policy, expected.is_some());
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
    if let Some(because) = &expected {
        lower(Mode::Observe, "expected".into(), format!("the policy expects this of whoever did it: {because}"));
    }
    if let Some((cap, code, why)) = by_our_people(finding, triage, policy) {
        lower(cap, code.into(), why);
    }
    if triage.confidence == Confidence::Possible && triage.evidence != Evidence::Dns {
        lower(
            Mode::Approve,
            "possible-only".into(),
            "an attempt that was denied proves little: approval at most".to_owned(),
        );
    }
    if finding.score.is_none() && finding.detections.is_empty() {
        lower(Mode::Approve, "no-severity".into(), "no usable severity: approval at most".to_owned());
    }
    if triage.standing == Standing::Unclear {
        lower(
            Mode::Approve,
            "standing-unclear".into(),
            "the finding does not say who is compromised: approval at most".to_owned(),
        );
    }
    if triage.situation == Situation::AttackSequence
        && let Some(why) = too_much(finding, policy)
    {
        lower(Mode::Approve, "several-targets".into(), why);
    }
    let is_by_aws = finding.call.as_ref().is_none_or(|call| call.by_aws);
    if triage.situation == Situation::LeakedKey && !is_by_aws {
        let why = "somebody attached AWS's quarantine policy, and it was not AWS: approval at most";
        lower(Mode::Approve, "not-by-aws".into(), why.to_owned());
    }
    if let Some((code, why)) = stale(finding, policy, now) {
        lower(Mode::Approve, code.into(), why);
    }
    for (cap, Reason { code, text }) in rules.caps(now) {
        lower(cap, code, text);
    }
    lower(ceiling, "ceiling".into(), format!("CORDON_MODE is {ceiling}"));
    Assessment { severity, impact, is_expected: expected.is_some(), mode, reasons }
}

/// Why the policy expects it of whoever did it.
fn expected(finding: &Finding, triage: &Triage, context: &Context, policy: &Policy, now: Timestamp) -> Option<String> {
    let (call, who) = (finding.call.as_ref()?, finding.access_key()?);
    // A grant to oneself is nobody's work, nor is letting strangers in; and who is held by an incident has no work.
    let lets_in = call.shared_publicly || !policy.knows(&call.shared_with);
    let changes_rights = matches!(triage.situation, Situation::PrivilegeEscalation | Situation::IamChanged);
    if (call.on_self && changes_rights) || lets_in || context.actor_held_by.is_some() {
        return None;
    }
    let id = who.principal_id.as_str();
    let doer =
        Doer { unique_id: id.split_once(':').map_or(id, |(role, _)| role), arn: call.caller.clone(), from: call.from };
    // All that is seen in it must be expected, not only what is told first.
    let at = finding.updated.unwrap_or(now);
    let mut because = finding.detections.iter().map(|seen| policy.expects(&doer, seen.situation, at));
    because.try_fold(None, |_, because| Some(Some(because?.to_string()))).flatten()
}

/// What a fleet has in common is no proof against each of it, and of several principals one may be the victim.
fn too_much(finding: &Finding, policy: &Policy) -> Option<String> {
    let (targets, _) = members(finding);
    let is_principal = |target: &&Target| matches!(target, Target::User { .. } | Target::RoleSession { .. });
    let principals = targets.iter().filter(is_principal).count();
    let most = policy.limits.targets_per_sequence.get() as usize;
    if principals > 1 {
        return Some(format!("the sequence names {principals} principals: a person must approve the whole"));
    }
    (targets.len() > most).then(|| {
        let count = targets.len();
        format!(
            "the sequence has {count} targets, the policy allows {most} unattended: a person must approve the whole"
        )
    })
}

/// Who may set right what Cordon sets right may also set it otherwise.
fn by_our_people(finding: &Finding, triage: &Triage, policy: &Policy) -> Option<(Mode, &'static str, String)> {
    if !triage.situation.is_correction() {
        return None;
    }
    let subject = caller(finding)?;
    if policy.break_glass.iter().any(|principal| principal.is(&subject)) {
        return Some((Mode::Observe, "by-break-glass", "a break-glass principal of the policy did it".to_owned()));
    }
    let is_operator = policy.operators.iter().any(|principal| principal.is(&subject));
    is_operator
        .then(|| (Mode::Approve, "by-operator", "an operator of the policy did it: another must agree".to_owned()))
}

/// How bad it is, and what it costs.
fn weigh(
    finding: &Finding,
    triage: &Triage,
    context: &Context,
    policy: &Policy,
    is_expected: bool,
) -> (Severity, Impact, Vec<Reason>) {
    if finding.detections.is_empty() {
        let impact = finding.kind.as_ref().map_or(Impact::None, |kind| super::families::impact(kind.as_str()));
        let (severity, told) = match finding.score {
            Some(score) => (score.severity(), format!("severity {score} is {}", score.severity())),
            // Without a number nothing can be authorised by severity; High gets it read by a person.
            None => {
                (Severity::High, "no usable severity: taken as High for people, never contained unattended".to_owned())
            }
        };
        return (severity, impact, vec![Reason::new("severity", told)]);
    }
    let none = Call::default();
    let (call, region) = (finding.call.as_ref().unwrap_or(&none), finding.region.as_ref());
    let weighed =
        finding.detections.iter().map(|seen| rows::weigh(&rows::Case { seen, call, region, policy, is_expected }));
    // The first of the worst: what decides is what is told.
    let worst = weighed.reduce(|worst, next| if next.severity > worst.severity { next } else { worst });
    let Some(worst) = worst else { return (Severity::High, Impact::None, Vec::new()) };
    let mut reasons = vec![Reason::new(worst.code, format!("{}: {}", worst.severity, worst.says))];
    if finding.source == Source::Alarm
        && let Some(meaning) = finding
            .detections
            .first()
            .and_then(|seen| seen.subject.as_ref())
            .and_then(|(_, name)| policy.meaning(name.as_str()))
    {
        reasons.push(Reason::new("alarm-means", format!("the policy says that this alarm means: {meaning}")));
    }
    let mut severity = worst.severity;
    if worst.impact != Impact::None
        && !is_expected
        && let Some((code, why)) = worse(finding, triage, context, policy, call)
    {
        severity = one_more(severity);
        reasons.push(Reason::new(code, format!("one step worse, {severity}: {why}")));
    }
    (severity, worst.impact, reasons)
}

/// Why it is one step worse: at most one, whatever comes together.
fn worse(
    finding: &Finding,
    triage: &Triage,
    context: &Context,
    policy: &Policy,
    call: &Call,
) -> Option<(&'static str, String)> {
    if let Some(incident) = &context.actor_held_by {
        return Some(("actor-in-incident", format!("whoever did it is held by incident {incident}")));
    }
    if matches!(call.actor.as_str(), "other-account" | "anonymous") && triage.situation != Situation::RootUsed {
        return Some(("foreign-actor", "it was done from another account, or by nobody".to_owned()));
    }
    // What anybody may have caused is not worse because of where it happens.
    let account = finding.account.as_ref().filter(|_| triage.confidence > Confidence::Possible)?;
    policy
        .production_accounts
        .contains(account)
        .then(|| ("production", format!("account {account} is production by the policy")))
}

fn one_more(severity: Severity) -> Severity {
    match severity {
        Severity::Informational => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
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
        let assessment = assess(&finding, &classify(&finding), &Context::default(), &Rules::default(), ceiling, now);
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
