//! What a finding means, from the event alone: which situation, whether the resource is the attacker's tool or only
//! attacked, and what kind of evidence speaks.
//!
//! `service.resourceRole` alone misleads: TARGET stands on plainly compromised instances too. The family decides; families
//! that come both ways are told apart by direction and role.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    Triage,
    families::{BOTH_WAYS, CALLERS, ODD_CALLERS, TECHNIQUES, TOOL, UNUSUAL},
};
use crate::{
    domain::{
        Action, Confidence, Detection, Direction, Evidence, Finding, Reason, Resource, Role, Situation, Source,
        Standing, UserType,
    },
    principal::{self, Identity},
};

/// The parts of `Purpose:Resource/Family.Mechanism!Artifact`.
#[derive(Clone, Copy, Debug)]
struct Type<'a> {
    purpose: &'a str,
    resource: &'a str,
    /// Family with mechanism, without artifact.
    family: &'a str,
    artifact: Option<&'a str>,
}

impl<'a> Type<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (purpose, rest) = text.split_once(':')?;
        let (resource, rest) = rest.split_once('/')?;
        let (family, artifact) = match rest.split_once('!') {
            Some((family, artifact)) => (family, Some(artifact)),
            None => (rest, None),
        };
        Some(Self { purpose, resource, family, artifact })
    }

    /// Whether the family is one of these, whatever mechanism follows it.
    fn is(&self, families: &[&str]) -> bool {
        let same = |family: &str| {
            self.family.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        families.iter().any(|family| same(family))
    }
}

pub fn classify(finding: &Finding) -> Triage {
    match finding.detections.first() {
        Some(first) => detected(finding, first),
        None => by_type(finding),
    }
}

/// What our own rules saw.
fn detected(finding: &Finding, first: &Detection) -> Triage {
    let evidence = match finding.source {
        Source::CloudTrail | Source::GuardDuty => Evidence::Api,
        Source::Config | Source::Alarm | Source::Health => Evidence::Configuration,
    };
    let reason = |seen: &Detection| {
        let times = seen.counted.map(|n| format!(", {n} times")).unwrap_or_default();
        let tried = if seen.is_attempt { ", which was denied" } else { "" };
        Reason::new("rule", format!("`{}`: {}{times}{tried}", seen.rule, seen.title))
    };
    Triage {
        situation: first.situation,
        standing: Standing::Tool,
        evidence,
        confidence: if first.is_attempt { Confidence::Possible } else { first.confidence },
        reasons: finding.detections.iter().map(reason).collect(),
    }
}

fn by_type(finding: &Finding) -> Triage {
    let Some(kind) = finding.kind.as_ref().and_then(|kind| Type::of(kind.as_str())) else {
        return judged(
            Situation::Unknown,
            Standing::Unclear,
            Evidence::Unknown,
            "unknown-type",
            "no finding type that can be read".into(),
        );
    };
    let evidence = evidence(kind, finding);
    if let Some((family, situation)) = TECHNIQUES.iter().find(|(family, _)| kind.is(&[family])) {
        let why = format!(
            "`{family}` is seen in CloudTrail by a rule that was switched on in GuardDuty; he may have been allowed to"
        );
        return judged(*situation, Standing::Unclear, Evidence::Api, "technique", why);
    }
    match kind.resource {
        _ if kind.purpose == "AttackSequence" => judged(
            Situation::AttackSequence,
            Standing::Tool,
            Evidence::Correlation,
            "attack-sequence",
            "several signals were correlated to one attack".into(),
        ),
        "EC2" if kind.artifact.is_some_and(|a| matches!(a, "Snapshot" | "AMI" | "RecoveryPoint")) => {
            other(evidence, "malware in a copy, not on a running instance")
        }
        "EC2" | "Runtime" => machine(kind, finding, evidence),
        "IAMUser" => identity(kind, finding, evidence),
        "S3" => bucket(kind, finding, evidence),
        "Kubernetes" | "Container" | "ECS" | "Lambda" | "RDS" => {
            other(evidence, "clusters, containers, functions and databases are reported, not contained")
        }
        _ => unknown(finding, evidence),
    }
}

/// EC2 network and DNS findings, malware on volumes, and runtime findings, as far as an instance is named.
fn machine(kind: Type<'_>, finding: &Finding, evidence: Evidence) -> Triage {
    let others = || {
        finding.resources.iter().filter_map(|r| if let Resource::Other { what, .. } = r { Some(*what) } else { None })
    };
    let (in_container, in_cluster) =
        (others().any(|what| what == "container"), others().any(|what| what != "container"));
    if kind.resource == "Runtime" && (in_cluster || !is_instance(finding)) {
        return other(evidence, "a container, not the instance below it, is what the finding names");
    }
    let Some((standing, code, why)) = standing_of_machine(kind, finding) else { return unknown(finding, evidence) };
    if kind.resource == "Runtime" && in_container && standing == Standing::Tool {
        let why = format!("{why}; in a container that runs on the instance outside of any cluster");
        return judged(Situation::CompromisedInstance, Standing::Unclear, evidence, "container-on-instance", why);
    }
    let situation = if standing == Standing::Victim { Situation::AttackedOnly } else { Situation::CompromisedInstance };
    judged(situation, standing, evidence, code, why)
}

/// `None` for a family that this version does not know: GuardDuty's list grows, and not all that names an instance blames it.
fn standing_of_machine(kind: Type<'_>, finding: &Finding) -> Option<(Standing, &'static str, String)> {
    let family = kind.family;
    if kind.is(&["PortProbeUnprotectedPort", "PortProbeEMRUnprotectedPort"]) {
        let why = "an open port is probed from outside; nothing says that anybody came in";
        return Some((Standing::Victim, "probed", why.into()));
    }
    if kind.is(&BOTH_WAYS) {
        let attacks = || {
            (Standing::Tool, "attacks-outbound", format!("`{family}` outbound: the instance itself attacks or calls"))
        };
        // The callers' role is TARGET either way; of brute force it is the instance's side of the attack.
        let blamed = finding.role != Some(Role::Target) || kind.is(&["MaliciousIPCaller.Custom", "TorIPCaller"]);
        return Some(match finding.direction {
            Some(Direction::Inbound) => {
                (Standing::Victim, "attacked-inbound", format!("`{family}` inbound: the instance is attacked"))
            }
            Some(Direction::Outbound) if blamed => attacks(),
            Some(Direction::Outbound) => {
                let why = format!("`{family}` outbound, but the instance is called the target");
                (Standing::Unclear, "direction-contradicts-role", why)
            }
            Some(Direction::Unknown) | None => (
                Standing::Unclear,
                "direction-unknown",
                format!("`{family}` without a direction: attacker or attacked"),
            ),
        });
    }
    if kind.is(&UNUSUAL) {
        return Some((
            Standing::Unclear,
            "unusual-only",
            format!("`{family}` is unusual, which alone proves no compromise"),
        ));
    }
    let why = || format!("`{family}` is done by an instance that works for somebody else");
    kind.is(&TOOL).then(|| (Standing::Tool, "family-means-compromised", why()))
}

fn identity(kind: Type<'_>, finding: &Finding, evidence: Evidence) -> Triage {
    let Some(user_type) = finding.access_key().map(|key| &key.user_type) else {
        return judged(
            Situation::Unknown,
            Standing::Unclear,
            evidence,
            "no-identity",
            "the finding names no credentials".into(),
        );
    };
    if *user_type == UserType::Root || kind.is(&["RootCredentialUsage", "ShortTermRootCredentialUsage"]) {
        return judged(
            Situation::RootUsed,
            Standing::Unclear,
            evidence,
            "root",
            "root credentials: IAM cannot limit them, a person must act".into(),
        );
    }
    let situation = match user_type {
        UserType::IamUser => Situation::CompromisedAccessKey,
        UserType::AssumedRole => Situation::CompromisedRoleSession,
        _ => {
            let key = finding.access_key();
            let (id, name) = key.map_or(("", ""), |key| (key.principal_id.as_str(), key.name.as_str()));
            let identity = Identity { kind: user_type, principal_id: id, name, key: None, issuer: None };
            let why = principal::whose(&identity).err().map_or_else(String::new, |cannot| cannot.why);
            return judged(Situation::OtherWorkload, Standing::Unclear, evidence, "no-playbook-for-workload", why);
        }
    };
    let family = kind.family;
    if kind.purpose == "Policy" || kind.is(&ODD_CALLERS) {
        let why = format!("`{family}` names who did something odd; he may have been allowed to");
        return judged(situation, Standing::Unclear, evidence, "odd-caller", why);
    }
    if !kind.is(&CALLERS) {
        return unknown(finding, evidence);
    }
    judged(
        situation,
        Standing::Tool,
        evidence,
        "credentials-misused",
        format!("`{family}` is done with these credentials"),
    )
}

fn bucket(kind: Type<'_>, finding: &Finding, evidence: Evidence) -> Triage {
    match kind.purpose {
        "Policy" => judged(
            Situation::ExposedBucket,
            Standing::Victim,
            Evidence::Configuration,
            "bucket-opened",
            "a bucket was opened, or what keeps it closed was lifted".into(),
        ),
        "Stealth" => judged(
            Situation::ThreatDetectionSilenced,
            Standing::Unclear,
            Evidence::Configuration,
            "bucket-logging-off",
            "the access log of a bucket was switched off".into(),
        ),
        _ if kind.is(&["MaliciousFile"]) => judged(
            Situation::MalwareFound,
            Standing::Victim,
            Evidence::Malware,
            "malware-in-object",
            "malware was found in an object".into(),
        ),
        _ => identity(kind, finding, evidence),
    }
}

fn unknown(finding: &Finding, evidence: Evidence) -> Triage {
    let why = format!("this version knows no rule for `{}`", finding.type_shown);
    judged(Situation::Unknown, Standing::Unclear, evidence, "unknown-type", why)
}

fn other(evidence: Evidence, why: &str) -> Triage {
    judged(Situation::OtherWorkload, Standing::Unclear, evidence, "no-playbook-for-workload", why.into())
}

fn judged(situation: Situation, standing: Standing, evidence: Evidence, code: &'static str, why: String) -> Triage {
    let confidence = match (evidence, standing) {
        (Evidence::Dns, _) => Confidence::Possible,
        (_, Standing::Tool) => Confidence::Confirmed,
        _ => Confidence::Likely,
    };
    Triage { situation, standing, evidence, confidence, reasons: vec![Reason::new(code, why)] }
}

fn is_instance(finding: &Finding) -> bool {
    finding.resource_type.as_ref().is_some_and(|t| t.as_str() == "Instance") || finding.instance().is_some()
}

fn evidence(kind: Type<'_>, finding: &Finding) -> Evidence {
    // The artifact and the family say DNS even where the action is missing.
    let dns_families = ["DomainRequest", "DGADomainRequest", "DNSDataExfiltration", "MetadataDNSRebind"];
    if kind.artifact == Some("DNS")
        || finding.action == Some(Action::DnsRequest)
        || dns_families.iter().any(|family| kind.family.contains(family))
    {
        return Evidence::Dns;
    }
    match (kind.resource, finding.action) {
        _ if kind.is(&["MaliciousFile", "SuspiciousFile"]) => Evidence::Malware,
        ("Runtime", _) => Evidence::Runtime,
        (_, Some(Action::NetworkConnection | Action::PortProbe)) => Evidence::Network,
        (_, Some(Action::AwsApiCall | Action::KubernetesApiCall | Action::RdsLoginAttempt)) => Evidence::Api,
        ("IAMUser" | "S3", _) => Evidence::Api,
        _ => Evidence::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Ingested, event};
    use serde_json::{Value, json};

    fn of(kind: &str, resource: Value, action: Value, role: &str) -> Triage {
        let raw = json!({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {
            "id": "f1", "type": kind, "severity": 8, "accountId": "111122223333", "region": "us-east-1",
            "resource": resource, "service": {"resourceRole": role, "action": action}}});
        match event(&raw.to_string()) {
            Ingested::Finding(finding) => classify(&finding),
            other => panic!("{other:?}"),
        }
    }

    fn connection(direction: &str) -> Value {
        json!({"actionType": "NETWORK_CONNECTION", "networkConnectionAction": {"connectionDirection": direction}})
    }

    #[test]
    fn an_instance_is_tool_or_victim_by_family_direction_and_role() {
        use {Evidence as E, Situation as S, Standing as St};
        let instance = json!({"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0a1b2c3d4e5f60718"}});
        let dns = json!({"actionType": "DNS_REQUEST", "dnsRequestAction": {"domain": "x.example"}});
        for (kind, action, role, situation, standing, evidence) in [
            (
                "Backdoor:EC2/C&CActivity.B",
                connection("OUTBOUND"),
                "TARGET",
                S::CompromisedInstance,
                St::Tool,
                E::Network,
            ),
            ("Backdoor:EC2/C&CActivity.B!DNS", dns.clone(), "TARGET", S::CompromisedInstance, St::Tool, E::Dns),
            ("Trojan:EC2/DGADomainRequest.B", dns.clone(), "ACTOR", S::CompromisedInstance, St::Tool, E::Dns),
            (
                "Impact:EC2/BitcoinDomainRequest.Reputation",
                json!(null),
                "TARGET",
                S::CompromisedInstance,
                St::Tool,
                E::Dns,
            ),
            (
                "UnauthorizedAccess:EC2/SSHBruteForce",
                connection("INBOUND"),
                "TARGET",
                S::AttackedOnly,
                St::Victim,
                E::Network,
            ),
            (
                "UnauthorizedAccess:EC2/SSHBruteForce",
                connection("INBOUND"),
                "ACTOR",
                S::AttackedOnly,
                St::Victim,
                E::Network,
            ),
            (
                "UnauthorizedAccess:EC2/SSHBruteForce",
                connection("OUTBOUND"),
                "ACTOR",
                S::CompromisedInstance,
                St::Tool,
                E::Network,
            ),
            (
                "UnauthorizedAccess:EC2/SSHBruteForce",
                connection("OUTBOUND"),
                "TARGET",
                S::CompromisedInstance,
                St::Unclear,
                E::Network,
            ),
            (
                "UnauthorizedAccess:EC2/RDPBruteForce",
                connection("UNKNOWN"),
                "TARGET",
                S::CompromisedInstance,
                St::Unclear,
                E::Network,
            ),
            (
                "UnauthorizedAccess:EC2/RDPBruteForce",
                json!(null),
                "TARGET",
                S::CompromisedInstance,
                St::Unclear,
                E::Unknown,
            ),
            (
                "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom",
                connection("INBOUND"),
                "TARGET",
                S::AttackedOnly,
                St::Victim,
                E::Network,
            ),
            (
                "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom",
                connection("OUTBOUND"),
                "TARGET",
                S::CompromisedInstance,
                St::Tool,
                E::Network,
            ),
            (
                "Recon:EC2/PortProbeUnprotectedPort",
                json!({"actionType": "PORT_PROBE"}),
                "TARGET",
                S::AttackedOnly,
                St::Victim,
                E::Network,
            ),
            ("Recon:EC2/Portscan", connection("OUTBOUND"), "ACTOR", S::CompromisedInstance, St::Tool, E::Network),
            (
                "Behavior:EC2/NetworkPortUnusual",
                connection("OUTBOUND"),
                "ACTOR",
                S::CompromisedInstance,
                St::Unclear,
                E::Network,
            ),
            (
                "UnauthorizedAccess:EC2/TorRelay",
                connection("INBOUND"),
                "TARGET",
                S::CompromisedInstance,
                St::Tool,
                E::Network,
            ),
            ("Execution:EC2/MaliciousFile", json!(null), "TARGET", S::CompromisedInstance, St::Tool, E::Malware),
            ("Execution:EC2/MaliciousFile!AMI", json!(null), "TARGET", S::OtherWorkload, St::Unclear, E::Malware),
            ("Execution:Runtime/ReverseShell", json!(null), "TARGET", S::CompromisedInstance, St::Tool, E::Runtime),
            ("Persistence:EC2/ExternalRemoteServices", json!(null), "TARGET", S::UnusualAccess, St::Unclear, E::Api),
            ("Novelty:EC2/Something", connection("OUTBOUND"), "ACTOR", S::Unknown, St::Unclear, E::Network),
        ] {
            let triage = of(kind, instance.clone(), action.clone(), role);
            assert_eq!(
                (triage.situation, triage.standing, triage.evidence),
                (situation, standing, evidence),
                "{kind} {action} {role}"
            );
            assert!(!triage.reasons.is_empty());
        }
    }

    #[test]
    fn a_runtime_finding_in_a_container_does_not_isolate_the_node() {
        let node = json!({"resourceType": "EKSCluster", "instanceDetails": {"instanceId": "i-0a1b2c3d4e5f60718"},
            "eksClusterDetails": {"name": "prod"}});
        assert_eq!(
            of("Execution:Runtime/ReverseShell", node, json!(null), "TARGET").situation,
            Situation::OtherWorkload
        );
        // Whoever starts his payload with `docker run` must not get away by that.
        let plain = json!({"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0a1b2c3d4e5f60718"},
            "containerDetails": {"name": "miner", "id": "c1"}});
        let plain = of("CryptoCurrency:Runtime/BitcoinTool.B", plain, json!(null), "TARGET");
        assert_eq!((plain.situation, plain.standing), (Situation::CompromisedInstance, Standing::Unclear));
    }

    #[test]
    fn credentials_are_judged_by_whose_they_are() {
        use {Situation as S, Standing as St};
        for (kind, user_type, situation, standing) in [
            ("Impact:IAMUser/AnomalousBehavior", "IAMUser", S::CompromisedAccessKey, St::Tool),
            ("Impact:IAMUser/AnomalousBehavior", "AssumedRole", S::CompromisedRoleSession, St::Tool),
            (
                "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
                "AssumedRole",
                S::CompromisedRoleSession,
                St::Tool,
            ),
            ("Policy:IAMUser/RootCredentialUsage", "Root", S::RootUsed, St::Unclear),
            ("Impact:IAMUser/AnomalousBehavior", "Root", S::RootUsed, St::Unclear),
            ("Impact:IAMUser/AnomalousBehavior", "FederatedUser", S::OtherWorkload, St::Unclear),
            ("Impact:IAMUser/AnomalousBehavior", "AWSAccount", S::OtherWorkload, St::Unclear),
            ("Stealth:IAMUser/PasswordPolicyChange", "IAMUser", S::CompromisedAccessKey, St::Unclear),
            ("Exfiltration:S3/AnomalousBehavior", "IAMUser", S::CompromisedAccessKey, St::Tool),
            ("Policy:S3/BucketAnonymousAccessGranted", "IAMUser", S::ExposedBucket, St::Victim),
            ("Object:S3/MaliciousFile", "IAMUser", S::MalwareFound, St::Victim),
            ("AttackSequence:IAM/CompromisedCredentials", "IAMUser", S::AttackSequence, St::Tool),
            ("Backdoor:Lambda/C&CActivity.B", "IAMUser", S::OtherWorkload, St::Unclear),
            ("Persistence:RolesAnywhere/AccountManipulation", "IAMUser", S::PrivilegeEscalation, St::Unclear),
            ("no type at all", "IAMUser", S::Unknown, St::Unclear),
        ] {
            let key =
                json!({"resourceType": "AccessKey", "accessKeyDetails": {"userType": user_type, "userName": "deploy"}});
            let triage = of(kind, key, json!({"actionType": "AWS_API_CALL"}), "TARGET");
            assert_eq!((triage.situation, triage.standing), (situation, standing), "{kind} {user_type}");
        }
        let nobody = of("Impact:IAMUser/AnomalousBehavior", json!({}), json!(null), "TARGET");
        assert_eq!((nobody.situation, nobody.standing), (Situation::Unknown, Standing::Unclear));
    }
}
