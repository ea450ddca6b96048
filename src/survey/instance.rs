//! Facts of an EC2 instance: its interfaces as they are attached now, what keeps its evidence, and the role that it may act with.

use super::{Around, Aside, Surroundings, SurveyError, TargetGroup, Unread, surroundings::route_tables, target_groups};
use crate::policy::Tags;
use crate::{
    actions::{
        Action, Association, Attribute, AttributeState, Groups, InstanceAttribute, Lifecycle, OnTermination, OwnGroups,
        PolicyState, SessionDeny, TagValue, Timeouts, VolumeRetention, membership,
    },
    aws::{Aws, AwsError, classify},
    domain::{
        AccountId, Arn, DeviceName, IncidentId, InstanceId, InterfaceId, ProfileName, Region, RoleId, RoleName,
        ScalingGroupName, SessionName, SubnetId, VolumeId, VpcId,
    },
};
use aws_sdk_ec2::types::{Filter, Instance as WireInstance, InstanceLifecycleType, NetworkInterface};
use futures::future::join_all;
use std::{collections::HashMap, net::IpAddr};

pub const READS: &[&str] = &[
    "autoscaling:DescribeAutoScalingInstances",
    "ec2:DescribeFlowLogs",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVpcEndpoints",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "iam:GetInstanceProfile",
    "iam:GetRolePolicy",
    "ssm:DescribeSessions",
];

/// What an event says of the instance, so that it can be read beside it; believed only where the account says the same.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    pub profile: Option<&'a Arn>,
    pub vpc: Option<&'a VpcId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub account: AccountId,
    pub region: Region,
    pub id: InstanceId,
    /// `running`, `stopped`, …
    pub state: String,
    /// `t3.micro`, …
    pub kind: String,
    pub is_spot: bool,
    /// By what it is known as a node of a container cluster; anybody who may tag can say so.
    pub node_of: Option<String>,
    pub interfaces: Vec<Interface>,
    pub tag: TagValue,
    pub tags: Tags,
    /// The Auto Scaling group that it is in.
    pub scaling: Result<Option<(ScalingGroupName, Lifecycle)>, AwsError>,
    pub attributes: Vec<(InstanceAttribute, Result<AttributeState, AwsError>)>,
    pub volumes: Vec<(VolumeRetention, OnTermination)>,
    pub target_groups: Result<Vec<TargetGroup>, AwsError>,
    pub profile: Result<Association, AwsError>,
    pub role: ProfileRole,
    /// What guards must know; `None` until it was looked around.
    pub around: Option<Surroundings>,
    /// What only later stages need; `None` until it was read.
    pub aside: Option<Aside>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    pub id: InterfaceId,
    pub vpc: VpcId,
    pub subnet: Option<SubnetId>,
    pub groups: Groups,
    /// Of IPv4 and IPv6, secondary ones too.
    pub addresses: Vec<IpAddr>,
    pub timeouts: Timeouts,
    /// Off where the instance passes on what is not for it.
    pub checks_destination: bool,
    /// Whether branch interfaces of containers hang on it, which have groups of their own.
    pub is_trunk: bool,
    /// Who made it, where that was an AWS service: such an interface cannot be changed.
    pub managed_by: Option<String>,
}

/// The role behind the instance's profile, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfileRole {
    NoProfile,
    /// To be read beside the cut. `known` where the profile has been looked up already.
    Pending {
        profile: ProfileName,
        known: Option<(RoleName, RoleId, Arn)>,
    },
    Known {
        deny: SessionDeny,
        arn: Arn,
        state: PolicyState,
    },
    Unreadable(Unread),
}

type Looked = Result<(Arn, Option<(RoleName, RoleId, Arn)>), AwsError>;

impl Instance {
    /// One round: instance, its interfaces, our groups, and the profile that the event names, in the hope that it is the one.
    pub async fn read(
        aws: &Aws,
        account: &AccountId,
        region: &Region,
        id: &InstanceId,
        hints: Hints<'_>,
    ) -> Result<Self, SurveyError> {
        const OPERATION: &str = "ec2:DescribeInstances";
        let hinted = hints.profile.and_then(Arn::profile_name);
        let ec2 = aws.ec2(region);
        let attributes = Attribute::ALL.map(|attribute| InstanceAttribute {
            account: account.clone(),
            region: region.clone(),
            instance: id.clone(),
            attribute,
        });
        let (answer, interfaces, quarantine, scaling, kept, target_groups, tables, looked) = futures::join!(
            ec2.describe_instances().instance_ids(id.as_str()).send(),
            interfaces(aws, region, id),
            aws.own_groups(account, region),
            membership(aws, region, id),
            join_all(attributes.iter().map(|attribute| attribute.read(aws))),
            target_groups(aws, region),
            async {
                match hints.vpc {
                    Some(vpc) => Some(route_tables(aws, region, [vpc]).await),
                    None => None,
                }
            },
            async {
                match &hinted {
                    Some(name) => Some(look_up(aws, name).await),
                    None => None,
                }
            },
        );
        let answer = match answer.map_err(classify(OPERATION)) {
            Ok(answer) => answer,
            Err(AwsError::NotFound { .. }) => return Err(vanished(id, "is not there")),
            Err(error) => return Err(error.into()),
        };
        let reservation = answer.reservations().first().ok_or_else(|| vanished(id, "is not there"))?;
        if reservation.owner_id() != Some(account.as_str()) {
            return Err(vanished(id, "belongs to another account than the finding says"));
        }
        let instance = reservation.instances().first().ok_or_else(|| vanished(id, "is not there"))?;
        let state = instance.state().and_then(|s| s.name()).map_or("unknown", |name| name.as_str()).to_owned();
        if state == "terminated" {
            return Err(vanished(id, "is terminated"));
        }
        let profile = instance.iam_instance_profile().and_then(|profile| profile.arn()).map(Arn::parse);
        let role = match profile {
            None => ProfileRole::NoProfile,
            Some(Err(error)) => ProfileRole::Unreadable(Unread::for_good(error.to_string())),
            Some(Ok(arn)) => pending(&arn, looked),
        };
        let quarantine = quarantine?;
        let interfaces =
            interfaces?.iter().map(|wire| Interface::folded(wire, &quarantine)).collect::<Option<Vec<_>>>();
        let mut found = Self {
            account: account.clone(),
            region: region.clone(),
            id: id.clone(),
            state,
            kind: instance.instance_type().map_or_else(String::new, |kind| kind.as_str().to_owned()),
            is_spot: instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot),
            node_of: node_of(instance),
            interfaces: interfaces.ok_or_else(|| {
                AwsError::incomplete("ec2:DescribeNetworkInterfaces", "an interface without usable ids")
            })?,
            tag: TagValue::folded(instance.tags()),
            tags: tags(instance),
            scaling,
            attributes: attributes.into_iter().zip(kept).collect(),
            volumes: volumes(account, region, id, instance),
            target_groups,
            profile: Association::folded(instance.iam_instance_profile())
                .ok_or_else(|| AwsError::incomplete(OPERATION, "a profile without usable ids")),
            role,
            around: None,
            aside: None,
        };
        found.around = Around::of(&found).known(hints.vpc, tables);
        Ok(found)
    }

    /// What guards must know before the cut, or `None` where that was read.
    pub fn around(&self) -> Option<Around> {
        self.around.is_none().then(|| Around::of(self))
    }

    /// One round towards the role and what stands under the name of our deny. A failure here is a fact, not an error: the
    /// cut stands without it.
    pub async fn advance(&mut self, aws: &Aws, incident: &IncidentId) {
        let aside = async {
            match &self.aside {
                None => Some(Aside::read(aws, self, incident).await),
                Some(_) => None,
            }
        };
        let (role, aside) = futures::join!(self.next_of_role(aws), aside);
        self.role = role.unwrap_or_else(|| self.role.clone());
        self.aside = aside.or_else(|| self.aside.take());
    }

    async fn next_of_role(&self, aws: &Aws) -> Option<ProfileRole> {
        let ProfileRole::Pending { profile, known } = &self.role else { return None };
        let next = match known {
            Some(role) => self.deny_of(aws, role.clone()).await,
            None => look_up(aws, profile).await.map(|(_, role)| match role {
                Some(role) => ProfileRole::Pending { profile: profile.clone(), known: Some(role) },
                None => ProfileRole::NoProfile,
            }),
        };
        Some(next.unwrap_or_else(|error| ProfileRole::Unreadable(Unread::from(&error))))
    }

    async fn deny_of(&self, aws: &Aws, (role, role_id, arn): (RoleName, RoleId, Arn)) -> Result<ProfileRole, AwsError> {
        // The session of an instance's role is called like the instance (EC2 user guide, IAM roles for Amazon EC2).
        let session = SessionName::parse(self.id.as_str());
        let session = session.map_err(|error| AwsError::incomplete("session name", &error.to_string()))?;
        let deny = SessionDeny { account: self.account.clone(), role, role_id, session };
        let state = deny.read_policy(aws).await?;
        Ok(ProfileRole::Known { deny, arn, state })
    }

    /// Of the instance itself: GuardDuty and policies name it so.
    pub fn arn(&self, partition: &crate::domain::Partition) -> Option<Arn> {
        Arn::parse(&format!("arn:{partition}:ec2:{}:{}:instance/{}", self.region, self.account, self.id)).ok()
    }
}

impl Interface {
    fn folded(wire: &NetworkInterface, ours: &HashMap<VpcId, OwnGroups>) -> Option<Self> {
        let vpc = VpcId::parse(wire.vpc_id()?).ok()?;
        let managed = wire.requester_managed() == Some(true);
        Some(Self {
            id: InterfaceId::parse(wire.network_interface_id()?).ok()?,
            groups: Groups::folded(wire.groups(), ours.get(&vpc))?,
            subnet: wire.subnet_id().and_then(|subnet| SubnetId::parse(subnet).ok()),
            addresses: addresses(wire),
            timeouts: Timeouts::folded(wire.connection_tracking_configuration()),
            checks_destination: wire.source_dest_check() != Some(false),
            is_trunk: wire.interface_type().is_some_and(|kind| kind.as_str() == "trunk"),
            vpc,
            managed_by: managed.then(|| wire.requester_id().unwrap_or("an AWS service").to_owned()),
        })
    }
}

fn addresses(wire: &NetworkInterface) -> Vec<IpAddr> {
    let v4 = wire.private_ip_addresses().iter().filter_map(|address| address.private_ip_address());
    let v6 = wire.ipv6_addresses().iter().filter_map(|address| address.ipv6_address());
    let mut found: Vec<IpAddr> = v4.chain(wire.private_ip_address()).chain(v6).filter_map(|a| a.parse().ok()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Volumes by device; those whose names are odd cannot be named in a call and are left out.
fn volumes(
    account: &AccountId,
    region: &Region,
    id: &InstanceId,
    wire: &WireInstance,
) -> Vec<(VolumeRetention, OnTermination)> {
    let one = |mapping: &aws_sdk_ec2::types::InstanceBlockDeviceMapping| {
        let target = VolumeRetention {
            account: account.clone(),
            region: region.clone(),
            instance: id.clone(),
            device: DeviceName::parse(mapping.device_name()?).ok()?,
            volume: VolumeId::parse(mapping.ebs()?.volume_id()?).ok()?,
        };
        Some((target, OnTermination::folded(mapping)))
    };
    wire.block_device_mappings().iter().filter_map(one).collect()
}

fn tags(wire: &WireInstance) -> Tags {
    let pair =
        |tag: &aws_sdk_ec2::types::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    wire.tags().iter().filter_map(pair).collect()
}

/// What EKS and ECS write on their nodes. A tag is anybody's, so it only ever makes Cordon ask.
fn node_of(wire: &WireInstance) -> Option<String> {
    let keys = wire.tags().iter().filter_map(|tag| tag.key());
    let is_node = |key: &&str| {
        key.starts_with("kubernetes.io/cluster/")
            || ["eks:cluster-name", "aws:eks:cluster-name", "AmazonECSManaged", "aws:ecs:clusterName"].contains(key)
    };
    keys.filter(is_node).map(|key| crate::domain::Text::new(key).to_string()).next()
}

async fn interfaces(aws: &Aws, region: &Region, id: &InstanceId) -> Result<Vec<NetworkInterface>, AwsError> {
    let filter = Filter::builder().name("attachment.instance-id").values(id.as_str()).build();
    let mut pages = aws.ec2(region).describe_network_interfaces().filters(filter).into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(interface) = pages.try_next().await.map_err(classify("ec2:DescribeNetworkInterfaces"))? {
        found.push(interface);
    }
    Ok(found)
}

/// What the hint's look-up is worth, now that the instance has said which profile it has.
fn pending(profile: &Arn, looked: Option<Looked>) -> ProfileRole {
    let Some(name) = profile.profile_name() else {
        return ProfileRole::Unreadable(Unread::for_good(format!("`{profile}` names no instance profile")));
    };
    match looked {
        Some(Ok((arn, role))) if arn == *profile => match role {
            Some(role) => ProfileRole::Pending { profile: name, known: Some(role) },
            None => ProfileRole::NoProfile,
        },
        _ => ProfileRole::Pending { profile: name, known: None },
    }
}

/// ARN of the profile and its role; a profile may have none.
async fn look_up(aws: &Aws, profile: &ProfileName) -> Looked {
    const OPERATION: &str = "iam:GetInstanceProfile";
    let answer = aws
        .iam()
        .get_instance_profile()
        .instance_profile_name(profile.as_str())
        .send()
        .await
        .map_err(classify(OPERATION))?;
    let found = answer.instance_profile().ok_or_else(|| AwsError::incomplete(OPERATION, "no profile"))?;
    let incomplete = || AwsError::incomplete(OPERATION, "ids of another grammar");
    let role = match found.roles().first() {
        None => None,
        Some(role) => {
            let name = RoleName::parse(role.role_name()).map_err(|_| incomplete())?;
            let id = RoleId::parse(role.role_id()).map_err(|_| incomplete())?;
            Some((name, id, Arn::parse(role.arn()).map_err(|_| incomplete())?))
        }
    };
    Ok((Arn::parse(found.arn()).map_err(|_| incomplete())?, role))
}

fn vanished(id: &InstanceId, why: &str) -> SurveyError {
    SurveyError::Vanished(format!("instance {id} {why}"))
}
