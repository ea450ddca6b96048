"""boto3 clients for the worker of `world.py`, with nothing in them of the user's own AWS set-up."""

import json
import os
import urllib.error
import urllib.request
from typing import Any

# Nothing of the user's own AWS set-up may reach these calls, and no proxy stands between two loopback addresses.
for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]
os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NO_PROXY": "*"}

import boto3  # noqa: E402  (boto3 reads the environment)
from botocore.config import Config  # noqa: E402

REGION = "us-east-1"
# The server answers these at once; only a copy waits for other requests, and less than this (`copies.py`).
TELL_S = 60
# A failed call is to be seen, not healed.
CONFIG = Config(retries={"total_max_attempts": 1}, max_pool_connections=8)


class Aws:
    """boto3 clients for one endpoint, or a copy of it at `at`. A client costs far more than a call, so accounts and copies share them."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        self.session = boto3.Session(aws_access_key_id="world", aws_secret_access_key="world", region_name=REGION)
        self.session.events.register("before-send", self.name_account)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.clients: dict[tuple[str, str], Any] = {}
        self.account, self.at = "", endpoint

    def name_account(self, request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = self.account
        request.url = request.url.replace(self.endpoint, self.at, 1)

    def client(self, service: str, region: str) -> Any:
        if (service, region) not in self.clients:
            client = self.session.client(service, region_name=region, endpoint_url=self.endpoint, config=CONFIG)
            self.clients[service, region] = client
        return self.clients[service, region]

    def all_of(self, service: str, region: str, method: str, member: str, **params: Any) -> list[Any]:
        """One member of every page of a listing."""
        pages = self.client(service, region).get_paginator(method).paginate(**params)
        return [item for page in pages for item in page.get(member, [])]

    def tell(self, what: str, body: dict[str, Any]) -> Any:
        """What a test sets up and no API of AWS takes goes on the server's own paths (`served_private.py`)."""
        data = json.dumps({"account": self.account} | body).encode()
        try:
            request = urllib.request.Request(f"{self.at}/cordon-test/{what}", data)
            with self.opener.open(request, timeout=TELL_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from error
