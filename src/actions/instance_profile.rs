//! The instance profile that an instance has, and by it the role.
//!
//! # What it does
//! Takes the profile off, so that the instance gets no new credentials.
//! # Undo
//! Associates the same profile again, by its unique id: one that was made anew under its name is a stranger's. Takes `iam:PassRole`.
//! # Limits
//! Credentials that were issued go on for some hours, also outside: the session's deny ends them, not this. Without a profile SSM's agent and
//! log shippers stop, by which people would look at the instance. Offered, never done unasked.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, InstanceId, ProfileId, Region, Text},
};
use aws_sdk_ec2::types::{
    Filter, IamInstanceProfile, IamInstanceProfileAssociation, IamInstanceProfileAssociationState as Wire,
    IamInstanceProfileSpecification,
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceProfile {
    pub account: AccountId,
    pub region: Region,
    pub instance: InstanceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Association {
    Nothing,
    Profile { arn: Arn, id: ProfileId },
}

impl Action for InstanceProfile {
    const NAME: &'static str = "ec2.instance.profile";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeIamInstanceProfileAssociations"],
        contains: &["ec2:DisassociateIamInstanceProfile"],
        releases: &["ec2:AssociateIamInstanceProfile", "iam:GetInstanceProfile", "iam:PassRole"],
    };
    const RELEASE: Release = Release::Restores;
    /// Before the instance is started: what is on its way takes no profile.
    const UNDO_ORDER: u8 = 1;
    const SET_BY: &'static [&'static str] =
        &["AssociateIamInstanceProfile", "DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"];
    type State = Association;

    fn resource(&self) -> &str {
        self.instance.as_str()
    }

    fn command(&self, to: &Association) -> Option<String> {
        let Association::Profile { arn, .. } = to else { return None };
        Some(format!(
            "aws ec2 associate-iam-instance-profile --region {} --instance-id {} --iam-instance-profile Arn={arn}",
            self.region, self.instance
        ))
    }

    fn calls(&self, to: &Association) -> Vec<Called> {
        match to {
            Association::Nothing => vec![("DisassociateIamInstanceProfile", Vec::new())],
            Association::Profile { arn, .. } => vec![("AssociateIamInstanceProfile", vec![arn.to_string()])],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<Association, AwsError> {
        match self.association(aws).await? {
            None => Ok(Association::Nothing),
            Some(found) => Association::folded(found.iam_instance_profile())
                .ok_or_else(|| AwsError::incomplete("ec2:DescribeIamInstanceProfileAssociations", "odd ids")),
        }
    }

    async fn apply(&self, aws: &Aws, to: &Association) -> Result<(), AwsError> {
        let ec2 = aws.ec2(&self.region);
        match to {
            Association::Nothing => {
                let Some(found) = self.association(aws).await? else { return Ok(()) };
                let call =
                    ec2.disassociate_iam_instance_profile().association_id(found.association_id().unwrap_or_default());
                call.send().await.map(drop).map_err(classify("ec2:DisassociateIamInstanceProfile"))
            }
            Association::Profile { arn, id } => {
                same_profile(aws, arn, id).await?;
                let profile = IamInstanceProfileSpecification::builder().arn(arn.as_str()).build();
                let call = ec2.associate_iam_instance_profile().instance_id(self.instance.as_str());
                let call = call.iam_instance_profile(profile);
                call.send().await.map(drop).map_err(classify("ec2:AssociateIamInstanceProfile"))
            }
        }
    }
}

impl InstanceProfile {
    /// An instance has one at most that is not on its way out.
    async fn association(&self, aws: &Aws) -> Result<Option<IamInstanceProfileAssociation>, AwsError> {
        let of_it = Filter::builder().name("instance-id").values(self.instance.as_str()).build();
        let call = aws.ec2(&self.region).describe_iam_instance_profile_associations().filters(of_it);
        let answer = call.send().await.map_err(classify("ec2:DescribeIamInstanceProfileAssociations"))?;
        let is_there = |found: &&IamInstanceProfileAssociation| {
            matches!(found.state(), Some(Wire::Associated | Wire::Associating))
                && found.instance_id() == Some(self.instance.as_str())
        };
        Ok(answer.iam_instance_profile_associations().iter().find(is_there).cloned())
    }
}

async fn same_profile(aws: &Aws, arn: &Arn, id: &ProfileId) -> Result<(), AwsError> {
    const OPERATION: &str = "iam:GetInstanceProfile";
    let name = arn.profile_name().ok_or_else(|| AwsError::incomplete(OPERATION, "no profile's ARN"))?;
    let call = aws.iam().get_instance_profile().instance_profile_name(name.as_str());
    let found = call.send().await.map_err(classify(OPERATION))?;
    match found.instance_profile().is_some_and(|found| found.instance_profile_id() == id.as_str()) {
        true => Ok(()),
        false => {
            Err(AwsError::NotFound { operation: OPERATION, message: Text::new("another profile has this name now") })
        }
    }
}

impl Association {
    /// `None` where its ids are of another grammar.
    pub fn folded(wire: Option<&IamInstanceProfile>) -> Option<Self> {
        let Some(profile) = wire else { return Some(Self::Nothing) };
        Some(Self::Profile { arn: Arn::parse(profile.arn()?).ok()?, id: ProfileId::parse(profile.id()?).ok()? })
    }
}

impl fmt::Display for InstanceProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.instance)
    }
}

impl fmt::Display for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no profile"),
            Self::Profile { arn, id } => write!(f, "{arn} ({id})"),
        }
    }
}
