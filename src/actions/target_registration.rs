//! Whether a target group of a load balancer sends to a target.
//!
//! # What it does
//! Deregisters the instance, by its id or by its address as the group knows it, with the port that it was registered with.
//! Clients get answers from the others instead of waiting for a silent one.
//! # Undo
//! Registers it again, with the same port and zone.
//! # Limits
//! Connections that are open are kept for the group's deregistration delay (300 s unless set).

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, Region, TargetId},
};
use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealthReasonEnum, TargetHealthStateEnum};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetRegistration {
    pub account: AccountId,
    pub region: Region,
    pub group: Arn,
    pub id: TargetId,
    pub port: i32,
    /// Set for addresses outside of the group's VPC.
    pub zone: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    Registered,
    /// Draining counts: nothing new is sent there.
    Deregistered,
}

impl TargetRegistration {
    fn description(&self) -> TargetDescription {
        let target = TargetDescription::builder().id(self.id.as_str()).port(self.port);
        target.set_availability_zone(self.zone.clone()).build()
    }
}

impl Action for TargetRegistration {
    const NAME: &'static str = "elbv2.target.registration";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["elasticloadbalancing:DescribeTargetHealth"],
        contains: &["elasticloadbalancing:DeregisterTargets"],
        releases: &["elasticloadbalancing:RegisterTargets"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 3;
    const SET_BY: &'static [&'static str] = &["DeregisterTargets", "RegisterTargets"];
    type State = Registration;

    fn resource(&self) -> &str {
        self.id.as_str()
    }

    fn command(&self, to: &Registration) -> Option<String> {
        let verb = match to {
            Registration::Registered => "register",
            Registration::Deregistered => "deregister",
        };
        let (region, group, id, port) = (&self.region, &self.group, &self.id, self.port);
        let zone = self.zone.as_ref().map(|zone| format!(",AvailabilityZone={zone}")).unwrap_or_default();
        Some(format!(
            "aws elbv2 {verb}-targets --region {region} --target-group-arn {group} --targets Id={id},Port={port}{zone}"
        ))
    }

    fn calls(&self, to: &Registration) -> Vec<Called> {
        let name = if *to == Registration::Registered { "RegisterTargets" } else { "DeregisterTargets" };
        vec![(name, vec![self.group.to_string()])]
    }

    async fn read(&self, aws: &Aws) -> Result<Registration, AwsError> {
        const OPERATION: &str = "elasticloadbalancing:DescribeTargetHealth";
        let call = aws.elbv2(&self.region).describe_target_health().target_group_arn(self.group.as_str());
        let answer = call.targets(self.description()).send().await.map_err(classify(OPERATION))?;
        let health = answer.target_health_descriptions().first().and_then(|found| found.target_health());
        // A target that is asked for by name and not there is `unused` with that reason (ELBv2 API reference, TargetHealth).
        Ok(health.map_or(Registration::Deregistered, |health| Registration::folded(health.state(), health.reason())))
    }

    async fn apply(&self, aws: &Aws, to: &Registration) -> Result<(), AwsError> {
        let (client, group) = (aws.elbv2(&self.region), self.group.as_str());
        match to {
            Registration::Registered => {
                let call = client.register_targets().target_group_arn(group).targets(self.description());
                call.send().await.map(drop).map_err(classify("elasticloadbalancing:RegisterTargets"))
            }
            Registration::Deregistered => {
                let call = client.deregister_targets().target_group_arn(group).targets(self.description());
                call.send().await.map(drop).map_err(classify("elasticloadbalancing:DeregisterTargets"))
            }
        }
    }
}

impl Registration {
    pub fn folded(state: Option<&TargetHealthStateEnum>, reason: Option<&TargetHealthReasonEnum>) -> Self {
        let gone = reason == Some(&TargetHealthReasonEnum::NotRegistered);
        if gone || state == Some(&TargetHealthStateEnum::Draining) { Self::Deregistered } else { Self::Registered }
    }
}

impl fmt::Display for TargetRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Account and region are in the group's ARN.
        write!(f, "{} {}:{}", self.group, self.id, self.port)
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registered => "registered",
            Self::Deregistered => "deregistered",
        })
    }
}
