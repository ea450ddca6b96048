//! The tags of one object, by which the policy of its bucket keeps everybody from reading it.
//!
//! # What it does
//! Sets the tag that the bucket's own policy denies; the other tags of the object stay. Every call says whose bucket it must be.
//! # Undo
//! Puts back the tags that were there.
//! # Limits
//! It blocks only where the bucket's policy does. Whoever has read the object has it.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, ObjectResource, Region, Text},
};
use aws_sdk_s3::types::{Tag, Tagging};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectTags {
    pub account: AccountId,
    pub region: Region,
    pub object: ObjectResource,
}

/// All of them; S3 replaces them as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagSet(pub BTreeMap<String, String>);

impl Action for ObjectTags {
    const NAME: &'static str = "s3.object.tags";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
        contains: &["s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
        releases: &["s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SET_BY: &'static [&'static str] = &["PutObjectTagging", "DeleteObjectTagging"];
    type State = TagSet;

    fn resource(&self) -> &str {
        self.object.key.as_str()
    }

    /// Key and tags are a stranger's text.
    fn command(&self, _to: &TagSet) -> Option<String> {
        None
    }

    fn calls(&self, _to: &TagSet) -> Vec<Called> {
        vec![("PutObjectTagging", vec![self.object.bucket.to_string()])]
    }

    async fn read(&self, aws: &Aws) -> Result<TagSet, AwsError> {
        self.tags(aws).await
    }

    async fn apply(&self, aws: &Aws, to: &TagSet) -> Result<(), AwsError> {
        const OPERATION: &str = "s3:PutObjectTagging";
        let tags: Result<Vec<Tag>, _> =
            to.0.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let tags = tags.and_then(|tags| Tagging::builder().set_tag_set(Some(tags)).build());
        let tags = tags.map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
        let ObjectResource { bucket, key, version } = &self.object;
        let call = aws.s3(&self.region).put_object_tagging().bucket(bucket.as_str()).key(key.as_str());
        let call = call.set_version_id(version.as_ref().map(ToString::to_string)).tagging(tags);
        call.expected_bucket_owner(self.account.as_str()).send().await.map(drop).map_err(classify(OPERATION))
    }
}

impl ObjectTags {
    pub async fn tags(&self, aws: &Aws) -> Result<TagSet, AwsError> {
        const OPERATION: &str = "s3:GetObjectTagging";
        let ObjectResource { bucket, key, version } = &self.object;
        let call = aws.s3(&self.region).get_object_tagging().bucket(bucket.as_str()).key(key.as_str());
        let call = call.set_version_id(version.as_ref().map(ToString::to_string));
        match call.expected_bucket_owner(self.account.as_str()).send().await.map_err(classify(OPERATION)) {
            Ok(answer) => {
                let tags = answer.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
                Ok(TagSet(tags.collect()))
            }
            Err(AwsError::Rejected { code, message, .. }) if code == "NoSuchKey" || code == "NoSuchVersion" => {
                Err(AwsError::NotFound { operation: OPERATION, message })
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for ObjectTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.object)
    }
}

impl fmt::Display for TagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no tags");
        }
        let tags: Vec<String> =
            self.0.iter().map(|(key, value)| format!("{}={}", Text::new(key), Text::new(value))).collect();
        f.write_str(&tags.join(", "))
    }
}
