//! The empty group of each VPC. Not an action of its own: setting an interface's groups to `Quarantine` needs it.
//!
//! Groups are found by name and trusted only if the registry holds their id: an attacker can make a group of any name, with
//! rules in it. Ours is proven empty each time it is used, and emptied if it is not.

use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, GroupId, Region, Text, VpcId},
    journal::{JournalError, Purpose},
};
use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup, SecurityGroupRule, Tag, TagSpecification,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;

/// Name of every passage group.
const PASSAGE: &str = "cordon-passage";
const PASSAGE_DESCRIPTION: &str =
    "Cordon: lets everything through, on purpose, for the moment in which an interface passes it.";

/// Name of every quarantine group; where it is taken by a stranger's group, a suffix follows.
const NAME: &str = "cordon-quarantine";
const DESCRIPTION: &str = "Cordon: no rules, on purpose. Interfaces in it are contained.";

/// What making and emptying a group takes.
pub const PERMISSIONS: &[&str] = &[
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
];

/// Ours by registry; `sound` as just read: the quarantine is empty, the passage lets everything through, both ways, IPv4 and IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnGroup {
    pub id: GroupId,
    pub sound: bool,
}

/// Our groups of one VPC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnGroups {
    pub quarantine: Option<OwnGroup>,
    pub passage: Option<OwnGroup>,
}

impl OwnGroups {
    /// INVARIANT: a group of ours with a rule in it is no quarantine.
    pub fn empty_quarantine(&self) -> Option<&GroupId> {
        self.quarantine.as_ref().filter(|group| group.sound).map(|group| &group.id)
    }

    /// One that does not let everything through would cut nothing.
    pub fn open_passage(&self) -> Option<&GroupId> {
        self.passage.as_ref().filter(|group| group.sound).map(|group| &group.id)
    }
}

type Ours = HashMap<VpcId, OwnGroups>;

/// One look-up a region and round, shared by all who ask in it.
#[derive(Debug, Default)]
pub struct QuarantineCache {
    known: Mutex<HashMap<Region, Arc<OnceCell<Ours>>>>,
    making: tokio::sync::Mutex<()>,
}

impl QuarantineCache {
    /// Before each round of reads: what was proven empty then says nothing about now.
    pub fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Aws {
    /// Our groups in that region, by VPC. Those through which an interface may pass are made by `cordon prepare` alone: the function cannot
    /// open anything.
    pub async fn own_groups(&self, account: &AccountId, region: &Region) -> Result<Ours, AwsError> {
        let cell = {
            let mut known = self.quarantine.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(region.clone()).or_default().clone()
        };
        cell.get_or_try_init(|| self.look_up(account, region)).await.cloned()
    }

    async fn look_up(&self, account: &AccountId, region: &Region) -> Result<Ours, AwsError> {
        let (registered, found) = futures::join!(self.registry.groups(account, region), self.groups_by_name(region));
        let registered = registered.map_err(unregistered)?;
        let mut ours = Ours::new();
        for group in found? {
            let (Some(vpc), Some(id)) = (group.vpc_id(), group.group_id()) else { continue };
            let (Ok(vpc), Ok(id)) = (VpcId::parse(vpc), GroupId::parse(id)) else { continue };
            let is = |purpose| registered.get(&(vpc.clone(), purpose)) == Some(&id);
            if is(Purpose::Quarantine) {
                ours.entry(vpc).or_default().quarantine = Some(OwnGroup { id, sound: is_empty(&group) });
            } else if is(Purpose::Passage) {
                ours.entry(vpc).or_default().passage = Some(OwnGroup { id, sound: lets_all_through(&group) });
            }
        }
        Ok(ours)
    }

    async fn groups_by_name(&self, region: &Region) -> Result<Vec<SecurityGroup>, AwsError> {
        let filter =
            Filter::builder().name("group-name").values(format!("{NAME}*")).values(format!("{PASSAGE}*")).build();
        let mut pages = self.ec2(region).describe_security_groups().filters(filter).into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(group) = pages.try_next().await.map_err(classify("ec2:DescribeSecurityGroups"))? {
            found.push(group);
        }
        Ok(found)
    }

    /// The id of the VPC's group, made or emptied first where needed. Costs no call where the survey has proven it empty.
    pub async fn ensure_quarantine(
        &self,
        account: &AccountId,
        region: &Region,
        vpc: &VpcId,
    ) -> Result<GroupId, AwsError> {
        let _one_at_a_time = self.quarantine.making.lock().await;
        let mut known = self.own_groups(account, region).await?;
        let id = match known.remove(vpc).and_then(|ours| ours.quarantine) {
            Some(group) if group.sound => return Ok(group.id),
            Some(group) => group.id,
            None => self.create(region, vpc, NAME, DESCRIPTION).await?,
        };
        self.empty(region, &id).await?;
        self.registry.enter(account, region, vpc, Purpose::Quarantine, &id).await.map_err(unregistered)?;
        // Proven by a look of its own, which those who wait for the lock share.
        self.quarantine.forget();
        match self.own_groups(account, region).await?.get(vpc).and_then(OwnGroups::empty_quarantine) {
            Some(empty) if *empty == id => Ok(id),
            _ => Err(AwsError::Conflict {
                operation: "ec2:DescribeSecurityGroups",
                message: Text::new("the quarantine group is not empty after it was emptied"),
            }),
        }
    }

    async fn create(&self, region: &Region, vpc: &VpcId, name: &str, description: &str) -> Result<GroupId, AwsError> {
        const OPERATION: &str = "ec2:CreateSecurityGroup";
        // A stranger may hold the plain name; then ours is one that he cannot have known.
        for group in [name.to_owned(), format!("{name}-{}", nonce())] {
            let tag = Tag::builder().key("cordon:group").value(name).build();
            let tags = TagSpecification::builder().resource_type(ResourceType::SecurityGroup).tags(tag).build();
            let made = self
                .ec2(region)
                .create_security_group()
                .group_name(group)
                .description(description)
                .vpc_id(vpc.as_str())
                .tag_specifications(tags)
                .send()
                .await
                .map_err(classify(OPERATION));
            match made {
                Ok(made) => {
                    let id = made.group_id().and_then(|id| GroupId::parse(id).ok());
                    return id.ok_or_else(|| AwsError::incomplete(OPERATION, "no group id"));
                }
                Err(AwsError::Rejected { code, .. }) if code == "InvalidGroup.Duplicate" => {}
                Err(error) => return Err(error),
            }
        }
        Err(AwsError::Conflict {
            operation: OPERATION,
            message: Text::new(&format!("every name for the group {name} is taken")),
        })
    }

    /// The passage group of the VPC, made or opened where needed. For the operator's credentials: the function may open nothing.
    pub async fn ensure_passage(&self, account: &AccountId, region: &Region, vpc: &VpcId) -> Result<GroupId, AwsError> {
        if let Some(id) = self.own_groups(account, region).await?.get(vpc).and_then(OwnGroups::open_passage) {
            return Ok(id.clone());
        }
        let registered = self.registry.groups(account, region).await.map_err(unregistered)?;
        let id = match registered.get(&(vpc.clone(), Purpose::Passage)) {
            Some(id) => id.clone(),
            None => self.create(region, vpc, PASSAGE, PASSAGE_DESCRIPTION).await?,
        };
        self.registry.enter(account, region, vpc, Purpose::Passage, &id).await.map_err(unregistered)?;
        let (ec2, group) = (self.ec2(region), id.as_str());
        let into = ec2.authorize_security_group_ingress().group_id(group).ip_permissions(everything());
        already_there(into.send().await.map(drop).map_err(classify("ec2:AuthorizeSecurityGroupIngress")))?;
        // A new group lets IPv4 out already; what is there is refused as a whole, so IPv6 goes by itself.
        for permission in [everything_v4(), everything_v6()] {
            let out = ec2.authorize_security_group_egress().group_id(group).ip_permissions(permission);
            already_there(out.send().await.map(drop).map_err(classify("ec2:AuthorizeSecurityGroupEgress")))?;
        }
        self.quarantine.forget();
        let ours = self.own_groups(account, region).await?;
        let opened = ours.get(vpc).and_then(OwnGroups::open_passage).cloned();
        opened.ok_or_else(|| AwsError::Conflict {
            operation: "ec2:DescribeSecurityGroups",
            message: Text::new("the passage group does not let everything through after it was opened"),
        })
    }

    /// Removes every rule by its id: by value, IPv6's default rule would be missed or its absence rejected.
    async fn empty(&self, region: &Region, group: &GroupId) -> Result<(), AwsError> {
        let ec2 = self.ec2(region);
        let filter = Filter::builder().name("group-id").values(group.as_str()).build();
        let mut pages = ec2.describe_security_group_rules().filters(filter).into_paginator().items().send();
        let (mut egress, mut ingress) = (Vec::new(), Vec::new());
        while let Some(rule) = pages.try_next().await.map_err(classify("ec2:DescribeSecurityGroupRules"))? {
            if let Some(id) = rule.security_group_rule_id() {
                if is_egress(&rule) { egress.push(id.to_owned()) } else { ingress.push(id.to_owned()) }
            }
        }
        let out = async {
            if egress.is_empty() {
                return Ok(());
            }
            let call =
                ec2.revoke_security_group_egress().group_id(group.as_str()).set_security_group_rule_ids(Some(egress));
            gone_is_gone(call.send().await.map(drop).map_err(classify("ec2:RevokeSecurityGroupEgress")))
        };
        let into = async {
            if ingress.is_empty() {
                return Ok(());
            }
            let call =
                ec2.revoke_security_group_ingress().group_id(group.as_str()).set_security_group_rule_ids(Some(ingress));
            gone_is_gone(call.send().await.map(drop).map_err(classify("ec2:RevokeSecurityGroupIngress")))
        };
        let (out, into) = futures::join!(out, into);
        out.and(into)
    }
}

fn unregistered(error: JournalError) -> AwsError {
    match error {
        JournalError::Aws(error) => error,
        other => AwsError::Rejected {
            operation: "registry of quarantine groups",
            code: "Unreadable".into(),
            message: Text::new(&other.to_string()),
        },
    }
}

/// A revocation whose answer was lost is repeated and finds no rule; whether the group is empty is for a look to say.
fn gone_is_gone(result: Result<(), AwsError>) -> Result<(), AwsError> {
    match result {
        Err(AwsError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

fn is_empty(group: &SecurityGroup) -> bool {
    let none = |rules: &[IpPermission]| rules.is_empty();
    none(group.ip_permissions()) && none(group.ip_permissions_egress())
}

fn lets_all_through(group: &SecurityGroup) -> bool {
    let all = |rules: &[IpPermission]| {
        let any = |rule: &&IpPermission| rule.ip_protocol() == Some("-1");
        let v4 = rules.iter().filter(any).flat_map(|r| r.ip_ranges()).any(|range| range.cidr_ip() == Some("0.0.0.0/0"));
        let v6 = rules.iter().filter(any).flat_map(|r| r.ipv6_ranges()).any(|range| range.cidr_ipv6() == Some("::/0"));
        v4 && v6
    };
    all(group.ip_permissions()) && all(group.ip_permissions_egress())
}

fn everything_v4() -> IpPermission {
    IpPermission::builder().ip_protocol("-1").ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build()).build()
}

fn everything_v6() -> IpPermission {
    IpPermission::builder().ip_protocol("-1").ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build()).build()
}

fn everything() -> IpPermission {
    let all = IpPermission::builder().ip_protocol("-1").ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build());
    all.ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build()).build()
}

fn already_there(result: Result<(), AwsError>) -> Result<(), AwsError> {
    match result {
        Err(AwsError::Rejected { code, .. }) if code == "InvalidPermission.Duplicate" => Ok(()),
        other => other,
    }
}

fn is_egress(rule: &SecurityGroupRule) -> bool {
    rule.is_egress() == Some(true)
}

/// Not secret, only unforeseen: nobody can have taken the name of this nanosecond.
fn nonce() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", since.as_nanos())
}
