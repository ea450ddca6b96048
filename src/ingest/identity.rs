//! CloudTrail's `userIdentity`: who made a call (CloudTrail user guide, "CloudTrail userIdentity element").
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::cursor::Cursor;
use crate::{
    domain::{AccessKeyId, Arn, Text, UserType},
    principal::Identity,
};
use serde_json::Value;

/// Who made a call, in his words; nothing of it is an id before [`crate::principal::whose`] has parsed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    pub kind: UserType,
    pub principal_id: Text,
    /// The user's, or of a session the role's.
    pub name: Text,
    pub key: Option<AccessKeyId>,
    /// The user's, or of a session the role's.
    pub arn: Option<Arn>,
    /// Name and unique id of the IAM user who made the session of a federated user.
    pub issuer: Option<(Text, Text)>,
}

impl Caller {
    pub fn of(user_identity: &Value) -> Self {
        let at = Cursor::new(user_identity);
        let kind = at.get("type").str().map_or(UserType::Unknown, user_type);
        let issuer = at.path("sessionContext.sessionIssuer");
        let (issuer_name, issuer_id) = (issuer.get("userName").text(), issuer.get("principalId").text());
        let is_role = kind == UserType::AssumedRole;
        let name = if is_role { issuer_name.clone().or_else(|| role_name(at)) } else { at.get("userName").text() };
        Self {
            kind,
            principal_id: at.get("principalId").text().unwrap_or_default(),
            name: name.unwrap_or_default(),
            arn: if is_role { issuer.get("arn") } else { at.get("arn") }.str().and_then(|arn| Arn::parse(arn).ok()),
            key: at.get("accessKeyId").str().and_then(|key| AccessKeyId::parse(key).ok()),
            issuer: issuer_name.zip(issuer_id).filter(|_| !is_role),
        }
    }

    /// In a few words, for people.
    pub fn shown(&self) -> Text {
        match (&self.kind, self.name.as_str(), self.principal_id.as_str()) {
            (UserType::Root, ..) => Text::new("root"),
            (UserType::AwsService, ..) => Text::new("an AWS service"),
            (UserType::AssumedRole, role, id) => {
                let session = id.split_once(':').map_or("", |(_, session)| session);
                Text::new(&format!("session `{session}` of role `{role}`"))
            }
            (UserType::AwsAccount, _, id) => Text::new(&format!("somebody of another account ({id})")),
            (_, "", "") => Text::new("somebody whom the record does not name"),
            (_, "", id) => Text::new(id),
            (_, name, _) => Text::new(&format!("`{name}`")),
        }
    }

    pub fn identity(&self) -> Identity<'_> {
        Identity {
            kind: &self.kind,
            principal_id: self.principal_id.as_str(),
            name: self.name.as_str(),
            key: self.key.as_ref(),
            issuer: self.issuer.as_ref().map(|(name, id)| (name.as_str(), id.as_str())),
        }
    }
}

/// `ROLE` of `arn:aws:sts::111122223333:assumed-role/ROLE/session`.
fn role_name(at: Cursor<'_>) -> Option<Text> {
    at.get("arn").str()?.split_once(":assumed-role/")?.1.split('/').next().map(Text::new)
}

/// `type` of CloudTrail and `userType` of GuardDuty.
pub fn user_type(text: &str) -> UserType {
    match text {
        "IAMUser" => UserType::IamUser,
        "AssumedRole" | "Role" => UserType::AssumedRole,
        "FederatedUser" => UserType::FederatedUser,
        "Root" => UserType::Root,
        "AWSAccount" => UserType::AwsAccount,
        "AWSService" => UserType::AwsService,
        "Directory" => UserType::Directory,
        "SAMLUser" => UserType::SamlUser,
        "WebIdentityUser" => UserType::WebIdentityUser,
        "IdentityCenterUser" => UserType::IdentityCenterUser,
        _ => UserType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{Principal, whose};
    use serde_json::json;

    #[test]
    fn a_caller_is_whom_the_record_names_and_nobody_by_a_name_alone() {
        let (user, role) = ("AIDACKCEVSQ6C2EXAMPLE", "AROACKCEVSQ6C2EXAMPLE");
        let issuer =
            |name: &str, id: &str| json!({"sessionIssuer": {"type": "x", "userName": name, "principalId": id}});
        for (record, expected) in [
            (json!({"type": "IAMUser", "userName": "deploy", "principalId": user}), Ok("deploy")),
            (json!({"type": "IAMUser", "userName": "deploy", "principalId": role}), Err("no-unique-id")),
            (json!({"type": "IAMUser", "userName": "deploy"}), Err("no-unique-id")),
            (
                json!({"type": "AssumedRole", "principalId": format!("{role}:me"), "sessionContext": issuer("web", role)}),
                Ok("web"),
            ),
            (
                json!({"type": "AssumedRole", "principalId": format!("{role}:me"), "arn": "arn:aws:sts::111122223333:assumed-role/web/me"}),
                Ok("web"),
            ),
            (
                json!({"type": "AssumedRole", "principalId": role, "sessionContext": issuer("web", role)}),
                Err("no-unique-id"),
            ),
            (
                json!({"type": "FederatedUser", "principalId": "111122223333:bob", "sessionContext": issuer("deploy", user)}),
                Ok("deploy"),
            ),
            (json!({"type": "FederatedUser", "principalId": "111122223333:bob"}), Err("federated-user")),
            (
                json!({"type": "SAMLUser", "principalId": "x:me@example.com", "userName": "me@example.com"}),
                Err("saml-user"),
            ),
            (json!({"type": "WebIdentityUser", "userName": "repo:x"}), Err("web-identity-user")),
            (json!({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "x"}}), Err("identity-center-user")),
            (json!({"type": "Root", "principalId": "111122223333"}), Err("root")),
            (json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}), Err("aws-service")),
            (json!({"type": "AWSAccount", "principalId": user, "accountId": "444455556666"}), Err("another-account")),
            (json!({"accountId": "111122223333", "invokedBy": "AWS Internal"}), Err("unknown-identity")),
            (json!({"type": ["IAMUser"], "userName": {}}), Err("unknown-identity")),
            (json!("IAMUser"), Err("unknown-identity")),
        ] {
            let caller = Caller::of(&record);
            let found = whose(&caller.identity());
            let found = found.as_ref().map_err(|cannot| cannot.code).map(|principal| match principal {
                Principal::User { name, .. } => name.as_str(),
                Principal::Session { role, .. } => role.as_str(),
            });
            assert_eq!(found, expected, "{record}");
        }
    }
}
