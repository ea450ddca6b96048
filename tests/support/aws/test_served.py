"""Proves the APIs that moto lacks and the paths on which tests tell what they are to answer."""

import json
import urllib.error
import urllib.request

import cases
from cases import ACCOUNTS, Case, setUpModule, tearDownModule  # noqa: F401


class Trail(Case):
    def add(self, *events, **where):
        return self.do("trail", events=list(events), **where)

    def names(self, **params):
        answer = self.call("cloudtrail", "lookup_events", **params)
        return [event["EventName"] for event in answer["Events"]]

    def by(self, key, value):
        return self.names(LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])

    def fill(self):
        bucket = {"ResourceType": "AWS::S3::Bucket", "ResourceName": "assets"}
        instance = {"ResourceType": "AWS::EC2::Instance", "ResourceName": "i-1"}
        key = "AKIAEXAMPLEEXAMPLE00"
        record = {
            "eventID": "e-3",
            "eventName": "CreateUser",
            "eventTime": "2026-11-20T10:00:03Z",
            "eventSource": "iam.amazonaws.com",
            "readOnly": False,
            "userIdentity": {"userName": "deploy", "accessKeyId": key, "principalId": "AIDAEXAMPLE"},
        }
        said = {"Username": "deploy", "AccessKeyId": key}
        return self.add(
            {"EventName": "GetObject", "EventTime": "2026-11-20T10:00:01Z", "ReadOnly": "true", "Resources": [bucket]} | said,
            {"EventName": "RunInstances", "EventTime": "2026-11-20T11:00:02+01:00", "Resources": [bucket, instance]},
            {"CloudTrailEvent": record},
        )

    def test_events_are_looked_up_newest_first(self):
        self.assertEqual([], self.names())
        ids = self.fill()
        self.assertEqual("e-3", ids[2])
        self.assertEqual(["CreateUser", "RunInstances", "GetObject"], self.names())
        # Whatever order they were added in; of those at one time the last added is the newest.
        self.add({"EventName": "Older", "EventTime": "2026-11-20T09:00:00Z"})
        self.add({"EventName": "Same", "EventTime": "2026-11-20T10:00:03Z"})
        self.assertEqual(["Same", "CreateUser", "RunInstances", "GetObject", "Older"], self.names())

    def test_an_event_is_what_its_record_says(self):
        ids = self.fill()
        events = self.call("cloudtrail", "lookup_events")["Events"]
        record = json.loads(events[0].pop("CloudTrailEvent"))
        self.assertEqual(("CreateUser", "AIDAEXAMPLE"), (record["eventName"], record["userIdentity"]["principalId"]))
        self.assertEqual(
            {
                "EventId": "e-3",
                "EventName": "CreateUser",
                "EventTime": events[0]["EventTime"],
                "EventSource": "iam.amazonaws.com",
                "ReadOnly": "false",
                "Username": "deploy",
                "AccessKeyId": "AKIAEXAMPLEEXAMPLE00",
            },
            events[0],
        )
        record = json.loads(events[2]["CloudTrailEvent"])
        self.assertEqual((ids[0], "2026-11-20T10:00:01Z"), (record["eventID"], record["eventTime"]))
        self.assertEqual((self.account, "deploy"), (record["recipientAccountId"], record["userIdentity"]["userName"]))

    def test_each_attribute_finds_its_events(self):
        ids = self.fill()
        for key, value, found in (
            ("AccessKeyId", "AKIAEXAMPLEEXAMPLE00", ["CreateUser", "GetObject"]),
            ("Username", "deploy", ["CreateUser", "GetObject"]),
            ("EventName", "RunInstances", ["RunInstances"]),
            ("EventSource", "iam.amazonaws.com", ["CreateUser"]),
            ("EventId", ids[1], ["RunInstances"]),
            ("ReadOnly", "true", ["GetObject"]),
            ("ResourceName", "i-1", ["RunInstances"]),
            ("ResourceType", "AWS::S3::Bucket", ["RunInstances", "GetObject"]),
            ("EventName", "runinstances", []),
        ):
            with self.subTest(key):
                self.assertEqual(found, self.by(key, value))
        two = [{"AttributeKey": key, "AttributeValue": "x"} for key in ("EventName", "Username")]
        code = "InvalidLookupAttributesException"
        self.refused(code, "cloudtrail", "lookup_events", LookupAttributes=two)
        unknown = {"LookupAttributes": [{"AttributeKey": "SourceIp", "AttributeValue": "x"}]}
        self.refused("ValidationException", "cloudtrail", "lookup_events", **unknown)

    def test_times_bound_the_events_and_belong_to_them(self):
        self.fill()
        first, second = "2026-11-20T10:00:02Z", "2026-11-20T10:00:03Z"
        self.assertEqual(["CreateUser", "RunInstances"], self.names(StartTime=first))
        self.assertEqual(["RunInstances", "GetObject"], self.names(EndTime=first))
        self.assertEqual(["CreateUser", "RunInstances"], self.names(StartTime=first, EndTime=second))
        turned = {"StartTime": second, "EndTime": first}
        self.refused("InvalidTimeRangeException", "cloudtrail", "lookup_events", **turned)

    def test_events_come_in_pages_of_fifty_at_most(self):
        ids = self.add(*({"EventName": f"e{n}", "EventTime": 1795000000 + n} for n in range(53)))
        page = self.call("cloudtrail", "lookup_events")
        self.assertEqual([f"e{n}" for n in range(52, 2, -1)], [event["EventName"] for event in page["Events"]])
        rest = self.call("cloudtrail", "lookup_events", NextToken=page["NextToken"])
        self.assertEqual((ids[2::-1], False), ([event["EventId"] for event in rest["Events"]], "NextToken" in rest))
        few = self.call("cloudtrail", "lookup_events", MaxResults=53 - 50)
        self.assertEqual(3, len(few["Events"]))
        other = {"NextToken": few["NextToken"], "MaxResults": 4}
        self.refused("InvalidNextTokenException", "cloudtrail", "lookup_events", **other)
        self.refused("ValidationException", "cloudtrail", "lookup_events", MaxResults=51)
        self.refused("ParamValidationError", "cloudtrail", "lookup_events", MaxResults=0)

    def test_events_stay_in_their_account_and_region(self):
        self.fill()
        self.add({"EventName": "Elsewhere"}, region="eu-central-1")
        self.assertEqual(3, len(self.names()))
        there = self.do("call", service="cloudtrail", method="lookup_events", region="eu-central-1")
        self.assertEqual(["Elsewhere"], [event["EventName"] for event in there["Events"]])
        self.account = next(ACCOUNTS)
        self.assertEqual([], self.names())

    def test_an_event_that_is_none_is_not_added(self):
        for wrong in ({"Name": "x"}, {"EventTime": "yesterday"}, {"CloudTrailEvent": "{"}):
            self.assertIn("error", self.ask("trail", events=[{"EventName": "whole"}, wrong]))
        self.assertEqual([], self.names())


class Sessions(Case):
    def ids(self, state="Active", **filters):
        wanted = {"Filters": [{"key": key, "value": value} for key, value in filters.items()]} if filters else {}
        answer = self.call("ssm", "describe_sessions", State=state, **wanted)
        return [session["SessionId"] for session in answer["Sessions"]]

    def test_sessions_are_listed_until_they_are_terminated(self):
        self.assertEqual([], self.ids())
        first = self.do("session", target="i-1")
        second = self.do("session", target="i-2", owner="arn:aws:iam::1:user/eve", id="eve-1")
        self.assertEqual(([first, "eve-1"], "eve-1"), (self.ids(), second))
        for filters, found in (
            ({"Target": "i-1"}, [first]),
            ({"Target": "i-3"}, []),
            ({"Owner": "arn:aws:iam::1:user/eve"}, [second]),
            ({"SessionId": first, "Status": "Connected"}, [first]),
            ({"InvokedAfter": "2020-01-01T00:00:00Z"}, [first, second]),
            ({"InvokedBefore": "2020-01-01T00:00:00Z"}, []),
        ):
            with self.subTest(filters):
                self.assertEqual(found, self.ids(**filters))
        for _ in range(2):
            self.assertEqual({"SessionId": first}, self.call("ssm", "terminate_session", SessionId=first))
        self.assertEqual(([second], [first]), (self.ids(), self.ids("History")))
        (ended,) = self.call("ssm", "describe_sessions", State="History")["Sessions"]
        self.assertEqual("Terminated", ended["Status"])
        self.assertIn("EndDate", ended)
        self.assertEqual([], self.ids(Target="i-1"))

    def test_sessions_come_in_pages_and_stay_in_their_region(self):
        made = [self.do("session", target=f"i-{n}") for n in range(3)]
        self.do("session", target="i-0", region="eu-central-1")
        page = self.call("ssm", "describe_sessions", State="Active", MaxResults=2)
        rest = self.call("ssm", "describe_sessions", State="Active", MaxResults=2, NextToken=page["NextToken"])
        listed = [session["SessionId"] for session in page["Sessions"] + rest["Sessions"]]
        self.assertEqual((made, False), (listed, "NextToken" in rest))
        self.refused("InvalidNextToken", "ssm", "describe_sessions", State="Active", NextToken="nonsense")

    def test_a_session_needs_a_target(self):
        self.assertIn("error", self.ask("session"))


class PrivatePaths(Case):
    def post(self, path, data):
        request = urllib.request.Request(f"{cases.endpoint}{path}", data)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
                return response.status
        except urllib.error.HTTPError as error:
            with error:
                self.assertIn("error", json.loads(error.read()))
                return error.code

    def test_only_what_is_there_is_answered(self):
        whole = json.dumps({"account": self.account, "region": "us-east-1", "events": []}).encode()
        self.assertEqual(200, self.post("/cordon-test/trail", whole))
        self.assertEqual(400, self.post("/cordon-test/trail", b"{"))
        self.assertEqual(400, self.post("/cordon-test/trail", b"[]"))
        self.assertEqual(404, self.post("/cordon-test/nothing", whole))
        self.assertEqual(404, self.post("/cordon-test/trail", None))

    def test_only_loopback_addresses_are_answered(self):
        from served_private import perform

        answers = [
            perform({"REMOTE_ADDR": address, "PATH_INFO": "/cordon-test/x", "REQUEST_METHOD": "POST"})[0]
            for address in ("192.0.2.1", "127.0.0.1", "::1")
        ]
        self.assertEqual(["403 Forbidden", "404 Not Found", "404 Not Found"], answers)
