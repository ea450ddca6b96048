//! Shuts out an IAM user whose access key AWS itself has found in public.
//!
//! # What it does
//! What compromised-access-key does: AWSDenyAll on the user, all his keys Inactive, the sessions that his keys have made denied. AWS's own
//! quarantine forbids only the costliest actions, and the key goes on working for the rest.
//! # Fires on
//! AWS Health's `AWS_RISK_CREDENTIALS_…` events, which name the key; AWS's attaching AWSCompromisedKeyQuarantine to a user, in CloudTrail. Where
//! somebody else attached that policy, or it is not attached any more, a person must approve.
//! # Blast radius
//! The user can do nothing at all, and whatever runs with his keys stops.
//! # Undo
//! As of compromised-access-key: keys stay Inactive unless `--reactivate-keys` asks for them. AWS's quarantine is AWS's to take off.
//! # Limits
//! Whose the key is, is asked of IAM: a key that is gone, or root's, is told and not contained. A leaked key is known to whoever found it
//! first: look at what was done with it since.
//! # References
//! IAM user guide, "AWSCompromisedKeyQuarantineV3"; MITRE ATT&CK T1552, T1078.004.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Case, Plan, Playbook, compromised_access_key::CompromisedAccessKey};
use crate::{
    domain::{Outcome, Reason, Situation},
    survey::Facts,
};

pub struct LeakedKey;

impl Playbook for LeakedKey {
    fn id(&self) -> &'static str {
        "leaked-key"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::LeakedKey]
    }

    fn source(&self) -> &'static str {
        include_str!("leaked_key.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let mut plan = CompromisedAccessKey.plan(facts, case)?;
        let is_quarantined = matches!(facts, Facts::User(user) if user.is_quarantined);
        // INVARIANT: a record comes through a queue, to which more may send than AWS: what it says must be so in the account.
        if !case.is_told_by_aws && !is_quarantined {
            let why = "a record says that AWS put the user into quarantine, and the policy is not attached to him: a person must agree";
            plan.approval.push(Reason::new("not-in-quarantine", why));
        }
        Ok(plan)
    }
}
