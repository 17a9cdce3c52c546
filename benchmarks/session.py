"""What both engine benchmarks share around their measuring: scratch space, the broker, the inputs, the end.

Everything that a session starts is stopped when it ends, by Ctrl-C and SIGTERM too.
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
"""Of all cores. Above it, figures say more about the neighbours than about the engines."""


@dataclass(frozen=True, slots=True)
class Session:
    """A running scratch broker with its inputs.

    Args:
        directory: scratch space, gone afterwards.
        notes: what a reader of the figures must know.
    """

    broker: ScratchBroker
    inputs: Inputs
    directory: Path
    notes: list[str]


@contextlib.contextmanager
def open_session(scratch: Path | None) -> Iterator[Session]:
    """Start a broker below `scratch`, or below the directory for temporary files."""
    busy = psutil.cpu_percent(BUSY_LOOK_S) / 100
    notes = [f"{psutil.cpu_count()} cores; {busy:.0%} busy with other work before the start."]
    if busy > BUSY_SHARE_MAX:
        notes.append(
            "The machine was not quiet: figures are worse than on a quiet one, and targets may be missed for it."
        )
        say(notes[-1])
    with tempfile.TemporaryDirectory(prefix="watchfloor-bench-", dir=scratch) as name:
        directory = Path(name)
        say("starting a scratch broker")
        with scratch_broker(directory) as broker:
            yield Session(broker, Inputs(broker, directory), directory, notes)


def run_main(main: Callable[[], bool]) -> NoReturn:
    """Run a benchmark's main function; 0 where every target is met, 1 otherwise.

    A failed run and a failure that the user can cure end it with their text, without a trace.
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
