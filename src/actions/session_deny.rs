//! The inline policy on a role that denies one session of it.
//!
//! # What it does
//! Denies everything to `aws:userid` = role id and session name, and nobody else. An instance's session keeps its name when
//! its credentials are renewed, so it stays denied.
//! # Undo
//! Deletes the policy, or puts back what stood under its name.
//! # Limits
//! Where the caller chooses the session name, the role can be assumed again under another name. IAM takes seconds to spread a policy.

use super::{
    Action, Called, Permissions, PolicyState, Release, canonical,
    policy_document::deny_session,
    role::{role_policy, same_role, set_role_policy},
};
use crate::{
    aws::{Aws, AwsError},
    domain::{AccountId, RoleId, RoleName, SessionName, fingerprint},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionDeny {
    pub account: AccountId,
    pub role: RoleName,
    pub role_id: RoleId,
    pub session: SessionName,
}

impl SessionDeny {
    /// One policy for each denied session, found again by name alone.
    pub fn policy_name(&self) -> String {
        format!("CordonDeny-{}", fingerprint(&self.user_id()))
    }

    pub fn document(&self) -> Value {
        deny_session(&self.user_id())
    }

    fn user_id(&self) -> String {
        format!("{}:{}", self.role_id, self.session)
    }
}

impl Action for SessionDeny {
    const NAME: &'static str = "iam.role.session-deny";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["iam:GetRole", "iam:GetRolePolicy"],
        contains: &["iam:PutRolePolicy"],
        releases: &["iam:DeleteRolePolicy", "iam:PutRolePolicy"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    /// An instance's containment denies the session that may be contained for itself.
    const SHARED: bool = true;
    const SET_BY: &'static [&'static str] = &["DeleteRolePolicy", "PutRolePolicy"];
    type State = PolicyState;

    fn resource(&self) -> &str {
        self.role.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec![self.policy_name()]
    }

    fn command(&self, to: &PolicyState) -> Option<String> {
        let delete =
            || format!("aws iam delete-role-policy --role-name {} --policy-name {}", self.role, self.policy_name());
        matches!(to, PolicyState::Absent).then(delete)
    }

    fn calls(&self, to: &PolicyState) -> Vec<Called> {
        match to.document(&self.document()) {
            None => vec![("DeleteRolePolicy", Vec::new())],
            Some(document) => vec![("PutRolePolicy", vec![canonical(&document)])],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<PolicyState, AwsError> {
        let (same, policy) = futures::join!(same_role(aws, &self.role, &self.role_id), self.read_policy(aws));
        same?;
        policy
    }

    async fn apply(&self, aws: &Aws, to: &PolicyState) -> Result<(), AwsError> {
        set_role_policy(aws, &self.role, &self.policy_name(), to.document(&self.document())).await
    }
}

impl SessionDeny {
    /// What stands under the policy's name, whoever's role it is; the caller has compared the role's id.
    pub async fn read_policy(&self, aws: &Aws) -> Result<PolicyState, AwsError> {
        let found = role_policy(aws, &self.role, &self.policy_name()).await?;
        Ok(PolicyState::folded(found, &self.document()))
    }
}

impl fmt::Display for SessionDeny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}:{}", self.account, self.role, self.role_id, self.session)
    }
}
