"""Proves what watches a world when the request asks for it, that a dump shows it, and what moto's sensors were mended in."""

import json

from cases import ACCOUNTS, Case, setUpModule, tearDownModule  # noqa: F401

ELSEWHERE = "eu-central-1"
MANAGEMENT = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}


class Sensors(Case):
    FLAG = ""

    def setUp(self):
        super().setUp()
        self.world = self.do("build", **({self.FLAG: True} if self.FLAG else {}))
        self.before = self.do("dump")
        self.assertEqual(self.before, self.do("dump"))

    def call_in(self, region, service, method, **params):
        return self.ask("call", region=region, service=service, method=method, params=params)

    def refused_in(self, region, code, service, method, **params):
        reply = self.call_in(region, service, method, **params)
        self.assertEqual(code, reply.get("error", {}).get("code"), reply)


class Trail(Sensors):
    FLAG = "trail"

    def setUp(self):
        super().setUp()
        self.name, self.arn = self.world["trail"]["name"], self.world["trail"]["arn"]

    def trails(self, region="us-east-1", **params):
        reply = self.call_in(region, "cloudtrail", "describe_trails", **params)
        return {trail["TrailARN"]: trail for trail in reply["ok"]["trailList"]}

    def selectors(self):
        answer = self.call("cloudtrail", "get_event_selectors", TrailName=self.name)
        answer.pop("TrailARN")
        return answer

    def test_a_trail_sees_everything_and_the_dump_shows_it(self):
        self.assertEqual(
            {
                self.arn: {
                    "logging": True,
                    "settings": {
                        "S3BucketName": self.world["trail"]["bucket"],
                        "IncludeGlobalServiceEvents": True,
                        "IsMultiRegionTrail": True,
                        "LogFileValidationEnabled": True,
                        "HomeRegion": "us-east-1",
                        "HasCustomEventSelectors": False,
                        "HasInsightSelectors": False,
                        "IsOrganizationTrail": False,
                    },
                    "selectors": {"EventSelectors": [MANAGEMENT]},
                }
            },
            self.before["trails"],
        )
        self.assertEqual([self.world["trail"]["bucket"]], list(self.before["buckets"]))

    def test_every_change_shows_and_goes_back(self):
        off = {"IsMultiRegionTrail": False, "IncludeGlobalServiceEvents": False, "EnableLogFileValidation": False}
        on = {name: True for name in off}
        self.call("s3", "create_bucket", Bucket=f"other-{self.account}")
        self.before = self.do("dump")
        for change, back in (
            (("stop_logging", {"Name": self.name}), ("start_logging", {"Name": self.arn})),
            (("update_trail", {"Name": self.name} | off), ("update_trail", {"Name": self.name} | on)),
            (
                ("update_trail", {"Name": self.arn, "S3BucketName": f"other-{self.account}", "S3KeyPrefix": "x"}),
                ("update_trail", {"Name": self.name, "S3BucketName": self.world["trail"]["bucket"], "S3KeyPrefix": ""}),
            ),
            (
                ("put_event_selectors", {"TrailName": self.name, "EventSelectors": [{"IncludeManagementEvents": False}]}),
                ("put_event_selectors", {"TrailName": self.arn, "EventSelectors": [MANAGEMENT]}),
            ),
        ):
            with self.subTest(change):
                self.call("cloudtrail", change[0], **change[1])
                self.assertNotEqual(self.before["trails"], self.do("dump")["trails"])
                self.call("cloudtrail", back[0], **back[1])
                self.assertEqual(self.before, self.do("dump"))

    def test_a_new_trail_has_the_default_selectors(self):
        trail = {"Name": "second", "S3BucketName": self.world["trail"]["bucket"]}
        self.call("cloudtrail", "create_trail", **trail)
        answer = self.call("cloudtrail", "get_event_selectors", TrailName="second")
        self.assertEqual([MANAGEMENT], answer["EventSelectors"])
        self.assertFalse(self.call("cloudtrail", "get_trail", Name="second")["Trail"]["HasCustomEventSelectors"])

    def test_selectors_of_one_kind_take_the_place_of_the_other(self):
        put = {"TrailName": self.name}
        fields = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
        answer = self.call("cloudtrail", "put_event_selectors", AdvancedEventSelectors=[fields], **put)
        self.assertEqual((False, [fields]), ("EventSelectors" in answer, answer["AdvancedEventSelectors"]))
        self.assertEqual({"AdvancedEventSelectors": [fields]}, self.selectors())
        self.assertTrue(self.trails()[self.arn]["HasCustomEventSelectors"])
        self.call("cloudtrail", "put_event_selectors", EventSelectors=[{"ReadWriteType": "All"}], **put)
        self.assertEqual({"EventSelectors": [MANAGEMENT]}, self.selectors())
        self.assertFalse(self.trails()[self.arn]["HasCustomEventSelectors"])
        both = {"EventSelectors": [MANAGEMENT], "AdvancedEventSelectors": [fields]}
        for wrong in ({}, both, {"EventSelectors": [MANAGEMENT] * 6}):
            self.refused("InvalidEventSelectorsException", "cloudtrail", "put_event_selectors", **put, **wrong)

    def test_trails_are_changed_at_home_only(self):
        changes = (
            ("start_logging", "Name", {}),
            ("stop_logging", "Name", {}),
            ("update_trail", "Name", {"IsMultiRegionTrail": False}),
            ("put_event_selectors", "TrailName", {"EventSelectors": [MANAGEMENT]}),
            ("put_insight_selectors", "TrailName", {"InsightSelectors": [{"InsightType": "ApiCallRateInsight"}]}),
            ("delete_trail", "Name", {}),
        )
        for method, key, params in changes:
            for name in (self.name, self.arn):
                with self.subTest(f"{method} {name}"):
                    self.refused_in(ELSEWHERE, "InvalidHomeRegionException", "cloudtrail", method, **{key: name}, **params)
            self.refused_in(ELSEWHERE, "TrailNotFoundException", "cloudtrail", method, **{key: "unknown"}, **params)
        # One that does not reach over there is unknown by its name, and still known by its ARN.
        self.call("cloudtrail", "update_trail", Name=self.name, IsMultiRegionTrail=False)
        self.refused_in(ELSEWHERE, "TrailNotFoundException", "cloudtrail", "start_logging", Name=self.name)
        self.refused_in(ELSEWHERE, "InvalidHomeRegionException", "cloudtrail", "start_logging", Name=self.arn)

    def test_a_shadow_is_read_by_its_arn(self):
        for method, key in (("get_trail_status", "Name"), ("get_trail", "Name"), ("get_event_selectors", "TrailName")):
            with self.subTest(method):
                self.assertIn("ok", self.call_in(ELSEWHERE, "cloudtrail", method, **{key: self.arn}))
                self.refused_in(ELSEWHERE, "TrailNotFoundException", "cloudtrail", method, **{key: self.name})
                self.refused("TrailNotFoundException", "cloudtrail", method, **{key: "unknown"})
        self.assertEqual("us-east-1", self.call("cloudtrail", "get_trail", Name=self.name)["Trail"]["HomeRegion"])

    def test_trails_are_described_that_were_asked_for(self):
        self.call("cloudtrail", "create_trail", Name="second", S3BucketName=self.world["trail"]["bucket"])
        self.assertEqual(2, len(self.trails()))
        for wanted in ([self.name], [self.arn]):
            self.assertEqual([self.arn], list(self.trails(trailNameList=wanted)))
        self.assertEqual({}, self.trails(trailNameList=["unknown"]))
        self.assertEqual([self.arn], list(self.trails(ELSEWHERE)))
        self.assertEqual({}, self.trails(ELSEWHERE, trailNameList=[self.name]))
        self.assertEqual([self.arn], list(self.trails(ELSEWHERE, trailNameList=[self.arn])))
        self.assertEqual({}, self.trails(ELSEWHERE, includeShadowTrails=False))

    def test_an_update_that_cannot_be_changes_nothing(self):
        for code, change in (
            ("S3BucketDoesNotExistException", {"S3BucketName": "there-is-no-such-bucket"}),
            ("InvalidParameterCombinationException", {"IncludeGlobalServiceEvents": False}),
        ):
            self.refused(code, "cloudtrail", "update_trail", Name=self.name, EnableLogFileValidation=False, **change)
            self.assertEqual(self.before, self.do("dump"))

    def test_a_trail_of_the_organization_is_seen_and_not_changed(self):
        owner = next(ACCOUNTS)
        made = self.do("trail_of_organization", owner=owner)
        arn = f"arn:aws:cloudtrail:us-east-1:{owner}:trail/organization"
        self.assertEqual({"name": "organization", "arn": arn, "bucket": f"organization-trail-{owner}"}, made)
        seen = self.trails()[arn]
        self.assertEqual((True, True), (seen["IsOrganizationTrail"], seen["IsMultiRegionTrail"]))
        self.assertEqual({self.arn, arn}, set(self.trails(ELSEWHERE)))
        self.assertEqual([self.arn], list(self.trails(includeShadowTrails=False)))
        listed = self.call("cloudtrail", "list_trails")["Trails"]
        self.assertEqual({self.arn, arn}, {trail["TrailARN"] for trail in listed})
        self.assertTrue(self.call("cloudtrail", "get_trail_status", Name=arn)["IsLogging"])
        self.refused("TrailNotFoundException", "cloudtrail", "get_trail_status", Name="organization")
        self.refused("TrailNotFoundException", "cloudtrail", "get_event_selectors", TrailName=arn)
        for method, params in (("start_logging", {}), ("stop_logging", {}), ("update_trail", {"IsMultiRegionTrail": False})):
            self.refused("NotOrganizationMasterAccountException", "cloudtrail", method, Name=arn, **params)
            self.refused("TrailNotFoundException", "cloudtrail", method, Name="organization", **params)
        dumped = self.do("dump")["trails"]
        self.assertEqual(self.before["trails"], {name: trail for name, trail in dumped.items() if name != arn})
        self.assertEqual((True, {}), (dumped[arn]["logging"], dumped[arn]["selectors"]))

    def test_a_trail_of_the_organization_is_one_for_all_members(self):
        owner, members = next(ACCOUNTS), [self.account, next(ACCOUNTS)]
        for self.account in members:
            arn = self.do("trail_of_organization", owner=owner, name="everyone")["arn"]
        self.account = owner
        self.call("cloudtrail", "stop_logging", Name="everyone")
        for self.account in members:
            self.assertFalse(self.call("cloudtrail", "get_trail_status", Name=arn)["IsLogging"])
            self.assertFalse(self.do("dump")["trails"][arn]["logging"])


class Detector(Sensors):
    FLAG = "detector"

    def update(self, **change):
        self.call("guardduty", "update_detector", DetectorId=self.world["detector"], **change)
        return self.do("dump")["detectors"][self.world["detector"]]

    def test_a_detector_is_on_and_the_dump_shows_its_features(self):
        (identifier,) = self.before["detectors"]
        self.assertEqual(self.world["detector"], identifier)
        detector = self.before["detectors"][identifier]
        on = {name for name, feature in detector["features"].items() if feature["status"] == "ENABLED"}
        self.assertEqual("ENABLED", detector["status"])
        self.assertEqual(
            {"CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS", "S3_DATA_EVENTS", "EBS_MALWARE_PROTECTION", "RUNTIME_MONITORING"}, on
        )
        self.assertEqual({"status": "DISABLED"}, detector["features"]["RDS_LOGIN_EVENTS"])
        agents = {"status": "ENABLED", "EC2_AGENT_MANAGEMENT": "ENABLED"}
        self.assertEqual(agents, detector["features"]["RUNTIME_MONITORING"])

    def test_an_update_leaves_the_rest_as_it_is(self):
        expected = self.before["detectors"][self.world["detector"]]
        expected["features"]["S3_DATA_EVENTS"]["status"] = "DISABLED"
        self.assertEqual(expected, self.update(Features=[{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}]))
        expected["features"]["RUNTIME_MONITORING"]["status"] = "DISABLED"
        self.assertEqual(expected, self.update(Features=[{"Name": "RUNTIME_MONITORING", "Status": "DISABLED"}]))
        self.assertEqual(expected | {"status": "DISABLED"}, self.update(Enable=False))
        self.assertEqual(expected, self.update(Enable=True))
        parts = [{"Name": "ECS_FARGATE_AGENT_MANAGEMENT", "Status": "ENABLED"}]
        feature = {"Name": "RUNTIME_MONITORING", "Status": "ENABLED", "AdditionalConfiguration": parts}
        both = {"EC2_AGENT_MANAGEMENT": "ENABLED", "ECS_FARGATE_AGENT_MANAGEMENT": "ENABLED"}
        changed = self.update(Features=[feature])
        self.assertEqual({"status": "ENABLED"} | both, changed["features"]["RUNTIME_MONITORING"])

    def test_updates_that_cannot_be_are_refused(self):
        named = {"DetectorId": self.world["detector"]}
        foundational = [{"Name": "FLOW_LOGS", "Status": "ENABLED"}]
        self.refused("ValidationException", "guardduty", "update_detector", **named, Features=foundational)
        both = [{"Name": name, "Status": "ENABLED"} for name in ("RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING")]
        self.refused("BadRequestException", "guardduty", "update_detector", **named, Features=both)
        calls = (("update_detector", {"Enable": True}), ("get_detector", {}), ("get_administrator_account", {}))
        for method, params in calls:
            self.refused("BadRequestException", "guardduty", method, DetectorId="0" * 32, **params)
        self.assertEqual(self.before, self.do("dump"))

    def test_a_member_has_an_administrator_and_cannot_change_its_detector(self):
        named = {"DetectorId": self.world["detector"]}
        self.assertEqual({}, self.call("guardduty", "get_administrator_account", **named))
        self.do("administer", administrator="999999999999")
        said = self.call("guardduty", "get_administrator_account", **named)["Administrator"]
        self.assertEqual(("999999999999", "Enabled"), (said["AccountId"], said["RelationshipStatus"]))
        features = [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]
        for change in ({"Enable": False}, {"Enable": True}, {"Features": features}):
            self.refused("BadRequestException", "guardduty", "update_detector", **named, **change)
        self.assertEqual(self.before, self.do("dump"))
        self.do("administer", administrator=None)
        self.assertEqual({}, self.call("guardduty", "get_administrator_account", **named))
        self.assertEqual("DISABLED", self.update(Enable=False)["status"])


class Recorder(Sensors):
    FLAG = "recorder"

    def test_a_recorder_records(self):
        self.assertEqual("default", self.world["recorder"])
        self.assertTrue(self.before["recorders"]["default"]["recording"])
        self.call("config", "stop_configuration_recorder", ConfigurationRecorderName="default")
        self.assertFalse(self.do("dump")["recorders"]["default"]["recording"])
        self.call("config", "start_configuration_recorder", ConfigurationRecorderName="default")
        self.assertEqual(self.before, self.do("dump"))
        unknown = {"ConfigurationRecorderName": "other"}
        self.refused("NoSuchConfigurationRecorderException", "config", "start_configuration_recorder", **unknown)

    def test_a_recorder_without_a_channel_does_not_start(self):
        named = {"ConfigurationRecorderName": "default"}
        self.call("config", "stop_configuration_recorder", **named)
        self.call("config", "delete_delivery_channel", DeliveryChannelName="default")
        self.refused("NoAvailableDeliveryChannelException", "config", "start_configuration_recorder", **named)


class EventRules(Sensors):
    FLAG = "event_rule"

    def test_event_rules_are_on(self):
        rules, shown = self.world["event_rules"], self.before["event_rules"]
        self.assertEqual(["cordon-findings", "cordon-events"], rules)
        self.assertEqual(["ENABLED"] * 2, [shown[name]["State"] for name in rules])
        self.assertEqual(["aws.guardduty"], json.loads(shown[rules[0]]["EventPattern"])["source"])
        self.call("events", "put_rule", Name="other", ScheduleExpression="rate(1 hour)")
        listed = self.call("events", "list_rules", NamePrefix="cordon-")["Rules"]
        self.assertEqual(set(rules), {rule["Name"] for rule in listed})
        self.call("events", "delete_rule", Name="other")
        self.call("events", "disable_rule", Name=rules[0])
        self.assertEqual("DISABLED", self.do("dump")["event_rules"][rules[0]]["State"])
        self.call("events", "enable_rule", Name=rules[0])
        self.assertEqual(self.before, self.do("dump"))

    def test_a_rule_that_is_not_there_is_not_found(self):
        for method in ("enable_rule", "describe_rule"):
            self.refused("ResourceNotFoundException", "events", method, Name="unknown")


class FlowLog(Sensors):
    FLAG = "flow_logs"

    def setUp(self):
        super().setUp()
        self.vpc, self.bucket = self.world["vpc"], f"arn:aws:s3:::{self.world['flow_log_bucket']}"
        of = {"ResourceType": "VPC", "ResourceIds": [self.vpc], "TrafficType": "ALL"}
        self.wanted = of | {"LogDestinationType": "s3", "LogDestination": self.bucket}

    def test_a_flow_log_goes_to_a_bucket(self):
        shown = {"traffic": "ALL", "delivers": "SUCCESS", "tags": {}}
        self.assertEqual({f"{self.vpc} to {self.bucket}": shown}, self.before["flow_logs"])
        of = [{"Name": "resource-id", "Values": [self.vpc]}]
        (listed,) = self.call("ec2", "describe_flow_logs", Filters=of)["FlowLogs"]
        self.assertEqual(self.world["flow_log"], listed["FlowLogId"])
        self.refused("FlowLogAlreadyExists", "ec2", "create_flow_logs", **self.wanted)
        self.call("ec2", "delete_flow_logs", FlowLogIds=[self.world["flow_log"]])
        self.assertEqual({}, self.do("dump")["flow_logs"])
        (again,) = self.call("ec2", "create_flow_logs", **self.wanted)["FlowLogIds"]
        self.assertNotEqual(self.world["flow_log"], again)
        self.assertEqual(self.before, self.do("dump"))

    def test_a_flow_log_may_go_to_a_folder(self):
        folder = {"LogDestination": f"{self.bucket}/network/"}
        made = self.call("ec2", "create_flow_logs", **(self.wanted | folder))
        self.assertEqual((1, []), (len(made["FlowLogIds"]), made["Unsuccessful"]))
        self.assertIn(f"{self.vpc} to {folder['LogDestination']}", self.do("dump")["flow_logs"])
        self.refused("FlowLogAlreadyExists", "ec2", "create_flow_logs", **(self.wanted | folder))
        nowhere = {"LogDestination": "arn:aws:s3:::nobodys/network/"}
        answer = self.call("ec2", "create_flow_logs", **(self.wanted | nowhere))
        (refused,) = answer["Unsuccessful"]
        self.assertEqual(([], self.vpc), (answer["FlowLogIds"], refused["ResourceId"]))


class Plain(Sensors):
    def test_a_plain_world_has_nothing_of_it(self):
        parts = ("buckets", "detectors", "event_rules", "flow_logs", "ip_sets", "recorders", "trails")
        self.assertEqual([{}] * 7, [self.before[part] for part in parts])

    def test_a_bucket_of_a_forgotten_account_is_nobodys(self):
        bucket = {"Bucket": f"assets-{self.account}"}
        self.call("s3", "create_bucket", **bucket)
        self.do("forget")
        self.refused("NoSuchBucket", "s3", "get_bucket_tagging", **bucket)

    def test_the_features_of_the_organization_are_not_for_members(self):
        code = "AccountNotManagementOrDelegatedAdministratorException"
        self.refused(code, "iam", "list_organizations_features")
