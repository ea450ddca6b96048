"""What moto's EC2 overlooks when attributes of interfaces and instances are modified, and in the answer of a snapshot."""

from mends import MendError, mend
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.ec2.responses.instances import InstanceResponse

# ConnectionTrackingSpecificationRequest: the seconds that each time-out may have.
TRACKING = {"TcpEstablishedTimeout": (60, 432000), "UdpStreamTimeout": (60, 180), "UdpTimeout": (30, 60)}
# What a request names beside the one attribute that it modifies.
ENVELOPE = {"Action", "Version", "DryRun", "NetworkInterfaceId", "InstanceId", "Value"}
# The attributes of an interface that moto modifies; the others it would silently leave as they are.
KNOWN = {"Groups", "SourceDestCheck", "Description"}


def the_attribute(response):
    """Modify…Attribute: "You can specify only one attribute at a time." Moto takes one and overlooks the others."""
    named = sorted(set(response._get_params()) - ENVELOPE)
    if len(named) > 1:
        said = f"Fields for multiple attribute types specified: {', '.join(named)}"
        raise EC2ClientError("InvalidParameterCombination", said)
    if not named:
        raise EC2ClientError("InvalidParameterCombination", "No attributes specified.")
    return named[0]


@mend(
    ElasticNetworkInterfaces,
    "modify_network_interface_attribute",
    "self",
    relies_on=('source_dest_check = self._get_param("SourceDestCheck.Value")',),
)
def the_tracking_timeouts_of_an_interface_are_kept(original):
    """Moto answers success and forgets them, as it does the deletion of an attachment with its instance.

    ModifyNetworkInterfaceAttribute, `ConnectionTrackingSpecification`; DescribeNetworkInterfaces and DescribeInstances
    show them as `ConnectionTrackingConfiguration`. The ranges are those of ConnectionTrackingSpecificationRequest. That an
    interface shows only what was set is inferred.
    """

    def modify_network_interface_attribute(self):
        attribute = the_attribute(self)
        if attribute in KNOWN:
            return original(self)
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        if attribute == "ConnectionTrackingSpecification":
            wanted = {name: int(seconds) for name, seconds in self._get_param(attribute).items()}
            for name, seconds in wanted.items():
                least, most = TRACKING[name]
                if not least <= seconds <= most:
                    raise EC2ClientError(
                        "InvalidParameterValue", f"Value ({seconds}) for parameter {name} is not in {least}-{most}"
                    )
            self.error_on_dryrun()
            held = getattr(interface, "connection_tracking_configuration", {})
            interface.connection_tracking_configuration = held | wanted
        elif attribute == "Attachment":
            change = self._get_param(attribute)
            if interface.attachment_id is None or change.get("AttachmentId") != interface.attachment_id:
                identifier = change.get("AttachmentId")
                raise EC2ClientError("InvalidAttachmentID.NotFound", f"The attachment '{identifier}' does not exist")
            self.error_on_dryrun()
            if "DeleteOnTermination" in change:
                interface.delete_on_termination = change["DeleteOnTermination"]
        else:
            raise NotImplementedError(f"modify_network_interface_attribute: {attribute}")
        return EmptyResult()

    return modify_network_interface_attribute


@mend(
    InstanceResponse,
    "modify_instance_attribute",
    "self",
    relies_on=("block_device_type = instance.block_device_mapping[device_name]",),
)
def an_instance_changes_one_attribute_at_a_time(original):
    """Moto fails with 500 on a device that is not there; EC2 answers InvalidInstanceAttributeValue."""

    def modify_instance_attribute(self):
        if the_attribute(self) == "BlockDeviceMappings":
            instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
            for mapping in self._get_param("BlockDeviceMappings"):
                device = mapping.get("DeviceName")
                if device not in instance.block_device_mapping:
                    raise EC2ClientError(
                        "InvalidInstanceAttributeValue", f"No device is currently mapped at {device}"
                    )
        return original(self)

    return modify_instance_attribute


@mend(
    Instance,
    "__init__",
    "self, ec2_backend, image_id, user_data, security_groups, kwargs",
    relies_on=("self.source_dest_check = True", "self.nics: dict[int, NetworkInterface] = {}"),
)
def an_instance_has_the_source_dest_check_of_its_primary_interface(original):
    """Moto keeps a second value on the instance, so that a router by its interface looks like none.

    EC2 has one: DescribeInstances' `SourceDestCheck` and ModifyInstanceAttribute's are those of the primary interface.
    """
    if hasattr(Instance, "source_dest_check"):
        raise MendError("moto.ec2.models.instances.Instance.source_dest_check: already a class attribute")

    def read(self):
        primary = getattr(self, "nics", {}).get(0)
        return True if primary is None else primary.source_dest_check

    def write(self, value):
        primary = getattr(self, "nics", {}).get(0)
        if primary is not None:
            primary.source_dest_check = value in (True, "true", "True")

    Instance.source_dest_check = property(read, write)
    return original


@mend(ElasticBlockStore, "create_snapshots", "self", relies_on=('ActionResult({"Snapshots": snapshots})',))
def snapshots_start_pending_and_may_copy_the_tags(original):
    """Moto's answer has no `State`, which SnapshotInfo has, and CopyTagsFromSource does nothing.

    CreateSnapshots: "Crash-consistent", asynchronous, so `pending`; moto's DescribeSnapshots says `completed` at once.
    `CopyTagsFromSource`: "Copies the tags from the specified volume to corresponding snapshot."
    """

    def create_snapshots(self):
        snapshots = original(self).result["Snapshots"]
        if self._get_param("CopyTagsFromSource") == "volume":
            for snapshot in snapshots:
                own = {tag["key"]: tag["value"] for tag in snapshot.get_tags()}
                copied = {tag["key"]: tag["value"] for tag in snapshot.volume.get_tags()}
                snapshot.add_tags(copied | own)
        started = [
            {
                "SnapshotId": snapshot.id,
                "VolumeId": snapshot.volume_id,
                "VolumeSize": snapshot.volume_size,
                "State": "pending",
                "Progress": "",
                "StartTime": snapshot.start_time,
                "OwnerId": snapshot.owner_id,
                "Encrypted": snapshot.encrypted,
                "Description": snapshot.description,
                "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in snapshot.get_tags()],
            }
            for snapshot in snapshots
        ]
        return ActionResult({"Snapshots": started})

    return create_snapshots
