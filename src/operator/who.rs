//! Who commands, as AWS says.

use crate::{
    aws::{Aws, AwsError, Identity, classify},
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
    ///
    /// # Errors
    /// Only where a repeat can find it out.
    pub async fn of(aws: &Aws, identity: Identity) -> Result<Self, AwsError> {
        let Identity { account, arn, unique_id, .. } = identity;
        let session = arn.resource().strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/'));
        let session = session.map(|(role, session)| (role.to_owned(), session.to_owned()));
        let named = match &session {
            None => Some(arn.clone()),
            Some((role, _)) => role_arn(aws, role, &unique_id).await?,
        };
        let session = session.map(|(_, session)| session);
        Ok(Self { subject: Subject::new(&account, named, unique_id), session, arn })
    }

    /// Whether the target is a session of his own role.
    pub fn is_of_role(&self, target: &Target) -> bool {
        matches!(target, Target::RoleSession { id, .. } if id.as_str() == self.subject.unique_id)
    }

    /// The keys under which the journal has him as a target.
    pub fn keys(&self) -> Vec<String> {
        let Subject { account, unique_id, .. } = &self.subject;
        match &self.session {
            None => vec![format!("{account}#global#user#{unique_id}")],
            Some(session) => vec![format!("{account}#global#role-session#{unique_id}:{session}")],
        }
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
            Target::SecurityGroup { .. }
            | Target::Bucket { .. }
            | Target::Sensor { .. }
            | Target::Object { .. }
            | Target::Address { .. }
            | Target::Account { .. } => false,
        }
    }
}

async fn role_arn(aws: &Aws, name: &str, unique_id: &str) -> Result<Option<Arn>, AwsError> {
    let Ok(name) = RoleName::parse(name) else { return Ok(None) };
    let answer = aws.iam().get_role().role_name(name.as_str()).send().await.map_err(classify("iam:GetRole"));
    match answer {
        Ok(answer) => {
            let role = answer.role().filter(|role| role.role_id() == unique_id);
            Ok(role.and_then(|role| Arn::parse(role.arn()).ok()))
        }
        Err(error) if error.is_passing() => Err(error),
        // Of another account, or not readable: his unique id is left.
        Err(_) => Ok(None),
    }
}
