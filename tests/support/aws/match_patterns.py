"""Asks moto's matcher of EventBridge which events no pattern lets through. Reads {"patterns": [...], "events": [{"rule", "event"}]}."""

import json
import sys

from moto.events.models import EventPattern


def main():
    given = json.load(sys.stdin)
    patterns = [EventPattern.load(json.dumps(pattern)) for pattern in given["patterns"]]
    left = [one["rule"] for one in given["events"] if not any(p.matches_event(one["event"]) for p in patterns)]
    json.dump(sorted(set(left)), sys.stdout)


if __name__ == "__main__":
    main()
