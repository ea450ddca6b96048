//! The inline policy on a role that denies one session of it.
//!
//! # What it does
//! Denies everything to `aws:userid` = role id and session name, and nobody else. An instance's session keeps its name when
//! its credentials are renewed, so it stays denied.
//! # Undo
//! Deletes the policy, or puts back what stood under its name.
//! # Limits
//! Where the caller chooses the session name, the role can be assumed again under another name. IAM takes seconds to spread a policy.

use super::{Action, Permissions, PolicyState, Release, policy_document::deny_session};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, RoleId, RoleName, SessionName, Text},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
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
        let digest = Sha256::digest(self.user_id());
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("CordonDeny-{hex}")
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
    type State = PolicyState;

    fn command(&self, to: &PolicyState) -> Option<String> {
        let delete =
            || format!("aws iam delete-role-policy --role-name {} --policy-name {}", self.role, self.policy_name());
        matches!(to, PolicyState::Absent).then(delete)
    }

    async fn read(&self, aws: &Aws) -> Result<PolicyState, AwsError> {
        let (role, policy) =
            futures::join!(aws.iam().get_role().role_name(self.role.as_str()).send(), self.read_policy(aws));
        let role = role.map_err(classify("iam:GetRole"))?;
        let same = role.role().is_some_and(|role| role.role_id() == self.role_id.as_str());
        if !same {
            return Err(AwsError::NotFound {
                operation: "iam:GetRole",
                message: Text::new("another role has this name now"),
            });
        }
        policy
    }

    async fn apply(&self, aws: &Aws, to: &PolicyState) -> Result<(), AwsError> {
        let (iam, role, name) = (aws.iam(), self.role.as_str(), self.policy_name());
        match to.document(&self.document()) {
            Some(document) => {
                let call = iam.put_role_policy().role_name(role).policy_name(name).policy_document(document);
                call.send().await.map(drop).map_err(classify("iam:PutRolePolicy"))
            }
            None => match iam
                .delete_role_policy()
                .role_name(role)
                .policy_name(name)
                .send()
                .await
                .map_err(classify("iam:DeleteRolePolicy"))
            {
                Ok(_) | Err(AwsError::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }
}

impl SessionDeny {
    /// What stands under the policy's name, whoever's role it is; the caller has compared the role's id.
    pub async fn read_policy(&self, aws: &Aws) -> Result<PolicyState, AwsError> {
        let call = aws.iam().get_role_policy().role_name(self.role.as_str()).policy_name(self.policy_name());
        match call.send().await.map_err(classify("iam:GetRolePolicy")) {
            Ok(answer) => Ok(PolicyState::folded(Some(answer.policy_document()), &self.document())),
            Err(AwsError::NotFound { .. }) => Ok(PolicyState::Absent),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for SessionDeny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}:{}", self.account, self.role, self.role_id, self.session)
    }
}
