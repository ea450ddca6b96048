//! Snapshots of all volumes of an instance, as evidence.
//!
//! # What it does
//! Asks for one crash-consistent set of snapshots of all volumes, tagged with the incident. They are looked for by that tag
//! before each try, so that a lost answer does not make a second set.
//! # Undo
//! Snapshots stay: they are evidence, and deleting them is for a person.
//! # Limits
//! They are complete some minutes later. Instance store volumes cannot be snapshotted; memory is not in them. Encrypted volumes need
//! that Cordon's role may create grants on their key. Where EC2 shows a new snapshot later than after one and a half seconds,
//! there may be two sets.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, IncidentId, InstanceId, Region, VolumeId},
};
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::types::{Filter, InstanceSpecification, ResourceType, Tag, TagSpecification};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, time::Duration};

const MOST_ASKED: usize = 3;
/// How long it is looked for.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshots {
    pub account: AccountId,
    pub region: Region,
    pub instance: InstanceId,
    pub volumes: BTreeSet<VolumeId>,
    pub incident: IncidentId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    No,
    /// Of every volume there is one that was asked for under this incident; it may not be complete yet.
    Yes,
}

const INCIDENT: &str = "cordon:incident";
const INSTANCE: &str = "cordon:instance";

impl Action for Snapshots {
    const NAME: &'static str = "ec2.instance.snapshots";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeSnapshots"],
        // The grant is what EC2 asks for where a volume is encrypted with a key of the customer (EBS user guide, encryption).
        contains: &["ec2:CreateSnapshots", "ec2:CreateTags", "kms:CreateGrant"],
        releases: &[],
    };
    const RELEASE: Release = Release::Keeps("evidence; delete the snapshots when they are no longer needed");
    const UNDO_ORDER: u8 = 9;
    /// A read that lags behind would let each try make one more set.
    const MOST_TRIES: u8 = 2;
    const SET_BY: &'static [&'static str] = &["CreateSnapshot", "CreateSnapshots"];
    type State = Taken;

    fn resource(&self) -> &str {
        self.instance.as_str()
    }

    fn command(&self, _to: &Taken) -> Option<String> {
        None
    }

    fn calls(&self, to: &Taken) -> Vec<Called> {
        match to {
            Taken::No => Vec::new(),
            Taken::Yes => vec![("CreateSnapshots", Vec::new())],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<Taken, AwsError> {
        let filter = |name: &str, value: &str| Filter::builder().name(format!("tag:{name}")).values(value).build();
        let call = aws.ec2(&self.region).describe_snapshots().owner_ids("self");
        let call = call.filters(filter(INCIDENT, self.incident.as_str()));
        let mut pages = call.filters(filter(INSTANCE, self.instance.as_str())).into_paginator().items().send();
        let mut found = BTreeSet::new();
        while let Some(snapshot) = pages.try_next().await.map_err(classify("ec2:DescribeSnapshots"))? {
            // Anybody can tag a snapshot of his own like ours; one that failed is none.
            let failed = snapshot.state().is_some_and(|state| state.as_str() == "error");
            if !failed {
                found.extend(snapshot.volume_id().and_then(|volume| VolumeId::parse(volume).ok()));
            }
        }
        Ok(if self.volumes.is_subset(&found) { Taken::Yes } else { Taken::No })
    }

    async fn apply(&self, aws: &Aws, to: &Taken) -> Result<(), AwsError> {
        if *to == Taken::No {
            return Ok(());
        }
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let tags = TagSpecification::builder().resource_type(ResourceType::Snapshot);
        let tags = tags.tags(tag(INCIDENT, self.incident.as_str())).tags(tag(INSTANCE, self.instance.as_str())).build();
        let instance = InstanceSpecification::builder().instance_id(self.instance.as_str()).build();
        let call = aws.ec2(&self.region).create_snapshots().instance_specification(instance).tag_specifications(tags);
        let call = call.description(format!("Cordon: evidence of incident {}", self.incident));
        // It takes no client token, and who asks twice gets two of each; EC2 shows new ones late. So nobody asks again before he has looked for
        // a while, the SDK neither.
        let once = aws_sdk_ec2::Config::builder().retry_config(RetryConfig::disabled());
        let mut answer = Ok(());
        for _ in 0..MOST_ASKED {
            if self.read(aws).await? == Taken::Yes {
                return Ok(());
            }
            let asked = call.clone().customize().config_override(once.clone()).send().await;
            answer = asked.map(drop).map_err(classify("ec2:CreateSnapshots"));
            let is_taken = matches!(answer, Ok(()) | Err(AwsError::Ambiguous { .. }));
            if is_taken && self.appears(aws).await? {
                return Ok(());
            }
            if !answer.as_ref().is_err_and(AwsError::is_passing) {
                return answer;
            }
            if !is_taken {
                tokio::time::sleep(PAUSES[0]).await;
            }
        }
        answer
    }
}

impl Snapshots {
    /// Whether EC2 shows what it was asked for, in time.
    async fn appears(&self, aws: &Aws) -> Result<bool, AwsError> {
        for pause in PAUSES {
            if self.read(aws).await? == Taken::Yes {
                return Ok(true);
            }
            tokio::time::sleep(pause).await;
        }
        Ok(false)
    }
}

impl fmt::Display for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.instance)?;
        for volume in &self.volumes {
            write!(f, " {volume}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "none",
            Self::Yes => "taken",
        })
    }
}
