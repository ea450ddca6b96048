//! What CloudTrail's event history knows: management events of ninety days, some minutes late, in the region where they were asked for.

use crate::{
    aws::{Aws, AwsError, classify},
    domain::{Arn, Region, Text, Timestamp},
};
use aws_sdk_cloudtrail::{
    primitives::DateTime,
    types::{LookupAttribute, LookupAttributeKey},
};
use serde_json::Value;
use std::{fmt, time::Duration};

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
    let mut looked = Looked::default();
    look_into(&mut looked, aws, region, by, window, most_pages).await?;
    Ok(looked)
}

/// The same, and what was read before a page failed is there.
pub async fn look_into(
    looked: &mut Looked,
    aws: &Aws,
    region: &Region,
    by: By<'_>,
    window: Window,
    most_pages: usize,
) -> Result<(), AwsError> {
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
    for _ in 0..most_pages {
        let Some(page) = pages.try_next().await.map_err(classify(OPERATION))? else { return Ok(()) };
        let records = page.events().iter().filter_map(|event| event.cloud_trail_event());
        looked.records.extend(records.filter_map(|record| serde_json::from_str(record).ok()));
    }
    looked.is_cut = true;
    Ok(())
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

/// Who changed a thing, and by what call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of the user or the role; `None` where the record does not say.
    pub arn: Option<Arn>,
    /// `AIDA…`, `AROA…:session`.
    pub principal: String,
    pub call: Text,
    pub at: Text,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.arn.as_ref().map_or_else(|| Text::new(&self.principal).to_string(), ToString::to_string);
        write!(f, "{who} by {} at {}", self.call, self.at)
    }
}

/// The last call since then that changed the thing, as far as CloudTrail knows.
pub async fn last_change(
    aws: &Aws,
    region: &Region,
    resource: &str,
    since: Timestamp,
) -> Result<Option<Change>, AwsError> {
    let window = Window { from: since, until: None };
    let looked = look_up(aws, region, By::Resource(resource), window, 1).await?;
    let changes = |record: &&Value| {
        let is = |name: &str| record.get(name).unwrap_or(&Value::Null);
        is("readOnly") != &Value::Bool(true) && is("errorCode").is_null()
    };
    let moment = |record: &&Value| record.get("eventTime").and_then(Value::as_str).map(str::to_owned);
    Ok(looked.records.iter().filter(changes).max_by_key(moment).map(|record| {
        let at = |path: &str| record.pointer(path).and_then(Value::as_str);
        let arn = at("/userIdentity/sessionContext/sessionIssuer/arn").or_else(|| at("/userIdentity/arn"));
        Change {
            arn: arn.and_then(|arn| Arn::parse(arn).ok()),
            principal: at("/userIdentity/principalId").unwrap_or_default().to_owned(),
            call: Text::new(at("/eventName").unwrap_or_default()),
            at: Text::new(at("/eventTime").unwrap_or_default()),
        }
    }))
}

/// STS and IAM are global for many callers, and their events are then in one region of the partition.
pub fn regions(aws: &Aws, of_the_thing: Option<&Region>) -> Vec<Region> {
    let home = aws.home();
    let global = match home.as_ref().map_or("", Region::as_str) {
        china if china.starts_with("cn-") => "cn-north-1",
        government if government.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    };
    let global = Region::parse(global).ok();
    let mut regions: Vec<Region> = home.into_iter().chain(of_the_thing.cloned()).chain(global).collect();
    regions.sort();
    regions.dedup();
    regions
}
