//! How long a network interface remembers connections that are idle.
//!
//! # What it does
//! Sets the shortest timeouts that EC2 allows, so that a connection from before the containment ends as soon as it is idle for a minute.
//! # Undo
//! Sets the timeouts that were there before. EC2 cannot unset them, so where none was set it sets EC2's defaults.
//! # Limits
//! A connection that keeps talking is kept. Only instances of the Nitro system take the setting, and on Nitro v6, whose default is
//! short already, it is left alone.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, InterfaceId, Region},
};
use aws_sdk_ec2::types::{ConnectionTrackingConfiguration, ConnectionTrackingSpecificationRequest};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionTracking {
    pub account: AccountId,
    pub region: Region,
    pub interface: InterfaceId,
}

/// Seconds. EC2's default and a setting of the same value are one (EC2 user guide, "Security group connection tracking").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    pub tcp_established: i32,
    pub udp_stream: i32,
    pub udp: i32,
}

impl Timeouts {
    pub const DEFAULT: Self = Self { tcp_established: 432_000, udp_stream: 180, udp: 30 };
    /// The lowest values of ModifyNetworkInterfaceAttribute.
    pub const SHORTEST: Self = Self { tcp_established: 60, udp_stream: 60, udp: 30 };

    pub fn folded(wire: Option<&ConnectionTrackingConfiguration>) -> Self {
        let set = |value: fn(&ConnectionTrackingConfiguration) -> Option<i32>| wire.and_then(value);
        Self {
            tcp_established: set(|c| c.tcp_established_timeout()).unwrap_or(Self::DEFAULT.tcp_established),
            udp_stream: set(|c| c.udp_stream_timeout()).unwrap_or(Self::DEFAULT.udp_stream),
            udp: set(|c| c.udp_timeout()).unwrap_or(Self::DEFAULT.udp),
        }
    }
}

impl Action for ConnectionTracking {
    const NAME: &'static str = "ec2.interface.connection-tracking";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeNetworkInterfaces"],
        contains: &["ec2:ModifyNetworkInterfaceAttribute"],
        releases: &["ec2:ModifyNetworkInterfaceAttribute"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["ModifyNetworkInterfaceAttribute"];
    type State = Timeouts;

    fn resource(&self) -> &str {
        self.interface.as_str()
    }

    fn details(&self) -> Vec<String> {
        vec!["connectionTrackingSpecification".to_owned()]
    }

    fn command(&self, to: &Timeouts) -> Option<String> {
        let (region, interface) = (&self.region, &self.interface);
        let Timeouts { tcp_established, udp_stream, udp } = to;
        Some(format!(
            "aws ec2 modify-network-interface-attribute --region {region} --network-interface-id {interface} --connection-tracking-specification TcpEstablishedTimeout={tcp_established},UdpStreamTimeout={udp_stream},UdpTimeout={udp}"
        ))
    }

    fn calls(&self, to: &Timeouts) -> Vec<Called> {
        let said = [to.tcp_established, to.udp_stream, to.udp].map(|seconds| seconds.to_string());
        vec![("ModifyNetworkInterfaceAttribute", said.into())]
    }

    async fn read(&self, aws: &Aws) -> Result<Timeouts, AwsError> {
        const OPERATION: &str = "ec2:DescribeNetworkInterfaces";
        let call = aws.ec2(&self.region).describe_network_interfaces().network_interface_ids(self.interface.as_str());
        let answer = call.send().await.map_err(classify(OPERATION))?;
        let found = answer.network_interfaces().first();
        let found = found.ok_or_else(|| AwsError::incomplete(OPERATION, "no interface"))?;
        Ok(Timeouts::folded(found.connection_tracking_configuration()))
    }

    async fn apply(&self, aws: &Aws, to: &Timeouts) -> Result<(), AwsError> {
        let timeouts = ConnectionTrackingSpecificationRequest::builder()
            .tcp_established_timeout(to.tcp_established)
            .udp_stream_timeout(to.udp_stream)
            .udp_timeout(to.udp)
            .build();
        let call = aws.ec2(&self.region).modify_network_interface_attribute();
        let call = call.network_interface_id(self.interface.as_str()).connection_tracking_specification(timeouts);
        call.send().await.map(drop).map_err(classify("ec2:ModifyNetworkInterfaceAttribute"))
    }
}

impl fmt::Display for ConnectionTracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.interface)
    }
}

impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp {} s, udp stream {} s, udp {} s", self.tcp_established, self.udp_stream, self.udp)
    }
}
