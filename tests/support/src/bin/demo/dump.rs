//! How to look into what boto3 dumps of the account, and how two dumps differ. Pure.

use serde_json::Value;

/// What of a dump is as it must be, though it is not as before.
#[derive(Debug, Default)]
pub struct Expected(Vec<String>);

impl Expected {
    /// A place in the dump, with all that is below it.
    pub fn add(&mut self, place: String) {
        self.0.push(place);
    }

    /// A resource that is new, with the tags that EC2 lists apart.
    pub fn add_new(&mut self, section: &str, id: &str) {
        self.0.extend([format!("/{section}/{id}"), format!("/tags/{id}")]);
    }

    /// Every other difference.
    pub fn others(&self, before: &Value, after: &Value) -> Vec<String> {
        let mut strange = differences(before, after);
        strange.retain(|difference| !self.0.iter().any(|place| is_below(difference, place)));
        strange
    }
}

fn is_below(difference: &str, place: &str) -> bool {
    difference.strip_prefix(place).is_some_and(|rest| rest.starts_with('/') || rest.starts_with(": "))
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

/// What a section has in `after` and not in `before`.
pub fn new_in<'a>(section: &str, before: &Value, after: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let is_new = |id: &String| before[section].get(id.as_str()).is_none();
    objects(&after[section]).filter(|(id, _)| is_new(id)).map(|(id, value)| (id.as_str(), value)).collect()
}

/// The targets of a group that are one instance of `ids`, by its id or by its address.
pub fn targets_of<'a>(ids: &Value, whose: &str, group: &'a Value) -> Vec<&'a str> {
    let names = [text(&ids[whose]["instance"]), text(&ids[whose]["address"])];
    let is_one = |target: &str| target.rsplit_once(':').is_some_and(|(name, _)| names.contains(&name));
    objects(group).map(|(target, _)| target.as_str()).filter(|target| is_one(target)).collect()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

pub fn objects(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A little account before, contained, and released.
#[cfg(test)]
pub mod fixture {
    use serde_json::{Value, json};

    pub fn ids() -> Value {
        json!({
            "vpc": "vpc-1",
            "victim": {"instance": "i-1", "address": "10.0.0.1", "interfaces": ["eni-1", "eni-2"], "role": {"name": "web", "id": "AROA1"}},
            "bystander": {"instance": "i-2", "address": "10.0.0.2", "interfaces": ["eni-3"]},
            "user": {"name": "deploy", "id": "AIDA1", "keys": ["AKIA0001", "AKIA0002"]},
            "bystander_user": {"name": "auditor", "id": "AIDA2", "keys": []},
        })
    }

    fn instance(volume: &str) -> Value {
        let attributes = json!({"disableApiTermination": false, "disableApiStop": false, "instanceInitiatedShutdownBehavior": "stop"});
        json!({"tags": {}, "attributes": attributes, "volumes": {volume: {"delete_on_termination": true}}})
    }

    pub fn before() -> Value {
        let interface = json!({"groups": ["sg-1"], "connection_tracking": null, "attachment": {"InstanceId": "i-1"}});
        json!({
            "instances": {"i-1": instance("vol-1"), "i-2": instance("vol-2")},
            "network_interfaces": {"eni-1": interface, "eni-2": interface, "eni-3": interface},
            "security_groups": {"sg-1": {"name": "web", "vpc": "vpc-1", "rules": [{"IsEgress": true}]}},
            "snapshots": {},
            "scaling_groups": {"web": {"desired": 1, "members": {"i-1": {"state": "InService"}}}},
            "target_groups": {
                "arn:x:targetgroup/web-instance/1": {"i-1:80": "healthy", "i-2:80": "healthy"},
                "arn:x:targetgroup/web-ip/2": {"10.0.0.1:80": "healthy", "10.0.0.2:80": "healthy"},
            },
            "tags": {},
            "roles": {"AROA1": {"inline": {"read": {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject"}]}}}},
            "users": {"AIDA1": {"keys": {"AKIA0001": "Active", "AKIA0002": "Active"}, "attached": []}},
        })
    }

    /// The groups and the evidence that stay.
    fn left(mut dump: Value) -> Value {
        let tags = json!({"cordon:incident": "calm-owl", "cordon:instance": "i-1"});
        dump["security_groups"]["sg-2"] = json!({"name": "cordon-quarantine", "vpc": "vpc-1", "rules": []});
        let rule = |egress: bool, name: &str, all: &str| json!({"IsEgress": egress, "IpProtocol": "-1", name: all});
        let out_and_in =
            [true, false].map(|egress| [rule(egress, "CidrIpv4", "0.0.0.0/0"), rule(egress, "CidrIpv6", "::/0")]);
        dump["security_groups"]["sg-5"] =
            json!({"name": "cordon-passage", "vpc": "vpc-1", "rules": out_and_in.as_flattened()});
        dump["snapshots"]["snap-1"] = json!({"volume": "vol-1", "state": "completed", "tags": tags});
        dump["tags"]["snap-1"] = tags;
        dump["instances"]["i-3"] = instance("vol-3");
        dump["tags"]["i-3"] = json!({"aws:autoscaling:groupName": "web"});
        dump["network_interfaces"]["eni-4"] = json!({"groups": ["sg-1"], "attachment": {"InstanceId": "i-3"}});
        dump["scaling_groups"]["web"]["members"]["i-3"] = json!({"state": "InService"});
        dump["target_groups"]["arn:x:targetgroup/web-instance/1"]["i-3:80"] = json!("healthy");
        dump
    }

    pub fn contained() -> Value {
        let mut after = left(before());
        for interface in ["eni-1", "eni-2"] {
            after["network_interfaces"][interface]["groups"] = json!(["sg-2"]);
            after["network_interfaces"][interface]["connection_tracking"] =
                json!({"TcpEstablishedTimeout": 60, "UdpStreamTimeout": 60, "UdpTimeout": 30});
        }
        let tags = json!({"cordon:incident": "calm-owl"});
        after["tags"]["i-1"] = tags.clone();
        let victim = &mut after["instances"]["i-1"];
        victim["tags"] = tags;
        victim["attributes"]["disableApiTermination"] = json!(true);
        victim["attributes"]["disableApiStop"] = json!(true);
        victim["volumes"]["vol-1"]["delete_on_termination"] = json!(false);
        after["scaling_groups"]["web"]["members"]["i-1"]["state"] = json!("Standby");
        for (group, target) in [("web-instance/1", "i-1:80"), ("web-ip/2", "10.0.0.1:80")] {
            if let Some(targets) = after["target_groups"][format!("arn:x:targetgroup/{group}")].as_object_mut() {
                targets.remove(target);
            }
        }
        let condition = json!({"StringEquals": {"aws:userid": "AROA1:i-1"}});
        after["roles"]["AROA1"]["inline"]["deny"] =
            json!({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}]});
        after["users"]["AIDA1"] = json!({"keys": {"AKIA0001": "Inactive", "AKIA0002": "Inactive"},
            "attached": ["arn:aws:iam::aws:policy/AWSDenyAll"]});
        after
    }

    pub fn released() -> Value {
        let mut after = left(before());
        after["scaling_groups"]["web"]["desired"] = json!(2);
        for interface in ["eni-1", "eni-2"] {
            after["network_interfaces"][interface]["connection_tracking"] =
                json!({"TcpEstablishedTimeout": 432_000, "UdpStreamTimeout": 180, "UdpTimeout": 30});
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_expected_is_so_with_all_below_it_and_nothing_beside() {
        let before = json!({"a": {"i-1": {"b": 1}, "i-11": {"b": 1}}, "tags": {}});
        let after = json!({"a": {"i-1": {"b": 2}, "i-11": {"b": 2}, "i-2": {"b": 3}}, "tags": {"i-2": {}}});
        let mut expected = Expected::default();
        assert_eq!(expected.others(&before, &after).len(), 4);
        expected.add("/a/i-1".to_owned());
        expected.add_new("a", "i-2");
        assert_eq!(expected.others(&before, &after), ["/a/i-11/b: 1 -> 2"]);
        assert_eq!(new_in("a", &before, &after), [("i-2", &json!({"b": 3}))]);
    }

    #[test]
    fn a_target_is_known_by_id_and_by_address() {
        let group = json!({"i-1:80": "", "i-1:81": "", "i-12:80": "", "10.0.0.1:80": "", "10.0.0.11:80": ""});
        assert_eq!(targets_of(&fixture::ids(), "victim", &group), ["10.0.0.1:80", "i-1:80", "i-1:81"]);
    }
}
