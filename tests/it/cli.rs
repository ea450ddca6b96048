//! The command line as a person and a script use it.

use crate::lab::{Lab, differences, root};
use anyhow::Result;
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn cordon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordon"));
    command.args(arguments).current_dir(root()).env_remove("CORDON_POLICY").env("NO_COLOR", "1");
    command
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child =
        cordon(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn records(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn replay_takes_files_folders_lines_and_standard_input() {
    let folder = run(&["replay", "--json", "events/guardduty"], "");
    assert!(folder.status.success());
    assert_eq!(records(&folder).len(), std::fs::read_dir(root().join("events/guardduty")).unwrap().count());

    let event = std::fs::read_to_string(root().join("events/guardduty/instance-c2-network.json")).unwrap();
    let one: Value = serde_json::from_str(&event).unwrap();
    let lines = format!("{one}\nno json\n{}\n", one["detail"]);
    let output = run(&["replay", "--json", "-"], &lines);
    assert!(output.status.success(), "what is no event has an outcome too");
    let seen: Vec<_> = records(&output)
        .iter()
        .map(|r| (r["line"].as_u64().unwrap(), r["outcome"]["kind"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(seen, [(1, "NeedsFacts".to_owned()), (2, "Ignored".to_owned()), (3, "NeedsFacts".to_owned())]);
}

#[test]
fn replay_explains_itself_to_a_person() {
    let output = run(&["replay", "events/guardduty/instance-c2-dns.json"], "");
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "High (8)",
        "compromised-instance on instance i-",
        "mode       approve",
        "DNS evidence alone",
        "reads      autoscaling:DescribeAutoScalingInstances",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 events: 1 NeedsFacts"));
}

#[test]
fn what_goes_wrong_has_a_message_and_an_exit_code() {
    for (arguments, code, said) in [
        (&["replay", "/nowhere/event.json"][..], 1, "cannot read `/nowhere/event.json`"),
        (&["replay"], 2, "required"),
        (&["replay", "--mode", "kill", "x"], 2, "kill"),
        (&["replay", "--policy", "/nowhere/policy.yaml", "-"], 1, "/nowhere/policy.yaml"),
        (&["playbooks", "show", "nothing"], 1, "no playbook is called `nothing`"),
        (&["frobnicate"], 2, "frobnicate"),
    ] {
        let output = run(arguments, "");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}

#[test]
fn a_policy_changes_what_replay_says_and_a_broken_one_says_where() {
    let folder = crate::lab::scratch();
    let (good, bad) = (folder.join("good.yaml"), folder.join("bad.yaml"));
    std::fs::write(
        &good,
        "modes:\n  compromised-instance: {critical: observe, high: observe, medium: observe, low: observe}\n",
    )
    .unwrap();
    std::fs::write(&bad, "version: 1\nmoods: {}\n").unwrap();
    let sample = "events/guardduty/instance-c2-network.json";
    let output = run(&["replay", "--json", "--policy", good.to_str().unwrap(), sample], "");
    assert_eq!(records(&output)[0]["mode"], "observe");
    let output = run(&["replay", "--policy", bad.to_str().unwrap(), sample], "");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("line 2, column 1") && text.contains("moods"), "{text}");
}

#[test]
fn every_playbook_can_be_shown() {
    let list = run(&["playbooks"], "");
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(text.lines().count() >= 3, "{text}");
    for name in text.lines().filter_map(|line| line.split(' ').next()) {
        let page = run(&["playbooks", "show", name], "");
        let page = String::from_utf8_lossy(&page.stdout);
        for heading in ["# What it does", "# Fires on", "# Blast radius", "# Undo", "# Limits", "# References"] {
            assert!(page.contains(heading), "{name} lacks {heading}");
        }
    }
}

#[tokio::test]
async fn replay_against_an_account_shows_the_plan_that_contain_executes_and_changes_nothing() -> Result<()> {
    let lab = Lab::contain().await?;
    let before = lab.dump().await?;
    let event = lab.event("instance-c2-network")?;
    let text = event.to_string();
    let (endpoint, ids) = (lab.proxy.endpoint().to_owned(), lab.ids.clone());
    let output = tokio::task::spawn_blocking(move || {
        let mut command = cordon(&["replay", "--json", "--against", "-"]);
        command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", ids["credentials"]["access_key_id"].as_str().unwrap());
        command.env("AWS_SECRET_ACCESS_KEY", ids["credentials"]["secret_access_key"].as_str().unwrap());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    })
    .await?;
    assert!(output.status.success());
    assert_eq!(lab.proxy.mutations().len(), 0);
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    let planned = &records(&output)[0]["report"];
    let done = lab.deliver(&event).await?;
    assert_eq!(planned["plan"], done["plan"], "{planned:#}\n{done:#}");
    Ok(())
}

#[test]
fn a_policy_is_checked_with_line_and_column_before_it_is_put_anywhere() {
    for name in ["careful", "usual", "strict"] {
        let example = run(&["policy", "example", name], "");
        let text = String::from_utf8(example.stdout).unwrap();
        let checked = run(&["policy", "check", "-"], &text);
        assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
    }
    let wrong = run(&["policy", "check", "-"], "version: 1\nlimits:\n  instances-per-hour: 0\n");
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said.contains("line 3, column 23") && said.contains("allowed are 1 to 1000"), "{said}");
    let unknown = run(&["policy", "example", "lax"], "");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("careful, usual, strict"));
    let schema: Value = serde_json::from_slice(&run(&["policy", "schema"], "").stdout).unwrap();
    assert_eq!(schema["properties"]["limits"]["$ref"], "#/$defs/Limits");
    // A command says where it would go, or what is missing.
    let nowhere = run(&["pause", "--because", "x", "--table", "cordon"], "");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("--function"), "{nowhere:?}");
    let year = run(&["pause", "--because", "x", "--minutes", "525600", "--table", "cordon"], "");
    assert_eq!(year.status.code(), Some(2), "{year:?}");
}
