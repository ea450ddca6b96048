//! Who set what, by CloudTrail: a release must not give the account back to the attacker as he had arranged it, and people want to
//! know who has changed since what was contained.

use super::Course;
use crate::{
    actions::AnyChange,
    aws::{Aws, AwsError},
    domain::{AccountId, Arn, Region, Target, Text, Timestamp},
    journal::{Journal, JournalError},
    policy::Subject,
    survey::trail::{self, By, Looked, Window},
};
use futures::future::try_join_all;
use serde_json::Value;
use std::{collections::BTreeSet, fmt, time::Duration};

/// A thousand calls of one principal in one region: ten seconds of looking.
const MOST_PAGES: usize = 20;
/// Of a thing that somebody changed, only the last ones are of interest.
const FEW_PAGES: usize = 2;
/// Where the finding does not say since when.
const LOOK_BACK: Duration = Duration::from_secs(24 * 60 * 60);

/// What those whom the containment is about have called between the first evidence and the containment.
#[derive(Debug)]
pub struct History {
    calls: Result<Vec<Value>, String>,
}

/// A principal as CloudTrail names it: unique id, for a session with its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Actor {
    /// `AIDA…` or `AROA…:session`.
    principal: String,
    /// The user's or the session's.
    name: String,
}

impl History {
    /// Asked before the lease is taken, because CloudTrail takes its time.
    pub async fn read(aws: &Aws, journal: &dyn Journal, since: Option<Timestamp>, course: &Course) -> Self {
        let until = course.begun().unwrap_or_else(|| aws.now());
        let window =
            Window { from: since.filter(|since| *since < until).unwrap_or(until.minus(LOOK_BACK)), until: Some(until) };
        let regions = trail::regions(aws, course.target().region());
        let actors = actors(course);
        let searches = actors.iter().flat_map(|actor| regions.iter().map(move |region| (actor, region)));
        let one = async |(actor, region): (&Actor, &Region)| {
            let Looked { mut records, is_cut } =
                trail::look_up(aws, region, By::Name(&actor.name), window, MOST_PAGES).await?;
            records.retain(|record| {
                record.pointer("/userIdentity/principalId") == Some(&Value::from(actor.principal.as_str()))
            });
            Ok::<_, AwsError>((records, is_cut))
        };
        if let Some(calls) = by_contained(aws, journal, course.target(), until).await {
            return Self { calls: calls.map_err(|error| error.to_string()) };
        }
        let calls = match try_join_all(searches.map(one)).await {
            Ok(found) if found.iter().any(|(_, is_cut)| *is_cut) => {
                Err("they made more calls than could be looked through".to_owned())
            }
            Ok(found) => Ok(found.into_iter().flat_map(|(records, _)| records).collect()),
            Err(error) => Err(error.to_string()),
        };
        Self { calls }
    }

    /// Why a change must not simply be put back; `None` where what was there before is nobody's trap, as far as CloudTrail knows.
    pub fn objects(&self, change: &AnyChange, target: &Target) -> Option<String> {
        match &self.calls {
            Ok(calls) => {
                let call = calls.iter().find(|call| is_set_by(change, target, call))?;
                Some(format!(
                    "what was there before was set by {}: look at it, and release with --force if it is right",
                    shown(call)
                ))
            }
            Err(why) => Some(format!(
                "whether the attacker had set what was there before could not be looked up ({why}): release with --force if it is right"
            )),
        }
    }
}

/// Of a group or a bucket, what was set by those who were, or are, contained themselves: others opened it by mistake. `None` of other targets.
async fn by_contained(
    aws: &Aws,
    journal: &dyn Journal,
    target: &Target,
    until: Timestamp,
) -> Option<Result<Vec<Value>, JournalError>> {
    let (name, region) = match target {
        Target::SecurityGroup { region, .. } | Target::Bucket { region, .. } => (target.resource_name()?, region),
        _ => return None,
    };
    let window = Window { from: until.minus(LOOK_BACK), until: Some(until) };
    let looked = match trail::look_up(aws, region, By::Resource(name), window, MOST_PAGES).await {
        Ok(looked) => looked,
        Err(error) => return Some(Err(error.into())),
    };
    if looked.is_cut {
        let why = "more calls name it than could be looked through";
        return Some(Err(AwsError::incomplete("cloudtrail:LookupEvents", why).into()));
    }
    let mut found = Vec::new();
    for record in looked.records {
        let id = record.pointer("/userIdentity/principalId").and_then(Value::as_str).unwrap_or_default();
        let kind = if id.contains(':') { "role-session" } else { "user" };
        match journal.read(&format!("{}#global#{kind}#{id}", target.account())).await {
            Ok(Some(_)) => found.push(record),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(found))
}

/// Who made a call.
#[derive(Debug)]
pub struct Author {
    /// As policies name him: a role's session by its role.
    pub subject: Subject,
    shown: String,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn subject(call: &Value, account: &AccountId) -> Subject {
    let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str);
    let arn = text("/userIdentity/sessionContext/sessionIssuer/arn").or_else(|| text("/userIdentity/arn"));
    let id = text("/userIdentity/principalId").unwrap_or_default();
    let id = id.split(':').next().unwrap_or_default();
    Subject::new(account, arn.and_then(|arn| Arn::parse(arn).ok()), id)
}

/// Who has changed a thing since it was contained, by the last such call that was not Cordon's; `None` where CloudTrail knows nothing (yet).
pub async fn changed_by(aws: &Aws, change: &AnyChange, course: &Course) -> Result<Option<Author>, AwsError> {
    // Before it was last seen in place nobody can have undone it.
    let seen = course.seen(change).or_else(|| course.begun());
    let from = seen.unwrap_or_else(|| aws.now().minus(LOOK_BACK));
    let own = &aws.identity().await?.unique_id;
    let window = Window { from, until: None };
    let regions = trail::regions(aws, course.target().region());
    let searches =
        regions.iter().map(|region| trail::look_up(aws, region, By::Resource(change.resource()), window, FEW_PAGES));
    let mut calls: Vec<Value> = try_join_all(searches).await?.into_iter().flat_map(|looked| looked.records).collect();
    calls.retain(|call| is_set_by(change, course.target(), call) && moment(call) >= Some(from));
    calls.sort_by_key(|call| std::cmp::Reverse(moment(call)));
    let account = course.target().account();
    // Where the last call that CloudTrail knows is our own, it does not know yet who came after us.
    let last = calls.first().filter(|call| !is_ours(call) && subject(call, account).unique_id != *own);
    Ok(last.map(|call| Author { subject: subject(call, account), shown: shown(call) }))
}

/// Whether he is contained by it himself.
pub fn is_contained(course: &Course, who: &Subject) -> bool {
    actors(course).iter().any(|actor| actor.principal.split(':').next() == Some(who.unique_id.as_str()))
}

/// The target, and the sessions that are denied with it.
fn actors(course: &Course) -> BTreeSet<Actor> {
    let target = match course.target() {
        Target::User { name, id, .. } => Some(Actor { principal: id.to_string(), name: name.to_string() }),
        Target::RoleSession { id, session, .. } => {
            Some(Actor { principal: format!("{id}:{session}"), name: session.to_string() })
        }
        _ => None,
    };
    let sessions = course.steps().filter_map(|(change, _)| match change {
        AnyChange::SessionDeny(change) => {
            let (id, session) = (&change.target.role_id, &change.target.session);
            Some(Actor { principal: format!("{id}:{session}"), name: session.to_string() })
        }
        _ => None,
    });
    target.into_iter().chain(sessions).collect()
}

/// Whether that call, which went through, could have set the thing of the change.
fn is_set_by(change: &AnyChange, target: &Target, call: &Value) -> bool {
    let name = call.get("eventName").and_then(Value::as_str).unwrap_or_default();
    let failed = call.get("errorCode").is_some_and(|code| !code.is_null());
    let mentions = |what: &str| {
        ["requestParameters", "responseElements"].iter().any(|part| call.get(part).is_some_and(|part| says(part, what)))
    };
    if failed {
        return false;
    }
    // The instance's own call for the groups of its one interface does not name the interface.
    if let (AnyChange::InterfaceGroups(_), "ModifyInstanceAttribute", Target::Instance { id, .. }) =
        (change, name, target)
    {
        return call.pointer("/requestParameters/groupSet").is_some() && mentions(id.as_str());
    }
    change.is_set_by(name) && mentions(change.resource()) && change.details().iter().all(|detail| mentions(detail))
}

/// Whether one of the strings in it, or the name of a member, is exactly that.
fn says(value: &Value, what: &str) -> bool {
    match value {
        Value::String(text) => text == what,
        Value::Array(values) => values.iter().any(|value| says(value, what)),
        Value::Object(members) => members.iter().any(|(name, value)| name == what || says(value, what)),
        _ => false,
    }
}

/// By what the caller says of himself: whoever lies here is only taken for unknown.
fn is_ours(call: &Value) -> bool {
    call.get("userAgent").and_then(Value::as_str).is_some_and(|agent| agent.contains(" cordon/"))
}

fn moment(call: &Value) -> Option<Timestamp> {
    call.get("eventTime").and_then(Value::as_str).and_then(Timestamp::parse)
}

/// Who, how and when: a stranger's words, cut and cleaned.
fn shown(call: &Value) -> String {
    let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).map(Text::new);
    let who = text("/userIdentity/arn")
        .or_else(|| text("/userIdentity/principalId"))
        .unwrap_or_else(|| Text::new("somebody"));
    let when = moment(call).map(|at| format!(" at {at}")).unwrap_or_default();
    format!("{who}{when} ({})", text("/eventName").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::{Change, Group, Groups, InterfaceGroups},
        domain::{GroupId, InstanceId, InterfaceId, VpcId},
    };
    use serde_json::json;

    #[test]
    fn only_a_call_that_went_through_and_names_the_thing_has_set_it() {
        let (account, region) = (AccountId::parse("111122223333").unwrap(), Region::parse("us-east-1").unwrap());
        let target = Target::Instance {
            account: account.clone(),
            region: region.clone(),
            id: InstanceId::parse("i-0a1b2c3d").unwrap(),
            profile_hint: None,
            vpc_hint: None,
        };
        let interface = InterfaceGroups {
            account,
            region,
            vpc: VpcId::parse("vpc-0000000a").unwrap(),
            interface: InterfaceId::parse("eni-0000000a").unwrap(),
        };
        let before = Groups([Group::Id(GroupId::parse("sg-0000000a").unwrap())].into());
        let change = Change { target: interface, before, after: Groups::quarantine() }.into();
        let of = |name: &str, parameters: Value| json!({"eventName": name, "requestParameters": parameters});
        let eni = json!({"networkInterfaceId": "eni-0000000a", "groupSet": {"items": [{"groupId": "sg-1"}]}});
        let other = json!({"networkInterfaceId": "eni-0000000a", "sourceDestCheck": {"value": false}});
        let mut failed = of("ModifyNetworkInterfaceAttribute", eni.clone());
        failed["errorCode"] = json!("Client.UnauthorizedOperation");
        for (call, expected) in [
            (of("ModifyNetworkInterfaceAttribute", eni.clone()), true),
            (of("ModifyNetworkInterfaceAttribute", json!({"networkInterfaceId": "eni-0000000a0"})), false),
            (of("ModifyNetworkInterfaceAttribute", other), false),
            (of("DescribeNetworkInterfaces", eni), false),
            (failed, false),
            (of("ModifyInstanceAttribute", json!({"instanceId": "i-0a1b2c3d", "groupSet": {"items": []}})), true),
            (of("ModifyInstanceAttribute", json!({"instanceId": "i-0a1b2c3e", "groupSet": {"items": []}})), false),
            (
                of("ModifyInstanceAttribute", json!({"instanceId": "i-0a1b2c3d", "disableApiStop": {"value": true}})),
                false,
            ),
            (json!({"eventName": "ModifyNetworkInterfaceAttribute", "requestParameters": null}), false),
            (json!([]), false),
        ] {
            assert_eq!(is_set_by(&change, &target, &call), expected, "{call}");
        }
    }
}
