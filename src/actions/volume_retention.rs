//! What becomes of a volume when its instance is terminated.
//!
//! # What it does
//! Keeps the volume: whoever terminates the instance, its disks stay to be looked at.
//! # Undo
//! Lets it go with the instance again, if it did before and nobody changed it since.
//! # Limits
//! Instance store volumes have no such setting, and their content ends with the instance.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, DeviceName, InstanceId, Region, Text, VolumeId},
};
use aws_sdk_ec2::types::{
    EbsInstanceBlockDeviceSpecification, InstanceBlockDeviceMapping, InstanceBlockDeviceMappingSpecification,
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeRetention {
    pub account: AccountId,
    pub region: Region,
    pub instance: InstanceId,
    pub device: DeviceName,
    pub volume: VolumeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTermination {
    Kept,
    Deleted,
}

impl Action for VolumeRetention {
    const NAME: &'static str = "ec2.volume.on-termination";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeInstances"],
        contains: &["ec2:ModifyInstanceAttribute"],
        releases: &["ec2:ModifyInstanceAttribute"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 6;
    const SET_BY: &'static [&'static str] = &["ModifyInstanceAttribute"];
    type State = OnTermination;

    fn resource(&self) -> &str {
        self.instance.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec!["blockDeviceMapping".to_owned()]
    }

    fn command(&self, to: &OnTermination) -> Option<String> {
        let (region, instance, device) = (&self.region, &self.instance, &self.device);
        let deleted = *to == OnTermination::Deleted;
        Some(format!(
            "aws ec2 modify-instance-attribute --region {region} --instance-id {instance} --block-device-mappings DeviceName={device},Ebs={{DeleteOnTermination={deleted}}}"
        ))
    }

    fn calls(&self, to: &OnTermination) -> Vec<Called> {
        let deleted = *to == OnTermination::Deleted;
        vec![("ModifyInstanceAttribute", vec![self.device.to_string(), deleted.to_string()])]
    }

    async fn read(&self, aws: &Aws) -> Result<OnTermination, AwsError> {
        const OPERATION: &str = "ec2:DescribeInstances";
        let answer = aws.ec2(&self.region).describe_instances().instance_ids(self.instance.as_str()).send().await;
        let answer = answer.map_err(classify(OPERATION))?;
        let instances = answer.reservations().iter().flat_map(|r| r.instances());
        let mut mappings = instances.flat_map(|instance| instance.block_device_mappings());
        let ours = |mapping: &&InstanceBlockDeviceMapping| {
            mapping.device_name() == Some(self.device.as_str())
                && mapping.ebs().and_then(|ebs| ebs.volume_id()) == Some(self.volume.as_str())
        };
        let found = mappings.find(ours).map(OnTermination::folded);
        found.ok_or_else(|| AwsError::NotFound {
            operation: OPERATION,
            message: Text::new("the volume is no longer attached there"),
        })
    }

    async fn apply(&self, aws: &Aws, to: &OnTermination) -> Result<(), AwsError> {
        let ebs = EbsInstanceBlockDeviceSpecification::builder();
        let ebs = ebs.delete_on_termination(*to == OnTermination::Deleted).volume_id(self.volume.as_str()).build();
        let mapping = InstanceBlockDeviceMappingSpecification::builder().device_name(self.device.as_str()).ebs(ebs);
        let call = aws.ec2(&self.region).modify_instance_attribute().instance_id(self.instance.as_str());
        let call = call.block_device_mappings(mapping.build());
        call.send().await.map(drop).map_err(classify("ec2:ModifyInstanceAttribute"))
    }
}

impl OnTermination {
    pub fn folded(wire: &InstanceBlockDeviceMapping) -> Self {
        match wire.ebs().and_then(|ebs| ebs.delete_on_termination()) {
            Some(true) => Self::Deleted,
            _ => Self::Kept,
        }
    }
}

impl fmt::Display for VolumeRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{} {}", self.account, self.region, self.instance, self.device, self.volume)
    }
}

impl fmt::Display for OnTermination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept on termination",
            Self::Deleted => "deleted on termination",
        })
    }
}
