"""What the benchmarks share: a temporary directory, the broker, the inputs, and the exit code.

Everything that a session starts is stopped when it ends, also by Ctrl-C or SIGTERM.
"""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psutil
from inputs import Inputs
from measure import RunFailedError, say
from scratch_broker import ScratchBroker, scratch_broker

from common.errors import WatchfloorError

BUSY_LOOK_S = 3.0
BUSY_SHARE_MAX = 0.10
"""The share of all cores that other programs may use; above it, figures say more about them than about the engines."""


@dataclass(frozen=True, slots=True)
class Session:
    """A running broker with its inputs.

    Args:
        directory: the temporary directory.
        notes: what a reader of the figures should know.
    """

    broker: ScratchBroker
    inputs: Inputs
    directory: Path
    notes: list[str]


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
            yield Session(broker, Inputs(broker, directory), directory, notes)


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
