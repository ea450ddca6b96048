"""Systems Manager's DescribeSessions and TerminateSession, which moto lacks, over sessions that the tests open.

A session takes an agent on the instance in AWS; here a test opens it. Sessions stand on moto's backend of the account and
region. A terminated one is so at once, where AWS says `Terminating` for a while.
"""

import secrets
from typing import Any

from moto.core.utils import utcnow
from moto.ssm.models import ssm_backends
from served_trail import moment
from validation import Refusal

PAGE = 200
# The filters that are equal to a member of a session.
MEMBERS = {"Target": "Target", "Owner": "Owner", "Status": "Status", "SessionId": "SessionId", "AccessType": "AccessType"}


def sessions_of(account: str, region: str) -> dict[str, dict[str, Any]]:
    """By their id, in the order in which they were opened."""
    return vars(ssm_backends[account][region]).setdefault("manager_sessions", {})


def has_sessions(backend: Any) -> bool:
    """Of an SSM backend of moto."""
    return bool(vars(backend).get("manager_sessions"))


def describe_sessions(account: str, region: str, params: dict[str, Any]) -> dict[str, Any]:
    """`Active` ones are connected or disconnected, those of the `History` have ended."""
    ended = params["State"] == "History"
    found = [
        session
        for session in sessions_of(account, region).values()
        if (session["Status"] == "Terminated") == ended
        and all(passes(session, each["key"], each["value"]) for each in params.get("Filters", []))
    ]
    first = 0
    if "NextToken" in params:
        ids = [session["SessionId"] for session in found]
        if params["NextToken"] not in ids:
            raise Refusal("InvalidNextToken", "The specified token is not valid.")
        first = ids.index(params["NextToken"])
    size = params.get("MaxResults", PAGE)
    answer: dict[str, Any] = {"Sessions": found[first : first + size]}
    if first + size < len(found):
        answer["NextToken"] = found[first + size]["SessionId"]
    return answer


def passes(session: dict[str, Any], key: str, value: str) -> bool:
    if key == "InvokedAfter":
        return moment(session["StartDate"]) >= moment(value)
    if key == "InvokedBefore":
        return moment(session["StartDate"]) < moment(value)
    return session[MEMBERS[key]] == value


def terminate_session(account: str, region: str, params: dict[str, Any]) -> dict[str, Any]:
    """The model has no error for a session that is not there or has ended, so there is none."""
    session = sessions_of(account, region).get(params["SessionId"])
    if session is not None and session["Status"] != "Terminated":
        session |= {"Status": "Terminated", "EndDate": utcnow()}
    return {"SessionId": params["SessionId"]}


def add_session(account: str, region: str, body: dict[str, Any]) -> str:
    """Opens a session on `target`; answers its id."""
    owner = body.get("owner", f"arn:aws:iam::{account}:user/deploy")
    identifier = body.get("id", f"{owner.rpartition('/')[2]}-{secrets.token_hex(9)[:17]}")
    sessions_of(account, region)[identifier] = {
        "SessionId": identifier,
        "Target": body["target"],
        "Status": "Connected",
        "StartDate": utcnow(),
        "Owner": owner,
        "DocumentName": "SSM-SessionManagerRunShell",
        "AccessType": "Standard",
    }
    return identifier
