//! The command that takes back what a recorded call did. For a person: nothing runs it, and nothing stands in it that is not an id of its grammar.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{
    domain::{AccessKeyId, Arn, RoleName, UserName},
    ingest::{CallResult, Record},
};
use serde_json::Value;

/// The access key that the call made.
pub fn made_key(record: &Record) -> Option<AccessKeyId> {
    let made = record.raw.pointer("/responseElements/accessKey/accessKeyId")?.as_str()?;
    (record.result == CallResult::Done && record.name.as_str() == "CreateAccessKey").then_some(())?;
    AccessKeyId::parse(made).ok()
}

/// The user whose rights or ways in the call changed, where it is not the caller.
pub fn granted(record: &Record, is_on_self: bool) -> Option<UserName> {
    let is_done = record.result == CallResult::Done && record.service.as_str() == "iam.amazonaws.com";
    (is_done && !is_on_self && made_key(record).is_none()).then_some(())?;
    let said = |name: &str| record.raw.pointer(&format!("/requestParameters/{name}"))?.as_str();
    // Of UpdateUser the name that he has since.
    UserName::parse(said("newUserName").or(said("userName"))?).ok()
}

pub fn command(record: &Record) -> Option<String> {
    if record.result != CallResult::Done || record.service.as_str() != "iam.amazonaws.com" {
        return None;
    }
    let said = |name: &str| record.raw.pointer(&format!("/requestParameters/{name}")).and_then(Value::as_str);
    let user = || UserName::parse(said("userName")?).ok();
    let role = || RoleName::parse(said("roleName")?).ok();
    // Groups and policies are named as users and roles are.
    let group = || RoleName::parse(said("groupName")?).ok();
    let policy = || RoleName::parse(said("policyName")?).ok();
    let arn = || Arn::parse(said("policyArn")?).ok();
    Some(match record.name.as_str() {
        "AttachUserPolicy" => format!("aws iam detach-user-policy --user-name {} --policy-arn {}", user()?, arn()?),
        "AttachRolePolicy" => format!("aws iam detach-role-policy --role-name {} --policy-arn {}", role()?, arn()?),
        "AttachGroupPolicy" => format!("aws iam detach-group-policy --group-name {} --policy-arn {}", group()?, arn()?),
        "PutUserPolicy" => format!("aws iam delete-user-policy --user-name {} --policy-name {}", user()?, policy()?),
        "PutRolePolicy" => format!("aws iam delete-role-policy --role-name {} --policy-name {}", role()?, policy()?),
        "PutGroupPolicy" => {
            format!("aws iam delete-group-policy --group-name {} --policy-name {}", group()?, policy()?)
        }
        "AddUserToGroup" => format!("aws iam remove-user-from-group --user-name {} --group-name {}", user()?, group()?),
        "CreateLoginProfile" | "UpdateLoginProfile" => format!("aws iam delete-login-profile --user-name {}", user()?),
        "CreatePolicyVersion" | "SetDefaultPolicyVersion" => {
            format!("aws iam list-policy-versions --policy-arn {}", arn()?)
        }
        "UpdateAssumeRolePolicy" => format!("aws iam get-role --role-name {}", role()?),
        "CreateUser" => format!("aws iam get-user --user-name {}", user()?),
        "CreateRole" => format!("aws iam get-role --role-name {}", role()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Ingested, cloudtrail};
    use serde_json::json;

    #[test]
    fn a_command_is_made_of_ids_or_not_at_all() {
        let record = |name: &str, parameters: Value, answer: Value| {
            let raw = json!({"eventName": name, "eventSource": "iam.amazonaws.com", "recipientAccountId": "111122223333",
                "requestParameters": parameters, "responseElements": answer, "userIdentity": {"type": "IAMUser"}});
            match cloudtrail::record(raw) {
                Ingested::Record(record) => *record,
                other => panic!("{other:?}"),
            }
        };
        let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
        for (name, parameters, expected) in [
            (
                "AttachUserPolicy",
                json!({"userName": "eve", "policyArn": policy}),
                Some(
                    "aws iam detach-user-policy --user-name eve --policy-arn arn:aws:iam::aws:policy/AdministratorAccess",
                ),
            ),
            ("AttachUserPolicy", json!({"userName": "eve; rm -rf /", "policyArn": policy}), None),
            ("AttachUserPolicy", json!({"userName": "eve"}), None),
            ("PutRolePolicy", json!({"roleName": "app", "policyName": "$(id)"}), None),
            ("ListUsers", json!({}), None),
        ] {
            assert_eq!(
                command(&record(name, parameters.clone(), Value::Null)).as_deref(),
                expected,
                "{name} {parameters}"
            );
        }
        let made = json!({"accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "bob"}});
        assert!(made_key(&record("CreateAccessKey", json!({"userName": "bob"}), made.clone())).is_some());
        assert!(made_key(&record("GetUser", json!({}), made)).is_none());
    }
}
