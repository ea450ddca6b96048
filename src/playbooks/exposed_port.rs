//! Closes a port that a security group opened to the world.
//!
//! # What it does
//! Takes those rules out of the group that let the world in: by any prefix that means the world, IPv4 and IPv6, and by halves and
//! quarters that do so together. Where the event says which ports were opened, only rules of those ports. Rules for narrower networks, for
//! other groups and for prefix lists stay, and so do the ports that the policy names in `public-ports`.
//! # Fires on
//! AuthorizeSecurityGroupIngress, ModifySecurityGroupRules and their like in CloudTrail; changes of groups and the rules `restricted-ssh`,
//! `restricted-common-ports` and their like in AWS Config, where somebody was seen to change the group within thirty minutes.
//! # Blast radius
//! Whoever used the port from outside is shut out; new connections only.
//! # Undo
//! `cordon release` puts the rules back with their descriptions, where nobody has changed them since. They have other ids then.
//! What somebody opened who was contained himself goes back only with `--force`.
//! # Limits
//! Prefix lists, network ACLs, databases and clusters that were made public are named, not closed. Connections that stand already and are
//! tracked go on. What a break-glass principal does is only told; what an operator does is asked about. Whoever came in meanwhile is not looked for.
//! # References
//! EC2 user guide, "Security group rules"; MITRE ATT&CK T1562.007, T1133.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Advice, CUT, Case, Plan, PlannedStep, Playbook};
use crate::{
    actions::{Change, GroupRule, RuleState},
    detect::{LiveRule, world_open},
    domain::{Arn, Outcome, OutcomeKind, Reason, ResidualRisk, Situation, Target, Way},
    policy::Subject,
    survey::{Facts, Group},
};

pub struct ExposedPort;

impl Playbook for ExposedPort {
    fn id(&self) -> &'static str {
        "exposed-port"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::ExposedPort]
    }

    fn source(&self) -> &'static str {
        include_str!("exposed_port.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let Facts::Group(group) = facts else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no security group"));
        };
        if group.is_passage {
            let why = "the group is Cordon's own passage, which is open on purpose; nothing stays in it";
            return Err(Outcome::because(OutcomeKind::Declined, "own-group", why));
        }
        let Group { account, region, id, .. } = group.as_ref();
        let arn = Arn::parse(&format!("arn:{}:ec2:{region}:{account}:security-group/{id}", case.partition));
        let subject = Subject::new(account, arn.ok(), id.as_str()).tagged(&group.tags);
        let step = |rule: &GroupRule| {
            let change = Change { target: rule.clone(), before: RuleState::InForce, after: RuleState::Removed };
            PlannedStep::new(CUT, change, &subject)
        };
        let steps: Vec<PlannedStep> = offending(group, case).into_iter().map(step).collect();
        let idle = format!("security group {id} lets the world in by no rule that is to be closed");
        let text = "connections that were let in and are tracked go on until they end".to_owned();
        Ok(Plan {
            steps,
            idle: Some(Reason::new("not-open", idle)),
            residual: vec![ResidualRisk { way: Way::Unseen, text }],
            advice: vec![
                Advice::new(
                    "find what the group is on, and who came in meanwhile",
                    format!(
                        "aws ec2 describe-network-interfaces --region {region} --filters Name=group-id,Values={id}"
                    ),
                ),
                Advice::new(
                    "find who else changed it",
                    format!(
                        "aws cloudtrail lookup-events --region {region} --lookup-attributes AttributeKey=ResourceName,AttributeValue={id}"
                    ),
                ),
            ],
            ..Plan::default()
        })
    }
}

/// The rules that let the world in, at the ports that the event names, and not where the policy says that it may come in.
fn offending<'g>(group: &'g Group, case: &Case<'_>) -> Vec<&'g GroupRule> {
    let live: Vec<LiveRule<'_>> = group
        .rules
        .iter()
        .map(|rule| LiveRule {
            protocol: &rule.lets_in.protocol,
            from: rule.lets_in.from,
            to: rule.lets_in.to,
            cidr: &rule.lets_in.cidr,
        })
        .collect();
    let named: &[String] = match case.target {
        Target::SecurityGroup { ports, .. } => ports,
        _ => &[],
    };
    let is_offending = |live: &LiveRule<'_>| {
        let ports = live.ports();
        (named.is_empty() || named.contains(&ports)) && !case.policy.declares_public(std::slice::from_ref(&ports))
    };
    let open = world_open(&live);
    let rules = group.rules.iter().zip(&live).zip(open);
    rules.filter(|((_, live), open)| *open && is_offending(live)).map(|((rule, _), _)| rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::LetsIn,
        domain::{AccountId, GroupId, GroupRuleId, IncidentId, Partition, Region},
        policy::Policy,
    };

    #[test]
    fn only_what_lets_the_world_in_goes_and_what_the_policy_declares_stays() {
        let (account, region, id) = (
            AccountId::parse("111122223333").unwrap(),
            Region::parse("us-east-1").unwrap(),
            GroupId::parse("sg-0a1b2c3d").unwrap(),
        );
        let rule = |n: usize, port: Option<i32>, cidr: &str| GroupRule {
            account: account.clone(),
            region: region.clone(),
            group: id.clone(),
            id: GroupRuleId::parse(&format!("sgr-{n:08x}")).unwrap(),
            lets_in: LetsIn {
                protocol: port.map_or("-1", |_| "tcp").to_owned(),
                from: port,
                to: port,
                cidr: cidr.to_owned(),
            },
            description: None,
        };
        let rules = vec![
            rule(0, Some(22), "0.0.0.0/0"),
            rule(1, Some(22), "::/0"),
            rule(2, Some(22), "203.0.113.7/32"),
            rule(3, Some(443), "0.0.0.0/0"),
            rule(4, Some(3389), "0.0.0.0/1"),
            rule(5, Some(3389), "128.0.0.0/1"),
            rule(6, None, "0.0.0.0/0"),
        ];
        let group = Group {
            account: account.clone(),
            region: region.clone(),
            id: id.clone(),
            tags: Default::default(),
            rules,
            is_passage: false,
        };
        let incident = IncidentId::parse("amber-otter-k7m2q").unwrap();
        for (ports, policy, expected) in [
            (vec![], "version: 1", vec![0, 1, 4, 5, 6]),
            (vec!["22"], "version: 1", vec![0, 1]),
            (vec!["3389"], "version: 1", vec![4, 5]),
            (vec!["all"], "version: 1", vec![6]),
            (vec![], "public-ports: [22, 3389]", vec![3, 6]),
            (vec!["443"], "version: 1", vec![]),
            (vec!["23"], "version: 1", vec![]),
        ] {
            let ports: Vec<String> = ports.into_iter().map(str::to_owned).collect();
            let target =
                Target::SecurityGroup { account: account.clone(), region: region.clone(), id: id.clone(), ports };
            let policy = Policy::parse(policy).unwrap();
            let case = Case {
                incident: &incident,
                partition: &Partition::standard(),
                policy: &policy,
                target: &target,
                is_granted: false,
                made: None,
                is_told_by_aws: false,
            };
            let plan = ExposedPort.plan(&Facts::Group(Box::new(group.clone())), &case);
            let gone: Vec<String> = plan.unwrap().steps.iter().map(|step| step.change.shown().identity).collect();
            let named = |n: &usize| format!("111122223333/us-east-1/sg-0a1b2c3d {}", group.rules[*n].lets_in);
            assert_eq!(gone, expected.iter().map(named).collect::<Vec<_>>());
        }
        let passage = Group { is_passage: true, ..group };
        let target = Target::SecurityGroup { account, region, id, ports: Vec::new() };
        let policy = Policy::default();
        let case = Case {
            incident: &incident,
            partition: &Partition::standard(),
            policy: &policy,
            target: &target,
            is_granted: false,
            made: None,
            is_told_by_aws: false,
        };
        let declined = ExposedPort.plan(&Facts::Group(Box::new(passage)), &case).unwrap_err();
        assert_eq!(declined.reasons[0].code, "own-group");
    }
}
