"""The AWS of the tests: moto on a loopback port, mended, with every request checked against the service models.

`python server.py [--host 127.0.0.1] [--port 0]` prints one JSON line `{"endpoint": "http://127.0.0.1:PORT"}` once it
answers, and ends when its standard input does, so that it never outlives the process that started it, or on SIGTERM.
Whatever else is printed goes to standard error.
"""

import argparse
import functools
import json
import logging
import os
import re
import signal
import sys
import threading
import traceback
import urllib.request
import uuid
import warnings
from io import BytesIO

# AWSDenyAll and the other managed policies of AWS are there only on demand.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
# Moto's stock of images comes with 600 snapshots that every account seems to own.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
# It would put every request into one account, whatever its credentials.
os.environ.pop("MOTO_ACCOUNT_ID", None)

from copies import Copies, end_with_parent  # noqa: E402
import mends  # noqa: E402  (moto reads the environment when it is imported)
import moto.backends  # noqa: E402
import moto.core.responses  # noqa: E402
import moto.iam.models  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402
from moto.core.base_backend import BackendDict  # noqa: E402
from moto.core.exceptions import ServiceException  # noqa: E402
from moto.core.serialize import SerializationContext, get_serializer_class  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sns.models import Subscription  # noqa: E402
from served import SERVED  # noqa: E402
from served_private import PREFIX, PRIVATE, serve_private  # noqa: E402
from signatures import refusal_of  # noqa: E402
from validation import check  # noqa: E402
from werkzeug.exceptions import InternalServerError  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402
from werkzeug.test import run_wsgi_app  # noqa: E402
from werkzeug.wsgi import get_input_stream  # noqa: E402

# What a world uses first; loading it on the first request would make that one slow by a second.
PRELOADED = ("ec2", "iam", "sns", "sqs", "sts", "autoscaling", "elb")


# Each new account gets all of AWS's managed policies, over a thousand, while all other requests wait; worlds use these.
MANAGED_POLICIES = re.compile(
    r"AWSDenyAll|AdministratorAccess|ReadOnlyAccess|ViewOnlyAccess|AWSCompromisedKeyQuarantine.*|IAMFullAccess"
    r"|AmazonS3(FullAccess|ReadOnlyAccess)|AmazonEC2FullAccess|AWSLambdaBasicExecutionRole"
)


class QuietHandler(MotoRequestHandler):
    """Keeps connections. Werkzeug's own closes each after its answer, ten milliseconds later, and has a thread for each."""

    protocol_version = "HTTP/1.1"
    # Header and body leave in one write.
    wbufsize = 64 * 1024

    def run_wsgi(self):
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
        environ = self.make_environ()
        # What is not read would be taken for the next request.
        body = get_input_stream(environ).read()
        environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        try:
            said, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except Exception:
            self.server.log("error", traceback.format_exc())
            said, status, headers = run_wsgi_app(InternalServerError(), environ, buffered=True)
        said = b"".join(said)
        code, reason = status.split(" ", 1)
        self.send_response(int(code), reason)
        has_no_body = environ["REQUEST_METHOD"] == "HEAD" or int(code) in (204, 304)
        if not has_no_body:
            headers["Content-Length"] = str(len(said))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not has_no_body:
            self.wfile.write(said)

    def log_request(self, *_args):
        """No access log: the proxy of the tests notes every call."""


class Front:
    """Stands before moto: refuses what AWS would refuse, serves what moto lacks, and passes on the rest."""

    def __init__(self, moto, copies):
        self.moto, self.copies = moto, copies

    def __call__(self, environ, start_response):
        if environ.get("PATH_INFO") == f"{PREFIX}copy":
            return serve_private(environ, start_response)
        with self.copies.request():
            return self.serve(environ, start_response)

    def serve(self, environ, start_response):
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            return serve_private(environ, start_response)
        request = check(environ)
        if request is None:
            return self.moto(environ, start_response)
        serve = SERVED.get((request.service, request.operation.name))
        if request.refusal is None and (request.service, request.operation.name) == ("sts", "GetCallerIdentity"):
            request.refusal = refusal_of(environ)
        if request.refusal is None and serve is None:
            return self.moto(environ, start_response)
        result = request.refusal
        if result is None:
            try:
                result = serve(*account_and_region(environ), request.params)
            except ServiceException as error:
                result = error
        return answer(request, result, start_response)


def account_and_region(environ):
    """As moto finds them: the header first, then whose access key it is."""
    from moto.iam.models import get_account_id_from

    scope = re.search(r"Credential=([^/]+)/\d+/([^/]*)/", environ.get("HTTP_AUTHORIZATION", ""))
    key, region = scope.groups() if scope else ("", "us-east-1")
    return environ.get("HTTP_X_MOTO_ACCOUNT_ID") or get_account_id_from(key), region


def answer(request, result, start_response):
    """Writes a result or an error in the protocol of the request."""
    request_id = str(uuid.uuid4())
    serializer = get_serializer_class(request.service, request.protocol)
    written = serializer(request.operation, SerializationContext(request_id)).serialize(result)
    body = written["body"].encode() if isinstance(written["body"], str) else written["body"]
    headers = written["headers"] | {"x-amzn-RequestId": request_id, "Content-Length": str(len(body))}
    start_response(f"{written['status_code']} {'Error' if request.refusal else 'OK'}", list(headers.items()))
    return [body]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=0)
    options = arguments.parse_args()

    said, sys.stdout = sys.stdout, sys.stderr
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Moto wonders about codes that are in no service's model, as AWS's own for an unknown action are not.
    warnings.filterwarnings("ignore", message=r"Exception\(Refusal\)")
    mends.apply_all()
    # It reads its own folder for each request, while all others wait.
    modules = list(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules

    # It looks through a class of two hundred methods for each request too.
    moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)
    # And goes through all that it holds each time a backend is asked for.
    make = BackendDict._create_account_specific_backend
    BackendDict._create_account_specific_backend = lambda self, account: account in self or make(self, account)
    # Each subscription has a key of its own, which takes longer to make than all other calls of a test take.
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    Subscription.private_key = lambda _self: key
    managed = json.loads(moto.iam.models.aws_managed_policies_data)
    kept = {name: policy for name, policy in managed.items() if MANAGED_POLICIES.fullmatch(name)}
    moto.iam.models.aws_managed_policies_data = json.dumps(kept)

    application = DomainDispatcherApplication(create_backend_app)
    for service in PRELOADED:
        application.app_instances[service] = create_backend_app(service)
    copies = Copies(options.host, lambda listener: listen(fd=listener.fileno()).serve_forever())
    front = Front(application, copies)
    listen = functools.partial(make_server, options.host, options.port, front, True, request_handler=QuietHandler)
    PRIVATE.update({"copy": lambda *_: copies.make(), "end": lambda *_: copies.end()})
    # The kernel buries the copies that have ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = listen()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://{options.host}:{server.server_port}"
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{endpoint}/moto-api/data.json").close()

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=end_with_parent, args=(stop.set,), daemon=True).start()
    print(json.dumps({"endpoint": endpoint}), file=said, flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
