"""The other client: builds worlds, looks at them and dumps them with boto3, on its own way to moto.

`python world.py ENDPOINT` reads one JSON request a line and writes one JSON reply a line: `{"ok": …}`, or
`{"error": {"code": …, "message": …}}`. Requests name the account they act in; it is put into a header, because moto
believes that before the credentials. The operations are the functions registered in `OPERATIONS`.
"""

import json
import os
import sys
from datetime import datetime
from typing import Any
from urllib.parse import unquote

# Nothing of the user's own AWS set-up may reach these calls, and no proxy stands between two loopback addresses.
for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]
os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NO_PROXY": "*"}

import boto3  # noqa: E402  (boto3 reads the environment)
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

REGION = "us-east-1"
# A failed call is to be seen, not healed.
CONFIG = Config(retries={"total_max_attempts": 1}, max_pool_connections=8)


class Aws:
    """boto3 clients for one endpoint. A client costs far more than a call, so accounts share them."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        self.session = boto3.Session(aws_access_key_id="world", aws_secret_access_key="world", region_name=REGION)
        self.session.events.register("before-send", self.name_account)
        self.clients: dict[tuple[str, str], Any] = {}
        self.account = ""

    def name_account(self, request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = self.account

    def client(self, service: str, region: str) -> Any:
        if (service, region) not in self.clients:
            client = self.session.client(service, region_name=region, endpoint_url=self.endpoint, config=CONFIG)
            self.clients[service, region] = client
        return self.clients[service, region]

    def all_of(self, service: str, region: str, method: str, member: str, **params: Any) -> list[Any]:
        """One member of every page of a listing."""
        pages = self.client(service, region).get_paginator(method).paginate(**params)
        return [item for page in pages for item in page.get(member, [])]


def call(aws: Aws, region: str, request: dict[str, Any]) -> Any:
    """Any boto3 method, for what the other operations do not cover."""
    answer = getattr(aws.client(request["service"], region), request["method"])(**request.get("params", {}))
    if isinstance(answer, dict):
        answer.pop("ResponseMetadata", None)
    return answer


def policy(effect: str, action: str, resource: str = "*") -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: dict[str, str]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def build(aws: Aws, region: str, request: dict[str, Any]) -> dict[str, Any]:
    """A little world: a victim and a bystander of each kind, sharing what they would share in a real account."""
    network = build_network(aws.client("ec2", region), region, request.get("ipv6", False))
    identities = build_identities(aws.client("iam", region))
    instances = build_instances(aws.client("ec2", region), network, identities, request)
    return {
        "account": request["account"],
        "region": region,
        **{name: network[name] for name in ("vpc", "subnet", "web_group", "admin_group")},
        **instances,
        **{name: value for name, value in identities.items() if name not in ("role", "profile")},
        **build_channel(aws, region),
    }


def build_network(ec2: Any, region: str, ipv6: bool) -> dict[str, Any]:
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", AmazonProvidedIpv6CidrBlock=ipv6)["Vpc"]
    subnet = {"VpcId": vpc["VpcId"], "CidrBlock": "10.20.1.0/24", "AvailabilityZone": f"{region}a"}
    if ipv6:
        (association,) = ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"]
        subnet["Ipv6CidrBlock"] = association["Ipv6CidrBlock"].replace("/56", "/64")
    subnet = ec2.create_subnet(**subnet)["Subnet"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc["VpcId"])
    table = ec2.create_route_table(VpcId=vpc["VpcId"])["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    if ipv6:
        ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])

    groups = {}
    for name, port, source in (("web", 443, "0.0.0.0/0"), ("admin", 22, "10.20.0.0/16")):
        group = ec2.create_security_group(GroupName=name, Description=f"{name} servers", VpcId=vpc["VpcId"])["GroupId"]
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": source}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        groups[f"{name}_group"] = group
    return {"vpc": vpc["VpcId"], "subnet": subnet["SubnetId"], "ipv6": ipv6, **groups}


def build_identities(iam: Any) -> dict[str, Any]:
    role = make_role(iam, "web", trust({"Service": "ec2.amazonaws.com"}))
    iam.put_role_policy(RoleName="web", PolicyName="read-assets", PolicyDocument=policy("Allow", "s3:GetObject"))
    profile = iam.create_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")

    user = make_user(iam, "deploy", keys=2)
    iam.put_user_policy(UserName="deploy", PolicyName="push", PolicyDocument=policy("Allow", "ecr:PutImage"))
    iam.attach_user_policy(UserName="deploy", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    bystander = make_user(iam, "auditor", keys=1)
    operator = make_user(iam, "cordon-operator", keys=0)
    key = iam.create_access_key(UserName="cordon-operator")["AccessKey"]
    return {
        "role": role,
        "profile": {
            "name": "web",
            "arn": profile["Arn"],
            "id": profile["InstanceProfileId"],
        },
        "user": user,
        "bystander_user": bystander,
        # Names are unique within a kind only: a user and a role may share one.
        "role_deploy": make_role(iam, "deploy", trust({"Service": "codebuild.amazonaws.com"})),
        "role_app": make_role(iam, "app", trust({"AWS": user["arn"]})),
        "operator": operator,
        "credentials": {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]},
    }


def make_role(iam: Any, name: str, document: str) -> dict[str, str]:
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
    return {"name": name, "id": role["RoleId"], "arn": role["Arn"]}


def make_user(iam: Any, name: str, keys: int) -> dict[str, Any]:
    user = iam.create_user(UserName=name)["User"]
    made = [iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"] for _ in range(keys)]
    return {"name": name, "id": user["UserId"], "arn": user["Arn"], "keys": made}


def build_instances(
    ec2: Any, network: dict[str, Any], identities: dict[str, Any], request: dict[str, Any]
) -> dict[str, Any]:
    """The interfaces of the victim have different groups, so that a release which mixes them up is seen."""
    web, admin = network["web_group"], network["admin_group"]
    sets = [[web], [web, admin], [admin]]
    built = {}
    for name, count in (("victim", request.get("interfaces", 3)), ("bystander", 1)):
        # EC2's own default for a primary interface is to go with its instance; moto's is not.
        primary = {"DeviceIndex": 0, "SubnetId": network["subnet"], "Groups": sets[0], "DeleteOnTermination": True}
        launched = ec2.run_instances(
            ImageId="ami-12c6146b",
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            IamInstanceProfile={"Name": identities["profile"]["name"]},
            NetworkInterfaces=[primary | ({"Ipv6AddressCount": 1} if network["ipv6"] else {})],
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
        )["Instances"][0]
        instance, interfaces = launched["InstanceId"], [launched["NetworkInterfaces"][0]["NetworkInterfaceId"]]
        for index in range(1, count):
            groups = sets[index % len(sets)]
            made = ec2.create_network_interface(SubnetId=network["subnet"], Groups=groups)["NetworkInterface"]
            interfaces.append(made["NetworkInterfaceId"])
            ec2.attach_network_interface(NetworkInterfaceId=interfaces[-1], InstanceId=instance, DeviceIndex=index)
        built[name] = {
            "instance": instance,
            "interfaces": interfaces,
            "role": identities["role"],
            "profile": identities["profile"],
        }
    return built


def build_channel(aws: Aws, region: str) -> dict[str, str]:
    """Where people are told: a topic, and a queue to read what they would read."""
    sqs, sns = aws.client("sqs", region), aws.client("sns", region)
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="people")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return {"topic": topic, "queue": queue}


def messages(aws: Aws, region: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Takes everything out of a queue that a topic feeds, as the envelopes of SNS in their order of arrival."""
    sqs, taken = aws.client("sqs", region), []
    while batch := sqs.receive_message(QueueUrl=request["queue"], MaxNumberOfMessages=10).get("Messages", []):
        for message in batch:
            envelope = json.loads(message["Body"])
            taken.append(
                {
                    "Subject": envelope.get("Subject"),
                    "Message": envelope["Message"],
                    "MessageAttributes": envelope.get("MessageAttributes", {}),
                }
            )
            sqs.delete_message(QueueUrl=request["queue"], ReceiptHandle=message["ReceiptHandle"])
    return taken


def dump(aws: Aws, region: str, _request: dict[str, Any]) -> dict[str, Any]:
    """All that Cordon could touch, by id; nothing in it changes unless somebody changes it."""
    return {
        "instances": dump_instances(aws, region),
        "network_interfaces": dump_interfaces(aws, region),
        "security_groups": dump_groups(aws, region),
        "snapshots": dump_snapshots(aws, region),
        "tags": dump_tags(aws, region),
        "users": dump_users(aws, region),
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


def dump_instances(aws: Aws, region: str) -> dict[str, Any]:
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
            attributes = {}
            for name in ("disableApiTermination", "disableApiStop", "instanceInitiatedShutdownBehavior"):
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


def dump_tags(aws: Aws, region: str) -> dict[str, Any]:
    dumped: dict[str, Any] = {}
    for tag in aws.all_of("ec2", region, "describe_tags", "Tags"):
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


def dump_users(aws: Aws, region: str) -> dict[str, Any]:
    dumped = {}
    for user in details(aws, region, "User"):
        name = user["UserName"]

        def statuses(method: str, member: str, identifier: str) -> dict[str, str]:
            listed = getattr(aws.client("iam", region), method)(UserName=name)[member]
            return {each[identifier]: each["Status"] for each in listed}

        dumped[user["UserId"]] = {
            "name": name,
            **policies_of(user, "UserPolicyList"),
            "groups": sorted(user.get("GroupList", [])),
            "keys": statuses("list_access_keys", "AccessKeyMetadata", "AccessKeyId"),
            "ssh_keys": statuses("list_ssh_public_keys", "SSHPublicKeys", "SSHPublicKeyId"),
            "signing_certificates": statuses("list_signing_certificates", "Certificates", "CertificateId"),
            "service_credentials": statuses(
                "list_service_specific_credentials", "ServiceSpecificCredentials", "ServiceSpecificCredentialId"
            ),
            "login_profile": has_login_profile(aws.client("iam", region), name),
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


OPERATIONS = {"call": call, "build": build, "dump": dump, "messages": messages}


def plain(value: Any) -> Any:
    """What JSON lacks: times become ISO strings, bytes and streams text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.decode(errors="replace")
    if hasattr(value, "read"):
        return value.read().decode(errors="replace")
    raise TypeError(f"a {type(value).__name__} has no place in a reply")


def reply(aws: Aws, line: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
        aws.account = request["account"]
        return {"ok": OPERATIONS[request["op"]](aws, request.get("region", REGION), request)}
    except ClientError as error:
        return {"error": {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}}
    except Exception as error:  # Whatever goes wrong is the answer to this request; the worker goes on.
        return {"error": {"code": type(error).__name__, "message": str(error)}}


def main() -> None:
    aws = Aws(sys.argv[1])
    # The first world would wait for these; the first request is seldom there yet when they are.
    for service in ("ec2", "iam", "sns", "sqs"):
        aws.client(service, REGION)
    for line in sys.stdin:
        print(json.dumps(reply(aws, line), default=plain, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
