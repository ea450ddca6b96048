//! Inline policies as states: absent, our deny, or a stranger's document. Documents are built with serde_json, never pasted.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// What stands under the name of one of our inline policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyState {
    Absent,
    /// Exactly the document that the action builds for its target.
    Deny,
    /// Somebody else's document under our name, kept to be put back.
    Other(String),
}

impl PolicyState {
    pub fn folded(found: Option<String>, deny: &Value) -> Self {
        let Some(document) = found else { return Self::Absent };
        match serde_json::from_str::<Value>(&document) {
            Ok(found) if found == *deny => Self::Deny,
            _ => Self::Other(document),
        }
    }

    /// The document to put; `None` means to delete the policy.
    pub fn document(&self, deny: &Value) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Deny => Some(deny.to_string()),
            Self::Other(document) => Some(document.clone()),
        }
    }
}

impl fmt::Display for PolicyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no policy"),
            Self::Deny => f.write_str("everything denied"),
            Self::Other(document) => write!(f, "another policy of {} characters", document.len()),
        }
    }
}

/// IAM answers documents percent-encoded (IAM API reference, GetRolePolicy).
pub fn decoded(wire: &str) -> String {
    percent_decode_str(wire).decode_utf8_lossy().into_owned()
}

/// Unconditional: a condition on `aws:TokenIssueTime` would not match long-term keys, which lack it.
pub fn deny_all() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Sid": "CordonDenyAll", "Effect": "Deny", "Action": "*", "Resource": "*"}]})
}

/// Denies one session of a role, also when it is issued anew under the same name.
pub fn deny_session(user_id: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "CordonDenySession", "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:userid": user_id}}}]})
}

/// Characters that count towards IAM's limit for inline policies, which ignores white space (IAM user guide, quotas).
pub fn inline_size(document: &str) -> usize {
    decoded(document).chars().filter(|c| !c.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_ours_only_if_it_says_the_same() {
        let deny = deny_session("AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3d");
        let ours = deny.to_string();
        let wire = percent_encoding::utf8_percent_encode(&ours, percent_encoding::NON_ALPHANUMERIC);
        assert_eq!(PolicyState::folded(None, &deny), PolicyState::Absent);
        assert_eq!(PolicyState::folded(Some(decoded(&wire.to_string())), &deny), PolicyState::Deny);
        assert_eq!(PolicyState::folded(Some(deny.to_string().replace(',', ", ")), &deny), PolicyState::Deny);
        let other = deny_session("AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3e").to_string();
        assert_eq!(PolicyState::folded(Some(other.clone()), &deny), PolicyState::Other(other));
        assert_eq!(PolicyState::folded(Some("no json".into()), &deny), PolicyState::Other("no json".into()));
    }

    #[test]
    fn the_deny_of_a_user_has_no_condition_that_could_fail_to_match() {
        let [statement] = deny_all()["Statement"].as_array().unwrap().clone().try_into().unwrap();
        assert_eq!(statement.get("Condition"), None);
        assert_eq!((&statement["Effect"], &statement["Action"]), (&json!("Deny"), &json!("*")));
    }

    #[test]
    fn white_space_does_not_count_towards_the_limit() {
        assert_eq!(inline_size("%7B%22a%22%3A%20%22b%22%7D"), 9);
    }
}
