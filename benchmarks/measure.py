"""Runs the program of one engine once and measures it from outside, in the same way for every engine.

Owns the process, its meter file and its figures from /proc.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from engines import Engine
from processes import cpu_seconds, summed
from scratch_broker import COMPACTED
from session import Expected, RunFailedError, Session, say

POLL_S = 0.01
SAMPLE_S = 1.0
SAY_S = 10.0
STOP_S_MAX = 20.0
START_S_MAX = 120.0
EVENTS_PER_S_MIN = 300.0
"""A slower engine has failed; the slowest peer reaches 2,000."""
_LOG_SHOWN = 2_000
_numbers = itertools.count(1)


@dataclass(slots=True)
class Throughput:
    """One run over a whole topic."""

    events_per_s: float
    cpu_s_per_100k: float
    peak_mib: float
    start_s: float
    """The time from the start of the program to its first event."""
    memory_mib: list[tuple[float, float]] = field(default_factory=list)
    """Resident memory over time: seconds since the first event, MiB."""


class Process:
    """The running program of an engine.

    Args:
        engine: the engine.
        session: where it runs.
        source: the topic that it reads.
        count: the number of events after which its run is complete.
        restart_of: a killed process whose work it continues.
    """

    def __init__(
        self, engine: Engine, session: Session, source: str, count: int, restart_of: "Process | None" = None
    ) -> None:
        number = next(_numbers)
        self.name = engine.name
        self.group: str = restart_of.group if restart_of else f"run-{engine.name}-{number}"
        self.output = f"{self.group}-output"
        self.broker = broker = session.broker
        scratch = session.directory / f"{self.group}-{number}"
        scratch.mkdir()
        self.stats_file = scratch / "stats.json"
        self._log = scratch / "log"
        if restart_of is None:
            state: dict[str, dict[str, str]] = {f"{self.group}-state": COMPACTED} if engine.changelog else {}
            journal: dict[str, dict[str, str]] = {f"{self.group}-journal": {}} if engine.journal else {}
            broker.create({self.output: {}, **journal, **state})
        arguments = (broker.address, source, self.output, self.group, str(count), str(scratch), str(self.stats_file))
        with self._log.open("wb") as log:
            self.started_s = time.time()
            self._process = subprocess.Popen(
                # the last argument is for static membership, so that a restart need not wait for the old session
                (*engine.command(session.tools), *arguments, self.group),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    @property
    def stats(self) -> dict[str, float]:
        """The content of the meter file; empty before the first event."""
        try:
            body: dict[str, float] = json.loads(self.stats_file.read_bytes())
        except FileNotFoundError:
            return {}
        return body

    def tree(self) -> list[psutil.Process]:
        """The process and its children; empty after it has ended."""
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []

    def peak_mib(self) -> float:
        """The kernel's high-water mark of the resident memory of the whole process tree."""
        return sum(_peak_mib(each.pid) for each in self.tree())

    def check(self) -> None:
        """Raise RunFailedError if the program has ended."""
        code = self._process.poll()
        if code is not None:
            raise RunFailedError(f"{self.name} ended with code {code}:\n{self.log_end()}")

    def log_end(self) -> str:
        """The end of the program's log."""
        return self._log.read_text(errors="replace")[-_LOG_SHOWN:]

    def wait_for(self, name: str, timeout_s: float, tick: Callable[[dict[str, float]], None] = lambda _: None) -> float:
        """Wait until the meter file has a value; `tick` gets the content of the file at every check.

        Raises:
            RunFailedError: the program ended, or the time is over.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            stats = self.stats
            if name in stats:
                return stats[name]
            self.check()
            if time.monotonic() > deadline_s:
                raise RunFailedError(f"{self.name}: no {name} within {timeout_s:.0f} s:\n{self.log_end()}")
            tick(stats)
            time.sleep(POLL_S)

    def kill(self) -> None:
        """Send SIGKILL, so that the program cannot write anything more."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, *, forget: bool = True) -> None:
        """Send SIGTERM, later SIGKILL; delete its topics if `forget`."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        if forget:
            self.broker.delete(self.group)


@contextlib.contextmanager
def running(engine: Engine, session: Session, source: str, count: int) -> Iterator[Process]:
    """Run an engine's program inside a `with`; its topics are deleted at the end."""
    process = Process(engine, session, source, count)
    try:
        yield process
    finally:
        process.stop()


class _Memory:
    """Samples resident memory and prints the progress of the run."""

    def __init__(self, process: Process, count: int) -> None:
        self._process, self._count = process, count
        self._first_s = self._sampled_s = self._said_s = time.monotonic()
        self.samples: list[tuple[float, float]] = []

    def __call__(self, stats: dict[str, float]) -> None:
        now_s = time.monotonic()
        if now_s - self._sampled_s >= SAMPLE_S:
            self._sampled_s = now_s
            self.samples.append((now_s - self._first_s, _resident_mib(self._process.tree())))
        if now_s - self._said_s >= SAY_S:
            self._said_s = now_s
            say(f"  {self._process.name}: {stats['events']:,.0f} of {self._count:,} events")


def measure_throughput(engine: Engine, session: Session, expected: Expected) -> Throughput:
    """Let the engine process a whole topic; compare its counts and its findings.

    Raises:
        RunFailedError: the engine ended, took too long, or found something else than the plain fold.
    """
    with running(engine, session, expected.topic, expected.events) as process:
        first_s = process.wait_for("first_s", START_S_MAX)
        before_s = cpu_seconds(process.tree())
        memory = _Memory(process, expected.events)
        seconds = process.wait_for("seconds", START_S_MAX + expected.events / EVENTS_PER_S_MIN, memory)
        used_s = cpu_seconds(process.tree()) - before_s
        result = Throughput(
            events_per_s=expected.events / seconds,
            cpu_s_per_100k=used_s / expected.events * 1e5,
            peak_mib=process.peak_mib(),
            start_s=first_s - process.started_s,
            memory_mib=memory.samples,
        )
        verify(process, expected)
    return result


def verify(process: Process, expected: Expected) -> None:
    """Compare the meter's counts and the output topic with the plain fold.

    Raises:
        RunFailedError: they differ.
    """
    stats = process.stats
    counted = stats["events"], stats["dropped"], stats["findings"]
    wanted = (expected.events, expected.dropped, len(expected.findings))
    if counted != wanted:
        raise RunFailedError(f"{process.name} counted {counted} events, drops and findings; expected {wanted}")
    verify_output(process, expected)


def verify_output(process: Process, expected: Expected, wait_s: float = 60.0) -> None:
    """Compare the findings in the output topic with the plain fold: each must be there once, and no others.

    Raises:
        RunFailedError: they differ.
    """
    ids = process.broker.finding_ids(process.output, len(expected.findings), wait_s)
    found = set(ids)
    if found != expected.findings or len(ids) != len(found):
        raise RunFailedError(
            f"{process.name} wrote {len(ids)} findings: {len(expected.findings - found)} missing, "
            f"{len(ids) - len(found)} repeated, {len(found - expected.findings)} wrong"
        )


def _resident_mib(tree: list[psutil.Process]) -> float:
    return summed(tree, lambda process: process.memory_info().rss) / 2**20


def _peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
