"""Proves the mends that an isolation leans on: attributes, Auto Scaling and target groups. Each fails on a bare moto."""

from cases import Case, setUpModule, tearDownModule  # noqa: F401


class Isolation(Case):
    FLAGS = {}

    def setUp(self):
        super().setUp()
        self.world = self.do("build", **self.FLAGS)
        self.victim, self.bystander = (self.world[name]["instance"] for name in ("victim", "bystander"))
        self.interfaces = self.world["victim"]["interfaces"]

    def instance(self):
        return self.call("ec2", "describe_instances", InstanceIds=[self.victim])["Reservations"][0]["Instances"][0]


class Attributes(Isolation):
    MODIFY = "modify_network_interface_attribute"

    def tracking(self, interface):
        """As DescribeNetworkInterfaces and as DescribeInstances tell it."""
        listed = self.call("ec2", "describe_network_interfaces", NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        listed += [each for each in self.instance()["NetworkInterfaces"] if each["NetworkInterfaceId"] == interface]
        return [each.get("ConnectionTrackingConfiguration") for each in listed]

    def test_tracking_timeouts_are_shown_once_they_are_set(self):
        first, second = self.interfaces[:2]
        self.assertEqual([None, None], self.tracking(first))
        before = self.do("dump")
        least = {"TcpEstablishedTimeout": 60, "UdpStreamTimeout": 60, "UdpTimeout": 30}
        self.call("ec2", self.MODIFY, NetworkInterfaceId=first, ConnectionTrackingSpecification=least)
        self.assertEqual([least, least], self.tracking(first))
        self.assertEqual([None, None], self.tracking(second))
        before["network_interfaces"][first]["connection_tracking"] = least
        self.assertEqual(before, self.do("dump"))
        most = {"TcpEstablishedTimeout": 432000}
        self.call("ec2", self.MODIFY, NetworkInterfaceId=first, ConnectionTrackingSpecification=most)
        self.assertEqual([least | most] * 2, self.tracking(first))

    def test_tracking_timeouts_have_ranges(self):
        target = {"NetworkInterfaceId": self.interfaces[0]}
        for name, wrong in (
            ("TcpEstablishedTimeout", (59, 432001)),
            ("UdpStreamTimeout", (59, 181)),
            ("UdpTimeout", (29, 61)),
        ):
            for seconds in wrong:
                with self.subTest(name, seconds=seconds):
                    change = target | {"ConnectionTrackingSpecification": {name: seconds}}
                    self.refused("InvalidParameterValue", "ec2", self.MODIFY, **change)
        self.assertEqual([None, None], self.tracking(self.interfaces[0]))
        dry = target | {"ConnectionTrackingSpecification": {"UdpTimeout": 30}, "DryRun": True}
        self.refused("DryRunOperation", "ec2", self.MODIFY, **dry)
        self.assertEqual([None, None], self.tracking(self.interfaces[0]))

    def test_an_attachment_learns_whether_it_goes_with_its_instance(self):
        before, interface = self.do("dump"), self.interfaces[1]
        listed = self.call("ec2", "describe_network_interfaces", NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        attachment = {"AttachmentId": listed[0]["Attachment"]["AttachmentId"], "DeleteOnTermination": True}
        self.call("ec2", self.MODIFY, NetworkInterfaceId=interface, Attachment=attachment)
        before["network_interfaces"][interface]["attachment"]["DeleteOnTermination"] = True
        self.assertEqual(before, self.do("dump"))
        foreign = {"NetworkInterfaceId": self.interfaces[2], "Attachment": attachment}
        self.refused("InvalidAttachmentID.NotFound", "ec2", self.MODIFY, **foreign)

    def test_an_attribute_that_moto_lacks_is_an_error(self):
        change = {"NetworkInterfaceId": self.interfaces[0], "EnablePrimaryIpv6": True}
        self.assertIn("error", self.ask("call", service="ec2", method=self.MODIFY, params=change))

    def test_one_attribute_is_modified_at_a_time(self):
        before, code = self.do("dump"), "InvalidParameterCombination"
        two = {"Groups": [self.world["admin_group"]], "SourceDestCheck": {"Value": False}}
        self.refused(code, "ec2", self.MODIFY, NetworkInterfaceId=self.interfaces[0], **two)
        self.refused(code, "ec2", self.MODIFY, NetworkInterfaceId=self.interfaces[0])
        two = {"DisableApiStop": {"Value": True}, "DisableApiTermination": {"Value": True}}
        self.refused(code, "ec2", "modify_instance_attribute", InstanceId=self.victim, **two)
        self.assertEqual(before, self.do("dump"))

    def test_source_dest_check_is_that_of_the_primary_interface(self):
        off = {"SourceDestCheck": {"Value": False}}
        self.call("ec2", self.MODIFY, NetworkInterfaceId=self.interfaces[1], **off)
        self.assertTrue(self.instance()["SourceDestCheck"])
        self.call("ec2", self.MODIFY, NetworkInterfaceId=self.interfaces[0], **off)
        self.assertFalse(self.instance()["SourceDestCheck"])
        lone = self.world["bystander"]
        self.call("ec2", "modify_instance_attribute", InstanceId=lone["instance"], **off)
        dumped = self.do("dump")
        self.assertFalse(dumped["network_interfaces"][lone["interfaces"][0]]["source_dest_check"])
        # In the form that is no structure, which moto keeps as text.
        self.call(
            "ec2", "modify_instance_attribute", InstanceId=lone["instance"], Attribute="sourceDestCheck", Value="true"
        )
        self.assertTrue(self.do("dump")["network_interfaces"][lone["interfaces"][0]]["source_dest_check"])

    def test_protections_in_the_structured_form_show_and_hold(self):
        """Moto is right here; the tests of Cordon lean on it."""
        before, modify = self.do("dump"), "modify_instance_attribute"
        kept = [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}]
        for change in (
            {"DisableApiStop": {"Value": True}},
            {"DisableApiTermination": {"Value": True}},
            {"BlockDeviceMappings": kept},
        ):
            self.call("ec2", modify, InstanceId=self.victim, **change)
        shown = before["instances"][self.victim]
        shown["attributes"] |= {"disableApiStop": True, "disableApiTermination": True}
        (volume,) = shown["volumes"].values()
        self.assertTrue(volume["delete_on_termination"])
        volume["delete_on_termination"] = False
        self.assertEqual(before, self.do("dump"))
        self.refused("OperationNotPermitted", "ec2", "stop_instances", InstanceIds=[self.victim])
        self.refused("OperationNotPermitted", "ec2", "terminate_instances", InstanceIds=[self.victim])
        self.call("ec2", modify, InstanceId=self.victim, DisableApiStop={"Value": False})
        self.call("ec2", "stop_instances", InstanceIds=[self.victim])

    def test_a_device_that_is_not_there_is_refused(self):
        change = {"BlockDeviceMappings": [{"DeviceName": "/dev/sdx", "Ebs": {"DeleteOnTermination": False}}]}
        code = "InvalidInstanceAttributeValue"
        self.refused(code, "ec2", "modify_instance_attribute", InstanceId=self.victim, **change)

    def test_snapshots_start_pending_carry_tags_and_are_found_by_them(self):
        (volume,) = self.do("dump")["instances"][self.victim]["volumes"]
        own = [{"Key": "team", "Value": "shop"}, {"Key": "incident", "Value": "none"}]
        self.call("ec2", "create_tags", Resources=[volume], Tags=own)
        tags = [{"Key": "incident", "Value": "one"}]
        wanted = {"InstanceSpecification": {"InstanceId": self.victim}, "CopyTagsFromSource": "volume"}
        tagged = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": tags}]}
        (started,) = self.call("ec2", "create_snapshots", **wanted, **tagged)["Snapshots"]
        self.assertEqual(("pending", volume), (started["State"], started["VolumeId"]))
        for value, found in (("one", [started["SnapshotId"]]), ("two", [])):
            by_tag = [{"Name": "tag:incident", "Values": [value]}]
            listed = self.call("ec2", "describe_snapshots", OwnerIds=["self"], Filters=by_tag)["Snapshots"]
            self.assertEqual(found, [each["SnapshotId"] for each in listed])
        dumped = self.do("dump")["snapshots"][started["SnapshotId"]]
        self.assertEqual({"incident": "one", "team": "shop"}, dumped["tags"])

    def test_hypervisors_are_told(self):
        """Moto is right here; time-outs of connection tracking are for Nitro only."""
        types = {"InstanceTypes": ["t3.micro", "t2.micro"]}
        listed = self.call("ec2", "describe_instance_types", **types)["InstanceTypes"]
        told = {each["InstanceType"]: each["Hypervisor"] for each in listed}
        self.assertEqual({"t3.micro": "nitro", "t2.micro": "xen"}, told)


class Scaling(Isolation):
    FLAGS = {"scaling": True, "targets": True}

    def standby(self, decrement=False, instance=None, enter=True, refused=None):
        change = {"AutoScalingGroupName": "web", "InstanceIds": [instance or self.victim]}
        if enter:
            change["ShouldDecrementDesiredCapacity"] = decrement
        method = "enter_standby" if enter else "exit_standby"
        if refused is None:
            return self.call("autoscaling", method, **change)
        return self.assertIn(refused, self.refused("ValidationError", "autoscaling", method, **change))

    def group(self):
        """Desired capacity and members; a replacement has a name of its own."""
        shown = self.do("dump")["scaling_groups"]["web"]
        states = {"victim" if name == self.victim else "other": each["state"] for name, each in shown["members"].items()}
        return shown["desired"], states

    def test_standby_is_entered_once_and_left_once(self):
        self.standby(enter=False, refused="is not in Standby")
        self.assertEqual((1, {"victim": "InService"}), self.group())
        self.standby()
        self.assertEqual((1, {"victim": "Standby", "other": "InService"}), self.group())
        self.standby(refused="is not in InService")
        self.assertEqual((1, {"victim": "Standby", "other": "InService"}), self.group())
        self.standby(enter=False)
        self.assertEqual((2, {"victim": "InService", "other": "InService"}), self.group())
        self.standby(enter=False, refused="is not in Standby")
        self.assertEqual(2, self.group()[0])

    def test_a_stranger_and_an_unknown_group_are_refused(self):
        for enter in (True, False):
            self.standby(instance=self.bystander, enter=enter, refused="is not part of Auto Scaling group web")
        unknown = {"AutoScalingGroupName": "nothing", "InstanceIds": [self.victim]}
        self.refused("ValidationError", "autoscaling", "exit_standby", **unknown)
        unknown["ShouldDecrementDesiredCapacity"] = False
        self.refused("ValidationError", "autoscaling", "enter_standby", **unknown)

    def test_the_sizes_of_the_group_hold(self):
        self.standby(decrement=True, refused="min-size=1, max-size=4, and desired-size=1")
        self.assertEqual((1, {"victim": "InService"}), self.group())
        self.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName="web", MinSize=0)
        self.standby(decrement=True)
        self.assertEqual((0, {"victim": "Standby"}), self.group())
        self.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName="web", MaxSize=0)
        self.standby(enter=False, refused="min-size=0, max-size=0, and desired-size=0")
        self.assertEqual((0, {"victim": "Standby"}), self.group())

    def test_a_member_in_standby_is_not_scaled_in(self):
        self.standby()
        self.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName="web", MinSize=0)
        self.call("autoscaling", "set_desired_capacity", AutoScalingGroupName="web", DesiredCapacity=0)
        self.assertEqual("running", self.do("dump")["instances"][self.victim]["state"])
        self.assertEqual((0, {"victim": "Standby"}), self.group())

    def test_standby_leaves_the_attached_target_groups_and_comes_back(self):
        arn = self.world["target_groups"]["instance"]
        attached = {"AutoScalingGroupName": "web", "TargetGroupARNs": [arn]}
        self.call("autoscaling", "attach_load_balancer_target_groups", **attached)
        before = self.targets()
        self.assertIn(f"{self.victim}:80", before)
        self.standby()
        self.assertNotIn(f"{self.victim}:80", self.targets())
        self.assertIn(f"{self.bystander}:80", self.targets())
        # A later change of the group registers its members again, but not that one.
        self.call("autoscaling", "set_desired_capacity", AutoScalingGroupName="web", DesiredCapacity=2)
        self.call("autoscaling", "attach_load_balancer_target_groups", **attached)
        self.assertNotIn(f"{self.victim}:80", self.targets())
        self.standby(enter=False)
        self.assertEqual("healthy", self.targets()[f"{self.victim}:80"])

    def targets(self):
        return self.do("dump")["target_groups"][self.world["target_groups"]["instance"]]


class Balancing(Isolation):
    FLAGS = {"targets": True, "nlb": True}

    def setUp(self):
        super().setUp()
        self.arns = self.world["target_groups"]

    def change(self, verb, *targets, group="instance"):
        self.call("elbv2", f"{verb}_targets", TargetGroupArn=self.arns[group], Targets=list(targets))

    def health(self, *targets, group="instance"):
        wanted = {"Targets": list(targets)} if targets else {}
        answer = self.call("elbv2", "describe_target_health", TargetGroupArn=self.arns[group], **wanted)
        return {
            f"{each['Target']['Id']}:{each['Target']['Port']}": (
                each["TargetHealth"]["State"],
                each["TargetHealth"].get("Reason"),
            )
            for each in answer["TargetHealthDescriptions"]
        }

    def test_deregistering_may_be_repeated(self):
        for target in ({"Id": self.victim}, {"Id": self.victim}, {"Id": "i-00000000000000000"}):
            self.change("deregister", target)
            self.assertEqual({f"{self.bystander}:80": ("healthy", None)}, self.health())
        self.change("register", {"Id": self.victim})
        self.assertEqual(("healthy", None), self.health()[f"{self.victim}:80"])

    def test_an_override_of_the_port_is_needed_to_deregister(self):
        plain, ports = {"Id": self.victim}, (8080, 9090)
        self.change("register", *({"Id": self.victim, "Port": port} for port in ports))
        healthy = ("healthy", None)
        here = {f"{self.victim}:{port}": healthy for port in (80, *ports)}
        others = {f"{self.bystander}:80": healthy}
        self.assertEqual(here | others, self.health())
        self.assertEqual(others | here, self.do_health())
        self.change("deregister", plain)
        del here[f"{self.victim}:80"]
        self.assertEqual(here | others, self.health())
        self.assertEqual({f"{self.victim}:80": ("unused", "Target.NotRegistered")}, self.health(plain))
        self.change("deregister", plain)
        self.assertEqual(here | others, self.health())
        self.change("deregister", {"Id": self.victim, "Port": 8080})
        del here[f"{self.victim}:8080"]
        self.assertEqual(here | others, self.health())

    def do_health(self):
        """As the dump has it, with the reasons left out."""
        return {name: (state, None) for name, state in self.do("dump")["target_groups"][self.arns["instance"]].items()}

    def test_what_is_not_registered_is_unused(self):
        unused = ("unused", "Target.NotRegistered")
        self.assertEqual({"i-00000000000000000:80": unused}, self.health({"Id": "i-00000000000000000"}))
        self.assertEqual({"10.20.1.250:8080": unused}, self.health({"Id": "10.20.1.250"}, group="ip"))
        self.assertEqual({"10.20.1.250:9": unused}, self.health({"Id": "10.20.1.250", "Port": 9}, group="ip"))

    def test_a_stopped_or_terminated_instance_is_not_healthy_on_any_port(self):
        self.change("register", {"Id": self.victim, "Port": 8080})
        self.call("ec2", "stop_instances", InstanceIds=[self.victim])
        stopped = ("unused", "Target.InvalidState")
        both = {f"{self.victim}:80": stopped, f"{self.victim}:8080": stopped}
        self.assertEqual(both | {f"{self.bystander}:80": ("healthy", None)}, self.health())
        self.call("ec2", "terminate_instances", InstanceIds=[self.victim])
        self.assertEqual({f"{self.bystander}:80": ("healthy", None)}, self.health())
        draining = ("draining", "Target.DeregistrationInProgress")
        self.assertEqual({f"{self.victim}:80": draining}, self.health({"Id": self.victim}))

    def test_a_group_that_no_balancer_uses_has_unused_targets(self):
        kind = {"Protocol": "HTTP", "Port": 80, "VpcId": self.world["vpc"]}
        made = self.call("elbv2", "create_target_group", Name="spare", **kind)["TargetGroups"][0]["TargetGroupArn"]
        self.arns["spare"] = made
        self.change("register", {"Id": self.victim}, group="spare")
        self.assertEqual({f"{self.victim}:80": ("unused", "Target.NotInUse")}, self.health(group="spare"))

    def test_target_groups_come_in_pages(self):
        pages, marker = [], {}
        while True:
            page = self.call("elbv2", "describe_target_groups", PageSize=1, **marker)
            pages.append([group["TargetGroupArn"] for group in page["TargetGroups"]])
            if "NextMarker" not in page:
                break
            marker = {"Marker": page["NextMarker"]}
        self.assertEqual([1, 1, 1], [len(page) for page in pages])
        self.assertEqual(set(self.arns.values()), {arn for page in pages for arn in page})
        whole = self.call("elbv2", "describe_target_groups")
        self.assertEqual((3, False), (len(whole["TargetGroups"]), "NextMarker" in whole))
        exact = self.call("elbv2", "describe_target_groups", PageSize=3)
        self.assertNotIn("NextMarker", exact)
        self.refused("ValidationError", "elbv2", "describe_target_groups", Marker="nonsense")
