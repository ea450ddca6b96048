//! One Sigma rule with our members: what it is called, what it means, and what a denied call of its kind means.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{Confidence, Impact, Severity, Situation};
use rsigma_eval::{CompiledRule, RuleFieldSet, compile_rule};
use rsigma_parser::parse_sigma_yaml;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a rule says beside its detection. Sigma specification 2: unknown members of a rule are left to tools; ours are under `cordon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub title: String,
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub references: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub falsepositives: Vec<String>,
    #[serde(default)]
    pub level: Level,
    #[serde(default)]
    pub cordon: Ours,
    /// As it was written; the engine has its own form.
    #[serde(default, skip_serializing)]
    pub detection: serde_json::Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Informational,
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl Level {
    pub fn severity(self) -> Severity {
        match self {
            Self::Informational => Severity::Informational,
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
        }
    }
}

/// Our members of a rule. A rule of others has none, and means what its level says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Ours {
    pub situation: Situation,
    pub impact: Impact,
    pub confidence: Confidence,
    /// Paths of the record at which the thing stands that is changed; the first that is there counts. None: the caller.
    pub subject: Vec<String>,
    /// What is it: `trail`, `bucket`, …
    pub subject_is: String,
    /// What a denied call means.
    pub denied: Denied,
    /// Only several within a while are a finding.
    pub count: Option<Count>,
    /// It needs read-only management events, which a rule of EventBridge gets only in a state of its own.
    pub read_only: bool,
    /// Members of the detail and the values by which EventBridge lets its events through, where the rule goes by no name of a call:
    /// `{userIdentity.type: [Root]}`.
    pub pattern: Option<serde_json::Value>,
    /// It needs data events, which a trail must be told to record.
    pub data_events: bool,
}

impl Default for Ours {
    fn default() -> Self {
        Self {
            situation: Situation::Unknown,
            impact: Impact::None,
            confidence: Confidence::Likely,
            subject: Vec::new(),
            subject_is: String::new(),
            denied: Denied::default(),
            count: None,
            pattern: None,
            read_only: false,
            data_events: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denied {
    /// Nothing by itself; denied calls are counted by a rule of their own.
    #[default]
    Counts,
    /// One suffices: whoever tries this has no business here.
    IsAnAttempt,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Count {
    /// 2 to 50.
    pub at_least: u32,
    /// 1 to 60.
    pub within_minutes: u32,
    /// Count different values at this path; without it, different events.
    #[serde(default)]
    pub different: Option<String>,
    #[serde(default)]
    pub by: By,
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    #[default]
    Principal,
    Address,
    Account,
}

/// A rule; the engine has it in the form in which it can be asked.
#[derive(Clone, Debug)]
pub struct Rule {
    pub meta: Meta,
    /// Part of Cordon, and so tested with it.
    pub is_ours: bool,
    /// It looks at errors itself, so a failed call is its business.
    pub judges_errors: bool,
    /// As it was written.
    pub text: String,
}

/// Why a document is no rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub file: String,
    pub line: usize,
    pub problem: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// A longer file holds no rules.
const MOST_BYTES: usize = 512 * 1024;

/// The rules of a file, one a document; what is wrong with one costs no other.
pub fn read(file: &str, text: &str, is_ours: bool) -> (Vec<(Rule, CompiledRule)>, Vec<RuleError>) {
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    if text.len() > MOST_BYTES {
        let problem = format!("the file has {} bytes, allowed are {MOST_BYTES}", text.len());
        return (rules, vec![RuleError { file: file.to_owned(), line: 1, problem }]);
    }
    for (line, document) in documents(text) {
        match one(document, is_ours) {
            Ok(rule) => rules.push(rule),
            Err((within, problem)) => errors.push(RuleError { file: file.to_owned(), line: line + within, problem }),
        }
    }
    (rules, errors)
}

/// Each with the number of lines before it.
pub fn documents(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut start, mut first_line, mut at) = (Vec::new(), 0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            found.push((first_line, text.get(start..at).unwrap_or_default()));
            (start, first_line) = (at + line.len(), number + 1);
        }
        at += line.len();
    }
    found.push((first_line, text.get(start..).unwrap_or_default()));
    found.retain(|(_, document)| {
        document.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    });
    found
}

/// # Errors
/// The line within the document, from 1, and what is wrong.
fn one(document: &str, is_ours: bool) -> Result<(Rule, CompiledRule), (usize, String)> {
    let meta: Meta = serde_saphyr::from_str(document).map_err(|error| {
        let line = error.location().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
        let problem = error.without_snippet().to_string();
        (line, problem.lines().next().unwrap_or_default().to_owned())
    })?;
    meta.check(is_ours).map_err(|problem| (1, problem))?;
    let mut parsed = parse_sigma_yaml(document).map_err(|error| (1, error.to_string()))?;
    if let Some(error) = parsed.errors.pop() {
        return Err((1, error));
    }
    let fields = RuleFieldSet::collect(&parsed, &[], false);
    let judges_errors = fields.iter().any(|(field, _)| {
        field.starts_with("error")
            || field == "cordon.result"
            || field == "cordon.is_dry_run"
            || field == "responseElements.ConsoleLogin"
    });
    let unknown = fields.iter().map(|(field, _)| field).find(|field| {
        field.starts_with("cordon.") && !super::document::DERIVED.iter().any(|(known, _)| known == field)
    });
    if let Some(field) = unknown {
        let known: Vec<&str> = super::document::DERIVED.iter().map(|(known, _)| *known).collect();
        return Err((1, format!("`{field}` is no derived member; there are {}", known.join(", "))));
    }
    let [rule] = parsed.rules.as_slice() else {
        return Err((1, "no detection rule: correlations, filters and collections are not taken".to_owned()));
    };
    let source = &rule.logsource;
    if source.service.as_deref().is_some_and(|service| service != "cloudtrail")
        || source.product.as_deref().is_some_and(|product| product != "aws")
    {
        return Err((1, "the logsource is not product aws, service cloudtrail".to_owned()));
    }
    let compiled = compile_rule(rule).map_err(|error| (1, error.to_string()))?;
    Ok((Rule { meta, is_ours, judges_errors, text: document.to_owned() }, compiled))
}

impl Meta {
    fn check(&self, is_ours: bool) -> Result<(), String> {
        let id = self.id.as_str();
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err("`id` is missing or is not 1 to 64 letters, digits and dashes".to_owned());
        }
        if let Some(count) = &self.cordon.count
            && !((2..=50).contains(&count.at_least) && (1..=60).contains(&count.within_minutes))
        {
            return Err("`cordon.count`: at-least is 2 to 50, within-minutes 1 to 60".to_owned());
        }
        if !is_ours {
            return Ok(());
        }
        let missing = [
            ("description", self.description.is_empty()),
            ("references", self.references.is_empty()),
            ("tags", !self.tags.iter().any(|tag| tag.starts_with("attack."))),
            ("falsepositives", self.falsepositives.is_empty()),
            ("cordon.situation", self.cordon.situation == Situation::Unknown),
        ];
        match missing.iter().find(|(_, is_missing)| *is_missing) {
            Some((member, _)) => Err(format!("`{member}` is missing")),
            None => Ok(()),
        }
    }
}
