//! Which events a trail records.
//!
//! # What it does
//! Sets its event selectors back to those that the baseline knows, as a whole: CloudTrail replaces all of them at once.
//! # Undo
//! None: releasing an incident makes no sensor blind. `cordon baseline accept` takes what is there as right.
//! # Limits
//! Selectors of Insights are not among them.

use super::{Action, Called, Permissions, Release, trail_logging::STAYS};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Region, TrailName, fingerprint},
};
use aws_sdk_cloudtrail::{
    operation::get_event_selectors::GetEventSelectorsOutput,
    types::{AdvancedEventSelector, AdvancedFieldSelector, DataResource, EventSelector, ReadWriteType},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrailSelectors {
    pub account: AccountId,
    /// Where it is at home.
    pub region: Region,
    pub trail: TrailName,
}

/// As CloudTrail keeps them, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selectors {
    Basic(Vec<Basic>),
    Advanced(Vec<Advanced>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basic {
    /// `All`, `ReadOnly`, `WriteOnly`.
    pub kind: String,
    pub management: bool,
    pub excluded: Vec<String>,
    /// Type and values.
    pub data: Vec<(String, Vec<String>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advanced {
    pub name: Option<String>,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub field: String,
    /// equals, starts with, ends with, and their opposites; an empty one is none.
    pub by: [Vec<String>; 6],
}

impl Action for TrailSelectors {
    const NAME: &'static str = "cloudtrail.trail.selectors";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["cloudtrail:GetEventSelectors"],
        contains: &["cloudtrail:PutEventSelectors"],
        releases: &[],
    };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["PutEventSelectors"];
    type State = Selectors;

    fn resource(&self) -> &str {
        self.trail.as_str()
    }

    /// They do not fit on one safe line.
    fn command(&self, _to: &Selectors) -> Option<String> {
        None
    }

    fn calls(&self, _to: &Selectors) -> Vec<Called> {
        vec![("PutEventSelectors", Vec::new())]
    }

    async fn read(&self, aws: &Aws) -> Result<Selectors, AwsError> {
        let call = aws.cloudtrail(&self.region).get_event_selectors().trail_name(self.trail.as_str());
        Ok(Selectors::folded(&call.send().await.map_err(classify("cloudtrail:GetEventSelectors"))?))
    }

    async fn apply(&self, aws: &Aws, to: &Selectors) -> Result<(), AwsError> {
        const OPERATION: &str = "cloudtrail:PutEventSelectors";
        let call = aws.cloudtrail(&self.region).put_event_selectors().trail_name(self.trail.as_str());
        let call = match to {
            Selectors::Basic(all) => call.set_event_selectors(Some(all.iter().map(Basic::wire).collect())),
            Selectors::Advanced(all) => {
                let all: Result<Vec<_>, _> = all.iter().map(Advanced::wire).collect();
                let all = all.map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
                call.set_advanced_event_selectors(Some(all))
            }
        };
        call.send().await.map(drop).map_err(classify(OPERATION))
    }
}

impl Selectors {
    /// Whether they record at least what the others do, as far as that can be told without weighing conditions against each other.
    pub fn covers(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::Basic(ours), Self::Basic(others)) => {
                others.iter().all(|other| ours.iter().any(|ours| ours.covers(other)))
            }
            (Self::Advanced(ours), Self::Advanced(others)) => {
                others.iter().all(|other| ours.iter().any(|ours| ours.fields == other.fields))
            }
            _ => false,
        }
    }

    fn folded(wire: &GetEventSelectorsOutput) -> Self {
        match wire.advanced_event_selectors() {
            [] => Self::Basic(wire.event_selectors().iter().map(Basic::folded).collect()),
            advanced => Self::Advanced(advanced.iter().map(Advanced::folded).collect()),
        }
    }
}

impl Basic {
    fn covers(&self, other: &Self) -> bool {
        let kind = self.kind == "All" || self.kind == other.kind;
        let excluded = self.excluded.iter().all(|source| other.excluded.contains(source));
        let values = |(kind, values): &(String, Vec<String>)| {
            self.data.iter().any(|(ours, has)| ours == kind && values.iter().all(|value| has.contains(value)))
        };
        kind && (self.management || !other.management) && excluded && other.data.iter().all(values)
    }

    fn folded(wire: &EventSelector) -> Self {
        let data = |data: &DataResource| (data.r#type().unwrap_or_default().to_owned(), data.values().to_vec());
        Self {
            // CloudTrail API reference, EventSelector: "By default, the value is All", and management events are included.
            kind: wire.read_write_type().map_or("All", ReadWriteType::as_str).to_owned(),
            management: wire.include_management_events() != Some(false),
            excluded: wire.exclude_management_event_sources().to_vec(),
            data: wire.data_resources().iter().map(data).collect(),
        }
    }

    fn wire(&self) -> EventSelector {
        let data = |(kind, values): &(String, Vec<String>)| {
            DataResource::builder().r#type(kind).set_values(Some(values.clone())).build()
        };
        EventSelector::builder()
            .read_write_type(ReadWriteType::from(self.kind.as_str()))
            .include_management_events(self.management)
            .set_exclude_management_event_sources(Some(self.excluded.clone()))
            .set_data_resources(Some(self.data.iter().map(data).collect()))
            .build()
    }
}

impl Advanced {
    fn folded(wire: &AdvancedEventSelector) -> Self {
        let field = |field: &AdvancedFieldSelector| Field {
            field: field.field().to_owned(),
            by: [
                field.equals(),
                field.starts_with(),
                field.ends_with(),
                field.not_equals(),
                field.not_starts_with(),
                field.not_ends_with(),
            ]
            .map(<[String]>::to_vec),
        };
        Self { name: wire.name().map(str::to_owned), fields: wire.field_selectors().iter().map(field).collect() }
    }

    fn wire(&self) -> Result<AdvancedEventSelector, aws_smithy_types::error::operation::BuildError> {
        let field = |field: &Field| {
            let [equals, starts, ends, not, not_starts, not_ends] =
                field.by.clone().map(|values| Some(values).filter(|values| !values.is_empty()));
            AdvancedFieldSelector::builder()
                .field(&field.field)
                .set_equals(equals)
                .set_starts_with(starts)
                .set_ends_with(ends)
                .set_not_equals(not)
                .set_not_starts_with(not_starts)
                .set_not_ends_with(not_ends)
                .build()
        };
        let fields: Result<Vec<_>, _> = self.fields.iter().map(field).collect();
        AdvancedEventSelector::builder().set_name(self.name.clone()).set_field_selectors(Some(fields?)).build()
    }
}

impl fmt::Display for TrailSelectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/trail {}", self.account, self.region, self.trail)
    }
}

impl fmt::Display for Selectors {
    /// Their values may be a stranger's; the fingerprint tells one list from another, for whoever approves it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let print = fingerprint(&format!("{self:?}"));
        let print = print.get(..8).unwrap_or_default();
        match self {
            Self::Basic(all) => {
                let management = all.iter().filter(|one| one.management).map(|one| one.kind.as_str());
                let management: Vec<&str> =
                    management.filter(|kind| ["All", "ReadOnly", "WriteOnly"].contains(kind)).collect();
                let management = if management.is_empty() { "none".to_owned() } else { management.join("+") };
                write!(f, "{} selectors, management events: {management} ({print})", all.len())
            }
            Self::Advanced(all) => write!(f, "{} advanced selectors ({print})", all.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_recorded_and_less_is_not() {
        let basic = |kind: &str, management: bool, excluded: &[&str], data: &[&str]| Basic {
            kind: kind.to_owned(),
            management,
            excluded: excluded.iter().map(|text| (*text).to_owned()).collect(),
            data: vec![("AWS::S3::Object".to_owned(), data.iter().map(|text| (*text).to_owned()).collect())],
        };
        let known = Selectors::Basic(vec![basic("WriteOnly", true, &["kms.amazonaws.com"], &["arn:aws:s3:::a/"])]);
        for (now, covers) in [
            (basic("WriteOnly", true, &["kms.amazonaws.com"], &["arn:aws:s3:::a/"]), true),
            (basic("All", true, &[], &["arn:aws:s3:::b/", "arn:aws:s3:::a/"]), true),
            (basic("ReadOnly", true, &[], &["arn:aws:s3:::a/"]), false),
            (basic("All", false, &[], &["arn:aws:s3:::a/"]), false),
            (basic("All", true, &["rdsdata.amazonaws.com"], &["arn:aws:s3:::a/"]), false),
            (basic("All", true, &[], &["arn:aws:s3:::b/"]), false),
        ] {
            assert_eq!(Selectors::Basic(vec![now.clone()]).covers(&known), covers, "{now:?}");
        }
        let field = |value: &str| Field {
            field: "eventCategory".to_owned(),
            by: [vec![value.to_owned()], vec![], vec![], vec![], vec![], vec![]],
        };
        let one = |value: &str, name: &str| Advanced { name: Some(name.to_owned()), fields: vec![field(value)] };
        let advanced = Selectors::Advanced(vec![one("Management", "a")]);
        assert!(Selectors::Advanced(vec![one("Data", "b"), one("Management", "renamed")]).covers(&advanced));
        assert!(!Selectors::Advanced(vec![one("Data", "b")]).covers(&advanced) && !known.covers(&advanced));
    }
}
