"""Proves the wrapper: every mend fails here on a bare moto, and every request the checks refuse is one moto takes.

Run with `python -m unittest discover -s tests/support/aws`, with the packages of `requirements.txt`.
"""

import json
import re
import socket
import unittest

from cases import ACCOUNTS, Case, setUpModule, start, tearDownModule  # noqa: F401

SMALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": "*"}]})


def policy_of(size):
    """A policy of so many characters that are not white space, and some that are."""
    document = {"Version": "2012-10-17", "Statement": [{"Sid": "", "Effect": "Deny", "Action": "*", "Resource": "*"}]}
    document["Statement"][0]["Sid"] = "x" * (size - len(json.dumps(document, separators=(",", ":"))))
    return json.dumps(document, indent=8)


class Ec2(Case):
    def setUp(self):
        super().setUp()
        self.world = self.do("build")
        self.web, self.admin = self.world["web_group"], self.world["admin_group"]
        self.victim = self.world["victim"]["instance"]
        self.interfaces = self.world["victim"]["interfaces"]

    def groups(self):
        """The groups of each interface as DescribeNetworkInterfaces and as DescribeInstances tell them, and on top."""
        listed = self.call("ec2", "describe_network_interfaces", NetworkInterfaceIds=self.interfaces)
        instance = self.call("ec2", "describe_instances", InstanceIds=[self.victim])["Reservations"][0]["Instances"][0]

        def ids(groups):
            return sorted(group["GroupId"] for group in groups)

        by_interface = {each["NetworkInterfaceId"]: ids(each["Groups"]) for each in listed["NetworkInterfaces"]}
        in_instance = {each["NetworkInterfaceId"]: ids(each["Groups"]) for each in instance["NetworkInterfaces"]}
        return by_interface, in_instance, ids(instance["SecurityGroups"])

    def modify(self, interface, groups):
        self.call("ec2", "modify_network_interface_attribute", NetworkInterfaceId=interface, Groups=groups)

    def test_an_interface_has_its_own_groups_and_the_instance_those_of_the_primary(self):
        expected = dict(zip(self.interfaces, ([self.web], sorted([self.web, self.admin]), [self.admin])))
        self.assertEqual((expected, expected, [self.web]), self.groups())
        self.modify(self.interfaces[0], [self.admin])
        self.modify(self.interfaces[2], [self.web])
        expected[self.interfaces[0]], expected[self.interfaces[2]] = [self.admin], [self.web]
        self.assertEqual((expected, expected, [self.admin]), self.groups())

    def test_a_group_that_is_unknown_or_of_another_vpc_is_not_found(self):
        before = self.groups()
        vpc = self.call("ec2", "create_vpc", CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
        foreign = self.call("ec2", "create_security_group", GroupName="o", Description="o", VpcId=vpc)["GroupId"]
        for group in ("sg-00000000000000000", foreign):
            change = {"NetworkInterfaceId": self.interfaces[0], "Groups": [self.admin, group]}
            message = self.refused("InvalidGroup.NotFound", "ec2", "modify_network_interface_attribute", **change)
            self.assertIn(group, message)
        self.assertEqual(before, self.groups())

    def test_sixteen_groups_fit_on_an_interface_and_seventeen_do_not(self):
        made = [
            self.call("ec2", "create_security_group", GroupName=f"g{n}", Description="g", VpcId=self.world["vpc"])["GroupId"]
            for n in range(17)
        ]
        self.modify(self.interfaces[0], made[:16])
        change = {"NetworkInterfaceId": self.interfaces[0], "Groups": made}
        self.refused("SecurityGroupsPerInterfaceLimitExceeded", "ec2", "modify_network_interface_attribute", **change)

    def test_groups_of_an_instance_can_be_set_while_it_has_one_interface(self):
        change = {"InstanceId": self.victim, "Groups": [self.admin]}
        message = self.refused("InvalidInstanceID", "ec2", "modify_instance_attribute", **change)
        self.assertIn("There are multiple interfaces attached to instance", message)
        lone = self.world["bystander"]
        self.call("ec2", "modify_instance_attribute", InstanceId=lone["instance"], Groups=[self.admin])
        interface = self.call("ec2", "describe_network_interfaces", NetworkInterfaceIds=lone["interfaces"])
        self.assertEqual([self.admin], [group["GroupId"] for group in interface["NetworkInterfaces"][0]["Groups"]])
        unknown = {"InstanceId": lone["instance"], "Groups": ["sg-00000000000000000"]}
        self.refused("InvalidGroup.NotFound", "ec2", "modify_instance_attribute", **unknown)

    def test_the_shutdown_behaviour_changes_and_the_groups_stay(self):
        before = self.do("dump")
        behaviour = {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}}
        self.call("ec2", "modify_instance_attribute", InstanceId=self.victim, **behaviour)
        before["instances"][self.victim]["attributes"]["instanceInitiatedShutdownBehavior"] = "terminate"
        self.assertEqual(before, self.do("dump"))

    def test_an_attribute_moto_lacks_is_an_error_and_not_a_change_of_groups(self):
        lone = self.world["bystander"]["instance"]
        before = self.do("dump")
        change = {"InstanceId": lone, "EnaSupport": {"Value": True}}
        self.assertIn("error", self.ask("call", service="ec2", method="modify_instance_attribute", params=change))
        self.assertEqual(before, self.do("dump"))

    def test_a_group_in_use_cannot_be_deleted_until_it_is_not(self):
        self.refused("DependencyViolation", "ec2", "delete_security_group", GroupId=self.admin)
        for interface in self.interfaces:
            self.modify(interface, [self.web])
        self.call("ec2", "delete_security_group", GroupId=self.admin)

    def test_an_instance_names_its_profile_by_the_profiles_id(self):
        instance = self.call("ec2", "describe_instances", InstanceIds=[self.victim])["Reservations"][0]["Instances"][0]
        (association,) = self.call(
            "ec2",
            "describe_iam_instance_profile_associations",
            Filters=[{"Name": "instance-id", "Values": [self.victim]}],
        )["IamInstanceProfileAssociations"]
        profile = self.world["victim"]["profile"]
        expected = {"Arn": profile["arn"], "Id": profile["id"]}
        self.assertEqual((expected, expected), (instance["IamInstanceProfile"], association["IamInstanceProfile"]))

    def test_an_interface_without_a_public_address_has_no_association(self):
        instance = self.call("ec2", "describe_instances", InstanceIds=[self.victim])["Reservations"][0]["Instances"][0]
        self.assertEqual([None] * 3, [each.get("Association") for each in instance["NetworkInterfaces"]])

    def test_there_are_no_trunk_associations(self):
        self.assertEqual({"InterfaceAssociations": []}, self.call("ec2", "describe_trunk_interface_associations"))


class Identity(Case):
    def test_ids_have_the_prefixes_of_their_kind(self):
        user = self.call("iam", "create_user", UserName="u")["User"]["UserId"]
        profile = self.call("iam", "create_instance_profile", InstanceProfileName="p")["InstanceProfile"]
        self.assertRegex(user, r"\AAIDA[A-Z0-9]{17}\Z")
        self.assertRegex(profile["InstanceProfileId"], r"\AAIPA[A-Z0-9]{17}\Z")
        stored = self.call("iam", "get_instance_profile", InstanceProfileName="p")["InstanceProfile"]
        self.assertEqual(profile["InstanceProfileId"], stored["InstanceProfileId"])

    def test_temporary_keys_start_with_asia_and_stay_in_their_account(self):
        arn = f"arn:aws:iam::{self.account}:role/r"
        for method, params in (
            ("get_session_token", {}),
            ("get_federation_token", {"Name": "guest"}),
            ("assume_role", {"RoleArn": arn, "RoleSessionName": "session"}),
        ):
            with self.subTest(method):
                key = self.call("sts", method, **params)["Credentials"]["AccessKeyId"]
                self.assertRegex(key, r"\AASIA[A-Z0-9]{16}\Z")
                self.assertIn(f"<Account>{self.account}</Account>", self.whoami(key))

    def test_a_session_token_is_its_users(self):
        user = self.do("build")["operator"]
        key = self.call("iam", "create_access_key", UserName=user["name"])["AccessKey"]
        body = {"Action": "GetSessionToken", "Version": "2011-06-15"}
        _, text = self.raw("sts", body, key=key["AccessKeyId"], account=False)
        session = re.search(r"<AccessKeyId>(\w+)<", text)[1]
        self.assertIn(f"<UserId>{user['id']}</UserId>", self.whoami(session))

    def whoami(self, key):
        body = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
        return self.raw("sts", body, key=key, account=False)[1]

    def principals(self):
        self.call("iam", "create_user", UserName="n")
        self.call("iam", "create_role", RoleName="n", AssumeRolePolicyDocument=SMALL)
        self.call("iam", "create_group", GroupName="n")
        return (("user", 2048), ("role", 10240), ("group", 5120))

    def test_inline_policies_share_one_size_without_white_space(self):
        for kind, size in self.principals():
            with self.subTest(kind):
                target = {f"{kind.capitalize()}Name": "n"}
                put = f"put_{kind}_policy"
                half = size // 2
                self.call("iam", put, PolicyName="a", PolicyDocument=policy_of(half), **target)
                self.call("iam", put, PolicyName="b", PolicyDocument=policy_of(half), **target)
                self.refused("LimitExceeded", "iam", put, PolicyName="c", PolicyDocument=SMALL, **target)
                self.refused("LimitExceeded", "iam", put, PolicyName="b", PolicyDocument=policy_of(half + 1), **target)
                # What is replaced does not count.
                self.call("iam", put, PolicyName="b", PolicyDocument=policy_of(half), **target)

    def test_ten_managed_policies_fit_and_an_eleventh_does_not(self):
        made = [
            self.call("iam", "create_policy", PolicyName=f"p{n}", PolicyDocument=SMALL)["Policy"]["Arn"] for n in range(11)
        ]
        for kind, _ in self.principals():
            with self.subTest(kind):
                target, attach = {f"{kind.capitalize()}Name": "n"}, f"attach_{kind}_policy"
                for arn in made[:10]:
                    self.call("iam", attach, PolicyArn=arn, **target)
                self.call("iam", attach, PolicyArn=made[0], **target)
                self.refused("LimitExceeded", "iam", attach, PolicyArn=made[10], **target)
        # Three principals, each once, although each was attached to twice.
        self.assertEqual(3, self.call("iam", "get_policy", PolicyArn=made[0])["Policy"]["AttachmentCount"])

    def test_roles_of_aws_cannot_be_changed_and_others_can(self):
        deny = "arn:aws:iam::aws:policy/AWSDenyAll"
        changes = (
            ("put_role_policy", {"PolicyName": "p", "PolicyDocument": SMALL}),
            ("delete_role_policy", {"PolicyName": "p"}),
            ("attach_role_policy", {"PolicyArn": deny}),
            ("detach_role_policy", {"PolicyArn": deny}),
            ("put_role_permissions_boundary", {"PermissionsBoundary": deny}),
            ("delete_role_permissions_boundary", {}),
            ("update_assume_role_policy", {"PolicyDocument": TRUST}),
        )
        paths = {"plain": "/team/", "sso": "/aws-reserved/sso.amazonaws.com/"}
        for name, path in paths.items():
            self.call("iam", "create_role", RoleName=name, Path=path, AssumeRolePolicyDocument=SMALL)
        linked = self.call("iam", "create_service_linked_role", AWSServiceName="ecs.amazonaws.com")["Role"]["RoleName"]
        for method, params in changes:
            with self.subTest(method):
                self.refused("UnmodifiableEntity", "iam", method, RoleName="sso", **params)
                self.refused("UnmodifiableEntity", "iam", method, RoleName=linked, **params)
                self.call("iam", method, RoleName="plain", **params)

    def test_service_specific_credentials_are_made_listed_and_switched_off(self):
        for user in ("one", "two"):
            self.call("iam", "create_user", UserName=user)
        make = {"UserName": "one", "ServiceName": "codecommit.amazonaws.com"}
        made = self.call("iam", "create_service_specific_credential", **make)["ServiceSpecificCredential"]
        self.assertTrue(made["ServicePassword"])
        identifier = {"ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
        switch = "update_service_specific_credential"
        self.call("iam", switch, UserName="one", Status="Inactive", **identifier)
        (listed,) = self.listed("one")
        self.assertEqual(("Inactive", None), (listed["Status"], listed.get("ServicePassword")))
        self.assertEqual([], self.listed("two"))
        self.refused("NoSuchEntity", "iam", switch, UserName="two", Status="Active", **identifier)
        self.refused("NoSuchEntity", "iam", "list_service_specific_credentials", UserName="nobody")
        self.refused("ValidationError", "iam", switch, UserName="one", Status="Off", **identifier)
        self.call("iam", "create_service_specific_credential", **make)
        self.refused("LimitExceeded", "iam", "create_service_specific_credential", **make)

    def listed(self, user):
        return self.call("iam", "list_service_specific_credentials", UserName=user)["ServiceSpecificCredentials"]


class Sns(Case):
    def setUp(self):
        super().setUp()
        self.world = self.do("build")

    def publish(self, **params):
        return self.ask("call", service="sns", method="publish", params={"TopicArn": self.world["topic"]} | params)

    def test_a_subject_is_one_printable_line_below_a_hundred_characters(self):
        for subject in ("", "two\nlines", "two\u2028lines", "a\tb", "bell\x07", "x" * 100):
            with self.subTest(subject):
                reply = self.publish(Message="m", Subject=subject)
                self.assertEqual("InvalidParameter", reply.get("error", {}).get("code"), reply)
        self.assertIn("ok", self.publish(Message="m", Subject="x" * 99))

    def test_a_message_has_some_bytes_and_at_most_256_kibibytes(self):
        for message in ("", "é" * (128 * 1024 + 1)):
            reply = self.publish(Message=message)
            self.assertEqual("InvalidParameter", reply.get("error", {}).get("code"), reply)
        self.assertIn("ok", self.publish(Message="é" * (128 * 1024)))

    def test_messages_are_read_as_people_get_them_and_once(self):
        kind = {"severity": {"DataType": "String", "StringValue": "high"}}
        self.publish(Message="first", Subject="Contained", MessageAttributes=kind)
        self.publish(Message="second")
        first = {"severity": {"Type": "String", "Value": "high"}}
        self.assertEqual(
            [
                {"Subject": "Contained", "Message": "first", "MessageAttributes": first},
                {"Subject": None, "Message": "second", "MessageAttributes": {}},
            ],
            self.do("messages", queue=self.world["queue"]),
        )
        self.assertEqual([], self.do("messages", queue=self.world["queue"]))


class Validation(Case):
    EC2 = {"Version": "2016-11-15"}
    IAM = {"Version": "2010-05-08"}

    def test_an_operation_that_is_not_there_is_refused(self):
        self.raw_refused("InvalidAction", "ec2", self.EC2 | {"Action": "QuarantineInstance"})
        self.raw_refused("InvalidAction", "iam", self.IAM | {"Action": "QuarantineUser"})
        target = {"X-Amz-Target": "DynamoDB_20120810.PutThing", "Content-Type": "application/x-amz-json-1.0"}
        self.raw_refused("UnknownOperationException", "dynamodb", b"{}", target)

    def test_an_unknown_parameter_is_refused_at_any_depth(self):
        describe = self.EC2 | {"Action": "DescribeInstances"}
        known = {"Filter.1.Name": "vpc-id", "Filter.1.Value.1": "vpc-1", "InstanceId.1": "i-1", "DryRun": "false"}
        self.assertEqual(200, self.raw("ec2", describe | {k: v for k, v in known.items() if "Instance" not in k})[0])
        for key in ("Instances.1", "InstanceId", "InstanceId.1.Id", "Filter.1.Nam", "Filter.One.Name", "filter.1.Name"):
            with self.subTest(key):
                text = self.raw_refused("UnknownParameter", "ec2", describe | {key: "x"})
                self.assertIn(key, text)
        attributes = {"TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": "m", "Version": "2010-03-31", "Action": "Publish"}
        self.raw_refused("ValidationError", "sns", attributes | {"MessageAttributes.entry.1.Nam": "x"})
        self.raw_refused("ValidationError", "iam", self.IAM | {"Action": "GetUser", "User": "x"})
        listing = self.IAM | {"Action": "GetAccountAuthorizationDetails"}
        self.assertEqual(200, self.raw("iam", listing | {"Filter.member.1": "User"})[0])
        self.raw_refused("ValidationError", "iam", listing | {"Filter.1": "User"})

    def test_a_parameter_that_is_missing_is_refused(self):
        body = self.EC2 | {"Action": "ModifyNetworkInterfaceAttribute", "SecurityGroupId.1": "sg-1"}
        self.assertIn("NetworkInterfaceId", self.raw_refused("MissingParameter", "ec2", body))
        body = self.IAM | {"Action": "PutUserPolicy", "UserName": "u", "PolicyName": "p"}
        self.assertIn("PolicyDocument", self.raw_refused("ValidationError", "iam", body))

    def test_a_value_that_cannot_be_is_refused(self):
        update = self.IAM | {"Action": "UpdateAccessKey", "AccessKeyId": "AKIAEXAMPLEEXAMPLE00"}
        for status in ("Disabled", "inactive", ""):
            self.raw_refused("ValidationError", "iam", update | {"Status": status})
        for name in ("a:b", "x" * 129, ""):
            body = self.IAM | {"Action": "DeleteUserPolicy", "UserName": "u", "PolicyName": name}
            self.raw_refused("ValidationError", "iam", body)
        self.raw_refused("InvalidParameterValue", "ec2", self.EC2 | {"Action": "DescribeInstances", "MaxResults": "ten"})

    def test_json_is_checked_too(self):
        target = {"X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Type": "application/x-amz-json-1.0"}
        whole = {"TableName": "table", "Item": {"id": {"S": "x"}}}
        self.assertIn("ResourceNotFound", self.raw("dynamodb", json.dumps(whole).encode(), target)[1])
        for body in (
            {"TableName": "table"},
            whole | {"ConditionExpresion": "x"},
            whole | {"Item": {"id": {"Z": "x"}}},
            whole | {"ReturnValues": "SOME"},
            whole | {"TableName": 7},
        ):
            with self.subTest(body):
                self.raw_refused("ValidationException", "dynamodb", json.dumps(body).encode(), target)


class World(Case):
    def test_doing_nothing_leaves_the_dump_as_it_was(self):
        built = self.do("build", ipv6=True)
        before = self.do("dump")
        self.do("call", service="sts", method="get_caller_identity")
        self.assertEqual(before, self.do("dump"))
        self.assertIn(built["victim"]["instance"], before["instances"])

    def test_the_dump_shows_every_change(self):
        built = self.do("build")
        name, role = built["user"]["name"], built["victim"]["role"]["name"]
        victim = built["victim"]["instance"]
        volume = next(iter(self.do("dump")["instances"][victim]["volumes"]))
        egress = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        interface = built["victim"]["interfaces"][1]
        key = {"UserName": name, "AccessKeyId": built["user"]["keys"][1]}
        service = {"UserName": name, "ServiceName": "codecommit.amazonaws.com"}
        deny = "arn:aws:iam::aws:policy/AWSDenyAll"
        after = self.do("dump")
        change_groups = {"NetworkInterfaceId": interface, "Groups": [built["web_group"]]}
        for path, api, method, params in (
            ("instances", "ec2", "stop_instances", {"InstanceIds": [victim]}),
            ("instances", "ec2", "modify_instance_attribute", {"InstanceId": victim, "DisableApiStop": {"Value": True}}),
            ("network_interfaces", "ec2", "modify_network_interface_attribute", change_groups),
            ("security_groups", "ec2", "revoke_security_group_egress", {"GroupId": built["web_group"], "IpPermissions": [egress]}),
            ("tags", "ec2", "create_tags", {"Resources": [interface], "Tags": [{"Key": "k", "Value": "v"}]}),
            ("snapshots", "ec2", "create_snapshot", {"VolumeId": volume}),
            ("users", "iam", "update_access_key", key | {"Status": "Inactive"}),
            ("users", "iam", "put_user_policy", {"UserName": name, "PolicyName": "push", "PolicyDocument": SMALL}),
            ("users", "iam", "attach_user_policy", {"UserName": name, "PolicyArn": deny}),
            ("users", "iam", "create_login_profile", {"UserName": name, "Password": "secret-Secret-1"}),
            ("users", "iam", "create_service_specific_credential", service),
            ("roles", "iam", "put_role_policy", {"RoleName": role, "PolicyName": "p", "PolicyDocument": SMALL}),
            ("roles", "iam", "attach_role_policy", {"RoleName": role, "PolicyArn": deny}),
        ):
            with self.subTest(f"{method} {path}"):
                before = after
                self.call(api, method, **params)
                after = self.do("dump")
                self.assertNotEqual(before[path], after[path])
                if path in ("users", "roles"):
                    rest = [section for section in before if section != path]
                    self.assertEqual([before[s] for s in rest], [after[s] for s in rest])

    def test_a_world_has_as_many_interfaces_as_asked_for_and_shares_one_role(self):
        built = self.do("build", interfaces=5, ipv6=True)
        dumped = self.do("dump")
        attached = {
            identifier: each["attachment"]["DeviceIndex"]
            for identifier, each in dumped["network_interfaces"].items()
            if each["attachment"]["InstanceId"] == built["victim"]["instance"]
        }
        self.assertEqual({name: index for index, name in enumerate(built["victim"]["interfaces"])}, attached)
        self.assertEqual(5, len(attached))
        self.assertEqual(built["victim"]["role"], built["bystander"]["role"])
        self.assertEqual(built["user"]["name"], built["role_deploy"]["name"])
        rules = dumped["security_groups"][built["web_group"]]["rules"]
        self.assertEqual(1, sum(rule.get("CidrIpv6") == "::/0" and rule["IsEgress"] for rule in rules))

    def test_the_operators_credentials_act_in_their_own_account(self):
        body = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
        for _ in range(2):
            self.account = next(ACCOUNTS)
            built = self.do("build")
            _, text = self.raw("sts", body, key=built["credentials"]["access_key_id"], account=False)
            self.assertIn(f"<Arn>arn:aws:iam::{self.account}:user/cordon-operator</Arn>", text)

    def test_a_failed_call_is_an_error_and_the_worker_lives(self):
        self.refused("NoSuchEntity", "iam", "get_user", UserName="nobody")
        for request in ({"op": "nothing"}, {"op": "call", "service": "ec2", "method": "no_such_method"}):
            self.assertIn("error", self.ask(**request))
        self.assertIn("ok", self.ask("dump"))


class Guard(unittest.TestCase):
    def test_a_mend_refuses_a_moto_that_it_does_not_know(self):
        import mends

        def function(self, name):
            return name

        owner = type("Owner", (), {"function": function})
        for name, parameters, internals in (
            ("gone", "self, name", ()),
            ("function", "self, other", ()),
            ("function", "self, name", ("no such " + "internal",)),
        ):
            with self.subTest(name=name, parameters=parameters, internals=internals):
                with self.assertRaises(mends.MendError):
                    mends.Mend(owner, name, parameters, internals, lambda original: None).apply()
        self.assertIs(function, owner.function)

    def test_the_server_ends_with_its_standard_input(self):
        other = start("server.py")
        address = json.loads(other.stdout.readline())["endpoint"].rpartition("/")[2].split(":")
        socket.create_connection((address[0], int(address[1])), 5).close()
        self.assertEqual("", other.communicate(timeout=10)[0])
        self.assertEqual(0, other.returncode)

    def test_the_server_ends_on_sigterm(self):
        other = start("server.py")
        other.stdout.readline()
        other.terminate()
        self.assertEqual(0, other.wait(10))
        other.communicate()


if __name__ == "__main__":
    unittest.main()
