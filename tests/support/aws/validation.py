"""Checks requests against botocore's service model, as AWS does before it looks at anything.

Moto picks the parameters it knows out of a request and overlooks the rest, so a misspelled or missing one would pass
unseen. A request whose service is not listed in `CHECKED` (S3 and other REST services with XML) is passed on unchecked.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationNotFoundError
from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wsgi import get_input_stream

# The name a request is signed for, and the service model it is checked against.
CHECKED = {
    **{
        name: name
        for name in (
            "autoscaling cloudtrail config dynamodb ec2 events guardduty iam kms lambda logs organizations rds scheduler "
            "secretsmanager securityhub sns sqs ssm sts wafv2"
        ).split()
    },
    "elasticloadbalancing": "elbv2",
}
# Their models say truly which characters a value may have; elsewhere patterns are at times narrower than the service.
PATTERNS_HOLD = {"iam", "sts"}
# Every query request has these; a pre-signed one carries its signature in further parameters.
ENVELOPE = re.compile(r"Action|Version|X-Amz-[A-Za-z-]+")

# What the protocols call a fault: an operation that is not there, a parameter that is not known, one that is missing, a
# value that cannot be. EC2 has its own names ("Error codes for the Amazon EC2 API"). The real query services overlook
# unknown parameters; here they are refused, because what is overlooked is a mistake of ours.
CODES = {
    "ec2": ("InvalidAction", "UnknownParameter", "MissingParameter", "InvalidParameterValue"),
    "query": ("InvalidAction", "ValidationError", "ValidationError", "ValidationError"),
    "json": ("UnknownOperationException", "ValidationException", "ValidationException", "ValidationException"),
    "rest-json": ("UnknownOperationException", "ValidationException", "ValidationException", "ValidationException"),
}


class Refusal(ServiceException):
    """An error of ours. Moto takes the module of an exception for the service it belongs to; this one names none."""


@dataclass
class Checked:
    """A request that names a service we check: its model, and either its parameters or why it is refused."""

    service: str
    protocol: str
    operation: OperationModel
    params: dict[str, Any]
    refusal: Refusal | None = None


def check(environ: dict[str, Any]) -> Checked | None:
    """Reads and checks a WSGI request, and leaves its body readable; None when the service is not one of ours."""
    service = service_of(environ)
    if service is None:
        return None
    body = get_input_stream(environ).read()
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    model = get_service_model(service)
    protocol = determine_request_protocol(model, environ.get("CONTENT_TYPE"))
    nothing = OperationModel({}, model)
    no_operation, unknown, missing, impossible = CODES[protocol]
    try:
        wire = read(environ, body, protocol, service)
        operation = model.operation_model(wire["operation"])
    except (OperationNotFoundError, NotFound, MethodNotAllowed) as error:
        return Checked(service, protocol, nothing, {}, Refusal(no_operation, f"The action is not valid: {error}"))
    shape = operation.input_shape
    if shape is None:
        return Checked(service, protocol, operation, {})
    strangers = unknown_names(operation, protocol, wire)
    if strangers:
        refusal = Refusal(unknown, f"The parameter {strangers[0]} is not recognized")
        return Checked(service, protocol, operation, {}, refusal)
    try:
        params = PROTOCOL_PARSERS[protocol](operation).parse(wire)
    except (ValueError, TypeError, AttributeError) as error:
        return Checked(service, protocol, operation, {}, Refusal(impossible, f"A value cannot be read: {error}"))
    report = ParamValidator().validate(params, shape).generate_report()
    if report.startswith("Missing required parameter"):
        return Checked(service, protocol, operation, params, Refusal(missing, report))
    report = report or "\n".join(constraints(shape, params, "", service in PATTERNS_HOLD))
    if report:
        return Checked(service, protocol, operation, params, Refusal(impossible, report))
    return Checked(service, protocol, operation, params)


def service_of(environ: dict[str, Any]) -> str | None:
    """By the credential scope `KEY/date/region/service/aws4_request`, in the header or in a pre-signed URL."""
    signed = environ.get("HTTP_AUTHORIZATION", "") + environ.get("QUERY_STRING", "").replace("%2F", "/")
    scope = re.search(r"Credential=[^/&]+/\d+/[^/&]*/([^/&]+)/aws4_request", signed)
    return CHECKED.get(scope[1].lower()) if scope else None


def read(environ: dict[str, Any], body: bytes, protocol: str, service: str) -> dict[str, Any]:
    """The form in which moto's parsers take a request, and beside it the operation's name."""
    request = Request(environ)
    wire = {
        "method": request.method,
        "headers": request.headers,
        "body": body,
        "url_path": request.path,
        "url_params": {},
        "values": MultiDict(parse_qsl(request.query_string.decode(), keep_blank_values=True)),
    }
    if protocol in ("ec2", "query"):
        wire["values"].update(parse_qsl(body.decode(), keep_blank_values=True))
        wire["operation"] = wire["values"].get("Action", "")
    elif protocol == "json":
        wire["operation"] = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    else:
        operation, wire["url_params"] = get_service_router(service).match(request)
        wire["operation"] = operation.name
    return wire


def unknown_names(operation: OperationModel, protocol: str, wire: dict[str, Any]) -> list[str]:
    """The parameters of a request that its operation's model cannot name."""
    if protocol in ("ec2", "query"):
        name_of = PROTOCOL_PARSERS[protocol](operation)._get_serialized_name
        keys = [key for key in wire["values"] if not ENVELOPE.fullmatch(key)]
        return [key for key in keys if not can_name(operation.input_shape, key.split("."), protocol, name_of)]
    if not wire["body"]:
        return []
    payload = operation.input_shape.serialization.get("payload")
    shape = operation.input_shape.members[payload] if payload else operation.input_shape
    if shape.type_name in ("blob", "string"):
        return []
    return strangers_in(shape, json.loads(wire["body"]), "")


def can_name(shape: Any, key: list[str], protocol: str, name_of: Any) -> bool:
    """Whether a flattened key (`Filter.1.Value.2`, split at its dots) leads to a value of the shape."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            path = name_of(member, name).split(".")
            if key[: len(path)] == path and can_name(member, key[len(path) :], protocol, name_of):
                return True
        return False
    if not key:
        # The query protocol writes an empty list as an empty string.
        return shape.type_name not in ("list", "map") or protocol == "query"
    if shape.type_name == "list":
        wrapper = [] if protocol == "ec2" or shape.is_flattened else [name_of(shape.member, "member")]
        head, rest = key[: len(wrapper) + 1], key[len(wrapper) + 1 :]
        is_item = head[:-1] == wrapper and head[-1].isdigit()
        return is_item and can_name(shape.member, rest, protocol, name_of)
    if shape.type_name == "map":
        wrapper = [] if shape.serialization.get("flattened") else ["entry"]
        head, rest = key[: len(wrapper) + 1], key[len(wrapper) + 1 :]
        if not rest or head[:-1] != wrapper or not head[-1].isdigit():
            return False
        if rest == [name_of(shape.key, "key")]:
            return True
        return rest[0] == name_of(shape.value, "value") and can_name(shape.value, rest[1:], protocol, name_of)
    return False


def strangers_in(shape: Any, value: Any, path: str) -> list[str]:
    """The members of a JSON body that the shape does not have, with their paths."""
    if shape.type_name == "structure" and isinstance(value, dict) and not shape.is_document_type:
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        found = [f"{path}{name}" for name in value if name not in known]
        return found + [s for name in value if name in known for s in strangers_in(known[name], value[name], f"{path}{name}.")]
    if shape.type_name == "list" and isinstance(value, list):
        return [s for index, item in enumerate(value) for s in strangers_in(shape.member, item, f"{path}{index}.")]
    if shape.type_name == "map" and isinstance(value, dict):
        return [s for name, item in value.items() for s in strangers_in(shape.value, item, f"{path}{name}.")]
    return []


def constraints(shape: Any, value: Any, path: str, with_patterns: bool) -> list[str]:
    """What botocore leaves to the service: enumerations, greatest lengths and values, and patterns."""
    if shape.type_name == "structure":
        members = ((shape.members[name], item, f"{path}.{name}") for name, item in value.items())
        return [c for member, item, at in members for c in constraints(member, item, at, with_patterns)]
    found = []
    limit = shape.metadata.get("max")
    size = value if isinstance(value, (int, float)) else len(value) if hasattr(value, "__len__") else 0
    if limit is not None and size > limit:
        found.append(f"Value at '{path[1:]}' failed to satisfy constraint: at most {limit}")
    if shape.type_name == "list":
        items = ((item, f"{path}.{index}") for index, item in enumerate(value, 1))
        return found + [c for item, at in items for c in constraints(shape.member, item, at, with_patterns)]
    if shape.type_name == "map":
        for name, item in value.items():
            found += constraints(shape.key, name, f"{path} (key)", with_patterns)
            found += constraints(shape.value, item, f"{path}.{name}", with_patterns)
        return found
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        found.append(f"Value '{value}' at '{path[1:]}' failed to satisfy constraint: one of [{', '.join(allowed)}]")
    pattern = shape.metadata.get("pattern") if with_patterns else None
    if pattern and isinstance(value, str) and not matches(pattern, value):
        found.append(f"Value at '{path[1:]}' failed to satisfy constraint: must match {pattern}")
    return found


def matches(pattern: str, value: str) -> bool:
    compiled = compile_pattern(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


@cache
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """The models' patterns are Java's, where `\\w` is ASCII; the few that Python cannot read (`\\p{L}`) are left out."""
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None
