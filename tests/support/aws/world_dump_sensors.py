"""What watches an account, as a dump has it: what is on and what it looks at, without ids and times that come and go."""

from typing import Any

from world_aws import Aws

# Of a trail's settings, those that are no name of it.
NAMES = ("Name", "TrailARN")


def dump_trails(aws: Aws, region: str) -> dict[str, Any]:
    """By their ARN, those of other regions and of an organization too as far as they are seen here."""
    dumped = {}
    for trail in aws.client("cloudtrail", region).describe_trails()["trailList"]:
        home, arn = aws.client("cloudtrail", trail["HomeRegion"]), trail["TrailARN"]
        settings = {name: value for name, value in trail.items() if name not in NAMES}
        own = arn.split(":")[4] == aws.account
        selectors = home.get_event_selectors(TrailName=arn) if own else {}
        kinds = ("EventSelectors", "AdvancedEventSelectors")
        dumped[arn] = {
            "logging": home.get_trail_status(Name=arn)["IsLogging"],
            "settings": settings,
            "selectors": {kind: selectors[kind] for kind in kinds if kind in selectors},
        }
    return dumped


def dump_detectors(aws: Aws, region: str) -> dict[str, Any]:
    guardduty, dumped = aws.client("guardduty", region), {}
    for identifier in aws.all_of("guardduty", region, "list_detectors", "DetectorIds"):
        detector = guardduty.get_detector(DetectorId=identifier)
        dumped[identifier] = {
            "status": detector["Status"],
            "frequency": detector["FindingPublishingFrequency"],
            "features": {
                feature["Name"]: {
                    "status": feature["Status"],
                    **{part["Name"]: part["Status"] for part in feature.get("AdditionalConfiguration", [])},
                }
                for feature in detector["Features"]
            },
        }
    return dumped


def dump_recorders(aws: Aws, region: str) -> dict[str, Any]:
    config = aws.client("config", region)
    statuses = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    recording = {status["name"]: status["recording"] for status in statuses}
    return {
        recorder["name"]: {"recording": recording[recorder["name"]], "group": recorder.get("recordingGroup")}
        for recorder in config.describe_configuration_recorders()["ConfigurationRecorders"]
    }


def dump_event_rules(aws: Aws, region: str) -> dict[str, Any]:
    """Of the default bus."""
    return {
        rule["Name"]: {name: rule.get(name) for name in ("State", "EventPattern", "ScheduleExpression")}
        for rule in aws.all_of("events", region, "list_rules", "Rules")
    }


def dump_flow_logs(aws: Aws, region: str) -> dict[str, Any]:
    """By what they are of and where they go, because one that is made again has another id."""
    return {
        f"{log['ResourceId']} to {log.get('LogDestination') or log.get('LogGroupName')}": {
            "traffic": log.get("TrafficType"),
            "delivers": log.get("DeliverLogsStatus"),
            "tags": {tag["Key"]: tag["Value"] for tag in log.get("Tags", [])},
        }
        for log in aws.all_of("ec2", region, "describe_flow_logs", "FlowLogs")
    }
