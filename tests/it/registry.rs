//! One check for every action and every playbook, over the positions of their calls: contain then release is the world before,
//! twice is once, whatever fails or dies on the way. What is registered and in no scenario fails here.

use crate::lab::{Durable, Lab, Setup, kind, without_replacement};
use anyhow::{Context, Result};
use cordon::{actions, permissions};
use cordon_support::{Answer, Fault, How, Lasting, Match, When};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// An incident that takes its playbook through all of its actions, together.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    sample: &'static str,
    world: &'static [&'static str],
    /// The user has no room for one more attached policy.
    full: bool,
    /// The groups of the VPC are made ahead, so that interfaces pass the open one.
    prepared: bool,
    /// What an operator asks for beyond the plan, once it is contained.
    offers: &'static str,
}

const SCENARIOS: [Scenario; 4] = [
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
enum Phase {
    /// The finding.
    Finding,
    /// The recheck after an operator asked for all that is offered.
    Offers,
}

impl Scenario {
    async fn lab(self) -> Result<Lab> {
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
    async fn positions(self) -> Result<Vec<(Phase, String, u32, bool)>> {
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
    async fn ask(self, lab: &Lab, event: &Value) -> Result<()> {
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
        let contained = lab.dump().await?;

        // Twice is once.
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

#[tokio::test]
async fn whatever_fails_or_dies_on_the_way_it_is_contained_in_the_end_and_goes_back() -> Result<()> {
    let mut cells = Vec::new();
    for scenario in SCENARIOS {
        for (n, (phase, operation, nth, mutating)) in scenario.positions().await?.into_iter().enumerate() {
            let cell = |hits| Cell { scenario, phase, operation: operation.clone(), nth, hits, by_event: n % 2 == 1 };
            cells.extend([cell(Hits::Kill(When::Before)), cell(Hits::Kill(When::After))]);
            // Each position meets one of these here; `make faults` tries them all.
            let (when, how, lasting) = FAULTS[n % FAULTS.len()];
            // Nothing conflicts with reading.
            let how = if how == How::Conflict && !mutating { How::Throttled } else { how };
            cells.push(cell(Hits::Fault(when, how, lasting)));
        }
    }
    let count = cells.len();
    assert!(count >= 300, "only {count} cells");
    // Each has an account and processes of its own; more at a time only wait for moto.
    stream::iter(cells)
        .map(|cell| async move { cell.run().await })
        .buffer_unordered(8)
        .try_collect::<Vec<()>>()
        .await?;
    println!("{count} cells");
    Ok(())
}

/// The actions that are never in a plan unasked.
const BEYOND: [&str; 4] = ["ec2.instance.power", "ec2.instance.profile", "iam.role.cutoff", "ssm.session.state"];

const FAULTS: [(When, How, Lasting); 6] = [
    (When::Before, How::Throttled, Lasting::Once),
    (When::After, How::Cut, Lasting::Once),
    (When::Before, How::Denied, Lasting::Throughout),
    (When::Before, How::Conflict, Lasting::Once),
    (When::Before, How::Throttled, Lasting::Throughout),
    (When::After, How::ServerError, Lasting::Throughout),
];

#[derive(Clone, Copy, Debug)]
enum Hits {
    /// SIGKILL of the real binary.
    Kill(When),
    Fault(When, How, Lasting),
}

#[derive(Debug)]
struct Cell {
    scenario: Scenario,
    phase: Phase,
    operation: String,
    nth: u32,
    hits: Hits,
    by_event: bool,
}

impl Cell {
    async fn run(self) -> Result<()> {
        let cell = format!("{self:?}");
        let mut lab = self.scenario.lab().await?;
        let before = lab.dump().await?;
        let event = lab.event(self.scenario.sample)?;
        let at = Match { operation: self.operation, resource: None, occurrence: Some(self.nth) };
        let delivered = match self.phase {
            Phase::Finding => event.clone(),
            Phase::Offers => {
                assert_eq!(kind(&lab.deliver(&event).await?), "Contained", "{cell}");
                self.scenario.ask(&lab, &event).await?;
                lab.batch(&lab.incident_of(&event)?)
            }
        };
        match self.hits {
            Hits::Kill(when) => lab.kill_at(&delivered, at, when).await.with_context(|| cell.clone())?,
            Hits::Fault(when, how, lasting) => {
                lab.proxy.fail(Fault { at, when, how, lasting });
                let answer = lab.function.invoke(&delivered).await?;
                // A fault that passes is healed at once, by the SDK or by reading.
                if let (Lasting::Once, Phase::Finding, Answer::Response(report)) = (lasting, self.phase, &answer) {
                    assert_eq!(kind(report), "Contained", "{cell}: {report:#}");
                }
            }
        }
        lab.proxy.heal();
        lab.restart("contain").await?;
        lab.clock.advance(Duration::from_secs(5))?;
        let id = lab.incident_of(&event)?;
        // A recheck can only come where the messages had left and the plan is there.
        if self.phase == Phase::Offers || (by_recheck(&lab).await? && !self.by_event) {
            lab.recheck(&id).await.with_context(|| cell.clone())?;
        } else {
            let report = lab.deliver(&event).await.with_context(|| cell.clone())?;
            assert!(["Contained", "Joined"].contains(&kind(&report)), "{cell}: {report:#}");
        }
        let shown = lab.cordon(&["show", &id, "--json"]).await?;
        let shown: Value = serde_json::from_slice(&shown.stdout).with_context(|| cell.clone())?;
        let steps = shown["containment"]["steps"].as_array().with_context(|| format!("{cell}: {shown:#}"))?;
        let is_held = |step: &Value| step["state"] == "done" || step["state"] == "already";
        assert!(!steps.is_empty() && steps.iter().all(is_held), "{cell}: {shown:#}");
        if self.phase == Phase::Offers {
            let asked_for = self.scenario.offers.split(',').count();
            let is_asked_for = |step: &&Value| BEYOND.iter().any(|action| step["change"]["action"] == *action);
            assert_eq!(steps.iter().filter(is_asked_for).count(), asked_for, "{cell}: {shown:#}");
        }
        let output = lab.cordon(&["release", &id, "--reactivate-keys"]).await?;
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{cell}: {}", String::from_utf8_lossy(&said));
        assert_eq!(without_replacement(&lab, &before, lab.dump().await?), Vec::<String>::new(), "{cell}");
        lab.forget().await
    }
}

/// Whether the three messages had left, and the plan is in the journal.
async fn by_recheck(lab: &Lab) -> Result<bool> {
    let Durable { table, .. } = lab.durable.clone().context("durable")?;
    let items = lab.call("dynamodb", "scan", json!({"TableName": table})).await?;
    let journalled = items["Items"].as_array().unwrap().iter().any(|item| item.get("containment").is_some());
    Ok(journalled && lab.delayed().await? == 3)
}
