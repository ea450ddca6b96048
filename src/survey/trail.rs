//! What CloudTrail's event history knows: management events of ninety days, some minutes late, in the region where they were asked for.

use crate::{
    aws::{Aws, AwsError, classify},
    domain::{Region, Timestamp},
};
use aws_sdk_cloudtrail::{
    primitives::DateTime,
    types::{LookupAttribute, LookupAttributeKey},
};
use serde_json::Value;
use std::time::Duration;

/// What is looked for; CloudTrail takes one attribute at a time.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    Key(&'a str),
    /// An IAM user's name, or the name of a role's session.
    Name(&'a str),
    Resource(&'a str),
}

/// From when until when.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

/// Records as CloudTrail keeps them, the newest first.
#[derive(Debug, Default)]
pub struct Looked {
    pub records: Vec<Value>,
    /// There were more than were looked through.
    pub is_cut: bool,
}

/// Fifty a page, two pages a second.
pub async fn look_up(
    aws: &Aws,
    region: &Region,
    by: By<'_>,
    window: Window,
    most_pages: usize,
) -> Result<Looked, AwsError> {
    const OPERATION: &str = "cloudtrail:LookupEvents";
    let (key, value) = match by {
        By::Key(key) => (LookupAttributeKey::AccessKeyId, key),
        By::Name(name) => (LookupAttributeKey::Username, name),
        By::Resource(resource) => (LookupAttributeKey::ResourceName, resource),
    };
    let attribute = LookupAttribute::builder().attribute_key(key).attribute_value(value).build();
    let attribute = attribute.map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
    let moment = |at: Timestamp| DateTime::from_millis(at.millis());
    let call = aws.cloudtrail(region).lookup_events().lookup_attributes(attribute);
    let call = call.start_time(moment(window.from)).set_end_time(window.until.map(moment));
    let mut pages = call.into_paginator().send();
    let mut looked = Looked::default();
    for _ in 0..most_pages {
        let Some(page) = pages.try_next().await.map_err(classify(OPERATION))? else { return Ok(looked) };
        let records = page.events().iter().filter_map(|event| event.cloud_trail_event());
        looked.records.extend(records.filter_map(|record| serde_json::from_str(record).ok()));
    }
    looked.is_cut = true;
    Ok(looked)
}

/// Everything since then in a region, the newest first, no faster than is allowed. `told` hears of pages and events.
pub async fn history(
    aws: &Aws,
    region: &Region,
    from: Timestamp,
    pace: Duration,
    told: impl Fn(usize, usize),
) -> Result<Vec<Value>, AwsError> {
    const OPERATION: &str = "cloudtrail:LookupEvents";
    let call = aws.cloudtrail(region).lookup_events().start_time(DateTime::from_millis(from.millis())).max_results(50);
    let mut pages = call.into_paginator().send();
    let (mut records, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.try_next().await.map_err(classify(OPERATION))? {
        let found = page.events().iter().filter_map(|event| event.cloud_trail_event());
        records.extend(found.filter_map(|record| serde_json::from_str(record).ok()));
        count += 1;
        told(count, records.len());
        tokio::time::sleep(pace).await;
    }
    Ok(records)
}

/// STS and IAM are global for many callers, and their events are then in us-east-1.
pub fn regions(aws: &Aws, of_the_thing: Option<&Region>) -> Vec<Region> {
    let global = Region::parse("us-east-1").ok();
    let mut regions: Vec<Region> = aws.home().into_iter().chain(of_the_thing.cloned()).chain(global).collect();
    regions.sort();
    regions.dedup();
    regions
}
