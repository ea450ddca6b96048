//! A target that a person names, found in the account: by its unique id from here on.

use super::{Desk, Refused, refusal};
use crate::{
    aws::{AwsError, classify},
    domain::{AccessKeyId, AccountId, Partition, RoleId, RoleName, SessionName, Target, UserName},
    survey::named_user,
};

/// Why a named target is none.
pub(super) enum Found {
    Not(Refused),
    Error(AwsError),
}

impl From<AwsError> for Found {
    fn from(error: AwsError) -> Self {
        Self::Error(error)
    }
}

fn missing(why: String) -> Found {
    Found::Not(refusal("no-target", why))
}

impl Desk {
    pub(super) async fn user(&self, name: &UserName) -> Result<Target, Found> {
        let user = named_user(&self.aws, name).await?;
        let id = user.ok_or_else(|| missing(format!("there is no user {name} in this account")))?.id;
        let (account, partition) = self.here().await?;
        Ok(Target::User { account, partition, name: name.clone(), id })
    }

    pub(super) async fn owner(&self, key: &AccessKeyId) -> Result<Target, Found> {
        const OPERATION: &str = "iam:GetAccessKeyLastUsed";
        if key.is_temporary() {
            let why = "a temporary key belongs to a session: name it with `cordon contain role-session ROLE/SESSION`, which CloudTrail knows";
            return Err(missing(why.to_owned()));
        }
        let answer = self.aws.iam().get_access_key_last_used().access_key_id(key.as_str()).send().await;
        let answer = match answer.map_err(classify(OPERATION)) {
            // IAM denies it for keys of other accounts.
            Err(AwsError::NotFound { .. }) => return Err(missing("no user of this account has that key".to_owned())),
            other => other?,
        };
        let name = answer.user_name().and_then(|name| UserName::parse(name).ok());
        self.user(&name.ok_or_else(|| missing("no user of this account has that key".to_owned()))?).await
    }

    pub(super) async fn session(&self, role: &RoleName, session: &SessionName) -> Result<Target, Found> {
        const OPERATION: &str = "iam:GetRole";
        let answer = self.aws.iam().get_role().role_name(role.as_str()).send().await;
        let answer = match answer.map_err(classify(OPERATION)) {
            Err(AwsError::NotFound { .. }) => return Err(missing(format!("there is no role {role} in this account"))),
            other => other?,
        };
        let found = answer.role().ok_or_else(|| AwsError::incomplete(OPERATION, "no role"))?;
        let id = RoleId::parse(found.role_id()).map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
        let (account, partition) = self.here().await?;
        Ok(Target::RoleSession { account, partition, role: role.clone(), id, session: session.clone(), key: None })
    }

    async fn here(&self) -> Result<(AccountId, Partition), AwsError> {
        let identity = self.aws.identity().await?;
        Ok((identity.account.clone(), identity.partition.clone()))
    }
}
