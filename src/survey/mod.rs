//! The facts of a target, read from the account. What an event says of a resource was true once; this is true now.
//! Reads only. Facts are data: playbooks take them and know nothing of how they were read.

mod instance;
mod role_session;
mod user;

pub use instance::{Instance, Interface, ProfileRole};
pub use role_session::{Role, RoleSession};
pub use user::{InlineRoom, User};

use crate::{
    aws::{Aws, AwsError},
    domain::Target,
};

/// What was read of a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    Instance(Instance),
    User(User),
    RoleSession(RoleSession),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// The target, by its unique id, is not there, or not in that account.
    #[error("{0}")]
    Vanished(String),
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Facts {
    /// One round of reads: all that the cut needs.
    pub async fn read(aws: &Aws, target: &Target) -> Result<Self, SurveyError> {
        match target {
            Target::Instance { account, region, id, profile_hint } => {
                Instance::read(aws, account, region, id, profile_hint.as_ref()).await.map(Self::Instance)
            }
            Target::User { account, partition, name, id } => {
                User::read(aws, account, partition, name, id).await.map(Self::User)
            }
            Target::RoleSession { account, role, id, session, .. } => {
                RoleSession::read(aws, account, role, id, session).await.map(Self::RoleSession)
            }
        }
    }

    /// One more round of what must not delay the cut.
    pub async fn advance(&mut self, aws: &Aws) {
        match self {
            Self::Instance(instance) => instance.advance(aws).await,
            Self::User(_) | Self::RoleSession(_) => {}
        }
    }

    /// All that is owed, however many rounds it takes.
    pub async fn complete(&mut self, aws: &Aws) {
        while !self.is_complete() {
            self.advance(aws).await;
        }
    }

    pub fn is_complete(&self) -> bool {
        match self {
            Self::Instance(instance) => !matches!(instance.role, ProfileRole::Pending { .. }),
            Self::User(_) | Self::RoleSession(_) => true,
        }
    }

    /// The reads by name, for `replay` without an account.
    pub fn reads(target: &Target) -> &'static [&'static str] {
        match target {
            Target::Instance { .. } => &[
                "ec2:DescribeInstances",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "iam:GetInstanceProfile",
                "iam:GetRolePolicy",
                "sts:GetCallerIdentity",
            ],
            Target::User { .. } => &[
                "iam:GetUser",
                "iam:ListAccessKeys",
                "iam:ListAttachedUserPolicies",
                "iam:GetAccountSummary",
                "iam:GetUserPolicy",
                "sts:GetCallerIdentity",
            ],
            Target::RoleSession { .. } => &["iam:GetRole", "iam:GetRolePolicy", "sts:GetCallerIdentity"],
        }
    }
}
