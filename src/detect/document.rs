//! A record as rules see it: its own members, names without versions beside the names as they came, objects also as JSON text, and
//! `cordon.*`, which says what takes more than a comparison of texts to see.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{grants, network};
use crate::{
    domain::UserType,
    ingest::{CallResult, Cursor, Record},
};
use rsigma_eval::event::{Event, EventValue, JsonEvent};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The derived members that rules may ask for and what they say, in the order of the manual.
pub const DERIVED: [(&str, &str); 24] = [
    (
        "cordon.actor",
        "who called: `user`, `role`, `root`, `service`, `federated`, `other-account`, `anonymous`, `identity-center`, `unknown`",
    ),
    ("cordon.by_service", "an AWS service called, in its own name or in that of the role that it was given"),
    (
        "cordon.by_aws",
        "an AWS service called of its own accord: in its own name, or by its service-linked role; not for somebody",
    ),
    (
        "cordon.mfa_absent",
        "a user or root came in without a second factor; never said of roles and federated users, who have none here",
    ),
    ("cordon.result", "`done`, `denied` or `failed`"),
    ("cordon.is_truncated", "CloudTrail left the parameters out, because they were too long"),
    ("cordon.is_dry_run", "the call only asked whether it would be allowed"),
    ("cordon.on_self", "the user or role that is changed is the caller"),
    ("cordon.world_open", "a prefix of /8 (IPv4) or /16 (IPv6) or wider is let in, alone or together with others"),
    ("cordon.ports", "the ports that are open to the world, as `22`, `8000-8100`, `all`, `icmp`"),
    ("cordon.sensitive_port", "among them one by which machines are administered or databases asked"),
    ("cordon.shared_publicly", "something is shared with everybody"),
    ("cordon.shared_with", "the other accounts that something is shared with"),
    ("cordon.shared_with_foreign", "there is one"),
    ("cordon.has_policy", "the call carries a policy"),
    (
        "cordon.policy_is_admin",
        "it grants all actions on all resources or all of IAM, or it is AdministratorAccess, IAMFullAccess, PowerUserAccess",
    ),
    ("cordon.policy_escalates", "it grants on everything what makes an administrator of whoever has it"),
    ("cordon.policy_is_public", "it lets anybody in, and no condition narrows it"),
    ("cordon.policy_grants_foreign", "it lets another account in"),
    ("cordon.passed_role", "the ARNs of roles in the parameters, which the service will work with"),
    ("cordon.passes_role", "there is one"),
    ("cordon.instances", "how many instances are asked for at most"),
    ("cordon.is_accelerated", "instances with GPUs or other accelerators, or of the largest sizes"),
    ("cordon.has_user_data", "the parameters carry user data"),
];

/// A record with what is derived from it.
pub struct Document<'a> {
    record: &'a Record,
    derived: Value,
}

impl<'a> Document<'a> {
    pub fn of(record: &'a Record) -> Self {
        Self { record, derived: derived(record) }
    }

    /// Of `cordon.*`.
    pub fn says(&self, member: &str) -> bool {
        self.derived.get(member).is_some_and(|value| value == &Value::Bool(true))
    }

    pub fn list(&self, member: &str) -> impl Iterator<Item = &str> {
        self.derived.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    pub fn derived(&self) -> &Value {
        &self.derived
    }

    /// The first text at a path of the record.
    pub fn text(&self, path: &str) -> Option<String> {
        first_text(&self.get_field(path)?)
    }
}

fn first_text(value: &EventValue<'_>) -> Option<String> {
    match value {
        EventValue::Array(items) => items.iter().find_map(first_text),
        EventValue::Null | EventValue::Map(_) => None,
        other => other.as_str().map(Cow::into_owned).filter(|text| !text.is_empty()),
    }
}

impl Event for Document<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        if let Some(member) = path.strip_prefix("cordon.") {
            return self.derived.get(member).map(EventValue::from);
        }
        if path == "eventName" {
            let (as_it_came, cut) = (self.record.raw.get("eventName")?.as_str()?, self.record.name.as_str());
            let names = [as_it_came, cut].map(|name| EventValue::Str(Cow::Owned(name.to_owned())));
            return Some(if as_it_came == cut {
                EventValue::from(self.record.raw.get("eventName")?)
            } else {
                EventValue::Array(names.into())
            });
        }
        let raw = JsonEvent::borrow(&self.record.raw);
        raw.get_field(path).map(owned).map(objects_as_text)
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        JsonEvent::borrow(&self.record.raw).any_string_value(pred)
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        JsonEvent::borrow(&self.record.raw)
            .all_string_values()
            .into_iter()
            .map(|text| Cow::Owned(text.into_owned()))
            .collect()
    }

    fn to_json(&self) -> Value {
        let mut all = self.record.raw.clone();
        if let Some(all) = all.as_object_mut() {
            all.insert("cordon".to_owned(), self.derived.clone());
        }
        all
    }
}

/// The wrapper that lends it lives no longer than the look-up.
fn owned(value: EventValue<'_>) -> EventValue<'static> {
    match value {
        EventValue::Str(text) => EventValue::Str(Cow::Owned(text.into_owned())),
        EventValue::Int(n) => EventValue::Int(n),
        EventValue::Float(n) => EventValue::Float(n),
        EventValue::Bool(b) => EventValue::Bool(b),
        EventValue::Null => EventValue::Null,
        EventValue::Array(items) => EventValue::Array(items.into_iter().map(owned).collect()),
        EventValue::Map(members) => EventValue::Map(
            members.into_iter().map(|(name, value)| (Cow::Owned(name.into_owned()), owned(value))).collect(),
        ),
    }
}

/// Published rules look for texts in whole objects (`requestParameters|contains`).
fn objects_as_text(value: EventValue<'static>) -> EventValue<'static> {
    match value {
        EventValue::Map(_) => {
            let text = value.to_json().to_string();
            // A policy is text within, and its quotation marks are what rules look for.
            let bare = text.replace("\\\"", "\"");
            let texts = if bare == text { vec![text] } else { vec![text, bare] };
            EventValue::Array(texts.into_iter().map(|text| EventValue::Str(Cow::Owned(text))).collect())
        }
        EventValue::Array(items) => EventValue::Array(items.into_iter().map(objects_as_text).collect()),
        other => other,
    }
}

fn derived(record: &Record) -> Value {
    let at = Cursor::new(&record.raw);
    let null = Value::Null;
    let parameters = record.raw.get("requestParameters").unwrap_or(&null);
    let own = record.account.as_ref().map(|account| account.as_str());
    let by_service = is_by_service(record, at);
    let mut said = Map::new();
    let mut say = |member: &str, value: Value| drop(said.insert(member.to_owned(), value));
    say("actor", json!(actor(record, at)));
    say("by_service", json!(by_service));
    say("by_aws", json!(is_by_aws(record, at)));
    say("mfa_absent", json!(is_mfa_absent(record, at)));
    say(
        "result",
        json!(match record.result {
            CallResult::Done => "done",
            CallResult::Denied => "denied",
            CallResult::Failed => "failed",
        }),
    );
    say("is_dry_run", json!(at.get("errorCode").str().is_some_and(|code| code.ends_with("DryRunOperation"))));
    say("is_truncated", json!(record.is_truncated));
    say("on_self", json!(is_on_self(record, at)));
    let opened = network::opened(parameters);
    say("world_open", json!(opened.world));
    say("ports", json!(opened.ports));
    say("sensitive_port", json!(opened.sensitive));
    let shared = grants::shared(parameters, own);
    say("shared_publicly", json!(shared.publicly));
    say("shared_with", json!(shared.accounts));
    say("shared_with_foreign", json!(!shared.accounts.is_empty()));
    let mut granted = grants::granted(parameters, own);
    // A policy that CloudTrail left out because it was too long is the worst that it could be: white space costs nothing.
    if record.is_truncated && record.name.as_str().contains("Policy") {
        (granted.has_policy, granted.is_admin, granted.is_public) = (true, true, true);
    }
    say("has_policy", json!(granted.has_policy));
    say("policy_is_admin", json!(granted.is_admin));
    say("policy_escalates", json!(granted.escalates));
    say("policy_is_public", json!(granted.is_public));
    say("policy_grants", json!(granted.accounts));
    say("policy_grants_foreign", json!(!granted.accounts.is_empty()));
    let roles = passed_roles(record, parameters);
    say("passes_role", json!(!roles.is_empty()));
    say("passed_role", json!(roles));
    let compute = Compute::of(parameters);
    // INVARIANT: `as` saturates, and nobody asks for more than f64 holds.
    say("instances", json!(compute.instances as u64));
    say("is_accelerated", json!(compute.is_accelerated));
    say("has_user_data", json!(compute.has_user_data));
    Value::Object(said)
}

fn actor(record: &Record, at: Cursor<'_>) -> &'static str {
    match record.caller.kind {
        UserType::Root => "root",
        UserType::IamUser => "user",
        UserType::AssumedRole => "role",
        UserType::FederatedUser | UserType::SamlUser | UserType::WebIdentityUser | UserType::Directory => "federated",
        UserType::AwsService => "service",
        UserType::IdentityCenterUser => "identity-center",
        UserType::AwsAccount
            if at
                .path("userIdentity.accountId")
                .str()
                .is_some_and(|account| account.eq_ignore_ascii_case("anonymous")) =>
        {
            "anonymous"
        }
        UserType::AwsAccount if record.caller.principal_id.as_str().is_empty() => "anonymous",
        UserType::AwsAccount => "other-account",
        UserType::Unknown if at.path("userIdentity.invokedBy").exists() => "service",
        UserType::Unknown => "unknown",
    }
}

/// In its own name (`AWSService`), for somebody (`invokedBy`, or a host of AWS as the address), or by a service-linked role.
fn is_by_service(record: &Record, at: Cursor<'_>) -> bool {
    let is_host =
        |text: Option<&str>| text.is_some_and(|text| text.ends_with(".amazonaws.com") || text == "AWS Internal");
    record.caller.kind == UserType::AwsService
        || is_host(at.path("userIdentity.invokedBy").str())
        || is_host(at.get("sourceIPAddress").str())
        || at
            .path("userIdentity.sessionContext.sessionIssuer.arn")
            .str()
            .is_some_and(|arn| arn.contains(":role/aws-service-role/"))
}

/// What somebody has a service do for him (CloudFormation, Systems Manager) is his doing.
fn is_by_aws(record: &Record, at: Cursor<'_>) -> bool {
    let is_linked = |arn: &str| arn.contains(":role/aws-service-role/");
    record.caller.kind == UserType::AwsService
        || at.path("userIdentity.sessionContext.sessionIssuer.arn").str().is_some_and(is_linked)
}

/// Federated sign-ins say `No` always: their second factor is elsewhere.
fn is_mfa_absent(record: &Record, at: Cursor<'_>) -> bool {
    let judged = matches!(record.caller.kind, UserType::IamUser | UserType::Root);
    let said = at.path("additionalEventData.MFAUsed").str();
    judged && record.name.as_str() == "ConsoleLogin" && said.is_none_or(|used| used.eq_ignore_ascii_case("no"))
}

fn is_on_self(record: &Record, at: Cursor<'_>) -> bool {
    let name = record.caller.name.as_str();
    let is = |path: &str| !name.is_empty() && at.path(path).str() == Some(name);
    // Without a name, IAM takes the caller's; of a call that was refused CloudTrail shows no parameters.
    let unnamed = record.service.as_str() == "iam.amazonaws.com"
        && record.result == CallResult::Done
        && OF_ONESELF.contains(&record.name.as_str())
        && !at.path("requestParameters.userName").exists();
    match record.caller.kind {
        UserType::IamUser => unnamed || is("requestParameters.userName"),
        UserType::AssumedRole => is("requestParameters.roleName"),
        _ => false,
    }
}

/// Calls of IAM whose user name may be left out (IAM API reference).
const OF_ONESELF: [&str; 7] = [
    "CreateAccessKey",
    "CreateLoginProfile",
    "DeleteAccessKey",
    "DeleteLoginProfile",
    "DeactivateMFADevice",
    "UpdateAccessKey",
    "UploadSigningCertificate",
];

/// `iam:PassRole` has no event of its own. Calls of IAM and STS about a role pass none.
fn passed_roles(record: &Record, parameters: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !matches!(record.service.as_str(), "iam.amazonaws.com" | "sts.amazonaws.com") {
        roles(parameters, &mut found, 0);
    }
    found
}

fn roles(value: &Value, found: &mut Vec<String>, depth: usize) {
    match value {
        _ if depth > 8 || found.len() >= 10 => {}
        Value::Object(object) => {
            for (name, value) in object {
                let name = name.to_lowercase();
                match value {
                    Value::String(arn)
                        if is_role(arn) && (name.contains("role") || name.contains("instanceprofile")) =>
                    {
                        found.push(arn.clone())
                    }
                    // An instance profile has the role's name by custom, and by name or ARN it stands in RunInstances.
                    Value::Object(profile) if name == "iaminstanceprofile" => {
                        found.extend(
                            ["arn", "name", "Arn", "Name"]
                                .iter()
                                .find_map(|member| profile.get(*member))
                                .and_then(Value::as_str)
                                .map(str::to_owned),
                        );
                    }
                    other => roles(other, found, depth + 1),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| roles(item, found, depth + 1)),
        _ => {}
    }
}

fn is_role(arn: &str) -> bool {
    arn.starts_with("arn:") && (arn.contains(":role/") || arn.contains(":instance-profile/"))
}

/// What compute is asked for, in whatever shape the service's parameters have.
#[derive(Default)]
struct Compute {
    instances: f64,
    is_accelerated: bool,
    has_user_data: bool,
}

/// Members that say how many are wanted; the least and the most of a group are no demand.
const COUNTS: [&str; 7] = [
    "maxcount",
    "desiredcapacity",
    "desiredsize",
    "targetcapacity",
    "totaltargetcapacity",
    "instancecount",
    "desiredcount",
];

impl Compute {
    fn of(parameters: &Value) -> Self {
        let mut found = Self::default();
        found.look(parameters, 0);
        found
    }

    fn look(&mut self, value: &Value, depth: usize) {
        match value {
            _ if depth > 12 => {}
            Value::Object(object) => {
                for (name, value) in object {
                    let name = name.to_lowercase();
                    if COUNTS.contains(&name.as_str())
                        && let Some(count) = value.as_f64().or_else(|| value.as_str()?.parse().ok())
                    {
                        self.instances = self.instances.max(count);
                    }
                    self.has_user_data |= name == "userdata" && !value.is_null();
                    if name.starts_with("instancetype") || name == "resourcetype" {
                        let kinds = value
                            .as_str()
                            .into_iter()
                            .chain(value.as_array().into_iter().flatten().filter_map(Value::as_str));
                        self.is_accelerated |= kinds.into_iter().any(is_accelerated);
                    }
                    self.look(value, depth + 1);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.look(item, depth + 1)),
            _ => {}
        }
    }
}

/// Families with accelerators (EC2 user guide, "Accelerated computing"), and sizes that nobody starts by chance.
fn is_accelerated(kind: &str) -> bool {
    let (family, size) = kind.strip_prefix("ml.").unwrap_or(kind).split_once('.').unwrap_or((kind, ""));
    let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
    let times = size.strip_suffix("xlarge").and_then(|n| n.parse::<u32>().ok()).unwrap_or_default();
    matches!(letters.as_str(), "p" | "g" | "gr" | "trn" | "inf" | "dl" | "vt" | "f")
        || size.contains("metal")
        || times >= 16
}
