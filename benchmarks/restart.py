"""Kills the engine hard in the middle of its work and measures how soon it goes on, and whether all is right.

The figures need many entities in state; the check afterwards is that every finding was written exactly once.
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path

from engines import WATCHFLOOR, Tools
from measure import START_S_MAX, Expected, Process, RunFailedError, say, verify_output
from scratch_broker import ScratchBroker

KILL_FROM, KILL_TO = 0.6, 0.9
"""Killed after this share of the events: by then nearly every entity has state, and work is left."""
RUN_S_MAX = 600.0
_LOOK_S = 0.02
_SEED = 11


@dataclass(frozen=True, slots=True)
class Restart:
    """One kill and its restart."""

    recovery_s: float
    """From the start of the program until all partitions are recovered."""
    first_event_s: float
    """From the start of the program to the first event that is processed."""
    memory_mib: float
    """Peak resident memory of the restarted program, which held the whole state."""


def measure_restarts(
    tools: Tools, broker: ScratchBroker, expected: Expected, directory: Path, rounds: int
) -> list[Restart]:
    """Kill and restart, once a round, each on fresh topics.

    Raises:
        RunFailedError: the engine ended, or findings are missing, repeated or made up.
    """
    draw = random.Random(_SEED)
    return [_one(tools, broker, expected, directory, draw.uniform(KILL_FROM, KILL_TO)) for _ in range(rounds)]


def _one(tools: Tools, broker: ScratchBroker, expected: Expected, directory: Path, share: float) -> Restart:
    process = Process(WATCHFLOOR, tools, broker, expected.topic, expected.events, directory)
    try:
        _wait_until_processed(process, int(share * expected.events))
    except BaseException:
        process.stop()
        raise
    process.kill()
    say(f"killed after {process.stats['events']:,.0f} events; starting again")
    again = Process(WATCHFLOOR, tools, broker, expected.topic, expected.events, directory, restart_of=process)
    try:
        ready_s = again.wait_for("ready_s", START_S_MAX) - again.started_s
        first_s = again.wait_for("first_s", START_S_MAX) - again.started_s
        verify_output(again, broker, expected, wait_s=RUN_S_MAX)
        return Restart(ready_s, first_s, again.peak_mib())
    finally:
        again.stop()


def _wait_until_processed(process: Process, events: int) -> None:
    """Wait for the meter file to say so; it is written every few ten thousand events."""
    deadline_s = time.monotonic() + RUN_S_MAX
    while (stats := process.stats).get("events", 0) < events and "seconds" not in stats:
        process.check()
        if time.monotonic() > deadline_s:
            raise RunFailedError(f"{process.name} did not process {events:,} events in time:\n{process.log_end()}")
        time.sleep(_LOOK_S)
