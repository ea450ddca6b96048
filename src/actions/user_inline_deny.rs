//! An inline policy on an IAM user that denies everything, for users who have no room for an attached one.
//!
//! # What it does
//! Puts the inline policy `CordonDenyAll`. Chosen in the plan where the quota of attached policies is used up.
//! # Undo
//! Deletes the policy, or puts back what stood under its name.
//! # Limits
//! Inline policies of a user have 2,048 characters in all; where ours does not fit, the plan says so.

use super::{
    Action, Called, Permissions, PolicyState, Release, canonical,
    policy_document::{decoded, deny_all, inline_size},
    user::{same_user, under_his_name},
};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, UserId, UserName},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserInlineDeny {
    pub account: AccountId,
    pub user: UserName,
    pub user_id: UserId,
}

impl UserInlineDeny {
    pub const POLICY: &'static str = "CordonDenyAll";

    /// Characters that it takes of the user's quota.
    pub fn size() -> usize {
        inline_size(&deny_all().to_string())
    }

    pub async fn read_policy(&self, aws: &Aws) -> Result<PolicyState, AwsError> {
        let call = aws.iam().get_user_policy().user_name(self.user.as_str()).policy_name(Self::POLICY);
        match call.send().await.map_err(classify("iam:GetUserPolicy")) {
            Ok(answer) => Ok(PolicyState::folded(Some(decoded(answer.policy_document())), &deny_all())),
            Err(AwsError::NotFound { .. }) => Ok(PolicyState::Absent),
            Err(error) => Err(error),
        }
    }
}

impl Action for UserInlineDeny {
    const NAME: &'static str = "iam.user.inline-deny";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["iam:GetUser", "iam:GetUserPolicy", "iam:ListUsers"],
        contains: &["iam:PutUserPolicy"],
        releases: &["iam:DeleteUserPolicy", "iam:PutUserPolicy"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SET_BY: &'static [&'static str] = &["DeleteUserPolicy", "PutUserPolicy"];
    type State = PolicyState;

    fn resource(&self) -> &str {
        self.user.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec![Self::POLICY.to_owned()]
    }

    fn command(&self, to: &PolicyState) -> Option<String> {
        let delete = || format!("aws iam delete-user-policy --user-name {} --policy-name {}", self.user, Self::POLICY);
        matches!(to, PolicyState::Absent).then(delete)
    }

    fn identity(&self) -> String {
        format!("{}/{} {}", self.account, self.user_id, Self::POLICY)
    }

    fn calls(&self, to: &PolicyState) -> Vec<Called> {
        match to.document(&deny_all()) {
            None => vec![("DeleteUserPolicy", Vec::new())],
            Some(document) => vec![("PutUserPolicy", vec![canonical(&document)])],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<PolicyState, AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.read_as(aws, user)).await
    }

    async fn apply(&self, aws: &Aws, to: &PolicyState) -> Result<(), AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.apply_as(aws, user, to)).await
    }
}

impl UserInlineDeny {
    async fn read_as(&self, aws: &Aws, user: UserName) -> Result<PolicyState, AwsError> {
        let named = Self { user: user.clone(), ..self.clone() };
        let (same, policy) = futures::join!(same_user(aws, &user, &self.user_id), named.read_policy(aws));
        same?;
        policy
    }

    async fn apply_as(&self, aws: &Aws, user: UserName, to: &PolicyState) -> Result<(), AwsError> {
        let (iam, user) = (aws.iam(), user.as_str());
        match to.document(&deny_all()) {
            Some(document) => {
                let call = iam.put_user_policy().user_name(user).policy_name(Self::POLICY).policy_document(document);
                call.send().await.map(drop).map_err(classify("iam:PutUserPolicy"))
            }
            None => {
                let call = iam.delete_user_policy().user_name(user).policy_name(Self::POLICY);
                call.send().await.map(drop).map_err(classify("iam:DeleteUserPolicy"))
            }
        }
    }
}

impl fmt::Display for UserInlineDeny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} {}", self.account, self.user, self.user_id, Self::POLICY)
    }
}
