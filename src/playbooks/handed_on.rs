//! Sessions that were made with contained credentials.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{CUT, Plan, PlannedStep, UnlessHeld};
use crate::{
    actions::{AnyChange, Change, PolicyState, SessionDeny},
    domain::{Region, ResidualRisk, Way},
    policy::Subject,
    principal,
    survey::{Found, HandedOn, HandedSession, Unread},
};

/// A deny of whoever made a session does not end it: each is a step of its own, on its own role.
pub fn deny(handed: Option<&HandedOn>, plan: &mut Plan) {
    let Some(handed) = handed else { return };
    let mut risk = |way: Way, text: String| plan.residual.push(ResidualRisk { way, text });
    if let Some(Unread { why, is_passing }) = &handed.unread {
        let text =
            format!("which sessions were made with the keys could not be looked up everywhere in CloudTrail: {why}");
        risk(Way::of_unread(*is_passing), text);
    }
    let regions: Vec<&str> = handed.regions.iter().map(Region::as_str).collect();
    let unseen = match regions.as_slice() {
        [] => "no key is known by which sessions that were made could be looked up".to_owned(),
        regions => format!(
            "sessions that the keys made are looked for in {}: one that STS made elsewhere is in CloudTrail there",
            regions.join(" and ")
        ),
    };
    risk(Way::Unseen, unseen);
    for HandedSession { role, session, found } in &handed.sessions {
        let made = format!("session {session} of {role} was made with the keys");
        match found {
            Found::Here { deny, role: now, state } => {
                match principal::session_of(&now.path, now.trust.as_ref(), &deny.session) {
                    Ok(_) => {
                        let subject = Subject::new(&deny.account, Some(now.arn.clone()), deny.role_id.as_str());
                        let subject = subject.tagged(&now.tags);
                        plan.steps.push(PlannedStep::new(CUT, denied(deny, state.clone()), &subject));
                    }
                    Err(cannot) => risk(Way::Open, format!("{made}: {}", cannot.why)),
                }
            }
            Found::Elsewhere(account) => risk(Way::Open, format!("{made} in account {account}: contain it there")),
            Found::Gone => {}
            Found::Unreadable(deny, error) => {
                // Known to be alive, and never seen denied.
                let text = format!("{made} and is not denied: {error}");
                let Some(deny) = deny else {
                    risk(Way::Open, text);
                    continue;
                };
                let again = format!("session {session} of {role}, denied before, could not be read again: {error}");
                plan.unless_held.push(UnlessHeld {
                    key: denied(deny, PolicyState::Absent).shown().key(),
                    open: ResidualRisk { way: Way::Open, text },
                    held: ResidualRisk { way: Way::of_unread(error.is_passing()), text: again },
                });
            }
        }
    }
    if handed.is_cut {
        let text =
            "the keys were used more often than could be looked through in CloudTrail: look for AssumeRole there";
        risk(Way::Open, text.to_owned());
    }
}

fn denied(deny: &SessionDeny, before: PolicyState) -> AnyChange {
    Change { target: deny.clone(), before, after: PolicyState::Deny }.into()
}
