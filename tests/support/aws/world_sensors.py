"""What watches a world, each only when the request asks for it: a trail, a detector, a recorder, rules, a flow log."""

import json
from typing import Any

from world_aws import Aws

MANAGEMENT_EVENTS = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
FINDINGS = {"source": ["aws.guardduty"], "detail-type": ["GuardDuty Finding"]}
CHANGES = {"source": ["aws.iam", "aws.ec2"], "detail-type": ["AWS API Call via CloudTrail"]}


def make_bucket(aws: Aws, region: str, purpose: str) -> str:
    """A bucket of this account and region; the names of buckets are everybody's."""
    name = f"{purpose}-{aws.account}-{region}"
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    aws.client("s3", region).create_bucket(Bucket=name, **place)
    return name


def build_sensors(aws: Aws, region: str, request: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if request.get("trail"):
        made["trail"] = build_trail(aws, region)
    if request.get("detector"):
        made["detector"] = build_detector(aws.client("guardduty", region))
    if request.get("recorder"):
        made["recorder"] = build_recorder(aws, region)
    if request.get("event_rule"):
        made["event_rules"] = build_event_rules(aws.client("events", region))
    if request.get("flow_logs"):
        made |= build_flow_log(aws, region, built["vpc"])
    return made


def build_trail(aws: Aws, region: str) -> dict[str, str]:
    """`trail`: of all regions, global events included, its files validated, and logging."""
    cloudtrail, bucket = aws.client("cloudtrail", region), make_bucket(aws, region, "audit")
    made = cloudtrail.create_trail(
        Name="audit",
        S3BucketName=bucket,
        IsMultiRegionTrail=True,
        IncludeGlobalServiceEvents=True,
        EnableLogFileValidation=True,
    )
    cloudtrail.put_event_selectors(TrailName="audit", EventSelectors=[MANAGEMENT_EVENTS])
    cloudtrail.start_logging(Name="audit")
    return {"name": "audit", "arn": made["TrailARN"], "bucket": bucket}


def build_detector(guardduty: Any) -> str:
    """`detector`: three protection plans are on, one of them with a part of its own."""
    agents = [{"Name": "EC2_AGENT_MANAGEMENT", "Status": "ENABLED"}]
    features = [
        {"Name": "S3_DATA_EVENTS", "Status": "ENABLED"},
        {"Name": "EBS_MALWARE_PROTECTION", "Status": "ENABLED"},
        {"Name": "RUNTIME_MONITORING", "Status": "ENABLED", "AdditionalConfiguration": agents},
    ]
    return guardduty.create_detector(Enable=True, Features=features)["DetectorId"]


def build_recorder(aws: Aws, region: str) -> str:
    """`recorder`: of everything, with a channel, without which Config does not start it."""
    config = aws.client("config", region)
    role = f"arn:aws:iam::{aws.account}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
    group = {"allSupported": True, "includeGlobalResourceTypes": True}
    recorder = {"name": "default", "roleARN": role, "recordingGroup": group}
    config.put_configuration_recorder(ConfigurationRecorder=recorder)
    channel = {"name": "default", "s3BucketName": make_bucket(aws, region, "config")}
    config.put_delivery_channel(DeliveryChannel=channel)
    config.start_configuration_recorder(ConfigurationRecorderName="default")
    return "default"


def build_event_rules(events: Any) -> list[str]:
    """`event_rule`: as Cordon's own stack has them, without targets."""
    rules = {"cordon-findings": FINDINGS, "cordon-events": CHANGES}
    for name, pattern in rules.items():
        events.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")
    return list(rules)


def build_flow_log(aws: Aws, region: str, vpc: str) -> dict[str, str]:
    """`flow_logs`: of the world's network, to a bucket."""
    bucket = make_bucket(aws, region, "flows")
    made = aws.client("ec2", region).create_flow_logs(
        ResourceType="VPC",
        ResourceIds=[vpc],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=f"arn:aws:s3:::{bucket}",
    )
    return {"flow_log": made["FlowLogIds"][0], "flow_log_bucket": bucket}
