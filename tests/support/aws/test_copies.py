"""Proves that a copy of the server has all that the server has, that neither sees what happens in the other, and that it ends."""

import json
import socket
import time
import unittest
import urllib.request
from urllib.parse import urlsplit

from cases import Case, setUpModule, start, tearDownModule  # noqa: F401


def answers(endpoint):
    try:
        socket.create_connection((urlsplit(endpoint).hostname, urlsplit(endpoint).port), 1).close()
    except OSError:
        return False
    return True


def ends(endpoint):
    for _ in range(100):
        if not answers(endpoint):
            return True
        time.sleep(0.1)
    return False


class Copies(Case):
    def names(self, **at):
        return [user["name"] for user in self.do("dump", **at)["users"].values()]

    def create(self, name, **at):
        self.do("call", service="iam", method="create_user", params={"UserName": name}, **at)

    def test_a_copy_begins_with_all_that_is_there_and_goes_its_own_way(self):
        self.do("build", credentials=True, trail=True, bucket=True)
        before = self.do("dump")
        copy = {"at": self.do("copy")["endpoint"]}
        self.assertEqual(before, self.do("dump", **copy))
        self.create("in-the-copy", **copy)
        self.create("in-the-server")
        of_copy = {"at": self.do("copy", **copy)["endpoint"]}
        self.create("in-the-copys-copy", **of_copy)
        there = self.names()
        self.assertIn("in-the-server", there)
        self.assertFalse({"in-the-copy", "in-the-copys-copy"} & set(there))
        self.assertEqual(set(there) - {"in-the-server"} | {"in-the-copy"}, set(self.names(**copy)))
        self.assertEqual({*self.names(**copy), "in-the-copys-copy"}, set(self.names(**of_copy)))
        self.do("end", **copy)
        self.assertTrue(ends(copy["at"]))
        self.assertIn("in-the-copys-copy", self.names(**of_copy))
        self.do("end", **of_copy)
        self.assertTrue(ends(of_copy["at"]))
        self.assertEqual(there, self.names())

    def test_only_a_copy_can_be_ended(self):
        self.assertIn("this is no copy", self.ask("end")["error"]["message"])
        self.do("build")


class Orphans(unittest.TestCase):
    def test_copies_end_with_the_server(self):
        server = start("server.py")
        endpoint = json.loads(server.stdout.readline())["endpoint"]
        body = json.dumps({"account": "100000000001", "region": "us-east-1"}).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{endpoint}/cordon-test/copy", body)) as response:
            copy = json.load(response)["endpoint"]
        self.assertTrue(answers(copy))
        server.stdin.close()
        server.wait(10)
        # Of the copy too, which had it from the server.
        self.assertEqual("", server.stdout.read())
        server.stdout.close()
        self.assertTrue(ends(copy))
