//! One protection of an EC2 instance: against termination, against being stopped, and what its own shutdown does.
//!
//! # What it does
//! Sets `disableApiTermination` and `disableApiStop`, and lets a shutdown from within stop the instance instead of ending it, so that
//! its volumes are there to look at.
//! # Undo
//! Sets the value that was there before, if ours is still what is there.
//! # Limits
//! Auto Scaling and Spot interruptions end an instance whatever its protection. Spot instances take no termination protection.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, InstanceId, Region},
};
use aws_sdk_ec2::types::{AttributeBooleanValue, AttributeValue, InstanceAttributeName};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceAttribute {
    pub account: AccountId,
    pub region: Region,
    pub instance: InstanceId,
    pub attribute: Attribute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    DisableApiTermination,
    DisableApiStop,
    ShutdownBehavior,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttributeState {
    On,
    Off,
    Stop,
    Terminate,
}

impl Attribute {
    pub const ALL: [Self; 3] = [Self::DisableApiTermination, Self::DisableApiStop, Self::ShutdownBehavior];

    /// As ModifyInstanceAttribute calls it.
    fn parameter(self) -> &'static str {
        match self {
            Self::DisableApiTermination => "disableApiTermination",
            Self::DisableApiStop => "disableApiStop",
            Self::ShutdownBehavior => "instanceInitiatedShutdownBehavior",
        }
    }

    /// What keeps the evidence.
    pub fn kept(self) -> AttributeState {
        match self {
            Self::DisableApiTermination | Self::DisableApiStop => AttributeState::On,
            Self::ShutdownBehavior => AttributeState::Stop,
        }
    }
}

impl Action for InstanceAttribute {
    const NAME: &'static str = "ec2.instance.attribute";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeInstanceAttribute"],
        contains: &["ec2:ModifyInstanceAttribute"],
        releases: &["ec2:ModifyInstanceAttribute"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 6;
    const SET_BY: &'static [&'static str] = &["ModifyInstanceAttribute"];
    type State = AttributeState;

    fn resource(&self) -> &str {
        self.instance.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec![self.attribute.parameter().to_owned()]
    }

    fn command(&self, to: &AttributeState) -> Option<String> {
        let option = match (self.attribute, to) {
            (Attribute::DisableApiTermination, AttributeState::On) => "--disable-api-termination",
            (Attribute::DisableApiTermination, _) => "--no-disable-api-termination",
            (Attribute::DisableApiStop, AttributeState::On) => "--disable-api-stop",
            (Attribute::DisableApiStop, _) => "--no-disable-api-stop",
            (Attribute::ShutdownBehavior, AttributeState::Terminate) => {
                "--instance-initiated-shutdown-behavior Value=terminate"
            }
            (Attribute::ShutdownBehavior, _) => "--instance-initiated-shutdown-behavior Value=stop",
        };
        let (region, instance) = (&self.region, &self.instance);
        Some(format!("aws ec2 modify-instance-attribute --region {region} --instance-id {instance} {option}"))
    }

    fn calls(&self, to: &AttributeState) -> Vec<Called> {
        let said = match to {
            AttributeState::On => "true",
            AttributeState::Off => "false",
            AttributeState::Stop => "stop",
            AttributeState::Terminate => "terminate",
        };
        vec![("ModifyInstanceAttribute", vec![said.to_owned()])]
    }

    async fn read(&self, aws: &Aws) -> Result<AttributeState, AwsError> {
        const OPERATION: &str = "ec2:DescribeInstanceAttribute";
        let name = match self.attribute {
            Attribute::DisableApiTermination => InstanceAttributeName::DisableApiTermination,
            Attribute::DisableApiStop => InstanceAttributeName::DisableApiStop,
            Attribute::ShutdownBehavior => InstanceAttributeName::InstanceInitiatedShutdownBehavior,
        };
        let call = aws.ec2(&self.region).describe_instance_attribute().instance_id(self.instance.as_str());
        let answer = call.attribute(name).send().await.map_err(classify(OPERATION))?;
        let switch = |value: Option<&AttributeBooleanValue>| match value.and_then(|v| v.value()) {
            Some(true) => AttributeState::On,
            _ => AttributeState::Off,
        };
        Ok(match self.attribute {
            Attribute::DisableApiTermination => switch(answer.disable_api_termination()),
            Attribute::DisableApiStop => switch(answer.disable_api_stop()),
            Attribute::ShutdownBehavior => {
                match answer.instance_initiated_shutdown_behavior().and_then(|v| v.value()) {
                    Some("terminate") => AttributeState::Terminate,
                    // EC2's own default.
                    Some("stop") | None => AttributeState::Stop,
                    Some(_) => return Err(AwsError::incomplete(OPERATION, "an unknown shutdown behaviour")),
                }
            }
        })
    }

    async fn apply(&self, aws: &Aws, to: &AttributeState) -> Result<(), AwsError> {
        let call = aws.ec2(&self.region).modify_instance_attribute().instance_id(self.instance.as_str());
        let switch = AttributeBooleanValue::builder().value(*to == AttributeState::On).build();
        let call = match self.attribute {
            Attribute::DisableApiTermination => call.disable_api_termination(switch),
            Attribute::DisableApiStop => call.disable_api_stop(switch),
            Attribute::ShutdownBehavior => {
                let value = if *to == AttributeState::Terminate { "terminate" } else { "stop" };
                call.instance_initiated_shutdown_behavior(AttributeValue::builder().value(value).build())
            }
        };
        call.send().await.map(drop).map_err(classify("ec2:ModifyInstanceAttribute"))
    }
}

impl fmt::Display for InstanceAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} {}", self.account, self.region, self.instance, self.attribute)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DisableApiTermination => "termination protection",
            Self::DisableApiStop => "stop protection",
            Self::ShutdownBehavior => "shutdown behaviour",
        })
    }
}

impl fmt::Display for AttributeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        })
    }
}
