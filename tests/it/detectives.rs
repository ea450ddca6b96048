//! The commands by which people look before they trust: shadow, explain, coverage, rules, patterns.

use crate::lab::{Lab, root};
use anyhow::Result;
use cordon::policy::Policy;
use cordon_support::{ordinary, samples};
use serde_json::{Value, json};
use std::process::{Command, Output};

fn cordon(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordon"));
    command.args(arguments).current_dir(root()).env_remove("CORDON_POLICY").env_remove("CORDON_RULES").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn shadow_tells_of_files_what_would_have_been_done_and_proposes_what_is_expected() {
    let folder = tempfile("shadow");
    let lines: Vec<String> = ordinary::records(8_000, 3).map(|record| record.to_string()).collect();
    std::fs::write(folder.join("trail.ndjson"), lines.join("\n")).unwrap();
    let output = cordon(&["shadow", folder.to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["records"], &report["unreadable"]), (&json!(8_000), &json!(0)));
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["fate"] == "digest") && rows.len() > 5, "{report:#}");
    let proposed: Vec<&str> = report["expected"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    // Whatever is proposed is policy.
    Policy::parse(&format!(
        "version: 1\nexpected:\n{}",
        if proposed.is_empty() { "  []".to_owned() } else { proposed.join("\n") }
    ))
    .unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn shadow_reads_the_past_of_an_account_and_changes_nothing() -> Result<()> {
    let lab = Lab::durable().await?;
    for (minutes, name) in [
        (50, "silencing/trail-stopped"),
        (40, "iam/admin-granted"),
        (30, "silencing/trail-stopped.benign"),
        (20, "destruction/key-deletion-scheduled"),
    ] {
        let record = lab.record(name)?["detail"].clone();
        let event = json!({"EventName": record["eventName"], "EventSource": record["eventSource"],
            "EventTime": samples::now_ms() / 1000 - minutes * 60, "CloudTrailEvent": record});
        lab.recorded(event).await?;
    }
    let calls = lab.proxy.calls().len();
    let output = lab.command(&["shadow", "--since", "12h", "--json"]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["records"], 4, "{report:#}");
    let seen: Vec<(&str, &str)> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["fate"].as_str().unwrap(), row["situation"].as_str().unwrap()))
        .collect();
    // Of what has no playbook nobody is asked, whatever the mode.
    assert_eq!(
        seen,
        [("contained", "audit-trail-silenced"), ("asked", "privilege-escalation"), ("told", "key-destruction")]
    );
    let asked: Vec<String> = lab.proxy.calls().into_iter().skip(calls).map(|call| call.operation).collect();
    assert!(asked.iter().all(|operation| operation == "LookupEvents"), "{asked:?}");
    Ok(())
}

#[test]
fn explain_says_what_was_seen_what_nearly_was_and_what_would_change_it() {
    for (file, parts) in [
        (
            "cloudtrail/silencing/trail-stopped",
            vec![
                "A trail was stopped",
                "audit-trail-silenced",
                "High; impact: evidence tampering",
                "What would change the decision",
                "cordon baseline show",
            ],
        ),
        (
            "cloudtrail/exposure/port-opened-to-the-world.benign",
            vec!["Rules that nearly matched", "port-opened-to-the-world", "cordon.world_open"],
        ),
        (
            "guardduty/instance-c2-dns",
            vec!["playbook compromised-instance", "possible", "a second finding that agrees"],
        ),
        ("config/ssh-open-at-first-evaluation", vec!["at its first evaluation", "non-compliant"]),
        ("bad/not-json", vec!["Nothing that Cordon acts upon", "no JSON"]),
    ] {
        let path = ["json", "txt"]
            .map(|end| format!("events/{file}.{end}"))
            .into_iter()
            .find(|path| root().join(path).exists())
            .unwrap();
        let output = cordon(&["explain", &path]);
        assert!(output.status.success(), "{file}");
        let said = text(&output);
        for part in parts {
            assert!(said.contains(part), "{part} is missing in\n{said}");
        }
    }
    // No mode makes a playbook.
    let said = text(&cordon(&["explain", "events/cloudtrail/destruction/key-deletion-scheduled.json"]));
    assert!(said.contains("a playbook for `key-destruction`") && !said.contains("the policy's `modes`"), "{said}");
}

#[test]
fn rules_of_a_folder_are_taken_and_a_broken_one_is_said_with_its_line() {
    let folder = tempfile("rules");
    let rule = "title: Somebody lists buckets\nid: buckets-listed\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n  a: {eventName: ListBuckets}\n  condition: a\nlevel: low\n";
    std::fs::write(folder.join("mine.yml"), format!("{rule}---\ntitle: broken\nid: x\nlogsource: {{product: aws}}\ndetection:\n  a: {{eventName: X}}\n  condition: a and\ncordon: {{situatoin: root-used}}\n")).unwrap();
    let (path, listed) = (folder.to_str().unwrap(), cordon(&["rules", "list", "--rules", folder.to_str().unwrap()]));
    assert_eq!(listed.status.code(), Some(1));
    assert!(text(&listed).contains("buckets-listed"));
    let errors = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(errors.contains("mine.yml:15") && errors.contains("situatoin"), "{errors}");
    let shown = text(&cordon(&["rules", "show", "trail-stopped"]));
    assert!(shown.contains("eventName: StopLogging"), "{shown}");
    assert!(text(&cordon(&["rules", "test", path])).contains("has no test"));
    assert!(text(&cordon(&["patterns"])).contains("StopLogging"));
    let coverage = text(&cordon(&["coverage"]));
    assert!(
        coverage.contains("Backdoor:EC2/C&CActivity.B!DNS") && coverage.contains("playbook compromised-instance"),
        "{coverage}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

fn tempfile(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("cordon-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
