//! The inline policy on a role that denies every session issued before a moment.
//!
//! # What it does
//! Denies everything to sessions whose `aws:TokenIssueTime`, in UTC, lies before now, and once more about a minute later: until IAM
//! has spread the first one, who is quick still gets a session. The moment is never moved back. One policy for each incident.
//! # Undo
//! Deletes the policy. Sessions from before that have not expired work again then.
//! # Limits
//! Whatever works with the role must get new credentials, and whoever may assume the role can do that too. Long-term keys have no
//! issue time, so the policy of a user could not say this. Offered, never done unasked.

use super::{
    Action, Called, DENIES_ONLY, Permissions, Release, canonical,
    role::{role_policy, same_role, set_role_policy},
};
use crate::{
    aws::{Aws, AwsError},
    domain::{AccountId, IncidentId, RoleId, RoleName, Timestamp},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{fmt, time::Duration};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleCutoff {
    pub account: AccountId,
    pub role: RoleName,
    pub role_id: RoleId,
    pub incident: IncidentId,
}

/// What stands under the policy's name. `Now` is a symbol: it is met by every cutoff that is not earlier than `from`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cutoff {
    Absent,
    At(Timestamp),
    /// Of the first pass, and old enough for the second.
    Due(Timestamp),
    Now {
        from: Timestamp,
    },
    /// Somebody else's document under our name, kept to be put back.
    Other(String),
}

impl PartialEq for Cutoff {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::At(one), Self::At(other)) | (Self::Due(one), Self::Due(other)) => one == other,
            (Self::Now { from }, Self::At(at)) | (Self::At(at), Self::Now { from }) => at >= from,
            (Self::Now { from: one }, Self::Now { from: other }) => one == other,
            (Self::Other(one), Self::Other(other)) => one == other,
            _ => false,
        }
    }
}

/// After this the first pass is written again; a little less than the last recheck waits.
const SECOND_PASS: Duration = Duration::from_secs(55);
/// A cutoff further ahead than this was written by nobody who goes by our clock.
const CLOCK_SKEW: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    First,
    Second,
}

impl RoleCutoff {
    /// One policy for each incident, so that none is another's `before`.
    pub fn policy_name(&self) -> String {
        format!("CordonCutoff-{}", self.incident)
    }

    /// What there is now; the caller has compared the role's id.
    pub async fn read_policy(&self, aws: &Aws) -> Result<Cutoff, AwsError> {
        let found = role_policy(aws, &self.role, &self.policy_name()).await?;
        Ok(found.map_or(Cutoff::Absent, |document| Cutoff::folded(document, aws.now())))
    }
}

impl Action for RoleCutoff {
    const NAME: &'static str = "iam.role.cutoff";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["iam:GetRole", "iam:GetRolePolicy"],
        contains: &["iam:PutRolePolicy"],
        releases: &["iam:DeleteRolePolicy", "iam:PutRolePolicy"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 1;
    const SET_BY: &'static [&'static str] = &["DeleteRolePolicy", "PutRolePolicy"];
    type State = Cutoff;

    fn resource(&self) -> &str {
        self.role.as_str()
    }

    fn command(&self, to: &Cutoff) -> Option<String> {
        let delete =
            || format!("aws iam delete-role-policy --role-name {} --policy-name {}", self.role, self.policy_name());
        matches!(to, Cutoff::Absent).then(delete)
    }

    fn details(&self) -> Vec<String> {
        vec![self.policy_name()]
    }

    fn is_ours(now: &Cutoff) -> bool {
        matches!(now, Cutoff::Due(_))
    }

    fn calls(&self, to: &Cutoff) -> Vec<Called> {
        match to {
            Cutoff::Absent => vec![("DeleteRolePolicy", Vec::new())],
            Cutoff::Other(document) => vec![("PutRolePolicy", vec![canonical(document)])],
            // The time in it is that of the call.
            _ => vec![("PutRolePolicy", vec![DENIES_ONLY.to_owned()])],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<Cutoff, AwsError> {
        let (same, policy) = futures::join!(same_role(aws, &self.role, &self.role_id), self.read_policy(aws));
        same?;
        policy
    }

    async fn apply(&self, aws: &Aws, to: &Cutoff) -> Result<(), AwsError> {
        let document = match to {
            Cutoff::Absent => None,
            Cutoff::Other(document) => Some(document.clone()),
            Cutoff::At(at) => Some(document(*at, Pass::Second)),
            Cutoff::Due(at) => Some(document(*at, Pass::First)),
            Cutoff::Now { .. } => {
                let found = role_policy(aws, &self.role, &self.policy_name()).await?;
                match next(found, to, aws.now()) {
                    Some(document) => Some(document),
                    None => return Ok(()),
                }
            }
        };
        set_role_policy(aws, &self.role, &self.policy_name(), document).await
    }
}

/// What is to be written where `wanted` is not yet so. INVARIANT: the moment is never moved back.
fn next(found: Option<String>, wanted: &Cutoff, now: Timestamp) -> Option<String> {
    // IAM compares whole seconds: the next one, so that what was issued in this second is denied.
    let after = now.next_second();
    match found.map(|found| Cutoff::folded(found, now)) {
        Some(at) if at == *wanted => None,
        Some(Cutoff::Due(at)) => Some(document(after.max(at), Pass::Second)),
        Some(Cutoff::At(at)) => Some(document(after.max(at), Pass::First)),
        _ => Some(document(after, Pass::First)),
    }
}

fn document(at: Timestamp, pass: Pass) -> String {
    let sid = match pass {
        Pass::First => "CordonCutoffFirst",
        Pass::Second => "CordonCutoff",
    };
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": at.to_string()}}}]})
    .to_string()
}

/// The moment and the pass of a document that is exactly one of ours.
fn read(found: &str) -> Option<(Timestamp, Pass)> {
    let found: Value = serde_json::from_str(found).ok()?;
    let at = found.pointer("/Statement/0/Condition/DateLessThan/aws:TokenIssueTime")?;
    let at = Timestamp::parse(at.as_str()?)?;
    let is = |pass: &Pass| serde_json::from_str::<Value>(&document(at, *pass)).is_ok_and(|ours| ours == found);
    [Pass::First, Pass::Second].into_iter().find(is).map(|pass| (at, pass))
}

impl Cutoff {
    pub fn folded(found: String, now: Timestamp) -> Self {
        match read(&found) {
            Some((at, _)) if at > now.plus(CLOCK_SKEW) => Self::Other(found),
            Some((at, Pass::First)) if now >= at.plus(SECOND_PASS) => Self::Due(at),
            Some((at, _)) => Self::At(at),
            None => Self::Other(found),
        }
    }
}

impl fmt::Display for RoleCutoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.role, self.role_id)
    }
}

impl fmt::Display for Cutoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no policy"),
            Self::At(at) => write!(f, "sessions issued before {at} denied"),
            Self::Due(at) => write!(f, "sessions issued before {at} denied, to be written once more"),
            Self::Now { .. } => f.write_str("all sessions issued until now denied"),
            Self::Other(document) => write!(f, "another policy of {} characters", document.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn folded(document: &Option<String>, now: Timestamp) -> Cutoff {
        document.clone().map_or(Cutoff::Absent, |document| Cutoff::folded(document, now))
    }

    #[test]
    fn a_cutoff_is_written_twice_in_utc_and_never_moved_back() {
        let wanted = Cutoff::Now { from: at(1_000) };
        let first = next(None, &wanted, Timestamp::from_millis(1_000_300));
        assert!(first.as_ref().unwrap().contains("\"1970-01-01T00:16:41Z\""), "{first:?}");
        assert_eq!(folded(&first, at(1_002)), wanted);
        assert_eq!(next(first.clone(), &wanted, at(1_002)), None, "a lost answer is no reason to write again");
        // A minute later, once.
        assert!(matches!(folded(&first, at(1_060)), Cutoff::Due(_)));
        let second = next(first, &wanted, at(1_060));
        assert!(second.as_ref().unwrap().contains("\"1970-01-01T00:17:41Z\""), "{second:?}");
        for later in [1_061, 1_120, 90_000] {
            assert_eq!(folded(&second, at(later)), wanted);
            assert_eq!(next(second.clone(), &wanted, at(later)), None);
        }
        // Somebody moved it back, took it away, or put it where it would deny everybody for ever.
        for (found, now) in [
            (Some(document(at(900), Pass::Second)), 2_000),
            (None, 2_000),
            (Some(document(at(99_999), Pass::First)), 2_000),
        ] {
            assert_ne!(folded(&found, at(now)), wanted, "{found:?}");
            let again = next(found, &wanted, at(now)).unwrap();
            assert_eq!(read(&again).unwrap().0, at(now + 1));
        }
        // A clock that goes back does not take the cutoff along.
        let again = next(Some(document(at(1_009), Pass::First)), &Cutoff::Now { from: at(2_000) }, at(1_004)).unwrap();
        assert_eq!(read(&again).unwrap().0, at(1_009));
    }

    #[test]
    fn what_is_not_ours_is_kept_as_it_is() {
        for document in ["no json", "{}", r#"{"Statement": []}"#] {
            assert_eq!(Cutoff::folded(document.to_owned(), at(1)), Cutoff::Other(document.to_owned()));
        }
        let mut wider: Value = serde_json::from_str(&document(at(1), Pass::First)).unwrap();
        wider["Statement"][0]["NotAction"] = json!("s3:*");
        assert!(matches!(Cutoff::folded(wider.to_string(), at(1)), Cutoff::Other(_)));
    }
}
