//! The account as boto3 dumps it: what of it the story is about, and where two dumps differ. Pure.

use serde_json::{Value, json};

const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

/// Whom or what a containment is about: the only place of a dump that it may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    User,
    Group,
    Trail,
}

/// One thing that people look at, and the call by which it is contained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub what: String,
    pub is: &'static str,
    pub operation: &'static str,
    /// How the resource of the call begins.
    pub resource: String,
}

impl Thing {
    /// Where it stands in a dump.
    pub fn place(self, ids: &Value) -> String {
        let (section, id) = match self {
            Thing::User => ("users", &ids["user"]["id"]),
            Thing::Group => ("security_groups", &ids["web_group"]),
            Thing::Trail => ("trails", &ids["trail"]["arn"]),
        };
        // As a JSON pointer has it.
        format!("/{section}/{}", text(id).replace('~', "~0").replace('/', "~1"))
    }

    pub fn rows(self, ids: &Value, dump: &Value) -> Vec<Row> {
        let this = dump.pointer(&self.place(ids)).unwrap_or(&Value::Null);
        let name = text(&this["name"]);
        let row =
            |what: String, is, operation, resource: &str| Row { what, is, operation, resource: resource.to_owned() };
        match self {
            Thing::User => {
                let is_denied = elements(&this["attached"]).any(|policy| policy == DENY_ALL);
                let deny = row(
                    format!("user {name}: AWSDenyAll"),
                    if is_denied { "attached" } else { "not attached" },
                    "AttachUserPolicy",
                    name,
                );
                let keys = this["keys"].as_object().into_iter().flatten();
                let key = |(key, status): (&String, &Value)| {
                    let is = if *status == "Active" { "Active" } else { "Inactive" };
                    row(format!("user {name}: {}", shown_key(key)), is, "UpdateAccessKey", key)
                };
                std::iter::once(deny).chain(keys.map(key)).collect()
            }
            Thing::Group => {
                let is_open =
                    elements(&this["rules"]).any(|rule| rule["FromPort"] == 22 && rule["CidrIpv4"] == "0.0.0.0/0");
                let is = if is_open { "in force" } else { "no such rule" };
                vec![row(format!("group {name}: tcp 22 from 0.0.0.0/0"), is, "RevokeSecurityGroupIngress", "")]
            }
            Thing::Trail => {
                let is = if this["logging"] == true { "logs" } else { "silent" };
                vec![row(format!("trail {}", text(&ids["trail"]["name"])), is, "StartLogging", "")]
            }
        }
    }
}

/// A user who can do nothing any more: denied everything, and without a key.
pub fn contained(user: &Value) -> Value {
    let mut user = user.clone();
    let mut attached: Vec<Value> = elements(&user["attached"]).cloned().chain([json!(DENY_ALL)]).collect();
    attached.sort_by_key(|policy| text(policy).to_owned());
    user["attached"] = Value::Array(attached);
    for status in user["keys"].as_object_mut().into_iter().flat_map(|keys| keys.values_mut()) {
        *status = json!("Inactive");
    }
    user
}

/// A dump with something else in one place.
pub fn with(dump: &Value, place: &str, thing: &Value) -> Value {
    let mut dump = dump.clone();
    if let Some(there) = dump.pointer_mut(place) {
        *there = thing.clone();
    }
    dump
}

/// Where a dump is other than it must be, sorted.
pub fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    collect(expected, found, "", &mut differences);
    differences.sort();
    differences
}

fn collect(expected: &Value, found: &Value, at: &str, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(e), Value::Object(f)) => {
            for key in e.keys().chain(f.keys().filter(|key| !e.contains_key(*key))) {
                collect(&expected[key], &found[key], &format!("{at}/{key}"), differences);
            }
        }
        // Of a list only what is too much or too little: one rule of a group among many.
        (Value::Array(e), Value::Array(f)) if e.len() != f.len() => {
            differences.extend(e.iter().filter(|one| !f.contains(one)).map(|one| format!("{at} must have {one}")));
            differences.extend(f.iter().filter(|one| !e.contains(one)).map(|one| format!("{at} must not have {one}")));
        }
        _ if expected != found => differences.push(format!("{at} must be {expected}, is {found}")),
        _ => {}
    }
}

/// A key is a secret's name: its end tells it from others.
pub fn shown_key(key: &str) -> String {
    let end: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
    format!("key …{end}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Value {
        json!({"user": {"id": "AIDA1"}, "web_group": "sg-1", "trail": {"name": "audit", "arn": "arn:x:trail/audit"}})
    }

    fn dump() -> Value {
        let rules = json!([{"FromPort": 443, "CidrIpv4": "0.0.0.0/0"}, {"FromPort": 22, "CidrIpv4": "203.0.113.0/24"}]);
        json!({
            "users": {"AIDA1": {"name": "deploy", "attached": ["arn:x:ReadOnly"], "keys": {"AKIA0001": "Active", "AKIA0002": "Active"}}},
            "security_groups": {"sg-1": {"name": "web", "rules": rules}},
            "trails": {"arn:x:trail/audit": {"logging": true}},
        })
    }

    #[test]
    fn rows_say_how_each_thing_is() {
        let mut attacked = dump();
        attacked["security_groups"]["sg-1"]["rules"][1]["CidrIpv4"] = json!("0.0.0.0/0");
        attacked["trails"]["arn:x:trail/audit"]["logging"] = json!(false);
        let place = Thing::User.place(&ids());
        let attacked = with(&attacked, &place, &contained(attacked.pointer(&place).unwrap()));
        let shown = |dump: &Value| -> Vec<String> {
            let rows = [Thing::User, Thing::Group, Thing::Trail].into_iter().flat_map(|thing| thing.rows(&ids(), dump));
            rows.map(|row| format!("{} | {}", row.what, row.is)).collect()
        };
        let [deny, one, two] = ["AWSDenyAll", "key …0001", "key …0002"].map(|what| format!("user deploy: {what}"));
        let rule = "group web: tcp 22 from 0.0.0.0/0";
        let expected = |denied: &str, key: &str, open: &str, trail: &str| {
            [
                format!("{deny} | {denied}"),
                format!("{one} | {key}"),
                format!("{two} | {key}"),
                format!("{rule} | {open}"),
                format!("trail audit | {trail}"),
            ]
        };
        assert_eq!(shown(&dump()), expected("not attached", "Active", "no such rule", "logs"));
        assert_eq!(shown(&attacked), expected("attached", "Inactive", "in force", "silent"));
    }

    #[test]
    fn a_change_in_another_place_is_a_difference() {
        let place = Thing::Group.place(&ids());
        let (mut now, mut group) = (dump(), dump().pointer(&place).unwrap().clone());
        let rule = group["rules"].as_array_mut().unwrap().remove(0);
        now["security_groups"]["sg-1"]["rules"].as_array_mut().unwrap().remove(0);
        assert!(differences(&with(&dump(), &place, &group), &now).is_empty());
        now["trails"]["arn:x:trail/audit"]["logging"] = json!(false);
        now["users"]["AIDA1"]["keys"]["AKIA0003"] = json!("Active");
        assert_eq!(
            differences(&dump(), &now),
            [
                format!("/security_groups/sg-1/rules must have {rule}"),
                "/trails/arn:x:trail/audit/logging must be true, is false".to_owned(),
                "/users/AIDA1/keys/AKIA0003 must be null, is \"Active\"".to_owned(),
            ]
        );
    }
}
