//! How bad a finding is.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use serde::{Deserialize, Serialize};
use std::fmt;

/// Ordered from harmless to worst. GuardDuty's bands: Low 1.0–3.9, Medium 4.0–6.9, High 7.0–8.9, Critical 9.0–10.0
/// (GuardDuty user guide, "Severity levels"); below 1.0 is Informational.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        })
    }
}

/// The number of a finding, 0.0 to 10.0, as its source gave it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Score(f64);

impl Score {
    /// `None` for what is no severity: not a number, or outside 0.0 to 10.0.
    pub fn new(number: f64) -> Option<Self> {
        (0.0..=10.0).contains(&number).then_some(Self(number))
    }

    /// The cut-offs are on the number, never on a rounded one.
    pub fn severity(self) -> Severity {
        match self.0 {
            n if n >= 9.0 => Severity::Critical,
            n if n >= 7.0 => Severity::High,
            n if n >= 4.0 => Severity::Medium,
            n if n >= 1.0 => Severity::Low,
            _ => Severity::Informational,
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_are_cut_on_the_number() {
        for (number, severity) in [
            (0.0, Severity::Informational),
            (0.99, Severity::Informational),
            (1.0, Severity::Low),
            (3.99, Severity::Low),
            (4.0, Severity::Medium),
            (6.95, Severity::Medium),
            (7.0, Severity::High),
            (8.95, Severity::High),
            (9.0, Severity::Critical),
            (10.0, Severity::Critical),
        ] {
            assert_eq!(Score::new(number).map(Score::severity), Some(severity), "{number}");
        }
        for number in [-0.1, 10.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Score::new(number), None, "{number}");
        }
    }
}
