//! The actors and resources of an attack sequence (`service.detection.sequence`; members after botocore's shape `Sequence`). A sequence has no
//! resource of its own: what it is about is in here.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{cursor::Cursor, identity};
use crate::domain::{AccessKeyId, AccessKeyResource, Gap, InstanceId, InstanceResource, Resource, Text, UserType};

/// Resources and actors that are read of one sequence; GuardDuty names at most 400 of each.
const MOST_MEMBERS: usize = 400;

/// Whom and what it names. What lies in another account is named, and nothing more.
pub fn members(at: Cursor<'_>, account: Option<&str>, gaps: &mut Vec<Gap>) -> Vec<Resource> {
    let actors = at.get("actors").items().take(MOST_MEMBERS).filter_map(|actor| actor_of(actor, account));
    let mut found: Vec<Resource> = actors.collect();
    let resources = at.get("resources").items().take(MOST_MEMBERS);
    found.extend(resources.filter_map(|resource| resource_of(resource, account, gaps)));
    let mut seen: Vec<Resource> = Vec::with_capacity(found.len());
    for resource in found {
        if !seen.contains(&resource) {
            seen.push(resource);
        }
    }
    seen
}

fn actor_of(at: Cursor<'_>, account: Option<&str>) -> Option<Resource> {
    let user = at.get("user");
    let kind = user.get("type").str().map_or(UserType::Unknown, identity::user_type);
    let principal = principal(user.get("uid").str(), at.get("id").str());
    let home = user.path("account.uid").str();
    let role = at.path("session.issuer").str().and_then(|issuer| issuer.rsplit_once(":role/"));
    let role = role.and_then(|(_, path)| path.rsplit('/').next());
    let name = match (&kind, role) {
        (UserType::AssumedRole, Some(role)) => role,
        _ => user.get("name").str().unwrap_or_default(),
    };
    if home.is_some() && account.is_some() && home != account {
        return Some(elsewhere("principal", name, home));
    }
    user.exists().then(|| {
        Resource::AccessKey(AccessKeyResource {
            key: user.get("credentialUid").str().and_then(|key| AccessKeyId::parse(key).ok()),
            principal_id: Text::new(principal),
            name: Text::new(name),
            user_type: kind,
        })
    })
}

/// `AROA…:session` stands in one of two places: alone, or at the end of `user:AssumedRole:AROA…:session`.
fn principal<'a>(uid: Option<&'a str>, id: Option<&'a str>) -> &'a str {
    let uid = uid.unwrap_or_default();
    if uid.contains(':') || !uid.starts_with("AROA") {
        return uid;
    }
    let whole = id.and_then(|id| id.find(uid).and_then(|at| id.get(at..)));
    whole.filter(|whole| whole.contains(':')).unwrap_or(uid)
}

fn resource_of(at: Cursor<'_>, account: Option<&str>, gaps: &mut Vec<Gap>) -> Option<Resource> {
    let kind = at.get("resourceType").str()?;
    let uid = at.get("uid").str()?;
    let home = at.get("accountId").str();
    // An ARN or a bare id: which of them is not documented.
    let bare = uid.rsplit(['/', ':']).next().unwrap_or(uid);
    if home.is_some() && account.is_some() && home != account {
        return Some(elsewhere(kind, bare, home));
    }
    match kind {
        "EC2_INSTANCE" => match InstanceId::parse(bare) {
            Ok(id) => Some(Resource::Instance(InstanceResource { id, profile: None, vpc: None })),
            Err(error) => {
                gaps.push(Gap { field: "service.detection.sequence.resources", problem: error.to_string() });
                None
            }
        },
        "ACCESS_KEY" => {
            let key = at.path("data.accessKey");
            key.exists().then(|| {
                Resource::AccessKey(AccessKeyResource {
                    key: AccessKeyId::parse(bare).ok(),
                    principal_id: key.get("principalId").text().unwrap_or_default(),
                    name: key.get("userName").text().unwrap_or_default(),
                    user_type: key.get("userType").str().map_or(UserType::Unknown, identity::user_type),
                })
            })
        }
        other => Some(Resource::Named {
            what: Text::new(&other.replace('_', " ").to_lowercase()),
            name: at.get("name").text().unwrap_or_else(|| Text::new(uid)),
        }),
    }
}

fn elsewhere(what: &str, name: &str, home: Option<&str>) -> Resource {
    let what = format!("{} of account {}", what.replace('_', " ").to_lowercase(), home.unwrap_or_default());
    Resource::Named { what: Text::new(&what), name: Text::new(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_taken_bare_or_out_of_arns_and_what_is_elsewhere_is_only_named() {
        let sequence = json!({
            "actors": [
                {"id": "user:AssumedRole:AROACKCEVSQ6C2EXAMPLE:me", "user": {"name": "me", "uid": "AROACKCEVSQ6C2EXAMPLE", "type": "AssumedRole",
                    "account": {"uid": "111122223333"}}, "session": {"issuer": "arn:aws:iam::111122223333:role/team/app"}},
                {"id": "x", "user": {"name": "eve", "uid": "AIDACKCEVSQ6C2EXAMPLE", "type": "IAMUser", "account": {"uid": "444455556666"}}},
                {"id": "process only"}],
            "resources": [
                {"uid": "arn:aws:ec2:us-east-1:111122223333:instance/i-0a1b2c3d", "resourceType": "EC2_INSTANCE", "accountId": "111122223333"},
                {"uid": "i-0a1b2c3d", "resourceType": "EC2_INSTANCE"},
                {"uid": "i-not-one", "resourceType": "EC2_INSTANCE"},
                {"uid": "AKIAIOSFODNN7EXAMPLE", "resourceType": "ACCESS_KEY",
                    "data": {"accessKey": {"principalId": "AIDACKCEVSQ6C2EXAMPLE", "userName": "deploy", "userType": "IAMUser"}}},
                {"uid": "arn:aws:s3:::exports", "name": "exports", "resourceType": "S3_BUCKET"},
                {"uid": "i-0a1b2c3e", "resourceType": "EC2_INSTANCE", "accountId": "444455556666"},
                {"resourceType": "EC2_INSTANCE"}, 7]});
        let mut gaps = Vec::new();
        let found = members(Cursor::new(&sequence), Some("111122223333"), &mut gaps);
        let shown: Vec<String> = found
            .iter()
            .map(|resource| match resource {
                Resource::Instance(instance) => instance.id.to_string(),
                Resource::AccessKey(key) => format!("{} {}", key.name, key.principal_id),
                Resource::Named { what, name } => format!("{what}: {name}"),
                Resource::Object(_) | Resource::Other { .. } => "other".to_owned(),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "app AROACKCEVSQ6C2EXAMPLE:me",
                "principal of account 444455556666: eve",
                "i-0a1b2c3d",
                "deploy AIDACKCEVSQ6C2EXAMPLE",
                "s3 bucket: exports",
                "ec2 instance of account 444455556666: i-0a1b2c3e",
            ]
        );
        assert_eq!(gaps.len(), 1);
    }
}
