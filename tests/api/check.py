#!/usr/bin/env python3
"""Checks that the catalogue of operations, the API's shapes and the threat rules say the same.

It needs nothing but Python 3.11. Each line that it prints is one thing to mend; it ends with 1 where there is any.
"""

import json
import pathlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterator

import tomllib

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE.parent.parent / "config"
CATALOGUE = CONFIG / "catalogue.toml"

ACCESS = {"List", "Read", "Write", "Tagging", "Permissions management"}
CATEGORIES = {
    "configuration-change",
    "credential-theft",
    "cryptojacking",
    "data-model-exfiltration",
    "data-poisoning",
    "denial-of-service",
    "log-tampering",
    "malware-deployment",
    "resource-abuse",
}
SIDES = {"requestParameters": "input", "responseElements": "output"}
PATHS = ("name", "arn", "parent")
KEYS = {"access", "resource", "categories", *PATHS}
# The playbook's names that are no operations. The rules keep them, so that a search for one explains itself.
ALIASES = {"GetModelPackageModelMetrics", "PutModelPackageModelMetrics", "UpdateEndpointConfig"}


def paths(entry: dict, key: str) -> list[str]:
    value = entry.get(key, [])
    return [value] if isinstance(value, str) else value


def event_names(rule: str) -> Iterator[str]:
    """The names under each eventName of a rule, whatever else its condition asks for."""
    inside = None
    for line in rule.splitlines():
        depth = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and depth <= inside:
            inside = None
        if re.match(r"\s*(- )?eventName(\|\w+)*:", line):
            inside = depth
        if inside is not None and not line.lstrip().startswith("#"):
            yield from re.findall(r"'(\w+)'", line)


def categories_of_rules() -> dict[str, set[str]]:
    found = defaultdict(set)
    for path in sorted((CONFIG / "rules" / "threats").glob("*.yml")):
        rule = path.read_text(encoding="utf-8")
        # The rules of other services name the operations of those, some of which are called like SageMaker's.
        if "eventSource|contains: 'sagemaker'" in rule:
            category = re.search(r"- sagetrail\.([\w-]+)", rule).group(1)
            for name in event_names(rule):
                found[name].add(category)
    return found


def wrong_order(text: str) -> Iterator[str]:
    """Operations stand in alphabetical order under their heading, which is what a blank line ends."""
    before = ""
    for line in text.splitlines():
        name = line.partition(" = ")[0] if re.match(r"\w+ = \{", line) else ""
        if name and name < before:
            yield f"{name}: stands after {before}"
        if name or not line:
            before = name


def wrong_in(name: str, entry: dict, shape: dict, kinds: dict) -> Iterator[str]:
    if unknown := entry.keys() - KEYS:
        yield f"{name}: unknown keys {sorted(unknown)}"
    if entry.get("access") not in ACCESS:
        yield f"{name}: access {entry.get('access')!r} is no access level"
    kind = entry.get("resource")
    if kind not in kinds and kind not in {"any", "none"}:
        yield f"{name}: resource {kind!r} is no kind of an ARN"
    if kind == "none" and any(entry.get(key) for key in PATHS):
        yield f"{name}: is about no resource and yet has a path to one"
    if kind == "any" and not entry.get("arn"):
        yield f"{name}: is about any resource, and nothing says which"
    categories = entry.get("categories")
    if categories is None or categories != sorted(set(categories) & CATEGORIES):
        yield f"{name}: categories {categories} are not in order or not all known"
    for key in PATHS:
        for path in paths(entry, key):
            side, _, member = path.partition(".")
            if key == "arn" and path == "resources":
                continue
            # A path leads to a value, so it is one of the shape's ends.
            if member not in shape.get(SIDES.get(side), []):
                yield f"{name}: {key} {path} is not in the shape"
            if key == "arn" and not re.search(r"(?i)arns?(list)?$|resourceIdentifier$", path):
                yield f"{name}: arn {path} does not look like one"


def wrong() -> Iterator[str]:
    text = CATALOGUE.read_text(encoding="utf-8")
    # A duplicate is an error of the format already.
    catalogue = tomllib.loads(text)
    shapes = json.loads((HERE / "sagemaker-shapes.json").read_text(encoding="utf-8"))
    kinds = json.loads((HERE / "sagemaker-arns.json").read_text(encoding="utf-8"))
    rules = categories_of_rules()

    yield from wrong_order(text)
    for name in sorted(shapes.keys() - catalogue.keys()):
        yield f"{name}: is not in the catalogue"
    for name in sorted(catalogue.keys() - shapes.keys()):
        yield f"{name}: is no operation of the API"
    for name in sorted(rules.keys() - catalogue.keys() - ALIASES):
        yield f"{name}: is named by a rule and is no operation"
    for kind in sorted(kinds.keys() - {entry.get("resource") for entry in catalogue.values()}):
        yield f"{kind}: is the resource of no operation"
    for name, entry in catalogue.items():
        yield from wrong_in(name, entry, shapes.get(name, {}), kinds)
        listed = set(entry.get("categories", []))
        for category in sorted(listed - rules[name]):
            yield f"{name}: no rule of {category} names it"
        for category in sorted(rules[name] - listed):
            yield f"{name}: a rule of {category} names it, the catalogue does not"


def main() -> int:
    found = list(wrong())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
