//! Shuts out an IAM user whose credentials are in strange hands.
//!
//! # What it does
//! Attaches AWSDenyAll to the user, and makes all his access keys Inactive, not only the one that was reported: whoever has
//! one key has made another. SSH keys, signing certificates and service-specific credentials become Inactive too. Where the quota of attached policies is used up, an inline deny takes the place of the
//! attachment. The deny also ends what the user made with GetSessionToken and GetFederationToken, and his console sessions.
//! Sessions of roles that his keys have assumed in the last twelve hours are looked up in CloudTrail, and each is denied on its role.
//! # Fires on
//! GuardDuty findings of the IAMUser and S3 families about an IAM user, by key or by console session.
//! # Blast radius
//! The user can do nothing at all, and whatever runs with his keys stops. A role of the same name is another principal and
//! is not touched.
//! # Undo
//! `cordon release` takes the deny away, only where nobody changed it since. Keys stay Inactive, because one that leaked once
//! is known, nor do other credentials; `--reactivate-keys` makes those Active again that were. Nothing goes back by itself.
//! # Limits
//! CloudTrail shows a session some minutes after it was made, in the region where it was asked for: Cordon's own and the
//! partition's global one are looked into. Sessions in other accounts are named. Password and MFA devices are not changed. IAM
//! takes seconds to spread the change; a renamed user is found by his unique id.
//! # References
//! IAM user guide, "IAM and AWS STS quotas", "Managing access keys"; MITRE ATT&CK T1078.004, T1098.001.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Advice, CUT, Case, Plan, PlannedStep, Playbook, Refusal, handed_on};
use crate::{
    actions::{AnyChange, Attachment, Change, KeyStatus, PolicyState, UserInlineDeny},
    domain::{Outcome, OutcomeKind, ResidualRisk, Situation, Way},
    policy::Subject,
    survey::{Facts, SignIn, User},
};

/// IAM user guide, quotas: characters of all inline policies of a user.
const INLINE_QUOTA: usize = 2048;

pub struct CompromisedAccessKey;

impl Playbook for CompromisedAccessKey {
    fn id(&self) -> &'static str {
        "compromised-access-key"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::CompromisedAccessKey]
    }

    fn source(&self) -> &'static str {
        include_str!("compromised_access_key.rs")
    }

    fn plan(&self, facts: &Facts, _case: &Case<'_>) -> Result<Plan, Outcome> {
        let Facts::User(user) = facts else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no IAM user"));
        };
        let mut plan = Plan { residual: unseen(), advice: advice(user), ..Plan::default() };
        let subject = Subject::new(&user.deny.account, Some(user.arn.clone()), user.id.as_str()).tagged(&user.tags);
        let mut changes = Vec::new();
        match deny(user) {
            Ok(change) => changes.push(change),
            Err(refusal) => plan.refused.push(refusal),
        }
        for (key, status) in &user.keys {
            changes.push(Change { target: key.clone(), before: *status, after: KeyStatus::Inactive }.into());
        }
        match &user.credentials {
            Ok(credentials) => changes.extend(credentials.iter().map(|(credential, status)| {
                Change { target: credential.clone(), before: *status, after: KeyStatus::Inactive }.into()
            })),
            Err(error) => {
                let why = format!(
                    "his SSH keys, certificates and service passwords could not be read; of them only what is listed is contained: {error}"
                );
                plan.refused.push(Refusal::unread("credentials-unreadable", why, error.is_passing()));
            }
        }
        plan.residual.extend(signs_in(user));
        plan.steps = changes.into_iter().map(|change| PlannedStep::new(CUT, change, &subject)).collect();
        handed_on::deny(user.handed_on.as_ref(), &mut plan);
        Ok(plan)
    }
}

fn advice(user: &User) -> Vec<Advice> {
    let name = &user.deny.user;
    vec![
        Advice::new(
            "what he may do, to take away what he need not",
            format!(
                "aws iam list-attached-user-policies --user-name {name}; aws iam list-user-policies --user-name {name}; aws iam list-groups-for-user --user-name {name}"
            ),
        ),
        Advice::new("when each of his keys was used last", format!("aws iam list-access-keys --user-name {name}")),
        Advice::new(
            "once what runs as him has new credentials: delete the old keys, by their ids",
            format!("aws iam delete-access-key --user-name {name} --access-key-id KEY"),
        ),
    ]
}

/// The variant is chosen here, from facts, never at the error.
fn deny(user: &User) -> Result<AnyChange, Refusal> {
    if user.attachable {
        return Ok(Change { target: user.deny.clone(), before: user.attachment, after: Attachment::Attached }.into());
    }
    match &user.inline {
        Some(room) if room.used + UserInlineDeny::size() <= INLINE_QUOTA => {
            Ok(Change { target: room.deny.clone(), before: room.state.clone(), after: PolicyState::Deny }.into())
        }
        _ => Err(Refusal::new(
            "no-room-for-deny",
            "the user has no room for one more policy, attached or inline, so he cannot be denied; detach one of his policies",
        )),
    }
}

/// Neither a password nor a device can be switched off and on again: the deny covers what they open.
fn signs_in(user: &User) -> Option<ResidualRisk> {
    let text = match &user.sign_in {
        Ok(SignIn { has_password: false, mfa_devices: 0 }) => return None,
        Ok(SignIn { has_password, mfa_devices }) => {
            let password = if *has_password { "a password" } else { "no password" };
            format!(
                "for the console he has {password} and {mfa_devices} MFA devices, which are not changed; look whether they are his"
            )
        }
        Err(error) => format!("whether he has a console password could not be read: {error}"),
    };
    Some(ResidualRisk { way: Way::Unseen, text })
}

fn unseen() -> Vec<ResidualRisk> {
    [
        "sessions of roles that his keys have assumed in the last minutes are not in CloudTrail yet, and go on until they expire",
        "what the user did before stays: look for users, roles and keys that he made",
        "IAM takes seconds to spread the change",
    ]
    .map(|text| ResidualRisk { way: Way::Unseen, text: text.to_owned() })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actions::{AccessKeyStatus, UserAttachment},
        domain::{AccessKeyId, AccountId, Arn, UserId, UserName},
        survey::InlineRoom,
    };

    fn user(attachable: bool, inline: Option<usize>) -> User {
        let (account, name, id) = (
            AccountId::parse("111122223333").unwrap(),
            UserName::parse("deploy").unwrap(),
            UserId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap(),
        );
        let key = |key: &str| AccessKeyStatus {
            account: account.clone(),
            user: name.clone(),
            user_id: id.clone(),
            key: AccessKeyId::parse(key).unwrap(),
        };
        let deny = UserInlineDeny { account: account.clone(), user: name.clone(), user_id: id.clone() };
        User {
            arn: Arn::parse("arn:aws:iam::111122223333:user/deploy").unwrap(),
            id: id.clone(),
            tags: Default::default(),
            keys: vec![
                (key("AKIAIOSFODNN7EXAMPLE"), KeyStatus::Active),
                (key("AKIAI44QH8DHBEXAMPLE"), KeyStatus::Inactive),
            ],
            credentials: Ok(Vec::new()),
            sign_in: Ok(SignIn::default()),
            handed_on: None,
            deny: UserAttachment {
                account: account.clone(),
                user: name.clone(),
                user_id: id.clone(),
                policy: Arn::parse("arn:aws:iam::aws:policy/AWSDenyAll").unwrap(),
            },
            attachment: Attachment::Detached,
            attachable,
            is_quarantined: false,
            inline: inline.map(|used| InlineRoom { deny, state: PolicyState::Absent, used }),
        }
    }

    fn planned(user: User) -> (Vec<&'static str>, usize) {
        let plan = super::super::planned(&CompromisedAccessKey, &Facts::User(Box::new(user))).unwrap();
        (plan.steps.iter().map(|s| s.change.shown().action).collect(), plan.refused.len())
    }

    #[test]
    fn the_deny_goes_where_there_is_room_and_all_keys_are_in_the_plan() {
        let (attached, inline, keys) = ("iam.user.attachment", "iam.user.inline-deny", "iam.access-key.status");
        let fits = INLINE_QUOTA - UserInlineDeny::size();
        for (user, steps, refused) in [
            (user(true, None), vec![attached, keys, keys], 0),
            (user(false, Some(0)), vec![inline, keys, keys], 0),
            (user(false, Some(fits)), vec![inline, keys, keys], 0),
            (user(false, Some(fits + 1)), vec![keys, keys], 1),
            (user(false, None), vec![keys, keys], 1),
        ] {
            assert_eq!(planned(user), (steps, refused));
        }
    }
}
