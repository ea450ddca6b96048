//! Who commands, as AWS says.

use crate::{
    aws::{Aws, Identity},
    domain::{Arn, RoleName, Target},
    policy::Subject,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// As policies name him: of a session, its role.
    pub subject: Subject,
    /// As STS names him, with the session.
    pub arn: Arn,
    session: Option<String>,
}

impl Who {
    /// A session's role has its path from IAM alone; where that cannot be read, only the unique id names it.
    pub async fn of(aws: &Aws, identity: Identity) -> Self {
        let Identity { account, arn, unique_id, .. } = identity;
        let session = arn.resource().strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/'));
        let session = session.map(|(role, session)| (role.to_owned(), session.to_owned()));
        let named = match &session {
            None => Some(arn.clone()),
            Some((role, _)) => role_arn(aws, role, &unique_id).await,
        };
        Self { subject: Subject::new(&account, named, unique_id), session: session.map(|(_, session)| session), arn }
    }

    /// Whether he is what an incident is about.
    pub fn is_target(&self, target: &Target) -> bool {
        let is_session = |name: &str| self.session.as_deref() == Some(name);
        match target {
            Target::User { id, .. } => id.as_str() == self.subject.unique_id,
            Target::RoleSession { id, session, .. } => {
                id.as_str() == self.subject.unique_id && is_session(session.as_str())
            }
            // The session of an instance's role is called like the instance.
            Target::Instance { id, .. } => is_session(id.as_str()),
        }
    }
}

async fn role_arn(aws: &Aws, name: &str, unique_id: &str) -> Option<Arn> {
    let name = RoleName::parse(name).ok()?;
    let answer = aws.iam().get_role().role_name(name.as_str()).send().await.ok()?;
    let role = answer.role().filter(|role| role.role_id() == unique_id)?;
    Arn::parse(role.arn()).ok()
}
