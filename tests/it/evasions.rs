//! What somebody tries who knows the rules: to be missed, to be taken for another, to be swallowed by what was told before, to wake people.

use cordon::{
    decision::{Decision, Judged, decide},
    detect::whole,
    domain::Severity,
    ingest::{self, Ingested},
    journal::MemoryTallies,
    policy::{Mode, Policy, Rules},
    watch::{NamesOnly, Watch, own_time},
};
use futures::FutureExt;
use serde_json::{Value, json};

struct Judge {
    watch: Watch,
    tallies: MemoryTallies,
    rules: Rules,
}

impl Judge {
    fn by(policy: &str) -> Self {
        let rules = Rules::of(Policy::parse(policy).unwrap());
        Self { watch: Watch::new(None), tallies: MemoryTallies::default(), rules }
    }

    /// Of a record of which only what matters is given.
    fn judge(&self, record: Value) -> Option<Box<Judged>> {
        let Ingested::Record(record) = ingest::cloudtrail::record(whole(record.as_object().unwrap().clone()).unwrap())
        else {
            panic!("no record")
        };
        let sensed =
            self.watch.sense(Ingested::Record(record), &self.tallies, &NamesOnly).now_or_never().unwrap().unwrap();
        let now = own_time(&sensed.as_ref().ok()?.0);
        match decide(sensed, &self.rules, Mode::Contain, now) {
            Decision::Ended { judged, .. } => judged,
            Decision::Treat { judged, .. } => Some(judged),
        }
    }

    fn severity(&self, record: Value) -> Option<Severity> {
        self.judge(record).map(|judged| judged.assessment.severity)
    }
}

fn policy(statement: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

#[test]
fn a_policy_of_stars_is_read_as_fast_as_another() {
    let stars = format!("iam:{}!", "*a".repeat(5_000));
    let document = policy(json!({"Effect": "Allow", "Action": [stars.clone(), stars], "Resource": "*"}));
    let record = json!({"eventSource": "iam.amazonaws.com", "eventName": "PutUserPolicy", "requestParameters": {"userName": "x", "policyName": "y", "policyDocument": document}});
    // It ends, which is all that is asked.
    assert!(Judge::by("version: 1").judge(record).is_some());
}

#[test]
fn a_later_and_worse_use_is_no_repetition_of_what_was_told() {
    let judge = Judge::by("version: 1");
    let root = |name: &str, from: &str| {
        let record =
            json!({"as": "root", "eventSource": "iam.amazonaws.com", "eventName": name, "sourceIPAddress": from});
        judge.judge(record).unwrap().incident.to_string()
    };
    let morning = root("ListUsers", "198.51.100.7");
    assert_eq!(root("ListUsers", "198.51.100.7"), morning);
    assert_ne!(root("ListUsers", "203.0.113.66"), morning);
    assert_ne!(root("CreateAccessKey", "198.51.100.7"), morning);
    let open = |port: u16| {
        let rule = json!({"ipProtocol": "tcp", "fromPort": port, "toPort": port, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}});
        let record = json!({"eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
            "requestParameters": {"groupId": "sg-0a1b2c3d", "ipPermissions": {"items": [rule]}}});
        judge.judge(record).unwrap().incident.to_string()
    };
    assert_ne!(open(8080), open(22));
}

#[test]
fn what_a_service_does_for_somebody_is_his_doing_where_strangers_are_let_in() {
    let judge = Judge::by("version: 1");
    let by_stack = |mut record: Value| {
        record["as"] = json!("role");
        record["sourceIPAddress"] = json!("cloudformation.amazonaws.com");
        judge.severity(record)
    };
    let trust = policy(
        json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}),
    );
    for record in [
        json!({"eventSource": "iam.amazonaws.com", "eventName": "UpdateAssumeRolePolicy", "requestParameters": {"roleName": "x", "policyDocument": trust}}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "ModifySnapshotAttribute", "requestParameters": {"snapshotId": "snap-0a1b2c3d",
            "createVolumePermission": {"add": {"items": [{"userId": "444455556666"}]}}}}),
    ] {
        assert_eq!(by_stack(record.clone()), Some(Severity::High), "{record}");
    }
}

#[test]
fn what_is_left_out_because_it_is_too_long_is_the_worst_that_it_could_be() {
    let record = |name: &str| json!({"as": "role", "eventSource": "iam.amazonaws.com", "eventName": name, "requestParameters": {"omitted": true, "originalSize": 131_000, "reason": "too large"}});
    for name in ["UpdateAssumeRolePolicy", "PutRolePolicy"] {
        assert_eq!(Judge::by("version: 1").severity(record(name)), Some(Severity::High), "{name}");
    }
}

#[test]
fn counters_are_not_evaded_by_names_of_sessions() {
    let judge = Judge::by("version: 1");
    let mut found = None;
    for n in 0..12 {
        let identity = json!({"type": "FederatedUser", "principalId": format!("111122223333:bob{n}"), "accountId": "111122223333",
            "sessionContext": {"sessionIssuer": {"type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "userName": "deploy"}}});
        let record = json!({"userIdentity": identity, "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "errorCode": "AccessDenied", "eventID": format!("e{n}")});
        found = judge.judge(record).or(found);
    }
    assert_eq!(found.unwrap().triage.situation.to_string(), "denied-calls");
}

#[test]
fn sign_ins_that_fail_from_everywhere_are_one_incident_and_no_worse_in_production() {
    let judge = Judge::by("production-accounts: ['111122223333']");
    let mut incidents = std::collections::BTreeSet::new();
    for n in 0..12 {
        let record = json!({"eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "eventID": format!("e{n}"),
            "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"}, "errorMessage": "No username found in supplied account",
            "sourceIPAddress": format!("203.0.113.{n}"), "responseElements": {"ConsoleLogin": "Failure"}, "additionalEventData": {"MFAUsed": "No"}});
        if let Some(judged) = judge.judge(record) {
            assert!(
                judged.assessment.severity <= Severity::Medium
                    || judged.triage.confidence > cordon::domain::Confidence::Possible,
                "{:?}",
                judged.assessment
            );
            incidents.insert(judged.incident.to_string());
        }
    }
    assert_eq!(incidents.len(), 1, "{incidents:?}");
}

#[test]
fn only_what_is_expected_as_a_whole_is_expected() {
    let judge = Judge::by(
        "expected:\n  - {principal: {unique-id: AROACKCEVSQ6C2EXAMPLE}, situations: [iam-changed, key-destruction, privilege-escalation], until: 2026-12-31, because: deploys}",
    );
    let key = |account: &str| {
        policy(
            json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}}),
        )
    };
    let put = |account: &str| json!({"as": "role", "eventSource": "kms.amazonaws.com", "eventName": "PutKeyPolicy", "requestParameters": {"keyId": "k", "policy": key(account), "bypassPolicyLockoutSafetyCheck": true}});
    let strangers = judge.judge(put("444455556666")).unwrap();
    assert!(
        !strangers.assessment.is_expected && strangers.assessment.severity >= Severity::High,
        "{:?}",
        strangers.assessment
    );
    let trust = policy(json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}));
    let record = json!({"as": "role", "eventSource": "iam.amazonaws.com", "eventName": "UpdateAssumeRolePolicy", "requestParameters": {"roleName": "x", "policyDocument": trust}});
    assert!(!judge.judge(record).unwrap().assessment.is_expected);
}
