"""Writes down what belongs to AWS itself: its registries, its buckets with models and examples, its address ranges.

usage: aws_own.py [ip-ranges.json]

config/aws-own.toml comes from the installed sagemaker-core, and is always written anew. config/aws-ranges.txt comes
from AWS's published file, https://ip-ranges.amazonaws.com/ip-ranges.json, when one is given.
"""

import collections
import ipaddress
import json
import sys
from importlib.metadata import files, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "config/aws-own.toml"
RANGES = ROOT / "config/aws-ranges.txt"
PACKAGE = "sagemaker-core"

# Buckets of AWS's documentation and example notebooks, which the package does not list. `{region}` is each region.
EXAMPLES = [
    "jumpstart-cache-prod",
    "sagemaker-example-files-prod-{region}",
    "sagemaker-sample-data-{region}",
    "sagemaker-sample-files",
    "sagemaker-servicecatalog-seedcode-{region}",
]

HEAD = f"""\
# What belongs to AWS itself, by region. Written by `make api` from {PACKAGE} {{version}} (Apache-2.0), whose files say
# in which registries the images of SageMaker are, and in which buckets the models of JumpStart.

"""


def main() -> None:
    OWN.write_text(own())
    if len(sys.argv) > 1:
        RANGES.write_text(ranges(json.loads(Path(sys.argv[1]).read_text())))


def own() -> str:
    registries, buckets = collections.defaultdict(set), collections.defaultdict(set)
    for file in files(PACKAGE):
        if file.parent.name == "image_uri_config" and file.suffix == ".json":
            take_registries(json.loads(file.read_text()), registries)
        elif file.name == "region_config.json":
            for region, named in json.loads(file.read_text()).items():
                buckets[region].update(name for name in named.values() if isinstance(name, str))
    for region in buckets:
        buckets[region].update(name.format(region=region) for name in EXAMPLES if "{region}" in name)
    anywhere = [name for name in EXAMPLES if "{region}" not in name]
    return (
        HEAD.format(version=version(PACKAGE))
        + "# Accounts of registries.\n[registries]\n"
        + lines(registries)
        + "\n# Names of buckets; those of `anywhere` serve all regions.\n[buckets]\n"
        + lines({"anywhere": anywhere} | dict(sorted(buckets.items())))
    )


def take_registries(value, registries) -> None:
    """The files nest versions, scopes and accelerators differently; `registries` is an account for each region."""
    if isinstance(value, list):
        for element in value:
            take_registries(element, registries)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name == "registries":
                for region, account in member.items():
                    registries[region].add(account)
            else:
                take_registries(member, registries)


def lines(names_by_region) -> str:
    ordered = names_by_region.items() if "anywhere" in names_by_region else sorted(names_by_region.items())
    text = ""
    for region, names in ordered:
        text += f"{region} = [\n"
        text += "".join(f'    "{name}",\n' for name in sorted(names))
        text += "]\n"
    return text


def ranges(published) -> str:
    """A line for each region and service with its networks. Only EC2, whose addresses customers rent, is told apart."""
    networks = collections.defaultdict(list)
    for member, key in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        for prefix in published[member]:
            service = "EC2" if prefix["service"] == "EC2" else "AMAZON"
            networks[(prefix["region"], service)].append(ipaddress.ip_network(prefix[key]))
    text = f"""\
# AWS's address ranges as it published them at {published["createDate"]} (syncToken {published["syncToken"]}), with
# neighbours joined: region, service, networks. Written by tests/api/aws_own.py.
"""
    for (region, service), found in sorted(networks.items()):
        joined = []
        for family in (4, 6):
            joined += ipaddress.collapse_addresses(network for network in found if network.version == family)
        text += f"{region} {service} {' '.join(map(str, joined))}\n"
    return text


if __name__ == "__main__":
    main()
