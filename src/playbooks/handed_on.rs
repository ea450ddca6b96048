//! Sessions that were made with contained credentials.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{CUT, Plan, PlannedStep, UnlessHeld};
use crate::{
    actions::{AnyChange, Change, PolicyState},
    domain::{Region, ResidualRisk, Way},
    policy::Subject,
    principal,
    survey::{Found, HandedOn, HandedSession, Unread},
};

/// A deny of whoever made a session does not end it: each is a step of its own, on its own role.
pub fn deny(handed: Option<&HandedOn>, plan: &mut Plan) {
    let Some(handed) = handed else { return };
    if let Some(Unread { why, is_passing }) = &handed.unread {
        let text =
            format!("which sessions were made with the keys could not be looked up everywhere in CloudTrail: {why}");
        plan.residual.push(ResidualRisk { way: Way::of_unread(*is_passing), text });
    }
    let regions: Vec<&str> = handed.regions.iter().map(Region::as_str).collect();
    let unseen = match regions.as_slice() {
        [] => "no key is known by which sessions that were made could be looked up".to_owned(),
        regions => format!(
            "sessions that the keys made are looked for in {}: one that STS made elsewhere is in CloudTrail there",
            regions.join(" and ")
        ),
    };
    plan.residual.push(ResidualRisk { way: Way::Unseen, text: unseen });
    let open = |text: String| ResidualRisk { way: Way::Open, text };
    let mut denies = Vec::new();
    for HandedSession { role, session, found } in &handed.sessions {
        match found {
            Found::Here { deny, role: now, state } => {
                match principal::session_of(&now.path, now.trust.as_ref(), &deny.session) {
                    Ok(_) => {
                        let subject = Subject::new(&deny.account, Some(now.arn.clone()), deny.role_id.as_str());
                        let subject = subject.tagged(&now.tags);
                        let change = Change { target: deny.clone(), before: state.clone(), after: PolicyState::Deny };
                        denies.push(PlannedStep::new(CUT, change, &subject));
                    }
                    Err(cannot) => plan
                        .residual
                        .push(open(format!("session {session} of {role} was made with the keys: {}", cannot.why))),
                }
            }
            Found::Elsewhere(account) => {
                plan.residual.push(open(format!(
                    "session {session} of {role} was made with the keys in account {account}: contain it there"
                )));
            }
            Found::Gone => {}
            Found::Unreadable(deny, error) => {
                let way = Way::of_unread(error.is_passing());
                let text = format!("session {session} of {role} was made with the keys and is not denied: {error}");
                match deny {
                    Some(deny) => {
                        let change =
                            Change { target: deny.clone(), before: PolicyState::Absent, after: PolicyState::Deny };
                        let again =
                            format!("session {session} of {role}, denied before, could not be read again: {error}");
                        plan.unless_held.push(UnlessHeld {
                            key: AnyChange::from(change).shown().key(),
                            open: ResidualRisk { way, text },
                            held: ResidualRisk { way, text: again },
                        });
                    }
                    None => plan.residual.push(ResidualRisk { way, text }),
                }
            }
        }
    }
    if handed.is_cut {
        plan.residual.push(open(
            "the keys were used more often than could be looked through in CloudTrail: look for AssumeRole there"
                .to_owned(),
        ));
    }
    plan.steps.extend(denies);
}
