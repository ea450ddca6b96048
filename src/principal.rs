//! Who acts with credentials, and what can be done about him: first from what an event says ([`whose`]), then from what the account
//! says of the role ([`session_of`]). Pure: one place for the whole table, with "cannot, because" as data.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{AccessKeyId, InstanceId, RoleId, RoleName, SessionName, UserId, UserName, UserType};
use serde_json::Value;
use std::collections::BTreeSet;

/// As GuardDuty's `accessKeyDetails` or CloudTrail's `userIdentity` name him; nothing of it is believed before it is parsed.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub kind: &'a UserType,
    /// `AIDA…`, `AROA…:session`, `ACCOUNT:name` of a federated user.
    pub principal_id: &'a str,
    /// The user's or the role's.
    pub name: &'a str,
    pub key: Option<&'a AccessKeyId>,
    /// Who made the session of a federated user: name and unique id of an IAM user (`sessionContext.sessionIssuer`).
    pub issuer: Option<(&'a str, &'a str)>,
}

/// Whom to contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The user himself: the deny ends his long-term keys and what he made with GetSessionToken and GetFederationToken.
    User { name: UserName, id: UserId },
    /// One session of a role.
    Session { role: RoleName, id: RoleId, session: SessionName },
}

/// Why nothing can be done from here, and what a person can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cannot {
    pub code: &'static str,
    pub why: String,
}

impl Cannot {
    fn because(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

/// # Errors
/// Why he cannot be contained.
pub fn whose(identity: &Identity<'_>) -> Result<Principal, Cannot> {
    match identity.kind {
        // A key of a session (`ASIA…`) was made by the user, and only the user can be denied: UpdateAccessKey takes no such key.
        UserType::IamUser => user(identity.name, identity.principal_id),
        UserType::AssumedRole => session(identity),
        UserType::FederatedUser => match identity.issuer {
            Some((name, id)) => user(name, id),
            None => Err(Cannot::because(
                "federated-user",
                "a session of GetFederationToken is ended by containing the IAM user who made it, whom the event does not name; look in CloudTrail for GetFederationToken",
            )),
        },
        UserType::Root => Err(Cannot::because(
            "root",
            "IAM policies do not bind root: change its password and keys by hand; in a member account a service control policy, or sts:AssumeRoot from the management account, can",
        )),
        UserType::AwsAccount => Err(Cannot::because(
            "another-account",
            "the caller belongs to another account, or is nobody: look at the policy of the resource that let him in",
        )),
        UserType::AwsService => Err(Cannot::because(
            "aws-service",
            "an AWS service made the call: look at who told it to, and at the resource's policy",
        )),
        UserType::Directory => Err(Cannot::because("directory", "the identity lies in a directory: disable it there")),
        UserType::SamlUser => Err(Cannot::because(
            "saml-user",
            "he signs in by SAML and works with a role's session, which can be contained: disable him at the identity provider",
        )),
        UserType::WebIdentityUser => Err(Cannot::because(
            "web-identity-user",
            "he signs in by OpenID Connect and works with a role's session, which can be contained: disable him at the provider",
        )),
        UserType::IdentityCenterUser => Err(Cannot::because(
            "identity-center-user",
            "he belongs to Identity Center: revoke his sessions or disable him there",
        )),
        UserType::Unknown => {
            Err(Cannot::because("unknown-identity", "the event does not say in a known form who acted"))
        }
    }
}

fn user(name: &str, id: &str) -> Result<Principal, Cannot> {
    let name = UserName::parse(name).map_err(|error| Cannot::because("no-user-name", error.to_string()))?;
    let by_id = |error| format!("{error}; a user is contained by unique id, never by name alone");
    let id = UserId::parse(id).map_err(|error| Cannot::because("no-unique-id", by_id(error)))?;
    Ok(Principal::User { name, id })
}

fn session(identity: &Identity<'_>) -> Result<Principal, Cannot> {
    let role = RoleName::parse(identity.name).map_err(|error| Cannot::because("no-role-name", error.to_string()))?;
    let no_session = || {
        let shown = crate::domain::Text::new(identity.principal_id);
        let why =
            format!("`{shown}` is no `AROA…:session`; a session is contained by the role's unique id and its name");
        Cannot::because("no-unique-id", why)
    };
    let (id, session) = identity.principal_id.split_once(':').ok_or_else(no_session)?;
    let id = RoleId::parse(id).map_err(|_| no_session())?;
    let session = SessionName::parse(session).map_err(|_| no_session())?;
    Ok(Principal::Session { role, id, session })
}

/// What a session is by the path of its role and who may take it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub kind: SessionKind,
    /// Who may take the role on under another name: empty where AWS alone names the session.
    pub again: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Named after the instance, by EC2 and nobody else.
    Instance,
    /// Named after the function, by Lambda and nobody else.
    Function,
    /// Of an ECS task.
    Task,
    /// Of an EKS pod, by Pod Identity.
    Pod,
    /// Of an EKS service account, by OpenID Connect.
    ServiceAccount,
    Saml,
    /// By another OpenID Connect provider.
    WebIdentity,
    /// By whoever the trust policy names.
    Assumed,
}

impl SessionKind {
    pub fn shown(self) -> &'static str {
        match self {
            Self::Instance => "an instance's session, whose name EC2 gives",
            Self::Function => "a function's session: every run of the function is denied",
            Self::Task => "an ECS task's session: the service starts another task",
            Self::Pod => "a pod's session by EKS Pod Identity",
            Self::ServiceAccount => "a service account's session by EKS",
            Self::Saml => "a person's session by SAML: disable the person at the identity provider",
            Self::WebIdentity => "a session by OpenID Connect: disable its owner at the provider",
            Self::Assumed => "a session that somebody assumed",
        }
    }
}

/// # Errors
/// A service-linked role or one of Identity Center cannot be changed from within the account.
pub fn session_of(path: &str, trust: Option<&Value>, session: &SessionName) -> Result<Session, Cannot> {
    if path.starts_with("/aws-service-role/") {
        return Err(Cannot::because(
            "service-linked-role",
            "a service-linked role cannot be changed; look at the service that it belongs to",
        ));
    }
    if path.starts_with("/aws-reserved/") {
        return Err(Cannot::because(
            "identity-center-role",
            "an Identity Center role cannot be changed from within the account; revoke the person's sessions or the assignment in Identity Center",
        ));
    }
    let trusted = trust.map(Trust::read).unwrap_or_else(Trust::unknown);
    let kind = trusted.kind(session);
    // EC2 and Lambda name their sessions themselves. Where anybody else is trusted too, he names his own, also like an instance.
    let is_fixed = matches!(kind, SessionKind::Instance | SessionKind::Function) && trusted.others.is_empty();
    let again = if is_fixed { BTreeSet::new() } else { trusted.all() };
    Ok(Session { kind, again })
}

/// Whom the trust policy of a role lets in.
#[derive(Debug, Default)]
struct Trust {
    services: BTreeSet<String>,
    /// Accounts, users, roles, identity providers, `*`, and what could not be read.
    others: BTreeSet<String>,
}

impl Trust {
    fn unknown() -> Self {
        Self {
            others: ["somebody whom the trust policy names, which could not be read".to_owned()].into(),
            ..Self::default()
        }
    }

    fn read(document: &Value) -> Self {
        let mut found = Self::default();
        let statements = match document.get("Statement").unwrap_or(&Value::Null) {
            Value::Array(statements) => statements.as_slice(),
            one @ Value::Object(_) => std::slice::from_ref(one),
            _ => return Self::unknown(),
        };
        for statement in
            statements.iter().filter(|statement| statement.get("Effect").is_some_and(|effect| effect == "Allow"))
        {
            match statement.get("Principal").unwrap_or(&Value::Null) {
                Value::Object(principals) => {
                    for (kind, names) in principals {
                        let names = match names {
                            Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                            Value::String(name) => vec![name.clone()],
                            _ => Vec::new(),
                        };
                        let set = if kind == "Service" { &mut found.services } else { &mut found.others };
                        set.extend(names);
                    }
                }
                // `"*"`, or NotPrincipal: everybody but some.
                _ => found.others.extend(["*".to_owned()]),
            }
        }
        found
    }

    fn kind(&self, session: &SessionName) -> SessionKind {
        let service = |name: &str| self.services.iter().any(|service| service.split('.').next() == Some(name));
        let provider = |part: &str| self.others.iter().any(|other| other.contains(part));
        if service("ec2") && InstanceId::parse(session.as_str()).is_ok() {
            SessionKind::Instance
        } else if service("lambda") {
            SessionKind::Function
        } else if service("ecs-tasks") {
            SessionKind::Task
        } else if service("pods") {
            SessionKind::Pod
        } else if provider(":oidc-provider/oidc.eks.") {
            SessionKind::ServiceAccount
        } else if provider(":saml-provider/") {
            SessionKind::Saml
        } else if provider(":oidc-provider/") || provider("cognito-identity") || provider("accounts.google.com") {
            SessionKind::WebIdentity
        } else {
            SessionKind::Assumed
        }
    }

    fn all(&self) -> BTreeSet<String> {
        self.services.iter().chain(&self.others).map(|name| crate::domain::Text::new(name).to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn whose_is(kind: &UserType, name: &str, id: &str, key: Option<&str>, issuer: Option<(&str, &str)>) -> String {
        let key = key.map(|key| AccessKeyId::parse(key).unwrap());
        let identity = Identity { kind, principal_id: id, name, key: key.as_ref(), issuer };
        match whose(&identity) {
            Ok(Principal::User { name, id }) => format!("user {name} {id}"),
            Ok(Principal::Session { role, id, session }) => format!("session {role} {id}:{session}"),
            Err(cannot) => cannot.code.to_owned(),
        }
    }

    /// One row an identity of the table in the design's notes, each with a twin that is nearly one.
    #[test]
    fn everybody_who_acts_is_somebody_to_contain_or_a_reason_why_not() {
        use UserType as U;
        let (user, role) = ("AIDACKCEVSQ6C2EXAMPLE", "AROACKCEVSQ6C2EXAMPLE");
        let of = |id: &str, session: &str| format!("{id}:{session}");
        let (long, temporary) = (Some("AKIAIOSFODNN7EXAMPLE"), Some("ASIAIOSFODNN7EXAMPLE"));
        let both = format!("user deploy {user}");
        for (kind, name, id, key, issuer, expected) in [
            // An IAM user by a long-term key, by GetSessionToken (a temporary key), by the console (none).
            (U::IamUser, "deploy", user.to_owned(), long, None, both.as_str()),
            (U::IamUser, "deploy", user.to_owned(), temporary, None, both.as_str()),
            (U::IamUser, "deploy", user.to_owned(), None, None, both.as_str()),
            (U::IamUser, "deploy", role.to_owned(), long, None, "no-unique-id"),
            (U::IamUser, "deploy", String::new(), long, None, "no-unique-id"),
            (U::IamUser, "a/../b", user.to_owned(), long, None, "no-user-name"),
            // A federated user is the IAM user who made the session.
            (U::FederatedUser, "bob", "111122223333:bob".to_owned(), temporary, Some(("deploy", user)), both.as_str()),
            (U::FederatedUser, "bob", "111122223333:bob".to_owned(), temporary, None, "federated-user"),
            (U::FederatedUser, "bob", "111122223333:bob".to_owned(), temporary, Some(("deploy", role)), "no-unique-id"),
            // A role's session is its unique id and its name; a user of the role's name is somebody else.
            (
                U::AssumedRole,
                "web",
                of(role, "i-0a1b2c3d"),
                temporary,
                None,
                "session web AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3d",
            ),
            (
                U::AssumedRole,
                "web",
                of(role, "me@example.com"),
                temporary,
                None,
                "session web AROACKCEVSQ6C2EXAMPLE:me@example.com",
            ),
            (U::AssumedRole, "web", role.to_owned(), temporary, None, "no-unique-id"),
            (U::AssumedRole, "web", of(role, "a\"b"), temporary, None, "no-unique-id"),
            (U::AssumedRole, "web", of(user, "me"), temporary, None, "no-unique-id"),
            (U::AssumedRole, "", of(role, "me"), temporary, None, "no-role-name"),
            // Who cannot be contained from here.
            (U::Root, "root", "111122223333".to_owned(), long, None, "root"),
            (U::AwsService, "ec2.amazonaws.com", String::new(), None, None, "aws-service"),
            (U::AwsAccount, "ANONYMOUS_PRINCIPAL", String::new(), None, None, "another-account"),
            (U::AwsAccount, "web", of(role, "me"), temporary, None, "another-account"),
            (U::Directory, "bob", "d-1".to_owned(), None, None, "directory"),
            (U::Unknown, "deploy", user.to_owned(), long, None, "unknown-identity"),
        ] {
            assert_eq!(whose_is(&kind, name, &id, key, issuer), expected, "{kind:?} {name} {id}");
        }
    }

    #[test]
    fn a_session_is_what_its_roles_path_and_trust_make_it() {
        use SessionKind as K;
        let service = |name: &str| json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": name}, "Action": "sts:AssumeRole"}]});
        let account = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}});
        let federated = |arn: &str| json!({"Statement": [{"Effect": "Allow", "Principal": {"Federated": arn}}]});
        let both = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com"]}},
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/mallory"}}]});
        let denied = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}, {"Effect": "Deny", "Principal": "*"}]});
        for (path, trust, session, kind, again) in [
            ("/", Some(service("ec2.amazonaws.com")), "i-0a1b2c3d", Ok(K::Instance), 0),
            ("/", Some(service("ec2.amazonaws.com.cn")), "i-0a1b2c3d", Ok(K::Instance), 0),
            ("/", Some(denied), "i-0a1b2c3d", Ok(K::Instance), 0),
            // A name like an instance's that somebody chose.
            ("/", Some(both), "i-0a1b2c3d", Ok(K::Instance), 2),
            ("/", Some(account.clone()), "i-0a1b2c3d", Ok(K::Assumed), 1),
            ("/", Some(service("ec2.amazonaws.com")), "me", Ok(K::Assumed), 1),
            ("/", Some(service("lambda.amazonaws.com")), "thumbnails", Ok(K::Function), 0),
            ("/", Some(service("ecs-tasks.amazonaws.com")), "0123456789abcdef", Ok(K::Task), 1),
            ("/", Some(service("pods.eks.amazonaws.com")), "eks-prod-web-1", Ok(K::Pod), 1),
            (
                "/",
                Some(federated("arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/AB")),
                "botocore-session-1",
                Ok(K::ServiceAccount),
                1,
            ),
            (
                "/",
                Some(federated("arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com")),
                "gh",
                Ok(K::WebIdentity),
                1,
            ),
            ("/", Some(federated("arn:aws:iam::111122223333:saml-provider/corp")), "me@example.com", Ok(K::Saml), 1),
            ("/team/", Some(account), "me", Ok(K::Assumed), 1),
            (
                "/",
                Some(json!({"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": "x"}}]})),
                "me",
                Ok(K::Assumed),
                1,
            ),
            ("/", Some(json!("no policy")), "i-0a1b2c3d", Ok(K::Assumed), 1),
            ("/", None, "i-0a1b2c3d", Ok(K::Assumed), 1),
            ("/aws-service-role/elasticloadbalancing.amazonaws.com/", None, "elb", Err("service-linked-role"), 0),
            ("/aws-reserved/sso.amazonaws.com/eu-west-1/", None, "me", Err("identity-center-role"), 0),
            ("/not-aws-reserved/", None, "me", Ok(K::Assumed), 1),
        ] {
            let name = SessionName::parse(session).unwrap();
            let found = session_of(path, trust.as_ref(), &name);
            let shown = found.as_ref().map(|found| found.kind).map_err(|cannot| cannot.code);
            assert_eq!(shown, kind, "{path} {trust:?} {session}");
            assert_eq!(found.map_or(0, |found| found.again.len()), again, "{path} {trust:?} {session}");
        }
    }
}
