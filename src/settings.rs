//! The environment, read once and judged as a whole: all problems come in one message, and none turns into a default that acts.

use crate::{
    domain::{Arn, EventRuleName},
    policy::{Mode, Policy},
};
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub entry: Entry,
    /// `None` only for the operator function, which tells nobody by itself.
    pub topic: Option<Arn>,
    /// DynamoDB table of the journal; `None`: in memory.
    pub table: Option<String>,
    /// URL of the SQS queue for rechecks.
    pub recheck_queue: Option<String>,
    pub mode: Mode,
    /// Of a file; `None`: the table says, or the embedded default.
    pub policy: Option<Policy>,
    /// Folder of further Sigma rules. It is read with the first record that needs rules, and what is wrong with it is announced then.
    pub rules: Option<PathBuf>,
    /// How the names of the rules of EventBridge begin by which events come; `None`: they are not watched over.
    pub event_rules: Option<String>,
}

/// What this function takes; the shape of a payload never decides that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Events,
    Operator,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot start with these settings: {}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

/// Variables of the contract that this version does not know how to honour. Set, they would promise what is not done.
const NOT_YET: [&str; 2] = ["CORDON_CHAT_TOPIC_ARN", "CORDON_MEMBER_ROLE"];

/// The ones that it honours.
const KNOWN: [&str; 8] = [
    "CORDON_ENTRY",
    "CORDON_TOPIC_ARN",
    "CORDON_MODE",
    "CORDON_POLICY",
    "CORDON_TABLE",
    "CORDON_RECHECK_QUEUE_URL",
    "CORDON_RULES",
    "CORDON_EVENT_RULES",
];

/// Read elsewhere: by the clock of tests.
const ELSEWHERE: [&str; 1] = ["CORDON_TEST_CLOCK"];

impl Settings {
    /// From the process's environment.
    ///
    /// # Errors
    /// All problems in one message.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Self::from_variables(
            &std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let get = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        for name in variables.keys().filter(|name| name.starts_with("CORDON_")) {
            if NOT_YET.contains(&name.as_str()) {
                problems.push(format!("{name} is set, but this version does nothing with it"));
            } else if !KNOWN.contains(&name.as_str()) && !ELSEWHERE.contains(&name.as_str()) {
                problems.push(format!("{name} is no variable of Cordon"));
            }
        }
        let entry = match get("CORDON_ENTRY") {
            None | Some("events") => Entry::Events,
            Some("operator") => Entry::Operator,
            Some(other) => {
                problems.push(format!("CORDON_ENTRY is `{other}`, allowed are events, operator"));
                Entry::Events
            }
        };
        let topic = match get("CORDON_TOPIC_ARN").map(Arn::parse) {
            Some(Ok(topic)) if topic.as_str().split(':').nth(2) == Some("sns") => Some(topic),
            Some(_) => {
                problems.push("CORDON_TOPIC_ARN is no ARN of an SNS topic".to_owned());
                None
            }
            None if entry == Entry::Operator => None,
            None => {
                problems.push("CORDON_TOPIC_ARN is missing: nobody would be told".to_owned());
                None
            }
        };
        let mode = match get("CORDON_MODE") {
            None | Some("observe") => Some(Mode::Observe),
            Some("approve") => Some(Mode::Approve),
            Some("contain") => Some(Mode::Contain),
            Some(other) => {
                problems.push(format!("CORDON_MODE is `{other}`, allowed are observe, approve, contain"));
                None
            }
        };
        let table = get("CORDON_TABLE").map(str::to_owned);
        if table.as_deref().is_some_and(|table| !is_table_name(table)) {
            problems.push("CORDON_TABLE is no name of a DynamoDB table".to_owned());
        }
        let recheck_queue = get("CORDON_RECHECK_QUEUE_URL").map(str::to_owned);
        if recheck_queue.as_deref().is_some_and(|url| !url.contains("://")) {
            problems.push("CORDON_RECHECK_QUEUE_URL is no URL".to_owned());
        }
        let event_rules = get("CORDON_EVENT_RULES").map(str::to_owned);
        if event_rules.as_deref().is_some_and(|prefix| EventRuleName::parse(prefix).is_err()) {
            problems.push("CORDON_EVENT_RULES is no beginning of the name of an event rule".to_owned());
        }
        let local = get("AWS_ENDPOINT_URL").is_some_and(is_loopback);
        if mode.is_some_and(|mode| mode != Mode::Observe) && table.is_none() && !local {
            problems.push(
                "CORDON_MODE is not observe, but without CORDON_TABLE what is changed would be forgotten; only a loopback AWS_ENDPOINT_URL may do that"
                    .to_owned(),
            );
        }
        let policy = match get("CORDON_POLICY") {
            None => None,
            Some(path) => read_policy(path).map_err(|problem| problems.push(problem)).ok(),
        };
        if entry == Entry::Operator && table.is_none() {
            problems.push("CORDON_TABLE is missing: there would be nothing to command".to_owned());
        }
        match mode {
            Some(mode) if problems.is_empty() => Ok(Self {
                entry,
                topic,
                table,
                recheck_queue,
                mode,
                policy,
                rules: get("CORDON_RULES").map(PathBuf::from),
                event_rules,
            }),
            _ => Err(SettingsError(problems)),
        }
    }
}

/// Reads the policy document of a file.
pub fn read_policy(path: &str) -> Result<Policy, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read policy `{path}`: {error}"))?;
    Policy::parse(&text).map_err(|error| format!("policy `{path}`: {error}"))
}

/// 3 to 255 characters `[a-zA-Z0-9_.-]` (DynamoDB API reference).
fn is_table_name(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// Whether the endpoint is on this machine, by its host alone: `http://127.0.0.1.example.com` is not.
fn is_loopback(endpoint: &str) -> bool {
    let Some((_, rest)) = endpoint.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::from_variables(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    const TOPIC: (&str, &str) = ("CORDON_TOPIC_ARN", "arn:aws:sns:us-east-1:111122223333:cordon");
    const MOTO: (&str, &str) = ("AWS_ENDPOINT_URL", "http://127.0.0.1:5000");

    #[test]
    fn silence_observes() {
        assert_eq!(of(&[TOPIC]).unwrap().mode, Mode::Observe);
        assert_eq!(of(&[TOPIC, ("CORDON_MODE", "")]).unwrap().mode, Mode::Observe);
        assert_eq!(of(&[TOPIC, MOTO, ("CORDON_MODE", "contain")]).unwrap().mode, Mode::Contain);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = of(&[
            ("CORDON_MODE", "kontain"),
            ("CORDON_TOPIC", "x"),
            ("CORDON_MEMBER_ROLE", "t"),
            ("CORDON_POLICY", "/nowhere/p.yaml"),
            ("CORDON_ENTRY", "operatr"),
        ])
        .unwrap_err();
        let all = error.to_string();
        for part in [
            "CORDON_MODE is `kontain`",
            "CORDON_TOPIC is no variable",
            "CORDON_MEMBER_ROLE is set",
            "/nowhere/p.yaml",
            "CORDON_TOPIC_ARN is missing",
            "CORDON_ENTRY",
        ] {
            assert!(all.contains(part), "{part} is missing in: {all}");
        }
        assert_eq!(error.0.len(), 6);
    }

    #[test]
    fn without_a_table_nothing_is_changed_but_on_this_machine() {
        for (endpoint, allowed) in [
            ("http://127.0.0.1:5000", true),
            ("http://localhost:5000/", true),
            ("http://[::1]:5000", true),
            ("http://127.9.9.9", true),
            ("https://ec2.us-east-1.amazonaws.com", false),
            ("http://127.0.0.1.example.com:5000", false),
            ("http://localhost@example.com", false),
            ("http://10.0.0.1:5000", false),
            ("127.0.0.1:5000", false),
        ] {
            for mode in ["approve", "contain"] {
                let result = of(&[TOPIC, ("CORDON_MODE", mode), ("AWS_ENDPOINT_URL", endpoint)]);
                assert_eq!(result.is_ok(), allowed, "{mode} {endpoint}: {result:?}");
            }
        }
        assert!(of(&[TOPIC, ("CORDON_MODE", "contain")]).is_err());
        assert!(of(&[TOPIC, ("CORDON_MODE", "contain"), ("CORDON_TABLE", "cordon")]).is_ok());
        assert!(of(&[TOPIC, ("CORDON_MODE", "contain"), ("CORDON_TABLE", "no table")]).is_err());
    }
}
