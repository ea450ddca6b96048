//! Whether a detector of GuardDuty watches, and one of its features.
//!
//! # What it does
//! Switches the detector on again; and, each by itself, the features that the baseline knows.
//! # Undo
//! None: releasing an incident silences no sensor. `cordon baseline accept` says that it is to stay off.
//! # Limits
//! What happened while it was off is not looked at later. What an administrator sets for his members only he can change.

use super::{Action, Called, Permissions, Release, Switch, trail_logging::STAYS};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, DetectorId, Region, Text},
};
use aws_sdk_guardduty::{
    operation::get_detector::GetDetectorOutput,
    types::{
        DetectorAdditionalConfiguration, DetectorFeature, DetectorFeatureConfiguration, DetectorStatus,
        FeatureAdditionalConfiguration, FeatureStatus,
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    pub account: AccountId,
    pub region: Region,
    pub detector: DetectorId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorFeatures {
    pub account: AccountId,
    pub region: Region,
    pub detector: DetectorId,
    /// `S3_DATA_EVENTS`, or with an additional configuration `RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT`.
    pub feature: String,
}

const READS: &[&str] = &["guardduty:GetDetector"];
const OPERATION: &str = "guardduty:UpdateDetector";

impl Action for Detector {
    const NAME: &'static str = "guardduty.detector.status";
    const PERMISSIONS: Permissions = Permissions { reads: READS, contains: &[OPERATION], releases: &[] };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["UpdateDetector"];
    type State = Switch;

    fn resource(&self) -> &str {
        self.detector.as_str()
    }

    fn command(&self, to: &Switch) -> Option<String> {
        let flag = if *to == Switch::On { "--enable" } else { "--no-enable" };
        Some(format!("aws guardduty update-detector --region {} --detector-id {} {flag}", self.region, self.detector))
    }

    fn calls(&self, to: &Switch) -> Vec<Called> {
        vec![("UpdateDetector", vec![(*to == Switch::On).to_string()])]
    }

    async fn read(&self, aws: &Aws) -> Result<Switch, AwsError> {
        let found = detector(aws, &self.region, &self.detector).await?;
        Ok(Switch::of(found.status() == Some(&DetectorStatus::Enabled)))
    }

    async fn apply(&self, aws: &Aws, to: &Switch) -> Result<(), AwsError> {
        to.only_on(OPERATION)?;
        let call = aws.guardduty(&self.region).update_detector().detector_id(self.detector.as_str());
        call.enable(true).send().await.map(drop).map_err(classify(OPERATION))
    }
}

impl Action for DetectorFeatures {
    const NAME: &'static str = "guardduty.detector.feature";
    const PERMISSIONS: Permissions = Permissions { reads: READS, contains: &[OPERATION], releases: &[] };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["UpdateDetector"];
    type State = Switch;

    fn resource(&self) -> &str {
        self.detector.as_str()
    }

    fn details(&self) -> Vec<String> {
        self.feature.split('/').map(str::to_owned).collect()
    }

    fn command(&self, to: &Switch) -> Option<String> {
        let status = if *to == Switch::On { "ENABLED" } else { "DISABLED" };
        // With an additional configuration it does not fit on one safe line.
        let feature = Some(&self.feature).filter(|feature| !feature.contains('/'))?;
        let Self { region, detector, .. } = self;
        Some(format!(
            "aws guardduty update-detector --region {region} --detector-id {detector} --features Name={feature},Status={status}"
        ))
    }

    fn calls(&self, to: &Switch) -> Vec<Called> {
        let status = if *to == Switch::On { "ENABLED" } else { "DISABLED" };
        vec![("UpdateDetector", vec![status.to_owned()])]
    }

    async fn read(&self, aws: &Aws) -> Result<Switch, AwsError> {
        let found = detector(aws, &self.region, &self.detector).await?;
        Ok(Switch::of(features_on(&found).contains(&self.feature)))
    }

    async fn apply(&self, aws: &Aws, to: &Switch) -> Result<(), AwsError> {
        to.only_on(OPERATION)?;
        let (feature, more) = match self.feature.split_once('/') {
            Some((feature, more)) => (feature, Some(more)),
            None => (self.feature.as_str(), None),
        };
        let more = more.map(|more| {
            let name = FeatureAdditionalConfiguration::from(more);
            DetectorAdditionalConfiguration::builder().name(name).status(FeatureStatus::Enabled).build()
        });
        let feature = DetectorFeatureConfiguration::builder()
            .name(DetectorFeature::from(feature))
            .status(FeatureStatus::Enabled)
            .set_additional_configuration(more.map(|more| vec![more]));
        let call = aws.guardduty(&self.region).update_detector().detector_id(self.detector.as_str());
        call.features(feature.build()).send().await.map(drop).map_err(classify(OPERATION))
    }
}

/// GuardDuty says BadRequestException of a detector that is not there.
pub async fn detector(aws: &Aws, region: &Region, id: &DetectorId) -> Result<GetDetectorOutput, AwsError> {
    const OPERATION: &str = "guardduty:GetDetector";
    match aws.guardduty(region).get_detector().detector_id(id.as_str()).send().await.map_err(classify(OPERATION)) {
        Err(AwsError::Rejected { code, message, .. }) if code == "BadRequestException" => {
            Err(AwsError::NotFound { operation: OPERATION, message: Text::new(message.as_str()) })
        }
        other => other,
    }
}

/// Of what every detector has as long as it is on, there is nothing to switch.
const FOUNDATIONAL: [&str; 3] = ["CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS"];

/// The features that are on, as [`DetectorFeatures::feature`] names them.
pub fn features_on(wire: &GetDetectorOutput) -> BTreeSet<String> {
    let mut on = BTreeSet::new();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    for feature in wire.features().iter().filter(|feature| feature.status() == Some(&FeatureStatus::Enabled)) {
        let Some(name) = feature.name().map(|name| name.as_str()) else { continue };
        if FOUNDATIONAL.contains(&name) || !is_name(name) {
            continue;
        }
        on.insert(name.to_owned());
        for more in feature.additional_configuration().iter().filter(|m| m.status() == Some(&FeatureStatus::Enabled)) {
            if let Some(more) = more.name().map(|more| more.as_str()).filter(|more| is_name(more)) {
                on.insert(format!("{name}/{more}"));
            }
        }
    }
    on
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/detector {}", self.account, self.region, self.detector)
    }
}

impl fmt::Display for DetectorFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/detector {} {}", self.account, self.region, self.detector, self.feature)
    }
}
