//! A flow log of a network, which writes to a bucket.
//!
//! # What it does
//! Makes it where the network has none to that bucket; a deleted one cannot be switched on again.
//! # Undo
//! None: releasing an incident makes no network dark. It costs what it writes; delete it when it is no longer needed.
//! # Limits
//! Only to buckets: writing to a log group takes a role to be passed, which Cordon may not. What flowed before is not recorded.

use super::{Action, Called, Permissions, Release, Switch, trail_logging::STAYS};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, FlowLogId, InterfaceId, Region, SubnetId, Text, VpcId},
};
use aws_sdk_ec2::types::{Filter, FlowLog as WireFlowLog, FlowLogsResourceType, LogDestinationType, TrafficType};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowLog {
    pub account: AccountId,
    pub region: Region,
    pub of: Network,
    /// A bucket, with or without a prefix.
    pub to: Arn,
}

/// What a flow log listens to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    Vpc(VpcId),
    Subnet(SubnetId),
    Interface(InterfaceId),
}

impl Network {
    pub fn id(&self) -> &str {
        match self {
            Self::Vpc(id) => id.as_str(),
            Self::Subnet(id) => id.as_str(),
            Self::Interface(id) => id.as_str(),
        }
    }

    pub fn parse(id: &str) -> Option<Self> {
        let vpc = VpcId::parse(id).map(Self::Vpc).ok();
        vpc.or_else(|| SubnetId::parse(id).map(Self::Subnet).ok())
            .or_else(|| InterfaceId::parse(id).map(Self::Interface).ok())
    }

    fn kind(&self) -> FlowLogsResourceType {
        match self {
            Self::Vpc(_) => FlowLogsResourceType::Vpc,
            Self::Subnet(_) => FlowLogsResourceType::Subnet,
            Self::Interface(_) => FlowLogsResourceType::NetworkInterface,
        }
    }
}

impl Action for FlowLog {
    const NAME: &'static str = "ec2.network.flow-log";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeFlowLogs"],
        contains: &["ec2:CreateFlowLogs", "logs:CreateLogDelivery"],
        releases: &[],
    };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["CreateFlowLogs", "DeleteFlowLogs"];
    type State = Switch;

    fn resource(&self) -> &str {
        self.of.id()
    }

    fn command(&self, to: &Switch) -> Option<String> {
        let (region, id, arn, kind) = (&self.region, self.of.id(), &self.to, self.of.kind());
        (*to == Switch::On).then(|| {
            format!(
                "aws ec2 create-flow-logs --region {region} --resource-type {} --resource-ids {id} --traffic-type ALL --log-destination-type s3 --log-destination {arn}",
                kind.as_str()
            )
        })
    }

    fn calls(&self, to: &Switch) -> Vec<Called> {
        match to {
            Switch::On => vec![("CreateFlowLogs", vec![self.to.to_string()])],
            Switch::Off => Vec::new(),
        }
    }

    async fn read(&self, aws: &Aws) -> Result<Switch, AwsError> {
        let found = flow_logs(aws, &self.region, Some(&self.of)).await?;
        Ok(Switch::of(found.iter().any(|log| log.of == self.of && log.to.as_ref() == Some(&self.to))))
    }

    async fn apply(&self, aws: &Aws, to: &Switch) -> Result<(), AwsError> {
        const OPERATION: &str = "ec2:CreateFlowLogs";
        to.only_on(OPERATION)?;
        let call = aws.ec2(&self.region).create_flow_logs().resource_type(self.of.kind()).resource_ids(self.of.id());
        let call = call.traffic_type(TrafficType::All).log_destination_type(LogDestinationType::S3);
        let answer = match call.log_destination(self.to.as_str()).send().await.map_err(classify(OPERATION)) {
            Err(AwsError::Rejected { code, .. }) if code == "FlowLogAlreadyExists" => return Ok(()),
            other => other?,
        };
        // What was not made is said in the answer, not by an error.
        let refused = answer.unsuccessful().iter().find_map(|one| one.error());
        match refused {
            Some(error) if error.code() != Some("FlowLogAlreadyExists") => Err(AwsError::Rejected {
                operation: OPERATION,
                code: Text::new(error.code().unwrap_or_default()).to_string(),
                message: Text::new(error.message().unwrap_or_default()),
            }),
            _ => Ok(()),
        }
    }
}

/// A flow log as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    pub id: FlowLogId,
    pub of: Network,
    /// `None` where it does not go to a bucket.
    pub to: Option<Arn>,
}

/// Those that deliver; of one network or of all.
pub async fn flow_logs(aws: &Aws, region: &Region, of: Option<&Network>) -> Result<Vec<Logged>, AwsError> {
    let filter = of.map(|of| Filter::builder().name("resource-id").values(of.id()).build());
    let call = aws.ec2(region).describe_flow_logs().set_filter(filter.map(|filter| vec![filter]));
    let pages = call.into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(classify("ec2:DescribeFlowLogs"))?;
    Ok(found.iter().filter(|log| log.deliver_logs_status() != Some("FAILED")).filter_map(Logged::folded).collect())
}

impl Logged {
    fn folded(wire: &WireFlowLog) -> Option<Self> {
        let to = wire.log_destination().and_then(|to| Arn::parse(to).ok());
        Some(Self {
            id: FlowLogId::parse(wire.flow_log_id()?).ok()?,
            of: Network::parse(wire.resource_id()?)?,
            to: to.filter(|to| to.as_str().contains(":s3:::")),
        })
    }
}

impl fmt::Display for FlowLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} to {}", self.account, self.region, self.of.id(), self.to)
    }
}
