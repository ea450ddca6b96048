"""Checks the signature of requests that prove who asks, with botocore's own signer, because moto checks none.

Only `sts:GetCallerIdentity` with a header of Cordon's is looked at: what others sign is not the point here.
"""

import re
from io import BytesIO
from typing import Any, Optional

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from validation import Refusal
from werkzeug.wsgi import get_input_stream

PROVES = "HTTP_X_CORDON_COMMAND"
SCHEME = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)")


def credentials_of(key: str) -> Optional[Credentials]:
    """The secret of a long-term key, or of an assumed role's session."""
    for account in list(iam_backends):
        for backend in iam_backends[account].values():
            for user in backend.users.values():
                for known in user.access_keys:
                    if known.access_key_id == key and known.status == "Active":
                        return Credentials(key, known.secret_access_key)
    for account in list(sts_backends):
        for backend in sts_backends[account].values():
            for role in backend.assumed_roles:
                if role.access_key_id == key:
                    return Credentials(key, role.secret_access_key, role.session_token)
    return None


def refusal_of(environ: dict[str, Any]) -> Optional[Refusal]:
    """Why STS would not take the request, or None."""
    if PROVES not in environ:
        return None
    body = get_input_stream(environ).read()
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
    scheme = SCHEME.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if scheme is None:
        return Refusal("IncompleteSignature", "The request signature does not conform to AWS standards.")
    key, _day, region, service, signed, signature = scheme.groups()
    credentials = credentials_of(key)
    if credentials is None:
        return Refusal("InvalidClientTokenId", "The security token included in the request is invalid.")
    headers = {}
    for name in signed.split(";"):
        variable = name.upper().replace("-", "_")
        value = environ.get(variable if name in ("content-type", "content-length") else f"HTTP_{variable}")
        if value is None:
            return Refusal("SignatureDoesNotMatch", f"The signed header {name} is missing.")
        headers[name] = value
    request = AWSRequest(environ["REQUEST_METHOD"], f"http://{headers['host']}{environ['PATH_INFO']}", headers, body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(credentials, service, region)
    if service != "sts" or signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request) != signature:
        return Refusal("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
    return None
