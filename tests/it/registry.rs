//! One check for every action and every playbook: contain then release is the world before, twice is once, and nothing goes over the wire
//! that is not declared. What is registered and in no scenario fails here. `matrix.rs` takes the scenarios through faults.

use crate::lab::{Lab, Server, Setup, kind, without_replacement};
use anyhow::Result;
use cordon::{actions, permissions};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// An incident that takes its playbook through all of its actions, together.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub event: Event,
    /// What the account is like before: calls, each with its parameters.
    given: &'static [Offence],
    /// What somebody does to it.
    offence: &'static [Offence],
    world: &'static [&'static str],
    /// Put before.
    policy_of: Option<fn(&Lab) -> String>,
    /// A person must agree first, whatever the policy says.
    pub is_asked: bool,
    /// The user has no room for one more attached policy.
    full: bool,
    /// The groups of the VPC are made ahead, so that interfaces pass the open one.
    prepared: bool,
    /// What an operator asks for beyond the plan, once it is contained.
    pub offers: &'static str,
    /// Release keeps what it did, by declaration of its actions.
    pub is_kept: bool,
}

/// Service, method of boto3, and the parameters in this world.
pub type Offence = (&'static str, &'static str, fn(&Lab) -> Value);

/// What is delivered.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Finding(&'static str),
    /// An attack sequence about the user and the instance.
    Sequence,
    /// The sample of a rule, with one member of its detail set.
    Record(&'static str, &'static str, fn(&Lab) -> Value),
    /// Another file of `events`, about the user's key or the object of this world.
    Told(&'static str, fn(&Lab, &mut Value)),
}

const NONE: Scenario = Scenario {
    event: Event::Finding(""),
    given: &[],
    offence: &[],
    world: &[],
    policy_of: None,
    is_asked: false,
    full: false,
    prepared: false,
    offers: "",
    is_kept: false,
};

pub const SCENARIOS: [Scenario; 16] = [
    Scenario {
        event: Event::Finding("instance-c2-network"),
        world: &["scaling", "targets"],
        prepared: true,
        offers: "stop-instance,disassociate-instance-profile,terminate-sessions",
        ..NONE
    },
    Scenario { event: Event::Finding("key-used-from-outside"), world: &["credentials"], ..NONE },
    Scenario { event: Event::Finding("key-used-from-outside"), full: true, ..NONE },
    Scenario { event: Event::Finding("role-session-exfiltrated"), offers: "whole-role-cutoff", ..NONE },
    Scenario { event: Event::Sequence, ..NONE },
    Scenario { event: Event::Told("health/key-exposed", about_key), ..NONE },
    Scenario {
        // The rest of what it does is that of the principal's own playbook.
        event: Event::Record("iam/admin-granted", "/requestParameters/policyArn", |_| {
            json!("arn:aws:iam::aws:policy/AdministratorAccess")
        }),
        policy_of: Some(|_| {
            "modes: {privilege-escalation: {critical: contain, high: contain, medium: contain, low: contain}}"
                .to_owned()
        }),
        ..NONE
    },
    Scenario {
        event: Event::Told("guardduty/brute-force-inbound", about_address),
        world: &["acl", "ip_set"],
        policy_of: Some(|lab| {
            let (subnet, set) = (lab.id("/subnet"), lab.id("/ip_set/arn"));
            format!(
                "modes: {{attacked-only: {{critical: approve, high: approve, medium: approve, low: approve}}}}\naddress-blocks: {{subnets: [{subnet}], ip-sets: ['{set}']}}"
            )
        }),
        is_asked: true,
        ..NONE
    },
    Scenario {
        event: Event::Told("guardduty/object-scan-threat", about_object),
        given: &[("s3", "put_bucket_policy", |lab| {
            let bucket = lab.id("/bucket");
            let blocks = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                "Resource": format!("arn:aws:s3:::{bucket}/*"),
                "Condition": {"StringNotEquals": {"s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"}}}]});
            json!({"Bucket": bucket, "Policy": blocks.to_string()})
        })],
        world: &["bucket"],
        ..NONE
    },
    Scenario {
        event: Event::Record("exposure/port-opened-to-the-world", "/requestParameters/groupId", |lab| {
            json!(lab.id("/open_group/id"))
        }),
        world: &["open_group"],
        ..NONE
    },
    Scenario {
        event: Event::Record("exposure/bucket-policy-public", "/requestParameters/bucketName", |lab| {
            json!(lab.id("/bucket"))
        }),
        world: &["bucket"],
        ..NONE
    },
    Scenario {
        event: Event::Record("silencing/trail-stopped", "/requestParameters/name", |_| json!("audit")),
        offence: &[
            ("cloudtrail", "stop_logging", |_| json!({"Name": "audit"})),
            ("cloudtrail", "update_trail", |_| json!({"Name": "audit", "IsMultiRegionTrail": false})),
            ("cloudtrail", "put_event_selectors", |_| {
                json!({"TrailName": "audit", "EventSelectors": [
                    {"ReadWriteType": "ReadOnly", "IncludeManagementEvents": true, "DataResources": []}]})
            }),
        ],
        world: &["trail"],
        is_kept: true,
        ..NONE
    },
    Scenario {
        event: Event::Record("silencing/detector-disabled", "/requestParameters/detectorId", |lab| {
            json!(lab.id("/detector"))
        }),
        offence: &[("guardduty", "update_detector", |lab| {
            let features = ["S3_DATA_EVENTS", "EBS_MALWARE_PROTECTION", "RUNTIME_MONITORING"];
            let off = features.map(|name| json!({"Name": name, "Status": "DISABLED"}));
            json!({"DetectorId": lab.id("/detector"), "Enable": false, "Features": off})
        })],
        world: &["detector"],
        is_kept: true,
        ..NONE
    },
    Scenario {
        event: Event::Record(
            "silencing/config-recorder-stopped",
            "/requestParameters/configurationRecorderName",
            |_| json!("default"),
        ),
        offence: &[("config", "stop_configuration_recorder", |_| json!({"ConfigurationRecorderName": "default"}))],
        world: &["recorder"],
        is_kept: true,
        ..NONE
    },
    Scenario {
        event: Event::Record("silencing/event-rule-silenced", "/requestParameters/name", |_| json!("cordon-findings")),
        offence: &[("events", "disable_rule", |_| json!({"Name": "cordon-findings"}))],
        world: &["event_rule"],
        is_kept: true,
        ..NONE
    },
    Scenario {
        event: Event::Record(
            "silencing/flow-logs-deleted",
            "/requestParameters/DeleteFlowLogsRequest/FlowLogId/content",
            |lab| json!(lab.id("/flow_log")),
        ),
        offence: &[("ec2", "delete_flow_logs", |lab| json!({"FlowLogIds": [lab.id("/flow_log")]}))],
        world: &["flow_logs"],
        is_kept: true,
        ..NONE
    },
];

fn about_key(lab: &Lab, event: &mut Value) {
    event["detail"]["affectedAccount"] = json!(lab.account);
    event["detail"]["affectedEntities"][0]["entityValue"] = json!(lab.id("/user/keys/0"));
}

fn about_address(lab: &Lab, event: &mut Value) {
    let detail = &mut event["detail"];
    detail["accountId"] = json!(lab.account);
    for member in ["/updatedAt", "/createdAt", "/service/eventFirstSeen", "/service/eventLastSeen"] {
        *detail.pointer_mut(member).unwrap() = lab.ago(0);
    }
    detail["service"]["action"]["networkConnectionAction"]["remoteIpDetails"] = json!({"ipAddressV4": "203.0.113.66"});
}

fn about_object(lab: &Lab, event: &mut Value) {
    let object = &mut event["detail"]["s3ObjectDetails"];
    object["bucketName"] = json!(lab.id("/bucket"));
    object["objectKey"] = json!(lab.id("/object"));
    object["versionId"] = json!("null");
}

/// What is delivered when something happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The finding.
    Finding,
    /// The recheck after an operator agreed to the plan.
    Approved,
    /// The recheck after an operator asked for all that is offered.
    Offers,
}

impl Scenario {
    pub async fn lab(self) -> Result<Lab> {
        self.lab_on(Server::default()).await
    }

    pub async fn lab_on(self, server: Server) -> Result<Lab> {
        let setup = Setup { durable: true, interfaces: Some(1), world: self.world, server, ..Setup::default() };
        let lab = Lab::new(setup).await?;
        if matches!(self.event, Event::Finding("instance-c2-network") | Event::Sequence) {
            let ends = json!({"InstanceId": lab.id("/victim/instance"), "InstanceInitiatedShutdownBehavior": {"Value": "terminate"}});
            lab.call("ec2", "modify_instance_attribute", ends).await?;
        }
        if self.world.contains(&"credentials") {
            lab.handed_on("/role_app", "handed").await?;
        }
        if self.full {
            let attached = json!({"UserName": lab.id("/user/name")});
            let attached = lab.call("iam", "list_attached_user_policies", attached).await?;
            let there = attached["AttachedPolicies"].as_array().map_or(0, Vec::len);
            for n in there..10 {
                let document = json!({"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]});
                let policy = json!({"PolicyName": format!("more-{n}"), "PolicyDocument": document.to_string()});
                let policy = lab.call("iam", "create_policy", policy).await?;
                let attach = json!({"UserName": lab.id("/user/name"), "PolicyArn": policy["Policy"]["Arn"]});
                lab.call("iam", "attach_user_policy", attach).await?;
            }
        }
        if self.offers.contains("terminate-sessions") {
            let open = json!({"op": "session", "account": lab.account, "target": lab.id("/victim/instance")});
            lab.boto3.request(open).await?;
        }
        if self.prepared {
            anyhow::ensure!(lab.cordon(&["prepare"]).await?.status.success(), "cannot prepare");
        }
        for (service, method, parameters) in self.given {
            lab.call(service, method, parameters(&lab)).await?;
        }
        if let Some(policy) = self.policy_of {
            lab.put_policy(&policy(&lab)).await?;
        }
        if !self.offence.is_empty() {
            // The sensors that are on now are known.
            lab.sweep().await?;
        }
        lab.proxy.clear();
        Ok(lab)
    }

    /// What somebody did, and what is delivered of it.
    pub async fn strike(self, lab: &Lab) -> Result<Value> {
        for (service, method, parameters) in self.offence {
            lab.call(service, method, parameters(lab)).await?;
        }
        match self.event {
            Event::Finding(sample) => lab.event(sample),
            Event::Sequence => crate::sequences::sequence(lab),
            Event::Told(file, about) => {
                let mut event = crate::lab::read(&crate::lab::root().join(format!("events/{file}.json")))?;
                event["account"] = json!(lab.account);
                event["time"] = lab.ago(0);
                about(lab, &mut event);
                Ok(event)
            }
            Event::Record(sample, pointer, value) => {
                let mut event = lab.record(sample)?;
                *event["detail"].pointer_mut(pointer).unwrap() = value(lab);
                Ok(event)
            }
        }
    }

    /// Each call of one containment as the nth of its operation: ids differ from world to world and cannot name a position here. What a server
    /// loads at the first call of a kind is loaded then, before it is copied.
    pub async fn positions(self) -> Result<Vec<(Phase, String, u32, bool)>> {
        let lab = self.lab_on(Server::OfCopies).await?;
        let event = self.strike(&lab).await?;
        lab.proxy.clear();
        let incident = lab.incident_of(&event)?;
        assert_eq!(kind(&lab.deliver(&event).await?), self.answer());
        let mut found = numbered(Phase::Finding, &lab)?;
        if self.is_asked {
            self.agree(&lab, &incident).await?;
            lab.recheck(&incident).await?;
            found.extend(numbered(Phase::Approved, &lab)?);
        }
        if !self.offers.is_empty() {
            self.ask(&lab, &incident).await?;
            lab.recheck(&incident).await?;
            found.extend(numbered(Phase::Offers, &lab)?);
        }
        Ok(found)
    }

    /// What the finding comes to.
    pub fn answer(self) -> &'static str {
        if self.is_asked { "AwaitingApproval" } else { "Contained" }
    }

    /// Where a person must agree first, he is asked, and does.
    pub async fn approve(self, lab: &Lab, event: &Value) -> Result<()> {
        let report = lab.deliver(event).await?;
        anyhow::ensure!(kind(&report) == self.answer(), "{self:?}: {report:#}");
        self.agree(lab, &lab.incident_of(event)?).await
    }

    pub async fn agree(self, lab: &Lab, incident: &str) -> Result<()> {
        agree(lab, &["approve", incident]).await
    }

    /// An operator asks for all that is offered.
    pub async fn ask(self, lab: &Lab, incident: &str) -> Result<()> {
        agree(lab, &["approve", incident, "--with", self.offers]).await
    }
}

/// What the command itself does is of no interest here.
async fn agree(lab: &Lab, command: &[&str]) -> Result<()> {
    let output = lab.cordon(command).await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lab.clock.advance(Duration::from_secs(5))?;
    lab.proxy.clear();
    Ok(())
}

fn numbered(phase: Phase, lab: &Lab) -> Result<Vec<(Phase, String, u32, bool)>> {
    let mut found: Vec<(Phase, String, u32, bool)> = Vec::new();
    for call in lab.proxy.calls() {
        let nth = found.iter().filter(|(_, operation, ..)| *operation == call.operation).count() + 1;
        found.push((phase, call.operation, u32::try_from(nth)?, call.mutating));
    }
    Ok(found)
}

#[tokio::test]
async fn every_action_is_in_a_scenario_and_asks_for_what_it_declares() -> Result<()> {
    let (mut acted, mut contains, mut releases) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut playbooks = BTreeSet::new();
    for scenario in SCENARIOS {
        // Making the groups takes permissions too.
        let lab = Scenario { prepared: false, ..scenario }.lab().await?;
        let before = lab.dump().await?;
        let event = scenario.strike(&lab).await?;
        let mut report = lab.deliver(&event).await?;
        if scenario.is_asked {
            assert_eq!(kind(&report), "AwaitingApproval", "{scenario:?}: {report:#}");
            let incident = report["incident"].as_str().unwrap();
            contains.extend(operations(&lab));
            assert!(lab.cordon(&["approve", incident]).await?.status.success());
            lab.proxy.clear();
            lab.recheck(incident).await?;
            report = lab.shown(incident).await?["incident"]["report"].clone();
        }
        assert_eq!(kind(&report), "Contained", "{scenario:?}: {report:#}");
        playbooks.insert(report["playbook"].as_str().unwrap().to_owned());
        for step in report["steps"].as_array().unwrap() {
            assert_ne!(step["state"], "already so", "{scenario:?}: nothing is proven by it: {step}");
            acted.insert(step["action"].as_str().unwrap().to_owned());
        }
        contains.extend(operations(&lab));
        let incident = report["incident"].as_str().unwrap().to_owned();
        let incident = incident.as_str();
        if !scenario.offers.is_empty() {
            scenario.ask(&lab, incident).await?;
            lab.recheck(incident).await?;
            contains.extend(operations(&lab));
            let shown = lab.cordon(&["show", incident, "--json"]).await?;
            let shown: Value = serde_json::from_slice(&shown.stdout)?;
            for step in shown["containment"]["steps"].as_array().unwrap() {
                assert_eq!(step["state"], "done", "{scenario:?}: {step:#}");
                acted.insert(step["change"]["action"].as_str().unwrap().to_owned());
            }
        }

        // Twice is once.
        lab.proxy.clear();
        lab.sweep().await?;
        contains.extend(operations(&lab));
        let contained = lab.dump().await?;
        lab.proxy.clear();
        // Of a finding another occurrence, of a call the same record: another call is another offence.
        let another = match scenario.event {
            Event::Finding(sample) => lab.event(sample)?,
            Event::Sequence | Event::Record(..) | Event::Told(..) => event.clone(),
        };
        let again = lab.deliver(&another).await?;
        let several = matches!(scenario.event, Event::Sequence);
        let expected = if several { "Contained" } else { "Joined" };
        assert_eq!((kind(&again), lab.changes()), (expected, Vec::new()), "{scenario:?}: {again:#}");
        lab.recheck(incident).await?;
        assert_eq!(lab.changes(), Vec::<String>::new(), "{scenario:?}");
        assert_eq!(crate::lab::differences(&contained, &lab.dump().await?), Vec::<String>::new(), "{scenario:?}");

        lab.proxy.clear();
        if matches!(scenario.event, Event::Finding(_)) {
            let joined = lab.cordon(&["release", again["incident"].as_str().unwrap()]).await?;
            assert!(matches!(joined.status.code(), Some(1 | 3)), "{scenario:?}: {joined:?}");
        }
        for incident in lab.incidents().await? {
            lab.cordon(&["release", &incident, "--reactivate-keys"]).await?;
        }
        releases.extend(operations(&lab));
        assert_eq!(without_replacement(&lab, &before, lab.dump().await?), Vec::<String>::new(), "{scenario:?}");
        let closed = lab.cordon(&["release", incident]).await?;
        assert_eq!(closed.status.code(), Some(1), "{scenario:?}: {}", String::from_utf8_lossy(&closed.stderr));
    }
    let all: BTreeSet<String> = actions::ALL.iter().map(|action| action.name.to_owned()).collect();
    assert_eq!(acted, all, "an action is in no scenario");
    // It contains nothing, and `principals.rs` sees to what it says.
    playbooks.insert("root-used".to_owned());
    let all: BTreeSet<String> = cordon::playbooks::ALL.iter().map(|playbook| playbook.id().to_owned()).collect();
    assert_eq!(playbooks, all, "a playbook is in no scenario");

    let undeclared = |made: &BTreeSet<String>, declared: &BTreeSet<&str>| -> Vec<String> {
        made.iter().filter(|operation| !declared.contains(operation.as_str())).cloned().collect()
    };
    // An event of Config makes it ask what the rule is.
    let lab = Lab::durable().await?;
    lab.deliver(&lab.config("ssh-opened")?).await?;
    contains.extend(operations(&lab));
    assert_eq!(undeclared(&contains, &permissions::responder()), Vec::<String>::new());
    assert_eq!(undeclared(&releases, &permissions::operator()), Vec::<String>::new());
    // What is declared and was not needed: a renamed user, what EC2 asks for in the caller's name, and versions of objects.
    let spare = [
        "iam:ListUsers",
        "kms:CreateGrant",
        "logs:CreateLogDelivery",
        "s3:GetObjectVersionTagging",
        "s3:PutObjectVersionTagging",
    ];
    let unused: Vec<&str> =
        permissions::responder().into_iter().filter(|p| !contains.contains(*p) && !spare.contains(p)).collect();
    assert_eq!(unused, Vec::<&str>::new());
    Ok(())
}

/// What went over the wire, as IAM names it.
fn operations(lab: &Lab) -> BTreeSet<String> {
    let name = |call: cordon_support::Call| match (call.service.as_str(), call.operation.as_str()) {
        ("sqs", "SendMessageBatch") => "sqs:SendMessage".to_owned(),
        // S3's actions have names of their own.
        ("s3", "ListBuckets") => "s3:ListAllMyBuckets".to_owned(),
        ("s3", "GetPublicAccessBlock") => "s3:GetBucketPublicAccessBlock".to_owned(),
        ("s3", "PutPublicAccessBlock" | "DeletePublicAccessBlock") => "s3:PutBucketPublicAccessBlock".to_owned(),
        (service, operation) => format!("{service}:{operation}"),
    };
    // It needs no permission.
    lab.proxy.calls().into_iter().map(name).filter(|operation| operation != "sts:GetCallerIdentity").collect()
}
