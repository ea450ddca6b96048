//! From a finding and its situation to what is to be contained. Every part of a target is parsed by its own grammar.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Triage;
use crate::{
    domain::{
        AccessKeyResource, AccountId, Arn, BucketName, DetectorId, EventRuleName, Finding, FlowLogId, GroupId, IdError,
        Outcome, OutcomeKind, RecorderName, Region, Resource, SensorId, Situation, Source, Target, Text, TrailName,
    },
    policy::{Policy, Subject},
    principal::{self, Identity, Principal},
};
use std::collections::BTreeSet;

/// What a finding is about.
#[derive(Debug, Default)]
pub struct Targets {
    /// What is to be contained, the first one first.
    pub found: Vec<Target>,
    /// Of them those, by their keys, to whom somebody else granted more.
    pub granted: BTreeSet<String>,
    /// What is no target, and why.
    pub listed: Vec<String>,
}

/// What is to be contained of a finding.
///
/// # Errors
/// As [`target`].
pub fn targets(finding: &Finding, triage: &Triage, policy: &Policy) -> Result<Targets, Outcome> {
    if triage.situation == Situation::AttackedOnly {
        return addresses(finding, policy).map(|found| Targets { found, ..Targets::default() });
    }
    let several = triage.situation == Situation::AttackSequence
        || (triage.situation == Situation::LeakedKey && finding.source == Source::Health);
    if !several {
        let found = |found, listed| Targets { found, listed, granted: BTreeSet::new() };
        return match (target(finding, triage), granted(finding, triage, policy)) {
            (Ok(target), Some(Ok(user))) if user.key() != target.key() => {
                Ok(Targets { granted: BTreeSet::from([user.key()]), ..found(vec![target, user], Vec::new()) })
            }
            (Ok(target), Some(Err(why))) => Ok(found(vec![target], vec![why])),
            (Ok(target), _) => Ok(found(vec![target], Vec::new())),
            // Who granted it cannot be contained; whom he granted it to can.
            (Err(outcome), Some(Ok(user))) => {
                let why = outcome.reasons.first().map_or_else(String::new, |reason| reason.text.clone());
                let listed = vec![format!("whoever granted it is not contained: {why}")];
                Ok(Targets { granted: BTreeSet::from([user.key()]), ..found(vec![user], listed) })
            }
            (Err(outcome), _) => Err(outcome),
        };
    }
    let (mut found, mut listed) = members(finding);
    if found.len() > MOST_TARGETS {
        let more = found.split_off(MOST_TARGETS);
        let named: Vec<String> = more.iter().take(MOST_TARGETS).map(ToString::to_string).collect();
        listed.push(format!(
            "{} more are not looked at, one incident holds {MOST_TARGETS}: {} …",
            more.len(),
            named.join(", ")
        ));
    }
    if found.is_empty() {
        let why = match listed.first() {
            None => "the finding names nobody and nothing".to_owned(),
            Some(first) => format!("the finding names nothing that can be contained: {first}"),
        };
        return Err(Outcome::because(OutcomeKind::Observed, "nothing-to-contain", why));
    }
    Ok(Targets { found, listed, granted: BTreeSet::new() })
}

/// Whoever was granted more by somebody else's call, or why he is no target. What our people grant is their work.
fn granted(finding: &Finding, triage: &Triage, policy: &Policy) -> Option<Result<Target, String>> {
    let is_a_grant = matches!(triage.situation, Situation::PrivilegeEscalation | Situation::Persistence);
    let name = finding.call.as_ref().filter(|_| is_a_grant)?.granted.as_ref()?;
    let is_ours = |who: &Subject| policy.is_operator(who) || policy.own_principals.iter().any(|own| own.is(who));
    if caller(finding).is_none_or(|who| is_ours(&who)) {
        return None;
    }
    let is_he = |resource: &&AccessKeyResource| resource.key.is_none() && resource.name.as_str() == name.as_str();
    let known = finding.resources.iter().filter_map(|resource| match resource {
        Resource::AccessKey(key) => Some(key),
        _ => None,
    });
    // The caller is the first.
    let target = match known.skip(1).find(is_he) {
        Some(user) => named(finding, finding.account.clone()?, user).ok(),
        None => None,
    };
    Some(target.ok_or_else(|| {
        format!("user {name}, whom the call gave more, is not there, is another by now, or could not be looked up")
    }))
}

/// Who made a recorded call, as policies name principals.
pub fn caller(finding: &Finding) -> Option<Subject> {
    let (call, who, account) = (finding.call.as_ref()?, finding.access_key()?, finding.account.as_ref()?);
    let id = who.principal_id.as_str();
    let id = id.split_once(':').map_or(id, |(role, _)| role);
    Some(Subject::new(account, call.caller.clone(), id))
}

/// Targets of one event: all are surveyed within one invocation.
const MOST_TARGETS: usize = 20;

/// Addresses of one finding that are blocked.
const MOST_ADDRESSES: usize = 5;

fn addresses(finding: &Finding, policy: &Policy) -> Result<Vec<Target>, Outcome> {
    let account =
        finding.account.clone().ok_or_else(|| declined("no-account", "the finding names no usable account"))?;
    let (region, blocks) = (region(finding)?, &policy.address_blocks);
    let one = |text: &Text| {
        Some(Target::Address {
            account: account.clone(),
            region: region.clone(),
            address: text.as_str().parse().ok()?,
            subnets: blocks.subnets.clone(),
            sets: blocks.ip_sets.clone(),
            is_amazons: finding.amazons.contains(text),
        })
    };
    let found: Vec<Target> = finding.remote.iter().filter_map(one).take(MOST_ADDRESSES).collect();
    match found.is_empty() {
        true => Err(Outcome::because(OutcomeKind::Observed, "no-address", "the finding names no address")),
        false => Ok(found),
    }
}

/// The targets of a sequence, each once, and why the rest of it is none.
pub fn members(finding: &Finding) -> (Vec<Target>, Vec<String>) {
    let (mut found, mut listed): (Vec<Target>, Vec<String>) = (Vec::new(), Vec::new());
    for resource in &finding.resources {
        let target = match resource {
            Resource::Instance(instance) => match (finding.account.clone(), region(finding)) {
                (Some(account), Ok(region)) => Ok(Target::Instance {
                    account,
                    region,
                    id: instance.id.clone(),
                    profile_hint: instance.profile.clone(),
                    vpc_hint: instance.vpc.clone(),
                }),
                _ => Err(format!("instance {}: the finding names no usable account or region", instance.id)),
            },
            Resource::AccessKey(key) => match finding.account.clone() {
                Some(account) => named(finding, account, key).map_err(|outcome| {
                    let why = outcome.reasons.first().map_or("", |reason| reason.text.as_str());
                    format!("principal {}: {why}", key.principal_id)
                }),
                None => Err(format!("principal {}: the finding names no usable account", key.principal_id)),
            },
            Resource::Object(object) => Err(format!("object {object}: no playbook contains it here")),
            Resource::Named { what, name } => Err(format!("{what} {name}: no playbook contains it")),
            Resource::Other { what, name } => Err(format!("{what} {name}: no playbook contains it")),
        };
        match target {
            Ok(target) if found.iter().any(|known| known.key() == target.key()) => {}
            Ok(target) => found.push(target),
            Err(why) => listed.push(why),
        }
    }
    (found, listed)
}

/// The target of a finding whose situation has one.
///
/// # Errors
/// A Declined outcome that says which id is missing or malformed: what cannot be named for certain is not touched.
fn target(finding: &Finding, triage: &Triage) -> Result<Target, Outcome> {
    let account = finding.account.clone().ok_or_else(|| {
        declined("no-account", format!("`{}` is no account id, so it is unknown where to act", finding.account_shown))
    })?;
    match triage.situation {
        Situation::CompromisedInstance => {
            let instance =
                finding.instance().ok_or_else(|| declined("no-instance", "the finding names no usable instance id"))?;
            let region = region(finding)?;
            let (profile_hint, vpc_hint) = (instance.profile.clone(), instance.vpc.clone());
            Ok(Target::Instance { account, region, id: instance.id.clone(), profile_hint, vpc_hint })
        }
        Situation::CompromisedAccessKey
        | Situation::CompromisedRoleSession
        | Situation::PrivilegeEscalation
        | Situation::Persistence
        | Situation::LeakedKey => principal(finding, account),
        Situation::RootUsed => Ok(Target::Account { account, partition: finding.partition.clone() }),
        Situation::MalwareFound => {
            let object = finding.resources.iter().find_map(|resource| match resource {
                Resource::Object(object) => Some(object.clone()),
                _ => None,
            });
            let object = object.ok_or_else(|| declined("no-object", "the finding names no usable object"))?;
            Ok(Target::Object { account, region: region(finding)?, object })
        }
        Situation::ExposedPort | Situation::ExposedBucket => {
            let (what, name) = changed(finding, triage)?;
            match what {
                "security group" | "AWS::EC2::SecurityGroup" => {
                    let id = GroupId::parse(name).map_err(|_| {
                        let why = format!(
                            "the group is named `{}`, and only by its id it can be told from another",
                            Text::new(name)
                        );
                        declined("no-group-id", why)
                    })?;
                    let ports = finding.call.as_ref().map(|call| call.ports.clone()).unwrap_or_default();
                    Ok(Target::SecurityGroup { account, region: region(finding)?, id, ports })
                }
                "bucket" | "AWS::S3::Bucket" => {
                    let name = BucketName::parse(name).map_err(|error| {
                        declined("no-bucket", format!("the finding names no usable bucket: {error}"))
                    })?;
                    Ok(Target::Bucket { account, region: region(finding)?, name })
                }
                other => Err(not_that(other, triage.situation)),
            }
        }
        Situation::AuditTrailSilenced | Situation::ThreatDetectionSilenced => {
            let (what, name) = changed(finding, triage)?;
            let no_name =
                |error: IdError| declined("no-sensor", format!("the finding names no usable sensor: {error}"));
            let home = region(finding)?;
            let (region, sensor) = match what {
                "trail" => trail(name, &account, home)?,
                "detector" => (home, SensorId::Detector(DetectorId::parse(name).map_err(no_name)?)),
                "recorder" => (home, SensorId::Recorder(RecorderName::parse(name).map_err(no_name)?)),
                "event rule" => (home, SensorId::EventRule(EventRuleName::parse(name).map_err(no_name)?)),
                "flow log" => (home, SensorId::FlowLog(FlowLogId::parse(name).map_err(no_name)?)),
                other => return Err(not_that(other, triage.situation)),
            };
            Ok(Target::Sensor { account, region, sensor })
        }
        other => Err(Outcome::because(
            OutcomeKind::Observed,
            "no-playbook",
            format!("no playbook for the situation `{other}`"),
        )),
    }
}

fn region(finding: &Finding) -> Result<Region, Outcome> {
    finding.region.clone().ok_or_else(|| declined("no-region", "the finding names no usable region"))
}

/// Kind and name of what was changed.
fn changed<'f>(finding: &'f Finding, triage: &Triage) -> Result<(&'f str, &'f str), Outcome> {
    let seen = finding.detections.iter().find(|seen| seen.situation == triage.situation);
    if let Some((what, name)) = seen.and_then(|seen| seen.subject.as_ref()) {
        return Ok((what.as_str(), name.as_str()));
    }
    let named = finding.resources.iter().find_map(|resource| match resource {
        Resource::Other { what, name } => Some((*what, name.as_str())),
        _ => None,
    });
    named.ok_or_else(|| not_that("nothing", triage.situation))
}

/// By its name, or by an ARN, which says where it is at home.
fn trail(name: &str, account: &AccountId, region: Region) -> Result<(Region, SensorId), Outcome> {
    let no_name = |error: IdError| declined("no-sensor", format!("the finding names no usable trail: {error}"));
    let Ok(arn) = Arn::parse(name) else {
        return Ok((region, SensorId::Trail(TrailName::parse(name).map_err(no_name)?)));
    };
    if arn.account().as_ref() != Some(account) {
        let why = format!("trail {arn} is the organisation's and belongs to another account: start it there");
        return Err(declined("organization-trail", why));
    }
    let home = arn.as_str().split(':').nth(3).and_then(|region| Region::parse(region).ok()).unwrap_or(region);
    let name = arn.resource().strip_prefix("trail/").unwrap_or_default();
    Ok((home, SensorId::Trail(TrailName::parse(name).map_err(no_name)?)))
}

/// Of an outcome: a rule of AWS Config says that something in the account is silent, and not what.
pub const NOT_NAMED: &str = "not-named";

/// There is a playbook for the situation, and not for this kind of thing.
fn not_that(what: &str, situation: Situation) -> Outcome {
    match what {
        "AWS::::Account" => {
            let why = "the rule is about the account and does not say what is silent: the sensors that the baseline of its home region knows are looked at";
            Outcome::because(OutcomeKind::Observed, NOT_NAMED, why)
        }
        // The call names the whole account, or nothing.
        "nothing" | "" => {
            let why = format!("no playbook takes this call back where it is `{situation}`: look at it by hand");
            Outcome::because(OutcomeKind::Observed, "not-contained-kind", why)
        }
        _ => {
            let what = Text::new(what);
            let why = format!("no playbook sets a `{what}` right where it is `{situation}`: look at it by hand");
            Outcome::because(OutcomeKind::Observed, "not-contained-kind", why)
        }
    }
}

/// Who is behind a finding, if he can be named for certain.
pub fn actor(finding: &Finding) -> Option<Target> {
    principal(finding, finding.account.clone()?).ok()
}

fn principal(finding: &Finding, account: AccountId) -> Result<Target, Outcome> {
    named(finding, account, credentials(finding)?)
}

fn named(finding: &Finding, account: AccountId, key: &AccessKeyResource) -> Result<Target, Outcome> {
    let identity = Identity {
        kind: &key.user_type,
        principal_id: key.principal_id.as_str(),
        name: key.name.as_str(),
        key: key.key.as_ref(),
        issuer: None,
    };
    let partition = finding.partition.clone();
    match principal::whose(&identity) {
        Ok(Principal::User { name, id }) => Ok(Target::User { account, partition, name, id }),
        Ok(Principal::Session { role, id, session }) => {
            Ok(Target::RoleSession { account, partition, role, id, session, key: key.key.clone() })
        }
        Err(cannot) => Err(declined(cannot.code, cannot.why)),
    }
}

fn credentials(finding: &Finding) -> Result<&AccessKeyResource, Outcome> {
    finding.access_key().ok_or_else(|| declined("no-credentials", "the finding names no credentials"))
}

fn declined(code: &'static str, text: impl Into<String>) -> Outcome {
    Outcome::because(OutcomeKind::Declined, code, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ingest, triage::classify};
    use serde_json::json;

    fn of(user_type: &str, name: &str, principal: &str) -> Result<String, String> {
        let raw = json!({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {
            "id": "f1", "type": "Impact:IAMUser/AnomalousBehavior", "severity": 8, "accountId": "111122223333", "region": "us-east-1",
            "resource": {"accessKeyDetails": {"userType": user_type, "userName": name, "principalId": principal}}}});
        let ingest::Ingested::Finding(finding) = ingest::event(&raw.to_string()) else { panic!("no finding") };
        target(&finding, &classify(&finding)).map(|t| t.key()).map_err(|o| o.reasons[0].code.to_string())
    }

    #[test]
    fn a_principal_is_its_unique_id_or_nothing() {
        for (user_type, name, principal, expected) in [
            ("IAMUser", "deploy", "AIDACKCEVSQ6C2EXAMPLE", Ok("111122223333#global#user#AIDACKCEVSQ6C2EXAMPLE")),
            ("IAMUser", "deploy", "", Err("no-unique-id")),
            ("IAMUser", "deploy", "AROACKCEVSQ6C2EXAMPLE", Err("no-unique-id")),
            ("IAMUser", "a/../b", "AIDACKCEVSQ6C2EXAMPLE", Err("no-user-name")),
            (
                "AssumedRole",
                "web",
                "AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3d",
                Ok("111122223333#global#role-session#AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3d"),
            ),
            ("AssumedRole", "web", "AROACKCEVSQ6C2EXAMPLE", Err("no-unique-id")),
            ("AssumedRole", "web", "AROACKCEVSQ6C2EXAMPLE:a\"b", Err("no-unique-id")),
            ("AssumedRole", "web", "AIDACKCEVSQ6C2EXAMPLE:me", Err("no-unique-id")),
            ("AssumedRole", "", "AROACKCEVSQ6C2EXAMPLE:me", Err("no-role-name")),
            ("Root", "root", "111122223333", Ok("111122223333#global#account")),
        ] {
            assert_eq!(
                of(user_type, name, principal),
                expected.map(String::from).map_err(String::from),
                "{user_type} {name} {principal}"
            );
        }
    }
}
