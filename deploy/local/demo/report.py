"""What the demo prints."""

import collections
import contextlib
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processes import Daemon
from search import EVENTS, Document, Search

WIDTH = 118

# An example shows these fields, in this order, of a document that has several times as many.
EXAMPLE_FIELDS = (
    "message",
    "@timestamp",
    "event.action",
    "event.outcome",
    "error.code",
    "user.name",
    "source.address",
    "cloud.account.id",
    "cloud.region",
    "sagemaker.severity",
    "sagemaker.categories",
    "sagemaker.resource.type",
    "sagemaker.resource.name",
    "sagemaker.instance.type",
    "sagemaker.instance.count",
    "sagemaker.image.uri",
    "rule.name",
    "threat.technique.id",
)


@contextlib.contextmanager
def step(title: str, tool_talks: bool = False) -> Iterator[None]:
    """One line a step: the title at once and the time when it is done. A tool that talks has the lines between."""
    begin = time.monotonic()
    print(title, end="\n" if tool_talks else "", flush=True)
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    shown = 0 if tool_talks else len(title)
    print(f"{title[shown:]}{' ' * (62 - len(title))}{time.monotonic() - begin:6.1f} s", flush=True)


def show_counts(title: str, counts: list[tuple[str, int]]) -> None:
    print(f"\n{title}")
    for name, count in counts:
        print(f"  {count:5}  {name}")


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else key)
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def show_example(document: Document) -> None:
    fields = dict(flatten(document))
    print()
    for name in EXAMPLE_FIELDS:
        if name in fields:
            print(textwrap.fill(fields[name], WIDTH, initial_indent=f"  {name:<26}", subsequent_indent=" " * 28))


def show_documents(search: Search) -> None:
    show_counts("By category", search.counts("sagemaker.categories"))
    show_counts("By severity", search.counts("sagemaker.severity"))
    print("\nOne of each of the three highest severities, shortened")
    for document in search.of_highest_severities(3):
        show_example(document)


def show_content(installed: str, dashboards: str | None) -> None:
    """What `sagetrail setup` did, counted by kind; the names are the same everywhere."""
    said = (line.split(": ", 1) for line in installed.splitlines() if ": " in line)
    counts = collections.Counter((name.split(" ")[0], outcome) for name, outcome in said)
    print("\nContent")
    for (kind, outcome), count in counts.items():
        print(f"  {count:5}  {kind}: {outcome}")
    if dashboards:
        print(f"  The dashboards are at {dashboards}/app/dashboards")


def show_pages(pages: str) -> None:
    print("\nThe pages that would have come for the sample attack, and what matched\n")
    for line in pages.splitlines():
        print(f"  {line}".rstrip())


def show_page(incident: Document) -> None:
    """What a responder reads on the phone."""
    fields = incident["incident"]
    lines = [incident["message"], fields["reason"], *(f"Worst: {worst}" for worst in fields["worst"])]
    print("\nThe page of the incident\n")
    for line in (*lines, *(f"Next: {following}" for following in fields["next"]), f"Incident: {fields['id']}"):
        print(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    "))


def show_containment(script: Path) -> None:
    steps = sum(line.startswith("# ---- ") for line in script.read_text().splitlines())
    print(f"\nThe script that contains it, {steps} steps to read before anybody runs it:\n  {script}")


def show_report(report: Path) -> None:
    print(f"\nThe report of the incident, to open in a browser\n  {report}")


def show_further(search: Search, daemon: Daemon, binary: Path) -> None:
    print(
        f"\nLook further\n"
        f"  curl '{search.url}/{EVENTS}/_search?q=sagemaker.severity:critical&pretty'\n"
        f"  curl '{search.url}/_cat/indices/sagetrail-*?v'\n"
        f"  curl http://{daemon.admin}/metrics\n"
        f"  curl http://{daemon.admin}/readyz\n"
        f"  less {daemon.LOG}\n"
        f"To see the dashboards, start OpenSearch Dashboards with opensearch.hosts: {search.url}, then\n"
        f"  SAGETRAIL__DASHBOARDS__URL=http://127.0.0.1:5601 {binary} setup --config {daemon.CONFIG}"
    )
