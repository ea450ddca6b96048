"""What a world has besides, each only when the request asks for it: `"scaling": true` and so on."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

from world_aws import Aws

HERE = Path(__file__).parent
CLUSTER = "shop"


def build_private_subnet(ec2: Any, region: str, network: dict[str, Any]) -> dict[str, str]:
    """`nat`: a second subnet whose way out is a NAT gateway (egress-only for IPv6), and where the victim goes."""
    subnet = {"VpcId": network["vpc"], "CidrBlock": "10.20.2.0/24", "AvailabilityZone": f"{region}a"}
    if network["ipv6"]:
        (association,) = ec2.describe_vpcs(VpcIds=[network["vpc"]])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"]
        blocks = ip_network(association["Ipv6CidrBlock"]).subnets(new_prefix=64)
        subnet["Ipv6CidrBlock"] = str([next(blocks), next(blocks)][1])
    private = ec2.create_subnet(**subnet)["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=network["subnet"], AllocationId=address)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=network["vpc"])["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
    if network["ipv6"]:
        egress = ec2.create_egress_only_internet_gateway(VpcId=network["vpc"])["EgressOnlyInternetGateway"]
        way_out = {"EgressOnlyInternetGatewayId": egress["EgressOnlyInternetGatewayId"]}
        ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", **way_out)
    ec2.associate_route_table(RouteTableId=table, SubnetId=private)
    return {"private_subnet": private, "private_route_table": table, "nat_gateway": gateway}


def build_extras(aws: Aws, region: str, request: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the instances, or is changed on them; says its ids."""
    ec2, made = aws.client("ec2", region), {}
    victim = built["victim"]
    if request.get("credentials"):
        made["user"] = built["user"] | build_credentials(aws.client("iam", region), built["user"]["name"])
    if request.get("scaling"):
        made |= build_scaling(aws, region, built)
    if request.get("targets") or request.get("nlb"):
        made |= build_targets(aws, region, request, built)
    if request.get("endpoint"):
        wanted = {"VpcEndpointType": "Interface", "ServiceName": f"com.amazonaws.{region}.sqs"}
        place = {"SubnetIds": [built["subnet"]], "SecurityGroupIds": [built["admin_group"]]}
        made["endpoint"] = ec2.create_vpc_endpoint(VpcId=built["vpc"], **wanted, **place)["VpcEndpoint"]["VpcEndpointId"]
    if request.get("router"):
        primary = {"NetworkInterfaceId": victim["interfaces"][0]}
        ec2.modify_network_interface_attribute(**primary, SourceDestCheck={"Value": False})
    if request.get("route_target"):
        route = {"DestinationCidrBlock": "10.99.0.0/16", "NetworkInterfaceId": victim["interfaces"][0]}
        ec2.create_route(RouteTableId=built["route_table"], **route)
    if request.get("eks"):
        tags = {
            "eks:cluster-name": CLUSTER,
            "eks:nodegroup-name": "workers",
            f"kubernetes.io/cluster/{CLUSTER}": "owned",
        }
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        ec2.create_tags(Resources=[victim["instance"]], Tags=listed)
        made["cluster"] = CLUSTER
    return made


def build_credentials(iam: Any, name: str) -> dict[str, str]:
    """`credentials`: one of each kind that a user may have beside access keys. Nobody has the private keys."""
    user = {"UserName": name}
    service = iam.create_service_specific_credential(**user, ServiceName="codecommit.amazonaws.com")
    ssh = iam.upload_ssh_public_key(**user, SSHPublicKeyBody=(HERE / "ssh_key.pub").read_text())
    certificate = iam.upload_signing_certificate(
        **user, CertificateBody=(HERE / "signing_certificate.pem").read_text()
    )
    iam.create_login_profile(**user, Password="secret-Secret-1")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(**user, SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321")
    return {
        "service_credential": service["ServiceSpecificCredential"]["ServiceSpecificCredentialId"],
        "ssh_key": ssh["SSHPublicKey"]["SSHPublicKeyId"],
        "signing_certificate": certificate["Certificate"]["CertificateId"],
        "mfa_device": device,
    }


def build_scaling(aws: Aws, region: str, built: dict[str, Any]) -> dict[str, str]:
    """`scaling`: the group starts empty and the victim is attached, so that no instance is launched for it."""
    ec2, autoscaling = aws.client("ec2", region), aws.client("autoscaling", region)
    victim = ec2.describe_instances(InstanceIds=[built["victim"]["instance"]])["Reservations"][0]["Instances"][0]
    data = {
        "ImageId": victim["ImageId"],
        "InstanceType": victim["InstanceType"],
        "SecurityGroupIds": [built["web_group"]],
        "IamInstanceProfile": {"Name": built["victim"]["profile"]["name"]},
    }
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)["LaunchTemplate"]
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "$Latest"},
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=0,
        VPCZoneIdentifier=victim["SubnetId"],
    )
    autoscaling.attach_instances(AutoScalingGroupName="web", InstanceIds=[victim["InstanceId"]])
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=1)
    return {"scaling_group": "web", "launch_template": template["LaunchTemplateId"]}


def build_targets(aws: Aws, region: str, request: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
    """`targets`: balancers with a listener for each group, as a target of a group that no balancer uses has no health.

    An application load balancer needs two Availability Zones, hence another subnet.
    """
    ec2, elb = aws.client("ec2", region), aws.client("elbv2", region)
    instances = [built[name]["instance"] for name in ("victim", "bystander")]
    primaries = [built[name]["interfaces"][0] for name in ("victim", "bystander")]
    listed = ec2.describe_network_interfaces(NetworkInterfaceIds=primaries)["NetworkInterfaces"]
    addresses = {each["NetworkInterfaceId"]: each["PrivateIpAddress"] for each in listed}
    zone = {"CidrBlock": "10.20.3.0/24", "AvailabilityZone": f"{region}b"}
    second = ec2.create_subnet(VpcId=built["vpc"], **zone)["Subnet"]["SubnetId"]
    made: dict[str, Any] = {"target_groups": {}, "second_subnet": second}

    def balance(name: str, balancer: str, protocol: str, port: int, targets: list[str]) -> None:
        kind = {"TargetType": "ip" if name == "ip" else "instance", "VpcId": built["vpc"]}
        answer = elb.create_target_group(Name=f"web-{name}", Protocol=protocol, Port=port, **kind)
        group = answer["TargetGroups"][0]["TargetGroupArn"]
        forward = [{"Type": "forward", "TargetGroupArn": group}]
        elb.create_listener(LoadBalancerArn=balancer, Protocol=protocol, Port=port, DefaultActions=forward)
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": target} for target in targets])
        made["target_groups"][name] = group

    def balancer(name: str, kind: str, **params: Any) -> str:
        answer = elb.create_load_balancer(Name=name, Type=kind, Subnets=[built["subnet"], second], **params)
        return answer["LoadBalancers"][0]["LoadBalancerArn"]

    if request.get("targets"):
        made["load_balancer"] = balancer("web", "application", SecurityGroups=[built["web_group"]])
        balance("instance", made["load_balancer"], "HTTP", 80, instances[:1] if request.get("lonely") else instances)
        balance("ip", made["load_balancer"], "HTTP", 8080, [addresses[each] for each in primaries])
    if request.get("nlb"):
        made["network_load_balancer"] = balancer("web-network", "network")
        balance("network", made["network_load_balancer"], "TCP", 443, instances)
    return made
