"""What moto's Auto Scaling accepts or does that the real one does not."""

from contextlib import contextmanager

from mends import mend
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup


def members(backend, group_name, instance_ids, state):
    """The group and its members of these ids, each of which must be in this state of its life.

    EnterStandby and ExitStandby (Auto Scaling user guide, "Temporarily remove instances"): only an instance in the
    `InService` state can be put into standby, and only one in `Standby` can be put back.
    """
    group = backend.autoscaling_groups.get(group_name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{group_name}' not found")
    states = {each.instance.id: each.lifecycle_state for each in group.instance_states}
    for instance_id in instance_ids:
        if instance_id not in states:
            raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {group_name}.")
        if states[instance_id] != state:
            raise ValidationError(f"The instance {instance_id} is not in {state}.")
    return group


def sizes(group, doing, count):
    said = f"min-size={group.min_size}, max-size={group.max_size}, and desired-size={group.desired_capacity}"
    return ValidationError(
        f"AutoScalingGroup {group.name} has {said}. To {doing} {count} instance, "
        "please update the AutoScalingGroup sizes appropriately."
    )


@contextmanager
def without_standby(group):
    """Hides the members in standby from what looks at the members; they keep their place."""
    before = group.instance_states
    group.instance_states = [each for each in before if each.lifecycle_state != "Standby"]
    try:
        yield
    finally:
        now = group.instance_states
        kept = [each for each in before if each.lifecycle_state == "Standby" or each in now]
        group.instance_states = kept + [each for each in now if each not in before]


@mend(
    AutoScalingBackend,
    "enter_standby_instances",
    "self, group_name, instance_ids, should_decrement",
    relies_on=('instance_state.lifecycle_state = "Standby"', '{"Id": x, "Port": target_group.port}'),
)
def only_what_is_in_service_enters_standby(original):
    """Moto takes any instance again and again, goes below the least size, and leaves the instance in target groups.

    EnterStandby: instances can enter standby with a decrement "as long as the desired capacity of the Auto Scaling group
    after the instances are placed into standby is equal to or greater than the minimum capacity". User guide: "If there
    is a load balancer target group attached to your Auto Scaling group, the instance is deregistered".
    """

    def enter_standby_instances(self, group_name, instance_ids, should_decrement):
        group = members(self, group_name, instance_ids, "InService")
        if should_decrement and group.desired_capacity - len(instance_ids) < group.min_size:
            raise sizes(group, "place into standby", len(instance_ids))
        activities = original(self, group_name, instance_ids, should_decrement)
        for arn in group.target_group_arns:
            self.elbv2_backend.deregister_targets(arn, [{"Id": instance_id} for instance_id in instance_ids])
        return activities

    return enter_standby_instances


@mend(AutoScalingBackend, "exit_standby_instances", "self, group_name, instance_ids")
def only_what_is_in_standby_leaves_it(original):
    """Moto raises the desired capacity for an instance that was never in standby, and above the greatest size.

    ExitStandby: "After you put the instances back in service, the desired capacity is incremented"; a desired capacity is
    never above MaxSize (UpdateAutoScalingGroup). It is inferred that the call is refused then, as AttachInstances is.
    """

    def exit_standby_instances(self, group_name, instance_ids):
        group = members(self, group_name, instance_ids, "Standby")
        if group.desired_capacity + len(instance_ids) > group.max_size:
            raise sizes(group, "remove from standby", len(instance_ids))
        return original(self, group_name, instance_ids)

    return exit_standby_instances


@mend(
    FakeAutoScalingGroup,
    "set_desired_capacity",
    "self, new_capacity",
    relies_on=("][:count_to_remove]", "self.instance_states: list[InstanceState] = []"),
)
def standby_is_not_scaled_in(original):
    """Moto terminates the first member when the capacity falls, though it be one in standby, which does not count.

    User guide: instances in standby "are still part of the Auto Scaling group, but they do not actively handle load
    balancer traffic", and the group's capacity is that of the others.
    """

    def set_desired_capacity(self, new_capacity):
        with without_standby(self):
            return original(self, new_capacity)

    return set_desired_capacity


@mend(
    AutoScalingBackend,
    "update_attached_target_groups",
    "self, group_name",
    relies_on=("group_instance_ids = {state.instance.id for state in group.instance_states}",),
)
def standby_is_not_registered(original):
    """Moto registers every member with the attached target groups at each change, one in standby too."""

    def update_attached_target_groups(self, group_name):
        with without_standby(self.autoscaling_groups[group_name]):
            return original(self, group_name)

    return update_attached_target_groups
