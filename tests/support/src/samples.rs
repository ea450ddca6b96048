//! Fresh copies of sample GuardDuty events: samples age, and name things that exist in nobody's account.
//!
//! Only times, ids and the names of what [`crate::World::build`] made are put in. What the finding says happened stays as recorded.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::world::REGION;

// The order in which GuardDuty works: it sees activity, makes a finding of it, and EventBridge carries it.
const FIRST_SEEN: i64 = 180_000;
const LAST_SEEN: i64 = 60_000;
const CREATED: i64 = 20_000;
const SENT: i64 = 5_000;

/// A copy of the EventBridge event `template` as if GuardDuty had just found the same in the account that `world` describes.
///
/// The same arguments give the same event; another `sequence` gives another finding. Findings that GuardDuty marks as samples
/// keep their placeholders, which is what makes them samples.
pub fn fresh(template: &Value, world: &Value, now_ms: i64, sequence: u64) -> Value {
    let mut event = template.clone();
    let account = world["account"].as_str().unwrap_or("123456789012");
    let region = world["region"].as_str().unwrap_or(REGION);
    let id = finding_id(now_ms, sequence);

    if let Some(envelope) = event.as_object_mut() {
        put(envelope, "id", event_id(now_ms, sequence));
        put(envelope, "account", account);
        put(envelope, "region", region);
        put(envelope, "time", timestamp(now_ms - SENT));
    }
    if let Some(detail) = event.get_mut("detail").and_then(Value::as_object_mut) {
        let arn = finding_arn(detail, account, region, &id);
        put(detail, "arn", arn);
        put(detail, "id", id);
        put(detail, "accountId", account);
        put(detail, "region", region);
        put(detail, "createdAt", timestamp_with_millis(now_ms - CREATED));
        put(detail, "updatedAt", timestamp_with_millis(now_ms - CREATED));
        if let Some(service) = detail.get_mut("service").and_then(Value::as_object_mut) {
            put(service, "eventFirstSeen", timestamp_with_millis(now_ms - FIRST_SEEN));
            put(service, "eventLastSeen", timestamp_with_millis(now_ms - LAST_SEEN));
        }
        if !is_sample(detail)
            && let Some(resource) = object(detail, "resource")
        {
            name_instance(resource, world);
            name_principal(resource, world);
        }
    }
    event
}

/// A copy of the EventBridge event of a CloudTrail record as if the call had just been made in the account that `world` describes, by the
/// user of that account if it was a user's. Another `sequence` gives another call.
pub fn fresh_record(template: &Value, world: &Value, now_ms: i64, sequence: u64) -> Value {
    let mut event = template.clone();
    let account = world["account"].as_str().unwrap_or("123456789012");
    if let Some(envelope) = event.as_object_mut() {
        put(envelope, "id", event_id(now_ms, sequence));
        put(envelope, "account", account);
        put(envelope, "time", timestamp(now_ms - SENT));
    }
    if let Some(detail) = event.get_mut("detail").and_then(Value::as_object_mut) {
        put(detail, "eventTime", timestamp(now_ms - CREATED));
        put(detail, "eventID", event_id(now_ms, sequence));
        put(detail, "recipientAccountId", account);
        if let Some(identity) = object(detail, "userIdentity").filter(|identity| identity["type"] == "IAMUser") {
            put(identity, "accountId", account);
            let user = &world["user"];
            put_known(identity, "userName", &user["name"]);
            put_known(identity, "principalId", &user["id"]);
            put_known(identity, "accessKeyId", &user["keys"][0]);
        }
    }
    event
}

/// The time of day, for `now_ms`.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// GuardDuty says so as a boolean; older exports carry it as text.
fn is_sample(detail: &Map<String, Value>) -> bool {
    let sample = detail.get("service").map(|service| &service["additionalInfo"]["sample"]);
    sample.is_some_and(|sample| sample == true || sample == "true")
}

fn name_instance(resource: &mut Map<String, Value>, world: &Value) {
    let Some(details) = object(resource, "instanceDetails") else {
        return;
    };
    let victim = &world["victim"];
    put_known(details, "instanceId", &victim["instance"]);
    if let Some(profile) = object(details, "iamInstanceProfile") {
        put_known(profile, "arn", &victim["profile"]["arn"]);
        put_known(profile, "id", &victim["profile"]["id"]);
    }
    let interfaces = details.get_mut("networkInterfaces");
    if let (Some(reported), Some(real)) = (interfaces.and_then(Value::as_array_mut), victim["interfaces"].as_array()) {
        // An interface too many would name one that does not exist.
        reported.truncate(real.len());
        for (interface, id) in reported.iter_mut().zip(real) {
            if let Some(interface) = interface.as_object_mut() {
                put_known(interface, "networkInterfaceId", id);
                put_known(interface, "vpcId", &world["vpc"]);
            }
        }
    }
}

fn name_principal(resource: &mut Map<String, Value>, world: &Value) {
    let Some(details) = object(resource, "accessKeyDetails") else {
        return;
    };
    match details.get("userType").and_then(Value::as_str) {
        Some("IAMUser") => {
            let user = &world["user"];
            put_known(details, "userName", &user["name"]);
            put_known(details, "principalId", &user["id"]);
            put_known(details, "accessKeyId", &user["keys"][0]);
        }
        // The key of a session is in no account's list of keys, so any will do.
        Some("AssumedRole" | "Role") => {
            let (role, instance) = (&world["victim"]["role"], &world["victim"]["instance"]);
            put_known(details, "userName", &role["name"]);
            if let (Some(role), Some(instance)) = (role["id"].as_str(), instance.as_str()) {
                put(details, "principalId", format!("{role}:{instance}"));
            }
        }
        // Root, another account, a federated user: the world has none of them.
        Some(_) | None => {}
    }
}

fn finding_arn(detail: &Map<String, Value>, account: &str, region: &str, id: &str) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let old = text(detail.get("arn")).unwrap_or_default();
    let partition = old.split(':').nth(1).unwrap_or("aws").to_owned();
    let detector = old.split('/').nth(1).map(str::to_owned);
    let detector = detector
        .or_else(|| text(detail.get("service").map(|service| &service["detectorId"])))
        .unwrap_or_else(|| "d4b040365221be2b54a6264dc0000000".to_owned());
    format!("arn:{partition}:guardduty:{region}:{account}:detector/{detector}/finding/{id}")
}

fn finding_id(now_ms: i64, sequence: u64) -> String {
    let [high, low] = words(now_ms, sequence);
    format!("{high:016x}{low:016x}")
}

/// Looks like the UUID that EventBridge gives, from other words than the finding's id.
fn event_id(now_ms: i64, sequence: u64) -> String {
    let [high, low] = words(!now_ms, sequence);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

fn words(now_ms: i64, sequence: u64) -> [u64; 2] {
    let high = mix(mix(now_ms.cast_unsigned()) ^ sequence);
    [high, mix(high)]
}

/// splitmix64: one to one, so that two sequence numbers of one moment never share an id.
fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Whole seconds, as in EventBridge's envelope.
fn timestamp(ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000));
    let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Only a year beyond 9999 cannot be written, and `time` knows none without its feature `large-dates`.
    moment.format(&Rfc3339).unwrap_or_default()
}

/// With milliseconds, as in GuardDuty's findings.
fn timestamp_with_millis(ms: i64) -> String {
    let seconds = timestamp(ms);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms.rem_euclid(1000))
}

fn object<'a>(of: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    of.get_mut(key).and_then(Value::as_object_mut)
}

fn put(into: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    into.insert(key.to_owned(), value.into());
}

/// Leaves what the world does not know as the template has it.
fn put_known(into: &mut Map<String, Value>, key: &str, value: &Value) {
    if value.is_string() {
        put(into, key, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_760_000_000_123;

    fn world() -> Value {
        json!({
            "account": "200000000001", "region": "us-east-1",
            "victim": {
                "instance": "i-1", "interfaces": ["eni-1", "eni-2"],
                "role": {"name": "web", "id": "AROA1", "arn": "arn:aws:iam::200000000001:role/web"},
                "profile": {"name": "web", "arn": "arn:aws:iam::200000000001:instance-profile/web", "id": "AIPA1"},
            },
            "user": {"name": "alice", "id": "AIDA1", "keys": ["AKIA1"]},
        })
    }

    fn template(resource: Value) -> Value {
        json!({
            "version": "0", "id": "old", "detail-type": "GuardDuty Finding", "source": "aws.guardduty",
            "account": "111122223333", "time": "2020-05-26T22:55:21Z", "region": "eu-west-1", "resources": [],
            "detail": {
                "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "partition": "aws",
                "id": "1ab9", "arn": "arn:aws:guardduty:eu-west-1:111122223333:detector/d4b0/finding/1ab9",
                "type": "Backdoor:EC2/C&CActivity.B", "severity": 8,
                "createdAt": "2020-05-26T22:21:48.385Z", "updatedAt": "2020-05-26T22:21:48.385Z",
                "service": {"count": 1, "eventFirstSeen": "2020-05-26T21:00:00Z", "eventLastSeen": "2020-05-26T21:00:00Z"},
                "resource": resource,
            },
        })
    }

    #[test]
    fn times_and_ids_are_fresh_and_the_rest_is_kept() {
        let event = fresh(&template(json!({"resourceType": "Instance"})), &world(), NOW, 1);
        let detail = &event["detail"];
        assert_eq!(event["account"], "200000000001");
        assert_eq!(event["region"], "us-east-1");
        assert_eq!(event["time"], "2025-10-09T08:53:15Z");
        assert_eq!(event["id"].as_str().unwrap().len(), 36);
        assert_eq!(event["source"], "aws.guardduty");
        assert_eq!(detail["accountId"], "200000000001");
        assert_eq!(detail["region"], "us-east-1");
        assert_eq!(detail["updatedAt"], "2025-10-09T08:53:00.123Z");
        assert_eq!(detail["service"]["eventFirstSeen"], "2025-10-09T08:50:20.123Z");
        assert_eq!(detail["service"]["eventLastSeen"], "2025-10-09T08:52:20.123Z");
        assert_eq!(detail["service"]["count"], 1);
        assert_eq!(detail["type"], "Backdoor:EC2/C&CActivity.B");
        assert_eq!(detail["resource"], json!({"resourceType": "Instance"}));
        let id = detail["id"].as_str().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let arn = format!("arn:aws:guardduty:us-east-1:200000000001:detector/d4b0/finding/{id}");
        assert_eq!(detail["arn"], arn);
    }

    #[test]
    fn the_same_arguments_give_the_same_event_and_another_sequence_another_finding() {
        let template = template(json!({}));
        let one = fresh(&template, &world(), NOW, 1);
        assert_eq!(one, fresh(&template, &world(), NOW, 1));
        let two = fresh(&template, &world(), NOW, 2);
        assert_ne!(one["id"], two["id"]);
        assert_ne!(one["detail"]["id"], two["detail"]["id"]);
    }

    #[test]
    fn an_instance_gets_the_names_of_the_victim() {
        let resource = json!({"instanceDetails": {
            "instanceId": "i-old", "imageId": "ami-1",
            "iamInstanceProfile": {"arn": "old", "id": "old"},
            "networkInterfaces": [
                {"networkInterfaceId": "eni-a", "privateIpAddress": "10.0.0.1"},
                {"networkInterfaceId": "eni-b"}, {"networkInterfaceId": "eni-c"},
            ],
        }});
        let event = fresh(&template(resource), &world(), NOW, 1);
        let expected = json!({
            "instanceId": "i-1", "imageId": "ami-1",
            "iamInstanceProfile": {"arn": "arn:aws:iam::200000000001:instance-profile/web", "id": "AIPA1"},
            "networkInterfaces": [
                {"networkInterfaceId": "eni-1", "privateIpAddress": "10.0.0.1"},
                {"networkInterfaceId": "eni-2"},
            ],
        });
        assert_eq!(event["detail"]["resource"]["instanceDetails"], expected);
    }

    #[test]
    fn a_principal_gets_the_names_of_its_kind() {
        let details = |kind: &str| json!({"userType": kind, "userName": "u", "principalId": "p", "accessKeyId": "k"});
        let role = json!({"userType": "Role", "userName": "web", "principalId": "AROA1:i-1", "accessKeyId": "k"});
        let mut session = role.clone();
        session["userType"] = json!("AssumedRole");
        let user = json!({"userType": "IAMUser", "userName": "alice", "principalId": "AIDA1", "accessKeyId": "AKIA1"});
        for (kind, expected) in [("IAMUser", user), ("Role", role), ("AssumedRole", session), ("Root", details("Root"))]
        {
            let resource = json!({"accessKeyDetails": details(kind)});
            let event = fresh(&template(resource), &world(), NOW, 1);
            assert_eq!(event["detail"]["resource"]["accessKeyDetails"], expected);
        }
    }

    #[test]
    fn a_null_in_the_resource_stays_null() {
        let resource =
            json!({"accessKeyDetails": null, "instanceDetails": {"instanceId": "i-old", "iamInstanceProfile": null}});
        let event = fresh(&template(resource), &world(), NOW, 1);
        let expected =
            json!({"accessKeyDetails": null, "instanceDetails": {"instanceId": "i-1", "iamInstanceProfile": null}});
        assert_eq!(event["detail"]["resource"], expected);
    }

    #[test]
    fn a_sample_finding_keeps_its_placeholders() {
        let mut sample = template(json!({"instanceDetails": {"instanceId": "i-99999999"}}));
        sample["detail"]["service"]["additionalInfo"] = json!({"sample": true});
        let event = fresh(&sample, &world(), NOW, 1);
        assert_eq!(event["detail"]["resource"], sample["detail"]["resource"]);
        assert_eq!(event["detail"]["accountId"], "200000000001");
    }
}
