//! Facts of an address that attacks: the lists that the policy allows Cordon to put it on, and whether it is one that must stay in.

use super::{SurveyError, Unread};
use crate::{
    actions::{AclEntry, AclState, Action, IpSetAddress, OWN_NUMBERS, denies},
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, NetworkAclId, Region, SubnetId},
};
use aws_sdk_ec2::types::{Filter, NetworkAcl};
use futures::future::join_all;
use std::net::IpAddr;

pub const READS: &[&str] = &["ec2:DescribeAddresses", "ec2:DescribeNetworkAcls", "wafv2:GetIPSet"];

/// Where the address would go, and what is there now; or why it cannot go there.
pub type Place<A> = Result<(A, <A as Action>::State), Unread>;

#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    pub account: AccountId,
    pub address: IpAddr,
    /// One of the account's own elastic addresses.
    pub is_own: bool,
    /// Of each list of the subnets that the policy names: the entry to be, or why there is none.
    pub entries: Result<Vec<Place<AclEntry>>, AwsError>,
    pub members: Vec<Place<IpSetAddress>>,
    /// Other addresses that are held now.
    pub others: usize,
}

impl Address {
    /// One round.
    pub async fn read(
        aws: &Aws,
        account: &AccountId,
        region: &Region,
        address: IpAddr,
        subnets: &[SubnetId],
        sets: &[Arn],
    ) -> Result<Self, SurveyError> {
        let ec2 = aws.ec2(region);
        let of_subnets = subnets.iter().map(|subnet| subnet.as_str().to_owned()).collect();
        let of_subnets = Filter::builder().name("association.subnet-id").set_values(Some(of_subnets)).build();
        let lists = async {
            match subnets {
                [] => Ok(Vec::new()),
                _ => {
                    let pages = ec2.describe_network_acls().filters(of_subnets).into_paginator().items().send();
                    pages.collect::<Result<Vec<_>, _>>().await.map_err(classify("ec2:DescribeNetworkAcls"))
                }
            }
        };
        let targets = sets.iter().map(|set| IpSetAddress {
            account: account.clone(),
            region: region.clone(),
            set: set.clone(),
            address,
        });
        let (lists, own, members) =
            futures::join!(lists, ec2.describe_addresses().send(), join_all(targets.map(|target| member(aws, target))));
        let own = own.map_err(classify("ec2:DescribeAddresses"))?;
        let is_own =
            own.addresses().iter().filter_map(|own| own.public_ip()?.parse::<IpAddr>().ok()).any(|own| own == address);
        let entry = |list: &NetworkAcl| entry(account, region, address, list);
        Ok(Self {
            account: account.clone(),
            address,
            is_own,
            entries: lists.map(|lists| lists.iter().filter_map(entry).collect()),
            members,
            others: 0,
        })
    }
}

/// The number that has it, or the first that nobody has.
fn entry(account: &AccountId, region: &Region, address: IpAddr, list: &NetworkAcl) -> Option<Place<AclEntry>> {
    let acl = NetworkAclId::parse(list.network_acl_id()?).ok()?;
    let coming_in = || list.entries().iter().filter(|entry| entry.egress() != Some(true));
    let there = coming_in().find(|entry| denies(entry) == Some(address)).and_then(|entry| entry.rule_number());
    let is_free = |number: &i32| !coming_in().any(|entry| entry.rule_number() == Some(*number));
    let number = there.or_else(|| (1..=OWN_NUMBERS).find(is_free));
    let state = if there.is_some() { AclState::Denied } else { AclState::Absent };
    let target =
        |number| AclEntry { account: account.clone(), region: region.clone(), acl: acl.clone(), number, address };
    Some(match number {
        Some(number) => Ok((target(number), state)),
        None => Err(Unread::for_good(format!("list {acl} has no number from 1 to {OWN_NUMBERS} left"))),
    })
}

async fn member(aws: &Aws, target: IpSetAddress) -> Place<IpSetAddress> {
    match target.get(aws).await {
        Ok(set) if !target.fits(&set) => {
            Err(Unread::for_good(format!("set {} takes addresses of the other version only", target.set)))
        }
        Ok(set) => {
            let member = target.member(&set);
            Ok((target, member))
        }
        Err(error) => Err(Unread { why: format!("set {}: {error}", target.set), is_passing: error.is_passing() }),
    }
}
