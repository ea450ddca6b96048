//! Takes a compromised EC2 instance off the network and denies its role session.
//!
//! # What it does
//! Puts the empty quarantine group of its own VPC on every network interface of the instance, all at once, so that nothing
//! new goes in or out. Denies everything to the session that the instance has of its role (`aws:userid` = role id and
//! instance id), on that role and for that session alone. Tags the instance with the incident.
//! # Fires on
//! GuardDuty findings of the EC2 and Runtime families that say that the instance works for somebody else: command and
//! control, mining, denial of service, outbound brute force, exfiltration by DNS, malware on its volumes. Probes and inbound
//! brute force do not fire it.
//! # Blast radius
//! The instance serves nobody any more; health checks fail, and an Auto Scaling group may replace it. Other instances with
//! the same role keep it.
//! # Undo
//! `cordon release` puts back the groups of each interface, the policy and the tag, each only where nobody changed it since.
//! The message prints the AWS CLI commands as well, for the day on which Cordon is broken. Nothing goes back by itself. The
//! quarantine group of the VPC stays.
//! # Limits
//! Connections that were established before may go on: security groups do not cut tracked flows. DNS to the VPC resolver and
//! the metadata service stay reachable. Credentials that were stolen work until IAM has spread the deny, which takes
//! seconds. Interfaces that an AWS service manages cannot be changed and are named. A finding that rests on DNS alone needs
//! approval, because whoever makes a server resolve a name can cause it.
//! # References
//! EC2 user guide, "Security group connection tracking"; IAM user guide, "AWS global condition context keys", `aws:userid`;
//! MITRE ATT&CK T1496, T1071, T1552.005.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{CUT, Case, Plan, PlannedStep, Playbook, Refusal};
use crate::{
    actions::{Change, Groups, InstanceTag, InterfaceGroups, PolicyState, TagValue},
    domain::{Outcome, OutcomeKind, ResidualRisk, Way},
    policy::Subject,
    survey::{Facts, Instance, ProfileRole},
    triage::Situation,
};

pub struct CompromisedInstance;

impl Playbook for CompromisedInstance {
    fn id(&self) -> &'static str {
        "compromised-instance"
    }

    fn situation(&self) -> Situation {
        Situation::CompromisedInstance
    }

    fn source(&self) -> &'static str {
        include_str!("compromised_instance.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let Facts::Instance(instance) = facts else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no instance"));
        };
        let subject = Subject {
            account: instance.account.clone(),
            arn: instance.arn(case.partition),
            unique_id: instance.id.to_string(),
        };
        let mut plan = Plan { residual: unseen(), ..Plan::default() };
        isolate(instance, &subject, &mut plan);
        deny_session(instance, &mut plan);
        let target = InstanceTag {
            account: instance.account.clone(),
            region: instance.region.clone(),
            instance: instance.id.clone(),
        };
        let after = TagValue(Some(case.incident.to_string()));
        let change = Change { target, before: instance.tag.clone(), after }.into();
        plan.steps.push(PlannedStep { stage: CUT, change, subject });
        Ok(plan)
    }
}

fn isolate(instance: &Instance, subject: &Subject, plan: &mut Plan) {
    for interface in &instance.interfaces {
        if let Some(owner) = &interface.managed_by {
            let why = format!("interface {} is managed by {owner} and cannot be changed", interface.id);
            plan.refused.push(Refusal { code: "managed-interface", why });
            continue;
        }
        let target = InterfaceGroups {
            account: instance.account.clone(),
            region: instance.region.clone(),
            vpc: interface.vpc.clone(),
            interface: interface.id.clone(),
        };
        let change = Change { target, before: interface.groups.clone(), after: Groups::quarantine() }.into();
        plan.steps.push(PlannedStep { stage: CUT, change, subject: subject.clone() });
    }
    if instance.interfaces.is_empty() {
        plan.refused.push(Refusal {
            code: "no-interface",
            why: format!("instance {} shows no network interface", instance.id),
        });
    }
}

fn deny_session(instance: &Instance, plan: &mut Plan) {
    match &instance.role {
        ProfileRole::NoProfile | ProfileRole::Pending { .. } => {}
        ProfileRole::Known { deny, arn, state } => {
            let subject =
                Subject { account: deny.account.clone(), arn: Some(arn.clone()), unique_id: deny.role_id.to_string() };
            let change = Change { target: deny.clone(), before: state.clone(), after: PolicyState::Deny }.into();
            plan.steps.push(PlannedStep { stage: CUT, change, subject });
        }
        ProfileRole::Unreadable { why } => {
            let why = format!("the role of the instance could not be read, so its session is not denied: {why}");
            plan.refused.push(Refusal { code: "role-unreadable", why });
        }
    }
}

fn unseen() -> Vec<ResidualRisk> {
    [
        "connections that were established before may go on; stop the instance if that must not be",
        "DNS to the VPC resolver is not filtered by security groups",
        "copies of the role's credentials work until IAM has spread the deny (seconds)",
    ]
    .map(|text| ResidualRisk { way: Way::Unseen, text: text.to_owned() })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::{Group, SessionDeny},
        domain::{
            AccountId, Arn, GroupId, IncidentId, InstanceId, InterfaceId, Partition, Region, RoleId, RoleName,
            SessionName, VpcId,
        },
        playbooks::PlannedStep,
        survey::Interface,
    };

    fn interface(id: &str, vpc: &str, groups: &[&str], managed_by: Option<&str>) -> Interface {
        Interface {
            id: InterfaceId::parse(id).unwrap(),
            vpc: VpcId::parse(vpc).unwrap(),
            groups: Groups(groups.iter().map(|id| Group::Id(GroupId::parse(id).unwrap())).collect()),
            managed_by: managed_by.map(str::to_owned),
        }
    }

    fn instance(interfaces: Vec<Interface>, role: ProfileRole) -> Instance {
        Instance {
            account: AccountId::parse("111122223333").unwrap(),
            region: Region::parse("us-east-1").unwrap(),
            id: InstanceId::parse("i-0a1b2c3d").unwrap(),
            state: "running".into(),
            interfaces,
            tag: TagValue(None),
            role,
        }
    }

    fn lines(instance: Instance) -> (Vec<String>, Vec<&'static str>, String) {
        let incident = IncidentId::parse("amber-otter-k7m2q").unwrap();
        let case = Case { incident: &incident, partition: &Partition::standard() };
        let plan = CompromisedInstance.plan(&Facts::Instance(instance), &case).unwrap();
        let line = |step: &PlannedStep| step.change.shown().line();
        (plan.steps.iter().map(line).collect(), plan.refused.iter().map(|r| r.code).collect(), plan.hash())
    }

    fn known_role() -> ProfileRole {
        let deny = SessionDeny {
            account: AccountId::parse("111122223333").unwrap(),
            role: RoleName::parse("web").unwrap(),
            role_id: RoleId::parse("AROACKCEVSQ6C2EXAMPLE").unwrap(),
            session: SessionName::parse("i-0a1b2c3d").unwrap(),
        };
        ProfileRole::Known {
            deny,
            arn: Arn::parse("arn:aws:iam::111122223333:role/web").unwrap(),
            state: PolicyState::Absent,
        }
    }

    #[test]
    fn every_interface_goes_into_the_group_of_its_own_vpc() {
        let interfaces = vec![
            interface("eni-0000000a", "vpc-0000000a", &["sg-0000000a"], None),
            interface("eni-0000000b", "vpc-0000000b", &["sg-0000000b", "sg-0000000c"], None),
            interface("eni-0000000c", "vpc-0000000a", &["sg-0000000a"], Some("amazon-elb")),
        ];
        let (steps, refused, _) = lines(instance(interfaces, known_role()));
        assert_eq!(
            steps,
            [
                "ec2.interface.groups 111122223333/us-east-1/vpc-0000000a/eni-0000000a -> quarantine",
                "ec2.interface.groups 111122223333/us-east-1/vpc-0000000b/eni-0000000b -> quarantine",
                "iam.role.session-deny 111122223333/web/AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3d -> everything denied",
                "ec2.instance.tag 111122223333/us-east-1/i-0a1b2c3d -> `amber-otter-k7m2q`",
            ]
        );
        assert_eq!(refused, ["managed-interface"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_does_not_stop_the_rest() {
        let interfaces = vec![interface("eni-0000000a", "vpc-0000000a", &["sg-0000000a"], None)];
        let (steps, refused, _) = lines(instance(interfaces, ProfileRole::Unreadable { why: "denied".into() }));
        assert_eq!((steps.len(), refused), (2, vec!["role-unreadable"]));
        let (_, refused, _) = lines(instance(Vec::new(), ProfileRole::NoProfile));
        assert_eq!(refused, ["no-interface"]);
    }

    #[test]
    fn the_hash_binds_to_what_will_be_and_not_to_what_was() {
        let one = |groups: &[&str]| {
            lines(instance(vec![interface("eni-0000000a", "vpc-0000000a", groups, None)], known_role())).2
        };
        assert_eq!(one(&["sg-0000000a"]), one(&["sg-0000000b"]));
        let more = vec![
            interface("eni-0000000a", "vpc-0000000a", &["sg-0000000a"], None),
            interface("eni-0000000b", "vpc-0000000a", &["sg-0000000a"], None),
        ];
        assert_ne!(one(&["sg-0000000a"]), lines(instance(more, known_role())).2);
    }
}
