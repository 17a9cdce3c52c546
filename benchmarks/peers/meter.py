"""Counts what an engine has processed and writes it to a small file that the runner reads.

Owns the arguments of a run and the format of the file. Measures no CPU and no memory: the runner does that from
outside, in the same way for every engine.
"""

import asyncio
import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path

PROGRESS_EVENTS_MAX = 50_000
"""The file is written at least once for this many events: often enough to watch, rarely enough to cost nothing."""
PROGRESS_STEPS = 10
"""The file is written at least this many times in a run."""


@dataclass(frozen=True, slots=True)
class Run:
    """The arguments of one run of one engine."""

    broker: str
    source: str
    output: str
    group: str
    count: int
    """The number of events after which the run is complete."""
    directory: str
    """The directory for temporary files."""
    stats: Path
    instance: str | None = None
    """The instance id for static group membership, for engines that support it."""


def settings_from_argv(argv: list[str]) -> Run:
    """Parse `broker source output group count directory stats [instance]`, after the program's name."""
    broker, source, output, group, count, directory, stats, *rest = argv[1:]
    return Run(broker, source, output, group, int(count), directory, Path(stats), rest[0] if rest else None)


class Meter:
    """Records the time of the first event, the progress, and the time of the last event.

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
        """Call before the first event; later calls have no effect."""
        if self._started_s is None:
            self._started_s = time.monotonic()
            self.note(first_s=time.time(), events=0)
            self._next = self._step

    def add(self, events: int) -> None:
        """Count processed events, after `start`."""
        self.events += events
        if self.events >= self._next:
            self._report()

    def note(self, **values: float) -> None:
        """Add values to the file."""
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
