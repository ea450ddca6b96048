//! What watches the account: by kind and name.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{DetectorId, EventRuleName, FlowLogId, RecorderName, TrailName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A sensor, as it is called where it is at home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "sensor", content = "name")]
pub enum SensorId {
    Trail(TrailName),
    /// Of GuardDuty.
    Detector(DetectorId),
    /// Of AWS Config.
    Recorder(RecorderName),
    /// A rule of EventBridge by which Cordon gets its events.
    EventRule(EventRuleName),
    FlowLog(FlowLogId),
}

impl SensorId {
    /// In words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trail(_) => "trail",
            Self::Detector(_) => "detector",
            Self::Recorder(_) => "recorder",
            Self::EventRule(_) => "event rule",
            Self::FlowLog(_) => "flow log",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Trail(name) => name.as_str(),
            Self::Detector(id) => id.as_str(),
            Self::Recorder(name) => name.as_str(),
            Self::EventRule(name) => name.as_str(),
            Self::FlowLog(id) => id.as_str(),
        }
    }
}

impl fmt::Display for SensorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}
