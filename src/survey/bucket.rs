//! Facts of a bucket: whose it is, what blocks the public, and whether it is a website.

use super::SurveyError;
use crate::{
    actions::{AccessBlock, BucketAccess, access_block, made},
    aws::{Aws, AwsError, classify},
    domain::{AccountId, BucketName, Region},
    policy::Tags,
};

pub const READS: &[&str] =
    &["s3:GetBucketPublicAccessBlock", "s3:GetBucketTagging", "s3:GetBucketWebsite", "s3:ListAllMyBuckets"];

#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    pub access: BucketAccess,
    pub block: AccessBlock,
    /// It serves a website, which is public on purpose.
    pub is_website: bool,
    /// `None` where they could not be read.
    pub tags: Option<Tags>,
}

impl Bucket {
    /// One round, and one more for what takes the date of creation to name.
    pub async fn read(aws: &Aws, account: &AccountId, region: &Region, name: &BucketName) -> Result<Self, SurveyError> {
        let s3 = aws.s3(region);
        let owner = account.as_str();
        let (created, website, tags) = futures::join!(
            made(aws, region, name),
            s3.get_bucket_website().bucket(name.as_str()).expected_bucket_owner(owner).send(),
            s3.get_bucket_tagging().bucket(name.as_str()).expected_bucket_owner(owner).send(),
        );
        let Some(created) = created? else {
            return Err(SurveyError::Vanished(format!("account {account} has no bucket {name}")));
        };
        let is_website = match website.map_err(classify("s3:GetBucketWebsite")) {
            Ok(_) => true,
            Err(AwsError::Rejected { code, .. }) if code == "NoSuchWebsiteConfiguration" => false,
            Err(error) => return Err(error.into()),
        };
        let tags = match tags.map_err(classify("s3:GetBucketTagging")) {
            Ok(answer) => {
                Some(answer.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
            }
            Err(AwsError::Rejected { code, .. }) if code == "NoSuchTagSet" => Some(Tags::new()),
            Err(error) => {
                tracing::warn!(bucket = %name, %error, "its tags are not known");
                None
            }
        };
        let access = BucketAccess { account: account.clone(), region: region.clone(), bucket: name.clone(), created };
        let block = access_block(aws, &access).await?;
        Ok(Self { access, block, is_website, tags })
    }
}
