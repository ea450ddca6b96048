//! Sessions of roles that were made with a key: whoever held it has taken them along. CloudTrail says so, some minutes late.

use super::{
    Role, RoleSession, SurveyError, Unread,
    trail::{self, By, Looked, Window},
};
use crate::{
    actions::{PolicyState, SessionDeny},
    aws::{Aws, AwsError},
    domain::{AccessKeyId, AccountId, Arn, Region, RoleId, RoleName, SessionName, Text},
};
use futures::{StreamExt, future::join_all, stream};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// The longest that a session lasts (STS API reference, AssumeRole).
const LONGEST_SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// CloudTrail answers fifty at a time, twice a second; what is not found in so many pages is said to be left out.
const MOST_PAGES: usize = 4;
/// The cut needs IAM meanwhile.
const LOOKS_AT_ONCE: usize = 8;

/// What was handed on.
#[derive(Clone, Debug, PartialEq)]
pub struct HandedOn {
    pub sessions: Vec<HandedSession>,
    /// Where CloudTrail was asked; nowhere where no key is known.
    pub regions: Vec<Region>,
    /// There were more events than were looked through.
    pub is_cut: bool,
    /// Some keys could not be looked up, or not in all regions.
    pub unread: Option<Unread>,
}

/// A session that CloudTrail names, with what the account says of its role now.
#[derive(Clone, Debug, PartialEq)]
pub struct HandedSession {
    pub role: Arn,
    pub session: Text,
    pub found: Found,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The role is there, by its unique id.
    Here { deny: SessionDeny, role: Box<Role>, state: PolicyState },
    /// The role lies in another account.
    Elsewhere(AccountId),
    /// There is no such role any more, or another one under its name: its sessions are worth nothing.
    Gone,
    /// The role could not be read, or the session is in no known form, and then no deny can name it.
    Unreadable(Option<SessionDeny>, AwsError),
}

/// Sessions made with any of the keys in the last twelve hours. A look that fails is a fact, not an error: what was found is denied, whatever
/// else there may be.
pub async fn handed_on(aws: &Aws, account: &AccountId, keys: &[AccessKeyId]) -> HandedOn {
    let regions = trail::regions(aws, None);
    // CloudTrail answers twice a second in each region: keys that ask at once are only throttled.
    let searches = regions.iter().map(|region| async move {
        let mut looked = Vec::new();
        for key in keys {
            looked.push(look_up(aws, region, key).await);
        }
        looked
    });
    let mut found: BTreeMap<(String, String), Made> = BTreeMap::new();
    let (mut is_cut, mut unread) = (false, None);
    for (looked, end) in join_all(searches).await.into_iter().flatten() {
        is_cut |= looked.is_cut;
        let made = looked.records.iter().filter_map(Made::read);
        found.extend(made.map(|made| ((made.role.to_string(), made.user_id.clone()), made)));
        // Of several that failed, one that asking again will not give is what people must know.
        if let Err(error) = end
            && unread.as_ref().is_none_or(|known: &Unread| known.is_passing)
        {
            unread = Some(Unread::from(&error));
        }
    }
    let looks = found.into_values().map(|made| made.look(aws, account));
    let sessions = stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await;
    HandedOn { sessions, regions: if keys.is_empty() { Vec::new() } else { regions }, is_cut, unread }
}

/// What an AssumeRole event says was made.
#[derive(Clone, Debug)]
struct Made {
    role: Arn,
    /// `AROA…:session`
    user_id: String,
}

/// What was read, and how the search ended: pages that came before one that did not are worth as much.
async fn look_up(aws: &Aws, region: &Region, key: &AccessKeyId) -> (Looked, Result<(), AwsError>) {
    let window = Window { from: aws.now().minus(LONGEST_SESSION), until: None };
    let mut looked = Looked::default();
    let end = trail::look_into(&mut looked, aws, region, By::Key(key.as_str()), window, MOST_PAGES).await;
    (looked, end)
}

impl Made {
    /// `None` for what was refused, or is in no known form: nothing was made then, or nobody can name it.
    fn read(record: &Value) -> Option<Self> {
        if record.get("eventName").is_none_or(|name| name != "AssumeRole") {
            return None;
        }
        let role = Arn::parse(record.pointer("/requestParameters/roleArn")?.as_str()?).ok()?;
        let user_id = record.pointer("/responseElements/assumedRoleUser/assumedRoleId")?.as_str()?.to_owned();
        Some(Self { role, user_id })
    }

    async fn look(self, aws: &Aws, account: &AccountId) -> HandedSession {
        let session = Text::new(self.user_id.split_once(':').map_or("", |(_, session)| session));
        let found = match self.role.account() {
            Some(other) if other != *account => Found::Elsewhere(other),
            _ => match self.deny(account) {
                Ok(deny) => read_role(aws, &deny).await.unwrap_or_else(|error| Found::Unreadable(Some(deny), error)),
                Err(error) => Found::Unreadable(None, error),
            },
        };
        HandedSession { role: self.role, session, found }
    }

    fn deny(&self, account: &AccountId) -> Result<SessionDeny, AwsError> {
        let odd = || AwsError::incomplete("cloudtrail:LookupEvents", "a session in no known form");
        let name =
            self.role.resource().strip_prefix("role/").and_then(|path| path.rsplit('/').next()).ok_or_else(odd)?;
        let (id, session) = self.user_id.split_once(':').ok_or_else(odd)?;
        Ok(SessionDeny {
            account: account.clone(),
            role: RoleName::parse(name).map_err(|_| odd())?,
            role_id: RoleId::parse(id).map_err(|_| odd())?,
            session: SessionName::parse(session).map_err(|_| odd())?,
        })
    }
}

async fn read_role(aws: &Aws, deny: &SessionDeny) -> Result<Found, AwsError> {
    let SessionDeny { account, role, role_id, session } = deny;
    match RoleSession::read(aws, account, role, role_id, session, None).await {
        Ok(RoleSession { role, deny, state, .. }) => Ok(Found::Here { deny, role: Box::new(role), state }),
        Err(SurveyError::Vanished(_) | SurveyError::Refused(..)) => Ok(Found::Gone),
        Err(SurveyError::Aws(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_session_that_was_made_is_handed_on() {
        let role = "arn:aws:iam::111122223333:role/app";
        let id = "AROACKCEVSQ6C2EXAMPLE:me";
        let made = |role: &str, answer: Value| {
            let record =
                json!({"eventName": "AssumeRole", "requestParameters": {"roleArn": role}, "responseElements": answer});
            Made::read(&record).map(|made| (made.role.to_string(), made.user_id))
        };
        let answer =
            json!({"assumedRoleUser": {"assumedRoleId": id, "arn": "arn:aws:sts::111122223333:assumed-role/app/me"}});
        assert_eq!(made(role, answer.clone()), Some((role.to_owned(), id.to_owned())));
        assert_eq!(made(role, Value::Null), None, "it was refused");
        assert_eq!(made("no arn", answer), None);
        assert!(Made::read(&json!([1])).is_none());
    }
}
