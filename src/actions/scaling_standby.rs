//! Whether an Auto Scaling group counts on an instance.
//!
//! # What it does
//! Puts the instance into Standby, without lowering the group's desired capacity: the group stops judging its health, which would end in
//! its termination, and starts another in its place. It is not waited for: `EnteringStandby` is what was asked for.
//! # Undo
//! `ExitStandby`. The group's desired capacity is one higher then, and the instance that took the place stays: how many it
//! should have is for a person to say.
//! # Limits
//! The instance that takes the place comes from the same template and image, and may be compromised alike.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, InstanceId, Region, ScalingGroupName, Text},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingStandby {
    pub account: AccountId,
    pub region: Region,
    pub group: ScalingGroupName,
    pub instance: InstanceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// `InService`, or `Pending` on its way there.
    InService,
    /// `Standby`, or `EnteringStandby` on its way there.
    Standby,
    /// Going out of the group, or in a warm pool.
    Other(Text),
}

impl Action for ScalingStandby {
    const NAME: &'static str = "autoscaling.instance.lifecycle";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["autoscaling:DescribeAutoScalingInstances"],
        contains: &["autoscaling:EnterStandby"],
        releases: &["autoscaling:ExitStandby"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 4;
    const SET_BY: &'static [&'static str] = &["EnterStandby", "ExitStandby"];
    type State = Lifecycle;

    fn resource(&self) -> &str {
        self.instance.as_str()
    }

    fn command(&self, to: &Lifecycle) -> Option<String> {
        let (region, group, instance) = (&self.region, &self.group, &self.instance);
        let scaling = |verb: &str, more: &str| {
            format!(
                "aws autoscaling {verb} --region {region} --auto-scaling-group-name {group} --instance-ids {instance}{more}"
            )
        };
        match to {
            Lifecycle::InService => Some(scaling("exit-standby", "")),
            Lifecycle::Standby => Some(scaling("enter-standby", " --no-should-decrement-desired-capacity")),
            Lifecycle::Other(_) => None,
        }
    }

    fn calls(&self, to: &Lifecycle) -> Vec<Called> {
        match to {
            Lifecycle::InService => vec![("ExitStandby", vec![self.group.to_string()])],
            Lifecycle::Standby => vec![("EnterStandby", vec![self.group.to_string()])],
            Lifecycle::Other(_) => Vec::new(),
        }
    }

    async fn read(&self, aws: &Aws) -> Result<Lifecycle, AwsError> {
        match membership(aws, &self.region, &self.instance).await? {
            Some((group, lifecycle)) if group == self.group => Ok(lifecycle),
            _ => Err(AwsError::NotFound {
                operation: "autoscaling:DescribeAutoScalingInstances",
                message: Text::new("the instance is no longer in that group"),
            }),
        }
    }

    async fn apply(&self, aws: &Aws, to: &Lifecycle) -> Result<(), AwsError> {
        let (client, group, instance) = (aws.autoscaling(&self.region), self.group.as_str(), self.instance.as_str());
        match to {
            Lifecycle::Standby => {
                let call = client.enter_standby().auto_scaling_group_name(group).instance_ids(instance);
                let call = call.should_decrement_desired_capacity(false);
                call.send().await.map(drop).map_err(classify("autoscaling:EnterStandby"))
            }
            Lifecycle::InService => {
                let call = client.exit_standby().auto_scaling_group_name(group).instance_ids(instance);
                call.send().await.map(drop).map_err(classify("autoscaling:ExitStandby"))
            }
            Lifecycle::Other(_) => Err(AwsError::incomplete("autoscaling:EnterStandby", "no such state can be set")),
        }
    }
}

/// The group that the instance is in, and how far.
pub async fn membership(
    aws: &Aws,
    region: &Region,
    instance: &InstanceId,
) -> Result<Option<(ScalingGroupName, Lifecycle)>, AwsError> {
    const OPERATION: &str = "autoscaling:DescribeAutoScalingInstances";
    let call = aws.autoscaling(region).describe_auto_scaling_instances().instance_ids(instance.as_str());
    let answer = call.send().await.map_err(classify(OPERATION))?;
    let Some(found) = answer.auto_scaling_instances().first() else { return Ok(None) };
    let group = ScalingGroupName::parse(found.auto_scaling_group_name().unwrap_or_default());
    let group = group.map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
    Ok(Some((group, Lifecycle::folded(found.lifecycle_state().unwrap_or_default()))))
}

impl Lifecycle {
    pub fn folded(wire: &str) -> Self {
        match wire {
            "InService" | "Pending" | "Pending:Wait" | "Pending:Proceed" => Self::InService,
            "Standby" | "EnteringStandby" => Self::Standby,
            other => Self::Other(Text::new(other)),
        }
    }
}

impl fmt::Display for ScalingStandby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.account, self.region, self.group, self.instance)
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InService => f.write_str("in service"),
            Self::Standby => f.write_str("standby"),
            Self::Other(other) => write!(f, "`{other}`"),
        }
    }
}
