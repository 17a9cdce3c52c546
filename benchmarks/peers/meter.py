"""Counts what an engine processed and writes it to a file that the runner reads."""

import asyncio
import json
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """Arguments of one run of one engine."""

    broker: str
    source: str
    output: str
    group: str
    count: int
    directory: str
    stats: Path
    instance: str | None = None


def settings_from_argv(argv: list[str]) -> Run:
    """Parse `broker source output group count directory stats`."""
    broker, source, output, group, count, directory, stats, *rest = argv[1:]
    return Run(broker, source, output, group, int(count), directory, Path(stats), rest[0] if rest else None)


class Meter:
    """Notes the first and the last event; `stopped` waits for SIGTERM."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.events = self.dropped = self.findings = 0
        self._started_s: float | None = None
        self._cpu_s = 0.0
        self._done = False

    def start(self) -> None:
        """Call before the first event; harmless afterwards."""
        if self._started_s is None:
            self._started_s, self._cpu_s = time.monotonic(), _cpu_s()
            self._write({"first_s": time.time()})

    def add(self, events: int) -> None:
        """Count processed events."""
        self.events += events
        if self.events >= self._run.count and not self._done and self._started_s is not None:
            self._done = True
            seconds = time.monotonic() - self._started_s
            self._write(
                {
                    "events": self.events,
                    "dropped": self.dropped,
                    "findings": self.findings,
                    "events_per_s": self.events / seconds,
                    "cpu_s_per_100k": (_cpu_s() - self._cpu_s) / self.events * 1e5,
                    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                }
            )

    def _write(self, body: dict[str, float]) -> None:
        scratch = self._run.stats.with_suffix(".tmp")
        scratch.write_text(json.dumps(body))
        scratch.replace(self._run.stats)

    async def stopped(self) -> None:
        """Wait for SIGTERM."""
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
