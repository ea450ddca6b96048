"""The other client: builds worlds, looks at them and dumps them with boto3, on its own way to moto.

`python world.py ENDPOINT` reads one JSON request a line and writes one JSON reply a line: `{"ok": …}`, or
`{"error": {"code": …, "message": …}}`. Requests name the account they act in; it is put into a header, because moto
believes that before the credentials. The operations are the functions registered in `OPERATIONS`.
"""

import hashlib
import json
import secrets
import sys
from datetime import datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from world_aws import REGION, Aws
from world_build import build
from world_dump import dump


def call(aws: Aws, region: str, request: dict[str, Any]) -> Any:
    """Any boto3 method, for what the other operations do not cover."""
    answer = getattr(aws.client(request["service"], region), request["method"])(**request.get("params", {}))
    if isinstance(answer, dict):
        answer.pop("ResponseMetadata", None)
    return answer


def messages(aws: Aws, region: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Takes everything out of a queue that a topic feeds, as the envelopes of SNS in their order of arrival."""
    sqs, taken = aws.client("sqs", region), []
    while batch := sqs.receive_message(QueueUrl=request["queue"], MaxNumberOfMessages=10).get("Messages", []):
        for message in batch:
            envelope = json.loads(message["Body"])
            taken.append(
                {
                    "Subject": envelope.get("Subject"),
                    "Message": envelope["Message"],
                    "MessageAttributes": envelope.get("MessageAttributes", {}),
                }
            )
            sqs.delete_message(QueueUrl=request["queue"], ReceiptHandle=message["ReceiptHandle"])
    return taken


def queued(aws: Aws, region: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Body and delay in seconds of all messages of a queue, by its name."""
    return aws.tell("queued", {"region": region, "queue": request["queue"]})


def trail(aws: Aws, region: str, request: dict[str, Any]) -> list[str]:
    """Adds events to what LookupEvents finds in this account and region, and answers their ids.

    An event has the members of CloudTrail's `Event`; times are ISO strings. What it leaves out is taken from its
    `CloudTrailEvent`, which may be an object instead of its JSON text.
    """
    return aws.tell("trail", {"region": region, "events": request["events"]})


def forget(aws: Aws, region: str, _request: dict[str, Any]) -> None:
    """Drops all that the account holds; its credentials are nobody's then."""
    aws.tell("forget", {"region": region})


def copy(aws: Aws, region: str, _request: dict[str, Any]) -> dict[str, str]:
    """Another server with all that this one holds, as `{"endpoint": …}`: `at` in a request means that one."""
    return aws.tell("copy", {"region": region})


def end(aws: Aws, region: str, _request: dict[str, Any]) -> None:
    """Ends a copy."""
    aws.tell("end", {"region": region})


def administer(aws: Aws, region: str, request: dict[str, Any]) -> dict[str, str]:
    """Puts the detectors of the account under the GuardDuty administrator `administrator`, or under none if it is null."""
    return aws.tell("administer", {"region": region, "administrator": request["administrator"]})


def trail_of_organization(aws: Aws, region: str, request: dict[str, Any]) -> dict[str, str]:
    """Lets the account see a trail of the organization whose management account is `owner`; answers name, ARN and bucket."""
    wanted = ("owner", "name")
    given = {name: request[name] for name in wanted if name in request}
    return aws.tell("trail_of_organization", {"region": region} | given)


def share_group(aws: Aws, region: str, request: dict[str, Any]) -> None:
    """Makes the security group `group` that of the account `owner`, as a participant of a shared VPC sees it."""
    aws.tell("share_group", {"region": region, "group": request["group"], "owner": request["owner"]})


def session(aws: Aws, region: str, request: dict[str, Any]) -> str:
    """Opens a Session Manager session on an instance, which takes an agent on it in AWS, and answers its id."""
    wanted = ("target", "owner", "id")
    return aws.tell("session", {"region": region} | {name: request[name] for name in wanted if name in request})


def sign(_aws: Aws, region: str, request: dict[str, Any]) -> dict[str, str]:
    """Headers that prove who asks for a command of Cordon's, by botocore's signer instead of the product's."""
    body = "Action=GetCallerIdentity&Version=2011-06-15"
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-cordon-command": hashlib.sha256(request["command"].encode()).hexdigest(),
        "x-cordon-function": f"{request['account']}/{region}/{request.get('function', 'cordon-operator')}",
        "x-cordon-nonce": secrets.token_hex(16),
    }
    asked = AWSRequest("POST", f"{request['endpoint']}/", headers, body)
    SigV4Auth(Credentials(request["key"], request["secret"]), "sts", region).add_auth(asked)
    return {name.lower(): value for name, value in asked.headers.items()}


OPERATIONS = {
    "sign": sign,
    "call": call,
    "build": build,
    "dump": dump,
    "messages": messages,
    "trail": trail,
    "session": session,
    "administer": administer,
    "share_group": share_group,
    "trail_of_organization": trail_of_organization,
    "forget": forget,
    "queued": queued,
    "copy": copy,
    "end": end,
}


def plain(value: Any) -> Any:
    """What JSON lacks: times become ISO strings, bytes and streams text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.decode(errors="replace")
    if hasattr(value, "read"):
        return value.read().decode(errors="replace")
    raise TypeError(f"a {type(value).__name__} has no place in a reply")


def reply(aws: Aws, line: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
        aws.account, aws.at = request["account"], request.get("at", aws.endpoint)
        return {"ok": OPERATIONS[request["op"]](aws, request.get("region", REGION), request)}
    except ClientError as error:
        return {"error": {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}}
    except Exception as error:  # Whatever goes wrong is the answer to this request; the worker goes on.
        return {"error": {"code": type(error).__name__, "message": str(error)}}


def main() -> None:
    aws = Aws(sys.argv[1])
    # The first world would wait for these; the first request is seldom there yet when they are.
    for service in ("ec2", "iam", "sns", "sqs", "autoscaling", "elbv2"):
        aws.client(service, REGION)
    for line in sys.stdin:
        print(json.dumps(reply(aws, line), default=plain, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
