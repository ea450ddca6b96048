//! One address in an IP set of AWS WAF.
//!
//! # What it does
//! Adds the address to the set; what the set means, its web ACLs say. The other addresses stay. At most five of a set are Cordon's.
//! # Undo
//! Takes the address out of the set.
//! # Limits
//! Only requests that pass a web ACL with a rule for the set are blocked. Only sets of a region, not those of CloudFront.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, Region},
};
use aws_sdk_wafv2::{
    operation::get_ip_set::GetIpSetOutput,
    types::{IpAddressVersion, Scope},
};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IpSetAddress {
    pub account: AccountId,
    pub region: Region,
    /// `arn:…:regional/ipset/NAME/ID`.
    pub set: Arn,
    pub address: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    Absent,
    Present,
}

impl Action for IpSetAddress {
    const NAME: &'static str = "wafv2.ip-set.address";
    const PERMISSIONS: Permissions =
        Permissions { reads: &["wafv2:GetIPSet"], contains: &["wafv2:UpdateIPSet"], releases: &["wafv2:UpdateIPSet"] };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SHARED: bool = true;
    const SET_BY: &'static [&'static str] = &["UpdateIPSet"];
    type State = Member;

    fn resource(&self) -> &str {
        self.parts().map_or("", |(_, id)| id)
    }

    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    /// The whole set would have to stand on the line.
    fn command(&self, _to: &Member) -> Option<String> {
        None
    }

    fn calls(&self, _to: &Member) -> Vec<Called> {
        vec![("UpdateIPSet", Vec::new())]
    }

    async fn read(&self, aws: &Aws) -> Result<Member, AwsError> {
        let set = self.get(aws).await?;
        Ok(self.member(&set))
    }

    async fn apply(&self, aws: &Aws, to: &Member) -> Result<(), AwsError> {
        const OPERATION: &str = "wafv2:UpdateIPSet";
        let found = self.get(aws).await?;
        let lacks = |what| AwsError::incomplete("wafv2:GetIPSet", what);
        let (name, id) = self.parts().ok_or_else(|| lacks("no set"))?;
        let set = found.ip_set().ok_or_else(|| lacks("no set"))?;
        let mut addresses: Vec<String> = set.addresses().to_vec();
        addresses.retain(|address| parse(address) != Some(self.address));
        if *to == Member::Present {
            addresses.push(self.cidr());
        }
        // Left out, the description would be lost.
        let call = aws.wafv2(&self.region).update_ip_set().name(name).id(id).scope(Scope::Regional);
        let call = call.set_description(set.description().map(str::to_owned)).set_addresses(Some(addresses));
        let answer = call.lock_token(found.lock_token().unwrap_or_default()).send().await;
        answer.map(drop).map_err(classify(OPERATION))
    }
}

impl IpSetAddress {
    /// The set, as the ARN names it.
    pub async fn get(&self, aws: &Aws) -> Result<GetIpSetOutput, AwsError> {
        const OPERATION: &str = "wafv2:GetIPSet";
        let (name, id) = self.parts().ok_or_else(|| AwsError::incomplete(OPERATION, "no ARN of a regional set"))?;
        let call = aws.wafv2(&self.region).get_ip_set().name(name).id(id).scope(Scope::Regional);
        call.send().await.map_err(classify(OPERATION))
    }

    fn parts(&self) -> Option<(&str, &str)> {
        self.set.resource().strip_prefix("regional/ipset/")?.split_once('/')
    }

    pub fn member(&self, set: &GetIpSetOutput) -> Member {
        let addresses = set.ip_set().map(|set| set.addresses()).unwrap_or_default();
        match addresses.iter().any(|address| parse(address) == Some(self.address)) {
            true => Member::Present,
            false => Member::Absent,
        }
    }

    /// Whether the set takes addresses of this kind.
    pub fn fits(&self, set: &GetIpSetOutput) -> bool {
        let version = set.ip_set().map(|set| set.ip_address_version().clone());
        version == Some(if self.address.is_ipv4() { IpAddressVersion::Ipv4 } else { IpAddressVersion::Ipv6 })
    }

    fn cidr(&self) -> String {
        let length = if self.address.is_ipv4() { 32 } else { 128 };
        format!("{}/{length}", self.address)
    }
}

/// The one address of an entry; wider ones are people's.
fn parse(entry: &str) -> Option<IpAddr> {
    let (address, length) = entry.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    (length == if address.is_ipv4() { "32" } else { "128" }).then_some(address)
}

impl fmt::Display for IpSetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.set, self.address)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Present => "present",
        })
    }
}
