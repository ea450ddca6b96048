//! Security groups of one network interface.
//!
//! # What it does
//! Replaces all groups of the interface by the empty quarantine group of the interface's own VPC.
//! # Undo
//! Sets the groups that were there before, if the quarantine group is still what is there.
//! # Limits
//! Connections that were established before may go on: security groups do not cut tracked flows. DNS to the VPC resolver and
//! the instance metadata service are not filtered by security groups.

use super::{Action, Called, OWN_GROUP, OwnGroups, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, GroupId, InterfaceId, Region, VpcId},
};
use aws_config::retry::RetryConfig;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, time::Duration};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceGroups {
    pub account: AccountId,
    pub region: Region,
    pub vpc: VpcId,
    pub interface: InterfaceId,
}

/// The passage of a containment is over, and looked after, by then.
pub const PASSING: Duration = Duration::from_secs(120);

/// A set: AWS gives no order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Groups(pub BTreeSet<Group>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The registered group of that VPC, proven empty.
    Quarantine,
    /// The registered group of that VPC through which interfaces pass. Ours, and never where one may stay.
    Passage,
    Id(GroupId),
}

impl Action for InterfaceGroups {
    const NAME: &'static str = "ec2.interface.groups";
    const PERMISSIONS: Permissions = Permissions {
        reads: &["ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"],
        contains: &[
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:DescribeSecurityGroupRules",
            "ec2:CreateSecurityGroup",
            "ec2:CreateTags",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
        releases: &["ec2:ModifyNetworkInterfaceAttribute"],
    };
    const RELEASE: Release = Release::Restores;
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["ModifyNetworkInterfaceAttribute"];
    type State = Groups;

    fn resource(&self) -> &str {
        self.interface.as_str()
    }

    fn command(&self, to: &Groups) -> Option<String> {
        let id = |group: &Group| match group {
            Group::Id(id) => Some(id.to_string()),
            Group::Quarantine | Group::Passage => None,
        };
        let groups = to.0.iter().map(id).collect::<Option<Vec<_>>>()?.join(" ");
        let (region, interface) = (&self.region, &self.interface);
        Some(format!(
            "aws ec2 modify-network-interface-attribute --region {region} --network-interface-id {interface} --groups {groups}"
        ))
    }

    fn details(&self) -> Vec<String> {
        vec!["groupSet".to_owned()]
    }

    fn is_ours(now: &Groups) -> bool {
        *now == Groups::passage()
    }

    /// Passages are made right after the cut; later it is somebody else who opens by our group.
    fn is_due(now: &Groups, since: Duration) -> bool {
        Self::is_ours(now) && since < PASSING
    }

    fn calls(&self, to: &Groups) -> Vec<Called> {
        let said = to.0.iter().map(|group| match group {
            Group::Id(id) => id.to_string(),
            Group::Quarantine | Group::Passage => OWN_GROUP.to_owned(),
        });
        // On its way through the open group it is in one of ours too.
        vec![("ModifyNetworkInterfaceAttribute", said.collect())]
    }

    async fn read(&self, aws: &Aws) -> Result<Groups, AwsError> {
        const OPERATION: &str = "ec2:DescribeNetworkInterfaces";
        let ec2 = aws.ec2(&self.region);
        let (answer, ours) = futures::join!(
            ec2.describe_network_interfaces().network_interface_ids(self.interface.as_str()).send(),
            aws.own_groups(&self.account, &self.region),
        );
        let (answer, ours) = (answer.map_err(classify(OPERATION))?, ours?);
        let interface =
            answer.network_interfaces().first().ok_or_else(|| AwsError::incomplete(OPERATION, "no interface"))?;
        Groups::folded(interface.groups(), ours.get(&self.vpc))
            .ok_or_else(|| AwsError::incomplete(OPERATION, "a group id that is none"))
    }

    async fn apply(&self, aws: &Aws, to: &Groups) -> Result<(), AwsError> {
        let mut call =
            aws.ec2(&self.region).modify_network_interface_attribute().network_interface_id(self.interface.as_str());
        for group in &to.0 {
            call = call.groups(match group {
                Group::Id(id) => id.to_string(),
                Group::Quarantine => aws.ensure_quarantine(&self.account, &self.region, &self.vpc).await?.to_string(),
                Group::Passage => {
                    return Err(AwsError::incomplete("ec2:ModifyNetworkInterfaceAttribute", "nothing is left open"));
                }
            });
        }
        call.send().await.map(drop).map_err(classify("ec2:ModifyNetworkInterfaceAttribute"))
    }
}

impl InterfaceGroups {
    /// From quarantine through the open group and back, which ends connections that are tracked: under the open group EC2 tracks
    /// none, and back in quarantine none is let in anew (EC2 user guide, "Untracked connections"). Begins and ends in quarantine.
    ///
    /// # Errors
    /// Where it could not be put back; a read finds that, and a recheck.
    pub async fn pass(&self, aws: &Aws, open: &GroupId) -> Result<(), AwsError> {
        const OPERATION: &str = "ec2:ModifyNetworkInterfaceAttribute";
        let call = aws.ec2(&self.region).modify_network_interface_attribute();
        let call = call.network_interface_id(self.interface.as_str()).groups(open.as_str());
        // INVARIANT: sent once. A repeat could open it after it was closed again.
        let once = aws_sdk_ec2::Config::builder().retry_config(RetryConfig::disabled());
        let opened = call.customize().config_override(once).send().await.map(drop).map_err(classify(OPERATION));
        // Whatever came of it: back.
        self.apply(aws, &Groups::quarantine()).await?;
        opened
    }
}

impl Groups {
    pub fn quarantine() -> Self {
        Self([Group::Quarantine].into())
    }

    /// Where an interface is for a moment.
    pub fn passage() -> Self {
        Self([Group::Passage].into())
    }

    /// The one way from the wire to a state: the survey makes `before` with it, `read` makes what is compared with it.
    /// `None` if AWS named a group by something that is no group id.
    pub fn folded(wire: &[aws_sdk_ec2::types::GroupIdentifier], ours: Option<&OwnGroups>) -> Option<Self> {
        let fold = |id: &str| {
            let id = GroupId::parse(id).ok()?;
            let is = |group: Option<&GroupId>| group == Some(&id);
            Some(if is(ours.and_then(OwnGroups::empty_quarantine)) {
                Group::Quarantine
            } else if is(ours.and_then(|ours| ours.passage.as_ref()).map(|group| &group.id)) {
                Group::Passage
            } else {
                Group::Id(id)
            })
        };
        wire.iter().map(|group| group.group_id().and_then(fold)).collect::<Option<BTreeSet<_>>>().map(Self)
    }
}

impl fmt::Display for InterfaceGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.account, self.region, self.vpc, self.interface)
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, group) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("+")?;
            }
            match group {
                Group::Quarantine => f.write_str("quarantine")?,
                Group::Passage => f.write_str("passage")?,
                Group::Id(id) => write!(f, "{id}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::OwnGroup;
    use aws_sdk_ec2::types::GroupIdentifier;

    #[test]
    fn only_the_registered_group_that_is_empty_is_the_quarantine() {
        let wire =
            |ids: &[&str]| ids.iter().map(|id| GroupIdentifier::builder().group_id(*id).build()).collect::<Vec<_>>();
        let group = |id: &str, sound| Some(OwnGroup { id: GroupId::parse(id).unwrap(), sound });
        let ours = |sound| OwnGroups { quarantine: group("sg-0000aaaa", sound), passage: group("sg-0000cccc", sound) };
        for (ids, quarantine, shown) in [
            (&["sg-0000aaaa"][..], Some(ours(true)), Some("quarantine")),
            (&["sg-0000aaaa"], Some(ours(false)), Some("sg-0000aaaa")),
            (&["sg-0000aaaa"], None, Some("sg-0000aaaa")),
            (&["sg-0000bbbb"], Some(ours(true)), Some("sg-0000bbbb")),
            (&["sg-0000bbbb", "sg-0000aaaa"], Some(ours(true)), Some("quarantine+sg-0000bbbb")),
            (&["sg-0000bbbb", "sg-00000aab"], Some(ours(true)), Some("sg-00000aab+sg-0000bbbb")),
            (&["sg-0000cccc"], Some(ours(true)), Some("passage")),
            (&["sg-0000cccc"], Some(ours(false)), Some("passage")),
            (&["default"], Some(ours(true)), None),
        ] {
            let groups = Groups::folded(&wire(ids), quarantine.as_ref());
            assert_eq!(groups.as_ref().is_some_and(InterfaceGroups::is_ours), shown == Some("passage"));
            assert_eq!(groups.as_ref().map(ToString::to_string).as_deref(), shown, "{ids:?}");
            assert_eq!(groups == Some(Groups::quarantine()), shown == Some("quarantine"));
        }
    }
}
