"""Starts the embedded stack for a benchmark, or uses a running one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.settings.load import Settings, load_settings

START_S_MAX = 300.0
STOP_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: its addresses and its configuration."""

    endpoints: dict[str, Any]
    state_dir: Path
    seconds_to_ready: float

    @property
    def settings(self) -> Settings:
        """The settings of the stack's processes, with which clients sign in at its servers."""
        return load_settings(self.state_dir / "watchfloor.toml", environ={})


def start(
    command: Sequence[str], state_dir: Path, environ: dict[str, str] | None = None
) -> tuple[Stack, "subprocess.Popen[bytes]"]:
    """Run a command that starts the stack and wait for its endpoints.

    Raises:
        SystemExit: the stack ended, or was not ready in time; the message names its log.
    """
    log = state_dir.parent / f"{state_dir.name}.log"
    started_s = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ, start_new_session=True)
    endpoints = state_dir / "endpoints.json"
    while not endpoints.exists():
        if process.poll() is not None or time.monotonic() - started_s > START_S_MAX:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            raise SystemExit(f"the stack was not ready in time, see {log}:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)
    return Stack(json.loads(endpoints.read_text()), state_dir, time.monotonic() - started_s), process


def stop(process: "subprocess.Popen[bytes]", timeout_s: float = STOP_S_MAX) -> None:
    """Stop a process by SIGTERM, which the stack takes like Ctrl-C, and wait for it; kill it after a time."""
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running_stack(state_dir: Path | None) -> Iterator[Stack]:
    """The running stack of `state_dir` if that is given, otherwise a new one that ends with the `with`."""
    if state_dir is not None and (state_dir / "endpoints.json").exists():
        yield Stack(json.loads((state_dir / "endpoints.json").read_text()), state_dir, 0.0)
        return
    with tempfile.TemporaryDirectory(prefix="watchfloor-bench-") as scratch:
        directory = state_dir or Path(scratch) / "state"
        command = [sys.executable, "-m", "watchfloor", "up", "--state-dir", str(directory)]
        stack, process = start(command, directory, dict(os.environ))
        try:
            yield stack
        finally:
            stop(process)
