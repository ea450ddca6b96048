//! What a trail covers and where it writes.
//!
//! # What it does
//! Sets back regions, global events, validation of log files, bucket and prefix, to what the baseline knows.
//! # Undo
//! None: releasing an incident makes no sensor blind. `cordon baseline accept` takes what is there as right.
//! # Limits
//! The key, the log group and the topic are left alone: they need rights that Cordon has not. Whether they differ is not looked at.

use super::{Action, Called, Permissions, Release, trail_logging::STAYS};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, BucketName, Region, Text, TrailName},
};
use aws_sdk_cloudtrail::types::Trail;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrailSettings {
    pub account: AccountId,
    /// Where it is at home.
    pub region: Region,
    pub trail: TrailName,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub all_regions: bool,
    pub global_events: bool,
    pub validates: bool,
    pub bucket: BucketName,
    #[serde(default)]
    pub prefix: Option<String>,
}

impl Action for TrailSettings {
    const NAME: &'static str = "cloudtrail.trail.settings";
    const PERMISSIONS: Permissions =
        Permissions { reads: &["cloudtrail:DescribeTrails"], contains: &["cloudtrail:UpdateTrail"], releases: &[] };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["UpdateTrail"];
    type State = Coverage;

    fn resource(&self) -> &str {
        self.trail.as_str()
    }

    fn command(&self, to: &Coverage) -> Option<String> {
        let flag = |name: &str, is: bool| format!("--{}{name}", if is { "" } else { "no-" });
        Some(format!(
            "aws cloudtrail update-trail --region {} --name {} --s3-bucket-name {} {} {} {}",
            self.region,
            self.trail,
            to.bucket,
            flag("is-multi-region-trail", to.all_regions),
            flag("include-global-service-events", to.global_events),
            flag("enable-log-file-validation", to.validates)
        ))
    }

    fn calls(&self, to: &Coverage) -> Vec<Called> {
        vec![("UpdateTrail", vec![to.bucket.to_string()])]
    }

    async fn read(&self, aws: &Aws) -> Result<Coverage, AwsError> {
        const OPERATION: &str = "cloudtrail:DescribeTrails";
        let trail = described(aws, &self.region, self.trail.as_str()).await?;
        let trail = trail.filter(|trail| trail.home_region() == Some(self.region.as_str()));
        let gone = || AwsError::NotFound { operation: OPERATION, message: Text::new("there is no such trail") };
        Coverage::folded(&trail.ok_or_else(gone)?)
            .ok_or_else(|| AwsError::incomplete(OPERATION, "a trail without a usable bucket"))
    }

    async fn apply(&self, aws: &Aws, to: &Coverage) -> Result<(), AwsError> {
        let call = aws.cloudtrail(&self.region).update_trail().name(self.trail.as_str());
        let call = call.is_multi_region_trail(to.all_regions).include_global_service_events(to.global_events);
        let call = call.enable_log_file_validation(to.validates).s3_bucket_name(to.bucket.as_str());
        // An empty prefix is none.
        let call = call.s3_key_prefix(to.prefix.clone().unwrap_or_default());
        call.send().await.map(drop).map_err(classify("cloudtrail:UpdateTrail"))
    }
}

/// The trail by name or ARN, as this region sees it; `None` where it sees none.
pub async fn described(aws: &Aws, region: &Region, trail: &str) -> Result<Option<Trail>, AwsError> {
    let answer = aws.cloudtrail(region).describe_trails().trail_name_list(trail).send().await;
    let answer = answer.map_err(classify("cloudtrail:DescribeTrails"))?;
    Ok(answer.trail_list().first().cloned())
}

impl Coverage {
    /// Whether it sees at least what the other does, and writes it where the other does.
    pub fn covers(&self, other: &Self) -> bool {
        let has = |ours: bool, others: bool| ours || !others;
        has(self.all_regions, other.all_regions)
            && has(self.global_events, other.global_events)
            && has(self.validates, other.validates)
            && (&self.bucket, &self.prefix) == (&other.bucket, &other.prefix)
    }

    pub fn folded(wire: &Trail) -> Option<Self> {
        Some(Self {
            all_regions: wire.is_multi_region_trail() == Some(true),
            global_events: wire.include_global_service_events() == Some(true),
            validates: wire.log_file_validation_enabled() == Some(true),
            bucket: BucketName::parse(wire.s3_bucket_name()?).ok()?,
            prefix: wire.s3_key_prefix().filter(|prefix| !prefix.is_empty()).map(str::to_owned),
        })
    }
}

impl fmt::Display for TrailSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/trail {}", self.account, self.region, self.trail)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions = if self.all_regions { "all regions" } else { "one region" };
        let global = if self.global_events { "with global events" } else { "without global events" };
        let validates = if self.validates { "validated" } else { "not validated" };
        let prefix = self.prefix.as_deref().map(|prefix| format!("/{}", Text::new(prefix))).unwrap_or_default();
        write!(f, "{regions}, {global}, {validates}, to {}{prefix}", self.bucket)
    }
}
