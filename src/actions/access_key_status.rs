//! The status of one long-term access key of an IAM user.
//!
//! # What it does
//! Makes the key Inactive. A deleted key could not be put back, and CloudTrail could no longer be searched for its owner.
//! # Undo
//! Stays Inactive after release, unless the operator asks for keys by name: a key that leaked once is known.
//! # Limits
//! Sessions that were made with the key before go on until the user is denied.

use super::{
    Action, Called, Permissions, Release,
    user::{same_user, under_his_name},
};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccessKeyId, AccountId, Text, UserId, UserName},
};
use aws_sdk_iam::types::{AccessKeyMetadata, StatusType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessKeyStatus {
    pub account: AccountId,
    pub user: UserName,
    pub user_id: UserId,
    pub key: AccessKeyId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStatus {
    Active,
    Inactive,
}

impl Action for AccessKeyStatus {
    const NAME: &'static str = "iam.access-key.status";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["iam:GetUser", "iam:ListAccessKeys", "iam:ListUsers"],
        contains: &["iam:UpdateAccessKey"],
        releases: &["iam:UpdateAccessKey"],
    };
    const RELEASE: Release = Release::KeepsUnlessAsked("a key that leaked once is known; reactivate it by name");
    const UNDO_ORDER: u8 = 2;
    const SET_BY: &'static [&'static str] = &["CreateAccessKey", "UpdateAccessKey"];
    type State = KeyStatus;

    fn resource(&self) -> &str {
        self.key.as_str()
    }

    /// The key's id stays out of messages, so a person takes it from IAM.
    fn command(&self, _to: &KeyStatus) -> Option<String> {
        None
    }

    fn identity(&self) -> String {
        format!("{}/{} key {} ({})", self.account, self.user_id, self.key.tail(), self.digest())
    }

    fn calls(&self, to: &KeyStatus) -> Vec<Called> {
        let status = if *to == KeyStatus::Active { "Active" } else { "Inactive" };
        vec![("UpdateAccessKey", vec![status.to_owned()])]
    }

    async fn read(&self, aws: &Aws) -> Result<KeyStatus, AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.read_as(aws, user)).await
    }

    async fn apply(&self, aws: &Aws, to: &KeyStatus) -> Result<(), AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.apply_as(aws, user, to)).await
    }
}

impl AccessKeyStatus {
    async fn read_as(&self, aws: &Aws, user: UserName) -> Result<KeyStatus, AwsError> {
        let (same, keys) = futures::join!(same_user(aws, &user, &self.user_id), access_keys(aws, &user));
        same?;
        let found = keys?.into_iter().find(|(key, _)| *key == self.key);
        found.map(|(_, status)| status).ok_or_else(|| AwsError::NotFound {
            operation: "iam:ListAccessKeys",
            message: Text::new("the user has no such key"),
        })
    }

    /// The user is always named: left out, IAM would take the caller.
    async fn apply_as(&self, aws: &Aws, user: UserName, to: &KeyStatus) -> Result<(), AwsError> {
        let status = match to {
            KeyStatus::Active => StatusType::Active,
            KeyStatus::Inactive => StatusType::Inactive,
        };
        let call = aws.iam().update_access_key().user_name(user.as_str()).access_key_id(self.key.as_str());
        call.status(status).send().await.map(drop).map_err(classify("iam:UpdateAccessKey"))
    }

    /// Tells two keys with the same tail apart where approvals bind to the text; the key itself is shown nowhere.
    fn digest(&self) -> String {
        Sha256::digest(self.key.as_str()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// All long-term keys of the user.
pub async fn access_keys(aws: &Aws, user: &UserName) -> Result<Vec<(AccessKeyId, KeyStatus)>, AwsError> {
    let mut pages = aws.iam().list_access_keys().user_name(user.as_str()).into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(key) = pages.try_next().await.map_err(classify("iam:ListAccessKeys"))? {
        found.push(
            KeyStatus::folded(&key)
                .ok_or_else(|| AwsError::incomplete("iam:ListAccessKeys", "a key without a usable id"))?,
        );
    }
    Ok(found)
}

impl KeyStatus {
    /// Anything but Inactive is a key that may work.
    fn folded(wire: &AccessKeyMetadata) -> Option<(AccessKeyId, Self)> {
        let id = AccessKeyId::parse(wire.access_key_id()?).ok()?;
        Some((id, if wire.status() == Some(&StatusType::Inactive) { Self::Inactive } else { Self::Active }))
    }
}

impl fmt::Display for AccessKeyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} key {} ({})", self.account, self.user, self.user_id, self.key.tail(), self.digest())
    }
}

impl fmt::Display for KeyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        })
    }
}
