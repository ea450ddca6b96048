#!/usr/bin/env python3
"""`make sam-local`: the function as sam builds and runs it, in Docker, against moto on this machine.

Starts moto, builds a world, lets `sam local invoke` give the function fresh copies of two samples, and looks at the world with
boto3 afterwards: the interfaces of the victim are in the empty group, the keys of the user are inactive. Exits with 1 if not.

    sam_local.py --template BUILT --folder WORK --python MOTO_PYTHON --sam-python SAM_PYTHON
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AWS = ROOT / "tests/support/aws"
# What sam builds its image from (samcli/local/docker/lambda_image.py).
BASE_IMAGE = "public.ecr.aws/lambda/provided:al2023-x86_64"
ACCOUNT, REGION = "222233334444", "us-east-1"
LONGEST = 300
# By this name the part of this script that is sam learns the address of moto.
ENDPOINT = "SAM_LOCAL_ENDPOINT"


class Failed(Exception):
    """What went wrong, for a person."""


# ---- sam itself, on the host's network -------------------------------------------------------------------------------------------


def run_sam(arguments):
    """sam's own command line, in this process, with its containers on the host's network.

    In sam 1.170 `--docker-network host` has no effect: the container stays in the default network, where 127.0.0.1 is the
    container's own, and moto answers there only. And `--env-vars` drops what the template does not declare, as it must not declare
    AWS_ENDPOINT_URL: without that the function would call the real AWS. So both are put in where the container is made; nothing else
    of sam is changed.
    """
    from docker.models.containers import ContainerCollection
    from samcli.cli.main import cli

    endpoint = os.environ[ENDPOINT]
    create = ContainerCollection.create

    def create_on_host(self, image, command=None, **options):
        # On the host's network there is nothing to publish; the emulator listens where sam will look for it.
        ((_, port),) = options.pop("ports").values()
        options["entrypoint"] = [*options["entrypoint"], "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        options["environment"] = {**options["environment"], "AWS_ENDPOINT_URL": endpoint}
        return create(self, image, command, network_mode="host", **options)

    ContainerCollection.create = create_on_host
    sys.argv = ["sam", *arguments]
    cli(prog_name="sam")


# ---- moto and its world ----------------------------------------------------------------------------------------------------------


class World:
    """tests/support/aws/world.py: one JSON line there, one back."""

    def __init__(self, python, endpoint):
        self.process = subprocess.Popen(
            [python, AWS / "world.py", endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, op, **request):
        self.process.stdin.write(json.dumps({"op": op, "account": ACCOUNT, "region": REGION, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": "world.py has ended"}
        if "error" in reply:
            raise Failed(f"{op}: {reply['error']}")
        return reply["ok"]

    def call(self, service, method, **params):
        return self.ask("call", service=service, method=method, params=params)


def ended(process):
    """Ends a script of ours: both of them stop at the end of their input."""
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def keys(partition, sort):
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def make_deployment(world):
    """What template.yaml would make: the table and the queue. (The topic comes with the world.)"""
    world.call(
        "dynamodb",
        "create_table",
        TableName="cordon",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in (("pk", "S"), ("sk", "S"), ("due", "S"), ("due_at", "N"))
        ],
        KeySchema=keys("pk", "sk"),
        GlobalSecondaryIndexes=[
            {"IndexName": "due", "KeySchema": keys("due", "due_at"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    return world.call("sqs", "create_queue", QueueName="cordon-rechecks")["QueueUrl"]


# ---- fresh samples (a small sibling of tests/support/src/samples.rs) -------------------------------------------------------------


def ago(seconds):
    moment = datetime.fromtimestamp(time.time() - seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fresh(name, ids):
    event = json.loads((ROOT / f"events/guardduty/{name}.json").read_text())
    detail, finding = event["detail"], uuid.uuid4().hex
    here = {"account": ACCOUNT, "region": REGION}
    event |= here | {"id": str(uuid.uuid4()), "time": ago(5)[:19] + "Z"}
    detector = detail["service"]["detectorId"]
    detail |= {
        "id": finding,
        "accountId": ACCOUNT,
        "region": REGION,
        "arn": f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{detector}/finding/{finding}",
        "createdAt": ago(20),
        "updatedAt": ago(20),
    }
    detail["service"] |= {"eventFirstSeen": ago(180), "eventLastSeen": ago(60)}
    if instance := detail["resource"].get("instanceDetails"):
        victim = ids["victim"]
        instance["instanceId"] = victim["instance"]
        instance["iamInstanceProfile"] = {"arn": victim["profile"]["arn"], "id": victim["profile"]["id"]}
        # An interface too many would name one that does not exist.
        instance["networkInterfaces"] = instance["networkInterfaces"][: len(victim["interfaces"])]
        for interface, real in zip(instance["networkInterfaces"], victim["interfaces"]):
            interface["networkInterfaceId"] = real
    key = detail["resource"].get("accessKeyDetails")
    if key and key["userType"] == "IAMUser":
        user = ids["user"]
        key |= {"userName": user["name"], "principalId": user["id"], "accessKeyId": user["keys"][0]}
    return event


# ---- looking afterwards ----------------------------------------------------------------------------------------------------------


def check_interfaces(ids, dumped):
    """Every interface of the victim in one group, which has no rule; the bystander's as it was."""
    wrong = []
    for interface in ids["victim"]["interfaces"]:
        groups = dumped["network_interfaces"][interface]["groups"]
        rules = {group: dumped["security_groups"][group]["rules"] for group in groups}
        print(f"  {interface}: {', '.join(f'{group} ({len(found)} rules)' for group, found in rules.items())}")
        if len(rules) != 1 or any(rules.values()):
            wrong.append(f"{interface} is in {rules}")
    for interface in ids["bystander"]["interfaces"]:
        if dumped["network_interfaces"][interface]["groups"] != [ids["web_group"]]:
            wrong.append(f"{interface} of the bystander was changed")
    return wrong


def check_keys(ids, dumped):
    """Every key of the user inactive, everything denied to him; the bystander's as it was."""
    user, bystander = (dumped["users"][ids[who]["id"]] for who in ("user", "bystander_user"))
    print(f"  {user['name']}: {user['keys']}, attached {user['attached']}")
    wrong = [f"key {key} is {status}" for key, status in user["keys"].items() if status != "Inactive"]
    if "arn:aws:iam::aws:policy/AWSDenyAll" not in user["attached"]:
        wrong.append(f"AWSDenyAll is not attached to {user['name']}")
    if set(bystander["keys"].values()) != {"Active"}:
        wrong.append("a key of the bystander was changed")
    return wrong


CASES = {"instance-c2-network": check_interfaces, "key-used-from-outside": check_keys}


# ---- the whole -------------------------------------------------------------------------------------------------------------------


def refuse_taken_port():
    """On the host's network the emulator's own address for the runtime is the host's, and it does not say so when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 9001))
        except OSError as error:
            raise Failed(f"port 9001 of this machine is in use; the Lambda emulator needs it ({error})") from error


def invoke(options, environment, event_file):
    """One `sam local invoke`; its answer is what it writes to standard output, logs go to standard error."""
    have_image = subprocess.run(["docker", "image", "inspect", BASE_IMAGE], capture_output=True).returncode == 0
    command = [options.sam_python, __file__, "--as-sam", "local", "invoke", "ResponderFunction"]
    command += ["--template", options.template, "--event", event_file, "--env-vars", options.folder / "env.json"]
    command += ["--region", REGION]
    # Without it sam asks the registry for a newer one each time.
    command += ["--skip-pull-image"] if have_image else []
    refuse_taken_port()
    started = time.monotonic()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=LONGEST)
    print(done.stdout, end="" if done.stdout.endswith("\n") else "\n")
    print(f"  (sam local invoke: exit code {done.returncode}, {time.monotonic() - started:.1f} s)")
    if done.returncode != 0:
        raise Failed("sam local invoke failed")
    try:
        # The function's log lines may come before; the answer is the last line.
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise Failed("the function gave no answer") from error
    if "errorType" in answer or "errorMessage" in answer:
        raise Failed(f"the function failed: {answer}")
    return answer


def run(options):
    options.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        server = subprocess.Popen([options.python, AWS / "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(ended, server)
        line = server.stdout.readline()
        if not line:
            raise Failed("moto did not start")
        endpoint = json.loads(line)["endpoint"]
        world = World(options.python, endpoint)
        stack.callback(ended, world.process)
        ids = world.ask("build")
        queue = make_deployment(world)
        print(f"moto answers at {endpoint}, account {ACCOUNT}")

        variables = {
            "CORDON_MODE": "contain",
            "CORDON_TOPIC_ARN": ids["topic"],
            "CORDON_TABLE": "cordon",
            "CORDON_RECHECK_QUEUE_URL": queue,
        }
        (options.folder / "env.json").write_text(json.dumps({"ResponderFunction": variables}, indent=2))
        # sam hands its own credentials to the function. They are moto's, never a person's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {
            "AWS_ACCESS_KEY_ID": ids["credentials"]["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": ids["credentials"]["secret_access_key"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
            ENDPOINT: endpoint,
        }

        wrong = []
        for name, check in CASES.items():
            print(f"\n=== {name}")
            event_file = options.folder / f"{name}.json"
            event_file.write_text(json.dumps(fresh(name, ids), indent=2))
            invoke(options, environment, event_file)
            found = check(ids, world.ask("dump"))
            print(f"  {'as it should be' if not found else 'WRONG: ' + '; '.join(found)}")
            wrong += found
        rows = world.call("dynamodb", "scan", TableName="cordon")["Items"]
        print(f"\njournal: {len(rows)} items: {', '.join(sorted(row['pk']['S'] for row in rows))}")
        kept = {row["pk"]["S"][0] for row in rows}
        if not {"T", "I"} <= kept:
            wrong.append("the journal holds no target or no incident")
    if wrong:
        raise Failed("; ".join(wrong))
    print("sam-local: all as it should be")


def main():
    if sys.argv[1:2] == ["--as-sam"]:
        return run_sam(sys.argv[2:])
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--template", type=Path, required=True, help="the template that `sam build` wrote")
    arguments.add_argument("--folder", type=Path, required=True, help="where events and settings are written")
    arguments.add_argument("--python", required=True, help="interpreter with moto and boto3")
    arguments.add_argument("--sam-python", required=True, help="interpreter with aws-sam-cli")
    try:
        sys.stdout.reconfigure(line_buffering=True)
        run(arguments.parse_args())
    except (Failed, subprocess.TimeoutExpired) as error:
        sys.exit(f"sam-local: {error}")


if __name__ == "__main__":
    main()
