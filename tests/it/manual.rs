//! The manual is made of the pages of playbooks and actions. `UPDATE_MANUAL=1 cargo test manual` writes it anew.

use crate::lab::root;
use cordon::{
    actions, playbooks,
    policy::{EXAMPLES, Limits, Policy},
};
use serde_json::Value;
use std::fmt::Write;

#[test]
fn the_manual_is_what_the_pages_say() {
    let path = root().join("docs/manual.md");
    let manual = manual();
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(&path, &manual).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == manual, "docs/manual.md is not what the pages say; write it with: make manual");
}

fn manual() -> String {
    let mut text =
        String::from("# Cordon: manual\n\nMade from the pages in `src/`; change them there and run `make manual`.\n");
    text.push_str("\n## Playbooks\n");
    for playbook in playbooks::ALL {
        let page = playbook.page();
        let (summary, rest) = page.split_once('\n').unwrap();
        write!(text, "\n### {}\n\n{summary}\n", playbook.id()).unwrap();
        push_page(&mut text, rest);
    }
    push_policy(&mut text);
    text.push_str("\n## Actions\n\nA plan is made of these. Permissions are those of contain and release together.\n");
    for action in actions::ALL {
        let page = playbooks::page(action.source);
        let (summary, rest) = page.split_once('\n').unwrap();
        write!(text, "\n### {}\n\n{summary}\n", action.name).unwrap();
        push_page(&mut text, rest);
        let actions::Permissions { reads, contains, releases } = action.permissions;
        write!(text, "\n*Release*: {}.\n\n", action.release).unwrap();
        for (what, permissions) in [("Reads", reads), ("Contains", contains), ("Releases", releases)] {
            if !permissions.is_empty() {
                writeln!(text, "*{what} with*: {}.", permissions.join(", ")).unwrap();
            }
        }
    }
    text
}

/// From the types: what a document may hold, and three to begin with.
fn push_policy(text: &mut String) {
    let schema = Policy::schema();
    let sentence = |schema: &Value| schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    write!(text, "\n## Policy\n\n{} ", sentence(&schema)).unwrap();
    text.push_str(
        "The JSON schema is `docs/policy.schema.json` (`cordon policy schema`). The newest version in the table is in force; \
         `cordon policy put FILE` puts one.\n",
    );
    push_members(text, &schema, &serde_json::to_value(Policy::default()).unwrap());
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        let name = name.trim_start_matches("Wire");
        write!(text, "\n### {name}\n\n{}\n", sentence(definition)).unwrap();
        let default = if name == "Limits" { serde_json::to_value(Limits::default()).unwrap() } else { Value::Null };
        push_members(text, definition, &default);
        let values = definition["oneOf"].as_array().or(definition["enum"].as_array()).into_iter().flatten();
        for value in values {
            for word in value["enum"].as_array().into_iter().flatten().chain([value, &value["const"]]) {
                if let Some(word) = word.as_str() {
                    let meaning = sentence(value);
                    let colon = if meaning.is_empty() { "" } else { ": " };
                    writeln!(text, "- `{word}`{colon}{meaning}").unwrap();
                }
            }
        }
    }
    for example in EXAMPLES {
        write!(text, "\n### Example: {}\n\n```yaml\n{}```\n", example.name, example.text).unwrap();
    }
}

fn push_members(text: &mut String, schema: &Value, defaults: &Value) {
    let Some(members) = schema["properties"].as_object() else { return };
    text.push_str("\n| member | what | default |\n| --- | --- | --- |\n");
    for (name, member) in members {
        let what = member["description"].as_str().unwrap_or_default().replace('\n', " ");
        let bounds = match (&member["minimum"], &member["maximum"]) {
            (Value::Number(least), Value::Number(most)) => format!(" {least} to {most}."),
            _ => String::new(),
        };
        let default = match &defaults[name] {
            Value::Null => String::new(),
            Value::Array(list) if list.is_empty() => "none".to_owned(),
            Value::Object(map) if map.is_empty() => "none".to_owned(),
            Value::Object(_) if name == "limits" => "see below".to_owned(),
            other => format!("`{}`", other.to_string().replace('"', "")),
        };
        writeln!(text, "| `{name}` | {}{bounds} | {default} |", what.trim()).unwrap();
    }
}

#[test]
fn the_schema_that_is_shipped_is_that_of_the_types() {
    let path = root().join("docs/policy.schema.json");
    let schema = format!("{:#}\n", Policy::schema());
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == schema, "docs/policy.schema.json is not what the types say; write it with: make manual");
}

/// Headings of a page are four levels down here.
fn push_page(text: &mut String, page: &str) {
    for line in page.trim_matches('\n').lines() {
        match line.strip_prefix("# ") {
            Some(heading) => write!(text, "\n#### {heading}\n\n").unwrap(),
            None => writeln!(text, "{line}").unwrap(),
        }
    }
}
