"""What moto's Elastic Load Balancing reports or accepts that the real one does not."""

from mends import mend
from moto.elbv2.exceptions import TargetNotRunning, ValidationError
from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

# DescribeTargetGroups: "The maximum number of results to return with this call", 400 at most.
PAGE = 400


def registration(group, target):
    """Moto knows a target by its id alone; it is the id with a port, the group's unless the request overrides it.

    RegisterTargets: "You can register each EC2 instance or IP address with the same target group multiple times using
    different ports."
    """
    return f"{target['Id']}:{target.get('Port', group.port)}"


@mend(
    FakeTargetGroup,
    "register",
    "self, targets",
    relies_on=("self.deregistered_targets: dict[str, dict[str, Any]] = OrderedDict()",),
)
def a_target_is_registered_once_for_each_port(_original):
    """Moto lets a second port take the place of the first."""

    def register(self, targets):
        for target in targets:
            instance = self.ec2_backend.get_instance_by_id(target["Id"])
            if instance and instance.state != "running":
                raise TargetNotRunning(instance_id=target["Id"])
            self.targets[registration(self, target)] = {"Id": target["Id"], "Port": target.get("Port", self.port)}

    return register


@mend(FakeTargetGroup, "deregister", "self, targets", relies_on=('self.targets.pop(target["Id"], None)',))
def deregistering_takes_the_port_and_may_be_repeated(_original):
    """Moto overlooks the port, and answers InvalidTarget for a target that is not there.

    DeregisterTargets: "If the specified target does not exist, the action returns successfully." CLI reference,
    deregister-targets: "If the target was registered with a port override, specify both the target ID and the port."
    """

    def deregister(self, targets):
        for target in targets:
            self.targets.pop(registration(self, target), None)

    return deregister


@mend(FakeTargetGroup, "deregister_terminated_instances", "self, instance_ids")
def a_terminated_instance_leaves_with_all_its_ports(_original):
    """The same key in the third place where moto uses it."""

    def deregister_terminated_instances(self, instance_ids):
        for key, target in list(self.targets.items()):
            if target["Id"] in instance_ids:
                self.terminated_targets[key] = self.targets.pop(key)

    return deregister_terminated_instances


@mend(
    FakeTargetGroup,
    "health_for",
    "self, target, ec2_backend",
    relies_on=("targets = list(target_group.targets.values())",),
)
def health_is_that_of_one_registration(_original):
    """Moto says `unavailable` of an address that is not registered, and `healthy` where no balancer looks.

    TargetHealth, `Reason`: `Target.NotRegistered` and `Target.NotInUse` ("The target group is not used by any load
    balancer") belong to the state `unused`. A deregistered target is `draining` in AWS for a while; here it is not.
    """

    def health_for(self, target, ec2_backend):
        key, port = registration(self, target), target.get("Port", self.port)

        def health(state, *why):
            return FakeHealthStatus(target["Id"], port, self.health_check_port, state, *why)

        if key in self.terminated_targets and key not in self.targets:
            why = ("Target.DeregistrationInProgress", "Target deregistration is in progress")
            return health("draining", *why)
        if key not in self.targets:
            why = ("Target.NotRegistered", "Target is not registered to the target group")
            return health("unused", *why)
        instance = ec2_backend.get_instance_by_id(target["Id"])
        if instance and instance.state == "stopped":
            return health("unused", "Target.InvalidState", "Target is in the stopped state")
        if not self.load_balancer_arns:
            why = ("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
            return health("unused", *why)
        return health("healthy")

    return health_for


@mend(
    ELBV2Response,
    "describe_target_groups",
    "self",
    relies_on=('result = {"TargetGroups": target_groups}',),
)
def target_groups_come_in_pages(original):
    """Moto overlooks PageSize and Marker, so a product that reads the first page only would pass."""

    def describe_target_groups(self):
        answer = original(self)
        listed, size = list(answer.result["TargetGroups"]), self._get_int_param("PageSize", PAGE)
        marker, arns = self._get_param("Marker"), [group.arn for group in listed]
        if marker is not None and marker not in arns:
            raise ValidationError(f"Invalid marker '{marker}'")
        first = arns.index(marker) + 1 if marker is not None else 0
        page = listed[first : first + size]
        answer.result["TargetGroups"] = page
        if first + size < len(listed):
            answer.result["NextMarker"] = page[-1].arn
        return answer

    return describe_target_groups
