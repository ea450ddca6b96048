"""What of a world is open to others, and what may shut them out, each only when the request asks for it."""

import json
from typing import Any

from world_aws import Aws
from world_sensors import make_bucket

# The rules of the open group by their names, in the order in which they are made. The second half of the addresses
# belongs to the first: together they are everybody.
OPEN = {
    "ssh": (22, {"CidrIp": "0.0.0.0/0", "Description": "until the move is done"}),
    "ssh6": (22, {"CidrIpv6": "::/0"}),
    "https": (443, {"CidrIp": "0.0.0.0/0"}),
    "ssh_internal": (22, {"CidrIp": "10.0.0.0/8"}),
    "rdp_low": (3389, {"CidrIp": "0.0.0.0/1"}),
    "rdp_high": (3389, {"CidrIp": "128.0.0.0/1"}),
}


def build_exposed(aws: Aws, region: str, request: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if request.get("bucket"):
        made["bucket"] = build_public_bucket(aws, region, "assets")
        made["object"] = "reports/2026.csv"
        tags = {"Tagging": "confidential=yes"}
        aws.client("s3", region).put_object(Bucket=made["bucket"], Key=made["object"], Body=b"a,b\n", **tags)
    if request.get("website"):
        made["website_bucket"] = build_public_bucket(aws, region, "site")
        pages = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
        aws.client("s3", region).put_bucket_website(Bucket=made["website_bucket"], WebsiteConfiguration=pages)
    if request.get("open_group"):
        made["open_group"] = build_open_group(aws.client("ec2", region), built)
    if request.get("acl"):
        subnet = built.get("private_subnet", built["subnet"])
        wanted = [{"Name": "association.subnet-id", "Values": [subnet]}]
        (acl,) = aws.client("ec2", region).describe_network_acls(Filters=wanted)["NetworkAcls"]
        made["acl"] = acl["NetworkAclId"]
    if request.get("ip_set"):
        made["ip_set"] = build_ip_set(aws.client("wafv2", region))
    return made


def build_public_bucket(aws: Aws, region: str, purpose: str) -> str:
    """`bucket`, `website`: everybody may read the objects, and no public access block is there."""
    s3, name = aws.client("s3", region), make_bucket(aws, region, purpose)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "team", "Value": "shop"}]})
    return name


def build_open_group(ec2: Any, built: dict[str, Any]) -> dict[str, Any]:
    """`open_group`: rules for everybody, for a half of everybody, and for few; nothing has the group."""
    named = {"GroupName": "open", "Description": "open servers"}
    group = ec2.create_security_group(VpcId=built["vpc"], **named)["GroupId"]
    entries = [{"Cidr": "203.0.113.0/24"}]
    family = {"AddressFamily": "IPv4", "MaxEntries": 1, "Entries": entries}
    prefixes = ec2.create_managed_prefix_list(PrefixListName="offices", **family)["PrefixList"]["PrefixListId"]

    def permission(port: int, **source: Any) -> dict[str, Any]:
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port} | source

    permissions = {
        name: permission(port, **{"Ipv6Ranges" if "CidrIpv6" in block else "IpRanges": [block]})
        for name, (port, block) in OPEN.items()
    }
    permissions["postgres"] = permission(5432, UserIdGroupPairs=[{"GroupId": built["web_group"]}])
    permissions["prefix_list"] = permission(8080, PrefixListIds=[{"PrefixListId": prefixes}])
    wanted = list(permissions.values())
    answer = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=wanted)["SecurityGroupRules"]
    rules = {name: rule["SecurityGroupRuleId"] for name, rule in zip(permissions, answer, strict=True)}
    return {"id": group, "rules": rules, "prefix_list": prefixes}


def build_ip_set(wafv2: Any) -> dict[str, str]:
    """`ip_set`: for regional resources, and empty."""
    place = {"Name": "blocked", "Scope": "REGIONAL", "IPAddressVersion": "IPV4"}
    made = wafv2.create_ip_set(Description="callers that are shut out", Addresses=[], **place)["Summary"]
    return {"id": made["Id"], "name": made["Name"], "arn": made["ARN"]}
