//! GuardDuty findings: `detail` of "GuardDuty Finding" (camelCase) or a finding of GetFindings (PascalCase).
//! Members after botocore's service model of guardduty, shape `Finding`.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Ingested, cursor::Cursor, ended, identity, sequence};
use crate::domain::{
    AccessKeyId, AccessKeyResource, AccountId, Action, Arn, BucketName, Direction, Finding, FindingId, FindingType,
    Gap, InstanceId, InstanceResource, Lifecycle, ObjectKey, ObjectResource, OutcomeKind, Partition, Region, Resource,
    Role, Score, Source, Text, UserType, VersionId, VpcId,
};
use serde_json::Value;

/// Most addresses and domains of the other side that are kept for people.
const MOST_REMOTES: usize = 10;

pub fn finding(detail: &Value) -> Ingested {
    let at = Cursor::new(detail);
    let Some(id) = at.get("id").str() else {
        return ended(
            OutcomeKind::Declined,
            "finding-without-id",
            "the finding has no id, so it could not be told from another",
        );
    };
    let id = match FindingId::parse(id) {
        Ok(id) => id,
        Err(error) => return ended(OutcomeKind::Declined, "finding-without-id", error.to_string()),
    };
    let mut gaps = Vec::new();
    let service = at.get("service");
    let action = service.get("action");
    let finding = Finding {
        source: Source::GuardDuty,
        id,
        kind: at.get("type").parse("type", FindingType::parse, &mut gaps),
        type_shown: at.get("type").text().unwrap_or_default(),
        account: at.get("accountId").parse("accountId", AccountId::parse, &mut gaps),
        account_shown: at.get("accountId").text().unwrap_or_default(),
        region: at.get("region").parse("region", Region::parse, &mut gaps),
        partition: at
            .get("partition")
            .parse("partition", Partition::parse, &mut gaps)
            .unwrap_or_else(Partition::standard),
        score: score(at, &mut gaps),
        title: at.get("title").text().unwrap_or_default(),
        description: at.get("description").text().unwrap_or_default(),
        lifecycle: lifecycle(service),
        created: at.get("createdAt").time(),
        updated: at.get("updatedAt").time(),
        first_seen: service.get("eventFirstSeen").time(),
        last_seen: service.get("eventLastSeen").time(),
        // INVARIANT: a count beyond what f64 holds exactly is of no use to anybody; `as` saturates.
        count: service.get("count").number().filter(|n| *n >= 0.0).map(|n| n as u64),
        resource_type: at.path("resource.resourceType").text(),
        resources: {
            let account = at.get("accountId").str();
            let mut found = resources(at.get("resource"), &mut gaps);
            found.extend(sequence::members(service.path("detection.sequence"), account, &mut gaps));
            found
        },
        role: service.get("resourceRole").str().map(role),
        action: action.get("actionType").str().map(action_type),
        direction: direction(action),
        remote: remotes(action),
        amazons: amazons(action),
        gaps,
        detections: Vec::new(),
        call: None,
    };
    Ingested::Finding(Box::new(finding))
}

fn score(at: Cursor<'_>, gaps: &mut Vec<Gap>) -> Option<Score> {
    let score = at.get("severity").number().and_then(Score::new);
    if score.is_none() {
        gaps.push(Gap { field: "severity", problem: "no number from 0 to 10".into() });
    }
    score
}

/// The console's "[SAMPLE]" prefix is not in the event; the marker is, in one of two places (CreateSampleFindings).
fn lifecycle(service: Cursor<'_>) -> Lifecycle {
    let info = service.get("additionalInfo");
    let inner: Option<Value> = info.get("value").str().and_then(|text| serde_json::from_str(text).ok());
    if info.get("sample").says_true() || inner.is_some_and(|value| Cursor::new(&value).get("sample").says_true()) {
        Lifecycle::Sample
    } else if service.get("archived").says_true() {
        Lifecycle::Archived
    } else {
        Lifecycle::Live
    }
}

fn resources(at: Cursor<'_>, gaps: &mut Vec<Gap>) -> Vec<Resource> {
    if !at.exists() {
        gaps.push(Gap { field: "resource", problem: "missing".into() });
    }
    let mut found = Vec::new();
    found.extend(instance(at.get("instanceDetails"), gaps).map(Resource::Instance));
    found.extend(access_key(at.get("accessKeyDetails"), gaps).map(Resource::AccessKey));
    for bucket in at.get("s3BucketDetails").items() {
        found.extend(other("bucket", bucket, &["name"]));
        let objects = bucket.get("s3ObjectDetails").items().filter_map(|object| {
            let key = ObjectKey::parse(object.get("key").str()?).ok()?;
            let version = object.get("versionId").str().filter(|version| *version != "null");
            let version = version.and_then(|version| VersionId::parse(version).ok());
            Some(ObjectResource { bucket: BucketName::parse(bucket.get("name").str()?).ok()?, key, version })
        });
        found.extend(objects.take(MOST_REMOTES).map(Resource::Object));
    }
    for (details, what, names) in [
        ("eksClusterDetails", "EKS cluster", &["name"][..]),
        ("ecsClusterDetails", "ECS cluster", &["name", "arn"]),
        ("containerDetails", "container", &["name", "id"]),
        ("kubernetesDetails", "Kubernetes workload", &["kubernetesWorkloadDetails.name"]),
        ("lambdaDetails", "function", &["functionName"]),
        ("rdsDbInstanceDetails", "database", &["dbInstanceIdentifier"]),
        ("rdsLimitlessDbDetails", "database", &["dbShardGroupIdentifier"]),
        ("ebsSnapshotDetails", "snapshot", &["snapshotArn"]),
        ("ec2ImageDetails", "image", &["imageArn"]),
        ("recoveryPointDetails", "recovery point", &["recoveryPointArn"]),
    ] {
        found.extend(other(what, at.get(details), names));
    }
    found
}

fn instance(at: Cursor<'_>, gaps: &mut Vec<Gap>) -> Option<InstanceResource> {
    let id = at.get("instanceId").parse("resource.instanceDetails.instanceId", InstanceId::parse, gaps)?;
    let profile =
        at.path("iamInstanceProfile.arn").parse("resource.instanceDetails.iamInstanceProfile.arn", Arn::parse, gaps);
    let interfaces = at.get("networkInterfaces");
    let vpc = interfaces.items().next().and_then(|first| first.get("vpcId").str().and_then(|id| VpcId::parse(id).ok()));
    Some(InstanceResource { id, profile, vpc })
}

fn access_key(at: Cursor<'_>, gaps: &mut Vec<Gap>) -> Option<AccessKeyResource> {
    at.exists().then(|| AccessKeyResource {
        key: at.get("accessKeyId").parse("resource.accessKeyDetails.accessKeyId", AccessKeyId::parse, gaps),
        principal_id: at.get("principalId").text().unwrap_or_default(),
        name: at.get("userName").text().unwrap_or_default(),
        user_type: at.get("userType").str().map_or(UserType::Unknown, identity::user_type),
    })
}

fn other(what: &'static str, at: Cursor<'_>, names: &[&str]) -> Option<Resource> {
    let name = names.iter().find_map(|name| at.path(name).text())?;
    Some(Resource::Other { what, name })
}

fn role(text: &str) -> Role {
    match text {
        "TARGET" => Role::Target,
        "ACTOR" | "SOURCE" => Role::Actor,
        _ => Role::Unknown,
    }
}

fn action_type(text: &str) -> Action {
    match text {
        "NETWORK_CONNECTION" => Action::NetworkConnection,
        "PORT_PROBE" => Action::PortProbe,
        "DNS_REQUEST" => Action::DnsRequest,
        "AWS_API_CALL" => Action::AwsApiCall,
        "KUBERNETES_API_CALL" => Action::KubernetesApiCall,
        "RDS_LOGIN_ATTEMPT" => Action::RdsLoginAttempt,
        _ => Action::Unknown,
    }
}

fn direction(action: Cursor<'_>) -> Option<Direction> {
    action.path("networkConnectionAction.connectionDirection").str().map(|text| match text {
        "INBOUND" => Direction::Inbound,
        "OUTBOUND" => Direction::Outbound,
        _ => Direction::Unknown,
    })
}

/// Amazon's autonomous systems of EC2.
const AMAZON: [&str; 2] = ["16509", "14618"];

/// The addresses that GuardDuty says are of Amazon's network (`remoteIpDetails.organization`).
fn amazons(action: Cursor<'_>) -> Vec<Text> {
    let names = ["networkConnectionAction", "awsApiCallAction", "kubernetesApiCallAction", "rdsLoginAttemptAction"];
    let probes = action.path("portProbeAction.portProbeDetails").items();
    let sides = names.into_iter().map(|name| action.get(name)).chain(probes).map(|at| at.get("remoteIpDetails"));
    let is_amazons = |side: &Cursor<'_>| {
        let said = |name: &str| side.get("organization").get(name);
        let asn = said("asn").str().map(str::to_owned).or_else(|| said("asn").number().map(|n| n.to_string()));
        let named = ["asnOrg", "org", "isp"].into_iter().filter_map(|name| said(name).str());
        asn.is_some_and(|asn| AMAZON.contains(&asn.as_str()))
            || named.into_iter().any(|name| name.to_lowercase().contains("amazon"))
    };
    let addresses = sides.filter(is_amazons).flat_map(|ip| [ip.get("ipAddressV4"), ip.get("ipAddressV6")]);
    addresses.filter_map(Cursor::text).take(MOST_REMOTES).collect()
}

fn remotes(action: Cursor<'_>) -> Vec<Text> {
    let single = ["networkConnectionAction", "awsApiCallAction", "kubernetesApiCallAction", "rdsLoginAttemptAction"]
        .into_iter()
        .map(|name| action.get(name));
    let probes = action.path("portProbeAction.portProbeDetails").items();
    let addresses = single
        .chain(probes)
        .map(|at| at.get("remoteIpDetails"))
        .flat_map(|ip| [ip.get("ipAddressV4"), ip.get("ipAddressV6")]);
    let domains = [action.path("dnsRequestAction.domain"), action.path("awsApiCallAction.domainDetails.domain")];
    let mut found: Vec<Text> = Vec::new();
    for text in addresses.chain(domains).filter_map(Cursor::text) {
        if found.len() < MOST_REMOTES && !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(detail: Value) -> Finding {
        match finding(&detail) {
            Ingested::Finding(finding) => *finding,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_smallest_finding_is_a_finding_with_gaps() {
        let finding = parsed(json!({"id": "f1"}));
        let fields: Vec<_> = finding.gaps.iter().map(|gap| gap.field).collect();
        assert_eq!(fields, ["severity", "resource"]);
        assert_eq!(finding.lifecycle, Lifecycle::Live);
    }

    #[test]
    fn samples_and_archived_findings_are_known_in_every_form() {
        for (service, lifecycle) in [
            (json!({"additionalInfo": {"sample": true}}), Lifecycle::Sample),
            (json!({"additionalInfo": {"value": "{\"sample\":true,\"threatName\":\"x\"}"}}), Lifecycle::Sample),
            (json!({"AdditionalInfo": {"Value": "{\"sample\":true}", "Type": "default"}}), Lifecycle::Sample),
            (json!({"archived": true}), Lifecycle::Archived),
            (json!({"archived": "true"}), Lifecycle::Archived),
            (json!({"archived": false, "additionalInfo": {"value": "{}"}}), Lifecycle::Live),
            (json!({"additionalInfo": {"value": "not json"}}), Lifecycle::Live),
            (json!(null), Lifecycle::Live),
        ] {
            assert_eq!(parsed(json!({"id": "f1", "service": service})).lifecycle, lifecycle, "{service}");
        }
    }

    #[test]
    fn ids_of_wrong_grammar_become_gaps_and_name_nothing() {
        let finding = parsed(json!({"id": "f1", "severity": 8, "accountId": "12", "resource": {
            "instanceDetails": {"instanceId": "i-0; rm -rf"},
            "accessKeyDetails": {"accessKeyId": "AKIA\"}", "userName": "x"}}}));
        assert_eq!((finding.account.as_ref(), finding.instance()), (None, None));
        assert_eq!(finding.access_key().unwrap().key, None);
        assert_eq!(finding.gaps.len(), 3);
        assert_eq!(finding.account_shown.as_str(), "12");
    }

    #[test]
    fn a_finding_without_a_usable_id_is_declined() {
        for detail in [json!({}), json!({"id": ""}), json!({"id": "a b"}), json!({"id": 7}), json!([]), json!(null)] {
            let Ingested::Ended(outcome) = finding(&detail) else { panic!("{detail}") };
            assert_eq!(outcome.kind, OutcomeKind::Declined);
        }
    }

    #[test]
    fn every_address_of_the_other_side_is_kept_once() {
        let finding =
            parsed(json!({"id": "f1", "service": {"action": {"actionType": "PORT_PROBE", "portProbeAction": {
            "portProbeDetails": [{"remoteIpDetails": {"ipAddressV4": "198.51.100.7"}},
                                 {"remoteIpDetails": {"ipAddressV4": "198.51.100.7"}}, {"remoteIpDetails": null}]}}}}));
        assert_eq!(finding.remote, [Text::new("198.51.100.7")]);
        assert_eq!(finding.action, Some(Action::PortProbe));
    }
}
