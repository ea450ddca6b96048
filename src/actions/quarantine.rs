//! The empty group of each VPC. Not an action of its own: setting an interface's groups to `Quarantine` needs it.
//!
//! Groups are found by name and trusted only if the registry holds their id: an attacker can make a group of any name, with
//! rules in it. Ours is proven empty each time it is used, and emptied if it is not.

use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, GroupId, Region, Text, VpcId},
    journal::JournalError,
};
use aws_sdk_ec2::types::{Filter, IpPermission, ResourceType, SecurityGroup, SecurityGroupRule, Tag, TagSpecification};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;

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

/// Ours by registry; `empty` as just read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineGroup {
    pub id: GroupId,
    pub empty: bool,
}

type Groups = HashMap<VpcId, QuarantineGroup>;

/// One look-up a region and round, shared by all who ask in it.
#[derive(Debug, Default)]
pub struct QuarantineCache {
    known: Mutex<HashMap<Region, Arc<OnceCell<Groups>>>>,
    making: tokio::sync::Mutex<()>,
}

impl QuarantineCache {
    /// Before each round of reads: what was proven empty then says nothing about now.
    pub fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Aws {
    /// Our groups in that region, each with whether it is empty.
    pub async fn quarantine_groups(&self, account: &AccountId, region: &Region) -> Result<Groups, AwsError> {
        let cell = {
            let mut known = self.quarantine.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(region.clone()).or_default().clone()
        };
        cell.get_or_try_init(|| self.look_up(account, region)).await.cloned()
    }

    async fn look_up(&self, account: &AccountId, region: &Region) -> Result<Groups, AwsError> {
        let (registered, found) = futures::join!(self.registry.groups(account, region), self.groups_by_name(region));
        let registered = registered.map_err(unregistered)?;
        let mut ours = Groups::new();
        for group in found? {
            let (Some(vpc), Some(id)) = (group.vpc_id(), group.group_id()) else { continue };
            let (Ok(vpc), Ok(id)) = (VpcId::parse(vpc), GroupId::parse(id)) else { continue };
            if registered.get(&vpc) == Some(&id) {
                ours.insert(vpc, QuarantineGroup { id, empty: is_empty(&group) });
            }
        }
        Ok(ours)
    }

    async fn groups_by_name(&self, region: &Region) -> Result<Vec<SecurityGroup>, AwsError> {
        let filter = Filter::builder().name("group-name").values(format!("{NAME}*")).build();
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
        let known = self.quarantine_groups(account, region).await?;
        let id = match known.get(vpc) {
            Some(group) if group.empty => return Ok(group.id.clone()),
            Some(group) => group.id.clone(),
            None => self.create(region, vpc).await?,
        };
        self.empty(region, &id).await?;
        self.registry.enter(account, region, vpc, &id).await.map_err(unregistered)?;
        // Proven by a look of its own, which those who wait for the lock share.
        self.quarantine.forget();
        match self.quarantine_groups(account, region).await?.get(vpc) {
            Some(group) if group.empty && group.id == id => Ok(id),
            _ => Err(AwsError::Conflict {
                operation: "ec2:DescribeSecurityGroups",
                message: Text::new("the quarantine group is not empty after it was emptied"),
            }),
        }
    }

    async fn create(&self, region: &Region, vpc: &VpcId) -> Result<GroupId, AwsError> {
        const OPERATION: &str = "ec2:CreateSecurityGroup";
        // A stranger may hold the plain name; then ours is one that he cannot have known.
        for name in [NAME.to_owned(), format!("{NAME}-{}", nonce())] {
            let tag = Tag::builder().key("cordon:quarantine").value("group").build();
            let tags = TagSpecification::builder().resource_type(ResourceType::SecurityGroup).tags(tag).build();
            let made = self
                .ec2(region)
                .create_security_group()
                .group_name(name)
                .description(DESCRIPTION)
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
            message: Text::new("every name for the quarantine group is taken"),
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

fn is_egress(rule: &SecurityGroupRule) -> bool {
    rule.is_egress() == Some(true)
}

/// Not secret, only unforeseen: nobody can have taken the name of this nanosecond.
fn nonce() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", since.as_nanos())
}
