//! Whether the account, as boto3 dumps it, is as a containment and a release must leave it. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::dump::{Expected, new_in, objects, targets_of, text, texts};
use crate::rows::shown_key;
use crate::watch::Move;

const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
const INCIDENT: &str = "cordon:incident";
const QUARANTINE: &str = "cordon-quarantine";
const PASSAGE: &str = "cordon-passage";

/// A claim about the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub claim: String,
    pub verdict: Result<(), String>,
}

/// What a release leaves by declaration, and whether it left anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub declared: Vec<String>,
    pub check: Check,
}

/// Whether instance, role and user of `ids` are contained, and all else is as before.
pub fn contained(ids: &Value, before: &Value, after: &Value) -> Vec<Check> {
    let instance = text(&ids["victim"]["instance"]);
    let interfaces = texts(&ids["victim"]["interfaces"]).collect();
    let mut audit =
        Audit { ids, before, after, instance, interfaces, checks: Vec::new(), expected: Expected::default() };
    audit.network();
    audit.connections();
    audit.set_aside();
    audit.targets();
    audit.kept();
    audit.snapshots();
    audit.role();
    audit.user();
    let prepared = Prepared::of(before, after);
    prepared.expect(&mut audit.expected);
    let mut strange = audit.expected.others(before, after);
    strange.extend(prepared.wrong(after));
    audit.check("nothing else in the account is other than before", strange.is_empty(), strange.join("; "));
    audit.checks
}

struct Audit<'a> {
    ids: &'a Value,
    before: &'a Value,
    after: &'a Value,
    instance: &'a str,
    interfaces: Vec<&'a str>,
    checks: Vec<Check>,
    expected: Expected,
}

impl Audit<'_> {
    fn check(&mut self, claim: impl Into<String>, holds: bool, found: String) {
        self.checks.push(Check { claim: claim.into(), verdict: if holds { Ok(()) } else { Err(found) } });
    }

    fn network(&mut self) {
        let groups: Vec<&Value> =
            self.interfaces.iter().map(|id| &self.after["network_interfaces"][*id]["groups"]).collect();
        let group = text(&groups.first().copied().unwrap_or(&Value::Null)[0]);
        let alone = groups.iter().all(|groups| **groups == json!([group]));
        let rules = &self.after["security_groups"][group]["rules"];
        let holds = alone && *rules == json!([]) && !group.is_empty();
        let claim = format!("all {} interfaces of the victim are in one group only, and it has no rules", groups.len());
        let found = format!("groups {groups:?}, rules {rules}");
        self.check(claim, holds, found);
        self.expected.add(format!("/instances/{}/groups", self.instance));
        for interface in &self.interfaces {
            self.expected.add(format!("/network_interfaces/{interface}/groups"));
        }
    }

    fn connections(&mut self) {
        let shortest = json!({"TcpEstablishedTimeout": 60, "UdpStreamTimeout": 60, "UdpTimeout": 30});
        let places = self.interfaces.iter().map(|id| format!("/network_interfaces/{id}/connection_tracking"));
        let places: Vec<String> = places.collect();
        let set: Vec<&Value> = places.iter().filter_map(|place| self.after.pointer(place)).collect();
        let holds = set.len() == places.len() && set.iter().all(|timeouts| **timeouts == shortest);
        let found = format!("{set:?}");
        self.check("its old connections are forgotten after 60 s of silence", holds, found);
        places.into_iter().for_each(|place| self.expected.add(place));
    }

    fn set_aside(&mut self) {
        let instance = self.instance;
        let (before, after) = (self.before, self.after);
        let of_it = |group: &&Value| group["members"].get(instance).is_some();
        let state = |dump: &Value| -> Vec<String> {
            let groups = objects(&dump["scaling_groups"]).map(|(_, group)| group).filter(of_it);
            groups.map(|group| text(&group["members"][instance]["state"]).to_owned()).collect()
        };
        let new = replacements(before, after);
        let holds = state(before) == ["InService"] && state(after) == ["Standby"] && new.len() == 1;
        let found = format!("{:?} -> {:?}, new members {new:?}", state(before), state(after));
        self.check("its Auto Scaling group has it in Standby, and has started another", holds, found);
        for (name, _) in objects(&before["scaling_groups"]) {
            self.expected.add(format!("/scaling_groups/{name}/members/{instance}/state"));
        }
        expect_replacements(&mut self.expected, before, after);
    }

    fn targets(&mut self) {
        let groups: Vec<_> = objects(&self.before["target_groups"]).collect();
        let mut holds = !groups.is_empty();
        let mut found = Vec::new();
        for (arn, group) in &groups {
            let now = &self.after["target_groups"][arn.as_str()];
            let was = targets_of(self.ids, "victim", group);
            let is_gone = !was.is_empty() && targets_of(self.ids, "victim", now).is_empty();
            holds = holds && is_gone && !targets_of(self.ids, "bystander", now).is_empty();
            found.push(format!("{group} -> {now}"));
            was.iter().for_each(|target| self.expected.add(format!("/target_groups/{arn}/{target}")));
        }
        let claim = format!("none of the {} target groups sends to it, and each sends to the bystander", groups.len());
        self.check(claim, holds, found.join("; "));
    }

    fn kept(&mut self) {
        let now = &self.after["instances"][self.instance];
        let attributes =
            json!({"disableApiTermination": true, "disableApiStop": true, "instanceInitiatedShutdownBehavior": "stop"});
        let outlive = objects(&now["volumes"]).all(|(_, volume)| volume["delete_on_termination"] == false);
        let found = format!("{}, {}", now["attributes"], now["volumes"]);
        let claim = "it is protected against termination and stop, and its volumes would outlive it";
        self.check(claim, now["attributes"] == attributes && outlive, found);
        let place = format!("/instances/{}", self.instance);
        for attribute in ["disableApiTermination", "disableApiStop"] {
            self.expected.add(format!("{place}/attributes/{attribute}"));
        }
        for (volume, _) in objects(&now["volumes"]) {
            self.expected.add(format!("{place}/volumes/{volume}/delete_on_termination"));
        }
        self.expected.add(format!("{place}/tags/{INCIDENT}"));
        self.expected.add(format!("/tags/{}/{INCIDENT}", self.instance));
        // Where it had no tag at all, the whole entry is new.
        if self.before["tags"].get(self.instance).is_none() {
            self.expected.add(format!("/tags/{}", self.instance));
        }
    }

    fn snapshots(&mut self) {
        let now = &self.after["instances"][self.instance];
        let incident = &now["tags"][INCIDENT];
        let new = evidence(self.before, self.after);
        let mut volumes: Vec<&str> = new.iter().map(|(_, snapshot)| text(&snapshot["volume"])).collect();
        volumes.sort_unstable();
        let its_own: Vec<&str> = objects(&now["volumes"]).map(|(volume, _)| volume.as_str()).collect();
        let tagged = new.iter().all(|(_, snapshot)| snapshot["tags"][INCIDENT] == *incident);
        let holds = !volumes.is_empty() && volumes == its_own && tagged && incident.is_string();
        let found = format!("snapshots {new:?} of {incident}, volumes {its_own:?}");
        self.check("each of its volumes has a snapshot, tagged with the incident as it is itself", holds, found);
        new.iter().for_each(|(id, _)| self.expected.add_new("snapshots", id));
    }

    fn role(&mut self) {
        let new = new_policies(self.ids, self.before, self.after);
        let holds = new.len() == 1 && is_denied(self.ids, self.before, self.after);
        let found = format!("new inline policies {new:?}");
        let role = text(&self.ids["victim"]["role"]["id"]);
        new.iter().for_each(|(name, _)| self.expected.add(format!("/roles/{role}/inline/{name}")));
        self.check("the role denies everything to the session of the victim, and to nobody else", holds, found);
    }

    fn user(&mut self) {
        let id = text(&self.ids["user"]["id"]);
        let user = &self.after["users"][id];
        let named = self.ids["user"]["keys"].as_array().map_or(0, Vec::len);
        let keys: Vec<_> = objects(&user["keys"]).collect();
        let inactive = keys.len() == named && keys.iter().all(|(_, status)| *status == "Inactive");
        self.check(format!("each of the {named} keys of the user is inactive"), inactive, format!("keys {keys:?}"));
        let attached = &user["attached"];
        let holds = has_one_more(attached, &self.before["users"][id]["attached"]);
        self.check("the user has AWSDenyAll beside what he had", holds, format!("attached {attached}"));
        self.expected.add(format!("/users/{id}/attached"));
        self.expected.add(format!("/users/{id}/keys"));
    }
}

/// Whether a new policy of the role denies everything to the session of the victim, and to nobody else.
pub fn is_denied(ids: &Value, before: &Value, after: &Value) -> bool {
    let user = format!("{}:{}", text(&ids["victim"]["role"]["id"]), text(&ids["victim"]["instance"]));
    let session = json!({"StringEquals": {"aws:userid": user}});
    let denies = |document: &Value| {
        let statement = &document["Statement"][0];
        let all = ("Deny", "*", "*")
            == (text(&statement["Effect"]), text(&statement["Action"]), text(&statement["Resource"]));
        all && statement["Condition"] == session && document["Statement"].as_array().is_some_and(|all| all.len() == 1)
    };
    new_policies(ids, before, after).iter().any(|(_, document)| denies(document))
}

fn new_policies<'a>(ids: &Value, before: &'a Value, after: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let role = text(&ids["victim"]["role"]["id"]);
    new_in("inline", &before["roles"][role], &after["roles"][role])
}

/// Whether all is as before but for what stays by declaration.
pub fn released(before: &Value, after: &Value) -> Left {
    let (mut expected, mut declared) = (Expected::default(), Vec::new());
    let prepared = Prepared::of(before, after);
    prepared.expect(&mut expected);
    let mut declare = |count: usize, what: String| {
        if count > 0 {
            declared.push(what);
        }
    };
    let (empty, open) = (prepared.quarantine.len(), prepared.passage.len());
    declare(empty + open, format!("{empty} empty groups and {open} open ones, made ahead: one of each in each VPC"));

    let snapshots = evidence(before, after);
    snapshots.iter().for_each(|(id, _)| expected.add_new("snapshots", id));
    declare(snapshots.len(), format!("{} snapshots, with their tags: evidence", snapshots.len()));

    let new = replacements(before, after);
    expect_replacements(&mut expected, before, after);
    for (name, group) in objects(&after["scaling_groups"]) {
        // What was in standby counts again beside what took its place.
        let more = new.iter().filter(|(of, _)| of == name).count() as u64;
        let wanted = before["scaling_groups"][name.as_str()]["desired"].as_u64().map(|desired| desired + more);
        if more > 0 && group["desired"].as_u64() == wanted {
            expected.add(format!("/scaling_groups/{name}/desired"));
        }
    }
    let what = "the instance that took the place, and room for it in its group: a person says how many there should be";
    declare(new.len(), what.to_owned());

    let defaults = json!({"TcpEstablishedTimeout": 432_000, "UdpStreamTimeout": 180, "UdpTimeout": 30});
    let was_unset = |id: &str| before["network_interfaces"][id]["connection_tracking"].is_null();
    let set =
        objects(&after["network_interfaces"]).filter(|(_, interface)| interface["connection_tracking"] == defaults);
    let set: Vec<&str> = set.map(|(id, _)| id.as_str()).filter(|id| was_unset(id)).collect();
    set.iter().for_each(|id| expected.add(format!("/network_interfaces/{id}/connection_tracking")));
    declare(set.len(), format!("EC2's default timeouts of {} interfaces, which cannot be unset again", set.len()));

    let mut strange = expected.others(before, after);
    strange.extend(prepared.wrong(after));
    let claim = "boto3 sees all as before, but for what stays by declaration".to_owned();
    let verdict = if strange.is_empty() { Ok(()) } else { Err(strange.join("; ")) };
    Left { declared, check: Check { claim, verdict } }
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

/// The groups that are made ahead, with exactly the rules of their kind.
struct Prepared<'a> {
    /// They let nothing pass.
    quarantine: Vec<&'a str>,
    /// They let everything pass.
    passage: Vec<&'a str>,
}

impl<'a> Prepared<'a> {
    fn of(before: &Value, after: &'a Value) -> Prepared<'a> {
        let new = new_in("security_groups", before, after);
        let named = |name: &str, rules: &[[&str; 3]]| {
            let is_one = |group: &Value| text(&group["name"]).starts_with(name) && said(&group["rules"]) == rules;
            new.iter().filter(|(_, group)| is_one(group)).map(|(id, _)| *id).collect()
        };
        let everything =
            [["in", "-1", "0.0.0.0/0"], ["in", "-1", "::/0"], ["out", "-1", "0.0.0.0/0"], ["out", "-1", "::/0"]];
        Prepared { quarantine: named(QUARANTINE, &[]), passage: named(PASSAGE, &everything) }
    }

    fn expect(&self, expected: &mut Expected) {
        self.quarantine.iter().chain(&self.passage).for_each(|group| expected.add_new("security_groups", group));
    }

    /// Where there is not one of each kind in each VPC, and who is in an open one, which nobody may be after the moment.
    fn wrong(&self, after: &Value) -> Vec<String> {
        let vpc = |group: &Value| text(&group["vpc"]).to_owned();
        let vpcs: BTreeSet<String> = objects(&after["security_groups"]).map(|(_, group)| vpc(group)).collect();
        let mut wrong = Vec::new();
        for (name, groups) in [(QUARANTINE, &self.quarantine), (PASSAGE, &self.passage)] {
            let mut of: Vec<String> = groups.iter().map(|group| vpc(&after["security_groups"][*group])).collect();
            of.sort_unstable();
            if !of.iter().eq(&vpcs) {
                wrong.push(format!("{name} is in {of:?}, VPCs are {vpcs:?}"));
            }
        }
        wrong.extend(self.in_the_open(after));
        wrong
    }

    fn in_the_open(&self, after: &Value) -> Vec<String> {
        let is_open = |interface: &Value| texts(&interface["groups"]).any(|group| self.passage.contains(&group));
        let open = objects(&after["network_interfaces"]).filter(|(_, interface)| is_open(interface));
        open.map(|(id, _)| format!("{id} is in an open group")).collect()
    }
}

/// Direction, protocol and addresses of each rule, sorted; whatever else a rule may name has no addresses.
fn said(rules: &Value) -> Vec<[&str; 3]> {
    fn rule(rule: &Value) -> [&str; 3] {
        let direction = if rule["IsEgress"] == true { "out" } else { "in" };
        let addresses = rule["CidrIpv4"].as_str().or_else(|| rule["CidrIpv6"].as_str());
        [direction, text(&rule["IpProtocol"]), addresses.unwrap_or_default()]
    }
    let mut all: Vec<[&str; 3]> = rules.as_array().into_iter().flatten().map(rule).collect();
    all.sort_unstable();
    all
}

/// Whether AWS put each interface of an instance into quarantine, then into an open group, and then back, and left none in it.
pub fn passed(ids: &Value, whose: &str, before: &Value, after: &Value, moves: &[Move]) -> Check {
    let prepared = Prepared::of(before, after);
    let kind = |group: &str| match group {
        group if prepared.quarantine.contains(&group) => "quarantine",
        group if prepared.passage.contains(&group) => "open",
        _ => "other",
    };
    let mut wrong = prepared.in_the_open(after);
    let mut count = 0;
    for interface in texts(&ids[whose]["interfaces"]) {
        count += 1;
        let its_own = moves.iter().filter(|moved| moved.interface == interface);
        let went: Vec<String> = its_own
            .map(|moved| {
                let kinds: Vec<&str> = moved.groups.iter().map(|group| kind(group)).collect();
                kinds.join(" + ")
            })
            .collect();
        if went != ["quarantine", "open", "quarantine"] {
            wrong.push(format!("{interface} went through {went:?}"));
        }
    }
    if count == 0 {
        wrong.push("it has no interfaces".to_owned());
    }
    let each = if count == 1 { "its interface".to_owned() } else { format!("each of its {count} interfaces") };
    let claim = format!("{each} passed the open group once, between two quarantines; none is left in it");
    Check { claim, verdict: if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) } }
}

/// New snapshots of instances that there were before, whose tags name the instance and an incident.
fn evidence<'a>(before: &Value, after: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let mut new = new_in("snapshots", before, after);
    new.retain(|(_, snapshot)| {
        let instance = &before["instances"][text(&snapshot["tags"]["cordon:instance"])];
        let named = snapshot["tags"][INCIDENT].is_string() && snapshot["state"] != "error";
        named && instance["volumes"].get(text(&snapshot["volume"])).is_some()
    });
    new
}

/// Members of Auto Scaling groups that did not exist before: group and instance.
fn replacements<'a>(before: &Value, after: &'a Value) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for (name, group) in objects(&after["scaling_groups"]) {
        let in_service = objects(&group["members"]).filter(|(_, member)| member["state"] == "InService");
        let new = in_service.filter(|(id, _)| before["instances"].get(id.as_str()).is_none());
        found.extend(new.map(|(id, _)| (name.as_str(), id.as_str())));
    }
    found
}

/// A new member shows with its interfaces, and as a target where its group has one.
fn expect_replacements(expected: &mut Expected, before: &Value, after: &Value) {
    for (group, instance) in replacements(before, after) {
        expected.add_new("instances", instance);
        expected.add(format!("/scaling_groups/{group}/members/{instance}"));
        for (interface, _) in new_in("network_interfaces", before, after)
            .iter()
            .filter(|(_, interface)| interface["attachment"]["InstanceId"] == instance)
        {
            expected.add_new("network_interfaces", interface);
        }
        for (arn, targets) in objects(&after["target_groups"]) {
            let its_own = |target: &str| target.rsplit_once(':').is_some_and(|(id, _)| id == instance);
            for (target, _) in objects(targets).filter(|(target, _)| its_own(target)) {
                expected.add(format!("/target_groups/{arn}/{target}"));
            }
        }
    }
}

fn has_one_more(after: &Value, before: &Value) -> bool {
    let mut expected: Vec<&str> = texts(before).chain([DENY_ALL]).collect();
    expected.sort_unstable();
    texts(after).eq(expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::fixture;

    /// The numbers of the claims that do not hold.
    fn wrong(after: &Value) -> Vec<usize> {
        let checks = contained(&fixture::ids(), &fixture::before(), after);
        (0..).zip(checks).filter(|(_, check)| check.verdict.is_err()).map(|(nth, _)| nth).collect()
    }

    fn is_released(after: &Value) -> bool {
        released(&fixture::before(), after).check.verdict.is_ok()
    }

    #[test]
    fn whatever_is_missing_or_too_much_is_found() {
        assert_eq!(wrong(&fixture::contained()), Vec::<usize>::new());
        assert_eq!(wrong(&fixture::before()), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let rule = json!([{"IsEgress": true}]);
        let everybody = json!({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]});
        let (instance, ip) =
            ("/target_groups/arn:x:targetgroup~1web-instance~11", "/target_groups/arn:x:targetgroup~1web-ip~12");
        let with_it = json!({"i-1:80": "healthy", "i-2:80": "healthy", "i-3:80": "healthy"});
        for (pointer, value, expected) in [
            ("/network_interfaces/eni-2/groups", json!(["sg-1", "sg-2"]), &[0][..]),
            ("/security_groups/sg-2/rules", rule, &[0, 9]),
            ("/security_groups/sg-5/rules/0/CidrIpv4", json!("10.0.0.0/8"), &[9]),
            ("/security_groups/sg-5/name", json!("open"), &[9]),
            ("/network_interfaces/eni-1/groups", json!(["sg-5"]), &[0, 9]),
            ("/network_interfaces/eni-4/groups", json!(["sg-5"]), &[9]),
            ("/network_interfaces/eni-2/connection_tracking", Value::Null, &[1]),
            ("/network_interfaces/eni-3/connection_tracking", json!({"TcpEstablishedTimeout": 60}), &[9]),
            ("/scaling_groups/web/members/i-1/state", json!("InService"), &[2]),
            ("/scaling_groups/web/desired", json!(2), &[9]),
            ("/scaling_groups/web/members", json!({"i-1": {"state": "Standby"}}), &[2, 9]),
            (instance, with_it, &[3]),
            (ip, json!({}), &[3, 9]),
            ("/instances/i-1/attributes/disableApiStop", json!(false), &[4]),
            ("/instances/i-1/volumes/vol-1/delete_on_termination", json!(true), &[4]),
            ("/instances/i-2/attributes/disableApiStop", json!(true), &[9]),
            ("/snapshots", json!({}), &[5, 9]),
            ("/snapshots/snap-1/tags/cordon:incident", json!("other-owl"), &[5]),
            ("/snapshots/snap-1/volume", json!("vol-2"), &[5, 9]),
            ("/roles/AROA1/inline/deny", everybody, &[6]),
            ("/users/AIDA1/keys/AKIA0002", json!("Active"), &[7]),
            ("/users/AIDA1/attached", json!([]), &[8]),
            ("/network_interfaces/eni-3/groups", json!(["sg-2"]), &[9]),
            ("/roles/AROA1/inline/read", Value::Null, &[9]),
        ] {
            let mut after = fixture::contained();
            *after.pointer_mut(pointer).unwrap() = value;
            assert_eq!(wrong(&after), expected, "{pointer}");
        }
    }

    #[test]
    fn after_a_release_only_what_stays_by_declaration_may_be_left() {
        let left = released(&fixture::before(), &fixture::released());
        assert_eq!((left.check.verdict, left.declared.len()), (Ok(()), 4));
        assert_eq!(released(&fixture::before(), &fixture::before()).declared, Vec::<String>::new());
        assert!(!is_released(&fixture::contained()));
        for (pointer, value) in [
            ("/security_groups/sg-2/rules", json!([{"IsEgress": true}])),
            ("/security_groups/sg-2/vpc", json!("vpc-2")),
            ("/security_groups/sg-5/rules", json!([])),
            (
                "/security_groups/sg-5/rules/3",
                json!({"IsEgress": false, "IpProtocol": "-1", "ReferencedGroupInfo": {}}),
            ),
            ("/network_interfaces/eni-4/groups", json!(["sg-1", "sg-5"])),
            ("/security_groups/sg-1/rules", json!([])),
            ("/users/AIDA1/keys/AKIA0002", json!("Inactive")),
            ("/snapshots/snap-1/tags", json!({})),
            ("/scaling_groups/web/desired", json!(3)),
            ("/scaling_groups/web/members/i-1/state", json!("Standby")),
            ("/target_groups/arn:x:targetgroup~1web-ip~12", json!({"10.0.0.2:80": "healthy"})),
            ("/network_interfaces/eni-1/connection_tracking/UdpTimeout", json!(60)),
            ("/network_interfaces/eni-4/attachment/InstanceId", json!("i-4")),
            ("/instances/i-1/attributes/disableApiTermination", json!(true)),
        ] {
            let mut left = fixture::released();
            *left.pointer_mut(pointer).unwrap() = value;
            assert!(!is_released(&left), "{pointer}");
        }
        for group in ["sg-2", "sg-5"] {
            let mut left = fixture::released();
            left["security_groups"]["sg-3"] = left["security_groups"][group].clone();
            assert!(!is_released(&left), "two in one VPC: {group}");
        }
    }

    #[test]
    fn a_passage_goes_from_quarantine_through_the_open_group_and_back() {
        let (ids, before, contained) = (fixture::ids(), fixture::before(), fixture::contained());
        let verdict = |after: &Value, went: [&[&str]; 2]| {
            let moved = |(interface, groups): (&&str, &[&str])| -> Vec<Move> {
                let one = |group: &&str| Move { interface: (*interface).to_owned(), groups: vec![(*group).to_owned()] };
                groups.iter().map(one).collect()
            };
            let moves: Vec<Move> = ["eni-1", "eni-2"].iter().zip(went).flat_map(moved).collect();
            passed(&ids, "victim", &before, after, &moves).verdict
        };
        let right = &["sg-2", "sg-5", "sg-2"][..];
        assert_eq!(verdict(&contained, [right, right]), Ok(()));
        for went in [&[][..], &["sg-2"], &["sg-2", "sg-5"], &["sg-5", "sg-2"], &["sg-2", "sg-1", "sg-2"]] {
            assert!(verdict(&contained, [right, went]).is_err(), "{went:?}");
        }
        let mut open = contained.clone();
        open["network_interfaces"]["eni-3"]["groups"] = json!(["sg-5"]);
        assert!(verdict(&open, [right, right]).is_err());
    }

    #[test]
    fn a_user_is_said_in_one_line() {
        let (ids, before) = (fixture::ids(), fixture::before());
        assert_eq!(user(&ids, &before), "user : key …0001 Active, key …0002 Active, AWSDenyAll not attached");
        assert_eq!((active_keys(&ids, &before), active_keys(&ids, &fixture::contained())), (2, 0));
    }
}
