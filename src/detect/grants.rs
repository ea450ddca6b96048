//! What policies grant, and whom a call shares something with.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeSet;

/// Managed policies of AWS that grant what an administrator has, or let him who has them take it.
const ADMIN_POLICIES: [&str; 3] = ["AdministratorAccess", "IAMFullAccess", "PowerUserAccess"];

/// Whoever may do one of these on anything can make himself an administrator (Rhino Security Labs, "AWS IAM privilege escalation").
const ESCALATING: [&str; 16] = [
    "iam:addusertogroup",
    "iam:attachgrouppolicy",
    "iam:attachrolepolicy",
    "iam:attachuserpolicy",
    "iam:createaccesskey",
    "iam:createloginprofile",
    "iam:createpolicyversion",
    "iam:passrole",
    "iam:putgrouppolicy",
    "iam:putrolepolicy",
    "iam:putuserpolicy",
    "iam:setdefaultpolicyversion",
    "iam:updateassumerolepolicy",
    "iam:updateloginprofile",
    "sts:assumerole",
    "lambda:updatefunctioncode",
];

/// Whoever may do all of these has all of IAM.
const SENTINELS: [&str; 3] = ["iam:attachuserpolicy", "iam:createpolicyversion", "iam:deleterole"];

/// What the policies in a call's parameters say, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// All actions on all resources, or all of IAM.
    pub is_admin: bool,
    /// An action by which one makes himself an administrator, on anything.
    pub escalates: bool,
    /// Anybody, without a condition that narrows it.
    pub is_public: bool,
    /// Other accounts that are let in.
    pub accounts: BTreeSet<String>,
    /// There is one at all.
    pub has_policy: bool,
}

/// Members of parameters that hold a policy, as text or as an object.
const DOCUMENTS: [&str; 14] = [
    "attributeValue",
    "policyInJson",
    "policyDocument",
    "PolicyDocument",
    "assumeRolePolicyDocument",
    "policy",
    "Policy",
    "bucketPolicy",
    "resourcePolicy",
    "policyText",
    "accessPolicies",
    "keyPolicy",
    "inlinePolicy",
    "fileSystemPolicy",
];

/// Of the parameters of a call in that account.
pub fn granted(parameters: &Value, own: Option<&str>) -> Granted {
    let mut granted = Granted::default();
    walk(parameters, own, &mut granted, 0);
    granted
}

fn walk(value: &Value, own: Option<&str>, granted: &mut Granted, depth: usize) {
    if depth > 6 {
        return;
    }
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    _ if DOCUMENTS.contains(&name.as_str()) => {
                        match document(value) {
                            Some(document) if document.get("Statement").is_some() => read(&document, own, granted),
                            // A policy within a policy, as S3 Glacier has it.
                            Some(document) => walk(&document, own, granted, depth + 1),
                            None => {}
                        }
                    }
                    Value::String(arn)
                        if ["policyArn", "managedPolicyArn"].iter().any(|known| name.eq_ignore_ascii_case(known)) =>
                    {
                        granted.is_admin |= is_admin_policy(arn);
                    }
                    other => walk(other, own, granted, depth + 1),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, own, granted, depth + 1)),
        _ => {}
    }
}

fn is_admin_policy(arn: &str) -> bool {
    arn.rsplit_once('/').is_some_and(|(before, name)| before.contains(":aws:policy") && ADMIN_POLICIES.contains(&name))
}

/// As an object, as text, or as text with percent signs.
fn document(value: &Value) -> Option<Value> {
    match value {
        Value::Object(_) => Some(value.clone()),
        Value::String(text) => serde_json::from_str(text).ok().or_else(|| {
            let decoded = percent_decode_str(text).decode_utf8().ok()?;
            serde_json::from_str(&decoded).ok()
        }),
        _ => None,
    }
}

fn read(document: &Value, own: Option<&str>, granted: &mut Granted) {
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => return,
    };
    granted.has_policy = true;
    for statement in
        statements.iter().filter(|statement| statement.get("Effect").is_some_and(|effect| effect == "Allow"))
    {
        let actions: Vec<String> = texts(statement.get("Action")).map(str::to_lowercase).collect();
        // Whoever may do it to any user or role may do it to himself.
        let on_all = texts(statement.get("Resource")).any(|on| {
            let account = own.unwrap_or("000000000000");
            let of_account = ["role", "user"].map(|kind| format!("arn:aws:iam::{account}:{kind}/some"));
            of_account.iter().any(|one| is_like(on, one)) || is_like(on, "arn:aws:s3:::some")
        }) || statement.get("NotResource").is_some();
        let all_but = statement.get("NotAction").is_some();
        // A role that only one service gets is what deployments pass all day.
        let to_service = statement
            .get("Condition")
            .is_some_and(|condition| condition.to_string().to_lowercase().contains("iam:passedtoservice"));
        let matches = |wanted: &str| {
            !(to_service && wanted == "iam:passrole") && actions.iter().any(|pattern| is_like(pattern, wanted))
        };
        granted.is_admin |= on_all
            && (all_but || SENTINELS.iter().all(|action| actions.iter().any(|pattern| is_like(pattern, action))));
        granted.escalates |= on_all && (all_but || ESCALATING.iter().any(|action| matches(action)));
        let principal = statement.get("Principal");
        if is_anybody(principal) || statement.get("NotPrincipal").is_some() {
            granted.is_public |= !narrows(statement.get("Condition"));
            granted.accounts.extend(condition_accounts(statement.get("Condition"), own));
        }
        let let_in = |kind: &str| texts(principal.and_then(|principal| principal.get(kind)));
        granted.accounts.extend(let_in("AWS").filter_map(account_of).filter(|account| Some(account.as_str()) != own));
        // By an id that does not say whose it is: S3's canonical one, or a unique id of IAM, which AWS writes where the principal is gone.
        let is_bare = |who: &&str| ["AIDA", "AROA"].iter().any(|start| who.starts_with(start));
        granted.accounts.extend(let_in("CanonicalUser").chain(let_in("AWS").filter(is_bare)).map(str::to_owned));
        // Whoever has an account with one of these can sign in, unless a condition says who.
        let is_open = |who: &str| {
            ["accounts.google.com", "graph.facebook.com", "www.amazon.com", "cognito-identity.amazonaws.com"]
                .contains(&who)
        };
        granted.is_public |= let_in("Federated").any(is_open) && statement.get("Condition").is_none();
    }
}

/// `iam:Put*` against `iam:putrolepolicy`, with `?` for one character. Linear in practice: of the stars only the last is gone back to.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// One text or a list.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let one = value.and_then(Value::as_str);
    let many = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

fn is_anybody(principal: Option<&Value>) -> bool {
    let aws = principal.and_then(|principal| principal.get("AWS"));
    texts(principal).chain(texts(aws)).any(|who| who == "*")
}

/// Keys of conditions by which a grant to anybody is one to somebody (IAM user guide, "The meaning of public").
const NARROWING: [&str; 16] = [
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "elasticfilesystem:accessedviamounttarget",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:userid",
    "aws:username",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "kms:calleraccount",
    "s3:dataaccesspointaccount",
];

/// Operators by which a key that is there and equal to something is asked for; the others are also true of everybody else, or where it is missing.
const ASKING: [&str; 8] = [
    "stringequals",
    "stringequalsignorecase",
    "stringlike",
    "arnequals",
    "arnlike",
    "ipaddress",
    "bool",
    "foranyvalue:stringequals",
];

fn narrows(condition: Option<&Value>) -> bool {
    let operators = condition.and_then(Value::as_object).into_iter().flatten();
    let asking = operators.filter(|(operator, _)| ASKING.contains(&operator.to_lowercase().as_str()));
    let mut keys = asking.filter_map(|(_, keys)| keys.as_object()).flatten();
    keys.any(|(key, value)| {
        let key = key.to_lowercase();
        NARROWING.contains(&key.as_str()) && texts_and_booleans(value) && !texts(Some(value)).any(is_anything)
            || key == "aws:sourceip" && !super::network::opened(&cidrs(value)).world
    })
}

fn texts_and_booleans(value: &Value) -> bool {
    !value.is_null() && *value != Value::Array(Vec::new())
}

/// A pattern that many accounts fit: `*`, `arn:aws:*`, `A*`; one may stand behind the account or a whole id.
fn is_anything(value: &str) -> bool {
    match value.find(['*', '?']) {
        None => false,
        Some(at) => account_of(value).is_none() && at < 16,
    }
}

fn cidrs(value: &Value) -> Value {
    texts(Some(value)).map(|cidr| serde_json::json!({"cidrIp": cidr})).collect()
}

fn condition_accounts(condition: Option<&Value>, own: Option<&str>) -> BTreeSet<String> {
    let operators = condition.and_then(Value::as_object).into_iter().flatten();
    let keys = operators.filter_map(|(_, keys)| keys.as_object()).flatten();
    let named = keys.filter(|(key, _)| {
        let key = key.to_lowercase();
        key.ends_with("account") || key.ends_with("principalarn")
    });
    named
        .flat_map(|(_, value)| texts(Some(value)))
        .filter_map(account_of)
        .filter(|account| Some(account.as_str()) != own)
        .collect()
}

/// The account of `444455556666` or of an ARN.
pub fn account_of(text: &str) -> Option<String> {
    let part = if text.starts_with("arn:") { text.split(':').nth(4)? } else { text };
    (part.len() == 12 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.to_owned())
}

/// Whom a call shares a snapshot, an image, a document with: `all`, and accounts other than its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    pub publicly: bool,
    pub accounts: BTreeSet<String>,
}

/// Members that take somebody away again.
const REMOVED: [&str; 5] = ["remove", "Remove", "valuesToRemove", "accountIdsToRemove", "AccountIdsToRemove"];

/// Of ModifySnapshotAttribute, ModifyImageAttribute, ModifyDBSnapshotAttribute, ModifyDocumentPermission, AddPermission and their like.
pub fn shared(parameters: &Value, own: Option<&str>) -> Shared {
    let mut shared = Shared::default();
    share(parameters, false, own, &mut shared, 0);
    shared
}

fn share(value: &Value, names: bool, own: Option<&str>, shared: &mut Shared, depth: usize) {
    match value {
        _ if depth > 12 => {}
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(name, _)| !REMOVED.contains(&name.as_str())) {
                let lower = name.to_lowercase();
                let names_somebody = names
                    || ["userid", "account", "group", "valuestoadd", "sourcearn", "consumeridentifier"]
                        .iter()
                        .any(|part| lower.starts_with(part) || lower.ends_with(part))
                    || ["accountid", "principal", "x-amz-acl", "x-amz-grant"].iter().any(|part| lower.contains(part))
                    || lower == "uri";
                share(value, names_somebody, own, shared, depth + 1);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| share(item, names, own, shared, depth + 1)),
        Value::String(text) if names => {
            let is_all = ["all", "*", "public-read", "public-read-write", "authenticated-read"]
                .contains(&text.to_lowercase().as_str())
                || text.contains("/global/AllUsers")
                || text.contains("/global/AuthenticatedUsers");
            shared.publicly |= is_all;
            shared.accounts.extend(account_of(text).filter(|account| Some(account.as_str()) != own));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OWN: Option<&str> = Some("111122223333");

    #[test]
    fn what_a_policy_grants() {
        let policy = |statement: Value| json!({"policyDocument": json!({"Version": "2012-10-17", "Statement": statement}).to_string()});
        let allow =
            |action: Value, resource: Value| policy(json!({"Effect": "Allow", "Action": action, "Resource": resource}));
        let trust = |principal: Value, condition: Value| {
            policy(
                json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": condition}]),
            )
        };
        for (parameters, is_admin, escalates, is_public, accounts) in [
            (allow(json!("*"), json!("*")), true, true, false, vec![]),
            (allow(json!(["s3:Get*", "iam:Put*"]), json!("*")), false, true, false, vec![]),
            (allow(json!("iam:*"), json!("*")), true, true, false, vec![]),
            (allow(json!("s3:*"), json!("*")), false, false, false, vec![]),
            (allow(json!("iam:PassRole"), json!("arn:aws:iam::111122223333:role/x")), false, false, false, vec![]),
            (policy(json!({"Effect": "Deny", "Action": "*", "Resource": "*"})), false, false, false, vec![]),
            (policy(json!({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"})), true, true, false, vec![]),
            (trust(json!("*"), json!(null)), false, false, true, vec![]),
            (
                trust(json!({"AWS": "*"}), json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}})),
                false,
                false,
                false,
                vec![],
            ),
            (
                trust(json!({"AWS": "*"}), json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})),
                false,
                false,
                true,
                vec![],
            ),
            (
                trust(json!({"AWS": "*"}), json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}})),
                false,
                false,
                false,
                vec![],
            ),
            (
                trust(
                    json!({"AWS": ["arn:aws:iam::444455556666:root", "arn:aws:iam::111122223333:user/x"]}),
                    json!(null),
                ),
                false,
                false,
                false,
                vec!["444455556666"],
            ),
            (trust(json!({"Service": "ec2.amazonaws.com"}), json!(null)), false, false, false, vec![]),
            (json!({"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}), true, false, false, vec![]),
            (json!({"policyArn": "arn:aws:iam::111122223333:policy/AdministratorAccess"}), false, false, false, vec![]),
            (
                json!({"policyDocument": "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D"}),
                true,
                true,
                false,
                vec![],
            ),
            (json!({"policyDocument": "no policy"}), false, false, false, vec![]),
            (allow(json!("iam:?*"), json!("*")), true, true, false, vec![]),
            (
                allow(json!("iam:*"), json!(["arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:user/*"])),
                true,
                true,
                false,
                vec![],
            ),
            (allow(json!("iam:**********!"), json!("*")), false, false, false, vec![]),
            (trust(json!("*"), json!({"StringLike": {"aws:PrincipalArn": "arn:aws:*"}})), false, false, true, vec![]),
            (trust(json!("*"), json!({"StringNotLike": {"aws:PrincipalArn": "x"}})), false, false, true, vec![]),
            (
                trust(json!("*"), json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}})),
                false,
                false,
                false,
                vec![],
            ),
            (trust(json!({"CanonicalUser": "79a59df9"}), json!(null)), false, false, false, vec!["79a59df9"]),
            (
                policy(
                    json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": "accounts.google.com"}}),
                ),
                false,
                false,
                true,
                vec![],
            ),
        ] {
            let granted = granted(&parameters, OWN);
            let accounts: BTreeSet<String> = accounts.into_iter().map(str::to_owned).collect();
            assert_eq!(
                (granted.is_admin, granted.escalates, granted.is_public, granted.accounts),
                (is_admin, escalates, is_public, accounts),
                "{parameters}"
            );
        }
    }

    #[test]
    fn whom_something_is_shared_with() {
        for (parameters, publicly, accounts) in [
            (
                json!({"snapshotId": "snap-1", "createVolumePermission": {"add": {"items": [{"userId": "444455556666"}]}}}),
                false,
                vec!["444455556666"],
            ),
            (json!({"createVolumePermission": {"add": {"items": [{"group": "all"}]}}}), true, vec![]),
            (json!({"createVolumePermission": {"remove": {"items": [{"group": "all"}]}}}), false, vec![]),
            (json!({"launchPermission": {"add": {"items": [{"userId": "111122223333"}]}}}), false, vec![]),
            (
                json!({"dBSnapshotIdentifier": "x", "attributeName": "restore", "valuesToAdd": ["444455556666"]}),
                false,
                vec!["444455556666"],
            ),
            (json!({"valuesToAdd": ["all"], "valuesToRemove": ["444455556666"]}), true, vec![]),
            (json!({"accountIdsToAdd": ["all"], "permissionType": "Share"}), true, vec![]),
            (json!({"principal": "*", "functionName": "f"}), true, vec![]),
            (json!({"principal": "arn:aws:iam::444455556666:root"}), false, vec!["444455556666"]),
            (json!({"principals": ["444455556666"]}), false, vec!["444455556666"]),
            (
                json!({"AccessControlPolicy": {"AccessControlList": {"Grant": {"Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}}}}}),
                true,
                vec![],
            ),
            (json!({"functionName": "123456789012"}), false, vec![]),
        ] {
            let shared = shared(&parameters, OWN);
            let accounts: BTreeSet<String> = accounts.into_iter().map(str::to_owned).collect();
            assert_eq!((shared.publicly, shared.accounts), (publicly, accounts), "{parameters}");
        }
    }
}
