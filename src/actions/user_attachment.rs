//! A managed policy on an IAM user, attached or not: AWS's own AWSDenyAll.
//!
//! # What it does
//! Attaches the policy. Denying the user also ends the sessions that he made with GetSessionToken and GetFederationToken.
//! # Undo
//! Detaches it, if it was not attached before.
//! # Limits
//! Roles that the user has assumed are not touched. IAM takes seconds to spread an attachment.

use super::{
    Action, Called, Permissions, Release,
    user::{same_user, under_his_name},
};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, UserId, UserName},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserAttachment {
    pub account: AccountId,
    pub user: UserName,
    pub user_id: UserId,
    pub policy: Arn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attachment {
    Attached,
    Detached,
}

impl Action for UserAttachment {
    const NAME: &'static str = "iam.user.attachment";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["iam:GetUser", "iam:ListAttachedUserPolicies", "iam:ListUsers"],
        contains: &["iam:AttachUserPolicy"],
        releases: &["iam:DetachUserPolicy"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SET_BY: &'static [&'static str] = &["AttachUserPolicy", "DetachUserPolicy"];
    type State = Attachment;

    fn resource(&self) -> &str {
        self.user.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec![self.policy.to_string()]
    }

    fn command(&self, to: &Attachment) -> Option<String> {
        let verb = match to {
            Attachment::Attached => "attach",
            Attachment::Detached => "detach",
        };
        Some(format!("aws iam {verb}-user-policy --user-name {} --policy-arn {}", self.user, self.policy))
    }

    fn identity(&self) -> String {
        format!("{}/{} {}", self.account, self.user_id, self.policy)
    }

    fn calls(&self, to: &Attachment) -> Vec<Called> {
        vec![(if *to == Attachment::Attached { "AttachUserPolicy" } else { "DetachUserPolicy" }, Vec::new())]
    }

    async fn read(&self, aws: &Aws) -> Result<Attachment, AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.read_as(aws, user)).await
    }

    async fn apply(&self, aws: &Aws, to: &Attachment) -> Result<(), AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.apply_as(aws, user, to)).await
    }
}

impl UserAttachment {
    async fn read_as(&self, aws: &Aws, user: UserName) -> Result<Attachment, AwsError> {
        let (same, attached) = futures::join!(same_user(aws, &user, &self.user_id), attached_policies(aws, &user));
        same?;
        Ok(Attachment::of(&self.policy, &attached?))
    }

    async fn apply_as(&self, aws: &Aws, user: UserName, to: &Attachment) -> Result<(), AwsError> {
        let (iam, user, policy) = (aws.iam(), user.as_str(), self.policy.as_str());
        match to {
            Attachment::Attached => {
                let call = iam.attach_user_policy().user_name(user).policy_arn(policy);
                call.send().await.map(drop).map_err(classify("iam:AttachUserPolicy"))
            }
            Attachment::Detached => {
                let call = iam.detach_user_policy().user_name(user).policy_arn(policy);
                call.send().await.map(drop).map_err(classify("iam:DetachUserPolicy"))
            }
        }
    }
}

impl Attachment {
    pub fn of(policy: &Arn, attached: &[String]) -> Self {
        if attached.iter().any(|arn| arn == policy.as_str()) { Self::Attached } else { Self::Detached }
    }
}

/// ARNs of all managed policies on the user.
pub async fn attached_policies(aws: &Aws, user: &UserName) -> Result<Vec<String>, AwsError> {
    let mut pages = aws.iam().list_attached_user_policies().user_name(user.as_str()).into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(policy) = pages.try_next().await.map_err(classify("iam:ListAttachedUserPolicies"))? {
        found.extend(policy.policy_arn().map(str::to_owned));
    }
    Ok(found)
}

impl fmt::Display for UserAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} {}", self.account, self.user, self.user_id, self.policy)
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attached => "attached",
            Self::Detached => "not attached",
        })
    }
}
