//! One ingress rule of a security group.
//!
//! # What it does
//! Takes the rule out of the group, and no other: rules that refer to groups, prefix lists or narrower networks stay.
//! # Undo
//! Puts the rule back with its description; EC2 gives it another id.
//! # Limits
//! Connections that were let in by the rule and are tracked go on until they end. Tags of the rule do not come back.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, GroupId, GroupRuleId, Region, Text},
};
use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, Ipv6Range, SecurityGroupRule};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupRule {
    pub account: AccountId,
    pub region: Region,
    pub group: GroupId,
    /// As it is called now: put back, the same rule has another id.
    pub id: GroupRuleId,
    pub lets_in: LetsIn,
    /// A stranger's text; nobody decides by it.
    pub description: Option<String>,
}

/// Whom a rule lets in, and where: what makes it the same rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetsIn {
    /// `tcp`, `udp`, `icmp`, `-1`, or a number.
    pub protocol: String,
    pub from: Option<i32>,
    pub to: Option<i32>,
    /// A network, as EC2 writes it; rules that refer to something else are none of ours.
    pub cidr: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleState {
    InForce,
    Removed,
}

impl Action for GroupRule {
    const NAME: &'static str = "ec2.security-group.rule";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeSecurityGroupRules"],
        contains: &["ec2:RevokeSecurityGroupIngress"],
        releases: &["ec2:AuthorizeSecurityGroupIngress"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SET_BY: &'static [&'static str] =
        &["AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules", "RevokeSecurityGroupIngress"];
    type State = RuleState;

    fn identity(&self) -> String {
        format!("{}/{}/{} {}", self.account, self.region, self.group, self.lets_in)
    }

    fn resource(&self) -> &str {
        self.group.as_str()
    }

    fn command(&self, to: &RuleState) -> Option<String> {
        let Self { region, group, lets_in: LetsIn { protocol, from, to: until, cidr }, .. } = self;
        let verb = match to {
            RuleState::InForce => "authorize",
            RuleState::Removed => "revoke",
        };
        let ports = match (from, until) {
            (Some(from), Some(until)) => format!(",FromPort={from},ToPort={until}"),
            _ => String::new(),
        };
        let range = match cidr.contains(':') {
            true => format!("Ipv6Ranges=[{{CidrIpv6={cidr}}}]"),
            false => format!("IpRanges=[{{CidrIp={cidr}}}]"),
        };
        Some(format!(
            "aws ec2 {verb}-security-group-ingress --region {region} --group-id {group} --ip-permissions 'IpProtocol={protocol}{ports},{range}'"
        ))
    }

    fn calls(&self, to: &RuleState) -> Vec<Called> {
        match to {
            // By its id, or by that of the same rule which somebody made again.
            RuleState::Removed => vec![("RevokeSecurityGroupIngress", Vec::new())],
            RuleState::InForce => vec![("AuthorizeSecurityGroupIngress", vec![self.lets_in.cidr.clone()])],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<RuleState, AwsError> {
        Ok(if self.live(aws).await?.is_empty() { RuleState::Removed } else { RuleState::InForce })
    }

    async fn apply(&self, aws: &Aws, to: &RuleState) -> Result<(), AwsError> {
        match to {
            RuleState::Removed => match self.revoke(aws, vec![self.id.to_string()]).await {
                // Somebody took it out, or made it again under another id.
                Err(AwsError::NotFound { .. }) => match self.live(aws).await? {
                    again if again.is_empty() => Ok(()),
                    again => self.revoke(aws, again).await,
                },
                other => other,
            },
            RuleState::InForce => self.authorize(aws).await,
        }
    }
}

impl GroupRule {
    /// The ids of the same rule.
    async fn live(&self, aws: &Aws) -> Result<Vec<String>, AwsError> {
        let rules = rules_of(aws, &self.region, &self.group).await?;
        let same = |rule: &&SecurityGroupRule| LetsIn::folded(rule).as_ref() == Some(&self.lets_in);
        Ok(rules.iter().filter(same).filter_map(|rule| rule.security_group_rule_id().map(str::to_owned)).collect())
    }

    async fn revoke(&self, aws: &Aws, ids: Vec<String>) -> Result<(), AwsError> {
        let call = aws.ec2(&self.region).revoke_security_group_ingress().group_id(self.group.as_str());
        let answer = call.set_security_group_rule_ids(Some(ids)).send().await;
        answer.map(drop).map_err(classify("ec2:RevokeSecurityGroupIngress"))
    }

    async fn authorize(&self, aws: &Aws) -> Result<(), AwsError> {
        const OPERATION: &str = "ec2:AuthorizeSecurityGroupIngress";
        let LetsIn { protocol, from, to, cidr } = &self.lets_in;
        let permission = IpPermission::builder().ip_protocol(protocol).set_from_port(*from).set_to_port(*to);
        let described = self.description.clone();
        let permission = match cidr.contains(':') {
            true => permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).set_description(described).build()),
            false => permission.ip_ranges(IpRange::builder().cidr_ip(cidr).set_description(described).build()),
        };
        let call = aws.ec2(&self.region).authorize_security_group_ingress().group_id(self.group.as_str());
        match call.ip_permissions(permission.build()).send().await.map(drop).map_err(classify(OPERATION)) {
            Err(AwsError::Rejected { code, .. }) if code == "InvalidPermission.Duplicate" => Ok(()),
            other => other,
        }
    }
}

/// All rules of the group, in and out.
pub async fn rules_of(aws: &Aws, region: &Region, group: &GroupId) -> Result<Vec<SecurityGroupRule>, AwsError> {
    const OPERATION: &str = "ec2:DescribeSecurityGroupRules";
    let of_group = Filter::builder().name("group-id").values(group.as_str()).build();
    let pages = aws.ec2(region).describe_security_group_rules().filters(of_group).into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await.map_err(classify(OPERATION))
}

impl LetsIn {
    /// `None` of what goes out, and of what refers to a group or a prefix list.
    pub fn folded(rule: &SecurityGroupRule) -> Option<Self> {
        if rule.is_egress() == Some(true) {
            return None;
        }
        let cidr = rule.cidr_ipv4().or(rule.cidr_ipv6())?;
        let is_network = |text: &str| {
            text.bytes().all(|b| b.is_ascii_hexdigit() || b".:/".contains(&b)) && text.contains('/') && text.len() <= 50
        };
        let protocol = rule.ip_protocol().unwrap_or("-1");
        let is_protocol = protocol.len() <= 10 && protocol.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        // EC2 says -1 where a protocol has no ports.
        let port = |port: Option<i32>| port.filter(|_| protocol != "-1");
        (is_network(cidr) && is_protocol).then(|| Self {
            protocol: protocol.to_owned(),
            from: port(rule.from_port()),
            to: port(rule.to_port()),
            cidr: cidr.to_owned(),
        })
    }
}

impl fmt::Display for LetsIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == "-1" { "all" } else { self.protocol.as_str() };
        match (self.from, self.to) {
            (Some(from), Some(to)) if from != to => write!(f, "{protocol} {from}-{to} from {}", self.cidr),
            (Some(from), _) => write!(f, "{protocol} {from} from {}", self.cidr),
            (None, _) => write!(f, "{protocol} from {}", self.cidr),
        }
    }
}

impl fmt::Display for GroupRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} {}", self.account, self.region, self.group, self.lets_in)?;
        match &self.description {
            Some(text) if !text.is_empty() => write!(f, " (\"{}\")", Text::new(text)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for RuleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InForce => "in force",
            Self::Removed => "removed",
        })
    }
}
