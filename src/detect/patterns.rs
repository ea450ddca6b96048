//! The event patterns of EventBridge that let through what the rules look at, and no more: made of the rules, so that no rule waits for
//! events that nobody sends. A pattern never looks at who called: it would drop whoever is called otherwise.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Rule;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// EventBridge: 2,048 characters a rule (service quotas, "Event pattern size").
const MOST_CHARACTERS: usize = 2_048;

/// One rule of EventBridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Letters and digits: it names a resource of the template.
    pub name: String,
    /// Read-only management events come only to rules in a state of their own.
    pub all_management_events: bool,
    pub pattern: Value,
}

/// The detail-types of CloudTrail (EventBridge user guide, "Events from services that are delivered via CloudTrail").
const DETAIL_TYPES: [&str; 5] = [
    "AWS API Call via CloudTrail",
    "AWS Console Sign In via CloudTrail",
    "AWS Console Action via CloudTrail",
    "AWS Service Event via CloudTrail",
    "AWS Insight via CloudTrail",
];

/// Of CloudTrail for these rules, and of the other sensors.
///
/// # Errors
/// The ids of rules that name no call and say no pattern instead.
pub fn patterns(rules: &[Rule]) -> Result<Vec<Pattern>, Vec<String>> {
    let (mut names, mut read_only_names) = (BTreeSet::new(), BTreeSet::new());
    let mut others: BTreeMap<String, Value> = BTreeMap::new();
    let mut silent = Vec::new();
    for rule in rules {
        let ours = &rule.meta.cordon;
        let called = names_of(&rule.meta.detection);
        match (&ours.pattern, called.is_empty()) {
            (Some(pattern), _) => drop(others.insert(rule.meta.id.clone(), pattern.clone())),
            (None, false) if ours.read_only => read_only_names.extend(called),
            // Nothing sends them: a trail must record them, and a rule of its own must let them through.
            (None, false) if ours.data_events => {}
            (None, false) => names.extend(called),
            (None, true) => silent.push(rule.meta.id.clone()),
        }
    }
    if !silent.is_empty() {
        return Err(silent);
    }
    // What comes anyway need not come twice.
    let in_another = |name: &Name| matches!(name, Name::Whole(whole) if names.contains(&Name::Start(whole.clone())));
    read_only_names.retain(|name| !names.contains(name) && !in_another(name));
    let names: BTreeSet<Name> = names.iter().filter(|name| !in_another(name)).cloned().collect();
    let mut found = Vec::new();
    for (family, names, all) in [("Calls", names, false), ("ReadOnlyCalls", read_only_names, true)] {
        found.extend(chunks(family, &names, all));
    }
    let mut together: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pattern in others.into_values() {
        for (member, values) in pattern.as_object().into_iter().flatten() {
            let list = together.entry(member.clone()).or_default();
            list.extend(
                values
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|value| !list.contains(value))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
    }
    for (n, (member, values)) in (1..).zip(together) {
        found.push(Pattern {
            name: format!("Whatever{n}"),
            all_management_events: true,
            pattern: of_cloudtrail(&member, values),
        });
    }
    let other = |name: &str, source: &str, detail_types: &[&str]| Pattern {
        name: name.to_owned(),
        all_management_events: false,
        pattern: json!({"source": [source], "detail-type": detail_types}),
    };
    found.push(other(
        "ConfigChange",
        "aws.config",
        &["Config Rules Compliance Change", "Config Configuration Item Change"],
    ));
    found.push(other("AlarmChange", "aws.cloudwatch", &["CloudWatch Alarm State Change"]));
    found.push(other("CostAnomaly", "aws.ce", &["Anomaly Detected"]));
    Ok(found)
}

/// As many as fit into one rule each.
fn chunks(family: &str, names: &BTreeSet<Name>, all_management_events: bool) -> Vec<Pattern> {
    let mut found: Vec<Vec<Value>> = Vec::new();
    for name in names {
        let value = name.pattern();
        let fits = |list: &[Value]| {
            let with = list.iter().chain([&value]).cloned().collect();
            of_cloudtrail("eventName", with).to_string().len() <= MOST_CHARACTERS
        };
        match found.last_mut().filter(|list| fits(list)) {
            Some(list) => list.push(value),
            None => found.push(vec![value]),
        }
    }
    let one = |(n, list): (usize, Vec<Value>)| Pattern {
        name: format!("{family}{n}"),
        all_management_events,
        pattern: of_cloudtrail("eventName", list),
    };
    (1..).zip(found).map(one).collect()
}

fn of_cloudtrail(path: &str, values: Vec<Value>) -> Value {
    let detail = path.rsplit('.').fold(Value::Array(values), |inner, member| {
        let mut object = Map::new();
        object.insert(member.to_owned(), inner);
        Value::Object(object)
    });
    json!({"detail-type": DETAIL_TYPES, "detail": detail})
}

/// A call's name, as rules give it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Whole(String),
    Start(String),
    Like(String),
}

impl Name {
    fn pattern(&self) -> Value {
        match self {
            Self::Whole(name) => json!(name),
            Self::Start(start) => json!({"prefix": start}),
            Self::Like(pattern) => json!({"wildcard": pattern}),
        }
    }
}

/// They append the version of their API to the names of their calls: `PublishVersion20150331`, `CreateDistribution2020_05_31` (their guides'
/// pages on CloudTrail).
const VERSIONED: [&str; 2] = ["lambda.amazonaws.com", "cloudfront.amazonaws.com"];
/// Their calls that rules name together with those of other services.
const VERSIONED_CALLS: [&str; 3] = ["CreateDistribution", "TagResource", "UntagResource"];

/// The names of calls that a detection looks for.
fn names_of(detection: &Value) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    let condition = detection.get("condition").map(Value::to_string).unwrap_or_default();
    let selections = detection.as_object().into_iter().flatten();
    for (_, selection) in selections.filter(|(name, _)| !is_only_excluded(name, &condition)) {
        walk(selection, &mut found);
    }
    found
}

/// One text, or several.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_str().into_iter().chain(value.as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// What a condition only takes away asks for no events.
fn is_only_excluded(selection: &str, condition: &str) -> bool {
    let words: Vec<&str> = condition
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        .filter(|word| !word.is_empty())
        .collect();
    let mut places = words.iter().enumerate().filter(|(_, word)| **word == selection).peekable();
    places.peek().is_some() && places.all(|(at, _)| at > 0 && words.get(at - 1) == Some(&"not"))
}

fn walk(value: &Value, found: &mut BTreeSet<Name>) {
    match value {
        Value::Object(object) => {
            // Exact, or by a part of the name.
            let of_versioned = |source: &str| VERSIONED.iter().any(|known| known.contains(source));
            let sources = object.iter().find(|(member, _)| member.split('|').next() == Some("eventSource"));
            let is_versioned = sources.is_some_and(|(_, sources)| texts(sources).all(of_versioned));
            for (member, value) in object {
                let (field, modifier) = member.split_once('|').unwrap_or((member, ""));
                if field != "eventName" {
                    walk(value, found);
                    continue;
                }
                found.extend(texts(value).map(|name| match modifier.split('|').next().unwrap_or_default() {
                    "startswith" => Name::Start(name.to_owned()),
                    "endswith" => Name::Like(format!("*{name}")),
                    "contains" => Name::Like(format!("*{name}*")),
                    // It is no pattern of EventBridge: everything of the detail-type would have to come.
                    "re" => Name::Like("*".to_owned()),
                    _ if name.contains('*') => Name::Like(name.to_owned()),
                    _ if is_versioned || VERSIONED_CALLS.contains(&name) || name.contains("Function") => {
                        Name::Start(name.to_owned())
                    }
                    _ => Name::Whole(name.to_owned()),
                }));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Detector;

    #[test]
    fn our_rules_get_their_events_and_no_pattern_is_too_long_or_looks_at_who_called() {
        let patterns = patterns(Detector::ours().rules()).unwrap();
        for pattern in &patterns {
            let text = pattern.pattern.to_string();
            assert!(text.len() <= MOST_CHARACTERS, "{}: {}", pattern.name, text.len());
        }
        assert!(patterns.iter().any(|pattern| pattern.pattern.to_string().contains("StopLogging")));
        // Rules of others too, however they name the service.
        for source in ["eventSource: lambda.amazonaws.com", "eventSource|contains: lambda"] {
            let selection = serde_saphyr::from_str(&format!("call: {{{source}, eventName: PublishVersion}}")).unwrap();
            assert_eq!(names_of(&selection), BTreeSet::from([Name::Start("PublishVersion".to_owned())]), "{source}");
        }
        let elsewhere = json!({"call": {"eventSource": "sqs.amazonaws.com", "eventName": "AddPermission"}});
        assert_eq!(names_of(&elsewhere), BTreeSet::from([Name::Whole("AddPermission".to_owned())]));
    }
}
