//! Whether a recorder of AWS Config records.
//!
//! # What it does
//! Starts it again.
//! # Undo
//! None: releasing an incident silences no sensor. `cordon baseline accept` says that it is to stay off.
//! # Limits
//! What it records, and where it delivers, is left alone. Changes that were made while it stood are seen as of when it runs again.

use super::{Action, Called, Permissions, Release, Switch, trail_logging::STAYS};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, RecorderName, Region, Text},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorder {
    pub account: AccountId,
    pub region: Region,
    pub recorder: RecorderName,
}

impl Action for Recorder {
    const NAME: &'static str = "config.recorder.recording";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["config:DescribeConfigurationRecorderStatus"],
        contains: &["config:StartConfigurationRecorder"],
        releases: &[],
    };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["StartConfigurationRecorder", "StopConfigurationRecorder"];
    type State = Switch;

    fn resource(&self) -> &str {
        self.recorder.as_str()
    }

    fn command(&self, to: &Switch) -> Option<String> {
        let verb = if *to == Switch::On { "start" } else { "stop" };
        Some(format!(
            "aws configservice {verb}-configuration-recorder --region {} --configuration-recorder-name {}",
            self.region, self.recorder
        ))
    }

    fn calls(&self, to: &Switch) -> Vec<Called> {
        let call = if *to == Switch::On { "StartConfigurationRecorder" } else { "StopConfigurationRecorder" };
        vec![(call, Vec::new())]
    }

    async fn read(&self, aws: &Aws) -> Result<Switch, AwsError> {
        const OPERATION: &str = "config:DescribeConfigurationRecorderStatus";
        let recorders = recorders(aws, &self.region).await?;
        let found = recorders.into_iter().find(|(name, _)| *name == self.recorder);
        found
            .map(|(_, switch)| switch)
            .ok_or_else(|| AwsError::NotFound { operation: OPERATION, message: Text::new("there is no such recorder") })
    }

    async fn apply(&self, aws: &Aws, to: &Switch) -> Result<(), AwsError> {
        const OPERATION: &str = "config:StartConfigurationRecorder";
        to.only_on(OPERATION)?;
        let call = aws.config_service(&self.region).start_configuration_recorder();
        let answer = call.configuration_recorder_name(self.recorder.as_str()).send().await;
        answer.map(drop).map_err(classify(OPERATION))
    }
}

/// The account's own in that region, and whether they record; those of AWS services are left out.
pub async fn recorders(aws: &Aws, region: &Region) -> Result<Vec<(RecorderName, Switch)>, AwsError> {
    let call = aws.config_service(region).describe_configuration_recorder_status();
    let answer = call.send().await.map_err(classify("config:DescribeConfigurationRecorderStatus"))?;
    let own = answer.configuration_recorders_status().iter().filter(|status| status.service_principal().is_none());
    Ok(own
        .filter_map(|status| Some((RecorderName::parse(status.name()?).ok()?, Switch::of(status.recording()))))
        .collect())
}

impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/recorder {}", self.account, self.region, self.recorder)
    }
}
