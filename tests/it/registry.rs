//! One check for every action and every playbook: contain then release is the world before, twice is once, and nothing goes over the wire
//! that is not declared. What is registered and in no scenario fails here. `matrix.rs` takes the scenarios through faults.

use crate::lab::{Lab, Setup, kind, without_replacement};
use anyhow::Result;
use cordon::{actions, permissions};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// An incident that takes its playbook through all of its actions, together.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub sample: &'static str,
    world: &'static [&'static str],
    /// The user has no room for one more attached policy.
    full: bool,
    /// The groups of the VPC are made ahead, so that interfaces pass the open one.
    prepared: bool,
    /// What an operator asks for beyond the plan, once it is contained.
    pub offers: &'static str,
}

pub const SCENARIOS: [Scenario; 4] = [
    Scenario {
        sample: "instance-c2-network",
        world: &["scaling", "targets"],
        full: false,
        prepared: true,
        offers: "stop-instance,disassociate-instance-profile,terminate-sessions",
    },
    Scenario { sample: "key-used-from-outside", world: &["credentials"], full: false, prepared: false, offers: "" },
    Scenario { sample: "key-used-from-outside", world: &[], full: true, prepared: false, offers: "" },
    Scenario {
        sample: "role-session-exfiltrated",
        world: &[],
        full: false,
        prepared: false,
        offers: "whole-role-cutoff",
    },
];

/// What is delivered when something happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The finding.
    Finding,
    /// The recheck after an operator asked for all that is offered.
    Offers,
}

impl Scenario {
    pub async fn lab(self) -> Result<Lab> {
        let setup = Setup { durable: true, interfaces: Some(1), world: self.world, ..Setup::default() };
        let lab = Lab::new(setup).await?;
        if self.sample.starts_with("instance") {
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
        lab.proxy.clear();
        Ok(lab)
    }

    /// Each call of one containment as the nth of its operation: ids differ from world to world and cannot name a position here.
    pub async fn positions(self) -> Result<Vec<(Phase, String, u32, bool)>> {
        let lab = self.lab().await?;
        let event = lab.event(self.sample)?;
        assert_eq!(kind(&lab.deliver(&event).await?), "Contained");
        let mut found = numbered(Phase::Finding, &lab)?;
        if !self.offers.is_empty() {
            self.ask(&lab, &event).await?;
            lab.recheck(&lab.incident_of(&event)?).await?;
            found.extend(numbered(Phase::Offers, &lab)?);
        }
        Ok(found)
    }

    /// An operator asks for all that is offered; what the command itself does is of no interest here.
    pub async fn ask(self, lab: &Lab, event: &Value) -> Result<()> {
        let output = lab.cordon(&["approve", &lab.incident_of(event)?, "--with", self.offers]).await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lab.clock.advance(Duration::from_secs(5))?;
        lab.proxy.clear();
        Ok(())
    }
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
        let event = lab.event(scenario.sample)?;
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), "Contained", "{scenario:?}: {report:#}");
        playbooks.insert(report["playbook"].as_str().unwrap().to_owned());
        for step in report["steps"].as_array().unwrap() {
            assert_ne!(step["state"], "already so", "{scenario:?}: nothing is proven by it: {step}");
            acted.insert(step["action"].as_str().unwrap().to_owned());
        }
        contains.extend(operations(&lab));
        let incident = report["incident"].as_str().unwrap();
        if !scenario.offers.is_empty() {
            scenario.ask(&lab, &event).await?;
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
        let again = lab.deliver(&lab.event(scenario.sample)?).await?;
        assert_eq!((kind(&again), lab.changes()), ("Joined", Vec::new()), "{scenario:?}: {again:#}");
        lab.recheck(incident).await?;
        assert_eq!(lab.changes(), Vec::<String>::new(), "{scenario:?}");
        assert_eq!(crate::lab::differences(&contained, &lab.dump().await?), Vec::<String>::new(), "{scenario:?}");

        lab.proxy.clear();
        let joined = lab.cordon(&["release", again["incident"].as_str().unwrap()]).await?;
        assert!(matches!(joined.status.code(), Some(1 | 3)), "{scenario:?}: {joined:?}");
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
    // What is declared and was not needed: a grant that EC2 makes, a renamed user, and a group that had to be emptied of an ingress rule.
    let spare = ["ec2:RevokeSecurityGroupIngress", "iam:ListUsers", "kms:CreateGrant"];
    let unused: Vec<&str> =
        permissions::responder().into_iter().filter(|p| !contains.contains(*p) && !spare.contains(p)).collect();
    assert_eq!(unused, Vec::<&str>::new());
    Ok(())
}

/// What went over the wire, as IAM names it.
fn operations(lab: &Lab) -> BTreeSet<String> {
    let name = |call: cordon_support::Call| match (call.service.as_str(), call.operation.as_str()) {
        ("sqs", "SendMessageBatch") => "sqs:SendMessage".to_owned(),
        (service, operation) => format!("{service}:{operation}"),
    };
    // It needs no permission.
    lab.proxy.calls().into_iter().map(name).filter(|operation| operation != "sts:GetCallerIdentity").collect()
}
