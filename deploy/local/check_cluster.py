"""Installs the Helm chart into a real Kubernetes API, upgrades it and removes it, with each set of values.

usage: check_cluster.py HELM KUBERNETES-FOLDER CRD-FOLDER…

The second has the programs `kube-apiserver` and `server` (etcd), the others the definitions of custom resources. The
API validates, defaults and admits as in a cluster, under the strictest of Kubernetes' own pod security standards; no
node runs a pod. What others would do is done here: service accounts of a site, and the end of a hook's job.
"""

import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from check_chart import CHART, CUSTOM, Loader, pods

PATIENCE_SECONDS = 120
# Of every kind that the chart makes, where the API has it.
PLACES = {
    "ServiceAccount": "api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Service": "api/v1/namespaces/{}/services",
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "apis/batch/v1/namespaces/{}/cronjobs",
    "NetworkPolicy": "apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PodDisruptionBudget": "apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "ScaledObject": "apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects",
    "ServiceMonitor": "apis/monitoring.coreos.com/v1/namespaces/{}/servicemonitors",
    "PrometheusRule": "apis/monitoring.coreos.com/v1/namespaces/{}/prometheusrules",
}


class Refused(Exception):
    """An answer of the API that is no success."""


class Api:
    """The API of Kubernetes, as somebody who may do everything."""

    def __init__(self, url: str, authority: Path, token: str) -> None:
        self.url, self.authority, self.token = url, authority, token

    def ask(self, method: str, path: str, body: dict | None = None, kind: str = "application/json") -> dict:
        request = urllib.request.Request(f"{self.url}/{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.add_header("Content-Type", kind)
            request.data = json.dumps(body).encode()
        context = ssl.create_default_context(cafile=str(self.authority))
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            raise Refused(json.loads(text).get("message", text) if text.startswith("{") else text) from error

    def write_kubeconfig(self, file: Path) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self.authority)}
        entry = {"cluster": "here", "user": "admin"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "here", "context": entry}],
            "current-context": "here",
        }
        file.write_text(json.dumps(config))
        file.chmod(0o600)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, ready: Callable[[], object], servers: list[subprocess.Popen] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if ready():
                return
        except (OSError, Refused):
            pass
        if any(server.poll() is not None for server in servers or []):
            sys.exit(f"a server ended before {what}; see its log")
        if time.monotonic() > deadline:
            sys.exit(f"not within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.2)


def start(folder: Path, *command: object) -> subprocess.Popen:
    log = (folder / f"{Path(str(command[0])).name}.log").open("w")
    return subprocess.Popen([str(part) for part in command], cwd=folder, stdout=log, stderr=log)


def start_cluster(programs: Path, folder: Path, servers: list[subprocess.Popen]) -> Api:
    store, peers, port = (free_port() for _ in range(3))
    addresses = ["--listen-client-urls", "--advertise-client-urls"]
    options = [part for option in addresses for part in (option, f"http://127.0.0.1:{store}")]
    options += ["--listen-peer-urls", f"http://127.0.0.1:{peers}", "--data-dir", folder / "etcd", "--unsafe-no-fsync"]
    servers.append(start(folder, programs / "server", *options))
    token, key, tokens = secrets.token_hex(16), folder / "accounts.key", folder / "tokens.csv"
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    servers.append(
        start(
            folder,
            programs / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{store}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
        )
    )
    api = Api(f"https://127.0.0.1:{port}", folder / "certificates" / "apiserver.crt", token)
    until("Kubernetes' API is ready", lambda: api.authority.exists() and api.ask("GET", "version"), servers)
    until("its namespaces are there", lambda: api.ask("GET", "api/v1/namespaces/default"), servers)
    return api


def define_custom_resources(api: Api, folders: list[str]) -> None:
    defined = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in (file for folder in folders for kind in CUSTOM for file in Path(folder).glob(f"*_{kind}s.yaml")):
        definition = yaml.load(file.read_text(), Loader)
        made = api.ask("POST", defined, definition)["metadata"]["name"]

        def established(name: str = made) -> bool:
            conditions = api.ask("GET", f"{defined}/{name}").get("status", {}).get("conditions") or []
            return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

        until(f"{made} is served", established)


def missing(written: object, stored: object, path: str = "") -> Iterator[str]:
    """What was written and is not stored so. The API adds defaults, and writes quantities its own way."""
    if isinstance(written, dict) and isinstance(stored, dict):
        for key, value in written.items():
            if value not in (None, {}, []):
                yield from missing(value, stored.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(stored, list) and len(written) == len(stored):
        for place, (one, other) in enumerate(zip(written, stored, strict=True)):
            yield from missing(one, other, f"{path}[{place}]")
    elif written != stored:
        yield f"{path} is {stored!r} and not {written!r}"


def finish_jobs(api: Api, namespace: str, seen: list[dict], ended: threading.Event) -> None:
    """Say of each job that it is complete, as its controller does once its pod has ended well."""
    jobs = PLACES["Job"].format(namespace)
    while not ended.wait(0.2):
        for job in api.ask("GET", jobs)["items"]:
            if job["metadata"].get("deletionTimestamp") or job.get("status", {}).get("conditions"):
                continue
            seen.append({**job, "kind": "Job"})
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            conditions = [
                {"type": kind, "status": "True", "lastTransitionTime": now, "lastProbeTime": now}
                for kind in ("SuccessCriteriaMet", "Complete")
            ]
            status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
            path = f"{jobs}/{job['metadata']['name']}/status"
            api.ask("PATCH", path, {"status": status}, "application/merge-patch+json")


def problems(api: Api, helm: Callable[..., str], values: Path) -> Iterator[str]:
    namespace = values.stem.removesuffix("-values")
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.ask("POST", "api/v1/namespaces", {"metadata": {"name": namespace, "labels": restricted}})
    jobs: list[dict] = []
    ended = threading.Event()
    thread = threading.Thread(target=finish_jobs, args=(api, namespace, jobs, ended), daemon=True)
    thread.start()
    where = ("--namespace", namespace, "--timeout", "1m")
    try:
        for verb in ("install", "upgrade"):
            helm(verb, "release", CHART, *where, "--values", values)
        rendered = [one for one in yaml.load_all(helm("get", "manifest", "release", *where[:2]), Loader) if one]
        rendered += [one for one in yaml.load_all(helm("get", "hooks", "release", *where[:2]), Loader) if one]
        yield from different(api, namespace, rendered, jobs)
        yield from refused_pods(api, namespace, rendered)
        helm("uninstall", "release", *where)
        for document in rendered:
            left = api.ask("GET", PLACES[document["kind"]].format(namespace))["items"]
            yield from (f"{document['kind']} {one['metadata']['name']} is left" for one in left)
    finally:
        ended.set()
        thread.join()


def different(api: Api, namespace: str, rendered: list[dict], jobs: list[dict]) -> Iterator[str]:
    for document in rendered:
        kind, name = document["kind"], document["metadata"]["name"]
        if kind == "Job":
            # Helm removes a hook's job once it is complete.
            stored = next((job for job in jobs if job["metadata"]["name"] == name), {})
            if sum(job["metadata"]["name"] == name for job in jobs) != len(("install", "upgrade")):
                yield f"{name} did not run once with the installation and once with the upgrade"
        else:
            stored = api.ask("GET", f"{PLACES[kind].format(namespace)}/{name}")
        for member in ("spec", "data"):
            for text in missing(document.get(member), stored.get(member)):
                yield f"{kind} {name}: {member}{text}"


def refused_pods(api: Api, namespace: str, rendered: list[dict]) -> Iterator[str]:
    accounts = PLACES["ServiceAccount"].format(namespace)
    own = [document["metadata"]["name"] for document in rendered if document["kind"] == "ServiceAccount"]
    for name, template in pods(rendered):
        account = template["spec"]["serviceAccountName"]
        if account not in own:
            api.ask("POST", accounts, {"metadata": {"name": account}})
        pod = {"metadata": {"generateName": "pod-", **template["metadata"]}, "spec": template["spec"]}
        try:
            api.ask("POST", f"api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
        except Refused as refusal:
            yield f"a pod of {name} is refused: {refusal}"
        if account not in own:
            api.ask("DELETE", f"{accounts}/{account}")


def main() -> None:
    helm_program, programs, *folders = sys.argv[1:]
    servers: list[subprocess.Popen] = []
    found = []
    sets = sorted((CHART / "ci").glob("*-values.yaml"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            api = start_cluster(Path(programs).resolve(), folder, servers)
            define_custom_resources(api, folders)
            # What the sets name and a cluster would have.
            high = {"metadata": {"name": "high"}, "value": 1000}
            api.ask("POST", "apis/scheduling.k8s.io/v1/priorityclasses", high)
            api.write_kubeconfig(folder / "kubeconfig")
            home = {name: str(folder / name) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
            environment = {**os.environ, **home, "KUBECONFIG": str(folder / "kubeconfig"), "NO_PROXY": "127.0.0.1"}

            def helm(*arguments: object) -> str:
                command = [helm_program, *map(str, arguments)]
                ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
                if ran.returncode:
                    raise Refused(f"helm {arguments[0]}: {ran.stderr.strip()}")
                return ran.stdout

            for values in sets:
                try:
                    found += [f"{values.name}: {text}" for text in problems(api, helm, values)]
                except Refused as refusal:
                    found.append(f"{values.name}: {refusal}")
            version = api.ask("GET", "version")["gitVersion"]
        finally:
            for server in reversed(servers):
                server.terminate()
                server.wait()
    if found:
        sys.exit("\n".join(found))
    print(f"helm: {len(sets)} sets of values were installed, upgraded and removed on Kubernetes {version}")


if __name__ == "__main__":
    main()
