//! Calls that CloudTrail recorded, held against the changes of the journal: which of them are ours.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use serde_json::Value;
use std::collections::BTreeSet;

/// The name of a call, and what is among its parameters besides the resource and [`super::Action::details`]: values, or names of parameters.
pub type Called = (&'static str, Vec<String>);

/// Stands for the quarantine or passage group of the VPC, in what a call says.
pub const OWN_GROUP: &str = "{own group}";

/// Stands for a policy document whose statements all deny.
pub const DENIES_ONLY: &str = "{denies only}";

/// Nested deeper, it is no parameter of ours.
const DEEPEST: usize = 12;

/// A policy document in the form in which two are compared.
pub fn canonical(document: &str) -> String {
    serde_json::from_str::<Value>(document).map_or_else(|_| document.to_owned(), |document| document.to_string())
}

/// A recorded call, as far as it takes to know it as ours.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    name: String,
    /// Every text and number of its parameters and its answer, and every name of a parameter; policy documents in canonical form.
    said: BTreeSet<String>,
    /// The ids of groups in its parameters.
    groups: BTreeSet<String>,
    /// A policy document of which all statements deny.
    denies_only: bool,
    is_refused: bool,
}

impl Recorded {
    /// Of a record's `requestParameters` and `responseElements`.
    pub fn of(name: &str, parameters: &Value, answer: &Value, is_refused: bool) -> Self {
        let mut found = Self { name: name.to_owned(), is_refused, ..Self::default() };
        // Some calls name the thing in their answer alone.
        found.hear(answer, 0);
        found.groups.clear();
        found.hear(parameters, 0);
        found
    }

    fn hear(&mut self, value: &Value, depth: usize) {
        match value {
            _ if depth > DEEPEST => {}
            Value::Object(object) => {
                for (name, value) in object {
                    self.said.insert(name.clone());
                    self.hear(value, depth + 1);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.hear(item, depth + 1)),
            Value::String(text) => {
                if text.starts_with("sg-") {
                    self.groups.insert(text.clone());
                }
                let document: Option<Value> = serde_json::from_str(text).ok();
                self.denies_only |= document.is_some_and(|document| denies_only(&document));
                self.said.insert(canonical(text));
            }
            Value::Null => {}
            other => drop(self.said.insert(other.to_string())),
        }
    }

    /// Whether it is that call about that resource, and says all that and no other group.
    pub fn is(&self, called: &Called, resource: &str, details: &[String], own_groups: &BTreeSet<String>) -> bool {
        let (name, said) = called;
        let says = |what: &String| match what.as_str() {
            OWN_GROUP => self.groups.len() == 1 && self.groups.is_subset(own_groups),
            DENIES_ONLY => self.denies_only,
            group if group.starts_with("sg-") => {
                self.groups.contains(group) && self.groups.iter().all(|id| said.contains(id))
            }
            _ => self.said.contains(what),
        };
        self.name == *name && self.said.contains(resource) && details.iter().chain(said).all(says)
    }

    /// It was refused, and so CloudTrail does not say what it said.
    pub fn is_silent(&self) -> bool {
        self.is_refused && self.said.is_empty()
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.name == name
    }

    /// Of the groups that it names, all are ours; it names one at least.
    pub fn is_about(&self, own_groups: &BTreeSet<String>) -> bool {
        !self.groups.is_empty() && self.groups.is_subset(own_groups)
    }

    pub fn says(&self, what: &str) -> bool {
        self.said.contains(what)
    }
}

fn denies_only(document: &Value) -> bool {
    let statements = document.get("Statement").and_then(Value::as_array);
    let denies = |statement: &Value| statement.get("Effect").is_some_and(|effect| effect == "Deny");
    statements.is_some_and(|all| !all.is_empty() && all.iter().all(denies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::{
            AccessKeyStatus, AnyChange, Attachment, Change, Group, Groups, InterfaceGroups, KeyStatus, UserAttachment,
        },
        domain::{AccessKeyId, AccountId, Arn, GroupId, InterfaceId, Region, UserId, UserName, VpcId},
    };
    use serde_json::json;

    #[test]
    fn a_call_is_ours_only_with_operation_target_and_value_of_a_step() {
        let (account, region) = (AccountId::parse("111122223333").unwrap(), Region::parse("us-east-1").unwrap());
        let (user, user_id) = (UserName::parse("ann").unwrap(), UserId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap());
        let key = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap();
        let interface = InterfaceId::parse("eni-0a1b2c3d4e5f60718").unwrap();
        let before = Groups([Group::Id(GroupId::parse("sg-0a1b2c3d").unwrap())].into());
        let vpc = VpcId::parse("vpc-0a1b2c3d").unwrap();
        let cut: AnyChange = Change {
            target: InterfaceGroups { account: account.clone(), region, vpc, interface },
            before,
            after: Groups::quarantine(),
        }
        .into();
        let target = AccessKeyStatus { account: account.clone(), user: user.clone(), user_id: user_id.clone(), key };
        let off: AnyChange = Change { target, before: KeyStatus::Active, after: KeyStatus::Inactive }.into();
        let policy = Arn::parse("arn:aws:iam::aws:policy/AWSDenyAll").unwrap();
        let target = UserAttachment { account, user, user_id, policy };
        let deny: AnyChange = Change { target, before: Attachment::Detached, after: Attachment::Attached }.into();
        let own: BTreeSet<String> = ["sg-0000aaaa".to_owned()].into();
        let groups = |ids: &[&str]| {
            let items: Vec<Value> = ids.iter().map(|id| json!({"groupId": id})).collect();
            json!({"networkInterfaceId": "eni-0a1b2c3d4e5f60718", "groupSet": {"items": items}})
        };
        let key = |status: &str| json!({"userName": "ann", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "status": status});
        for (change, name, parameters, ours) in [
            (&cut, "ModifyNetworkInterfaceAttribute", groups(&["sg-0000aaaa"]), true),
            (&cut, "ModifyNetworkInterfaceAttribute", groups(&["sg-0a1b2c3d"]), true),
            (&cut, "ModifyNetworkInterfaceAttribute", groups(&["sg-0000bbbb"]), false),
            (&cut, "ModifyNetworkInterfaceAttribute", groups(&["sg-0000aaaa", "sg-0000bbbb"]), false),
            (&cut, "ModifyNetworkInterfaceAttribute", groups(&["sg-0a1b2c3d", "sg-0000bbbb"]), false),
            (&cut, "AuthorizeSecurityGroupIngress", groups(&["sg-0000aaaa"]), false),
            (&off, "UpdateAccessKey", key("Inactive"), true),
            (&off, "UpdateAccessKey", key("Active"), true),
            (&off, "DeleteAccessKey", key("Inactive"), false),
            (
                &off,
                "UpdateAccessKey",
                json!({"userName": "ann", "accessKeyId": "AKIAOTHEROTHEROTHER1", "status": "Inactive"}),
                false,
            ),
            (
                &deny,
                "AttachUserPolicy",
                json!({"userName": "ann", "policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}),
                true,
            ),
            (
                &deny,
                "AttachUserPolicy",
                json!({"userName": "ann", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
                false,
            ),
            (
                &deny,
                "AttachUserPolicy",
                json!({"userName": "bob", "policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}),
                false,
            ),
        ] {
            let recorded = Recorded::of(name, &parameters, &Value::Null, false);
            assert_eq!(change.is_call(&recorded, &own, true), ours, "{name} {parameters}");
        }
        let silent = |is_refused| Recorded::of("UpdateAccessKey", &Value::Null, &Value::Null, is_refused);
        assert!(off.is_call(&silent(true), &own, true) && !off.is_call(&silent(false), &own, true));
        assert!(!cut.is_call(&silent(true), &own, true));
    }
}
