"""The engines of the comparison: how each is started, how many events it gets, and a note on its state.

Owns the list. The programs are in peers/; peer_tools installs what they need besides the project.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

PROGRAMS = Path(__file__).parent / "peers"
LOW_RATE, HIGH_RATE = 1_000, 20_000


@dataclass(frozen=True, slots=True)
class Tools:
    """What the programs run with, as far as a selected engine needs it."""

    peers_python: Path | None = None
    """The interpreter of the peers' environment."""
    java: tuple[str, ...] | None = None
    """The command that runs a Java program of the comparison."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine."""

    name: str
    label: str
    note: str
    """How it keeps state, for the table."""
    command: Callable[[Tools], tuple[str, ...]]
    rates: tuple[int, ...] = (LOW_RATE, HIGH_RATE)
    """The rates at which its latency can be measured."""
    events_max: int | None = None
    """It gets at most this many events; its figures are still per second and per 100,000 events."""
    needs_python: bool = False
    needs_jdk: bool = False
    changelog: bool = False
    """Whether it needs a compacted topic named after its group with `-state`."""
    journal: bool = False
    """Whether it needs a topic named after its group with `-journal`."""
    is_peer: bool = True
    """Whether it is a stream engine of another project."""


def _own(program: str, *arguments: str) -> Callable[[Tools], tuple[str, ...]]:
    return lambda _: (sys.executable, str(PROGRAMS / program), *arguments)


def _peers(program: str) -> Callable[[Tools], tuple[str, ...]]:
    return lambda tools: (str(tools.peers_python), "-W", "ignore", str(PROGRAMS / program))


ENGINES = (
    Engine(
        "watchfloor",
        "Watchfloor",
        "exact state and outputs, changelog every 250 ms",
        _own("engine_app.py"),
        changelog=True,
        journal=True,
        is_peer=False,
    ),
    Engine(
        "bare_loop",
        "bare confluent-kafka loop",
        "dict and changelog, commit every second; no engine: the ceiling of plain Python",
        _own("bare_loop.py"),
        changelog=True,
        is_peer=False,
    ),
    Engine(
        "bytewax",
        "Bytewax 0.21",
        "SQLite snapshots every 10 s",
        _peers("bytewax_app.py"),
        needs_python=True,
    ),
    Engine(
        "kafka_streams",
        "Kafka Streams 4.3",
        "RocksDB, cache and changelog, one thread",
        lambda tools: tools.java or (),
        needs_jdk=True,
    ),
    Engine(
        "quix",
        "Quix Streams 3.28",
        "RocksDB and changelog",
        _peers("quix_app.py"),
        needs_python=True,
    ),
    Engine(
        "faust",
        "Faust 0.15, as documented",
        "tables and changelog, an event at a time; 20,000 events",
        _own("faust_app.py"),
        rates=(LOW_RATE,),
        events_max=20_000,
    ),
)
WATCHFLOOR = ENGINES[0]
TRANSACTIONAL = replace(
    WATCHFLOOR,
    name="watchfloor_transactions",
    label="Watchfloor, transactions",
    command=_own("engine_app.py", "--transactions"),
)
"""The same with `guarantee: transactions`."""
