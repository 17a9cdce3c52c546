"""Counts what an engine processed and writes it to a small file that the runner reads.

Owns the arguments of one run and the file's form. Measures no CPU and no memory: the runner does that from
outside, the same way for every engine.
"""

import asyncio
import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path

PROGRESS_EVENTS_MAX = 50_000
"""The file is written anew after so many events at most: often enough to watch, too rarely to cost."""
PROGRESS_STEPS = 10
"""And so many times a run at least."""


@dataclass(frozen=True, slots=True)
class Run:
    """Arguments of one run of one engine."""

    broker: str
    source: str
    output: str
    group: str
    count: int
    """Events after which the run is complete."""
    directory: str
    """Scratch space of the run."""
    stats: Path
    instance: str | None = None
    """Static group membership, where the engine has it."""


def settings_from_argv(argv: list[str]) -> Run:
    """Parse `broker source output group count directory stats [instance]`, after the program's name."""
    broker, source, output, group, count, directory, stats, *rest = argv[1:]
    return Run(broker, source, output, group, int(count), directory, Path(stats), rest[0] if rest else None)


class Meter:
    """Notes the first event, the progress and the last event.

    The file holds `first_s` (Unix time) and `events` so far; at the end also `seconds`, `dropped` and `findings`.
    """

    def __init__(self, run: Run) -> None:
        self._count = run.count
        self._step = max(1, min(PROGRESS_EVENTS_MAX, run.count // PROGRESS_STEPS))
        self._stats = run.stats
        self.events = self.dropped = self.findings = 0
        self._started_s: float | None = None
        self._next = 0
        self._body: dict[str, float] = {}

    def start(self) -> None:
        """Call before the first event; harmless afterwards."""
        if self._started_s is None:
            self._started_s = time.monotonic()
            self.note(first_s=time.time(), events=0)
            self._next = self._step

    def add(self, events: int) -> None:
        """Count processed events; `start` came before."""
        self.events += events
        if self.events >= self._next:
            self._report()

    def note(self, **values: float) -> None:
        """Put further values into the file."""
        self._body |= values
        scratch = self._stats.with_suffix(".tmp")
        scratch.write_text(json.dumps(self._body))
        scratch.replace(self._stats)

    async def stopped(self) -> None:
        """Wait for SIGTERM."""
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()

    def _report(self) -> None:
        self._next = self.events + self._step
        if self.events < self._count:
            self._next = min(self._next, self._count)
            self.note(events=self.events)
        elif "seconds" not in self._body and self._started_s is not None:
            seconds = time.monotonic() - self._started_s
            self.note(events=self.events, seconds=seconds, dropped=self.dropped, findings=self.findings)
