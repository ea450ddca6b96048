//! One entry of a network ACL that keeps one address out.
//!
//! # What it does
//! Denies the address, all protocols and ports, coming in, ahead of the rules that allow. Of one list at most five entries are Cordon's.
//! # Undo
//! Takes the entry out.
//! # Limits
//! It holds for whole subnets, and for that address alone: who attacks has others. A network ACL knows no state, so what comes back from
//! that address to calls from inside is lost too.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, NetworkAclId, Region, Text},
};
use aws_sdk_ec2::types::{NetworkAclEntry, RuleAction};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AclEntry {
    pub account: AccountId,
    pub region: Region,
    pub acl: NetworkAclId,
    /// 1 to [`OWN_NUMBERS`]: before those that people give.
    pub number: i32,
    pub address: IpAddr,
}

/// Numbers of a list that are Cordon's, if nobody else has them.
pub const OWN_NUMBERS: i32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AclState {
    Absent,
    Denied,
    /// The number is somebody else's.
    Other,
}

impl Action for AclEntry {
    const NAME: &'static str = "ec2.network-acl.entry";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeNetworkAcls"],
        contains: &["ec2:CreateNetworkAclEntry"],
        releases: &["ec2:DeleteNetworkAclEntry"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SHARED: bool = true;
    const SET_BY: &'static [&'static str] =
        &["CreateNetworkAclEntry", "DeleteNetworkAclEntry", "ReplaceNetworkAclEntry"];
    type State = AclState;

    fn identity(&self) -> String {
        format!("{}/{}/{} {}", self.account, self.region, self.acl, self.address)
    }

    fn resource(&self) -> &str {
        self.acl.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec![self.cidr()]
    }

    fn command(&self, to: &AclState) -> Option<String> {
        let Self { region, acl, number, .. } = self;
        (*to == AclState::Absent).then(|| {
            format!("aws ec2 delete-network-acl-entry --region {region} --network-acl-id {acl} --ingress --rule-number {number}")
        })
    }

    fn calls(&self, to: &AclState) -> Vec<Called> {
        match to {
            AclState::Denied => vec![("CreateNetworkAclEntry", vec!["deny".to_owned()])],
            AclState::Absent => vec![("DeleteNetworkAclEntry", vec![self.number.to_string()])],
            AclState::Other => Vec::new(),
        }
    }

    async fn read(&self, aws: &Aws) -> Result<AclState, AwsError> {
        let entries = entries(aws, &self.region, &self.acl).await?;
        Ok(entries.iter().find(|entry| entry.rule_number() == Some(self.number)).map_or(AclState::Absent, |entry| {
            if denies(entry) == Some(self.address) { AclState::Denied } else { AclState::Other }
        }))
    }

    async fn apply(&self, aws: &Aws, to: &AclState) -> Result<(), AwsError> {
        let ec2 = aws.ec2(&self.region);
        match to {
            AclState::Denied => {
                const OPERATION: &str = "ec2:CreateNetworkAclEntry";
                let call = ec2.create_network_acl_entry().network_acl_id(self.acl.as_str()).egress(false);
                let call = call.rule_number(self.number).protocol("-1").rule_action(RuleAction::Deny);
                let call = match self.address {
                    IpAddr::V4(_) => call.cidr_block(self.cidr()),
                    IpAddr::V6(_) => call.ipv6_cidr_block(self.cidr()),
                };
                match call.send().await.map(drop).map_err(classify(OPERATION)) {
                    // Whose it is, reading says.
                    Err(AwsError::Rejected { code, .. }) if code == "NetworkAclEntryAlreadyExists" => Ok(()),
                    other => other,
                }
            }
            AclState::Absent => {
                const OPERATION: &str = "ec2:DeleteNetworkAclEntry";
                let call = ec2.delete_network_acl_entry().network_acl_id(self.acl.as_str()).egress(false);
                match call.rule_number(self.number).send().await.map(drop).map_err(classify(OPERATION)) {
                    Err(AwsError::NotFound { .. }) => Ok(()),
                    other => other,
                }
            }
            AclState::Other => Err(AwsError::incomplete("ec2:CreateNetworkAclEntry", "the number is somebody else's")),
        }
    }
}

impl AclEntry {
    fn cidr(&self) -> String {
        let length = if self.address.is_ipv4() { 32 } else { 128 };
        format!("{}/{length}", self.address)
    }
}

/// What comes in, in no order.
pub async fn entries(aws: &Aws, region: &Region, acl: &NetworkAclId) -> Result<Vec<NetworkAclEntry>, AwsError> {
    const OPERATION: &str = "ec2:DescribeNetworkAcls";
    let answer = aws.ec2(region).describe_network_acls().network_acl_ids(acl.as_str()).send().await;
    let answer = answer.map_err(classify(OPERATION))?;
    let found = answer
        .network_acls()
        .first()
        .ok_or_else(|| AwsError::NotFound { operation: OPERATION, message: Text::new("there is no such list") })?;
    Ok(found.entries().iter().filter(|entry| entry.egress() != Some(true)).cloned().collect())
}

/// The one address that the entry keeps out.
pub fn denies(entry: &NetworkAclEntry) -> Option<IpAddr> {
    let cidr = entry.cidr_block().or(entry.ipv6_cidr_block())?;
    let (address, length) = cidr.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let is_one = length == if address.is_ipv4() { "32" } else { "128" };
    (is_one && entry.rule_action() == Some(&RuleAction::Deny) && entry.protocol() == Some("-1")).then_some(address)
}

impl fmt::Display for AclEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} entry {} for {}", self.account, self.region, self.acl, self.number, self.address)
    }
}

impl fmt::Display for AclState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Denied => "denied",
            Self::Other => "somebody else's",
        })
    }
}
