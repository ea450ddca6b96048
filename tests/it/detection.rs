//! Our rules against the tests beside them.

use crate::lab::root;
use cordon::detect::{Detector, OURS, check, patterns, samples};
use serde_json::{Value, json};

#[test]
fn each_of_our_rules_does_as_the_test_beside_it_says() {
    let folder = root().join("src/detect/rules");
    let on_disk: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yml") && !name.ends_with(".test.yml"))
        .collect();
    assert!(on_disk.iter().all(|name| OURS.iter().any(|(ours, _)| ours == name)), "a file is not in OURS: {on_disk:?}");
    let tests: Vec<(String, String)> = OURS
        .iter()
        .map(|(name, _)| name.replace(".yml", ".test.yml"))
        .map(|name| (name.clone(), std::fs::read_to_string(folder.join(name)).unwrap_or_default()))
        .collect();
    let checked = check(&Detector::ours(), tests.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    assert!(checked.wrong.is_empty(), "{:#?}", checked.wrong);
}

/// For each rule an event in which it sees something and the nearest harmless one, as files that `replay` and `sam local invoke` take. They are
/// the first of the tests beside the rules; UPDATE_EVENTS=1 writes them anew.
#[test]
fn the_samples_of_rules_are_those_of_their_tests() {
    let folder = root().join("events/cloudtrail");
    let mut wanted = std::collections::BTreeMap::new();
    for (name, _) in OURS {
        let family = name.trim_end_matches(".yml");
        let text = std::fs::read_to_string(root().join(format!("src/detect/rules/{family}.test.yml"))).unwrap();
        for (rule, fires, quiet) in samples(&text).unwrap() {
            for (ending, records) in [("", fires), (".benign", quiet)] {
                let event = envelope(records[0].clone());
                wanted.insert(
                    folder.join(family).join(format!("{rule}{ending}.json")),
                    serde_json::to_string_pretty(&event).unwrap() + "\n",
                );
            }
        }
    }
    if std::env::var_os("UPDATE_EVENTS").is_some() {
        for (name, _) in OURS {
            let _ = std::fs::remove_dir_all(folder.join(name.trim_end_matches(".yml")));
            std::fs::create_dir_all(folder.join(name.trim_end_matches(".yml"))).unwrap();
        }
        wanted.iter().for_each(|(path, text)| std::fs::write(path, text).unwrap());
    }
    for (path, text) in &wanted {
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == *text,
            "{} is not what its test says: UPDATE_EVENTS=1 cargo test --test it detection::",
            path.display()
        );
    }
}

/// As CloudTrail's record comes through EventBridge.
fn envelope(record: Value) -> Value {
    let service = record["eventSource"]
        .as_str()
        .or(record["insightDetails"]["eventSource"].as_str())
        .unwrap_or("cloudtrail.amazonaws.com");
    let service = service.split('.').next().unwrap();
    let detail_type = match record["eventType"].as_str() {
        Some("AwsConsoleSignIn") => "AWS Console Sign In via CloudTrail",
        Some("AwsConsoleAction") => "AWS Console Action via CloudTrail",
        Some("AwsServiceEvent") => "AWS Service Event via CloudTrail",
        Some("AwsCloudTrailInsight") => "AWS Insight via CloudTrail",
        _ => "AWS API Call via CloudTrail",
    };
    json!({"version": "0", "id": "5f0c1d5e-8f0e-4d4e-9b57-0d6a3c1f7e21", "detail-type": detail_type, "source": format!("aws.{service}"),
        "account": "111122223333", "time": "2026-11-20T09:15:07Z", "region": "us-east-1", "resources": [], "detail": record})
}

/// Every pattern of the template is asked by moto's own matcher, not by ours.
#[test]
fn the_patterns_let_through_what_the_rules_look_at_whoever_called() {
    let patterns: Vec<Value> =
        patterns(Detector::ours().rules()).unwrap().into_iter().map(|pattern| pattern.pattern).collect();
    let detector = Detector::ours();
    let mut events = Vec::new();
    for (name, _) in OURS {
        let text =
            std::fs::read_to_string(root().join("src/detect/rules").join(name.replace(".yml", ".test.yml"))).unwrap();
        for (rule, fires, _) in samples(&text).unwrap() {
            let meta = &detector.rules().iter().find(|known| known.meta.id == rule).unwrap().meta;
            // A trail must record data events, and a rule of its own let them through.
            if meta.cordon.data_events {
                continue;
            }
            events.extend(fires.iter().map(|record| json!({"rule": rule, "event": envelope(record.clone())})));
            if rule == "trail-stopped" {
                for kind in [
                    "Root",
                    "IAMUser",
                    "AssumedRole",
                    "Role",
                    "FederatedUser",
                    "Directory",
                    "AWSAccount",
                    "AWSService",
                    "IdentityCenterUser",
                    "SAMLUser",
                    "WebIdentityUser",
                    "Unknown",
                ] {
                    let mut other = fires[0].clone();
                    other["userIdentity"] = json!({"type": kind});
                    events.push(json!({"rule": format!("{rule} by {kind}"), "event": envelope(other)}));
                }
            }
        }
    }
    // And no more: what no rule looks at stays outside.
    let nothing = json!({"eventSource": "sqs.amazonaws.com", "eventName": "ListQueueTags", "eventType": "AwsApiCall"});
    events.push(json!({"rule": "none", "event": envelope(nothing)}));
    let unmatched =
        cordon_support::python::ask("match_patterns.py", &json!({"patterns": patterns, "events": events})).unwrap();
    assert_eq!(unmatched, json!(["none"]), "no pattern lets these through");
}
