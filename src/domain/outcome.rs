//! How an event ended, and the one report that messages, logs and the command line are made of.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{IncidentId, Severity, Text, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// Every event ends in exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub kind: OutcomeKind,
    pub reasons: Vec<Reason>,
}

impl Outcome {
    pub fn new(kind: OutcomeKind, reasons: Vec<Reason>) -> Self {
        Self { kind, reasons }
    }

    pub fn because(kind: OutcomeKind, code: &'static str, text: impl Into<String>) -> Self {
        Self { kind, reasons: vec![Reason::new(code, text)] }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeKind {
    /// Every step done and no known way left open, as read from the account.
    Contained,
    /// A step failed or waits, or a known way stays open.
    PartiallyContained,
    NotContained,
    AwaitingApproval,
    /// Judged; mode, policy or the lack of a playbook says look only.
    Observed,
    /// Went into an open incident.
    Joined,
    /// Refused: foreign account, vanished, protected, no usable id.
    Declined,
    /// Not ours to judge: a sample, archived, no finding.
    Ignored,
    Released,
    PartiallyReleased,
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A reason as data: the code is for machines and never changes its meaning, the text is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: Cow<'static, str>,
    pub text: String,
}

impl Reason {
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), text: text.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Something that stays possible after the containment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidualRisk {
    pub way: Way,
    pub text: String,
}

/// The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Known to be open.
    Open,
    /// Could not be looked up this time: as good as open, and no news where it was looked up before.
    Unread,
    /// Cannot be seen from the account; said, because a person may know.
    Unseen,
}

impl Way {
    /// Of what could not be looked up.
    pub fn of_unread(is_passing: bool) -> Self {
        if is_passing { Self::Unread } else { Self::Open }
    }

    /// Whether the outcome is PartiallyContained at best.
    pub fn is_open(self) -> bool {
        self != Self::Unseen
    }
}

/// Everything that is told of an incident, once; messages, answers and the command line are made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub incident: Option<IncidentId>,
    pub outcome: Outcome,
    pub finding_type: Text,
    pub title: Text,
    /// Who did what, where the sensor says so.
    #[serde(default)]
    pub description: Text,
    /// The resources and principals that it is about.
    #[serde(default)]
    pub scope: Vec<Text>,
    pub severity: Option<Severity>,
    pub account: Text,
    pub region: Text,
    pub situation: Option<String>,
    pub playbook: Option<String>,
    pub target: Option<String>,
    /// When the sensor last saw it.
    pub seen: Option<Timestamp>,
    pub remote: Vec<Text>,
    /// The policy says that it is somebody's work: it is told in the digest alone.
    #[serde(default)]
    pub is_expected: bool,
    /// How severity, situation and mode came about.
    pub decision: Vec<Reason>,
    /// Hash of the sorted lines of the plan; an approval binds to it.
    pub plan: Option<String>,
    /// Of several targets: by their keys, the hashes of the plans of which `plan` is made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, String>,
    pub steps: Vec<StepReport>,
    pub residual: Vec<ResidualRisk>,
    /// What more can be done, if an operator asks for it by name.
    #[serde(default)]
    pub offers: Vec<OfferReport>,
    /// What a person does next, as commands that nobody has run: why, and the command.
    #[serde(default)]
    pub advice: Vec<(String, String)>,
    /// What whoever is contained did before.
    #[serde(default)]
    pub investigation: Option<Investigation>,
    /// The operator's command that puts it all back; `None` where there is nothing durable to release from.
    #[serde(default)]
    pub release: Option<String>,
    pub gaps: Vec<String>,
}

/// What whoever is contained did before, by CloudTrail. Its last minutes come late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Investigation {
    pub from: Timestamp,
    pub calls: u32,
    /// Of them, those that failed.
    pub failed: u32,
    /// There were more than were looked through.
    pub is_cut: bool,
    /// The calls made most often, and how often.
    pub most: Vec<(Text, u32)>,
    pub from_addresses: Vec<Text>,
    /// What stays of it: users, keys, roles, instances.
    pub made: Vec<Text>,
    /// Commands that contain or show them.
    pub suggests: Vec<String>,
    /// What is found against them is counted in a pool of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_users: Vec<UserId>,
}

impl Default for Investigation {
    fn default() -> Self {
        Self {
            from: Timestamp::from_millis(0),
            calls: 0,
            failed: 0,
            is_cut: false,
            most: Vec::new(),
            from_addresses: Vec::new(),
            made: Vec::new(),
            suggests: Vec::new(),
            made_users: Vec::new(),
        }
    }
}

impl Investigation {
    /// Of each list.
    pub const MOST: usize = 20;

    /// What two principals did.
    pub fn and(self, other: Self) -> Self {
        fn united<T: PartialEq>(mut one: Vec<T>, other: Vec<T>) -> Vec<T> {
            for item in other {
                if !one.contains(&item) {
                    one.push(item);
                }
            }
            one
        }
        let mut most = self.most;
        for (name, count) in other.most {
            match most.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += count,
                None => most.push((name, count)),
            }
        }
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        most.truncate(Self::MOST);
        Self {
            from: self.from.min(other.from),
            calls: self.calls + other.calls,
            failed: self.failed + other.failed,
            is_cut: self.is_cut || other.is_cut,
            most,
            from_addresses: united(self.from_addresses, other.from_addresses),
            made: united(self.made, other.made),
            suggests: united(self.suggests, other.suggests),
            made_users: united(self.made_users, other.made_users),
        }
    }

    /// The three lines that a message has room for: how much, from where, what stays.
    pub fn lines(&self) -> [String; 3] {
        let listed = |items: Vec<String>, none: &str, most: usize| match items.len() {
            0 => none.to_owned(),
            n if n > most => {
                format!("{} and {} more", items.iter().take(most).cloned().collect::<Vec<_>>().join(", "), n - most)
            }
            _ => items.join(", "),
        };
        let more = if self.is_cut { "at least " } else { "" };
        let most = self.most.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        [
            format!(
                "{more}{} calls since {}, {} of them failed: {}",
                self.calls,
                self.from,
                self.failed,
                listed(most, "none that CloudTrail knows yet", 5)
            ),
            format!(
                "from {}",
                listed(self.from_addresses.iter().map(ToString::to_string).collect(), "nowhere that it knows", 5)
            ),
            format!("made {}", listed(self.made.iter().map(ToString::to_string).collect(), "nothing that stays", 6)),
        ]
    }
}

/// What `cordon approve --with NAME` has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferReport {
    pub name: String,
    /// What it is good for, and what it costs.
    pub why: String,
    /// An approval binds to it.
    pub hash: String,
    pub steps: Vec<StepReport>,
}

/// One step, as planned and as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    pub stage: u8,
    pub action: String,
    pub target: String,
    pub before: String,
    pub after: String,
    /// `intended`, `done`, `FAILED: why`, …
    pub state: String,
    /// How it goes back, or why it stays.
    pub undo: String,
    /// What goes back first has the lowest.
    #[serde(default)]
    pub undo_order: u8,
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} -> {}", self.action, self.target, self.before, self.after)
    }
}

/// Of a report.
const MOST_STEPS: usize = 150;
const MOST_WAYS: usize = 80;

/// How the state of a step begins that a person must agree to.
pub const WAITS: &str = "waits for approval";
/// The code of the reason that what was approved is not the plan any more.
pub const PLAN_CHANGED: &str = "plan-changed";
/// The code of the reason that Cordon does not contain again what is undone over and over.
pub const TOO_OFTEN: &str = "contained-too-often";
/// How the states of steps begin that guards hold back, or people.
pub const HELD_BACK: [&str; 4] = [WAITS, "planned only", "declined", "rejected by"];

impl Report {
    /// Whether people are asked: about the whole, or about what has come to a containment that was begun.
    pub fn is_waiting(&self) -> bool {
        self.outcome.kind == OutcomeKind::AwaitingApproval
            || self.steps.iter().any(|step| step.state.starts_with(WAITS))
    }

    /// Cut to what its item holds beside all else (DynamoDB: 400 KB): whoever makes sessions all day must not keep people from being told.
    /// What waits and what is open stays.
    pub fn bounded(mut self) -> Self {
        if let Some(more) = self.steps.len().checked_sub(MOST_STEPS).filter(|more| *more > 0) {
            self.steps.sort_by_key(|step| !step.state.starts_with(WAITS));
            self.steps.truncate(MOST_STEPS);
            let text = format!("more steps than are shown: {more}");
            self.residual.push(ResidualRisk { way: Way::Unseen, text });
        }
        if let Some(more) = self.residual.len().checked_sub(MOST_WAYS).filter(|more| *more > 0) {
            self.residual.sort_by_key(|risk| risk.way);
            let way = self.residual.get(MOST_WAYS).map_or(Way::Unseen, |first| first.way);
            self.residual.truncate(MOST_WAYS);
            self.residual.push(ResidualRisk { way, text: format!("more ways than are shown: {more}") });
        }
        self
    }

    /// Of an event that was no finding.
    pub fn without_finding(outcome: Outcome) -> Self {
        Self {
            incident: None,
            outcome,
            finding_type: Text::default(),
            title: Text::default(),
            description: Text::default(),
            scope: Vec::new(),
            severity: None,
            account: Text::default(),
            region: Text::default(),
            situation: None,
            playbook: None,
            target: None,
            seen: None,
            remote: Vec::new(),
            is_expected: false,
            decision: Vec::new(),
            plan: None,
            plans: BTreeMap::new(),
            steps: Vec::new(),
            residual: Vec::new(),
            offers: Vec::new(),
            advice: Vec::new(),
            investigation: None,
            release: None,
            gaps: Vec::new(),
        }
    }
}
