"""Proves what of a world is open when the request asks for it, that a dump shows it, and what moto was mended in there."""

import json
import urllib.error
import urllib.request

import cases
from cases import ACCOUNTS, Case, setUpModule, tearDownModule  # noqa: F401


class Exposed(Case):
    FLAG = ""

    def setUp(self):
        super().setUp()
        self.world = self.do("build", **{self.FLAG: True})
        self.before = self.do("dump")
        self.assertEqual(self.before, self.do("dump"))


class Bucket(Exposed):
    FLAG = "bucket"
    BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)

    def setUp(self):
        super().setUp()
        self.named = {"Bucket": self.world["bucket"]}
        self.own = self.named | {"ExpectedBucketOwner": self.account}

    def shown(self):
        return self.do("dump")["buckets"][self.world["bucket"]]

    def status(self, method, path, account, **headers):
        """Of a request that botocore would not let through, or whose answer it has no code for."""
        scope = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"Authorization": scope, "x-moto-account-id": account} | headers
        request = urllib.request.Request(f"{cases.endpoint}/{path}", headers=headers, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def test_a_denial_by_tag_leaves_the_tags_readable(self):
        bucket = self.world["bucket"]
        denies = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        denies["Condition"] = {"StringNotEquals": {"s3:ExistingObjectTag/scanned": "clean"}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [denies]})
        self.call("s3", "put_bucket_policy", Bucket=bucket, Policy=policy)
        tags = self.call("s3", "get_object_tagging", Bucket=bucket, Key="reports/2026.csv")["TagSet"]
        self.assertEqual([{"Key": "confidential", "Value": "yes"}], tags)
        self.assertEqual(json.loads(policy), json.loads(self.call("s3", "get_bucket_policy", Bucket=bucket)["Policy"]))

    def test_a_public_bucket_is_shown_with_its_settings(self):
        shown = self.before["buckets"][self.world["bucket"]]
        self.assertIsNone(shown["public_access_block"])
        self.assertEqual(("*", "Allow"), tuple(shown["policy"]["Statement"][0][key] for key in ("Principal", "Effect")))
        self.assertIsNone(shown["website"])
        self.assertEqual({"team": "shop"}, shown["tags"])
        self.assertEqual({self.world["object"]: {"confidential": "yes"}}, shown["objects"])
        self.assertTrue(self.call("s3", "get_bucket_policy_status", **self.own)["PolicyStatus"]["IsPublic"])

    def test_the_block_goes_on_and_off(self):
        absent = "NoSuchPublicAccessBlockConfiguration"
        self.refused(absent, "s3", "get_public_access_block", **self.own)
        self.assertEqual(404, self.status("GET", f"{self.world['bucket']}?publicAccessBlock", self.account)[0])
        self.call("s3", "put_public_access_block", PublicAccessBlockConfiguration=self.BLOCK, **self.own)
        self.assertEqual(self.BLOCK, self.shown()["public_access_block"])
        some = {"BlockPublicAcls": True}
        self.call("s3", "put_public_access_block", PublicAccessBlockConfiguration=some, **self.own)
        self.assertEqual(dict.fromkeys(self.BLOCK, False) | some, self.shown()["public_access_block"])
        self.call("s3", "delete_public_access_block", **self.own)
        self.assertEqual(self.before, self.do("dump"))

    def test_a_public_policy_is_refused_where_it_is_blocked(self):
        policy = {"Policy": self.call("s3", "get_bucket_policy", **self.own)["Policy"]}
        self.call("s3", "put_public_access_block", PublicAccessBlockConfiguration=self.BLOCK, **self.own)
        self.refused("AccessDenied", "s3", "put_bucket_policy", **policy, **self.own)
        narrow = json.loads(policy["Policy"])
        narrow["Statement"][0]["Principal"] = {"AWS": f"arn:aws:iam::{self.account}:root"}
        self.call("s3", "put_bucket_policy", Policy=json.dumps(narrow), **self.own)

    def test_a_wrong_owner_is_refused_whatever_is_asked(self):
        wrong = self.named | {"ExpectedBucketOwner": next(ACCOUNTS)}
        key = {"Key": self.world["object"]}
        tagging = {"Tagging": {"TagSet": [{"Key": "seen", "Value": "yes"}]}}
        for method, params in (
            ("get_public_access_block", {}),
            ("put_public_access_block", {"PublicAccessBlockConfiguration": self.BLOCK}),
            ("delete_public_access_block", {}),
            ("get_bucket_policy", {}),
            ("get_bucket_website", {}),
            ("get_bucket_tagging", {}),
            ("list_objects_v2", {}),
            ("get_object_tagging", key),
            ("put_object_tagging", key | tagging),
        ):
            with self.subTest(method):
                self.refused("AccessDenied", "s3", method, **wrong, **params)
        self.refused("403", "s3", "head_bucket", **wrong)
        self.assertEqual(self.before, self.do("dump"))
        path, header = f"{self.world['bucket']}?publicAccessBlock", {"x-amz-expected-bucket-owner": "1"}
        status, text = self.status("GET", path, self.account, **header)
        self.assertEqual((403, True), (status, "<Code>AccessDenied</Code>" in text))
        self.call("s3", "head_bucket", **self.own)
        self.call("s3", "put_object_tagging", **self.own, **key, **tagging)
        self.assertEqual({self.world["object"]: {"seen": "yes"}}, self.shown()["objects"])

    def test_a_bucket_that_is_not_there_is_not_found(self):
        for owner in ({}, {"ExpectedBucketOwner": self.account}):
            self.refused("NoSuchBucket", "s3", "get_public_access_block", Bucket="there-is-no-such-bucket", **owner)

    def test_the_settings_of_a_bucket_are_its_owners(self):
        owner, self.account = self.account, next(ACCOUNTS)
        block = {"PublicAccessBlockConfiguration": self.BLOCK}
        for expected in ({}, {"ExpectedBucketOwner": owner}, {"ExpectedBucketOwner": self.account}):
            self.refused("AccessDenied", "s3", "put_public_access_block", **self.named, **block, **expected)
            self.refused("AccessDenied", "s3", "get_bucket_policy", **self.named, **expected)
        # What its policy lets everybody read, others may read.
        self.assertIn("Body", self.call("s3", "get_object", **self.named, Key=self.world["object"]))
        self.account = owner
        self.assertEqual(self.before, self.do("dump"))

    def test_what_a_bucket_lacks_is_not_found(self):
        self.refused("NoSuchWebsiteConfiguration", "s3", "get_bucket_website", **self.own)
        self.call("s3", "delete_bucket_policy", **self.own)
        self.refused("NoSuchBucketPolicy", "s3", "get_bucket_policy", **self.own)
        self.call("s3", "delete_bucket_tagging", **self.own)
        self.refused("NoSuchTagSet", "s3", "get_bucket_tagging", **self.own)
        shown = self.shown()
        self.assertEqual((None, {}), (shown["policy"], shown["tags"]))

    def test_buckets_are_listed_by_prefix_and_in_pages(self):
        created = self.call("s3", "list_buckets")["Buckets"][0]["CreationDate"]
        for name in ("b", "a", "c"):
            self.call("s3", "create_bucket", Bucket=f"page-{name}-{self.account}")
        own = self.call("s3", "list_buckets", Prefix=self.world["bucket"])
        self.assertEqual((self.world["bucket"], False), (own["Prefix"], "ContinuationToken" in own))
        (bucket,) = own["Buckets"]
        expected = {"Name": self.world["bucket"], "CreationDate": created, "BucketRegion": "us-east-1"}
        self.assertEqual(expected, bucket)
        page = self.call("s3", "list_buckets", Prefix="page-", MaxBuckets=2)
        rest = self.call("s3", "list_buckets", Prefix="page-", ContinuationToken=page["ContinuationToken"])
        names = [bucket["Name"] for bucket in page["Buckets"] + rest["Buckets"]]
        self.assertEqual([f"page-{name}-{self.account}" for name in "abc"], names)
        self.assertNotIn("ContinuationToken", rest)
        self.assertEqual(4, len(self.call("s3", "list_buckets")["Buckets"]))
        self.assertEqual([], self.call("s3", "list_buckets", Prefix="there-is-none")["Buckets"])


class Website(Exposed):
    FLAG = "website"

    def test_a_website_is_shown(self):
        name = self.world["website_bucket"]
        pages = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
        self.assertEqual(pages, self.before["buckets"][name]["website"])
        self.assertEqual([name], list(self.before["buckets"]))
        self.assertNotIn("bucket", self.world)
        self.call("s3", "delete_bucket_website", Bucket=name)
        self.assertIsNone(self.do("dump")["buckets"][name]["website"])


class OpenGroup(Exposed):
    FLAG = "open_group"

    def setUp(self):
        super().setUp()
        self.group, self.named = self.world["open_group"]["id"], self.world["open_group"]["rules"]

    def rules(self):
        of = [{"Name": "group-id", "Values": [self.group]}]
        listed = self.call("ec2", "describe_security_group_rules", Filters=of)["SecurityGroupRules"]
        return {rule["SecurityGroupRuleId"]: rule for rule in listed if not rule["IsEgress"]}

    def authorize(self, *permissions, direction="ingress", **params):
        wanted = {"GroupId": self.group, "IpPermissions": list(permissions)}
        return self.call("ec2", f"authorize_security_group_{direction}", **wanted, **params)["SecurityGroupRules"]

    def tcp(self, port, *blocks):
        ranges = [{"CidrIp": block} for block in blocks]
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}

    def test_the_rules_are_what_their_names_say(self):
        rules = self.rules()
        self.assertEqual(set(self.named.values()), set(rules))
        kinds = ("CidrIpv4", "CidrIpv6", "PrefixListId")
        said = {
            name: (rules[rule]["FromPort"], *(rules[rule][kind] for kind in kinds if kind in rules[rule]))
            for name, rule in self.named.items()
        }
        self.assertEqual(
            {
                "ssh": (22, "0.0.0.0/0"),
                "ssh6": (22, "::/0"),
                "https": (443, "0.0.0.0/0"),
                "ssh_internal": (22, "10.0.0.0/8"),
                "rdp_low": (3389, "0.0.0.0/1"),
                "rdp_high": (3389, "128.0.0.0/1"),
                "postgres": (5432,),
                "prefix_list": (8080, self.world["open_group"]["prefix_list"]),
            },
            said,
        )
        source = rules[self.named["postgres"]]["ReferencedGroupInfo"]["GroupId"]
        self.assertEqual(self.world["web_group"], source)
        self.assertEqual(self.world["vpc"], self.before["security_groups"][self.group]["vpc"])

    def test_a_rule_that_is_put_back_has_another_id_and_says_the_same(self):
        revoke = {"GroupId": self.group, "SecurityGroupRuleIds": [self.named["ssh"]]}
        self.call("ec2", "revoke_security_group_ingress", **revoke)
        self.assertEqual(set(self.named.values()) - {self.named["ssh"]}, set(self.rules()))
        block = {"CidrIp": "0.0.0.0/0", "Description": "until the move is done"}
        (made,) = self.authorize(self.tcp(22) | {"IpRanges": [block]})
        self.assertNotEqual(self.named["ssh"], made["SecurityGroupRuleId"])
        self.assertEqual(self.before, self.do("dump"))

    def test_an_unknown_rule_is_not_revoked_nor_any_beside_it(self):
        egress = self.before["security_groups"][self.group]["rules"]
        self.assertTrue(any(rule["IsEgress"] for rule in egress))
        for wrong in (["sgr-00000000000000000"], [self.named["ssh"], "sgr-00000000000000000"]):
            revoke = {"GroupId": self.group, "SecurityGroupRuleIds": wrong}
            code = "InvalidSecurityGroupRuleId.NotFound"
            self.assertIn(wrong[-1], self.refused(code, "ec2", "revoke_security_group_ingress", **revoke))
            self.refused(code, "ec2", "revoke_security_group_egress", **revoke)
        self.assertEqual(self.before, self.do("dump"))

    def test_rules_are_added_and_revoked_together_or_not_at_all(self):
        known, new = self.tcp(7002, "192.0.2.0/24"), self.tcp(7003, "192.0.2.0/24")
        for direction in ("ingress", "egress"):
            with self.subTest(direction):
                two = self.tcp(7001, "192.0.2.0/24", "198.51.100.0/24")
                made = self.authorize(two, known, direction=direction)
                self.assertEqual([7001, 7001, 7002], [rule["FromPort"] for rule in made])
                before = self.do("dump")
                wanted = {"GroupId": self.group, "IpPermissions": [new, known]}
                self.refused("InvalidPermission.Duplicate", "ec2", f"authorize_security_group_{direction}", **wanted)
                wanted["IpPermissions"].reverse()
                self.refused("InvalidPermission.NotFound", "ec2", f"revoke_security_group_{direction}", **wanted)
                self.assertEqual(before, self.do("dump"))

    def test_a_block_has_one_form(self):
        (made,) = self.authorize(self.tcp(7001, "100.68.0.18/18"))
        self.assertEqual("100.68.0.0/18", made["CidrIpv4"])
        again = {"GroupId": self.group, "IpPermissions": [self.tcp(7001, "100.68.1.1/18")]}
        self.refused("InvalidPermission.Duplicate", "ec2", "authorize_security_group_ingress", **again)

    def test_the_tags_of_a_rule_go_with_it(self):
        tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "ticket", "Value": "1"}]}]
        (made,) = self.authorize(self.tcp(7001, "192.0.2.0/24"), TagSpecifications=tags)
        (rule,) = (rule for rule in self.do("dump")["security_groups"][self.group]["rules"] if rule["FromPort"] == 7001)
        self.assertEqual([{"Key": "ticket", "Value": "1"}], rule["Tags"])
        revoke = {"GroupId": self.group, "SecurityGroupRuleIds": [made["SecurityGroupRuleId"]]}
        self.call("ec2", "revoke_security_group_ingress", **revoke)
        of = [{"Name": "resource-id", "Values": [made["SecurityGroupRuleId"]]}]
        self.assertEqual([], self.call("ec2", "describe_tags", Filters=of)["Tags"])
        self.assertEqual(self.before, self.do("dump"))


class Acl(Exposed):
    FLAG = "acl"

    def entry(self, number, egress=False, block="192.0.2.1/32"):
        what = {"Protocol": "-1", "RuleAction": "deny", "CidrBlock": block, "Egress": egress}
        return {"NetworkAclId": self.world["acl"], "RuleNumber": number} | what

    def entries(self):
        return self.do("dump")["network_acls"][self.world["acl"]]["entries"]

    def test_an_entry_is_made_once_and_deleted_once(self):
        shown = self.before["network_acls"][self.world["acl"]]
        self.assertEqual((True, self.world["vpc"]), (self.world["subnet"] in shown["subnets"], shown["vpc"]))
        self.assertEqual({f"{way} {n}" for way in ("egress", "ingress") for n in (100, 32767)}, set(shown["entries"]))
        self.call("ec2", "create_network_acl_entry", **self.entry(1, block="192.0.2.77/24"))
        self.call("ec2", "create_network_acl_entry", **self.entry(1, egress=True))
        deny = {"Protocol": "-1", "RuleAction": "deny"}
        self.assertEqual(deny | {"CidrBlock": "192.0.2.0/24"}, self.entries()["ingress 1"])
        self.assertEqual(deny | {"CidrBlock": "192.0.2.1/32"}, self.entries()["egress 1"])
        self.refused("NetworkAclEntryAlreadyExists", "ec2", "create_network_acl_entry", **self.entry(1))
        for egress in (False, True):
            gone = {"NetworkAclId": self.world["acl"], "RuleNumber": 1, "Egress": egress}
            self.call("ec2", "delete_network_acl_entry", **gone)
            self.refused("InvalidNetworkAclEntry.NotFound", "ec2", "delete_network_acl_entry", **gone)
        self.assertEqual(self.before, self.do("dump"))

    def test_an_acl_has_twenty_entries_in_each_direction(self):
        for number in range(1, 19):
            self.call("ec2", "create_network_acl_entry", **self.entry(number))
        self.refused("NetworkAclEntryLimitExceeded", "ec2", "create_network_acl_entry", **self.entry(19))
        self.refused("NetworkAclEntryAlreadyExists", "ec2", "create_network_acl_entry", **self.entry(18))
        self.call("ec2", "create_network_acl_entry", **self.entry(19, egress=True))

    def test_what_cannot_be_is_refused(self):
        for number in (0, 32767):
            self.refused("InvalidParameterValue", "ec2", "create_network_acl_entry", **self.entry(number))
        unknown = self.entry(1) | {"NetworkAclId": "acl-00000000000000000"}
        self.refused("InvalidNetworkAclID.NotFound", "ec2", "create_network_acl_entry", **unknown)
        named = {"NetworkAclIds": ["acl-00000000000000000"]}
        self.refused("InvalidNetworkAclID.NotFound", "ec2", "describe_network_acls", **named)
        self.assertEqual(self.before, self.do("dump"))

    def test_the_acl_is_that_of_the_victims_subnet(self):
        self.account = next(ACCOUNTS)
        world = self.do("build", acl=True, nat=True)
        self.assertIn(world["private_subnet"], self.do("dump")["network_acls"][world["acl"]]["subnets"])


class IpSet(Exposed):
    FLAG = "ip_set"

    def setUp(self):
        super().setUp()
        names = {"Name": self.world["ip_set"]["name"], "Id": self.world["ip_set"]["id"]}
        self.named = names | {"Scope": "REGIONAL"}

    def token(self):
        return self.call("wafv2", "get_ip_set", **self.named)["LockToken"]

    def update(self, *addresses, **params):
        wanted = self.named | {"Addresses": list(addresses), "LockToken": self.token()} | params
        return wanted | {"Description": "callers that are shut out"} if "Description" not in params else wanted

    def test_addresses_show_and_go_back(self):
        shown = {"version": "IPV4", "addresses": [], "description": "callers that are shut out"}
        self.assertEqual({self.world["ip_set"]["arn"]: shown}, self.before["ip_sets"])
        self.call("wafv2", "update_ip_set", **self.update("192.0.2.7/32", "192.0.2.0/28"))
        dumped = self.do("dump")["ip_sets"][self.world["ip_set"]["arn"]]
        self.assertEqual(["192.0.2.0/28", "192.0.2.7/32"], dumped["addresses"])
        self.call("wafv2", "update_ip_set", **self.update())
        self.assertEqual(self.before, self.do("dump"))

    def test_a_stale_token_is_refused(self):
        stale = self.update("192.0.2.7/32")
        fresh = self.call("wafv2", "update_ip_set", **stale)["NextLockToken"]
        self.refused("WAFOptimisticLockException", "wafv2", "update_ip_set", **(stale | {"Addresses": []}))
        self.call("wafv2", "update_ip_set", **(stale | {"Addresses": [], "LockToken": fresh}))

    def test_addresses_are_blocks_of_the_sets_version(self):
        for wrong in ("2001:db8::1/128", "0.0.0.0/0", "192.0.2.7", "192.0.2.7/24", "everybody"):
            with self.subTest(wrong):
                self.refused("WAFInvalidParameterException", "wafv2", "update_ip_set", **self.update("192.0.2.9/32", wrong))
        new = {"Name": "six", "Scope": "REGIONAL", "IPAddressVersion": "IPV6"}
        self.refused("WAFInvalidParameterException", "wafv2", "create_ip_set", Addresses=["192.0.2.9/32"], **new)
        self.assertEqual(self.before, self.do("dump"))
        self.call("wafv2", "create_ip_set", Addresses=["2001:db8::1/128"], **new)

    def test_an_update_replaces_the_description_too(self):
        wanted = self.update("192.0.2.7/32")
        del wanted["Description"]
        self.call("wafv2", "update_ip_set", **wanted)
        self.assertIsNone(self.do("dump")["ip_sets"][self.world["ip_set"]["arn"]]["description"])

    def test_a_set_that_is_not_there_is_not_found(self):
        unknown = self.named | {"Id": "00000000-0000-0000-0000-000000000000"}
        self.refused("WAFNonexistentItemException", "wafv2", "get_ip_set", **unknown)

    def test_sets_for_cloudfront_show_wherever_the_dump_is_made(self):
        edge = {"Name": "edge", "Scope": "CLOUDFRONT", "IPAddressVersion": "IPV4"}
        self.call("wafv2", "create_ip_set", Addresses=["192.0.2.7/32"], **edge)
        for region, found in (("us-east-1", 2), ("eu-central-1", 1)):
            self.assertEqual(found, len(self.do("dump", region=region)["ip_sets"]))
