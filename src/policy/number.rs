//! Numbers with bounds, which the document is told of where it is wrong.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};
use std::{borrow::Cow, fmt, time::Duration};

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Within<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Within<LEAST, MOST> {
    /// The nearest that is allowed.
    pub const fn nearest(n: u32) -> Self {
        Self(if n < LEAST {
            LEAST
        } else if n > MOST {
            MOST
        } else {
            n
        })
    }

    pub fn get(self) -> u32 {
        self.0
    }

    pub fn minutes(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 60)
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Within<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Bounds::<LEAST, MOST>)
    }
}

struct Bounds<const LEAST: u32, const MOST: u32>;

impl<const LEAST: u32, const MOST: u32> Visitor<'_> for Bounds<LEAST, MOST> {
    type Value = Within<LEAST, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number, allowed are {LEAST} to {MOST}")
    }

    fn visit_i64<E: Error>(self, given: i64) -> Result<Self::Value, E> {
        let n = u32::try_from(given).ok().filter(|n| (LEAST..=MOST).contains(n));
        n.map(Within).ok_or_else(|| E::custom(format!("{given} is not allowed, allowed are {LEAST} to {MOST}")))
    }

    fn visit_u64<E: Error>(self, given: u64) -> Result<Self::Value, E> {
        self.visit_i64(i64::try_from(given).unwrap_or(i64::MAX))
    }
}

impl<const LEAST: u32, const MOST: u32> JsonSchema for Within<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("From{LEAST}To{MOST}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": LEAST, "maximum": MOST})
    }
}
