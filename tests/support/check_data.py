"""Replays the public GuardDuty findings of ../shared/data through `cordon replay --json` and compares what Cordon read with what is there.

The expectation (EXPECTED-guardduty.tsv) was taken from the files by other means, so this finds whatever ingestion loses or misreads. It judges
only what was read (id, type, severity, kind of resource, account); the outcomes are counted for a person to look at. Exits with 1
on any difference, also when the data are not there: a check that looked at nothing has not passed.
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

COLUMNS = ("file", "line", "ordinal", "type", "severity", "resource_type", "account", "finding_id")
# Replaying some hundred findings takes no second; whoever needs two minutes hangs.
TIMEOUT_SECONDS = 120


class Unusable(Exception):
    """The check cannot be made: no data, no program, or output that is not what was agreed."""


def key_of(path, line, ordinal):
    """What names one event: absolute path, line, ordinal. An NDJSON file of one line is also one whole document, so no line means the first."""
    return os.path.abspath(path), 1 if line is None else line, ordinal


def read_expected(data):
    """The rows of the expectation, each by its key."""
    path = data / "EXPECTED-guardduty.tsv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise Unusable(f"{path} has the columns {reader.fieldnames}, not {list(COLUMNS)}")
            rows = list(reader)
    except OSError as error:
        raise Unusable(f"the public data are not here: {error}") from error
    if not rows:
        raise Unusable(f"{path} has no rows")
    expected = {}
    for row in rows:
        key = key_of(data / row["file"], int(row["line"]) if row["line"] else None, int(row["ordinal"]))
        if key in expected:
            raise Unusable(f"{path} has two rows for {show(key)}")
        expected[key] = row
    return expected


def replay(cordon, paths):
    """Every record that `cordon replay --json` prints for these files."""
    # Replay asks nobody. Should it ever, then nothing but a closed port of this machine.
    environment = os.environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}
    try:
        done = subprocess.run(
            [cordon, "replay", "--json", *paths],
            capture_output=True, env=environment, timeout=TIMEOUT_SECONDS, check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable(f"cordon replay did not run: {error}") from error
    records = []
    for number, line in enumerate(done.stdout.decode("utf-8", "replace").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise Unusable(f"line {number} of the output is not JSON ({error}): {line[:200]}") from error
        if not isinstance(record, dict):
            raise Unusable(f"line {number} of the output is no object: {line[:200]}")
        records.append(record)
    if done.returncode != 0:
        failure = f"cordon replay exited with {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[-2000:]}"
        if not records:
            raise Unusable(failure)
        # Not fatal by itself: the rows that are missing are named below, and this says why.
        print(failure)
    return records


def differences(row, record):
    """What Cordon read otherwise than expected, a line of text for each."""
    finding = record.get("finding")
    if not isinstance(finding, dict):
        return [f"not read as a finding; outcome {json.dumps(record.get('outcome'))[:300]}"]
    found = []
    for column, member in (("finding_id", "id"), ("type", "type"), ("resource_type", "resource_type"), ("account", "account")):
        # An account, or whatever else is not in the file, is empty in the table and null in JSON.
        read = finding.get(member)
        read = "" if read is None else read
        if read != row[column]:
            found.append(f"{member} is {read!r}, expected {row[column]!r}")
    severity = finding.get("severity")
    is_number = isinstance(severity, (int, float)) and not isinstance(severity, bool)
    if not is_number or abs(severity - float(row["severity"])) > 1e-9:
        found.append(f"severity is {severity!r}, expected {row['severity']}")
    return found


def show(key):
    path, line, ordinal = key
    return f"{path}:{line} #{ordinal}"


def compare(expected, records):
    """All problems, as lines of text."""
    problems = []
    seen = collections.defaultdict(list)
    for record in records:
        seen[key_of(str(record.get("source")), record.get("line"), record.get("ordinal"))].append(record)
    by_path = collections.Counter(path for path, _, _ in seen)
    for key, row in expected.items():
        found = seen.get(key, [])
        if not found:
            problems.append(f"{show(key)}: no such record ({by_path[key[0]]} others of this file); expected {row['type']}")
        elif len(found) > 1:
            problems.append(f"{show(key)}: {len(found)} records for one event")
        else:
            problems.extend(f"{show(key)}: {text}" for text in differences(row, found[0]))
    # Something read as a finding where the files hold none is as wrong as one that was missed.
    for key, found in seen.items():
        if key not in expected and any(isinstance(record.get("finding"), dict) for record in found):
            problems.append(f"{show(key)}: read as a finding, but none is expected there")
    return problems


def check_types(cordon, data):
    """Every active finding type, as a small finding of its kind: each must be read, and be decided and not ignored."""
    with (data / "guardduty-finding-types.tsv").open(encoding="utf-8", newline="") as file:
        types = [row["type"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["status"] == "active"]
    if not types:
        raise Unusable("guardduty-finding-types.tsv lists no active type")
    lines = [json.dumps(small_finding(number, name)) for number, name in enumerate(types)]
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        records = replay(cordon, [file.name])
    problems = []
    for name, record in zip(types, records, strict=True):
        if (record.get("finding") or {}).get("type") != name:
            problems.append(f"type {name}: read as {record.get('finding')}")
        if kind(record) not in ("NeedsFacts", "Observed"):
            problems.append(f"type {name}: {json.dumps(record.get('outcome'))[:300]}")
    return types, records, problems


def small_finding(number, name):
    """An event with what ingestion and triage look at."""
    instance = {"instanceId": "i-0123456789abcdef0"}
    key = {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "userName": "someone", "userType": "IAMUser"}
    return {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {
        "id": f"{number:032x}", "type": name, "severity": 8, "accountId": "111122223333", "region": "us-east-1",
        "resource": {"instanceDetails": instance, "accessKeyDetails": key}, "service": {"resourceRole": "TARGET"}}}


def kind(record):
    outcome = record.get("outcome")
    return str(outcome.get("kind")) if isinstance(outcome, dict) else "(no outcome)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cordon", default="target/debug/cordon", help="the command line to check (default: %(default)s)")
    parser.add_argument("--shared", default="../shared", type=pathlib.Path, help="the folder with data/ (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        data = pathlib.Path(os.path.abspath(arguments.shared)) / "data"
        expected = read_expected(data)
        paths = sorted({path for path, _, _ in expected})
        records = replay(arguments.cordon, paths)
        problems = compare(expected, records)
        types, typed, untyped = check_types(arguments.cordon, data)
        problems += untyped
    except Unusable as error:
        print(f"check-data: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(problem)
    print(f"{len(expected)} findings expected in {len(paths)} files, {len(records)} events replayed, {len(problems)} differences")
    for name, count in sorted(collections.Counter(map(kind, records)).items()):
        print(f"  {count:5} {name}")
    print(f"{len(types)} active finding types, each as a small finding")
    for name, count in sorted(collections.Counter(f"{kind(record)}, {record['triage']['situation']}" for record in typed).items()):
        print(f"  {count:5} {name}")
    # Every event of the data ends in exactly one outcome, or something was dropped in silence.
    without = sum(1 for record in records if kind(record) in ("(no outcome)", "None"))
    if without:
        print(f"{without} events have no outcome")
    return 1 if problems or without else 0


if __name__ == "__main__":
    sys.exit(main())
