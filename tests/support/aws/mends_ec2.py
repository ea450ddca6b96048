"""What moto's EC2 reports or accepts that the real one does not."""

from mends import MendError, mend
from moto.core.serialize import return_if_not_empty
from moto.ec2.exceptions import (
    DependencyViolationError,
    EC2ClientError,
    InvalidSecurityGroupNotFoundError,
)
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.iam_instance_profile import IamInstanceProfileAssociation
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.instances import InstanceResponse

# The hard ceiling of "security groups per network interface" (VPC user guide, quotas); an account's default is lower.
GROUPS_PER_INTERFACE = 16


def check_groups(backend, group_ids, vpc_id):
    """Refuses what ModifyNetworkInterfaceAttribute refuses (EC2 API reference, error codes)."""
    if len(group_ids) > GROUPS_PER_INTERFACE:
        raise EC2ClientError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            f"The maximum number of security groups per interface is {GROUPS_PER_INTERFACE}",
        )
    for group_id in group_ids:
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise InvalidSecurityGroupNotFoundError(group_id)
        if group.vpc_id != vpc_id:
            raise EC2ClientError(
                "InvalidGroup.NotFound",
                f"The security group '{group_id}' does not exist in VPC '{vpc_id}'",
            )


@mend(NetworkInterface, "group_set", "self", relies_on=("set(self._group_set) | set(self.instance.security_groups)",))
def an_interface_has_its_own_groups_only(_original):
    """Moto adds the groups of the instance, so a quarantined interface looks as if it kept its old groups.

    DescribeNetworkInterfaces: `Groups` are "any security groups for the network interface", whatever it is attached to.
    """
    return property(lambda self: self._group_set)


@mend(
    Instance,
    "__init__",
    "self, ec2_backend, image_id, user_data, security_groups, kwargs",
    relies_on=("self.security_groups = security_groups", "self.nics: dict[int, NetworkInterface] = {}"),
)
def an_instance_has_the_groups_of_its_primary_interface(original):
    """Moto keeps a second list on the instance, which stays old when the interface changes and the other way round.

    EC2 has one: a change of the primary interface (device index 0) shows in DescribeInstances' `SecurityGroups`, and
    ModifyInstanceAttribute with groups changes that interface.
    """
    if hasattr(Instance, "security_groups"):
        raise MendError("moto.ec2.models.instances.Instance.security_groups: already a class attribute")

    def read(self):
        primary = getattr(self, "nics", {}).get(0)
        return self.launch_groups if primary is None else primary._group_set

    def write(self, groups):
        self.launch_groups = groups
        primary = getattr(self, "nics", {}).get(0)
        if primary is not None:
            primary._group_set = groups

    Instance.security_groups = property(read, write)
    return original


@mend(
    NetworkInterfaceBackend,
    "modify_network_interface_attribute",
    "self, eni_id, group_ids, source_dest_check, description",
)
def groups_of_an_interface_are_checked(original):
    """Moto stores None for an unknown group and takes groups of other VPCs, and any number of them."""

    def modify_network_interface_attribute(self, eni_id, group_ids, source_dest_check=None, description=None):
        check_groups(self, group_ids, self.get_network_interface(eni_id).vpc_id)
        return original(self, eni_id, group_ids, source_dest_check, description)

    return modify_network_interface_attribute


@mend(InstanceBackend, "modify_instance_security_groups", "self, instance_id, new_group_id_list")
def groups_of_an_instance_with_more_interfaces_are_refused(original):
    """Moto changes the instance; EC2 asks for the interface, which is the mistake most responders make.

    ModifyInstanceAttribute answers InvalidInstanceID "There are multiple interfaces attached to instance"
    (hashicorp/terraform#14299).
    """

    def modify_instance_security_groups(self, instance_id, new_group_id_list):
        instance = self.get_instance(instance_id)
        if len(instance.nics) > 1:
            raise EC2ClientError(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{instance_id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        check_groups(self, new_group_id_list, instance.vpc_id)
        return original(self, instance_id, new_group_id_list)

    return modify_instance_security_groups


@mend(
    InstanceResponse,
    "_dot_value_instance_attribute_handler",
    "self",
    relies_on=("def _security_grp_instance_attribute_handler", '"DisableApiStop",'),
)
def the_shutdown_behaviour_can_be_set(original):
    """Moto lacks `InstanceInitiatedShutdownBehavior.Value`, and its last resort then empties the instance's groups.

    ModifyInstanceAttribute takes it like every other attribute in the structured form, which is the SDK's.
    """

    def _dot_value_instance_attribute_handler(self):
        behaviour = self._get_param("InstanceInitiatedShutdownBehavior.Value")
        if behaviour is None:
            return original(self)
        self.error_on_dryrun()
        self.ec2_backend.modify_instance_attribute(
            self._get_param("InstanceId"), "instance_initiated_shutdown_behavior", behaviour
        )
        return True

    return _dot_value_instance_attribute_handler


@mend(InstanceResponse, "_security_grp_instance_attribute_handler", "self")
def an_attribute_moto_lacks_does_not_empty_the_groups(original):
    """Moto's last resort takes every request for a change of groups; without groups it must say that it cannot."""

    def _security_grp_instance_attribute_handler(self):
        return bool(self._get_param("Groups", [])) and original(self)

    return _security_grp_instance_attribute_handler


@mend(SecurityGroupBackend, "delete_security_group", "self, name, group_id", relies_on=("self.groups[vpc_id].pop",))
def a_group_in_use_cannot_be_deleted(original):
    """Moto deletes it and leaves the interface with a group that is gone.

    DeleteSecurityGroup: "If you attempt to delete a security group that is associated with an instance or network
    interface [...] the operation fails with DependencyViolation".
    """

    def delete_security_group(self, name=None, group_id=None):
        for interface in self.enis.values():
            gone = interface.instance is not None and interface.instance.state == "terminated"
            if not gone and any(group.id == group_id for group in interface._group_set):
                raise DependencyViolationError(f"resource {group_id} has a dependent object")
        return original(self, name, group_id)

    return delete_security_group


@mend(
    IamInstanceProfileAssociation,
    "__init__",
    "self, ec2_backend, association_id, instance, iam_instance_profile",
    relies_on=('{"Arn": self.iam_instance_profile.arn, "Id": association_id}',),
)
def an_instance_names_its_profile_by_the_profiles_id(original):
    """Moto puts the id of the association where DescribeInstances has "the ID of the instance profile"."""

    def __init__(self, ec2_backend, association_id, instance, iam_instance_profile):
        original(self, ec2_backend, association_id, instance, iam_instance_profile)
        instance.iam_instance_profile = {"Arn": iam_instance_profile.arn, "Id": iam_instance_profile.id}

    return __init__


@mend(
    EC2BaseResponse,
    "RESPONSE_KEY_PATH_TO_TRANSFORMER",
    "",
    relies_on=('NetworkInterfaces.NetworkInterface.Association": return_if_not_empty',),
)
def an_interface_without_a_public_address_has_no_association(original):
    """Moto's DescribeInstances reports an empty association, its DescribeNetworkInterfaces rightly none."""
    return original | {"NetworkInterfaces.InstanceNetworkInterface.Association": return_if_not_empty}
