//! Lets a trail of CloudTrail record again that was stopped, narrowed or redirected.
//!
//! # What it does
//! Starts its logging again where the trail is at home, and sets regions, global events, validation, bucket and event selectors back to what
//! the baseline knows. What the baseline does not know is never switched on.
//! # Fires on
//! StopLogging, UpdateTrail, PutEventSelectors and their like in CloudTrail; a sweep that finds a trail of the baseline silent.
//! # Blast radius
//! The trail costs again what it cost before.
//! # Undo
//! None: releasing the incident does not stop the trail again. An operator stops it by hand, and says so with `cordon baseline accept`.
//! # Limits
//! Insights, key, log group and topic are told only. Only trails at home in the stack's region are known and started; those of other regions are looked after by
//! a stack there. A deleted trail is not made again: the commands are printed. A trail of the organisation is started in its own account. Its key, its
//! log group and the policy of its bucket are left alone. What a break-glass principal does is only told; what an operator does is asked about.
//! At most three times an hour, then people are paged.
//! # References
//! CloudTrail user guide, "Turning off logging for a trail"; MITRE ATT&CK T1562.008.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Case, Plan, Playbook, sensors};
use crate::{
    domain::{Outcome, Situation},
    survey::Facts,
};

pub struct AuditTrailSilenced;

impl Playbook for AuditTrailSilenced {
    fn id(&self) -> &'static str {
        "audit-trail-silenced"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::AuditTrailSilenced]
    }

    fn source(&self) -> &'static str {
        include_str!("audit_trail_silenced.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        sensors::restore(facts, case)
    }
}
