"""Builds a world with boto3: a network, two instances, some principals, and a channel to people."""

import json
from typing import Any

import world_extras as extras
from world_aws import Aws
from world_exposed import build_exposed
from world_sensors import build_sensors


def policy(effect: str, action: str, resource: str = "*") -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: dict[str, str]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def build(aws: Aws, region: str, request: dict[str, Any]) -> dict[str, Any]:
    """A little world: a victim and a bystander of each kind, sharing what they would share in a real account.

    What else may stand in it, each only when the request asks for it, is in `world_extras.py`, `world_sensors.py` and
    `world_exposed.py`.
    """
    network = build_network(aws.client("ec2", region), region, request.get("ipv6", False))
    if request.get("nat"):
        network |= extras.build_private_subnet(aws.client("ec2", region), region, network)
    identities = build_identities(aws.client("iam", region))
    instances = build_instances(aws.client("ec2", region), network, identities, request)
    built = {
        "account": request["account"],
        "region": region,
        **{name: value for name, value in network.items() if name != "ipv6"},
        **instances,
        **{name: value for name, value in identities.items() if name not in ("role", "profile")},
        **build_channel(aws, region),
    }
    for build_more in (extras.build_extras, build_sensors, build_exposed):
        built |= build_more(aws, region, request, built)
    return built


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
    return {"vpc": vpc["VpcId"], "subnet": subnet["SubnetId"], "route_table": table, "ipv6": ipv6, **groups}


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
    private = network.get("private_subnet", network["subnet"])
    for name, count, subnet in (("victim", request.get("interfaces", 3), private), ("bystander", 1, network["subnet"])):
        # EC2's own default for a primary interface is to go with its instance; moto's is not.
        primary = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": sets[0], "DeleteOnTermination": True}
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
            # Moto draws addresses by lot, and may draw that of another interface.
            address = f"10.20.{2 if subnet != network['subnet'] else 1}.{100 + index}"
            made = ec2.create_network_interface(SubnetId=subnet, Groups=groups, PrivateIpAddress=address)["NetworkInterface"]
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
