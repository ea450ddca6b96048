"""Dumps a world with boto3: all that Cordon could touch, by id."""

import json
from typing import Any
from urllib.parse import unquote

from world_aws import Aws
from world_dump_exposed import dump_buckets, dump_ip_sets, dump_network_acls
from world_dump_sensors import dump_detectors, dump_event_rules, dump_flow_logs, dump_recorders, dump_trails

# What most worlds have none of. Each costs some calls, so the server is asked first whether there are any.
SELDOM = {
    "buckets": dump_buckets,
    "detectors": dump_detectors,
    "event_rules": dump_event_rules,
    "flow_logs": dump_flow_logs,
    "ip_sets": dump_ip_sets,
    "recorders": dump_recorders,
    "trails": dump_trails,
}
# A rule of a group and a flow log get a new id when they are made again; their tags stand beside what they say.
FLEETING = ("sgr-", "fl-")


def dump(aws: Aws, region: str, _request: dict[str, Any]) -> dict[str, Any]:
    """All that Cordon could touch, by id; nothing in it changes unless somebody changes it."""
    held = set(aws.tell("held", {"region": region}))
    return {part: dump_part(aws, region) if part in held else {} for part, dump_part in SELDOM.items()} | {
        "instances": dump_instances(aws, region, held),
        "network_interfaces": dump_interfaces(aws, region),
        "network_acls": dump_network_acls(aws, region),
        "security_groups": dump_groups(aws, region),
        "snapshots": dump_snapshots(aws, region) if "snapshots" in held else {},
        "sessions": dump_sessions(aws, region) if "sessions" in held else {},
        "scaling_groups": dump_scaling_groups(aws, region) if "scaling_groups" in held else {},
        "target_groups": dump_target_groups(aws, region) if "target_groups" in held else {},
        "tags": dump_tags(aws, region),
        "users": dump_users(aws, region, held),
        "roles": dump_roles(aws, region),
        "instance_profiles": {
            profile["InstanceProfileId"]: {
                "name": profile["InstanceProfileName"],
                "roles": sorted(role["RoleId"] for role in profile["Roles"]),
            }
            for profile in aws.all_of("iam", region, "list_instance_profiles", "InstanceProfiles")
        },
    }


def tags_of(resource: dict[str, Any], member: str = "Tags") -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in sorted(resource.get(member, []), key=lambda tag: tag["Key"])}


# What EC2 says of an instance of which nobody said otherwise.
DEFAULTS = {"disableApiTermination": False, "disableApiStop": False, "instanceInitiatedShutdownBehavior": "stop"}


def dump_instances(aws: Aws, region: str, held: set[str]) -> dict[str, Any]:
    ec2 = aws.client("ec2", region)
    profiles = {
        each["InstanceId"]: {"arn": each["IamInstanceProfile"]["Arn"], "state": each["State"]}
        for each in aws.all_of(
            "ec2", region, "describe_iam_instance_profile_associations", "IamInstanceProfileAssociations"
        )
    }
    dumped = {}
    for reservation in aws.all_of("ec2", region, "describe_instances", "Reservations"):
        for instance in reservation["Instances"]:
            identifier = instance["InstanceId"]
            attributes = dict(DEFAULTS)
            for name in DEFAULTS if "instance_attributes" in held else ():
                answer = ec2.describe_instance_attribute(InstanceId=identifier, Attribute=name)
                attributes[name] = answer[name[0].upper() + name[1:]].get("Value")
            dumped[identifier] = {
                "state": instance["State"]["Name"],
                "groups": sorted(group["GroupId"] for group in instance.get("SecurityGroups", [])),
                "source_dest_check": instance.get("SourceDestCheck"),
                "metadata_options": instance.get("MetadataOptions"),
                "volumes": {
                    mapping["Ebs"]["VolumeId"]: {
                        "device": mapping["DeviceName"],
                        "delete_on_termination": mapping["Ebs"]["DeleteOnTermination"],
                    }
                    for mapping in instance.get("BlockDeviceMappings", [])
                },
                "profile": profiles.get(identifier),
                "attributes": attributes,
                "tags": tags_of(instance),
            }
    return dumped


def dump_interfaces(aws: Aws, region: str) -> dict[str, Any]:
    dumped = {}
    for interface in aws.all_of("ec2", region, "describe_network_interfaces", "NetworkInterfaces"):
        attachment = interface.get("Attachment", {})
        dumped[interface["NetworkInterfaceId"]] = {
            "groups": sorted(group["GroupId"] for group in interface["Groups"]),
            "status": interface["Status"],
            "source_dest_check": interface["SourceDestCheck"],
            "public_ip": interface.get("Association", {}).get("PublicIp"),
            "connection_tracking": interface.get("ConnectionTrackingConfiguration"),
            "attachment": {
                name: attachment.get(name) for name in ("InstanceId", "DeviceIndex", "DeleteOnTermination", "Status")
            },
            "tags": tags_of(interface, "TagSet"),
        }
    return dumped


def dump_groups(aws: Aws, region: str) -> dict[str, Any]:
    """Rules get a new id when they are put back, so they are compared by what they say."""
    rules: dict[str, list[Any]] = {}
    for rule in aws.all_of("ec2", region, "describe_security_group_rules", "SecurityGroupRules"):
        said = {name: value for name, value in rule.items() if name not in ("SecurityGroupRuleId", "SecurityGroupRuleArn")}
        rules.setdefault(rule["GroupId"], []).append(said)
    return {
        group["GroupId"]: {
            "name": group["GroupName"],
            "description": group["Description"],
            "vpc": group["VpcId"],
            "rules": sorted(rules.get(group["GroupId"], []), key=lambda rule: json.dumps(rule, sort_keys=True)),
            "tags": tags_of(group),
        }
        for group in aws.all_of("ec2", region, "describe_security_groups", "SecurityGroups")
    }


def dump_sessions(aws: Aws, region: str) -> dict[str, Any]:
    """Open ones of SSM's Session Manager."""
    found = aws.client("ssm", region).get_paginator("describe_sessions").paginate(State="Active")
    return {session["SessionId"]: session["Target"] for page in found for session in page["Sessions"]}


def dump_snapshots(aws: Aws, region: str) -> dict[str, Any]:
    return {
        snapshot["SnapshotId"]: {
            "volume": snapshot["VolumeId"],
            "description": snapshot.get("Description"),
            "state": snapshot["State"],
            "tags": tags_of(snapshot),
        }
        for snapshot in aws.all_of("ec2", region, "describe_snapshots", "Snapshots", OwnerIds=["self"])
    }


def dump_scaling_groups(aws: Aws, region: str) -> dict[str, Any]:
    return {
        group["AutoScalingGroupName"]: {
            "desired": group["DesiredCapacity"],
            "min": group["MinSize"],
            "max": group["MaxSize"],
            "members": {
                member["InstanceId"]: {
                    "state": member["LifecycleState"],
                    "health": member["HealthStatus"],
                    "protected": member["ProtectedFromScaleIn"],
                }
                for member in group["Instances"]
            },
            "suspended": sorted(process["ProcessName"] for process in group["SuspendedProcesses"]),
        }
        for group in aws.all_of("autoscaling", region, "describe_auto_scaling_groups", "AutoScalingGroups")
    }


def dump_target_groups(aws: Aws, region: str) -> dict[str, Any]:
    """The health of each target by `id:port`; one and the same instance may be there with many ports."""
    dumped = {}
    for group in aws.all_of("elbv2", region, "describe_target_groups", "TargetGroups"):
        arn = group["TargetGroupArn"]
        answer = aws.client("elbv2", region).describe_target_health(TargetGroupArn=arn)
        dumped[arn] = {
            f"{each['Target']['Id']}:{each['Target']['Port']}": each["TargetHealth"]["State"]
            for each in answer["TargetHealthDescriptions"]
        }
    return dumped


def dump_tags(aws: Aws, region: str) -> dict[str, Any]:
    dumped: dict[str, Any] = {}
    for tag in aws.all_of("ec2", region, "describe_tags", "Tags"):
        if tag["ResourceId"].startswith(FLEETING):
            continue
        dumped.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
    return dumped


def details(aws: Aws, region: str, kind: str) -> list[dict[str, Any]]:
    """Users or roles with their policies, which IAM gives in one listing."""
    return aws.all_of("iam", region, "get_account_authorization_details", f"{kind}DetailList", Filter=[kind])


def policies_of(principal: dict[str, Any], inline: str) -> dict[str, Any]:
    boundary = principal.get("PermissionsBoundary", {})
    return {
        "path": principal["Path"],
        "arn": principal["Arn"],
        "inline": {each["PolicyName"]: each["PolicyDocument"] for each in principal.get(inline, [])},
        "attached": sorted(each["PolicyArn"] for each in principal["AttachedManagedPolicies"]),
        "boundary": boundary.get("PermissionsBoundaryArn"),
        "tags": tags_of(principal),
    }


def dump_users(aws: Aws, region: str, held: set[str]) -> dict[str, Any]:
    """Credentials of kinds that no user of the account has are not asked for."""
    iam = aws.client("iam", region)
    dumped = {}
    for user in details(aws, region, "User"):
        name = user["UserName"]

        def statuses(part: str, method: str, member: str, identifier: str) -> dict[str, str]:
            listed = getattr(iam, method)(UserName=name)[member] if part in held else []
            return {each[identifier]: each["Status"] for each in listed}

        devices = aws.all_of("iam", region, "list_mfa_devices", "MFADevices", UserName=name) if "mfa_devices" in held else []
        dumped[user["UserId"]] = {
            "name": name,
            **policies_of(user, "UserPolicyList"),
            "groups": sorted(user.get("GroupList", [])),
            "keys": {each["AccessKeyId"]: each["Status"] for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]},
            "ssh_keys": statuses("ssh_keys", "list_ssh_public_keys", "SSHPublicKeys", "SSHPublicKeyId"),
            "signing_certificates": statuses(
                "signing_certificates", "list_signing_certificates", "Certificates", "CertificateId"
            ),
            "service_credentials": statuses(
                "service_credentials",
                "list_service_specific_credentials",
                "ServiceSpecificCredentials",
                "ServiceSpecificCredentialId",
            ),
            "mfa_devices": sorted(device["SerialNumber"] for device in devices),
            "login_profile": "login_profile" in held and has_login_profile(iam, name),
        }
    return dumped


def has_login_profile(iam: Any, name: str) -> bool:
    try:
        iam.get_login_profile(UserName=name)
    except iam.exceptions.NoSuchEntityException:
        return False
    return True


def dump_roles(aws: Aws, region: str) -> dict[str, Any]:
    return {
        role["RoleId"]: {
            "name": role["RoleName"],
            **policies_of(role, "RolePolicyList"),
            "trust": role["AssumeRolePolicyDocument"],
        }
        for role in details(aws, region, "Role")
    }
