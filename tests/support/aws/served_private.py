"""Paths that are no part of AWS, on which a test sets up what no API of AWS takes.

`POST /cordon-test/trail` adds events for LookupEvents, `POST /cordon-test/session` opens a Session Manager session,
`POST /cordon-test/forget` drops all that an account holds, because an account costs moto some 9 MB. The body is JSON with `account`, `region` and what `add_events` or `add_session` take; the answer is JSON, with status 400 and
`{"error": …}` when it was not understood. Only loopback addresses are answered. `world.py` is the client.
"""

import json
from ipaddress import ip_address
from typing import Any, Callable, Iterable

from moto.core.base_backend import BackendDict, model_data
from served_sessions import add_session
from served_trail import add_events
from werkzeug.wsgi import get_input_stream


def forget(account: str, _region: str, _body: dict[str, Any]) -> None:
    for backends in BackendDict._instances:
        backends.pop(account, None)
    # Moto keeps a second list of all that was ever made, for its dashboard.
    for models in model_data.values():
        for model in models.values():
            model.instances_tracked.clear()


PREFIX = "/cordon-test/"
PRIVATE: dict[str, Callable[[str, str, dict[str, Any]], Any]] = {
    "forget": forget,
    "trail": add_events,
    "session": add_session,
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
