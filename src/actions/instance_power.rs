//! Whether an instance runs.
//!
//! # What it does
//! Stops the instance, which ends every connection and every process. Where stop protection is on, ours too, it is taken off for the call
//! and set again at once.
//! # Undo
//! Starts it. While it starts, a target group or an Auto Scaling group may not take it yet: release says what is left, and goes on when
//! it is repeated.
//! # Limits
//! Memory and instance-store volumes are lost, and so is a public address that is no Elastic IP. Offered, never done unasked.

use super::{Action, AnyChange, Attribute, Called, Change, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, InstanceId, Region, Text},
};
use aws_sdk_ec2::types::AttributeBooleanValue;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstancePower {
    pub account: AccountId,
    pub region: Region,
    pub instance: InstanceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// `running`, or `pending` on its way there.
    Running,
    /// `stopped`, or `stopping` on its way there.
    Stopped,
    /// On its way to its end.
    Other(Text),
}

impl Action for InstancePower {
    const NAME: &'static str = "ec2.instance.power";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeInstances"],
        contains: &["ec2:ModifyInstanceAttribute", "ec2:StopInstances"],
        // A volume under a key of the account is attached with a grant.
        releases: &["ec2:StartInstances", "kms:CreateGrant"],
    };
    const RELEASE: Release = Release::Restores;
    /// Before those that take only an instance that runs.
    const UNDO_ORDER: u8 = 2;
    const SET_BY: &'static [&'static str] = &["StartInstances", "StopInstances"];
    type State = Power;

    fn resource(&self) -> &str {
        self.instance.as_str()
    }

    fn command(&self, to: &Power) -> Option<String> {
        let verb = match to {
            Power::Running => "start",
            Power::Stopped => "stop",
            Power::Other(_) => return None,
        };
        Some(format!("aws ec2 {verb}-instances --region {} --instance-ids {}", self.region, self.instance))
    }

    fn calls(&self, to: &Power) -> Vec<Called> {
        match to {
            Power::Running => vec![("StartInstances", Vec::new())],
            // What keeps it from being stopped goes first.
            Power::Stopped => vec![
                ("StopInstances", Vec::new()),
                ("ModifyInstanceAttribute", vec!["disableApiStop".to_owned(), "false".to_owned()]),
            ],
            Power::Other(_) => Vec::new(),
        }
    }

    fn unsettles(&self, other: &AnyChange) -> bool {
        let AnyChange::InstanceAttribute(Change { target, .. }) = other else { return false };
        target.instance == self.instance && target.attribute == Attribute::DisableApiStop
    }

    async fn read(&self, aws: &Aws) -> Result<Power, AwsError> {
        const OPERATION: &str = "ec2:DescribeInstances";
        let answer = aws.ec2(&self.region).describe_instances().instance_ids(self.instance.as_str()).send().await;
        let answer = answer.map_err(classify(OPERATION))?;
        let instance = answer.reservations().iter().flat_map(|r| r.instances()).next();
        let state = instance.and_then(|instance| instance.state()).and_then(|state| state.name());
        match state.map(|state| state.as_str()) {
            None => Err(AwsError::incomplete(OPERATION, "no instance")),
            Some("terminated") => {
                Err(AwsError::NotFound { operation: OPERATION, message: Text::new("it is terminated") })
            }
            Some(state) => Ok(Power::folded(state)),
        }
    }

    async fn apply(&self, aws: &Aws, to: &Power) -> Result<(), AwsError> {
        match to {
            Power::Running => {
                let call = aws.ec2(&self.region).start_instances().instance_ids(self.instance.as_str());
                call.send().await.map(drop).map_err(classify("ec2:StartInstances"))
            }
            Power::Stopped => match self.stop(aws).await {
                Err(AwsError::Rejected { code, .. }) if code == "OperationNotPermitted" => {
                    self.protect(aws, false).await?;
                    let stopped = self.stop(aws).await;
                    // Whatever came of it. If that fails, or this process dies before, the protection's own step sets it again.
                    self.protect(aws, true).await?;
                    stopped
                }
                other => other,
            },
            Power::Other(_) => Err(AwsError::incomplete("ec2:StopInstances", "no such state can be set")),
        }
    }
}

impl InstancePower {
    async fn stop(&self, aws: &Aws) -> Result<(), AwsError> {
        let call = aws.ec2(&self.region).stop_instances().instance_ids(self.instance.as_str());
        call.send().await.map(drop).map_err(classify("ec2:StopInstances"))
    }

    async fn protect(&self, aws: &Aws, on: bool) -> Result<(), AwsError> {
        let call = aws.ec2(&self.region).modify_instance_attribute().instance_id(self.instance.as_str());
        let call = call.disable_api_stop(AttributeBooleanValue::builder().value(on).build());
        call.send().await.map(drop).map_err(classify("ec2:ModifyInstanceAttribute"))
    }
}

impl Power {
    /// From EC2's name of the state.
    pub fn folded(wire: &str) -> Self {
        match wire {
            "pending" | "running" => Self::Running,
            "stopping" | "stopped" => Self::Stopped,
            other => Self::Other(Text::new(other)),
        }
    }
}

impl fmt::Display for InstancePower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.instance)
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Stopped => f.write_str("stopped"),
            Self::Other(other) => write!(f, "`{other}`"),
        }
    }
}
