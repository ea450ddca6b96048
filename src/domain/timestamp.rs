//! A moment in milliseconds since 1970. The pure modules are handed one, they never ask for it.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since the Unix epoch; written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub fn millis(self) -> i64 {
        self.0
    }

    /// Both forms that GuardDuty was seen to write: `2026-11-20T08:15:30.123Z` and `2026-11-20 08:15:30.123` (UTC).
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 40 {
            return None;
        }
        let rfc = match text.split_once(' ') {
            Some((date, clock)) => format!("{date}T{clock}Z"),
            None => text.to_owned(),
        };
        let moment = OffsetDateTime::parse(&rfc, &Rfc3339).ok()?;
        // In UTC it must be a time that can be written again: `9999-12-31T23:59:59-23:59` is none.
        let utc = moment.checked_to_offset(time::UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year()))?;
        i64::try_from(utc.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// How long before `now` this was; `None` if it lies after it.
    pub fn age(self, now: Self) -> Option<Duration> {
        u64::try_from(now.0.checked_sub(self.0)?).ok().map(Duration::from_millis)
    }

    /// The whole second that comes next.
    pub fn next_second(self) -> Self {
        Self(self.0.div_euclid(1_000).saturating_add(1).saturating_mul(1_000))
    }

    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok();
        match moment.and_then(|moment| moment.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            // No panic for a time that no calendar has.
            None => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time_are_read_and_nothing_else() {
        for (text, shown) in [
            ("2026-11-20T08:15:30.123Z", Some("2026-11-20T08:15:30.123Z")),
            ("2026-11-20T08:15:30Z", Some("2026-11-20T08:15:30Z")),
            ("2026-11-20T09:15:30+01:00", Some("2026-11-20T08:15:30Z")),
            ("2025-02-25 20:40:06.721", Some("2025-02-25T20:40:06.721Z")),
            ("", None),
            ("yesterday", None),
            ("2026-13-20T08:15:30Z", None),
        ] {
            assert_eq!(Timestamp::parse(text).map(|t| t.to_string()).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn a_moment_in_the_future_has_no_age() {
        let (earlier, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!(earlier.age(later), Some(Duration::from_millis(2_500)));
        assert_eq!(later.age(earlier), None);
    }
}
