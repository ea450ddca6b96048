"""Paths that are no part of AWS, on which a test sets up what no API of AWS takes.

`POST /cordon-test/trail` adds events for LookupEvents, `session` opens a Session Manager session, `administer` and
`trail_of_organization` make the account a member of an organization (`served_organization.py`), `share_group` makes a
group another account's, `held` says what a dump would find, `queued` what waits in a queue and how long, and `forget` drops all that an account holds, because an
account costs moto some 9 MB. The body is JSON with
`account`, `region` and what these functions take; the answer is JSON, with status 400 and `{"error": …}` when it was not
understood. Only loopback addresses are answered. `world.py` is the client. `copy` and `end` are in `copies.py`.
"""

import json
from ipaddress import ip_address
from typing import Any, Callable, Iterable

from moto.autoscaling.models import autoscaling_backends
from moto.cloudtrail.models import cloudtrail_backends
from moto.config.models import config_backends
from moto.core.base_backend import BackendDict, model_data
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.events.models import events_backends
from moto.guardduty.models import guardduty_backends
from moto.iam.models import User, iam_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends
from moto.wafv2.models import wafv2_backends
from served import credentials_of
from served_organization import administer, organization_trails, trail_of_organization
from served_sessions import add_session, has_sessions
from served_trail import add_events
from werkzeug.wsgi import get_input_stream


def forget(account: str, _region: str, _body: dict[str, Any]) -> None:
    for backends in BackendDict._instances:
        backends.pop(account, None)
    # The names of buckets are everybody's.
    for name, (_partition, owner) in list(s3_backends.bucket_accounts.items()):
        if owner == account:
            del s3_backends.bucket_accounts[name]
    # Moto keeps a second list of all that was ever made, for its dashboard.
    for models in model_data.values():
        for model in models.values():
            model.instances_tracked.clear()


def share_group(account: str, region: str, body: dict[str, Any]) -> None:
    """Where a VPC is shared, its participants see groups of others."""
    ec2_backends[account][region].get_security_group_from_id(body["group"]).owner_id = body["owner"]


def queued(account: str, region: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a queue with the seconds after which each can be received; no API of AWS says when."""
    messages = sqs_backends[account][region].get_queue(body["queue"])._messages
    return [
        {"body": each.body, "delay": round((each.delayed_until - each.sent_timestamp) / 1000)} for each in messages
    ]


def is_special(instance: Any) -> bool:
    is_protected = instance.disable_api_termination or instance.disable_api_stop
    return bool(is_protected) or instance.instance_initiated_shutdown_behavior != "stop"


def of_users(things: Callable[[User], Any]) -> tuple[BackendDict, Callable[[Any], Any]]:
    return iam_backends, lambda backend: any(things(user) for user in list(backend.users.values()))


# Where moto keeps the things of each part of a dump.
PARTS: dict[str, tuple[BackendDict, Callable[[Any], Any]]] = {
    "trails": (cloudtrail_backends, lambda backend: backend.trails or organization_trails(backend)),
    "detectors": (guardduty_backends, lambda backend: backend.detectors),
    "recorders": (config_backends, lambda backend: backend.recorders),
    "event_rules": (events_backends, lambda backend: any(bus.rules for bus in backend.event_buses.values())),
    "flow_logs": (ec2_backends, lambda backend: backend.flow_logs),
    "buckets": (s3_backends, lambda backend: backend.buckets),
    "ip_sets": (wafv2_backends, lambda backend: backend.ip_sets),
    "snapshots": (ec2_backends, lambda backend: backend.snapshots),
    "sessions": (ssm_backends, has_sessions),
    "scaling_groups": (autoscaling_backends, lambda backend: backend.autoscaling_groups),
    "target_groups": (elbv2_backends, lambda backend: backend.target_groups),
    "instance_attributes": (ec2_backends, lambda backend: any(map(is_special, list(backend.all_instances())))),
    "ssh_keys": of_users(lambda user: user.ssh_public_keys),
    "signing_certificates": of_users(lambda user: user.signing_certificates),
    "service_credentials": of_users(credentials_of),
    "mfa_devices": of_users(lambda user: user.mfa_devices),
    "login_profile": of_users(lambda user: user.password),
}


def held(account: str, _region: str, _body: dict[str, Any]) -> list[str]:
    """The parts of a dump that have anything in them in some region, so that nobody asks a service in vain.

    `dict.get` makes no backend where there was none.
    """

    def holds(backends: BackendDict, things: Callable[[Any], Any]) -> bool:
        return any(things(backend) for backend in list(dict.get(backends, account, {}).values()))

    return [part for part, (backends, things) in PARTS.items() if holds(backends, things)]


PREFIX = "/cordon-test/"
PRIVATE: dict[str, Callable[[str, str, dict[str, Any]], Any]] = {
    "administer": administer,
    "forget": forget,
    "held": held,
    "queued": queued,
    "session": add_session,
    "share_group": share_group,
    "trail": add_events,
    "trail_of_organization": trail_of_organization,
}


def serve_private(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, answer = perform(environ)
    body = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def perform(environ: dict[str, Any]) -> tuple[str, Any]:
    if not ip_address(environ.get("REMOTE_ADDR", "0.0.0.0")).is_loopback:
        return "403 Forbidden", {"error": "only loopback addresses"}
    operation = PRIVATE.get(environ["PATH_INFO"].removeprefix(PREFIX))
    if operation is None or environ["REQUEST_METHOD"] != "POST":
        return "404 Not Found", {"error": f"there is no {environ['REQUEST_METHOD']} {environ['PATH_INFO']}"}
    try:
        body = json.loads(get_input_stream(environ).read())
        return "200 OK", operation(body["account"], body["region"], body)
    except (KeyError, TypeError, ValueError, AttributeError, TimeoutError) as error:
        return "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
