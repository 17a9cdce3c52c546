"""Persons in the engine's tables: `state_memory.py <persons> <bounded: 0 or 1>`. Prints its figures as JSON."""

import sys

from state_work import accesses, key_of, measure, mib, microseconds, print_figures, resident_bytes, track_of

from streams.engine.state.partition_state import PartitionState, TableSpec
from streams.gc_tuning import calm_garbage_collector


def spec_of(persons: int, *, bounded: bool) -> TableSpec:
    """The table, without bounds or with bounds that all persons fit into."""
    if not bounded:
        return TableSpec("person", tuple[int, int], tuple)
    return TableSpec("person", tuple[int, int], tuple, keys_per_group_max=persons, expire_after_s=10**7)


def filled(persons: int, spec: TableSpec) -> list[tuple[bytes, bytes | None]]:
    """The changelog of all persons."""
    state = PartitionState((spec,))
    state.log_time.us = 1_000_000
    for number in range(persons):
        state["person"].put(key_of(number), track_of(number))
    return list(state.take_changes(1))


def main() -> None:
    """Measure filling, reading, writing and both; then loading a changelog as a recovery does."""
    persons = int(sys.argv[1])
    calm_garbage_collector()
    spec = spec_of(persons, bounded=sys.argv[2] == "1")
    before_bytes, state = resident_bytes(), PartitionState((spec,))
    state.log_time.us = 1_000_000
    table = state["person"]
    for number in range(persons):
        state.log_time.us += 1_000  # each with its own time, like records
        table.put(key_of(number), track_of(number))
    memory_bytes = resident_bytes() - before_bytes
    list(state.take_changes(1))

    def write_changelog() -> None:
        state.log_time.us += 1_000_000
        list(state.take_changes(1))

    figures = measure(table.get, table.put, write_changelog, accesses(persons))
    log, again = filled(persons, spec), PartitionState((spec,))

    def load() -> None:
        for key, value in log:
            again.load(key, value)

    print_figures(figures | {"load_us": microseconds(load, persons), "memory_mib": mib(memory_bytes), "disk_mib": 0.0})


if __name__ == "__main__":
    main()
