//! AWS Health: that a credential was found in public, or is taken to be in strange hands. `detail` of "AWS Health Event"; members after the
//! Health user guide, "Reference: AWS Health events Amazon EventBridge schema".
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Ingested, cursor::Cursor, ended};
use crate::domain::{AccessKeyId, AccountId, OutcomeKind, Region, Text, Timestamp};
use serde_json::Value;

/// Keys of one event that are looked at.
const MOST_KEYS: usize = 20;

#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub code: Text,
    /// Of the event; the same in each of its updates.
    pub arn: Text,
    pub says: Text,
    pub account: Option<AccountId>,
    pub account_shown: Text,
    pub region: Option<Region>,
    pub at: Option<Timestamp>,
    pub keys: Vec<AccessKeyId>,
}

/// `AWS_RISK_CREDENTIALS_EXPOSED`, `AWS_RISK_CREDENTIALS_COMPROMISED`, `AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED`.
const CODES: &str = "AWS_RISK_CREDENTIALS_";

pub fn event(detail: &Value, account: &str, time: &str) -> Ingested {
    let at = Cursor::new(detail);
    let code = at.get("eventTypeCode").text().unwrap_or_default();
    if !code.as_str().starts_with(CODES) {
        let why = format!("`{code}` of AWS Health says nothing of a credential");
        return ended(OutcomeKind::Ignored, "other-health-event", why);
    }
    if at.get("statusCode").str() == Some("closed") {
        return ended(OutcomeKind::Ignored, "closed-health-event", "AWS Health says that it is over");
    }
    let entities = at.get("affectedEntities").items().filter_map(|entity| entity.get("entityValue").str());
    let mut keys: Vec<AccessKeyId> = Vec::new();
    for key in entities.filter_map(|entity| AccessKeyId::parse(entity).ok()).take(MOST_KEYS) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let account = at.get("affectedAccount").str().unwrap_or(account);
    let says = at.get("eventDescription").items().find_map(|text| text.get("latestDescription").text());
    Ingested::Health(Box::new(Health {
        code,
        arn: at.get("eventArn").text().unwrap_or_default(),
        says: says.unwrap_or_default(),
        account: AccountId::parse(account).ok(),
        account_shown: Text::new(account),
        // Such events are global; principals are everywhere.
        region: at.get("eventRegion").str().and_then(|region| Region::parse(region).ok()),
        at: Timestamp::parse(time),
        keys,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_says_that_a_credential_leaked_is_taken() {
        let of = |code: &str, status: &str, entities: Value| {
            let detail = json!({"eventArn": "arn:aws:health:us-east-1::event/RISK/x/1", "eventTypeCode": code, "statusCode": status,
                "affectedEntities": entities, "affectedAccount": "111122223333"});
            match event(&detail, "999988887777", "2026-11-20T12:00:00Z") {
                Ingested::Health(health) => Ok((health.account_shown.to_string(), health.keys.len())),
                Ingested::Ended(outcome) => Err(outcome.reasons[0].code.to_string()),
                other => panic!("{other:?}"),
            }
        };
        let keys = json!([{"entityValue": "AKIAIOSFODNN7EXAMPLE"}, {"entityValue": "AKIAIOSFODNN7EXAMPLE"}, {"entityValue": "deploy"}, {}, 7]);
        assert_eq!(of("AWS_RISK_CREDENTIALS_EXPOSED", "open", keys.clone()), Ok(("111122223333".into(), 1)));
        assert_eq!(of("AWS_RISK_CREDENTIALS_COMPROMISED", "open", json!(null)), Ok(("111122223333".into(), 0)));
        assert_eq!(of("AWS_RISK_CREDENTIALS_EXPOSED", "closed", keys.clone()), Err("closed-health-event".into()));
        assert_eq!(of("AWS_EC2_MAINTENANCE_SCHEDULED", "open", keys), Err("other-health-event".into()));
    }
}
