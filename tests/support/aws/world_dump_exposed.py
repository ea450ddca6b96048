"""What of an account is open or shut to others, as a dump has it: buckets, network ACLs, sets of addresses."""

import json
from typing import Any

from botocore.exceptions import ClientError
from world_aws import Aws

# What S3 answers about a bucket that has no such setting.
ABSENT = {
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "NoSuchWebsiteConfiguration",
}


def dump_buckets(aws: Aws, region: str) -> dict[str, Any]:
    """By their names, of all regions."""
    s3, dumped = aws.client("s3", region), {}

    def setting(method: str, bucket: str) -> dict[str, Any] | None:
        try:
            answer = getattr(s3, method)(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                return None
            raise
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    for bucket in aws.all_of("s3", region, "list_buckets", "Buckets"):
        name = bucket["Name"]
        block, policy = setting("get_public_access_block", name), setting("get_bucket_policy", name)
        dumped[name] = {
            "created": bucket["CreationDate"],
            "public_access_block": block and block["PublicAccessBlockConfiguration"],
            "policy": policy and json.loads(policy["Policy"]),
            "website": setting("get_bucket_website", name),
            "tags": pairs((setting("get_bucket_tagging", name) or {}).get("TagSet", [])),
            "objects": {
                each["Key"]: pairs(s3.get_object_tagging(Bucket=name, Key=each["Key"])["TagSet"])
                for each in aws.all_of("s3", region, "list_objects_v2", "Contents", Bucket=name)
            },
        }
    return dumped


def pairs(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in sorted(tags, key=lambda tag: tag["Key"])}


def dump_network_acls(aws: Aws, region: str) -> dict[str, Any]:
    """The entries by `egress 100` or `ingress 100`."""
    return {
        acl["NetworkAclId"]: {
            "vpc": acl["VpcId"],
            "subnets": sorted(each["SubnetId"] for each in acl["Associations"]),
            "entries": {
                f"{'egress' if entry['Egress'] else 'ingress'} {entry['RuleNumber']}": {
                    name: value for name, value in entry.items() if name not in ("Egress", "RuleNumber")
                }
                for entry in acl["Entries"]
            },
        }
        for acl in aws.all_of("ec2", region, "describe_network_acls", "NetworkAcls")
    }


def dump_ip_sets(aws: Aws, region: str) -> dict[str, Any]:
    """By their ARN; those for CloudFront are at home in us-east-1, wherever the dump is made."""
    dumped = {}
    for scope, home in (("REGIONAL", region), ("CLOUDFRONT", "us-east-1")):
        wafv2 = aws.client("wafv2", home)
        for listed in wafv2.list_ip_sets(Scope=scope)["IPSets"]:
            named = wafv2.get_ip_set(Name=listed["Name"], Scope=scope, Id=listed["Id"])["IPSet"]
            dumped[named["ARN"]] = {
                "version": named["IPAddressVersion"],
                "addresses": sorted(named["Addresses"]),
                "description": named.get("Description"),
            }
    return dumped
