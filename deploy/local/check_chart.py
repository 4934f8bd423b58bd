"""Renders the Helm chart with each set of values and holds the result against the schemas of Kubernetes.

usage: check_chart.py HELM [CRD-FOLDER…]

HELM is the program. The folders have the definitions of custom resources; a resource without one is named and left out.
Wrong values have to be refused, too, each by what is wrong with it.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

CHART = Path(__file__).resolve().parents[1] / "helm" / "sagetrail"
# The oldest that the chart is for, and the newest that the package knows.
VERSIONS = ("1.27", kubernetes_validate.latest_version())
# The custom resources that the chart makes.
CUSTOM = ("scaledobject", "servicemonitor", "prometheusrule")
# What `helm template` has to refuse: settings over the smallest values, and a word of the complaint.
REFUSED = {
    "queueUrl=": "queueUrl",
    "opensearch.auth=basic": "existingSecret",
    "opensearch.auth=certificate": "clientCertificateSecret",
    "opensearch.url=https://user:secret@search.example.com": "opensearch/url",
    "aws.identity=irsa,aws.roleArn=": "roleArn",
    "terminationGracePeriodSeconds=30": "terminationGracePeriodSeconds",
    "verify.enabled=true": "trail",
    "replicas=3": "replicas",
    "extraContainers[0].image=proxy": "extraContainers",
    "extraVolumeMounts[0].name=vault": "extraVolumeMounts",
    "hostAliases[0].ip=192.0.2.7": "hostAliases",
    "dnsPolicy=Never": "dnsPolicy",
    "image.digest=0123": "digest",
}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def render(helm: str, version: str, values: Path) -> list[dict]:
    rendered = run(helm, "template", "release", CHART, "--kube-version", version, "--values", values)
    if rendered.returncode:
        sys.exit(f"{values.name}: {rendered.stderr}")
    return [document for document in yaml.load_all(rendered.stdout, Loader) if document]


def close(schema: object) -> object:
    """Refuse unknown members, as Kubernetes drops them without a word."""
    if isinstance(schema, list):
        return [close(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: close(part) for key, part in schema.items()}
    pattern = closed.get("pattern")
    if isinstance(pattern, str) and "(?i)" in pattern:
        # Go takes a flag anywhere, Python at the start alone.
        closed["pattern"] = "(?i)" + pattern.replace("(?i)", "")
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The quick one, where there is one."""


# YAML 1.1 has a meaning for a lone "=", which definitions list among operators.
Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def custom_schemas(folders: list[str]) -> dict[tuple[str, str], dict]:
    schemas = {}
    # Files are called GROUP_KINDS.yaml; all of them together would take minutes to read.
    files = [file for folder in folders for kind in CUSTOM for file in Path(folder).glob(f"*_{kind}s.yaml")]
    for file in files:
        spec = yaml.load(file.read_text(), Loader)["spec"]
        for version in spec["versions"]:
            schema = close(version["schema"]["openAPIV3Schema"])
            # Written down as "any object" in a definition.
            schema["properties"]["metadata"] = {"type": "object"}
            schemas[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return schemas


def problems(document: dict, version: str, custom: dict[tuple[str, str], dict]) -> Iterator[str]:
    name = f"{document['kind']} {document['metadata']['name']}"
    try:
        schema = custom.get((document["apiVersion"], document["kind"]))
        if schema:
            jsonschema.validate(document, schema)
        else:
            kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        LEFT_OUT.add(document["kind"])
    except jsonschema.ValidationError as error:
        yield f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message}"


def pods(documents: list[dict]) -> Iterator[tuple[str, dict]]:
    """The templates of pods, each with the name of what makes them."""
    for document in documents:
        if document["kind"] in ("Deployment", "Job"):
            yield document["metadata"]["name"], document["spec"]["template"]
        elif document["kind"] == "CronJob":
            yield document["metadata"]["name"], document["spec"]["jobTemplate"]["spec"]["template"]


def selects(selector: dict, labels: dict[str, str]) -> bool:
    named = selector.get("matchLabels", {}).items()
    listed = selector.get("matchExpressions", [])
    return all(labels.get(key) == value for key, value in named) and all(
        labels.get(rule["key"]) in rule["values"] for rule in listed
    )


def shortcomings(documents: list[dict]) -> Iterator[str]:
    """Say what no schema says: what has to fit together."""
    policies = [document["spec"] for document in documents if document["kind"] == "NetworkPolicy"]
    budgets = [document["spec"] for document in documents if document["kind"] == "PodDisruptionBudget"]
    templates = list(pods(documents))
    for name, template in templates:
        labels, spec = template["metadata"]["labels"], template["spec"]
        if policies and sum(selects(policy["podSelector"], labels) for policy in policies) != 1:
            yield f"{name}: not one network policy is for its pods"
        is_daemon = spec["containers"][0]["args"] == ["run"]
        if any(selects(budget["selector"], labels) != is_daemon for budget in budgets):
            yield f"{name}: the disruption budget counts others than the daemon's pods"
        daemon = templates[0][1]["spec"]
        for key in ("securityContext", "nodeSelector", "tolerations", "volumes", "hostAliases", "dnsConfig"):
            if spec.get(key) != daemon.get(key):
                yield f"{name}: {key} is another than the daemon's"
    for document in documents:
        # Kubernetes' schema says nothing about the length of a name.
        longest = 52 if document["kind"] == "CronJob" else 63
        if len(document["metadata"]["name"]) > longest:
            yield f"{document['kind']} {document['metadata']['name']}: the name has more than {longest} characters"


LEFT_OUT: set[str] = set()


def main() -> None:
    helm, *folders = sys.argv[1:]
    custom = custom_schemas(folders)
    found, checked = [], 0
    sets = sorted((CHART / "ci").glob("*-values.yaml"))
    for values in sets:
        linted = run(helm, "lint", "--strict", CHART, "--values", values)
        if linted.returncode:
            found.append(f"{values.name}: {linted.stdout}{linted.stderr}")
            continue
        for version in VERSIONS:
            documents = render(helm, version, values)
            checked += len(documents)
            wrong = [text for document in documents for text in problems(document, version, custom)]
            wrong += shortcomings(documents)
            found += [f"{values.name}, Kubernetes {version}: {text}" for text in wrong]
    for setting, word in REFUSED.items():
        smallest = CHART / "ci" / "smallest-values.yaml"
        given = ("--kube-version", VERSIONS[0], "--values", smallest, "--set", setting)
        refused = run(helm, "template", "release", CHART, *given)
        if not refused.returncode or word not in refused.stderr:
            found.append(f"{setting} should be refused for {word}: {refused.stderr or 'it is taken'}")
    if found:
        sys.exit("\n".join(found))
    print(f"helm: {checked} documents of {len(sets)} sets of values are valid, {len(REFUSED)} wrong values are refused")
    if LEFT_OUT:
        print(f"left out: no definition of {', '.join(sorted(LEFT_OUT))}")


if __name__ == "__main__":
    main()
