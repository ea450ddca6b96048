//! What a principal did since he was first seen, by CloudTrail's event history: looked at after the cut, for people and for what it suggests.

use super::trail::{self, By, Looked, Window};
use crate::{
    aws::{Aws, AwsError},
    domain::{AccessKeyId, InstanceId, Investigation, Region, RoleName, Target, Text, Timestamp, UserId, UserName},
};
use futures::future::try_join_all;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// Fifty calls a page, two pages a second.
const MOST_PAGES: usize = 2;
/// Where the finding does not say since when.
const LOOK_BACK: Duration = Duration::from_secs(60 * 60);
const MOST: usize = Investigation::MOST;

/// A principal as CloudTrail names him: the name to look up, and the id that must agree.
pub fn principal(target: &Target) -> Option<(String, String)> {
    match target {
        Target::User { name, id, .. } => Some((name.to_string(), id.to_string())),
        Target::RoleSession { id, session, .. } => Some((session.to_string(), format!("{id}:{session}"))),
        _ => None,
    }
}

/// In Cordon's own region and in us-east-1, where IAM's calls are.
///
/// # Errors
/// Where CloudTrail does not answer.
pub async fn investigate(
    aws: &Aws,
    target: &Target,
    since: Option<Timestamp>,
) -> Result<Option<Investigation>, AwsError> {
    let Some((name, id)) = principal(target) else { return Ok(None) };
    let now = aws.now();
    let from = since.filter(|since| *since < now).unwrap_or(now.minus(LOOK_BACK));
    let window = Window { from, until: None };
    let regions = trail::regions(aws, None);
    let looked =
        try_join_all(regions.iter().map(|region| trail::look_up(aws, region, By::Name(&name), window, MOST_PAGES)))
            .await?;
    Ok(Some(folded(from, &id, looked)))
}

fn folded(from: Timestamp, id: &str, looked: Vec<Looked>) -> Investigation {
    let is_cut = looked.iter().any(|one| one.is_cut);
    let mut found = Investigation { from, is_cut, ..Investigation::default() };
    let mut calls: BTreeMap<String, u32> = BTreeMap::new();
    for record in looked.into_iter().flat_map(|one| one.records) {
        let at = |path: &str| record.pointer(path).and_then(Value::as_str);
        // Sessions of other roles may have the same name.
        if at("/userIdentity/principalId") != Some(id) {
            continue;
        }
        found.calls += 1;
        *calls.entry(at("/eventName").unwrap_or_default().to_owned()).or_default() += 1;
        let address = Text::new(at("/sourceIPAddress").unwrap_or_default());
        if !address.as_str().is_empty() && !found.from_addresses.contains(&address) && found.from_addresses.len() < MOST
        {
            found.from_addresses.push(address);
        }
        if record.get("errorCode").is_some_and(|code| !code.is_null()) {
            found.failed += 1;
            continue;
        }
        let Some(made) = made(&record) else { continue };
        // All of them, however many are shown: each would else take a place that others need.
        found.made_users.extend(made.user);
        if found.made.len() < MOST && !found.made.contains(&made.what) {
            found.made.push(made.what);
            found.suggests.extend(made.command.filter(|command| !found.suggests.contains(command)));
        }
    }
    let mut by_count: Vec<(String, u32)> = calls.into_iter().collect();
    by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    found.most = by_count.into_iter().take(MOST).map(|(name, count)| (Text::new(&name), count)).collect();
    found
}

/// Something that stays.
struct Made {
    what: Text,
    /// How it is looked at or contained; of ids of their grammar only.
    command: Option<String>,
    user: Option<UserId>,
}

fn made(record: &Value) -> Option<Made> {
    let said = |name: &str| record.pointer(&format!("/requestParameters/{name}")).and_then(Value::as_str);
    let answered = |path: &str| record.pointer(&format!("/responseElements/{path}")).and_then(Value::as_str);
    let user = || UserName::parse(said("userName")?).ok();
    let one = |what: String, command: Option<String>| Made { what: Text::new(&what), command, user: None };
    let contain = |name: &UserName| format!("cordon contain user {name} --because 'made by whoever is contained'");
    Some(match record.get("eventName")?.as_str()? {
        "CreateUser" => Made {
            user: answered("user/userId").and_then(|id| UserId::parse(id).ok()),
            ..one(format!("user {}", said("userName")?), user().as_ref().map(contain))
        },
        "CreateAccessKey" => {
            let key = answered("accessKey/accessKeyId").and_then(|key| AccessKeyId::parse(key).ok())?;
            let whose = answered("accessKey/userName").or(said("userName")).unwrap_or("himself");
            one(format!("access key {} of user {whose}", key.tail()), user().as_ref().map(contain))
        }
        "CreateLoginProfile" => one(format!("password of user {}", said("userName")?), user().as_ref().map(contain)),
        "CreateRole" => {
            let role = RoleName::parse(said("roleName")?).ok();
            one(format!("role {}", said("roleName")?), role.map(|role| format!("aws iam get-role --role-name {role}")))
        }
        "RunInstances" => {
            let items = record.pointer("/responseElements/instancesSet/items")?.as_array()?;
            let ids = items.iter().filter_map(|item| item.get("instanceId")?.as_str());
            let ids: Vec<InstanceId> = ids.filter_map(|id| InstanceId::parse(id).ok()).take(MOST).collect();
            let shown: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
            let because = "--because 'made by whoever is contained'";
            let region =
                record.get("awsRegion").and_then(Value::as_str).and_then(|region| Region::parse(region).ok())?;
            let command = ids.first().map(|id| format!("cordon contain instance {id} --region {region} {because}"));
            one(format!("instances {}", shown.join(", ")), command)
        }
        "CreatePolicy" | "CreatePolicyVersion" => {
            one(format!("policy {}", said("policyName").or(said("policyArn"))?), None)
        }
        "AttachUserPolicy" | "AttachRolePolicy" | "PutUserPolicy" | "PutRolePolicy" => {
            let whom = said("userName").or(said("roleName"))?;
            one(format!("policy {} for {whom}", said("policyArn").or(said("policyName"))?), None)
        }
        "CreateFunction20150331" | "CreateFunction" => one(format!("function {}", said("functionName")?), None),
        "CreateSAMLProvider" | "CreateOpenIDConnectProvider" => {
            one(format!("identity provider {}", said("name").or(said("url"))?), None)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_he_made_is_named_and_nothing_of_a_namesake() {
        let record = |id: &str, name: &str, parameters: Value, answer: Value, error: Value| {
            json!({"eventName": name, "sourceIPAddress": "198.51.100.23", "userIdentity": {"principalId": id},
                "requestParameters": parameters, "responseElements": answer, "errorCode": error})
        };
        let (eve, other) = ("AIDAEVEEVEEVEEVEEVE11", "AIDAOTHEROTHEROTHER1");
        let made = json!({"user": {"userId": "AIDABOBBOBBOBBOBBOB11"}});
        let key = json!({"accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "bob"}});
        let records = vec![
            record(eve, "CreateUser", json!({"userName": "bob"}), made, Value::Null),
            record(eve, "CreateAccessKey", json!({"userName": "bob"}), key, Value::Null),
            record(eve, "CreateUser", json!({"userName": "x; rm -rf /"}), Value::Null, Value::Null),
            record(eve, "CreateRole", json!({"roleName": "r"}), Value::Null, json!("AccessDenied")),
            record(eve, "ListUsers", Value::Null, Value::Null, Value::Null),
            record(other, "CreateUser", json!({"userName": "hers"}), Value::Null, Value::Null),
        ];
        let from = Timestamp::from_millis(0);
        let found = folded(from, eve, vec![Looked { records, is_cut: false }]);
        let made: Vec<&str> = found.made.iter().map(Text::as_str).collect();
        assert_eq!(made, ["user bob", "access key …MPLE of user bob", "user x; rm -rf /"]);
        assert_eq!((found.calls, found.failed, found.from_addresses.len()), (5, 1, 1));
        assert_eq!(found.suggests.len(), 1, "{:?}", found.suggests);
        assert!(found.suggests.iter().all(|command| !command.contains("rm -rf")));
        assert_eq!(found.made_users.iter().map(UserId::as_str).collect::<Vec<_>>(), ["AIDABOBBOBBOBBOBBOB11"]);
    }
}
