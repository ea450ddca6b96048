//! Keeps out an address that attacks, after a person has agreed.
//!
//! # What it does
//! Denies the one address, /32 or /128, in the network ACLs of the subnets and in the WAF IP sets that the policy lists in
//! `address-blocks`, at most five a list. After the policy's hours people are reminded, with the release command.
//! # Fires on
//! GuardDuty's inbound brute force, probes and malicious callers, where the resource is only attacked and the policy's `modes` of
//! `attacked-only` allow to ask.
//! # Blast radius
//! Everybody behind that address; and what inside calls it, because a network ACL knows no state.
//! # Undo
//! `cordon release` takes the entries out, where nobody has changed them since.
//! # Limits
//! Never unattended. Never private addresses, the account's own elastic ones, networks of the policy's `never`, and addresses that
//! GuardDuty says are Amazon's. Own IPv6 addresses, and own public ones that are not elastic, must stand in `never`. Addresses are cheap: who attacks has others.
//! # References
//! VPC user guide, "Network ACLs"; WAF developer guide, "IP sets"; MITRE ATT&CK T1110, T1595.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{CUT, Case, Plan, PlannedStep, Playbook, Refusal};
use crate::{
    actions::{AclState, Change, Member, OWN_NUMBERS},
    detect::is_private,
    domain::{Arn, Outcome, OutcomeKind, Reason, ResidualRisk, Situation, Target, Way},
    policy::Subject,
    survey::{Facts, Unread},
};

pub struct HostileAddress;

impl Playbook for HostileAddress {
    fn id(&self) -> &'static str {
        "hostile-address"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::AttackedOnly]
    }

    fn source(&self) -> &'static str {
        include_str!("hostile_address.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let (Facts::Address(found), Target::Address { region, is_amazons, .. }) = (facts, case.target) else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no address"));
        };
        let address = found.address;
        let blocks = &case.policy.address_blocks;
        let stays = if is_private(address) {
            Some("it is private, and reaches the account from inside")
        } else if found.is_own {
            Some("it is one of the account's own")
        } else if *is_amazons {
            Some("it is Amazon's by what GuardDuty says of it, and others are behind it")
        } else if blocks.never.iter().any(|network| network.holds(address)) {
            Some("the policy says that it is never blocked")
        } else {
            None
        };
        if let Some(why) = stays {
            return Err(Outcome::because(OutcomeKind::Declined, "never-blocked", format!("{address} stays in: {why}")));
        }
        let account = &found.account;
        let mut plan = Plan::default();
        // INVARIANT: nobody is shut out by an address without a person's word.
        plan.approval.push(Reason::new("person-decides", "an address is blocked only after a person has agreed"));
        match &found.entries {
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok((target, before)) => {
                            let arn =
                                format!("arn:{}:ec2:{region}:{account}:network-acl/{}", case.partition, target.acl);
                            let subject = Subject::new(account, Arn::parse(&arn).ok(), target.acl.as_str());
                            let change = Change { target: target.clone(), before: *before, after: AclState::Denied };
                            let step = PlannedStep::new(CUT, change, &subject.tagged(&Default::default()));
                            plan.steps.push(step);
                        }
                        Err(full) => plan.refused.push(Refusal::new("list-full", &full.why)),
                    }
                }
            }
            Err(error) => {
                let why = format!("the lists of the subnets could not be read: {error}");
                plan.refused.push(Refusal::unread("lists-unreadable", why, error.is_passing()));
            }
        }
        for member in &found.members {
            match member {
                Ok((target, Member::Absent)) if found.others >= OWN_NUMBERS as usize => {
                    let why = format!("set {} takes no more addresses: {} are held already", target.set, found.others);
                    plan.refused.push(Refusal::new("set-full", why));
                }
                Ok((target, before)) => {
                    let subject = Subject::new(account, Some(target.set.clone()), target.set.as_str());
                    let change = Change { target: target.clone(), before: *before, after: Member::Present };
                    let step = PlannedStep::new(CUT, change, &subject.tagged(&Default::default()));
                    plan.steps.push(step);
                }
                Err(Unread { why, is_passing }) => {
                    plan.refused.push(Refusal::unread("set-unusable", why.clone(), *is_passing));
                }
            }
        }
        let hours = blocks.hours.get();
        let text = format!("it stays until `cordon release`; after {hours} hours people are reminded");
        plan.residual.push(ResidualRisk { way: Way::Unseen, text });
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{AccountId, IncidentId, Partition, Region},
        policy::Policy,
        survey::Address,
    };
    use std::net::IpAddr;

    #[test]
    fn some_addresses_are_never_blocked() {
        for (address, own, amazons, expected) in [
            ("203.0.113.7", false, false, Ok(0)),
            ("10.1.2.3", false, false, Err("never-blocked")),
            ("fd00::1", false, false, Err("never-blocked")),
            ("169.254.169.254", false, false, Err("never-blocked")),
            ("203.0.113.7", true, false, Err("never-blocked")),
            ("203.0.113.7", false, true, Err("never-blocked")),
            ("198.51.100.9", false, false, Err("never-blocked")),
        ] {
            let (account, region) = (AccountId::parse("111122223333").unwrap(), Region::parse("us-east-1").unwrap());
            let address: IpAddr = address.parse().unwrap();
            let facts = Facts::Address(Box::new(Address {
                account: account.clone(),
                address,
                is_own: own,
                entries: Ok(Vec::new()),
                members: Vec::new(),
                others: 0,
            }));
            let target = Target::Address {
                account,
                region,
                address,
                subnets: Vec::new(),
                sets: Vec::new(),
                is_amazons: amazons,
            };
            let policy = Policy::parse("address-blocks: {never: [198.51.100.0/24]}").unwrap();
            let incident = IncidentId::parse("amber-otter-k7m2q").unwrap();
            let (incident, partition) = (&incident, &Partition::standard());
            let case = Case {
                incident,
                partition,
                policy: &policy,
                target: &target,
                is_granted: false,
                made: None,
                is_told_by_aws: false,
            };
            let planned = HostileAddress.plan(&facts, &case).map(|plan| plan.steps.len());
            assert_eq!(
                planned.map_err(|o| o.reasons[0].code.to_string()),
                expected.map_err(str::to_owned),
                "{address}"
            );
        }
    }
}
