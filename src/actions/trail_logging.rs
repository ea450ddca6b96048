//! Whether a trail of CloudTrail records.
//!
//! # What it does
//! Starts its logging again, in the region where the trail is at home.
//! # Undo
//! None: releasing an incident silences no sensor. `cordon baseline accept` says that it is to stay off.
//! # Limits
//! What happened while it was off is not in the trail; CloudTrail's event history has the management events of ninety days. A trail that
//! cannot write to its bucket logs nothing, though it says that it does.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Region, TrailName},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why corrections of sensors stay.
pub const STAYS: &str = "a sensor is not silenced again";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrailLogging {
    pub account: AccountId,
    /// Where it is at home; other regions have its shadow, and refuse.
    pub region: Region,
    pub trail: TrailName,
}

/// Of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    On,
    Off,
}

impl Switch {
    pub fn of(is_on: bool) -> Self {
        if is_on { Self::On } else { Self::Off }
    }

    /// INVARIANT: Cordon switches no sensor off.
    pub fn only_on(self, operation: &'static str) -> Result<(), AwsError> {
        match self {
            Self::On => Ok(()),
            Self::Off => Err(AwsError::incomplete(operation, "a sensor is never switched off")),
        }
    }
}

impl Action for TrailLogging {
    const NAME: &'static str = "cloudtrail.trail.logging";
    const PERMISSIONS: Permissions =
        Permissions { reads: &["cloudtrail:GetTrailStatus"], contains: &["cloudtrail:StartLogging"], releases: &[] };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["StartLogging", "StopLogging"];
    type State = Switch;

    fn resource(&self) -> &str {
        self.trail.as_str()
    }

    fn command(&self, to: &Switch) -> Option<String> {
        let verb = if *to == Switch::On { "start" } else { "stop" };
        Some(format!("aws cloudtrail {verb}-logging --region {} --name {}", self.region, self.trail))
    }

    fn calls(&self, to: &Switch) -> Vec<Called> {
        vec![(if *to == Switch::On { "StartLogging" } else { "StopLogging" }, Vec::new())]
    }

    async fn read(&self, aws: &Aws) -> Result<Switch, AwsError> {
        let call = aws.cloudtrail(&self.region).get_trail_status().name(self.trail.as_str());
        let status = call.send().await.map_err(classify("cloudtrail:GetTrailStatus"))?;
        Ok(Switch::of(status.is_logging() == Some(true)))
    }

    async fn apply(&self, aws: &Aws, to: &Switch) -> Result<(), AwsError> {
        const OPERATION: &str = "cloudtrail:StartLogging";
        to.only_on(OPERATION)?;
        let call = aws.cloudtrail(&self.region).start_logging().name(self.trail.as_str());
        call.send().await.map(drop).map_err(classify(OPERATION))
    }
}

impl fmt::Display for TrailLogging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/trail {}", self.account, self.region, self.trail)
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}
