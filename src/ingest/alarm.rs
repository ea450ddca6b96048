//! CloudWatch alarms that change their state, and anomalies of cost: told, never contained.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Ingested, cursor::Cursor, ended};
use crate::domain::{AccountId, OutcomeKind, Region, Text, Timestamp};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Of the alarm, as the policy names it; of an anomaly its monitor.
    pub name: Text,
    pub is_cost: bool,
    pub says: Text,
    pub account: Option<AccountId>,
    pub account_shown: Text,
    pub region: Option<Region>,
    pub at: Option<Timestamp>,
}

/// `account` and `region` are the envelope's: the detail has none.
pub fn state_change(detail: &Value, account: &str, region: &str, time: &str) -> Ingested {
    let at = Cursor::new(detail);
    let Some(name) = at.get("alarmName").text() else {
        return ended(
            OutcomeKind::Declined,
            "alarm-without-name",
            "the alarm has no name, so nobody can say what it means",
        );
    };
    let (now, before) = (at.path("state.value").str(), at.path("previousState.value").str());
    if now != Some("ALARM") || before == Some("ALARM") {
        return ended(OutcomeKind::Ignored, "no-alarm", "the alarm did not go off just now");
    }
    Ingested::Alarm(Box::new(Alarm {
        name,
        is_cost: false,
        says: at.path("state.reason").text().unwrap_or_default(),
        account: AccountId::parse(account).ok(),
        account_shown: Text::new(account),
        region: Region::parse(region).ok(),
        at: at.path("state.timestamp").time().or_else(|| Timestamp::parse(time)),
    }))
}

pub fn cost(detail: &Value, account: &str, region: &str, time: &str) -> Ingested {
    let at = Cursor::new(detail);
    let impact = at.path("impact.totalImpact").number().map(|dollars| format!("{dollars:.2} USD more than usual"));
    Ingested::Alarm(Box::new(Alarm {
        name: at.get("monitorName").text().or_else(|| at.get("anomalyId").text()).unwrap_or_default(),
        is_cost: true,
        says: Text::new(&impact.unwrap_or_else(|| "more than usual".to_owned())),
        account: at.get("accountId").str().or(Some(account)).and_then(|id| AccountId::parse(id).ok()),
        account_shown: at.get("accountId").text().unwrap_or_else(|| Text::new(account)),
        region: Region::parse(region).ok(),
        at: Timestamp::parse(time),
    }))
}
