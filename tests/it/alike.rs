//! A world as text, in which two copies are the same if they differ by chance alone.
//!
//! What was there before the copy was made has the same id in all copies. What was made since is called by what it is like; a time is only
//! told to be from before or after what happened; with what words a call was refused is for people, and nothing follows from it.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

pub struct Alike {
    /// Words from before.
    known: HashSet<String>,
    /// Of what was made since, by its id.
    like: HashMap<String, String>,
    incident: String,
    /// When it happened: milliseconds, and `2026-11-20T09:15:04`.
    struck: (i64, String),
}

impl Alike {
    /// `dump` is of now, `before` whatever holds ids from before.
    pub fn new(before: &[&Value], incident: &str, struck: i64, dump: &Value) -> Self {
        let text: String = before.iter().map(ToString::to_string).collect();
        let known = text.split(|c| !is_of_word(c)).filter(|word| is_drawn(word)).map(str::to_owned).collect();
        let second = cordon::domain::Timestamp::from_millis(struck - struck.rem_euclid(1_000));
        let iso = second.to_string()[..19].to_owned();
        let (like, incident) = (HashMap::new(), incident.to_owned());
        let mut alike = Self { known, like, incident, struck: (second.millis(), iso) };
        // Tags stand beside what they are of, and say less of it.
        let parts = dump.as_object().into_iter().flatten().filter(|(part, _)| *part != "tags");
        let things = parts.filter_map(|(_, things)| things.as_object()).flatten();
        let new = things.filter(|(id, _)| is_drawn(id) && !alike.known.contains(*id));
        alike.like = new.map(|(id, thing)| (id.clone(), format!("like {}", alike.text(thing)))).collect();
        alike
    }

    /// The value, in an order of its own.
    pub fn text(&self, value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let named = members.iter().map(|(name, value)| format!("{}:{}", self.named(name), self.text(value)));
                let mut named: Vec<String> = named.collect();
                named.sort();
                format!("{{{}}}", named.join(","))
            }
            Value::Array(items) => {
                let mut items: Vec<String> = items.iter().map(|item| self.text(item)).collect();
                items.sort();
                format!("[{}]", items.join(","))
            }
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(inner @ (Value::Object(_) | Value::Array(_))) => self.text(&inner),
                _ => self.named(without_why(text)),
            },
            Value::Number(number) => self.named(&number.to_string()),
            other => other.to_string(),
        }
    }

    /// The parts of a dump, each as text.
    pub fn parts(&self, dump: &Value) -> BTreeMap<String, String> {
        let parts = dump.as_object().into_iter().flatten();
        parts.map(|(part, things)| (part.clone(), self.text(things))).collect()
    }

    fn named(&self, text: &str) -> String {
        let text = text.replace(&self.incident, "ours");
        let (mut said, mut rest) = (String::new(), text.as_str());
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()));
            rest = after;
            if is_hour(word) {
                let end = rest.find(|c: char| !c.is_ascii_digit() && !":.+Z".contains(c)).unwrap_or(rest.len());
                said.push_str(self.time(format!("{word}{}", &rest[..end]).as_str() >= self.struck.1.as_str()));
                rest = &rest[end..];
            } else if let Some(like) = self.like.get(word) {
                said.push_str(like);
            } else if !is_drawn(word) || self.known.contains(word) {
                said.push_str(word);
            } else if let Some(at) = millis(word) {
                said.push_str(self.time(at >= self.struck.0));
            } else if word.split('-').all(|part| part.bytes().all(is_hex)) {
                said.push_str("drawn");
            } else {
                let parts: Vec<&str> =
                    word.split('-').map(|part| if is_drawn(part) { "drawn" } else { part }).collect();
                said.push_str(&parts.join("-"));
            }
            let (between, after) = rest.split_at(rest.find(is_of_word).unwrap_or(rest.len()));
            said.push_str(between);
            rest = after;
        }
        said
    }

    fn time(&self, is_since: bool) -> &'static str {
        if is_since { "since" } else { "before" }
    }
}

/// Where two worlds differ, as far as it helps to know.
pub fn differences(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let part = |(part, wanted): (&String, &String)| {
        let found = found.get(part).map_or("nothing", String::as_str);
        let same = wanted.chars().zip(found.chars()).take_while(|(one, other)| one == other).count();
        let shown = |text: &str| text.chars().skip(same.saturating_sub(80)).take(400).collect::<String>();
        (wanted != found).then(|| format!("{part}: expected …{}… found …{}…", shown(wanted), shown(found)))
    };
    expected.iter().filter_map(part).collect()
}

fn without_why(text: &str) -> &str {
    let whys = [" was denied: ", " was throttled", " gave no clear answer: "];
    whys.iter().fold(text, |text, why| text.find(why).map_or(text, |end| &text[..end]))
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// `2026-11-20T09`, with which a time begins.
fn is_hour(word: &str) -> bool {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00"
}

/// A time in seconds or milliseconds.
fn millis(word: &str) -> Option<i64> {
    let number: i64 = word.parse().ok()?;
    match word.len() {
        10 => Some(number * 1_000),
        13 => Some(number),
        _ => None,
    }
}

/// Ids, hashes and times: long, and of digits, of hexadecimal digits, or of capitals and digits.
fn is_drawn(word: &str) -> bool {
    let is_number = word.len() >= 10 && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_key = word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    is_number || is_key || word.split('-').any(|part| part.len() >= 8 && part.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const STRUCK: i64 = 1_763_773_397_123;

    fn text(made: &str, at: &str, name: &str, rule: &str, status: &str) -> String {
        let (web, key) = ("sg-0aaaaaaaaaaaaaaaa", "AKIAIOSFODNN7EXAMPLE");
        let dump = json!({
            "keys": {key: status},
            "security_groups": {web: {"name": "web", "rules": []}, made: {"name": name, "rules": [rule]}},
            "tags": {made: {"cordon": "quarantine"}, web: {}},
            "network_interfaces": {"eni-0123456789abcdef0": {"groups": [made, web]}}});
        let alike = Alike::new(&[&json!([web, key, "eni-0123456789abcdef0"])], "brave-otter-abcde", STRUCK, &dump);
        alike.text(&json!([dump, "item of brave-otter-abcde", at, format!("{made} by 2bb-18ea3be34cd0f9ca-0")]))
    }

    #[test]
    fn copies_that_differ_by_chance_are_alike() {
        let one = text("sg-0bbbbbbbbbbbbbbbb", "2025-11-22T01:03:17.123Z", "q-0bbbbbbbb", "all", "Active");
        let other = text("sg-0cccccccccccccccc", "2025-11-22T01:05:00+00:00", "q-0cccccccc", "all", "Active");
        assert_eq!(one, other);
        assert!(one.contains("AKIAIOSFODNN7EXAMPLE:Active") && one.contains("item of ours"), "{one}");
    }

    #[test]
    fn others_are_not() {
        let (group, at) = ("sg-0bbbbbbbbbbbbbbbb", "2025-11-22T01:03:17.123Z");
        let one = text(group, at, "q", "all", "Active");
        for other in [
            text(group, "2025-11-22T01:03:16Z", "q", "all", "Active"),
            text(group, at, "p", "all", "Active"),
            text(group, at, "q-0bbbbbbbb", "all", "Active"),
            text(group, at, "q", "none", "Active"),
            text(group, at, "q", "all", "Inactive"),
        ] {
            assert_ne!(one, other);
        }
        let alike = Alike::new(&[], "x", STRUCK, &json!({}));
        assert_eq!(alike.text(&json!([1_763_773_396_999_i64, STRUCK, "1763773396"])), "[before,before,since]");
    }
}
