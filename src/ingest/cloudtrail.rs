//! CloudTrail records: `detail` of the five detail-types of CloudTrail, or a record of a trail's file. Members after the CloudTrail user
//! guide, "CloudTrail record contents"; any of them may be missing.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Caller, Ingested, cursor::Cursor, ended};
use crate::domain::{AccountId, Gap, OutcomeKind, Region, Text, Timestamp, UserType};
use serde_json::Value;

/// One call, sign-in, or event of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// As it came; rules match on it.
    pub raw: Value,
    /// `StopLogging`, without the version that some services append (`UpdateFunctionCode20150331v2`).
    pub name: Text,
    /// `cloudtrail.amazonaws.com`.
    pub service: Text,
    /// The same for copies of one event in several accounts.
    pub id: Text,
    pub at: Option<Timestamp>,
    /// Where it happened, not where the caller is at home.
    pub account: Option<AccountId>,
    pub account_shown: Text,
    pub region: Option<Region>,
    pub caller: Caller,
    /// Address, or the name of the service that called.
    pub from: Text,
    pub result: CallResult,
    /// What CloudTrail left out because it was too long.
    pub is_truncated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    Done,
    /// He may not: an attempt.
    Denied,
    /// Nothing came of it for another reason.
    Failed,
}

impl Record {
    /// What could not be used of it.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        if self.is_truncated {
            gaps.push(Gap {
                field: "requestParameters",
                problem: "CloudTrail left them out, they were too long".to_owned(),
            });
        }
        if self.at.is_none() {
            gaps.push(Gap { field: "eventTime", problem: "no time".to_owned() });
        }
        if self.caller.kind == UserType::Unknown {
            gaps.push(Gap { field: "userIdentity", problem: "no identity of a known type".to_owned() });
        }
        gaps
    }
}

/// Whether it is a record at all: they have no marker, but these three.
pub fn is_record(value: &Value) -> bool {
    let at = Cursor::new(value);
    (at.get("eventName").str().is_some() || at.path("insightDetails.eventName").str().is_some())
        && (at.get("eventSource").exists() || at.get("userIdentity").exists() || at.get("eventVersion").exists())
}

pub fn record(detail: Value) -> Ingested {
    let at = Cursor::new(&detail);
    // An insight says in a part of its own which calls are more, or fail more, than they usually do.
    let insight = at.get("insightDetails");
    let Some(name) = at.get("eventName").str().or_else(|| insight.get("eventName").str()) else {
        return ended(
            OutcomeKind::Declined,
            "record-without-name",
            "the record has no eventName, so nothing is known of it",
        );
    };
    let caller_account = at.path("userIdentity.accountId").str();
    let account = at.get("recipientAccountId").str().or(caller_account);
    let mut caller = Caller::of(detail.get("userIdentity").unwrap_or(&Value::Null));
    // A namesake here is not who called.
    let is_foreign = caller_account.is_some_and(|of| account.is_some_and(|here| here != of));
    if is_foreign {
        caller.kind = UserType::AwsAccount;
    }
    let record = Record {
        name: Text::new(without_version(name)),
        service: at.get("eventSource").text().or_else(|| insight.get("eventSource").text()).unwrap_or_default(),
        id: at.get("sharedEventID").text().or_else(|| at.get("eventID").text()).unwrap_or_default(),
        at: at.get("eventTime").time(),
        account: account.and_then(|id| AccountId::parse(id).ok()),
        account_shown: account.map(Text::new).unwrap_or_default(),
        region: at.get("awsRegion").str().and_then(|region| Region::parse(region).ok()),
        caller,
        from: at.get("sourceIPAddress").text().unwrap_or_default(),
        result: result(at),
        is_truncated: at.path("requestParameters.omitted").says_true(),
        raw: Value::Null,
    };
    Ingested::Record(Box::new(Record { raw: detail, ..record }))
}

/// Denials come under several names (CloudTrail user guide; EC2 adds a prefix, some services `Exception`).
fn result(at: Cursor<'_>) -> CallResult {
    let Some(code) = at.get("errorCode").str() else { return CallResult::Done };
    let is_denied = code.contains("AccessDenied")
        || code.ends_with("UnauthorizedOperation")
        || code.ends_with("UnauthorizedAccess")
        || code == "Forbidden"
        || code.ends_with("NotAuthorized");
    if is_denied { CallResult::Denied } else { CallResult::Failed }
}

/// `UpdateFunctionCode20150331v2` is `UpdateFunctionCode`: Lambda and CloudFront append the version of their API.
pub fn without_version(name: &str) -> &str {
    let before_v = match name.rsplit_once('v') {
        Some((rest, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => name,
    };
    let cut = before_v.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    let digits = before_v.strip_prefix(cut).unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    // A date has eight digits; `AssumeRoleV2` or `PutItem2` keep theirs.
    if digits >= 8 && !cut.is_empty() { cut } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(detail: Value) -> Record {
        match record(detail) {
            Ingested::Record(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn versions_of_names_are_cut_and_nothing_else() {
        for (name, cut) in [
            ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
            ("CreateFunction20150331", "CreateFunction"),
            ("CreateDistribution2020_05_31", "CreateDistribution"),
            ("AddPermission20150331v2", "AddPermission"),
            ("GetObjectV2", "GetObjectV2"),
            ("ListObjectsv2", "ListObjectsv2"),
            ("StopLogging", "StopLogging"),
            ("20150331v2", "20150331v2"),
            ("v2", "v2"),
            ("", ""),
        ] {
            assert_eq!(without_version(name), cut, "{name}");
        }
    }

    #[test]
    fn a_call_is_done_denied_or_failed() {
        for (code, result) in [
            (json!(null), CallResult::Done),
            (json!(""), CallResult::Done),
            (json!("AccessDenied"), CallResult::Denied),
            (json!("AccessDeniedException"), CallResult::Denied),
            (json!("Client.UnauthorizedOperation"), CallResult::Denied),
            (json!("UnauthorizedAccess"), CallResult::Denied),
            (json!("NoSuchEntityException"), CallResult::Failed),
            (json!("Client.DryRunOperation"), CallResult::Failed),
        ] {
            assert_eq!(of(json!({"eventName": "X", "errorCode": code})).result, result, "{code}");
        }
    }

    #[test]
    fn a_caller_from_another_account_is_nobody_here() {
        let detail = |here: &str| {
            json!({"eventName": "PutObject", "recipientAccountId": here, "userIdentity": {"type": "IAMUser", "userName": "deploy",
                "principalId": "AIDACKCEVSQ6C2EXAMPLE", "accountId": "111122223333"}})
        };
        assert_eq!(of(detail("111122223333")).caller.kind, UserType::IamUser);
        assert_eq!(of(detail("444455556666")).caller.kind, UserType::AwsAccount);
    }

    #[test]
    fn the_smallest_record_is_a_record() {
        let record = of(json!({"eventName": "StopLogging"}));
        assert_eq!((record.account, record.caller.kind, record.at), (None, UserType::Unknown, None));
        assert!(matches!(super::record(json!({"eventName": 7})), Ingested::Ended(_)));
    }
}
