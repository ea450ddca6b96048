//! The public access block of one bucket.
//!
//! # What it does
//! Sets all four settings, so that no policy and no access list of the bucket lets anybody in who is not of the account. Policy and lists
//! themselves stay as they are. Every call says whose bucket it must be.
//! # Undo
//! Puts back the settings that were there, or takes the block away where there was none.
//! # Limits
//! Accounts that a policy names are let in as before, unless that policy is public as a whole. A bucket that was deleted and made again is another
//! one, and is not touched.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, BucketName, Region, Text, Timestamp},
};
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BucketAccess {
    pub account: AccountId,
    pub region: Region,
    pub bucket: BucketName,
    /// A bucket has no unique id, and its name may be another bucket's tomorrow.
    pub created: Timestamp,
}

/// The four settings, as S3 names them; all off is what a bucket without a block has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessBlock {
    None,
    Some { acls: bool, ignored: bool, policy: bool, restricted: bool },
}

impl AccessBlock {
    pub const WHOLE: Self = Self::Some { acls: true, ignored: true, policy: true, restricted: true };
}

impl Action for BucketAccess {
    const NAME: &'static str = "s3.bucket.public-access-block";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["s3:GetBucketPublicAccessBlock", "s3:ListAllMyBuckets"],
        contains: &["s3:PutBucketPublicAccessBlock"],
        releases: &["s3:PutBucketPublicAccessBlock"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SET_BY: &'static [&'static str] =
        &["PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock", "DeletePublicAccessBlock"];
    type State = AccessBlock;

    fn resource(&self) -> &str {
        self.bucket.as_str()
    }

    fn command(&self, to: &AccessBlock) -> Option<String> {
        let Self { account, bucket, .. } = self;
        Some(match to {
            AccessBlock::None => {
                format!("aws s3api delete-public-access-block --bucket {bucket} --expected-bucket-owner {account}")
            }
            AccessBlock::Some { acls, ignored, policy, restricted } => format!(
                "aws s3api put-public-access-block --bucket {bucket} --expected-bucket-owner {account} --public-access-block-configuration BlockPublicAcls={acls},IgnorePublicAcls={ignored},BlockPublicPolicy={policy},RestrictPublicBuckets={restricted}"
            ),
        })
    }

    fn calls(&self, to: &AccessBlock) -> Vec<Called> {
        match to {
            AccessBlock::None => {
                vec![("DeleteBucketPublicAccessBlock", Vec::new()), ("DeletePublicAccessBlock", Vec::new())]
            }
            AccessBlock::Some { .. } => vec![("PutBucketPublicAccessBlock", Vec::new())],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<AccessBlock, AwsError> {
        let (same, block) = futures::join!(self.is_same(aws), access_block(aws, self));
        same?;
        block
    }

    async fn apply(&self, aws: &Aws, to: &AccessBlock) -> Result<(), AwsError> {
        let s3 = aws.s3(&self.region);
        match to {
            AccessBlock::None => {
                let call = s3.delete_public_access_block().bucket(self.bucket.as_str());
                let answer = call.expected_bucket_owner(self.account.as_str()).send().await;
                answer.map(drop).map_err(classify("s3:PutBucketPublicAccessBlock"))
            }
            AccessBlock::Some { acls, ignored, policy, restricted } => {
                let block = PublicAccessBlockConfiguration::builder().block_public_acls(*acls);
                let block = block.ignore_public_acls(*ignored).block_public_policy(*policy);
                let call = s3.put_public_access_block().bucket(self.bucket.as_str());
                let call = call.public_access_block_configuration(block.restrict_public_buckets(*restricted).build());
                let answer = call.expected_bucket_owner(self.account.as_str()).send().await;
                answer.map(drop).map_err(classify("s3:PutBucketPublicAccessBlock"))
            }
        }
    }
}

impl BucketAccess {
    /// Whether the bucket of that name is the one that was journalled.
    async fn is_same(&self, aws: &Aws) -> Result<(), AwsError> {
        match made(aws, &self.region, &self.bucket).await? {
            Some(created) if created == self.created => Ok(()),
            _ => Err(AwsError::NotFound {
                operation: "s3:ListAllMyBuckets",
                message: Text::new("the bucket is gone, or another has its name"),
            }),
        }
    }
}

/// When the account's bucket of that name was made; `None` where the account has no such bucket.
pub async fn made(aws: &Aws, region: &Region, bucket: &BucketName) -> Result<Option<Timestamp>, AwsError> {
    const OPERATION: &str = "s3:ListAllMyBuckets";
    // Everywhere else the date is that of the last change, of the policy too (S3 API reference, Bucket).
    let first = match region.as_str() {
        cn if cn.starts_with("cn-") => "cn-north-1",
        gov if gov.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    };
    let first = Region::parse(first).map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
    let mut pages = aws.s3(&first).list_buckets().prefix(bucket.as_str()).into_paginator().send();
    while let Some(page) = pages.try_next().await.map_err(classify(OPERATION))? {
        if let Some(found) = page.buckets().iter().find(|found| found.name() == Some(bucket.as_str())) {
            let created = found.creation_date().and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis);
            return created.map(Some).ok_or_else(|| AwsError::incomplete(OPERATION, "no date of creation"));
        }
    }
    Ok(None)
}

pub async fn access_block(aws: &Aws, target: &BucketAccess) -> Result<AccessBlock, AwsError> {
    const OPERATION: &str = "s3:GetBucketPublicAccessBlock";
    let call = aws.s3(&target.region).get_public_access_block().bucket(target.bucket.as_str());
    let answer = call.expected_bucket_owner(target.account.as_str()).send().await;
    match answer.map_err(classify(OPERATION)) {
        Ok(answer) => Ok(answer.public_access_block_configuration().map_or(AccessBlock::None, |block| {
            let is = |setting: Option<bool>| setting.unwrap_or(false);
            AccessBlock::Some {
                acls: is(block.block_public_acls()),
                ignored: is(block.ignore_public_acls()),
                policy: is(block.block_public_policy()),
                restricted: is(block.restrict_public_buckets()),
            }
        })),
        Err(AwsError::Rejected { code, .. }) if code == "NoSuchPublicAccessBlockConfiguration" => Ok(AccessBlock::None),
        Err(error) => Err(error),
    }
}

impl fmt::Display for BucketAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} of {}", self.account, self.bucket, self.created)
    }
}

impl fmt::Display for AccessBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            whole if *whole == Self::WHOLE => f.write_str("public access blocked"),
            Self::None => f.write_str("no block"),
            Self::Some { acls, ignored, policy, restricted } => {
                write!(f, "blocks acls={acls} ignores={ignored} policy={policy} restricts={restricted}")
            }
        }
    }
}
