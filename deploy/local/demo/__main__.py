"""Shows sagetrail at its main job: CloudTrail files in S3 become documents that OpenSearch finds.

usage: demo [--once]

Starts OpenSearch, moto (S3 and SQS) and the daemon, uploads the sample files and proves that every record that
`sagetrail enrich` selects can be found. Stays up until Ctrl-C; with --once it ends by itself.
"""

import argparse
import contextlib
import fcntl
import json
import signal
import sys
import time
from pathlib import Path

from attack import moved_to_now
from cloud import Cloud
from processes import (
    CHECKOUT,
    STATE,
    Daemon,
    Failure,
    assemble_opensearch,
    build,
    dashboards,
    remove_leftovers,
    remove_server,
    run,
    start_server,
)
from report import (
    show_containment,
    show_content,
    show_documents,
    show_further,
    show_page,
    show_pages,
    show_report,
    step,
)
from search import Search

SAMPLES = sorted((CHECKOUT / "tests" / "fixtures").glob("*.json.gz"))
ATTACK = "attack-story.json.gz"
# What was there before the attack.
QUIET = "quiet-day.json.gz"
# What `sagetrail setup` ends with when the cluster lacks plugins, which this one does.
INCOMPLETE = 4


def hold_lock() -> object:
    """Keep a second demo from stopping the servers of this one; the system frees the lock however this one ends."""
    STATE.mkdir(parents=True, exist_ok=True)
    lock = (STATE / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure("a demo is running in this checkout already; stop it with Ctrl-C in its terminal") from None
    return lock


def investigate(binary: Path, incident: str, files: list[Path]) -> Path:
    """Write the report of the attack's incident."""
    report = STATE / "report.html"
    run(binary, "investigate", incident, "--format", "html", "--output", report, "--from-files", *files)
    return report


def samples() -> list[Path]:
    """The sample files, the attack among them as if it had ended just now."""
    return [moved_to_now(file, STATE) if file.name == ATTACK else file for file in SAMPLES]


def prove_complete(binary: Path, files: list[Path], search: Search, daemon: Daemon) -> int:
    """Compare what can be found with what `sagetrail enrich` selects from the same files, and count it."""
    # Only "\n" ends a line here: a record may carry other characters that splitlines() takes for an end.
    lines = run(binary, "enrich", *files).rstrip("\n").split("\n")
    selected = {json.loads(line)["_id"] for line in lines}
    search.refresh()
    found = sorted(search.ids())
    if found != sorted(selected):
        missing = selected.difference(found)
        raise daemon.failure(
            f"sagetrail enrich selects {len(selected)} records, but {len(found)} documents are found and "
            f"{search.rejected()} records were rejected; not found: {', '.join(sorted(missing)) or 'none'}"
        )
    return len(found)


def containment(binary: Path, incident: str, files: list[Path]) -> Path:
    """Write the script for the attack's incident; nothing runs it."""
    script = STATE / "contain.sh"
    run(binary, "contain", incident, "--output", script, "--from-files", *files)
    return script


def worst_incident(binary: Path, files: list[Path]) -> dict:
    incidents = json.loads(run(binary, "backtest", "--json", *files))["incidents"]
    return max(incidents, key=lambda incident: incident["incident"]["score"])


def ship(files: list[Path], cloud: Cloud, daemon: Daemon) -> None:
    with step(f"upload {len(files)} CloudTrail files"):
        for file in files:
            cloud.upload(file)
    with step("wait until the queue is empty"):
        daemon.wait_until(lambda: cloud.messages(cloud.queue) == 0, "emptying the queue", 180)
        if cloud.messages(cloud.dead_letter_queue):
            raise daemon.failure("a notification went to the dead-letter queue")


def demonstrate(cleanup: contextlib.ExitStack, once: bool) -> None:
    with step("build sagetrail", tool_talks=True):
        binary = build()
    with step("put OpenSearch together, the first time from Maven Central"):
        assemble_opensearch()
    with step("start OpenSearch"):
        cleanup.callback(remove_server, "opensearch")
        opensearch = start_server("opensearch")
    with step("start moto for S3 and SQS"):
        cleanup.callback(remove_server, "moto")
        endpoint = start_server("moto")
    with step("make the bucket, its queue and the dead-letter queue"):
        cloud = Cloud(endpoint)
    daemon = Daemon(binary, opensearch, endpoint, cloud.queue)
    with step("install templates, memory, dashboards and monitors"):
        installed = run(binary, "setup", "--config", daemon.CONFIG, accepted=(0, INCOMPLETE))
    with step("start sagetrail"):
        daemon.start()
        cleanup.callback(daemon.stop)
        daemon.wait_until(daemon.ready, "getting ready", 60)
    files = samples()
    ship(files, cloud, daemon)
    search = Search(opensearch)
    with step("compare what is found with what sagetrail enrich selects"):
        count = prove_complete(binary, files, search, daemon)
    with step("tell which pages would have come"):
        pages = run(binary, "backtest", *files)
    story = [file for file in files if file.name in (QUIET, ATTACK)]
    incident = worst_incident(binary, story)
    with step("write the report of the incident"):
        report = investigate(binary, incident["incident"]["id"], story)
    with step("write the script that contains it"):
        script = containment(binary, incident["incident"]["id"], story)
    print(f"\nAll {count} records that concern SageMaker are searchable, each once.")
    show_documents(search)
    show_content(installed, dashboards())
    show_pages(pages)
    if not once:
        show_further(search, daemon, binary)
    show_page(incident)
    show_report(report)
    show_containment(script)
    if not once:
        print("\nEverything stays up until Ctrl-C.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                daemon.check()
                time.sleep(0.5)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def ignore_signals() -> None:
    """A second Ctrl-C must not cut the clean-up short."""
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end and clean up instead of staying up")
    once = parser.parse_args().once
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, interrupt)
    try:
        lock = hold_lock()
        remove_leftovers()
        with contextlib.ExitStack() as cleanup:
            try:
                demonstrate(cleanup, once)
            finally:
                ignore_signals()
                print("\nstopping everything", flush=True)
        lock.close()
    except Failure as failure:
        print(f"{failure.said}demo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
