//! Switches detection on again that was switched off.
//!
//! # What it does
//! Switches a detector of GuardDuty and its features, a recorder of AWS Config and the rules of EventBridge by which Cordon gets its events
//! on again, and makes a flow log again that wrote to a bucket: each only as far as the baseline knows it.
//! # Fires on
//! UpdateDetector, StopConfigurationRecorder, DeleteFlowLogs, DisableRule and their like in CloudTrail; a sweep that finds a sensor of
//! the baseline silent.
//! # Blast radius
//! The sensor costs again what it cost before.
//! # Undo
//! None: releasing the incident silences nothing again. An operator switches it off by hand, and says so with `cordon baseline accept`.
//! # Limits
//! A detector that was deleted, one that an administrator manages, members, filters, delivery channels, flow logs to log groups, Security
//! Hub, Inspector and Macie are named, not set back. What a break-glass principal does is only told; what an operator does is asked about.
//! Targets taken from a rule, patterns that match nothing any more, types left out of a recorder, and a recorder that was deleted are named.
//! At most three times an hour, then people are paged.
//! # References
//! GuardDuty user guide, "Suspending or disabling GuardDuty"; MITRE ATT&CK T1562.001, T1562.008.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Case, Plan, Playbook, sensors};
use crate::{
    domain::{Outcome, Situation},
    survey::Facts,
};

pub struct ThreatDetectionSilenced;

impl Playbook for ThreatDetectionSilenced {
    fn id(&self) -> &'static str {
        "threat-detection-silenced"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::ThreatDetectionSilenced]
    }

    fn source(&self) -> &'static str {
        include_str!("threat_detection_silenced.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        sensors::restore(facts, case)
    }
}
