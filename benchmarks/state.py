"""State in memory with a changelog against RocksDB, and how an entity is encoded.

    ./run python benchmarks/state.py                       100,000 and 1,000,000 entities, three rounds
    ./run python benchmarks/state.py --entities 100000 --rounds 1

The entities are the persons of the engines' benchmark. Each kind of store is measured in a separate process:
microseconds of a read, a write and an update (read, write, its share of encoding the changelog); the growth of the
process's memory; bytes on disk. No broker, and no disk except RocksDB's. Needs RocksDB from the peers' environment,
which is created on the first run. Times are CPU times, including background threads.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import msgspec
from engines import PROGRAMS
from figures import Figure, report, terminal_table
from peer_tools import peers_python
from rich.console import Console
from session import RunFailedError, run_main, say

sys.path.insert(0, str(PROGRAMS))

from state_work import REPEATS, microseconds, track_of
from work import PersonTrack

ENCODED = 20_000
PROGRAM_S_MAX = 300
NEW_PUT_COST_US_MAX = 0.15
"""How much a bound may add to a put."""
STORES = ("memory", "memory_bounded", "rocksdb")


def arguments_from_command_line() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, nargs="+", default=[100_000, 1_000_000], metavar="N")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are taken (default 3)")
    return parser.parse_args()


class AsMap(msgspec.Struct):
    """A person with the names of its fields, in MessagePack or JSON."""

    latitude: float
    longitude: float
    at_s: float
    intervals: int
    mean_s: float
    variance: float


def encodings() -> dict[str, dict[str, float]]:
    """The bytes and microseconds of one person in each encoding; the written value also has the generation."""
    tracks = [track_of(number) for number in range(ENCODED)]
    maps = [AsMap(*track) for track in tracks]
    pack, text = msgspec.msgpack.encode, msgspec.json.encode
    used_us = 1_795_245_000_000_000
    values: dict[str, tuple[Any, list[Any], Any]] = {
        "messagepack_array": (
            pack,
            [(1, track) for track in tracks],
            msgspec.msgpack.Decoder(tuple[int, PersonTrack]).decode,
        ),
        "messagepack_array_bounded": (
            pack,
            [(1, track, used_us) for track in tracks],
            msgspec.msgpack.Decoder(tuple[int, PersonTrack, int]).decode,
        ),
        "messagepack_map": (pack, [(1, each) for each in maps], msgspec.msgpack.Decoder(tuple[int, AsMap]).decode),
        "json_array": (text, [(1, track) for track in tracks], msgspec.json.Decoder(tuple[int, PersonTrack]).decode),
        "json_map": (text, [(1, each) for each in maps], msgspec.json.Decoder(tuple[int, AsMap]).decode),
    }
    return {name: _encoding(*value) for name, value in values.items()}


def _encoding(encode: Any, values: list[Any], decode: Any) -> dict[str, float]:
    encoded: list[bytes] = []

    def encode_all() -> None:
        encoded[:] = [encode(each) for each in values]

    encode_us = min(microseconds(encode_all, ENCODED) for _ in range(REPEATS))
    decode_us = min(microseconds(lambda: [decode(each) for each in encoded], ENCODED) for _ in range(REPEATS))
    return {
        "bytes": sum(map(len, encoded)) / ENCODED,
        "encode_us": encode_us,
        "decode_us": decode_us,
    }


def run_store(store: str, entities: int) -> dict[str, float]:
    """Run a process with one store.

    Raises:
        RunFailedError: the process failed.
    """
    with tempfile.TemporaryDirectory(prefix="watchfloor-state-") as scratch:
        if store == "rocksdb":
            command = [str(peers_python()), str(PROGRAMS / "state_rocksdb.py"), str(entities), f"{scratch}/store"]
        else:
            bounded = "1" if store == "memory_bounded" else "0"
            command = [sys.executable, str(PROGRAMS / "state_memory.py"), str(entities), bounded]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_S_MAX, check=False)
        if done.returncode:
            raise RunFailedError(f"{store} with {entities:,} entities failed:\n{done.stderr[-2_000:]}")
        figures: dict[str, float] = json.loads(done.stdout)
        return figures | {"bytes_per_entity": figures["memory_mib"] * 2**20 / entities}


def medians(store: str, entities: int, rounds: int) -> dict[str, float]:
    """The median of each figure over `rounds` processes."""
    runs = []
    for number in range(1, rounds + 1):
        runs.append(run_store(store, entities))
        say(f"{store}, {entities:,} entities, round {number}: {runs[-1]['move_us']:.2f} us per update")
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print a table with a row for each name and a column for each figure."""
    cells = [
        (name, *(f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in figures.values()))
        for name, figures in rows.items()
    ]
    Console(width=120).print(terminal_table(title, ["", *next(iter(rows.values()))], cells, [""]))


def main() -> bool:
    """Run the benchmark and print its figures."""
    arguments = arguments_from_command_line()
    encoded = encodings()
    show(f"one entity's value in the changelog, mean of {ENCODED:,}", encoded)
    figures = [Figure(f"{name}_{what}", value) for name, row in encoded.items() for what, value in row.items()]
    for entities in arguments.entities:
        stores = {store: medians(store, entities, arguments.rounds) for store in STORES}
        show(f"{entities:,} entities", stores)
        for store, row in stores.items():
            figures += [Figure(f"{store}_{entities}_{what}", value) for what, value in row.items()]
        added_us = stores["memory_bounded"]["put_us"] - stores["memory"]["put_us"]
        figures.append(Figure(f"bound_adds_{entities}_put_us", added_us, NEW_PUT_COST_US_MAX))
    return report("state", figures)


if __name__ == "__main__":
    run_main(main)
