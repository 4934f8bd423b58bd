"""The processes of the demo: tools that run to their end, the two servers, and the daemon."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

LOCAL = Path(__file__).resolve().parent.parent
CHECKOUT = LOCAL.parent.parent
STATE = CHECKOUT / ".local" / "demo"
REGION = "us-east-1"

# Loopback is reached directly, whatever proxy the caller's environment names.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failure(Exception):
    """Something that a user understands without a stack trace: one sentence, and what a tool or a log said before."""

    def __init__(self, sentence: str, said: str = "") -> None:
        super().__init__(sentence)
        self.said = said


def clean_environment() -> dict[str, str]:
    """The caller's environment without the accounts and clusters that the demo must never touch."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGETRAIL__"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


ENVIRONMENT = clean_environment()


def run(*command: str | Path, show_progress: bool = False, accepted: tuple[int, ...] = (0,)) -> str:
    """Run a command to its end and return what it printed; an interruption ends it with all that it started."""
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if show_progress else subprocess.PIPE,
        text=True,
        # A Ctrl-C reaches the demo alone, which then stops everything in order.
        start_new_session=True,
    )
    try:
        output, errors = process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if process.returncode not in accepted:
        raise Failure(f"{Path(command[0]).name} ended with exit code {process.returncode}", errors or "")
    return output


def build() -> Path:
    """Build sagetrail and return the path of the program.

    A release is optimised across crates, which takes three times as long and shows nothing more here.
    """
    messages = run("cargo", "build", "--locked", "--message-format=json-render-diagnostics", show_progress=True)
    for line in messages.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "sagetrail":
            return Path(message["executable"])
    raise Failure("cargo built no program called sagetrail")


def assemble_opensearch() -> None:
    run(LOCAL / "opensearch.sh", "assemble")


def start_server(name: str) -> str:
    return run(LOCAL / f"{name}.sh", "start", "--instance", "demo").strip()


def remove_server(name: str) -> None:
    run(LOCAL / f"{name}.sh", "stop", "--instance", "demo", "--remove")


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def dashboards() -> str | None:
    """The address of a Dashboards of the caller's that looks at the demo's OpenSearch, if there is one."""
    return os.environ.get("DASHBOARDS")


class Daemon:
    CONFIG = STATE / "sagetrail.toml"
    LOG = STATE / "sagetrail.log"
    PID = STATE / "sagetrail.pid"

    def __init__(self, binary: Path, opensearch: str, aws: str, queue_url: str) -> None:
        self.command = [binary, "run", "--config", self.CONFIG]
        self.environment = ENVIRONMENT | {"AWS_ENDPOINT_URL": aws}
        self.admin = free_address()
        address = dashboards()
        self.CONFIG.write_text(
            f'[source]\nqueue_url = "{queue_url}"\nforce_path_style = true\n\n'
            f'[sink]\nurl = "{opensearch}"\n\n[admin]\nlisten = "{self.admin}"\n\n[log]\nformat = "text"\n'
            + (f'\n[dashboards]\nurl = "{address}"\n' if address else "")
        )

    def start(self) -> None:
        with self.LOG.open("w") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.PID.write_text(str(self.process.pid))

    def ready(self) -> bool:
        try:
            with DIRECT.open(f"http://{self.admin}/readyz", timeout=5):
                return True
        except OSError:
            return False

    def failure(self, reason: str) -> Failure:
        last_lines = self.LOG.read_text(errors="replace").splitlines(keepends=True)[-20:]
        return Failure(f"{reason}; above is the end of {self.LOG}", "".join(last_lines))

    def check(self) -> None:
        if self.process.poll() is not None:
            raise self.failure(f"the daemon ended with exit code {self.process.returncode}")

    def wait_until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        give_up = time.monotonic() + seconds
        while not done():
            self.check()
            if time.monotonic() > give_up:
                raise self.failure(f"{what} took longer than {seconds:.0f} s")
            time.sleep(0.2)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.PID.unlink(missing_ok=True)


def remove_leftovers() -> None:
    """Stop and forget what a demo left behind that was killed before it could do so itself."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pid = int(Daemon.PID.read_text())
        if b"sagetrail\0run\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    Daemon.PID.unlink(missing_ok=True)
    for name in ("opensearch", "moto"):
        remove_server(name)
