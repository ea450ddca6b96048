//! Takes a compromised EC2 instance off the network, denies its role session and keeps what it can tell.
//!
//! # What it does
//! All at once: puts the empty quarantine group of its own VPC on every network interface of the instance, so that nothing
//! new goes in or out; puts it into Standby where it is a member of an Auto Scaling group, which would end it otherwise; protects it
//! against termination and against being stopped, lets its own shutdown only stop it, and keeps its volumes on termination; tags it
//! with the incident. One round later, or two where the event does not name the instance profile: denies everything to the session that the instance has of its role
//! (`aws:userid` = role id and instance id), on that role and for that session alone. Then, in a subnet with an internet gateway,
//! each interface passes an open group for a moment, between two quarantines, which ends connections that quarantine alone would
//! keep (`open-passage: false` in the policy forbids it; `cordon prepare` makes the group). Then: the shortest timeouts for idle
//! connections that EC2 allows, on instance types up to the sixth generation, snapshots of all volumes, and no more traffic from target groups, by id and by address. Where the
//! policy names a bucket in `flow-logs-to`, a flow log of its network, if that has none.
//!
//! A person is asked first where others depend on the instance: nodes of EKS and ECS clusters (by their tags, which can only make
//! Cordon ask), source/destination check off, route tables that send through it, branch interfaces, and the only healthy target of a
//! group. Asked too where that cannot be read.
//!
//! Offered, and done only if an operator asks for it by name: `stop-instance`, `disassociate-instance-profile`, and
//! `terminate-sessions` where somebody has a shell open by SSM's Session Manager.
//! # Fires on
//! GuardDuty findings of the EC2 and Runtime families that say that the instance works for somebody else: command and
//! control, mining, denial of service, outbound brute force, exfiltration by DNS, malware on its volumes. Probes and inbound
//! brute force do not fire it.
//! # Blast radius
//! The instance serves nobody any more. Its Auto Scaling group starts another in its place, from the same template and image. Other
//! instances with the same role keep it.
//! # Undo
//! `cordon release` puts back, in this order: groups and timeouts of each interface, the policy, target groups, the place in the
//! Auto Scaling group, protections, the tag; each only where nobody changed it since. Snapshots stay, as do the instance that took
//! the place, the group's capacity, which is one higher then, and the flow log.
//! The message prints the AWS CLI commands as well, for the day on which Cordon is broken. Nothing goes back by itself. The
//! quarantine group of the VPC stays.
//! # Limits
//! Without the passage, connections that were established before may go on: security groups do not cut tracked flows.
//! Behind a NAT gateway, an egress-only or transit gateway, a network load balancer or interface endpoints they surely
//! do: the outcome is then PartiallyContained, and names the way. DNS to the VPC resolver and the metadata service stay
//! reachable. Nodes of container clusters are known by their tags only; in a VPC with more than 100 target groups it is
//! not looked whether it is the only healthy target, and a person is asked. Credentials that were stolen work until IAM
//! has spread the deny, which takes seconds. Interfaces that an AWS service manages cannot be changed and are named. A
//! finding that rests on DNS alone needs approval, because whoever makes a server resolve a name can cause it.
//! # References
//! EC2 user guide, "Security group connection tracking"; IAM user guide, "AWS global condition context keys", `aws:userid`;
//! MITRE ATT&CK T1496, T1071, T1552.005.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod around;
mod logging;

use super::{Advice, CUT, Case, ESTABLISHED, EVIDENCE, Plan, PlannedStep, Playbook, Refusal, SETTLE, TRAFFIC};
use crate::{
    actions::{
        AnyChange, Change, ConnectionTracking, Groups, InstanceTag, InterfaceGroups, Lifecycle, OnTermination,
        PolicyState, Registration, ScalingStandby, Snapshots, TagValue, Taken, Timeouts,
    },
    domain::{IncidentId, Outcome, OutcomeKind, Reason, ResidualRisk, Situation, Way},
    policy::Subject,
    survey::{Aside, Facts, Instance, ProfileRole, Surroundings, Unread},
};

pub struct CompromisedInstance;

impl Playbook for CompromisedInstance {
    fn id(&self) -> &'static str {
        "compromised-instance"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::CompromisedInstance]
    }

    fn source(&self) -> &'static str {
        include_str!("compromised_instance.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let Facts::Instance(instance) = facts else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no instance"));
        };
        let subject = Subject::new(&instance.account, instance.arn(case.partition), instance.id.as_str());
        let subject = subject.tagged(&instance.tags);
        let mut draft = Draft {
            instance,
            subject,
            plan: Plan { residual: unseen(), advice: advice(instance, case.incident), ..Plan::default() },
        };
        draft.isolate();
        draft.deny_session();
        draft.stand_by();
        draft.protect();
        draft.tag(case.incident);
        draft.ask_where_others_depend();
        if let Some(around) = &instance.around {
            draft.deregister(around);
            draft.ask_where_others_route(around);
            draft.name_what_stays_open(around);
        }
        if let Some(aside) = &instance.aside {
            draft.settle(aside);
            draft.snapshot(aside, case.incident);
            draft.name_endpoints(aside);
            draft.offer_to_end_sessions(aside);
            if let Some(to) = &case.policy.flow_logs_to {
                draft.log_flows(aside, to);
            }
        }
        draft.offer_to_stop();
        draft.offer_to_take_the_profile();
        Ok(draft.plan)
    }
}

fn advice(instance: &Instance, incident: &IncidentId) -> Vec<Advice> {
    let (id, region) = (&instance.id, &instance.region);
    vec![
        Advice::new(
            "the evidence: its snapshots",
            format!(
                "aws ec2 describe-snapshots --region {region} --owner-ids self --filters Name=tag:cordon:incident,Values={incident}"
            ),
        ),
        Advice::new(
            "what it was started from, before another is started from the same",
            format!(
                "aws ec2 describe-instances --region {region} --instance-ids {id} --query 'Reservations[].Instances[].[ImageId,LaunchTime,IamInstanceProfile.Arn,KeyName]'"
            ),
        ),
    ]
}

struct Draft<'a> {
    instance: &'a Instance,
    subject: Subject,
    plan: Plan,
}

impl Draft<'_> {
    fn step(&mut self, stage: u8, change: impl Into<AnyChange>) {
        self.plan.steps.push(PlannedStep::new(stage, change, &self.subject));
    }

    fn refuse(&mut self, code: &'static str, why: String) {
        self.plan.refused.push(Refusal::new(code, why));
    }

    fn unread(&mut self, code: &'static str, why: String, is_passing: bool) {
        self.plan.refused.push(Refusal::unread(code, why, is_passing));
    }

    fn ask(&mut self, code: &'static str, why: String) {
        self.plan.approval.push(Reason::new(code, why));
    }

    fn risk(&mut self, way: Way, text: String) {
        self.plan.residual.push(ResidualRisk { way, text });
    }

    fn isolate(&mut self) {
        for interface in &self.instance.interfaces {
            if let Some(owner) = &interface.managed_by {
                let why = format!("interface {} is managed by {owner} and cannot be changed", interface.id);
                self.refuse("managed-interface", why);
                continue;
            }
            let target = InterfaceGroups {
                account: self.instance.account.clone(),
                region: self.instance.region.clone(),
                vpc: interface.vpc.clone(),
                interface: interface.id.clone(),
            };
            self.step(CUT, Change { target, before: interface.groups.clone(), after: Groups::quarantine() });
        }
        if self.instance.interfaces.is_empty() {
            self.refuse("no-interface", format!("instance {} shows no network interface", self.instance.id));
        }
    }

    fn deny_session(&mut self) {
        match &self.instance.role {
            ProfileRole::NoProfile | ProfileRole::Pending { .. } => {}
            ProfileRole::Known { deny, arn, state } => {
                // It ends what this instance does, not what others do with the role: the instance's tags count.
                let subject = Subject::new(&deny.account, Some(arn.clone()), deny.role_id.as_str());
                let subject = subject.tagged(&self.instance.tags);
                let change = Change { target: deny.clone(), before: state.clone(), after: PolicyState::Deny };
                self.plan.steps.push(PlannedStep::new(CUT, change, &subject));
            }
            ProfileRole::Unreadable(Unread { why, is_passing }) => {
                let why = format!(
                    "the role of the instance could not be read, so no session of it is denied but what is listed: {why}"
                );
                self.unread("role-unreadable", why, *is_passing);
            }
        }
    }

    /// A silent instance is unhealthy, and its group would end it, with all that is on it.
    fn stand_by(&mut self) {
        match &self.instance.scaling {
            Ok(None) => {}
            Ok(Some((group, Lifecycle::Other(state)))) => {
                let text = format!(
                    "its Auto Scaling group {group} has it in `{state}`, where it cannot be set aside; the group may end it"
                );
                self.risk(Way::Unseen, text);
            }
            Ok(Some((group, lifecycle))) => {
                self.plan.replaced_by = Some(group.to_string());
                let target = ScalingStandby {
                    account: self.instance.account.clone(),
                    region: self.instance.region.clone(),
                    group: group.clone(),
                    instance: self.instance.id.clone(),
                };
                self.step(CUT, Change { target, before: lifecycle.clone(), after: Lifecycle::Standby });
            }
            Err(error) => {
                let why = format!("whether an Auto Scaling group may end the instance could not be read: {error}");
                self.unread("scaling-unreadable", why, error.is_passing());
            }
        }
    }

    fn protect(&mut self) {
        if self.instance.is_spot {
            self.risk(Way::Unseen, "a Spot instance takes no protection: AWS may end it at any time".to_owned());
        }
        for (target, state) in &self.instance.attributes {
            // EC2 user guide: neither protection can be set on Spot instances, nor can what their shutdown does.
            match state {
                _ if self.instance.is_spot => {}
                Ok(before) => {
                    let change = Change { target: target.clone(), before: *before, after: target.attribute.kept() };
                    self.step(CUT, change);
                }
                Err(error) => {
                    let why = format!(
                        "{} of the instance could not be read; it is set only if it is listed: {error}",
                        target.attribute
                    );
                    self.unread("attribute-unreadable", why, error.is_passing());
                }
            }
        }
        for (target, before) in &self.instance.volumes {
            self.step(CUT, Change { target: target.clone(), before: *before, after: OnTermination::Kept });
        }
    }

    fn tag(&mut self, incident: &IncidentId) {
        let target = InstanceTag {
            account: self.instance.account.clone(),
            region: self.instance.region.clone(),
            instance: self.instance.id.clone(),
        };
        let after = TagValue(Some(incident.to_string()));
        self.step(CUT, Change { target, before: self.instance.tag.clone(), after });
    }

    fn snapshot(&mut self, aside: &Aside, incident: &IncidentId) {
        if self.instance.volumes.is_empty() {
            return;
        }
        let target = Snapshots {
            account: self.instance.account.clone(),
            region: self.instance.region.clone(),
            instance: self.instance.id.clone(),
            volumes: self.instance.volumes.iter().map(|(volume, _)| volume.volume.clone()).collect(),
            incident: incident.clone(),
        };
        match &aside.snapshots {
            Ok(before) => self.step(EVIDENCE, Change { target, before: *before, after: Taken::Yes }),
            Err(error) => {
                let why = format!("its snapshots could not be looked for; only those listed are taken: {error}");
                self.unread("snapshots-unreadable", why, error.is_passing());
            }
        }
    }

    fn settle(&mut self, aside: &Aside) {
        let mut free = self.instance.interfaces.iter().filter(|interface| interface.managed_by.is_none()).peekable();
        // On Nitro v6 the default is short already, and could not be put back.
        if is_nitro_v6(&self.instance.kind) || free.peek().is_none() {
            return;
        }
        match &aside.nitro {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let why = format!(
                    "whether EC2 takes shorter timeouts for its idle connections could not be read; only those listed are cut short: {error}"
                );
                return self.unread("hypervisor-unreadable", why, error.is_passing());
            }
        }
        for interface in free {
            let target = ConnectionTracking {
                account: self.instance.account.clone(),
                region: self.instance.region.clone(),
                interface: interface.id.clone(),
            };
            self.step(SETTLE, Change { target, before: interface.timeouts, after: Timeouts::SHORTEST });
        }
    }

    fn deregister(&mut self, around: &Surroundings) {
        for registered in around.registrations.iter().flatten() {
            let change = Change {
                target: registered.target.clone(),
                before: registered.state,
                after: Registration::Deregistered,
            };
            self.step(TRAFFIC, change);
        }
    }
}

/// The eighth generation of a family and later ones (EC2 instance types guide, Nitro system versions); the seventh, and what cannot be told, is
/// taken for one.
fn is_nitro_v6(kind: &str) -> bool {
    let family = kind.split('.').next().unwrap_or_default();
    let generation: String =
        family.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    // High-memory families such as `u7i` and graphics `g7e` count otherwise; only what is known to be older is changed.
    !generation.parse::<u32>().is_ok_and(|generation| generation < 7)
}

fn unseen() -> Vec<ResidualRisk> {
    [
        ESTABLISHED,
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
        actions::{Association, Group, SessionDeny},
        domain::{AccountId, Arn, GroupId, InstanceId, InterfaceId, Region, RoleId, RoleName, SessionName, VpcId},
        playbooks::PlannedStep,
        survey::Interface,
    };

    fn interface(id: &str, vpc: &str, groups: &[&str], managed_by: Option<&str>) -> Interface {
        Interface {
            id: InterfaceId::parse(id).unwrap(),
            vpc: VpcId::parse(vpc).unwrap(),
            subnet: None,
            groups: Groups(groups.iter().map(|id| Group::Id(GroupId::parse(id).unwrap())).collect()),
            addresses: Vec::new(),
            timeouts: Timeouts::DEFAULT,
            checks_destination: true,
            is_trunk: false,
            managed_by: managed_by.map(str::to_owned),
        }
    }

    fn instance(interfaces: Vec<Interface>, role: ProfileRole) -> Instance {
        Instance {
            account: AccountId::parse("111122223333").unwrap(),
            region: Region::parse("us-east-1").unwrap(),
            id: InstanceId::parse("i-0a1b2c3d").unwrap(),
            state: "running".into(),
            kind: "t3.micro".into(),
            is_spot: false,
            node_of: None,
            interfaces,
            tag: TagValue(None),
            tags: Default::default(),
            scaling: Ok(None),
            attributes: Vec::new(),
            volumes: Vec::new(),
            target_groups: Ok(Vec::new()),
            profile: Ok(Association::Nothing),
            role,
            around: None,
            aside: None,
        }
    }

    fn lines(instance: Instance) -> (Vec<String>, Vec<&'static str>, String) {
        let plan = super::super::planned(&CompromisedInstance, &Facts::Instance(Box::new(instance))).unwrap();
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
        let (steps, refused, _) =
            lines(instance(interfaces, ProfileRole::Unreadable(Unread::for_good("denied".into()))));
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
