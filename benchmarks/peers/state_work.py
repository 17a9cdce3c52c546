"""The state of the comparison without a stream: persons that are read and updated in random order.

Shared by the programs that keep the state in memory and in RocksDB, so that both do the same. Keys and values
are created for each access, as an engine does for each record.
"""

import json
import random
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from work import PersonTrack
from world import START_S, TENANTS

ACCESSES = 200_000
SNAPSHOT_ACCESSES = 2_000
"""The number of accesses between two writes to the changelog."""
REPEATS = 3
_TRACKS = 1_000
_SEED = 7
_PAGE_BYTES = 4096
_MIB = 2**20

Key = tuple[int, int]
Get = Callable[[Key], Any]
Put = Callable[[Key, PersonTrack], object]


def key_of(number: int) -> Key:
    """The key (tenant, person) of a person."""
    return number % TENANTS, number


def track_of(number: int, moves: int = 0) -> PersonTrack:
    """A person's state after some moves; its numbers have as many digits as real ones."""
    noise = (number * 2_654_435_761 + moves * 40_503) % 1_000_003 / 1_000_003
    at_s = START_S + 60 * moves + noise
    return PersonTrack(round(1.35 + noise / 10, 8), round(103.8 + noise / 7, 8), at_s, 9 + moves, 11 + noise, noise / 3)


def accesses(persons: int) -> "array[int]":
    """The persons to read or update, in order."""
    draw = random.Random(_SEED).randrange
    return array("L", [draw(persons) for _ in range(ACCESSES)])


def measure(get: Get, put: Put, write_changelog: Callable[[], object], whom: "array[int]") -> dict[str, float]:
    """CPU microseconds of a read, of a write, and of an update with its share of the changelog.

    The minimum of `REPEATS`, because other work on the machine can only add time.
    """
    tracks = [track_of(number, 1) for number in range(_TRACKS)]

    def read() -> None:
        for number in whom:
            get(key_of(number))

    def write() -> None:
        for number in whom:
            put(key_of(number), tracks[number % _TRACKS])

    def move() -> None:
        for at, number in enumerate(whom, start=1):
            key = key_of(number)
            latitude, longitude, at_s, intervals, mean_s, variance = get(key)
            put(key, PersonTrack(latitude, longitude, at_s + 60.0, intervals + 1, mean_s, variance))
            if at % SNAPSHOT_ACCESSES == 0:
                write_changelog()

    get_us = min(microseconds(read, len(whom)) for _ in range(REPEATS))
    put_us = min(microseconds(write, len(whom)) for _ in range(REPEATS))
    write_changelog()
    return {"get_us": get_us, "put_us": put_us, "move_us": min(microseconds(move, len(whom)) for _ in range(REPEATS))}


def microseconds(work: Callable[[], object], count: int) -> float:
    """The CPU time of all threads for each of the `count` steps of some work; other programs matter less that way."""
    started_s = time.process_time()
    work()
    return (time.process_time() - started_s) / count * 1e6


def resident_bytes() -> int:
    """The resident memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES


def print_figures(figures: dict[str, float]) -> None:
    """Print the figures of this program for the runner."""
    json.dump(figures, sys.stdout)


def mib(size_bytes: float) -> float:
    """Bytes as MiB."""
    return size_bytes / _MIB
