"""What the benchmarks share: a temporary directory, the broker, the inputs, and the exit code.

Everything that a session starts is stopped when it ends, also by Ctrl-C or SIGTERM.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import psutil
from engines import PROGRAMS, Tools
from scratch_broker import ScratchBroker, scratch_broker

from common.errors import WatchfloorError

BUSY_LOOK_S = 3.0
BUSY_SHARE_MAX = 0.10
"""The share of all cores that other programs may use; above it, figures say more about them than about the engines."""


class RunFailedError(Exception):
    """A run without figures: the engine ended, did not finish in time, or counted wrongly."""


def say(text: str) -> None:
    """Print progress on standard error; standard output is for the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Expected:
    """What every engine must count and find in an input topic."""

    topic: str
    events: int
    dropped: int
    findings: frozenset[int]
    persons: int


@dataclass(slots=True)
class Session:
    """A running broker with its input topics, and what else every run needs."""

    broker: ScratchBroker
    directory: Path
    """For temporary files."""
    notes: list[str]
    """What a reader of the figures should know."""
    tools: Tools = field(default_factory=Tools)
    _filled: dict[tuple[int, int], Expected] = field(default_factory=dict)

    def fill(self, events: int, persons: int = 2_000) -> Expected:
        """A topic with this many events; a second call with the same numbers returns the same topic.

        Raises:
            RunFailedError: the generator failed.
        """
        if (events, persons) not in self._filled:
            self._filled[events, persons] = self._fill(events, persons)
        return self._filled[events, persons]

    def _fill(self, events: int, persons: int) -> Expected:
        topic = f"input-{events}-{persons}"
        result = self.directory / f"{topic}.json"
        say(f"writing {events:,} events to {topic}")
        self.broker.create({topic: {}})
        arguments = (self.broker.address, topic, str(events), str(result), str(persons))
        command = [sys.executable, str(PROGRAMS / "generate.py"), *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
            try:
                for line in generator.stdout or ():
                    say(f"  {int(line):,} of {events:,} events written")
            except BaseException:
                generator.kill()
                raise
        if generator.returncode:
            raise RunFailedError(f"the generator ended with code {generator.returncode}")
        body = json.loads(result.read_text())
        return Expected(topic, body["events"], body["dropped"], frozenset(body["findings"]), body["persons"])


@contextlib.contextmanager
def open_session(scratch: Path | None) -> Iterator[Session]:
    """Start a broker with a temporary directory below `scratch`, or below the system's directory for such files."""
    busy = psutil.cpu_percent(BUSY_LOOK_S) / 100
    notes = [f"{psutil.cpu_count()} cores; {busy:.0%} busy with other work before the start."]
    if busy > BUSY_SHARE_MAX:
        notes.append(
            "The machine was not idle: figures are worse than on an idle one, and targets may be missed because of it."
        )
        say(notes[-1])
    with tempfile.TemporaryDirectory(prefix="watchfloor-bench-", dir=scratch) as name:
        directory = Path(name)
        say("starting a scratch broker")
        with scratch_broker(directory) as broker:
            yield Session(broker, directory, notes)


def run_main(main: Callable[[], bool]) -> NoReturn:
    """Run a benchmark's main function; exit with 0 if every target is met, otherwise with 1.

    A failed run, and an error that the user can correct, end it with one line instead of a trace.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.environ.pop("WATCHFLOOR_CONFIG", None)  # a benchmark measures the defaults
    try:
        met = main()
    except WatchfloorError as error:
        sys.exit(f"{error}")
    except RunFailedError as error:
        sys.exit(f"the benchmark failed: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(0 if met else 1)
