//! The account as boto3 dumps it: what of it is shown, and whether it is as a containment must leave it. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

/// One line of the table. The first two cells say what it is about, the last how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub thing: String,
    pub part: String,
    pub value: String,
}

/// A claim about the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub claim: String,
    pub verdict: Result<(), String>,
}

/// The victims and the bystanders.
pub fn rows(ids: &Value, dump: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for whose in ["victim", "bystander"] {
        let (thing, instance) = (format!("instance {whose}"), text(&ids[whose]["instance"]));
        let tag = match dump["instances"][instance]["tags"]["cordon:incident"].as_str() {
            Some(incident) => format!("tagged {incident}"),
            None => "no tag".to_owned(),
        };
        rows.push(Row { thing: thing.clone(), part: instance.to_owned(), value: tag });
        for interface in texts(&ids[whose]["interfaces"]) {
            let groups: Vec<&str> = texts(&dump["network_interfaces"][interface]["groups"])
                .map(|group| text(&dump["security_groups"][group]["name"]))
                .collect();
            rows.push(Row { thing: thing.clone(), part: interface.to_owned(), value: groups.join(" + ") });
        }
    }
    let mut groups: Vec<_> = objects(&dump["security_groups"]).collect();
    groups.retain(|(_, group)| group["vpc"] == ids["vpc"] && group["name"] != "default");
    groups.sort_by_key(|(_, group)| text(&group["name"]));
    rows.extend(groups.into_iter().map(|(id, group)| Row {
        thing: format!("group {}", text(&group["name"])),
        part: id.clone(),
        value: rules(&group["rules"]),
    }));
    let role = &ids["victim"]["role"];
    rows.extend(policies(&format!("role {}", text(&role["name"])), &dump["roles"][text(&role["id"])]));
    for whose in ["user", "bystander_user"] {
        let (thing, user) = (format!("user {}", text(&ids[whose]["name"])), &dump["users"][text(&ids[whose]["id"])]);
        for (key, status) in objects(&user["keys"]) {
            rows.push(Row { thing: thing.clone(), part: shown_key(key), value: text(status).to_owned() });
        }
        rows.extend(policies(&thing, user));
    }
    rows
}

/// Short names of groups for texts that have their ids.
pub fn name_groups(dump: &Value, text_with_ids: &str) -> String {
    objects(&dump["security_groups"])
        .fold(text_with_ids.to_owned(), |shown, (id, group)| shown.replace(id.as_str(), text(&group["name"])))
        .replace('+', " + ")
}

/// Whether instance, role and user of `ids` are contained, and all else is as before.
pub fn contained(ids: &Value, before: &Value, after: &Value) -> Vec<Check> {
    let (instance, role, user) =
        (text(&ids["victim"]["instance"]), text(&ids["victim"]["role"]["id"]), text(&ids["user"]["id"]));
    let interfaces: Vec<&str> = texts(&ids["victim"]["interfaces"]).collect();

    let groups: Vec<&Value> = interfaces.iter().map(|id| &after["network_interfaces"][*id]["groups"]).collect();
    let group = text(&groups.first().copied().unwrap_or(&Value::Null)[0]);
    let alone = groups.iter().all(|groups| **groups == json!([group]));
    let silent = after["security_groups"][group]["rules"] == json!([]);

    let named = ids["user"]["keys"].as_array().map_or(0, Vec::len);
    let keys: Vec<_> = objects(&after["users"][user]["keys"]).collect();
    let inactive = keys.len() == named && keys.iter().all(|(_, status)| *status == "Inactive");
    let attached = &after["users"][user]["attached"];

    let old = &before["roles"][role]["inline"];
    let new: Vec<_> =
        objects(&after["roles"][role]["inline"]).filter(|(name, _)| old.get(name.as_str()).is_none()).collect();
    let session = json!({"StringEquals": {"aws:userid": format!("{role}:{instance}")}});
    let denied = |document: &Value| {
        let statement = &document["Statement"][0];
        let all = ("Deny", "*", "*")
            == (text(&statement["Effect"]), text(&statement["Action"]), text(&statement["Resource"]));
        all && statement["Condition"] == session && document["Statement"].as_array().is_some_and(|all| all.len() == 1)
    };
    let only_the_session = matches!(new.as_slice(), [(_, document)] if denied(document));

    let mut expected = vec![
        format!("/tags/{instance}/cordon:incident"),
        format!("/instances/{instance}/tags/cordon:incident"),
        format!("/instances/{instance}/groups"),
        format!("/users/{user}/attached"),
        format!("/users/{user}/keys/"),
    ];
    expected.extend(interfaces.iter().map(|id| format!("/network_interfaces/{id}/groups")));
    expected.extend(new.iter().map(|(name, _)| format!("/roles/{role}/inline/{name}")));
    expected.extend(prepared(before, after).into_iter().flat_map(paths));
    let mut strange = differences(before, after);
    strange.retain(|difference| !expected.iter().any(|start| difference.starts_with(start)));

    let check =
        |claim: String, holds: bool, found: String| Check { claim, verdict: if holds { Ok(()) } else { Err(found) } };
    vec![
        check(
            format!("all {} interfaces of the victim are in one group only, and it has no rules", interfaces.len()),
            alone && silent && !group.is_empty(),
            format!("groups {groups:?}, rules {}", after["security_groups"][group]["rules"]),
        ),
        check(
            "the role denies everything to the session of the victim, and to nobody else".to_owned(),
            only_the_session,
            format!("new inline policies {new:?}"),
        ),
        check(format!("each of the {named} keys of the user is inactive"), inactive, format!("keys {keys:?}")),
        check(
            "the user has AWSDenyAll beside what he had".to_owned(),
            has_one_more(attached, &before["users"][user]["attached"]),
            format!("attached {attached}"),
        ),
        check("nothing else in the account is other than before".to_owned(), strange.is_empty(), strange.join("; ")),
    ]
}

/// Whether all is as before but for what stays by declaration: the groups that were made ahead.
pub fn released(before: &Value, after: &Value) -> Check {
    let stay = prepared(before, after);
    let expected: Vec<String> = stay.iter().copied().flat_map(paths).collect();
    let mut strange = differences(before, after);
    strange.retain(|difference| !expected.iter().any(|start| difference.starts_with(start)));
    let vpcs: BTreeSet<&str> = stay.iter().map(|group| text(&after["security_groups"][*group]["vpc"])).collect();
    if vpcs.len() != stay.len() {
        strange.push(format!("{} groups in {} VPCs", stay.len(), vpcs.len()));
    }
    let claim = format!(
        "boto3 sees all as before, but for the {} groups without rules made ahead, one in each VPC",
        stay.len()
    );
    Check { claim, verdict: if strange.is_empty() { Ok(()) } else { Err(strange.join("; ")) } }
}

/// The user's keys and what denies him everything, in one line.
pub fn user(ids: &Value, dump: &Value) -> String {
    let user = &dump["users"][text(&ids["user"]["id"])];
    let keys = objects(&user["keys"]).map(|(key, status)| format!("{} {}", shown_key(key), text(status)));
    let denied = if texts(&user["attached"]).any(|policy| policy == DENY_ALL) { "attached" } else { "not attached" };
    let all: Vec<String> = keys.chain([format!("AWSDenyAll {denied}")]).collect();
    format!("user {}: {}", text(&user["name"]), all.join(", "))
}

/// How many keys of the user are active.
pub fn active_keys(ids: &Value, dump: &Value) -> usize {
    objects(&dump["users"][text(&ids["user"]["id"])]["keys"]).filter(|(_, status)| *status == "Active").count()
}

/// New quarantine groups that let nothing pass.
fn prepared<'a>(before: &Value, after: &'a Value) -> Vec<&'a str> {
    objects(&after["security_groups"])
        .filter(|(id, group)| {
            before["security_groups"].get(id.as_str()).is_none()
                && group["name"] == "cordon-quarantine"
                && group["rules"] == json!([])
        })
        .map(|(id, _)| id.as_str())
        .collect()
}

/// Where a new group shows in a dump.
fn paths(group: &str) -> [String; 2] {
    [format!("/security_groups/{group}:"), format!("/tags/{group}:")]
}

/// Every difference of two dumps as `pointer: before -> after`, sorted.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(before, after, "", &mut found);
    found.sort();
    found
}

fn collect(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            for key in b.keys().chain(a.keys().filter(|key| !b.contains_key(*key))) {
                collect(&before[key], &after[key], &format!("{at}/{key}"), found);
            }
        }
        _ if before != after => found.push(format!("{at}: {before} -> {after}")),
        _ => {}
    }
}

fn has_one_more(after: &Value, before: &Value) -> bool {
    let mut expected: Vec<&str> = texts(before).chain([DENY_ALL]).collect();
    expected.sort_unstable();
    texts(after).eq(expected)
}

fn policies(thing: &str, principal: &Value) -> Vec<Row> {
    let row = |name: &str, value| Row { thing: thing.to_owned(), part: format!("policy {name}"), value };
    let inline = objects(&principal["inline"]).map(|(name, document)| row(name, said(document)));
    let attached =
        texts(&principal["attached"]).map(|arn| row(arn.rsplit('/').next().unwrap_or(arn), "attached".to_owned()));
    inline.chain(attached).collect()
}

/// The first statement of a policy in a few words.
fn said(document: &Value) -> String {
    let statement = &document["Statement"][0];
    let (effect, action) = (text(&statement["Effect"]), text(&statement["Action"]));
    match statement.pointer("/Condition/StringEquals/aws:userid").and_then(Value::as_str) {
        Some(session) => format!("{effect} {action} to session {}", session.rsplit(':').next().unwrap_or(session)),
        None => format!("{effect} {action}"),
    }
}

fn rules(rules: &Value) -> String {
    let all = rules.as_array().map_or(0, Vec::len);
    let out = rules.as_array().map_or(0, |rules| rules.iter().filter(|rule| rule["IsEgress"] == true).count());
    match all {
        0 => "no rules".to_owned(),
        _ => format!("rules: {} in, {out} out", all - out),
    }
}

/// A key is a secret's name: its end tells it from others.
fn shown_key(key: &str) -> String {
    let end: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
    format!("key …{end}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn objects(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Value {
        json!({
            "vpc": "vpc-1", "victim": {"instance": "i-1", "interfaces": ["eni-1", "eni-2"], "role": {"name": "web", "id": "AROA1"}},
            "bystander": {"instance": "i-2", "interfaces": ["eni-3"]},
            "user": {"name": "deploy", "id": "AIDA1", "keys": ["AKIA0001", "AKIA0002"]},
            "bystander_user": {"name": "auditor", "id": "AIDA2", "keys": []},
        })
    }

    fn before() -> Value {
        let interface = json!({"groups": ["sg-1"]});
        json!({
            "instances": {"i-1": {"tags": {}}, "i-2": {"tags": {}}},
            "network_interfaces": {"eni-1": interface, "eni-2": interface, "eni-3": interface},
            "security_groups": {"sg-1": {"name": "web", "vpc": "vpc-1", "rules": [{"IsEgress": true}]}},
            "roles": {"AROA1": {"inline": {"read": {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject"}]}}}},
            "users": {"AIDA1": {"keys": {"AKIA0001": "Active", "AKIA0002": "Active"}, "attached": []}},
        })
    }

    fn after() -> Value {
        let mut after = before();
        after["security_groups"]["sg-2"] = json!({"name": "cordon-quarantine", "vpc": "vpc-1", "rules": []});
        after["network_interfaces"]["eni-1"]["groups"] = json!(["sg-2"]);
        after["network_interfaces"]["eni-2"]["groups"] = json!(["sg-2"]);
        let condition = json!({"StringEquals": {"aws:userid": "AROA1:i-1"}});
        after["roles"]["AROA1"]["inline"]["deny"] =
            json!({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}]});
        after["users"]["AIDA1"] =
            json!({"keys": {"AKIA0001": "Inactive", "AKIA0002": "Inactive"}, "attached": [DENY_ALL]});
        after
    }

    /// The numbers of the claims that do not hold.
    fn wrong(after: &Value) -> Vec<usize> {
        let checks = contained(&ids(), &before(), after);
        (0..).zip(checks).filter(|(_, check)| check.verdict.is_err()).map(|(nth, _)| nth).collect()
    }

    #[test]
    fn whatever_is_missing_or_too_much_is_found() {
        assert_eq!(wrong(&after()), Vec::<usize>::new());
        assert_eq!(wrong(&before()), [0, 1, 2, 3]);
        let rule = json!([{"IsEgress": true}]);
        let everybody = json!({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]});
        for (pointer, value, expected) in [
            ("/network_interfaces/eni-2/groups", json!(["sg-1", "sg-2"]), &[0][..]),
            ("/security_groups/sg-2/rules", rule, &[0, 4]),
            ("/roles/AROA1/inline/deny", everybody, &[1]),
            ("/users/AIDA1/keys/AKIA0002", json!("Active"), &[2]),
            ("/users/AIDA1/attached", json!([]), &[3]),
            ("/network_interfaces/eni-3/groups", json!(["sg-2"]), &[4]),
            ("/roles/AROA1/inline/read", Value::Null, &[4]),
        ] {
            let mut after = after();
            *after.pointer_mut(pointer).unwrap() = value;
            assert_eq!(wrong(&after), expected, "{pointer}");
        }
    }

    #[test]
    fn after_a_release_only_a_group_without_rules_may_be_left() {
        let mut left = before();
        left["security_groups"]["sg-2"] = after()["security_groups"]["sg-2"].clone();
        assert_eq!(released(&before(), &left).verdict, Ok(()));
        assert!(released(&before(), &after()).verdict.is_err());
        for (pointer, value) in [
            ("/security_groups/sg-2/rules", json!([{"IsEgress": true}])),
            ("/security_groups/sg-1/rules", json!([])),
            ("/users/AIDA1/keys/AKIA0002", json!("Inactive")),
        ] {
            let mut left = left.clone();
            *left.pointer_mut(pointer).unwrap() = value;
            assert!(released(&before(), &left).verdict.is_err(), "{pointer}");
        }
        left["security_groups"]["sg-3"] = left["security_groups"]["sg-2"].clone();
        assert!(released(&before(), &left).verdict.is_err(), "two in one VPC");
    }

    #[test]
    fn a_user_is_said_in_one_line() {
        assert_eq!(user(&ids(), &before()), "user : key …0001 Active, key …0002 Active, AWSDenyAll not attached");
        assert_eq!((active_keys(&ids(), &before()), active_keys(&ids(), &after())), (2, 0));
    }

    #[test]
    fn rows_say_how_each_thing_is() {
        let row = |row: Row| format!("{} | {} | {}", row.thing, row.part, row.value);
        let shown: Vec<String> = rows(&ids(), &after()).into_iter().map(row).collect();
        assert_eq!(
            shown,
            [
                "instance victim | i-1 | no tag",
                "instance victim | eni-1 | cordon-quarantine",
                "instance victim | eni-2 | cordon-quarantine",
                "instance bystander | i-2 | no tag",
                "instance bystander | eni-3 | web",
                "group cordon-quarantine | sg-2 | no rules",
                "group web | sg-1 | rules: 0 in, 1 out",
                "role web | policy deny | Deny * to session i-1",
                "role web | policy read | Allow s3:GetObject",
                "user deploy | key …0001 | Inactive",
                "user deploy | key …0002 | Inactive",
                "user deploy | policy AWSDenyAll | attached",
            ]
        );
        assert_eq!(name_groups(&after(), "sg-1+sg-2"), "web + cordon-quarantine");
    }
}
