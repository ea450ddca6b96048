//! What of the account is shown, one line a thing. Pure.

use serde_json::Value;

use crate::dump::{objects, targets_of, text, texts};

const INSTANCES: [&str; 2] = ["victim", "bystander"];

/// One line of the table. The first two cells say what it is about, the last how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub thing: String,
    pub part: String,
    pub value: String,
}

fn row(thing: &str, part: &str, value: impl Into<String>) -> Row {
    Row { thing: thing.to_owned(), part: part.to_owned(), value: value.into() }
}

/// The victims and the bystanders.
pub fn rows(ids: &Value, dump: &Value) -> Vec<Row> {
    let mut rows: Vec<Row> = INSTANCES.iter().flat_map(|whose| instance(ids, dump, whose)).collect();
    rows.extend(scaling(ids, dump));
    rows.extend(targets(ids, dump));
    let mut groups: Vec<_> = objects(&dump["security_groups"]).collect();
    groups.retain(|(_, group)| group["vpc"] == ids["vpc"] && group["name"] != "default");
    groups.sort_by_key(|(_, group)| text(&group["name"]));
    let of_group = |(id, group): (&String, &Value)| {
        let thing = format!("group {}", text(&group["name"]));
        row(&thing, id, rules(&group["rules"]))
    };
    rows.extend(groups.into_iter().map(of_group));
    let role = &ids["victim"]["role"];
    rows.extend(policies(&format!("role {}", text(&role["name"])), &dump["roles"][text(&role["id"])]));
    for whose in ["user", "bystander_user"] {
        let (thing, user) = (format!("user {}", text(&ids[whose]["name"])), &dump["users"][text(&ids[whose]["id"])]);
        rows.extend(objects(&user["keys"]).map(|(key, status)| row(&thing, &shown_key(key), text(status))));
        rows.extend(policies(&thing, user));
    }
    rows
}

/// The instance itself: tag, interfaces, and what is there to look at afterwards.
fn instance(ids: &Value, dump: &Value, whose: &str) -> Vec<Row> {
    let (thing, id) = (format!("instance {whose}"), text(&ids[whose]["instance"]));
    let instance = &dump["instances"][id];
    let tag = match instance["tags"]["cordon:incident"].as_str() {
        Some(incident) => format!("tagged {incident}"),
        None => "no tag".to_owned(),
    };
    let mut rows = vec![row(&thing, id, tag)];
    let mut remembered = Vec::new();
    for interface in texts(&ids[whose]["interfaces"]) {
        let about = &dump["network_interfaces"][interface];
        let groups: Vec<&str> =
            texts(&about["groups"]).map(|group| text(&dump["security_groups"][group]["name"])).collect();
        rows.push(row(&thing, interface, groups.join(" + ")));
        remembered.push(timeouts(&about["connection_tracking"]));
    }
    remembered.dedup();
    rows.push(row(&thing, "timeouts of idle flows", remembered.join(" / ")));
    let attribute = |name: &str| instance["attributes"][name] == true;
    let protected = match (attribute("disableApiTermination"), attribute("disableApiStop")) {
        (true, true) => "termination, stop",
        (true, false) => "termination",
        (false, true) => "stop",
        (false, false) => "nothing",
    };
    rows.push(row(&thing, "protected against", protected));
    for (volume, about) in objects(&instance["volumes"]) {
        let end = if about["delete_on_termination"] == true { "ends with it" } else { "outlives it" };
        let snapshots = objects(&dump["snapshots"]).filter(|(_, snapshot)| snapshot["volume"] == volume.as_str());
        let snapshots = match snapshots.count() {
            0 => "no snapshot".to_owned(),
            1 => "1 snapshot".to_owned(),
            many => format!("{many} snapshots"),
        };
        rows.push(row(&thing, volume, format!("{end}, {snapshots}")));
    }
    rows
}

/// The members of Auto Scaling groups.
fn scaling(ids: &Value, dump: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, group) in objects(&dump["scaling_groups"]) {
        let thing = format!("scaling group {name}");
        rows.push(row(&thing, "desired capacity", group["desired"].to_string()));
        let mut members: Vec<_> = objects(&group["members"]).collect();
        members.sort_by_key(|(member, _)| !INSTANCES.iter().any(|whose| ids[*whose]["instance"] == member.as_str()));
        for (member, about) in members {
            rows.push(row(&thing, &known(ids, member), text(&about["state"])));
        }
    }
    rows
}

/// The victims and others as targets; who is gone is shown too.
fn targets(ids: &Value, dump: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for (arn, group) in objects(&dump["target_groups"]) {
        let thing = format!("targets {}", target_group(arn));
        let mut shown = Vec::new();
        for whose in INSTANCES {
            let registered = targets_of(ids, whose, group);
            let value = if registered.is_empty() { "gone" } else { "registered" };
            rows.push(row(&thing, &format!("the {whose}"), value));
            shown.extend(registered);
        }
        let others = objects(group).filter(|(target, _)| !shown.contains(&target.as_str()));
        rows.extend(others.map(|(target, _)| row(&thing, target, "registered")));
    }
    rows
}

fn known(ids: &Value, instance: &str) -> String {
    let whose = INSTANCES.iter().find(|whose| ids[**whose]["instance"] == instance);
    whose.map_or_else(|| instance.to_owned(), |whose| format!("the {whose}"))
}

/// `web` of `arn:…:targetgroup/web/0123`.
pub fn target_group(arn: &str) -> &str {
    arn.rsplit('/').nth(1).unwrap_or(arn)
}

fn timeouts(tracking: &Value) -> String {
    match tracking {
        Value::Null => "unset, EC2's own".to_owned(),
        set => format!("TCP {} s, UDP streams {} s", set["TcpEstablishedTimeout"], set["UdpStreamTimeout"]),
    }
}

/// Short names of groups for texts that have their ids.
pub fn name_groups(dump: &Value, text_with_ids: &str) -> String {
    objects(&dump["security_groups"])
        .fold(text_with_ids.to_owned(), |shown, (id, group)| shown.replace(id.as_str(), text(&group["name"])))
        .replace('+', " + ")
}

fn policies(thing: &str, principal: &Value) -> Vec<Row> {
    let policy = |name: &str, value: String| row(thing, &format!("policy {name}"), value);
    let inline = objects(&principal["inline"]).map(|(name, document)| policy(name, said(document)));
    let attached =
        texts(&principal["attached"]).map(|arn| policy(arn.rsplit('/').next().unwrap_or(arn), "attached".to_owned()));
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
pub fn shown_key(key: &str) -> String {
    let end: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
    format!("key …{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::fixture;

    #[test]
    fn rows_say_how_each_thing_is() {
        let shown = |dump: &Value| -> Vec<String> {
            let line = |row: Row| format!("{} | {} | {}", row.thing, row.part, row.value);
            rows(&fixture::ids(), dump).into_iter().map(line).collect()
        };
        let contained = shown(&fixture::contained());
        assert_eq!(
            contained,
            [
                "instance victim | i-1 | tagged calm-owl",
                "instance victim | eni-1 | cordon-quarantine",
                "instance victim | eni-2 | cordon-quarantine",
                "instance victim | timeouts of idle flows | TCP 60 s, UDP streams 60 s",
                "instance victim | protected against | termination, stop",
                "instance victim | vol-1 | outlives it, 1 snapshot",
                "instance bystander | i-2 | no tag",
                "instance bystander | eni-3 | web",
                "instance bystander | timeouts of idle flows | unset, EC2's own",
                "instance bystander | protected against | nothing",
                "instance bystander | vol-2 | ends with it, no snapshot",
                "scaling group web | desired capacity | 1",
                "scaling group web | the victim | Standby",
                "scaling group web | i-3 | InService",
                "targets web-instance | the victim | gone",
                "targets web-instance | the bystander | registered",
                "targets web-instance | i-3:80 | registered",
                "targets web-ip | the victim | gone",
                "targets web-ip | the bystander | registered",
                "group cordon-passage | sg-5 | rules: 2 in, 2 out",
                "group cordon-quarantine | sg-2 | no rules",
                "group web | sg-1 | rules: 0 in, 1 out",
                "role web | policy deny | Deny * to session i-1",
                "role web | policy read | Allow s3:GetObject",
                "user deploy | key …0001 | Inactive",
                "user deploy | key …0002 | Inactive",
                "user deploy | policy AWSDenyAll | attached",
            ]
        );
        let before = shown(&fixture::before());
        let mut still = shown(&fixture::released());
        still.retain(|row| !before.contains(row));
        assert_eq!(
            still,
            [
                "instance victim | timeouts of idle flows | TCP 432000 s, UDP streams 180 s",
                "instance victim | vol-1 | ends with it, 1 snapshot",
                "scaling group web | desired capacity | 2",
                "scaling group web | i-3 | InService",
                "targets web-instance | i-3:80 | registered",
                "group cordon-passage | sg-5 | rules: 2 in, 2 out",
                "group cordon-quarantine | sg-2 | no rules",
            ]
        );
        assert_eq!(name_groups(&fixture::contained(), "sg-1+sg-2"), "web + cordon-quarantine");
    }
}
