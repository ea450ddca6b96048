"""Replays the public records of ../shared/data: CloudTrail, Config, alarms, whatever is there.

- Each of stratus-red-team's techniques is answered, and at least 33 of 35 are Medium or above by our rules; also with names of users and
  roles, addresses and tools taken out of the records, for rules are about behaviour.
- SigmaHQ's rules load, and each fires on its record of sigma_positive.yml, which we wrote.
- Every active type of GuardDuty is in `cordon coverage`.
- Every event of every file ends in one outcome; counted by source and outcome for a person to look at.

Exits with 1 on any difference, also when the data are not there.
"""

import argparse
import collections
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

TIMEOUT_SECONDS = 600
TECHNIQUES, WANTED = 35, 33
SEVERITIES = ["informational", "low", "medium", "high", "critical"]
RULES = 57


class Unusable(Exception):
    """The check cannot be made."""


def run(cordon, *arguments):
    environment = os.environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}
    try:
        return subprocess.run([cordon, *arguments], capture_output=True, env=environment, timeout=TIMEOUT_SECONDS, check=False, text=True, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable(f"cordon did not run: {error}") from error


def replay(cordon, *paths):
    done = run(cordon, "replay", "--json", *map(str, paths))
    records = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    if not records:
        raise Unusable(f"nothing was replayed: {done.stderr[-2000:]}")
    return records, done.returncode, done.stderr


def worst(records):
    levels = [SEVERITIES.index(record["severity"]) for record in records if record.get("severity")]
    return SEVERITIES[max(levels)] if levels else "none"


def without_names(value, key=""):
    """The record as it would be of somebody else, from elsewhere, with another tool."""
    if isinstance(value, dict):
        left = {name: without_names(member, name) for name, member in value.items()}
        for name in ("sourceIPAddress", "userAgent", "tlsDetails"):
            left.pop(name, None)
        identity = left.get("userIdentity")
        if isinstance(identity, dict):
            identity.pop("userName", None)
            if "principalId" in identity:
                identity["principalId"] = str(identity["principalId"]).split(":")[0] + (":somebody" if ":" in str(identity["principalId"]) else "")
            if "arn" in identity:
                identity["arn"] = identity["arn"].rsplit("/", 1)[0] + "/somebody"
            issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
            if "userName" in issuer:
                issuer["userName"] = "somebody"
            if "arn" in issuer:
                issuer["arn"] = issuer["arn"].rsplit("/", 1)[0] + "/somebody"
        return left
    if isinstance(value, list):
        return [without_names(item, key) for item in value]
    return value


def check_techniques(cordon, data):
    problems, files = [], sorted((data / "stratus-red-team").glob("*.json"))
    if len(files) != TECHNIQUES:
        raise Unusable(f"there are {len(files)} techniques, not {TECHNIQUES}")
    for shown, bend in (("as published", lambda record: record), ("without names, addresses and tools", without_names)):
        flagged, low = 0, []
        for path in files:
            with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
                json.dump([bend(record) for record in json.loads(path.read_text(encoding="utf-8"))], file)
                file.flush()
                records, status, errors = replay(cordon, file.name)
            if status != 0 or any(not record["outcome"]["kind"] for record in records):
                problems.append(f"{path.name} {shown}: {errors[-300:]}")
            level = worst(records)
            if SEVERITIES.index(level) >= 2 if level in SEVERITIES else False:
                flagged += 1
            else:
                low.append(f"{path.stem} ({level})")
        print(f"{flagged} of {len(files)} techniques {shown} are Medium or above; below: {', '.join(low)}")
        if flagged < WANTED:
            problems.append(f"only {flagged} of {len(files)} techniques {shown} are Medium or above")
    return problems


def check_sigma(cordon, data):
    rules = sorted((data / "reference" / "sigma-aws-cloudtrail").glob("*.yml"))
    with tempfile.TemporaryDirectory() as folder:
        every = "\n---\n".join(path.read_text(encoding="utf-8") for path in rules)
        (pathlib.Path(folder) / "all.yml").write_text(every, encoding="utf-8")
        positive = pathlib.Path(__file__).parent / "sigma_positive.yml"
        (pathlib.Path(folder) / "all.test.yml").write_text(positive.read_text(encoding="utf-8"), encoding="utf-8")
        done = run(cordon, "rules", "test", folder)
    # A record in which it keeps quiet is asked of our rules only.
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG") and "keep quiet" not in line]
    summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    print(f"SigmaHQ: {summary.split(', ')[0]}, {RULES - len(wrong)} fire")
    if not summary.startswith(f"{RULES} rules"):
        wrong.append(f"not {RULES} rules were loaded: {summary}")
    return wrong


def check_coverage(cordon, data):
    with (data / "guardduty-finding-types.tsv").open(encoding="utf-8", newline="") as file:
        types = {row["type"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["status"] == "active"}
    rows = [json.loads(line) for line in run(cordon, "coverage", "--json").stdout.splitlines()]
    covered = {row["what"]: row for row in rows if row["source"] == "GuardDuty"}
    problems = [f"`cordon coverage` does not know {name}" for name in sorted(types - set(covered))]
    problems += [f"{name} is answered by accident" for name, row in covered.items() if row["situation"] == "unknown"]
    print(f"{len(types)} active types of GuardDuty, {len(covered)} in `cordon coverage`")
    return problems


def check_all(cordon, data):
    files = [path for path in sorted(data.rglob("*")) if path.suffix in (".json", ".ndjson", ".jsonl", ".log") and "reference" not in path.parts]
    records, status, errors = replay(cordon, *files)
    problems = [f"replay of everything: {errors[-500:]}"] if status != 0 else []
    counts = collections.Counter()
    for record in records:
        source = pathlib.Path(record["source"]).relative_to(data).parts[0]
        counts[source, record["outcome"]["kind"]] += 1
        if not record["outcome"]["kind"]:
            problems.append(f"no outcome: {record['source']}:{record['line']}")
    print(f"{len(records)} events in {len(files)} files")
    for source in sorted({source for source, _ in counts}):
        print(f"  {source:34}", ", ".join(f"{n} {kind}" for (of, kind), n in sorted(counts.items()) if of == source))
    asks = [record for record in records if record.get("mode") in ("approve", "contain") and "cribl" in record["source"]]
    told = [record for record in records if record.get("severity") in ("high", "critical") and "cribl" in record["source"]]
    of = sum(1 for record in records if "cribl" in record["source"])
    print(f"of the {of} ordinary records of cribl-cloudtrail {len(asks)} would ask or contain, {len(told)} would send a message")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cordon", default="target/debug/cordon")
    parser.add_argument("--shared", default="../shared", type=pathlib.Path)
    arguments = parser.parse_args()
    data = pathlib.Path(os.path.abspath(arguments.shared)) / "data"
    try:
        if not data.is_dir():
            raise Unusable(f"the public data are not here: {data}")
        problems = [problem for check in (check_techniques, check_sigma, check_coverage, check_all) for problem in check(arguments.cordon, data)]
    except Unusable as error:
        print(f"check-data: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
