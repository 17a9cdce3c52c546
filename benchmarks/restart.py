"""Kills the engine in the middle of its work and measures how soon the next one continues.

The state should hold many entities. Afterwards every finding must have been written exactly once.
"""

import random
import time
from dataclasses import dataclass

from engines import WATCHFLOOR
from measure import START_S_MAX, Process, verify_output
from session import Expected, RunFailedError, Session, say

KILL_FROM, KILL_TO = 0.6, 0.9
"""The share of events after which the engine is killed: nearly every entity has state then, and work is left."""
RUN_S_MAX = 600.0
_LOOK_S = 0.02
_SEED = 11


@dataclass(frozen=True, slots=True)
class Restart:
    """One kill and its restart."""

    recovery_s: float
    """The time from the start of the program until all partitions are recovered."""
    first_event_s: float
    """The time from the start of the program until the first event is processed."""
    memory_mib: float
    """The peak resident memory of the restarted program, which has the whole state."""


def measure_restarts(session: Session, expected: Expected, rounds: int) -> list[Restart]:
    """Kill and restart the engine once in each round, with new topics each time.

    Raises:
        RunFailedError: the engine ended, or findings are missing, repeated or wrong.
    """
    draw = random.Random(_SEED)
    return [_one(session, expected, draw.uniform(KILL_FROM, KILL_TO)) for _ in range(rounds)]


def _one(session: Session, expected: Expected, share: float) -> Restart:
    process = Process(WATCHFLOOR, session, expected.topic, expected.events)
    try:
        _wait_until_processed(process, int(share * expected.events))
    except BaseException:
        process.stop()
        raise
    process.kill()
    say(f"killed after {process.stats['events']:,.0f} events; restarting")
    again = Process(WATCHFLOOR, session, expected.topic, expected.events, restart_of=process)
    try:
        ready_s = again.wait_for("ready_s", START_S_MAX) - again.started_s
        first_s = again.wait_for("first_s", START_S_MAX) - again.started_s
        verify_output(again, expected, wait_s=RUN_S_MAX)
        return Restart(ready_s, first_s, again.peak_mib())
    finally:
        again.stop()


def _wait_until_processed(process: Process, events: int) -> None:
    """Wait until the meter file, which is written every few ten thousand events, shows this many."""
    deadline_s = time.monotonic() + RUN_S_MAX
    while (stats := process.stats).get("events", 0) < events and "seconds" not in stats:
        process.check()
        if time.monotonic() > deadline_s:
            raise RunFailedError(f"{process.name} did not process {events:,} events in time:\n{process.log_end()}")
        time.sleep(_LOOK_S)
