//! What holds at a moment: the policy in force, where it is from, and what caps it for now.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Mode, Policy};
use crate::domain::{Reason, Timestamp, fingerprint};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest that a pause may last.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(8 * 60 * 60);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub policy: Policy,
    /// Of the table's history; `None`: the embedded default, or a file.
    pub version: Option<u32>,
    /// What operators protect is not known: nothing that is not held may be done, not even with approval.
    pub is_blind: bool,
    /// The newest version is not the one in force, or nothing could be read.
    pub trouble: Option<Trouble>,
    pub pause: Option<Pause>,
}

/// Why what was put last is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is about, so that people are told once.
    pub about: String,
    pub what: String,
    /// How far the rules go as long as it lasts.
    pub at_most: Mode,
}

impl Trouble {
    /// Both of them: the rules go no further than either lets them.
    pub fn and(self, other: Self) -> Self {
        Self {
            about: format!("{}; {}", self.about, other.about),
            what: format!("{}; {}", self.what, other.what),
            at_most: self.at_most.min(other.at_most),
        }
    }
}

/// An operator's break: nothing new is contained unattended. What is held or begun is looked after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub by: String,
    pub because: String,
    pub at: Timestamp,
    pub until: Timestamp,
    /// Who ended it before its time.
    #[serde(default)]
    pub resumed_by: Option<String>,
}

impl Pause {
    /// However it came into the table, it does not last longer than it may.
    pub fn end(&self) -> Timestamp {
        self.until.min(self.at.plus(LONGEST_PAUSE))
    }

    pub fn holds(&self, now: Timestamp) -> bool {
        self.at <= now && now < self.end()
    }
}

impl Rules {
    /// A policy by itself, as `replay` and a file have it.
    pub fn of(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// What caps the mode of anything new, beside the document.
    pub fn caps(&self, now: Timestamp) -> Vec<(Mode, Reason)> {
        let mut caps = Vec::new();
        if let Some(trouble) = &self.trouble {
            caps.push((trouble.at_most, Reason::new("policy-trouble", trouble.what.clone())));
        }
        if let Some(pause) = self.pause.as_ref().filter(|pause| pause.holds(now)) {
            let why = format!("paused until {} by {}: {}", pause.end(), pause.by, pause.because);
            caps.push((Mode::Approve, Reason::new("paused", why)));
        }
        for window in self.policy.windows.iter().filter(|window| window.holds(now)) {
            let why = format!("from {} to {} UTC: {}", window.from, window.to, window.because);
            caps.push((window.at_most, Reason::new("window", why)));
        }
        caps
    }

    /// How far anything new may go now.
    pub fn at_most(&self, now: Timestamp) -> Mode {
        self.caps(now).into_iter().map(|(mode, _)| mode).min().unwrap_or(Mode::Contain)
    }

    /// Names what they are, so that a decision by other rules is seen.
    pub fn stamp(&self) -> String {
        let version = self.version.map_or_else(|| "embedded".to_owned(), |version| version.to_string());
        // Without the words of the trouble, which AWS may choose anew each time.
        let cap = self.trouble.as_ref().map(|trouble| trouble.at_most);
        let rest = format!("{} {cap:?} {:?}", self.is_blind, self.pause);
        format!("{version}#{}", fingerprint(&rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_in_its_time_whatever_the_table_says() {
        let at = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        let hours = |n: u64| at.plus(Duration::from_secs(n * 3_600));
        let pause = |until| Pause { by: "ann".into(), because: "drill".into(), at, until, resumed_by: None };
        for (until, now, mode) in [
            (hours(1), hours(0), Mode::Approve),
            (hours(1), hours(1), Mode::Contain),
            (hours(9_000), hours(7), Mode::Approve),
            (hours(9_000), hours(8), Mode::Contain),
            (hours(1), at.minus(Duration::from_secs(1)), Mode::Contain),
        ] {
            let rules = Rules { pause: Some(pause(until)), ..Rules::default() };
            assert_eq!(rules.at_most(now), mode, "{until} {now}");
        }
    }

    #[test]
    fn the_lowest_cap_holds_and_each_is_said() {
        let yaml = "windows: [{from: '00:00', to: '00:00', at-most: observe, because: trial}]";
        let trouble = Trouble { about: "v3".into(), what: "version 3 is broken".into(), at_most: Mode::Approve };
        let rules = Rules { trouble: Some(trouble), ..Rules::of(Policy::parse(yaml).unwrap()) };
        let now = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        assert_eq!(rules.at_most(now), Mode::Observe);
        let codes: Vec<_> = rules.caps(now).into_iter().map(|(_, reason)| reason.code).collect();
        assert_eq!(codes, ["policy-trouble", "window"]);
    }
}
