//! The tag that names the incident on a contained instance.
//!
//! # What it does
//! Writes `cordon:incident` so that people and inventories see why the instance is silent. Nothing is ever decided by it.
//! # Undo
//! Puts back the value that was there, or removes the tag.
//! # Limits
//! Anybody who may write tags can change it; a changed tag is reported as drift.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, InstanceId, Region},
};
use aws_sdk_ec2::types::Tag;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceTag {
    pub account: AccountId,
    pub region: Region,
    pub instance: InstanceId,
}

/// The tag's value; `None` where there is no tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagValue(pub Option<String>);

impl InstanceTag {
    pub const KEY: &'static str = "cordon:incident";
}

impl Action for InstanceTag {
    const NAME: &'static str = "ec2.instance.tag";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeInstances"],
        contains: &["ec2:CreateTags"],
        releases: &["ec2:CreateTags", "ec2:DeleteTags"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 9;
    const SET_BY: &'static [&'static str] = &["CreateTags", "DeleteTags"];
    type State = TagValue;

    fn resource(&self) -> &str {
        self.instance.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec![Self::KEY.to_owned()]
    }

    fn command(&self, to: &TagValue) -> Option<String> {
        let (region, instance, key) = (&self.region, &self.instance, Self::KEY);
        match &to.0 {
            // Whatever stood there before is a stranger's text: it goes on nobody's command line.
            Some(_) => None,
            None => Some(format!("aws ec2 delete-tags --region {region} --resources {instance} --tags Key={key}")),
        }
    }

    fn calls(&self, to: &TagValue) -> Vec<Called> {
        match &to.0 {
            None => vec![("DeleteTags", Vec::new())],
            Some(value) => vec![("CreateTags", vec![value.clone()])],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<TagValue, AwsError> {
        const OPERATION: &str = "ec2:DescribeInstances";
        let answer = aws.ec2(&self.region).describe_instances().instance_ids(self.instance.as_str()).send().await;
        let answer = answer.map_err(classify(OPERATION))?;
        let instance = answer.reservations().iter().flat_map(|r| r.instances()).next();
        instance.map(|i| TagValue::folded(i.tags())).ok_or_else(|| AwsError::incomplete(OPERATION, "no instance"))
    }

    async fn apply(&self, aws: &Aws, to: &TagValue) -> Result<(), AwsError> {
        let ec2 = aws.ec2(&self.region);
        let tag = Tag::builder().key(Self::KEY);
        match &to.0 {
            Some(value) => {
                let call = ec2.create_tags().resources(self.instance.as_str()).tags(tag.value(value).build());
                call.send().await.map(drop).map_err(classify("ec2:CreateTags"))
            }
            None => {
                let call = ec2.delete_tags().resources(self.instance.as_str()).tags(tag.build());
                call.send().await.map(drop).map_err(classify("ec2:DeleteTags"))
            }
        }
    }
}

impl TagValue {
    pub fn folded(wire: &[Tag]) -> Self {
        let tag = wire.iter().find(|tag| tag.key() == Some(InstanceTag::KEY));
        Self(tag.map(|tag| tag.value().unwrap_or_default().to_owned()))
    }
}

impl fmt::Display for InstanceTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.instance)
    }
}

impl fmt::Display for TagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => write!(f, "`{}`", crate::domain::Text::new(value)),
            None => f.write_str("no tag"),
        }
    }
}
