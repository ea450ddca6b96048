//! Facts of a security group: which of its rules let the world in, now.

use super::SurveyError;
use crate::{
    actions::{GroupRule, LetsIn, rules_of},
    aws::{Aws, AwsError, classify},
    domain::{AccountId, GroupId, GroupRuleId, Region},
    policy::Tags,
};

pub const READS: &[&str] = &["ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups"];

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub account: AccountId,
    pub region: Region,
    pub id: GroupId,
    pub tags: Tags,
    /// Those that let in a network, each by itself.
    pub rules: Vec<GroupRule>,
    /// It is Cordon's own passage, which is open on purpose and in which nothing stays.
    pub is_passage: bool,
}

impl Group {
    /// One round.
    pub async fn read(aws: &Aws, account: &AccountId, region: &Region, id: &GroupId) -> Result<Self, SurveyError> {
        let (found, rules, ours) = futures::join!(
            aws.ec2(region).describe_security_groups().group_ids(id.as_str()).send(),
            rules_of(aws, region, id),
            aws.own_groups(account, region),
        );
        let found = match found.map_err(classify("ec2:DescribeSecurityGroups")) {
            Ok(answer) => answer.security_groups().first().cloned(),
            Err(AwsError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let found = found.ok_or_else(|| SurveyError::Vanished(format!("security group {id} is not there")))?;
        if found.owner_id() != Some(account.as_str()) {
            // In a shared VPC one sees groups that one does not own.
            let owner = found.owner_id().and_then(|owner| AccountId::parse(owner).ok());
            let owner = owner.map_or_else(|| "another account".to_owned(), |owner| format!("account {owner}"));
            let why = format!("security group {id} belongs to {owner}: close it there");
            return Err(SurveyError::Refused("foreign-group", why));
        }
        let rule = |wire: &aws_sdk_ec2::types::SecurityGroupRule| {
            Some(GroupRule {
                account: account.clone(),
                region: region.clone(),
                group: id.clone(),
                id: GroupRuleId::parse(wire.security_group_rule_id()?).ok()?,
                lets_in: LetsIn::folded(wire)?,
                description: wire.description().filter(|text| !text.is_empty()).map(str::to_owned),
            })
        };
        let tags = found.tags().iter();
        let tags = tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
        let is_passage = ours?.values().any(|own| own.open_passage() == Some(id));
        let rules = rules?.iter().filter_map(rule).collect();
        Ok(Self {
            account: account.clone(),
            region: region.clone(),
            id: id.clone(),
            tags: tags.collect(),
            rules,
            is_passage,
        })
    }
}
