"""What moto's EC2 overlooks in rules of groups, in network ACLs and in flow logs."""

from ipaddress import ip_network

from mends import mend
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidNetworkAclIdError,
    InvalidSecurityGroupRuleIdNotFoundError,
)
from moto.ec2.models.flow_logs import FlowLogsBackend
from moto.ec2.models.network_acls import NetworkAclBackend
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule
from moto.ec2.responses.network_acls import NetworkACLs
from moto.ec2.responses.security_groups import SecurityGroups

# VPC user guide, quotas, "Rules per network ACL": for each direction, the default deny rule included.
ACL_ENTRIES = 20
# CreateNetworkAclEntry, `RuleNumber`: "Positive integer from 1 to 32766."
ACL_NUMBERS = range(1, 32767)


def canonical(block):
    """`100.68.0.18/18` is `100.68.0.0/18`; what is no block at all is left to moto's own checks."""
    try:
        return str(ip_network(block, strict=False))
    except ValueError:
        return block


@mend(
    SecurityGroupRule,
    "__init__",
    "self, ec2_backend, ip_protocol, group_id, from_port, to_port, ip_range, source_group, prefix_list_id, is_egress, tags",
    relies_on=("self.ip_range = ip_range or {}",),
)
def a_rule_has_the_canonical_form_of_its_block(original):
    """Moto keeps what it was given, and lets the same block in twice.

    AuthorizeSecurityGroupIngress, `CidrIp`: "Amazon Web Services canonicalizes IPv4 and IPv6 CIDRs", and of a second rule
    for the same block "throws an duplicate rule error".
    """

    def __init__(self, ec2_backend, ip_protocol, group_id, from_port, to_port, ip_range, *rest, **named):
        blocks = {key: canonical(ip_range[key]) for key in ("CidrIp", "CidrIpv6") if key in (ip_range or {})}
        written = ip_range | blocks if blocks else ip_range
        original(self, ec2_backend, ip_protocol, group_id, from_port, to_port, written, *rest, **named)

    return __init__


REVOKED = (
    *("self", "group_name_or_id", "ip_protocol", "from_port", "to_port", "ip_ranges", "source_groups"),
    *("prefix_list_ids", "security_rule_ids", "vpc_id"),
)


def an_unknown_rule_is_not_revoked(direction):
    """Moto says InvalidPermission.NotFound, the error of a rule named by its values, and keeps the tags of one that is gone.

    "Error codes for the Amazon EC2 API": `InvalidSecurityGroupRuleId.NotFound`. That a rule of the other direction is
    unknown too is inferred.
    """

    def build(original):
        def revoke(self, group_name_or_id, *arguments, **named):
            group = self.get_security_group_by_name_or_id(group_name_or_id)
            held = {rule.id for rule in getattr(group, f"{direction}_rules", [])}
            for rule_id in named.get("security_rule_ids") or []:
                if group is not None and rule_id not in held:
                    raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
            original(self, group_name_or_id, *arguments, **named)
            for rule_id in held - {rule.id for rule in getattr(group, f"{direction}_rules")}:
                self.tags.pop(rule_id, None)

        return revoke

    return build


def rules_change_together(direction):
    """Moto stops half way when one rule is refused, and answers with the rules of the last permission only.

    RevokeSecurityGroupIngress: "an InvalidPermission.NotFound client error is returned, and no rules are revoked"; for
    AuthorizeSecurityGroupIngress it is inferred.
    """

    def build(original):
        def change(self):
            name, rules = self._get_param("GroupName") or self._get_param("GroupId"), f"{direction}_rules"
            group = self.ec2_backend.get_security_group_by_name_or_id(name)
            before = list(getattr(group, rules, []))
            try:
                answer = original(self)
            except EC2ClientError:
                if group is not None:
                    setattr(group, rules, before)
                raise
            if "SecurityGroupRules" in answer.result:
                known = {rule.id for rule in before}
                answer.result["SecurityGroupRules"] = [rule for rule in getattr(group, rules) if rule.id not in known]
            return answer

        return change

    return build


for direction in ("ingress", "egress"):
    mend(SecurityGroupBackend, f"revoke_security_group_{direction}", ", ".join(REVOKED))(
        an_unknown_rule_is_not_revoked(direction)
    )
    for verb in ("authorize", "revoke"):
        mend(
            SecurityGroups,
            f"{verb}_security_group_{direction}",
            "self",
            relies_on=('result = {"Return": True, "SecurityGroupRules": rules}',),
        )(rules_change_together(direction))


@mend(NetworkACLs, "create_network_acl_entry", "self", relies_on=('rule_number = self._get_param("RuleNumber")',))
def the_numbers_of_the_default_rules_are_reserved(original):
    """Moto takes any number; its own default rules do not come this way."""

    def create_network_acl_entry(self):
        number = self._get_param("RuleNumber")
        if int(number) not in ACL_NUMBERS:
            said = f"Value ({number}) for parameter ruleNumber is invalid. It must be from 1 to 32766."
            raise EC2ClientError("InvalidParameterValue", said)
        return original(self)

    return create_network_acl_entry


@mend(
    NetworkAclBackend,
    "create_network_acl_entry",
    "self, network_acl_id, rule_number, protocol, rule_action, egress, cidr_block, icmp_code, icmp_type, "
    "port_range_from, port_range_to, ipv6_cidr_block",
    relies_on=("raise NetworkAclEntryAlreadyExistsError(rule_number)",),
)
def an_acl_has_a_quota_of_rules(original):
    """Moto takes any number of them ("Error codes for the Amazon EC2 API": `NetworkAclEntryLimitExceeded`).

    CreateNetworkAclEntry, `CidrBlock`: "We modify the specified CIDR block to its canonical form".
    """

    def create_network_acl_entry(self, **named):
        entries = self.get_network_acl(named["network_acl_id"]).network_acl_entries
        same = [entry.rule_number for entry in entries if entry.egress == named["egress"]]
        if len(same) >= ACL_ENTRIES and named["rule_number"] not in same:
            said = f"The maximum number of network acl entries ({ACL_ENTRIES}) has been reached."
            raise EC2ClientError("NetworkAclEntryLimitExceeded", said)
        if named["cidr_block"]:
            named["cidr_block"] = canonical(named["cidr_block"])
        return original(self, **named)

    return create_network_acl_entry


@mend(NetworkAclBackend, "delete_network_acl_entry", "self, network_acl_id, rule_number, egress")
def an_entry_that_is_not_there_is_not_deleted(original):
    """Moto fails with 500 (hashicorp/terraform-provider-aws#12175 has the error of EC2)."""

    def delete_network_acl_entry(self, network_acl_id, rule_number, egress):
        entries = self.get_network_acl(network_acl_id).network_acl_entries
        if not any((entry.rule_number, entry.egress) == (rule_number, egress) for entry in entries):
            said = f"no {'egress' if egress else 'ingress'} entry with number {rule_number}"
            raise EC2ClientError("InvalidNetworkAclEntry.NotFound", said)
        return original(self, network_acl_id, rule_number, egress)

    return delete_network_acl_entry


@mend(NetworkAclBackend, "describe_network_acls", "self, network_acl_ids, filters")
def an_acl_that_is_not_there_is_no_route_table(original):
    """Moto has the error of another kind of thing."""

    def describe_network_acls(self, network_acl_ids=None, filters=None):
        for acl_id in network_acl_ids or []:
            if acl_id not in self.network_acls:
                raise InvalidNetworkAclIdError(acl_id)
        return original(self, network_acl_ids, filters)

    return describe_network_acls


class BucketWithFolder(str):
    """An ARN whose parts end with the bucket, as moto takes them apart; it is shown and compared as a whole."""

    def split(self, *arguments):
        *parts, path = str.split(self, *arguments)
        return [*parts, path.partition("/")[0]]


@mend(
    FlowLogsBackend,
    "create_flow_logs",
    "self, resource_type, resource_ids, traffic_type, deliver_logs_permission_arn, log_destination_type, "
    "log_destination, log_group_name, log_format, max_aggregation_interval",
    relies_on=('arn = log_destination.split(":", 5)[5]',),
)
def a_flow_log_may_go_to_a_folder(original):
    """Moto takes the folder for a part of the bucket's name.

    CreateFlowLogs, `LogDestination`: "specify the ARN of an S3 bucket. For example: arn:aws:s3:::my_bucket/my_subfolder/
    The subfolder is optional."
    """

    def create_flow_logs(self, **named):
        if named["log_destination_type"] == "s3" and named["log_destination"]:
            named["log_destination"] = BucketWithFolder(named["log_destination"])
        return original(self, **named)

    return create_flow_logs
