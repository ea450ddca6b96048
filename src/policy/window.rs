//! Times of the week in which less is done unattended.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Mode;
use crate::domain::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// On these days, from one time to another, at most so far. In UTC; one that ends before it begins goes on into the next day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Window {
    /// Days on which it begins; none: every day.
    #[serde(default)]
    pub days: Vec<Day>,
    pub from: DayTime,
    pub to: DayTime,
    /// `approve` or `observe`.
    pub at_most: Mode,
    pub because: super::Because,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// The first day of 1970 was a Thursday.
const SINCE_1970: [Day; 7] = [Day::Thu, Day::Fri, Day::Sat, Day::Sun, Day::Mon, Day::Tue, Day::Wed];

/// Minutes since midnight, written `08:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayTime(u16);

impl JsonSchema for DayTime {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "DayTime".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
    }
}

impl TryFrom<String> for DayTime {
    type Error = String;
    fn try_from(given: String) -> Result<Self, String> {
        let number = |text: &str| Some(text).filter(|t| t.len() == 2).and_then(|t| t.parse::<u16>().ok());
        let parts = given.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
        match parts {
            Some((hour @ 0..24, minute @ 0..60)) => Ok(Self(hour * 60 + minute)),
            _ => Err(format!("`{given}` is no time of day, write it like 08:30")),
        }
    }
}

impl From<DayTime> for String {
    fn from(time: DayTime) -> Self {
        time.to_string()
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Window {
    pub fn holds(&self, now: Timestamp) -> bool {
        const DAY: i64 = 24 * 60;
        let minutes = now.millis().div_euclid(60_000);
        let (day, minute) = (minutes.div_euclid(DAY), minutes.rem_euclid(DAY));
        let (from, to) = (i64::from(self.from.0), i64::from(self.to.0));
        let begins_on = |day: i64| {
            let day = usize::try_from(day.rem_euclid(7)).ok().and_then(|day| SINCE_1970.get(day));
            self.days.is_empty() || day.is_some_and(|day| self.days.contains(day))
        };
        match from < to {
            true => begins_on(day) && (from..to).contains(&minute),
            false => (begins_on(day) && minute >= from) || (begins_on(day - 1) && minute < to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_goes_by_utc_and_over_midnight() {
        let window = |yaml: &str| serde_saphyr::from_str::<Window>(yaml).unwrap();
        let work = window("{days: [mon, fri], from: '08:00', to: '18:00', at-most: approve, because: we are awake}");
        let night = window("{days: [sat], from: '22:00', to: '06:00', at-most: observe, because: backups}");
        let always = window("{from: '00:00', to: '00:00', at-most: approve, because: a trial}");
        for (window, at, holds) in [
            (&work, "2026-11-20T08:00:00Z", true),
            (&work, "2026-11-20T17:59:59Z", true),
            (&work, "2026-11-20T18:00:00Z", false),
            (&work, "2026-11-21T12:00:00Z", false),
            (&work, "2026-11-23T12:00:00Z", true),
            (&night, "2026-11-21T21:59:00Z", false),
            (&night, "2026-11-21T22:00:00Z", true),
            (&night, "2026-11-22T05:59:00Z", true),
            (&night, "2026-11-22T06:00:00Z", false),
            (&night, "2026-11-22T23:00:00Z", false),
            (&always, "2026-11-22T23:00:00Z", true),
        ] {
            assert_eq!(window.holds(Timestamp::parse(at).unwrap()), holds, "{window:?} {at}");
        }
    }
}
