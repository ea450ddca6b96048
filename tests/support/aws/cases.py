"""What the tests of the wrapper share: one server and one world worker a module, and an account for each test."""

import itertools
import json
import subprocess
import sys
import unittest
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).parent
ACCOUNTS = (f"{number:012}" for number in itertools.count(100000000001))


def start(script, *arguments):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-B", str(HERE / script), *arguments], **pipes)


def setUpModule():
    global server, world, endpoint
    server = start("server.py")
    endpoint = json.loads(server.stdout.readline())["endpoint"]
    world = start("world.py", endpoint)


def tearDownModule():
    for process in (world, server):
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.account = next(ACCOUNTS)

    def ask(self, op, **request):
        world.stdin.write(json.dumps({"op": op, "account": self.account} | request) + "\n")
        world.stdin.flush()
        return json.loads(world.stdout.readline())

    def do(self, op, **request):
        reply = self.ask(op, **request)
        self.assertIn("ok", reply)
        return reply["ok"]

    def call(self, service, method, **params):
        return self.do("call", service=service, method=method, params=params)

    def refused(self, code, service, method, **params):
        reply = self.ask("call", service=service, method=method, params=params)
        self.assertEqual(code, reply.get("error", {}).get("code"), reply)
        return reply["error"]["message"]

    def raw(self, service, body, headers=None, key="AKIAEXAMPLE", account=True):
        """A request as no SDK would write it; the scope of its signature names the service, the signature is void."""
        scope = f"{key}/20260101/us-east-1/{service}/aws4_request"
        void = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        if account:
            void["x-moto-account-id"] = self.account
        data = body if isinstance(body, bytes) else urlencode(body).encode()
        request = urllib.request.Request(endpoint, data, void | (headers or {}))
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def raw_refused(self, code, service, body, headers=None):
        status, text = self.raw(service, body, headers)
        self.assertEqual(400, status, text)
        # Errors, not mentions: `<Code>X</Code>` in the XML protocols, `"__type": "…X"` in JSON.
        self.assertRegex(text, rf"<Code>{code}</Code>|\"__type\": \"([\w.]+#)?{code}\"")
        return text
