"""CloudTrail's LookupEvents, which moto answers with 500, over events that the tests add.

Nothing is recorded by itself. An event is found as soon as it is added and however old it is, where CloudTrail takes
minutes and forgets after 90 days. Events are those of one account and region, and stand on moto's backend.
"""

import hashlib
import json
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from moto.cloudtrail.models import cloudtrail_backends
from moto.core.utils import get_service_model
from validation import Refusal

PAGE = 50


def events_of(account: str, region: str) -> list[dict[str, Any]]:
    """In the order in which they were added."""
    return vars(cloudtrail_backends[account][region]).setdefault("looked_up_events", [])


def moment(value: Any) -> datetime:
    """A time as the parser gives it, which is naive and UTC, or as a test writes it, in ISO or seconds."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, (int, float)):
        value = datetime.fromtimestamp(value, timezone.utc)
    return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def lookup_events(account: str, region: str, params: dict[str, Any]) -> dict[str, Any]:
    """Newest first. A page's token holds for the same parameters only ("must be passed in with the same parameters")."""
    attributes = params.get("LookupAttributes", [])
    if len(attributes) > 1:
        raise Refusal("InvalidLookupAttributesException", "You can only specify one lookup attribute")
    start, end = (moment(params[name]) if name in params else None for name in ("StartTime", "EndTime"))
    if start and end and start > end:
        raise Refusal("InvalidTimeRangeException", "The start time is after the end time")
    # Insights events are of another kind, and there are none.
    held = [] if "EventCategory" in params else events_of(account, region)
    found = [
        event
        for event in reversed(held)
        if (start is None or start <= event["EventTime"])
        and (end is None or event["EventTime"] <= end)
        and all(matches(event, each["AttributeKey"], each["AttributeValue"]) for each in attributes)
    ]
    found.sort(key=lambda event: event["EventTime"], reverse=True)

    asked = {name: value for name, value in params.items() if name != "NextToken"}
    query = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
    first = 0
    if "NextToken" in params:
        tokens = {f"{query}:{event['EventId']}": index for index, event in enumerate(found, 1)}
        if params["NextToken"] not in tokens:
            raise Refusal("InvalidNextTokenException", "The token is not of a lookup with the same parameters")
        first = tokens[params["NextToken"]]
    page = found[first : first + params.get("MaxResults", PAGE)]
    answer: dict[str, Any] = {"Events": page}
    if first + len(page) < len(found):
        answer["NextToken"] = f"{query}:{page[-1]['EventId']}"
    return answer


def matches(event: dict[str, Any], key: str, value: str) -> bool:
    if key in ("ResourceName", "ResourceType"):
        return any(resource.get(key) == value for resource in event.get("Resources", []))
    return event.get(key) == value


def add_events(account: str, region: str, body: dict[str, Any]) -> list[str]:
    """Takes events with the members of CloudTrail's `Event`; answers their ids."""
    made = [event_of(account, region, given) for given in body["events"]]
    events_of(account, region).extend(made)
    return [event["EventId"] for event in made]


def event_of(account: str, region: str, given: dict[str, Any]) -> dict[str, Any]:
    """An event as it is looked up: what was not given is taken from its record, as CloudTrail makes it from that."""
    known = get_service_model("cloudtrail").shape_for("Event").members
    if strangers := sorted(set(given) - set(known)):
        raise ValueError(f"an event has no {strangers[0]}")
    record = given.get("CloudTrailEvent", {})
    record = json.loads(record) if isinstance(record, str) else dict(record)
    caller = record.get("userIdentity", {})
    said = {
        "EventId": record.get("eventID"),
        "EventName": record.get("eventName"),
        "EventTime": record.get("eventTime"),
        "EventSource": record.get("eventSource"),
        "ReadOnly": str(record["readOnly"]).lower() if "readOnly" in record else None,
        "Username": caller.get("userName"),
        "AccessKeyId": caller.get("accessKeyId"),
    }
    event = {name: value for name, value in said.items() if value is not None} | given
    event.setdefault("EventId", str(uuid4()))
    event["EventTime"] = moment(event.get("EventTime", datetime.now(timezone.utc)))
    if "CloudTrailEvent" not in given:
        identity = {"userName": event.get("Username"), "accessKeyId": event.get("AccessKeyId")}
        record = {
            "eventVersion": "1.11",
            "eventID": event["EventId"],
            "eventName": event.get("EventName"),
            "eventSource": event.get("EventSource"),
            "eventTime": event["EventTime"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "awsRegion": region,
            "recipientAccountId": account,
            "userIdentity": {name: value for name, value in identity.items() if value is not None},
        }
    if not isinstance(given.get("CloudTrailEvent"), str):
        event["CloudTrailEvent"] = json.dumps(record)
    return event
