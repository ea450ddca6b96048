//! How bad it is what our rules saw: the first row that matches, from the top. A situation that no row names is as bad as its rule says.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    domain::{Call, Detection, Impact, Region, Severity, Situation},
    policy::Policy,
};
use Severity::{High, Low, Medium};

/// What a row looks at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub seen: &'a Detection,
    pub call: &'a Call,
    pub region: Option<&'a Region>,
    pub policy: &'a Policy,
    /// The policy names this principal and this situation.
    pub is_expected: bool,
}

pub struct Row {
    pub code: &'static str,
    /// In a person's words, for the manual and for whoever asks why.
    pub says: &'static str,
    when: fn(&Case<'_>) -> bool,
    severity: fn(&Case<'_>) -> Severity,
    pub impact: Option<Impact>,
}

pub const ROWS: &[Row] = &[
    Row {
        code: "denied-attempt",
        says: "one denied attempt of something that nobody tries by chance is Medium",
        when: |case| case.seen.is_attempt,
        severity: |_| Medium,
        impact: None,
    },
    Row {
        code: "sensor-silenced",
        says: "a sensor was silenced: as bad as its rule says, Medium at least; one step worse where its silencer has an open incident",
        when: |case| is(case, &[Situation::AuditTrailSilenced, Situation::ThreatDetectionSilenced]),
        severity: |case| case.seen.level.max(Medium),
        impact: Some(Impact::EvidenceTampering),
    },
    Row {
        code: "root-used",
        says: "any use of root is High",
        when: |case| is(case, &[Situation::RootUsed]),
        severity: |_| High,
        impact: Some(Impact::UnauthorisedAccess),
    },
    Row {
        code: "privileges-granted",
        says: "a policy, a trust or a key that grants administration, its maker or another account is High, and Medium where it is only an account that the policy knows",
        when: |case| is(case, &[Situation::PrivilegeEscalation]),
        severity: |case| {
            let let_in = &case.call.shared_with;
            let is_known = !let_in.is_empty() && !case.call.shared_publicly && case.policy.knows(let_in);
            if is_known { Medium } else { High }
        },
        impact: Some(Impact::UnauthorisedAccess),
    },
    Row {
        code: "iam-changed",
        says: "another change of IAM policies is as bad as its rule says, and Low where the policy expects it",
        when: |case| is(case, &[Situation::IamChanged]),
        severity: |case| if case.is_expected { Low } else { case.seen.level },
        impact: Some(Impact::UnauthorisedAccess),
    },
    Row {
        code: "sensitive-port-open",
        says: "a port of administration or of a database that is open to the world is High",
        when: |case| is(case, &[Situation::ExposedPort]) && case.call.sensitive_port,
        severity: |_| High,
        impact: Some(Impact::UnauthorisedAccess),
    },
    Row {
        code: "port-open",
        says: "another port that is open to the world is High, and Medium where the policy declares it public",
        when: |case| is(case, &[Situation::ExposedPort]) && !case.call.ports.is_empty(),
        severity: |case| if case.policy.declares_public(&case.call.ports) { Medium } else { High },
        impact: Some(Impact::UnauthorisedAccess),
    },
    Row {
        code: "group-changed",
        says: "another change of a security group is Low",
        when: |case| is(case, &[Situation::SecurityGroupChanged]),
        severity: |_| Low,
        impact: Some(Impact::None),
    },
    Row {
        code: "key-destroyed",
        says: "the destruction of a KMS key, and what leads to it, is as bad as its rule says",
        when: |case| is(case, &[Situation::KeyDestruction]),
        severity: |case| case.seen.level,
        impact: Some(Impact::ServiceDisruption),
    },
    Row {
        code: "data-shared",
        says: "a snapshot, image, secret or key that is shared with everybody or another account is High, and Medium with a known one",
        when: |case| {
            is(case, &[Situation::DataShared]) && (case.call.shared_publicly || !case.call.shared_with.is_empty())
        },
        severity: |case| {
            if case.call.shared_publicly || !case.policy.knows(&case.call.shared_with) { High } else { Medium }
        },
        impact: Some(Impact::DataBreach),
    },
    Row {
        code: "bucket-exposed",
        says: "a bucket that is public is Medium, and High where the guard of all buckets of an account is lifted",
        when: |case| is(case, &[Situation::ExposedBucket]),
        severity: |case| case.seen.level.max(Medium),
        impact: Some(Impact::DataBreach),
    },
    Row {
        code: "resources-abused",
        says: "compute or models in numbers are Medium, and High in a region that the policy does not name as used",
        when: |case| is(case, &[Situation::ResourceAbuse]),
        severity: |case| if case.policy.is_unused(case.region) { High } else { case.seen.level.min(Medium) },
        impact: Some(Impact::ResourceAbuse),
    },
    Row {
        code: "guessed",
        says: "sign-ins that fail and calls that are denied in numbers are Medium",
        when: |case| is(case, &[Situation::FailedSignIns, Situation::DeniedCalls]),
        severity: |_| Medium,
        impact: Some(Impact::UnauthorisedAccess),
    },
    Row {
        code: "service-disrupted",
        says: "blocked or throttled requests and unusual traffic are Medium",
        when: |case| is(case, &[Situation::ServiceDisruption]),
        severity: |_| Medium,
        impact: Some(Impact::ServiceDisruption),
    },
    Row {
        code: "changed",
        says: "other changes, creations, tags and costs are Low",
        when: |case| is(case, &[Situation::ConfigurationChanged]),
        severity: |_| Low,
        impact: Some(Impact::None),
    },
];

fn is(case: &Case<'_>, situations: &[Situation]) -> bool {
    situations.contains(&case.seen.situation)
}

/// What a row says of a detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    pub severity: Severity,
    pub impact: Impact,
    pub code: &'static str,
    pub says: String,
}

pub fn weigh(case: &Case<'_>) -> Weighed {
    match ROWS.iter().find(|row| (row.when)(case)) {
        Some(row) => Weighed {
            severity: (row.severity)(case),
            impact: row.impact.unwrap_or(case.seen.impact),
            code: row.code,
            says: row.says.to_owned(),
        },
        None => Weighed {
            severity: case.seen.level,
            impact: case.seen.impact,
            code: "rule-level",
            says: format!("the rule `{}` says {}", case.seen.rule, case.seen.level),
        },
    }
}
