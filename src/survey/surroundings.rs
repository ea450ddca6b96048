//! What is around an instance: who sends to it, who routes through it, which way its connections take. One round, read beside the
//! journal write, because guards must know of it before the cut.

use super::{Instance, Interface};
use crate::{
    actions::{
        Action, Logged, Registration, Snapshots, SsmSession, Taken, TargetRegistration, flow_logs, open_sessions,
    },
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, IncidentId, InstanceId, InterfaceId, Region, SubnetId, TargetId, VpcId},
};
use aws_sdk_ec2::types::{Filter, Route, RouteTable, VpcEndpointType};
use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, TargetGroup as WireGroup, TargetHealthDescription, TargetHealthStateEnum, TargetTypeEnum,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;

/// Each part by itself: what could not be read is a fact too.
#[derive(Clone, Debug, PartialEq)]
pub struct Surroundings {
    pub registrations: Result<Vec<Registered>, AwsError>,
    pub routes: Result<Routes, AwsError>,
}

/// What only later stages and the report need.
#[derive(Clone, Debug, PartialEq)]
pub struct Aside {
    /// Interface endpoints of its VPCs, by service.
    pub endpoints: Result<BTreeSet<String>, AwsError>,
    /// Of this incident.
    pub snapshots: Result<Taken, AwsError>,
    /// Open by SSM's Session Manager.
    pub sessions: Result<Vec<SsmSession>, AwsError>,
    /// Whether the instance type is of the Nitro system.
    pub nitro: Result<bool, AwsError>,
    /// Of its networks and of all others in the region.
    pub flow_logs: Result<Vec<Logged>, AwsError>,
}

/// A target group that the instance is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    pub target: TargetRegistration,
    pub state: Registration,
    /// Whether it is the only one there that is healthy.
    pub is_only_healthy: bool,
    /// Network load balancers keep their flows, whatever the security groups say.
    pub by_network_balancer: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    /// Where each interface's subnet sends what is for nobody nearby.
    pub ways: Vec<(InterfaceId, DefaultRoute)>,
    /// Route tables that send to the instance.
    pub through_it: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DefaultRoute {
    Internet,
    /// By something that always tracks connections, named.
    Tracked(String),
    Nowhere,
}

/// A target group as the survey finds it, before anybody asks for its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    arn: Arn,
    vpc: VpcId,
    by_network_balancer: bool,
}

/// All that is needed to look around; taken from the facts so that it can be read beside others.
#[derive(Clone, Debug)]
pub struct Around {
    account: AccountId,
    region: Region,
    instance: InstanceId,
    interfaces: Vec<Interface>,
    groups: Result<Vec<TargetGroup>, AwsError>,
}

/// More groups than this are not asked one by one in the time that containment has.
const MOST_GROUPS: usize = 100;
/// Requests at a time: the API allows some tens a second.
const AT_ONCE: usize = 25;

/// Target groups that send to instances or addresses, in the whole region; no instance need be known.
pub async fn target_groups(aws: &Aws, region: &Region) -> Result<Vec<TargetGroup>, AwsError> {
    let mut pages = aws.elbv2(region).describe_target_groups().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(group) = pages.try_next().await.map_err(classify("elasticloadbalancing:DescribeTargetGroups"))? {
        found.extend(TargetGroup::folded(&group));
    }
    Ok(found)
}

impl TargetGroup {
    /// `None` for groups of functions and of other balancers, which no instance is in.
    fn folded(wire: &WireGroup) -> Option<Self> {
        let is_ours = matches!(wire.target_type(), Some(TargetTypeEnum::Instance | TargetTypeEnum::Ip));
        let network = [ProtocolEnum::Tcp, ProtocolEnum::TcpUdp, ProtocolEnum::Tls, ProtocolEnum::Udp];
        Some(Self {
            arn: Arn::parse(wire.target_group_arn().filter(|_| is_ours)?).ok()?,
            vpc: VpcId::parse(wire.vpc_id()?).ok()?,
            by_network_balancer: wire.protocol().is_some_and(|protocol| network.contains(protocol)),
        })
    }
}

impl Around {
    pub fn of(instance: &Instance) -> Self {
        Self {
            account: instance.account.clone(),
            region: instance.region.clone(),
            instance: instance.id.clone(),
            interfaces: instance.interfaces.clone(),
            groups: instance.target_groups.clone(),
        }
    }

    pub async fn look(&self, aws: &Aws) -> Surroundings {
        let (registrations, routes) = futures::join!(self.registrations(aws), self.routes(aws));
        Surroundings { registrations, routes }
    }

    /// What is known without a look: where no target group is in its VPCs, and the hint for its route tables was right.
    pub fn known(
        &self,
        vpc: Option<&VpcId>,
        tables: Option<Result<Vec<RouteTable>, AwsError>>,
    ) -> Option<Surroundings> {
        let vpcs = self.vpcs();
        let no_groups = self.groups.as_ref().is_ok_and(|groups| !groups.iter().any(|group| vpcs.contains(&group.vpc)));
        let is_right = vpcs.iter().all(|known| Some(*known) == vpc);
        let tables = tables?.ok()?;
        let routes = Ok(self.routes_of(&tables));
        (no_groups && is_right).then_some(Surroundings { registrations: Ok(Vec::new()), routes })
    }

    fn vpcs(&self) -> BTreeSet<&VpcId> {
        self.interfaces.iter().map(|interface| &interface.vpc).collect()
    }

    async fn registrations(&self, aws: &Aws) -> Result<Vec<Registered>, AwsError> {
        const OPERATION: &str = "elasticloadbalancing:DescribeTargetHealth";
        let vpcs = self.vpcs();
        let groups: Vec<&TargetGroup> = match &self.groups {
            Ok(groups) => groups.iter().filter(|group| vpcs.contains(&group.vpc)).collect(),
            Err(error) => return Err(error.clone()),
        };
        if groups.len() > MOST_GROUPS {
            let why =
                format!("{} target groups in its VPC, more than the {MOST_GROUPS} that are looked into", groups.len());
            return Err(AwsError::incomplete(OPERATION, &why));
        }
        let client = aws.elbv2(&self.region);
        let one = |group: &TargetGroup| {
            let (call, group) = (client.describe_target_health().target_group_arn(group.arn.as_str()), group.clone());
            async move {
                match call.send().await.map_err(classify(OPERATION)) {
                    Ok(answer) => Ok(self.registered(&group, answer.target_health_descriptions())),
                    // It went away meanwhile.
                    Err(AwsError::NotFound { .. }) => Ok(Vec::new()),
                    Err(error) => Err(error),
                }
            }
        };
        let found: Vec<Vec<Registered>> =
            stream::iter(groups.into_iter().map(one)).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    fn registered(&self, group: &TargetGroup, targets: &[TargetHealthDescription]) -> Vec<Registered> {
        let is_ours = |id: &str| {
            id == self.instance.as_str()
                || id.parse().is_ok_and(|id| self.interfaces.iter().any(|interface| interface.addresses.contains(&id)))
        };
        let id = |target: &TargetHealthDescription| target.target().map(|t| t.id().unwrap_or_default().to_owned());
        let healthy = |target: &TargetHealthDescription| {
            target.target_health().and_then(|health| health.state()) == Some(&TargetHealthStateEnum::Healthy)
        };
        let (ours, others): (Vec<_>, Vec<_>) =
            targets.iter().partition(|target| id(target).is_some_and(|id| is_ours(&id)));
        let is_alone = !others.iter().any(|target| healthy(target));
        let one = |found: &TargetHealthDescription| {
            let (target, health) = (found.target()?, found.target_health());
            let target = TargetRegistration {
                account: self.account.clone(),
                region: self.region.clone(),
                group: group.arn.clone(),
                id: TargetId::parse(target.id()?).ok()?,
                port: target.port()?,
                zone: target.availability_zone().map(str::to_owned),
            };
            Some(Registered {
                target,
                state: Registration::folded(health.and_then(|h| h.state()), health.and_then(|h| h.reason())),
                is_only_healthy: healthy(found) && is_alone,
                by_network_balancer: group.by_network_balancer,
            })
        };
        ours.into_iter().filter_map(one).collect()
    }

    async fn routes(&self, aws: &Aws) -> Result<Routes, AwsError> {
        let tables = route_tables(aws, &self.region, self.vpcs()).await?;
        Ok(self.routes_of(&tables))
    }

    fn routes_of(&self, tables: &[RouteTable]) -> Routes {
        let to_us = |route: &Route| {
            route.instance_id() == Some(self.instance.as_str())
                || self.interfaces.iter().any(|i| route.network_interface_id() == Some(i.id.as_str()))
        };
        let through = tables.iter().filter(|table| table.routes().iter().any(to_us));
        let ways = self.interfaces.iter().map(|interface| {
            let way = table_of(tables, interface.subnet.as_ref(), &interface.vpc)
                .map_or(DefaultRoute::Nowhere, default_route);
            (interface.id.clone(), way)
        });
        Routes {
            ways: ways.collect(),
            through_it: through.filter_map(|table| table.route_table_id().map(str::to_owned)).collect(),
        }
    }
}

impl Aside {
    /// One round.
    pub async fn read(aws: &Aws, instance: &Instance, incident: &IncidentId) -> Self {
        let snapshots = Snapshots {
            account: instance.account.clone(),
            region: instance.region.clone(),
            instance: instance.id.clone(),
            volumes: instance.volumes.iter().map(|(volume, _)| volume.volume.clone()).collect(),
            incident: incident.clone(),
        };
        let (endpoints, snapshots, sessions, nitro, flow_logs) = futures::join!(
            endpoints(aws, instance),
            snapshots.read(aws),
            open_sessions(aws, &instance.account, &instance.region, &instance.id),
            nitro(aws, instance),
            flow_logs(aws, &instance.region, None)
        );
        Self { endpoints, snapshots, sessions, nitro, flow_logs }
    }
}

async fn endpoints(aws: &Aws, instance: &Instance) -> Result<BTreeSet<String>, AwsError> {
    let vpcs = instance.interfaces.iter().map(|interface| &interface.vpc);
    let call = aws.ec2(&instance.region).describe_vpc_endpoints().filters(in_vpcs(vpcs));
    let mut pages = call.into_paginator().items().send();
    let mut found = BTreeSet::new();
    while let Some(endpoint) = pages.try_next().await.map_err(classify("ec2:DescribeVpcEndpoints"))? {
        if endpoint.vpc_endpoint_type() == Some(&VpcEndpointType::Interface) {
            found.extend(endpoint.service_name().map(str::to_owned));
        }
    }
    Ok(found)
}

async fn nitro(aws: &Aws, instance: &Instance) -> Result<bool, AwsError> {
    let kind = aws_sdk_ec2::types::InstanceType::from(instance.kind.as_str());
    let answer = aws.ec2(&instance.region).describe_instance_types().instance_types(kind).send().await;
    let answer = answer.map_err(classify("ec2:DescribeInstanceTypes"))?;
    let hypervisor = answer.instance_types().first().and_then(|found| found.hypervisor());
    Ok(hypervisor.is_some_and(|hypervisor| hypervisor.as_str() == "nitro"))
}

fn in_vpcs<'v>(vpcs: impl IntoIterator<Item = &'v VpcId>) -> Filter {
    let ids: BTreeSet<String> = vpcs.into_iter().map(|vpc| vpc.as_str().to_owned()).collect();
    Filter::builder().name("vpc-id").set_values(Some(ids.into_iter().collect())).build()
}

/// All route tables of the VPCs.
pub async fn route_tables<'v>(
    aws: &Aws,
    region: &Region,
    vpcs: impl IntoIterator<Item = &'v VpcId>,
) -> Result<Vec<RouteTable>, AwsError> {
    let mut pages = aws.ec2(region).describe_route_tables().filters(in_vpcs(vpcs)).into_paginator().items().send();
    let mut tables = Vec::new();
    while let Some(table) = pages.try_next().await.map_err(classify("ec2:DescribeRouteTables"))? {
        tables.push(table);
    }
    Ok(tables)
}

impl Surroundings {
    /// The first part that could not be read, and that asking again may give.
    pub fn passing(&self) -> Option<&AwsError> {
        let errors = [self.registrations.as_ref().err(), self.routes.as_ref().err()];
        errors.into_iter().flatten().find(|error| error.is_passing())
    }
}

/// The table of the subnet: its own, or the main one of the VPC.
fn table_of<'t>(tables: &'t [RouteTable], subnet: Option<&SubnetId>, vpc: &VpcId) -> Option<&'t RouteTable> {
    let own = |table: &&RouteTable| {
        subnet.is_some_and(|subnet| table.associations().iter().any(|a| a.subnet_id() == Some(subnet.as_str())))
    };
    let main = |table: &&RouteTable| {
        table.vpc_id() == Some(vpc.as_str()) && table.associations().iter().any(|a| a.main() == Some(true))
    };
    tables.iter().find(own).or_else(|| tables.iter().find(main))
}

/// Of IPv4 and IPv6, what tracks counts more: it is what the cut does not end.
fn default_route(table: &RouteTable) -> DefaultRoute {
    let is_default = |route: &&Route| {
        route.destination_cidr_block() == Some("0.0.0.0/0") || route.destination_ipv6_cidr_block() == Some("::/0")
    };
    let mut way = DefaultRoute::Nowhere;
    for route in table.routes().iter().filter(is_default) {
        let tracked = [
            route.nat_gateway_id(),
            route.egress_only_internet_gateway_id(),
            route.transit_gateway_id(),
            route.carrier_gateway_id(),
            route.local_gateway_id(),
            route.vpc_peering_connection_id(),
            route.network_interface_id(),
            route.gateway_id().filter(|id| !id.starts_with("igw-")),
        ];
        match tracked.into_iter().flatten().next() {
            Some(id) => return DefaultRoute::Tracked(id.to_owned()),
            None if route.gateway_id().is_some() => way = DefaultRoute::Internet,
            None => {}
        }
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::RouteTableAssociation;

    fn table(id: &str, subnet: Option<&str>, routes: Vec<Route>) -> RouteTable {
        let association =
            RouteTableAssociation::builder().main(subnet.is_none()).set_subnet_id(subnet.map(str::to_owned));
        let table = RouteTable::builder().route_table_id(id).vpc_id("vpc-0000000a").associations(association.build());
        table.set_routes(Some(routes)).build()
    }

    #[test]
    fn the_way_out_is_the_default_route_of_the_subnets_own_table() {
        let v4 = || Route::builder().destination_cidr_block("0.0.0.0/0");
        let v6 = || Route::builder().destination_ipv6_cidr_block("::/0");
        let near = Route::builder().destination_cidr_block("10.0.0.0/8").nat_gateway_id("nat-1").build();
        let tracked = |id: &str| DefaultRoute::Tracked(id.to_owned());
        for (routes, expected) in [
            (vec![], DefaultRoute::Nowhere),
            (vec![near.clone()], DefaultRoute::Nowhere),
            (vec![near, v4().gateway_id("igw-1").build()], DefaultRoute::Internet),
            (vec![v4().nat_gateway_id("nat-1").build()], tracked("nat-1")),
            (vec![v4().gateway_id("vpce-1").build()], tracked("vpce-1")),
            (vec![v4().transit_gateway_id("tgw-1").build()], tracked("tgw-1")),
            (vec![v6().gateway_id("igw-1").build()], DefaultRoute::Internet),
            (
                vec![v4().gateway_id("igw-1").build(), v6().egress_only_internet_gateway_id("eigw-1").build()],
                tracked("eigw-1"),
            ),
        ] {
            assert_eq!(default_route(&table("rtb-1", None, routes.clone())), expected, "{routes:?}");
        }
        let tables = [
            table("rtb-main", None, vec![v4().nat_gateway_id("nat-1").build()]),
            table("rtb-own", Some("subnet-0000000a"), vec![v4().gateway_id("igw-1").build()]),
        ];
        let vpc = VpcId::parse("vpc-0000000a").unwrap();
        for (subnet, expected) in [("subnet-0000000a", Some("rtb-own")), ("subnet-0000000b", Some("rtb-main"))] {
            let subnet = SubnetId::parse(subnet).unwrap();
            assert_eq!(table_of(&tables, Some(&subnet), &vpc).and_then(RouteTable::route_table_id), expected);
        }
    }
}
