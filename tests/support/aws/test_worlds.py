"""Proves what a world has when the request asks for it, and that it has nothing more when it does not."""

from cases import ACCOUNTS, Case, setUpModule, tearDownModule  # noqa: F401

EVERYTHING = dict.fromkeys(
    (
        "scaling targets nlb nat endpoint router route_target eks credentials ipv6 trail detector recorder event_rule "
        "flow_logs bucket website open_group acl ip_set"
    ).split(),
    True,
)


class Worlds(Case):
    def make(self, **flags):
        """Builds the world, and proves that its dump stays as it is."""
        self.world = self.do("build", **flags)
        self.dumped = self.do("dump")
        self.assertEqual(self.dumped, self.do("dump"))
        self.victim, self.bystander = (self.world[name]["instance"] for name in ("victim", "bystander"))
        return self.world

    def routes(self, subnet):
        of = [{"Name": "vpc-id", "Values": [self.world["vpc"]]}]
        tables = self.call("ec2", "describe_route_tables", Filters=of)["RouteTables"]
        (table,) = (t for t in tables if subnet in [each.get("SubnetId") for each in t["Associations"]])
        return {
            route.get("DestinationCidrBlock") or route["DestinationIpv6CidrBlock"]: route for route in table["Routes"]
        }

    def subnets(self, name):
        listed = self.call("ec2", "describe_network_interfaces", NetworkInterfaceIds=self.world[name]["interfaces"])
        return {each["SubnetId"] for each in listed["NetworkInterfaces"]}

    def test_a_plain_world_has_nothing_of_it(self):
        plain = self.make()
        self.assertEqual(({}, {}), (self.dumped["scaling_groups"], self.dumped["target_groups"]))
        self.assertEqual({self.victim, self.bystander}, set(self.dumped["instances"]))
        self.assertEqual(4, len(self.dumped["network_interfaces"]))
        self.assertEqual({"Name": "victim"}, self.dumped["instances"][self.victim]["tags"])
        self.assertEqual({"name", "id", "arn", "keys"}, set(plain["user"]))
        self.assertEqual(
            {
                *("account", "region", "vpc", "subnet", "route_table", "web_group", "admin_group", "victim", "bystander"),
                *("user", "bystander_user", "role_deploy", "role_app", "operator", "credentials", "topic", "queue"),
            },
            set(plain),
        )
        internet = self.routes(plain["subnet"])
        self.assertEqual({"10.20.0.0/16", "0.0.0.0/0"}, set(internet))
        self.assertTrue(internet["0.0.0.0/0"]["GatewayId"].startswith("igw-"))

    def test_scaling(self):
        world = self.make(scaling=True)
        self.assertEqual(
            {
                "web": {
                    "desired": 1,
                    "min": 1,
                    "max": 4,
                    "members": {self.victim: {"state": "InService", "health": "Healthy", "protected": False}},
                    "suspended": [],
                }
            },
            self.dumped["scaling_groups"],
        )
        self.assertEqual("web", world["scaling_group"])
        self.assertEqual({self.victim, self.bystander}, set(self.dumped["instances"]))
        listed = self.call("autoscaling", "describe_auto_scaling_instances", InstanceIds=[self.victim, self.bystander])
        (member,) = listed["AutoScalingInstances"]
        template = member["LaunchTemplate"]["LaunchTemplateId"]
        self.assertEqual((self.victim, world["launch_template"]), (member["InstanceId"], template))
        processes = {"AutoScalingGroupName": "web", "ScalingProcesses": ["Terminate", "HealthCheck", "AZRebalance"]}
        self.call("autoscaling", "suspend_processes", **processes)
        self.dumped["scaling_groups"]["web"]["suspended"] = ["AZRebalance", "HealthCheck", "Terminate"]
        self.assertEqual(self.dumped, self.do("dump"))

    def test_targets(self):
        world = self.make(targets=True)
        self.assertEqual({"instance", "ip"}, set(world["target_groups"]))
        self.assertNotIn("network_load_balancer", world)
        primaries = [world[name]["interfaces"][0] for name in ("victim", "bystander")]
        listed = self.call("ec2", "describe_network_interfaces", NetworkInterfaceIds=primaries)["NetworkInterfaces"]
        groups = world["target_groups"]
        self.assertEqual(
            {
                groups["instance"]: {f"{self.victim}:80": "healthy", f"{self.bystander}:80": "healthy"},
                groups["ip"]: {f"{each['PrivateIpAddress']}:8080": "healthy" for each in listed},
            },
            self.dumped["target_groups"],
        )
        described = self.call("elbv2", "describe_target_groups")["TargetGroups"]
        self.assertEqual([[world["load_balancer"]]] * 2, [each["LoadBalancerArns"] for each in described])
        self.assertEqual({"instance", "ip"}, {each["TargetType"] for each in described})
        (balancer,) = self.call("elbv2", "describe_load_balancers")["LoadBalancers"]
        zones = {each["SubnetId"] for each in balancer["AvailabilityZones"]}
        self.assertEqual(("application", {world["subnet"], world["second_subnet"]}), (balancer["Type"], zones))

    def test_a_lonely_victim_is_the_only_healthy_target(self):
        groups = self.make(targets=True, lonely=True)["target_groups"]
        self.assertEqual({f"{self.victim}:80": "healthy"}, self.dumped["target_groups"][groups["instance"]])
        self.assertEqual(2, len(self.dumped["target_groups"][groups["ip"]]))

    def test_a_network_load_balancer(self):
        world = self.make(targets=True, nlb=True)
        self.assertEqual(
            {f"{self.victim}:443": "healthy", f"{self.bystander}:443": "healthy"},
            self.dumped["target_groups"][world["target_groups"]["network"]],
        )
        arn = {"LoadBalancerArns": [world["network_load_balancer"]]}
        (balancer,) = self.call("elbv2", "describe_load_balancers", **arn)["LoadBalancers"]
        self.assertEqual("network", balancer["Type"])

    def test_nat(self):
        world = self.make(nat=True)
        private, public = world["private_subnet"], world["subnet"]
        self.assertEqual(({private}, {public}), (self.subnets("victim"), self.subnets("bystander")))
        way_out = self.routes(private)["0.0.0.0/0"]
        self.assertEqual((world["nat_gateway"], None), (way_out["NatGatewayId"], way_out.get("GatewayId")))
        self.assertTrue(self.routes(public)["0.0.0.0/0"]["GatewayId"].startswith("igw-"))
        (gateway,) = self.call("ec2", "describe_nat_gateways", NatGatewayIds=[world["nat_gateway"]])["NatGateways"]
        self.assertEqual((public, "available"), (gateway["SubnetId"], gateway["State"]))
        self.assertEqual({"10.20.0.0/16", "0.0.0.0/0"}, set(self.routes(private)))

    def test_nat_with_ipv6_goes_out_only(self):
        world = self.make(nat=True, ipv6=True)
        self.assertTrue(self.routes(world["private_subnet"])["::/0"]["EgressOnlyInternetGatewayId"].startswith("eigw-"))

    def test_endpoint(self):
        world = self.make(endpoint=True)
        listed = self.call("ec2", "describe_vpc_endpoints", Filters=[{"Name": "vpc-id", "Values": [world["vpc"]]}])
        (endpoint,) = listed["VpcEndpoints"]
        self.assertEqual(world["endpoint"], endpoint["VpcEndpointId"])
        named = (endpoint["VpcEndpointType"], endpoint["ServiceName"])
        self.assertEqual(("Interface", "com.amazonaws.us-east-1.sqs"), named)

    def test_router_and_route_target(self):
        world = self.make(router=True)
        primary, second = world["victim"]["interfaces"][:2]
        checks = {name: each["source_dest_check"] for name, each in self.dumped["network_interfaces"].items()}
        self.assertEqual((False, True), (checks[primary], checks[second]))
        self.assertFalse(self.dumped["instances"][self.victim]["source_dest_check"])
        self.assertNotIn("10.99.0.0/16", self.routes(world["subnet"]))

        self.account = next(ACCOUNTS)
        world = self.make(route_target=True)
        route = self.routes(world["subnet"])["10.99.0.0/16"]
        self.assertEqual(world["victim"]["interfaces"][0], route["NetworkInterfaceId"])
        self.assertTrue(self.dumped["instances"][self.victim]["source_dest_check"])

    def test_eks(self):
        cluster = self.make(eks=True)["cluster"]
        tags = {
            "Name": "victim",
            "eks:cluster-name": cluster,
            "eks:nodegroup-name": "workers",
            f"kubernetes.io/cluster/{cluster}": "owned",
        }
        self.assertEqual(tags, self.dumped["instances"][self.victim]["tags"])
        self.assertEqual({"Name": "bystander"}, self.dumped["instances"][self.bystander]["tags"])

    def test_credentials(self):
        world = self.make(credentials=True)
        user = world["user"]
        dumped = self.dumped["users"][user["id"]]
        self.assertEqual({key: "Active" for key in user["keys"]}, dumped["keys"])
        self.assertEqual(2, len(dumped["keys"]))
        self.assertEqual({user["service_credential"]: "Active"}, dumped["service_credentials"])
        self.assertEqual({user["ssh_key"]: "Active"}, dumped["ssh_keys"])
        self.assertEqual({user["signing_certificate"]: "Active"}, dumped["signing_certificates"])
        self.assertEqual(([user["mfa_device"]], True), (dumped["mfa_devices"], dumped["login_profile"]))
        self.assertIn("access_key_id", world["credentials"])
        devices = self.call("iam", "list_mfa_devices", UserName="deploy")["MFADevices"]
        self.assertEqual([user["mfa_device"]], [device["SerialNumber"] for device in devices])
        off = {"UserName": "deploy", "Status": "Inactive"}
        self.call("iam", "update_ssh_public_key", SSHPublicKeyId=user["ssh_key"], **off)
        self.call("iam", "update_signing_certificate", CertificateId=user["signing_certificate"], **off)
        self.call("iam", "update_service_specific_credential", ServiceSpecificCredentialId=user["service_credential"], **off)
        dumped["ssh_keys"][user["ssh_key"]] = "Inactive"
        dumped["signing_certificates"][user["signing_certificate"]] = "Inactive"
        dumped["service_credentials"][user["service_credential"]] = "Inactive"
        self.assertEqual(self.dumped, self.do("dump"))

    def test_everything_at_once(self):
        world = self.make(**EVERYTHING)
        self.assertEqual({world["private_subnet"]}, self.subnets("victim"))
        self.assertEqual({self.victim, self.bystander}, set(self.dumped["instances"]))
        self.assertEqual(3, len(self.dumped["target_groups"]))
        sensors = ("trails", "detectors", "recorders", "flow_logs", "ip_sets")
        self.assertEqual([1] * 5, [len(self.dumped[part]) for part in sensors])
        # Two that are public, and what the trail, the recorder and the flow log write to.
        self.assertEqual((5, 2), (len(self.dumped["buckets"]), len(self.dumped["event_rules"])))
