"""Fails where a policy of a template is larger than IAM takes, with names as long as a deployment is likely to have.

IAM user guide, "IAM and AWS STS quotas": 6,144 characters a managed policy, 10,240 of all inline policies of a role; white space does not count.
"""

import json
import sys
from typing import Any

import yaml

LONG = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-southeast-2",
    "AWS::AccountId": "111122223333",
    "AWS::StackName": "cordon-first-responder-production",
    "AWS::URLSuffix": "amazonaws.com.cn",
}
ARN = "arn:aws-us-gov:dynamodb:ap-southeast-2:111122223333:table/cordon-first-responder-production-Journal-1ABCDEFGHIJKL"
MOST_MANAGED = 6144
MOST_INLINE = 10240


class Loader(yaml.SafeLoader):
    """Takes CloudFormation's functions for what they may give."""


def function(loader: Loader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    text = loader.construct_scalar(node)
    if name != "Sub":
        return ARN
    for variable, value in LONG.items():
        text = text.replace("${" + variable + "}", value)
    return text.replace("${Journal.Arn}", ARN).replace("${TableArn}", ARN)


Loader.add_multi_constructor("!", function)


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def sizes(template: dict[str, Any]) -> list[tuple[str, int, int]]:
    found = []
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            found.append((name, size(properties["PolicyDocument"]), MOST_MANAGED))
        if resource["Type"] == "AWS::IAM::Role":
            inline = sum(size(policy["PolicyDocument"]) for policy in properties.get("Policies", []))
            found.append((name, inline, MOST_INLINE))
    return found


def main() -> int:
    over = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            for name, characters, most in sizes(yaml.load(file, Loader)):
                over += characters > most
                print(f"{path}: {name} has {characters} of {most} characters{'' if characters <= most else ': TOO MANY'}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
