//! The manual is made of the pages of playbooks and actions. `UPDATE_MANUAL=1 cargo test manual` writes it anew.

use crate::lab::root;
use cordon::{
    actions,
    cli::coverage::rows,
    detect::{CONFIG_RULES, DERIVED, Detector},
    playbooks,
    policy::{EXAMPLES, Limits, Policy},
    triage::ROWS,
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
    push_detection(&mut text);
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

/// From the tables and the rules: what is seen, how bad it is, and what is done about it.
fn push_detection(text: &mut String) {
    text.push_str(
        "\n## Detection\n\nGuardDuty's findings are judged by their type, CloudTrail's records by Sigma rules, AWS Config by the source of its \
         rules and by what changed, alarms by what the policy says that they mean. `cordon explain FILE` tells it of one event, `cordon coverage` of all.\n\n\
         ### How bad it is\n\nOf GuardDuty its own number. Of all else the first row that matches, from the top; then at most one step worse where whoever did \
         it is held by an incident, comes from another account, or the policy calls the account production.\n\n| row | |\n| --- | --- |\n",
    );
    for row in ROWS {
        let impact = row.impact.map(|impact| format!(" Impact: {impact}.")).unwrap_or_default();
        writeln!(text, "| {} | {}.{impact} |", row.code, row.says).unwrap();
    }
    text.push_str("| rule-level | what no row names is as bad as its rule says. |\n\n### Rules of AWS Config\n\nThe rule's source identifier decides, whatever it was named. \
         A first evaluation proves nothing new and is read in the digest; what a rule says is never more than asked about, unless somebody was seen to change it.\n\n\
         | identifier | situation | severity | what a person should do |\n| --- | --- | --- | --- |\n");
    for rule in CONFIG_RULES {
        writeln!(text, "| {} | {} | {} | {} |", rule.identifier, rule.situation, rule.severity, rule.advice).unwrap();
    }
    text.push_str("\n### Types of GuardDuty\n\nJudged as they usually come; direction and role can make an instance the victim.\n\n\
         | type | situation | confidence | playbook of that situation, or why people are told |\n| --- | --- | --- | --- |\n");
    let rows = rows();
    for row in rows.iter().filter(|row| row.source == "GuardDuty") {
        let because = row.triage.reasons.first().map(|reason| reason.text.as_str()).unwrap_or_default();
        let done = row.playbook.map_or_else(|| because.to_owned(), |playbook| format!("`{playbook}`"));
        writeln!(text, "| {} | {} | {} | {done} |", row.what, row.triage.situation, row.triage.confidence).unwrap();
    }
    text.push_str("\n### Rules for CloudTrail\n\n`cordon rules show ID` prints one with its references and false positives. Rules that need read-only management \
         events or data events say so.\n\n| rule | level | situation | what it sees |\n| --- | --- | --- | --- |\n");
    let detector = Detector::ours();
    for rule in detector.rules() {
        let (meta, ours) = (&rule.meta, &rule.meta.cordon);
        let needs = if ours.data_events {
            " (data events)"
        } else if ours.read_only {
            " (read-only events)"
        } else {
            ""
        };
        writeln!(text, "| {} | {} | {} | {}{needs} |", meta.id, meta.level.severity(), ours.situation, meta.title)
            .unwrap();
    }
    text.push_str("\n### Rules of your own\n\nA folder of Sigma rules (`CORDON_RULES`, in Lambda a layer under `/opt`) is read beside the built-in ones. Fields are those of \
         CloudTrail's records; arrays match by any member, what is absent equals null, booleans and numbers match their text, names of calls match with and without a version, \
         whole objects can be searched as JSON text. Rules may also ask for:\n\n| field | |\n| --- | --- |\n");
    for (field, says) in DERIVED {
        writeln!(text, "| `{field}` | {says} |").unwrap();
    }
    text.push_str("\nUnder `cordon:` a rule may say what it means: `situation`, `impact`, `confidence`, `subject` (paths to what is changed), `subject-is`, `denied` (`counts`, or \
         `is-an-attempt` where one denied call is an alert), `count` (`at-least`, `within-minutes`, `different`, `by`), `read-only`, `data-events`, `pattern`. \
         `cordon rules test FOLDER` holds rules against the tests beside them; `cordon patterns --rules FOLDER --template` prints the rules of EventBridge that they need.\n");
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
