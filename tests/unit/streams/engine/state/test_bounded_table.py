"""Bounded tables: what is evicted, that nobody else's is, and that nothing but the records decides it.

Also of streams/engine/state/last_use.py, streams/engine/state/partition_state.py and streams/engine/state/table.py.
"""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plain_table import SECOND_US, Key, PlainTable

from streams.engine.state.bounded_table import BOUND, EXPIRED, BoundedTable
from streams.engine.state.partition_state import PartitionState, TableSpec

SPEC = TableSpec("seen", tuple[int, int], int, keys_per_group_max=3, expire_after_s=5, use_interval_s=2)
UNBOUNDED = TableSpec("seen", tuple[int, int], int)
Operation = tuple[str, Key, int]

operations = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "get", "get", "delete"]),
        st.tuples(st.integers(1, 2), st.integers(1, 6)),
        st.integers(-1_900_000, 3_000_000),  # a record may come late, by less than the interval of uses
    ),
    max_size=80,
)


def table_of(state: PartitionState) -> BoundedTable[Key, int]:
    table = state["seen"]
    assert isinstance(table, BoundedTable)
    return table


def state_at(now_s: float, spec: TableSpec = SPEC) -> PartitionState:
    state = PartitionState((spec,))
    state.log_time.us = int(now_s * SECOND_US)
    return state


def recovered(state: PartitionState, log: dict[bytes, bytes | None], shuffle: random.Random) -> PartitionState:
    """The state that a new owner would load from a compacted changelog, whose keys may be in any order."""
    log |= dict(state.take_changes(1))
    again = PartitionState((SPEC,))
    records = list(log.items())
    shuffle.shuffle(records)
    for key, value in records:
        again.load(key, value)
    for key in shuffle.sample(sorted(log), len(log) // 2):
        again.touch(key)
    return again


def run(steps: list[Operation], *, disturb: random.Random | None) -> tuple[list[Any], dict[Key, int]]:
    """What every get returned, and what can be seen in the end; with crashes and sweeps at random, or none."""
    state, log, now_us, latest_us = PartitionState((SPEC,)), dict[bytes, bytes | None](), 10 * SECOND_US, 0
    got = []
    for index, (what, key, step_us) in enumerate(steps):
        if disturb is not None:
            if disturb.random() < 0.3:
                state = recovered(state, log, disturb)
            for _ in range(disturb.randrange(3)):
                table_of(state).sweep(disturb.randrange(1, 5))
        now_us = max(now_us, latest_us) + step_us
        latest_us = max(latest_us, now_us)
        state.log_time.us = now_us
        if what == "put":
            state["seen"].put(key, index)
        elif what == "get":
            got.append(state["seen"].get(key))
        else:
            state["seen"].delete(key)
    state.log_time.us = latest_us
    return got, {key: value for key in list(state["seen"].data) if (value := state["seen"].get(key)) is not None}


def plain(steps: list[Operation]) -> tuple[list[Any], dict[Key, int]]:
    table, now_us, latest_us, got = PlainTable(SPEC), 10 * SECOND_US, 0, []
    for index, (what, key, step_us) in enumerate(steps):
        now_us = max(now_us, latest_us) + step_us
        latest_us = max(latest_us, now_us)
        if what == "put":
            table.put(key, index, now_us)
        elif what == "get":
            got.append(table.get(key, now_us))
        else:
            table.delete(key)
    return got, table.seen(latest_us)


@settings(max_examples=400, deadline=None)
@given(operations)
def test_a_bounded_table_is_the_plain_one(steps: list[Operation]) -> None:
    assert run(steps, disturb=None) == plain(steps)


@settings(max_examples=400, deadline=None)
@given(operations, st.integers(0, 10_000))
def test_neither_a_crash_nor_compaction_nor_a_sweep_changes_what_is_seen(steps: list[Operation], seed: int) -> None:
    assert run(steps, disturb=random.Random(seed)) == plain(steps)


@given(operations)
def test_the_bound_holds_for_any_input(steps: list[Operation]) -> None:
    state = state_at(10)
    for what, key, step_us in steps:
        state.log_time.us += step_us
        getattr(state["seen"], what)(*((key, 0) if what == "put" else (key,)))
        for tenant in (1, 2):
            assert sum(key[0] == tenant for key in state["seen"].data) <= 3


@settings(deadline=None)
@given(operations, st.lists(st.integers(1, 1_000), max_size=50))
def test_one_tenants_flood_evicts_nothing_of_another(steps: list[Operation], flood: list[int]) -> None:
    calm, flooded, draws = state_at(10), state_at(10), random.Random(len(flood))
    waiting = list(flood)
    for what, key, step_us in steps:
        for state in (calm, flooded):
            state.log_time.us += step_us
        while waiting and draws.random() < 0.7:
            flooded["seen"].put((3, waiting.pop()), 0)
        flooded.sweep()
        arguments = (key, 0) if what == "put" else (key,)
        assert getattr(calm["seen"], what)(*arguments) == getattr(flooded["seen"], what)(*arguments)


def test_the_key_that_was_not_used_for_longest_goes_first_and_reading_is_use() -> None:
    state = state_at(10)
    for number in (1, 2, 3):
        state["seen"].put((1, number), number)
    state.log_time.us += 2 * SECOND_US
    assert state["seen"].get((1, 1)) == 1
    state["seen"].put((1, 4), 4)
    assert sorted(state["seen"].data) == [(1, 1), (1, 3), (1, 4)]
    assert table_of(state).evicted == {(1, BOUND): 1}


def test_a_record_that_comes_late_makes_no_key_older() -> None:
    state = state_at(10)
    for step_us, numbers in ((0, (1, 2, 3)), (5, (1,)), (5, (2, 3)), (-SECOND_US, (2,))):
        state.log_time.us += step_us
        for number in numbers:
            state["seen"].put((1, number), number)
    state = recovered(state, {}, random.Random(1))
    state["seen"].put((1, 4), 4)
    assert sorted(state["seen"].data) == [(1, 2), (1, 3), (1, 4)]


def test_reads_change_nothing_within_the_interval_and_once_after_it() -> None:
    state = state_at(10)
    state["seen"].put((1, 1), 7)
    list(state.take_changes(1))
    state.log_time.us += 2 * SECOND_US - 1
    state["seen"].get((1, 1))
    assert state.dirty_count == 0
    state.log_time.us += 1
    for _ in range(5):
        state["seen"].get((1, 1))
    assert [msgspec.msgpack.decode(value or b"") for _, value in state.take_changes(1)] == [[1, 7, 12 * SECOND_US]]


@pytest.mark.parametrize(("after_s", "kept"), [(5, True), (6.999999, True), (7, False)])
def test_an_unused_key_expires_by_log_time_whether_swept_or_not(after_s: float, kept: bool) -> None:
    for swept in (False, True):
        state = state_at(10)
        state["seen"].put((1, 1), 7)
        state.log_time.us += int(after_s * SECOND_US)
        if swept:
            state.sweep()
        assert (state["seen"].get((1, 1)) == 7) is kept


def test_what_nobody_reads_any_more_leaves_memory_and_changelog() -> None:
    state = state_at(10)
    for number in range(1, 4):
        state["seen"].put((number, 1), 7)
    list(state.take_changes(1))
    state.log_time.us += 9 * SECOND_US
    state.sweep()
    assert len(state["seen"]) == 0
    assert table_of(state).evicted == {(tenant, EXPIRED): 1 for tenant in (1, 2, 3)}
    assert {value for _, value in state.take_changes(1)} == {None}


def test_a_sweep_takes_no_more_steps_than_it_is_given() -> None:
    state = state_at(10)
    for number in range(3):
        state["seen"].put((1, number), 7)
    state.log_time.us += 9 * SECOND_US
    sizes = []
    for _ in range(10):
        table_of(state).sweep(1)
        sizes.append(len(state["seen"]))
    assert sizes[0] == 2
    assert sizes[-1] == 0


def test_a_key_that_comes_and_goes_leaves_no_trail() -> None:
    state = state_at(10)
    for _ in range(1_000):
        state["seen"].put((1, 1), 7)
        state["seen"].delete((1, 1))
    assert len(table_of(state)._order(1)._heap) < 100


def test_a_changelog_from_before_the_bounds_is_loaded_and_its_keys_get_a_whole_term() -> None:
    old = PartitionState((UNBOUNDED,))
    for tenant in (1, 2):
        old["seen"].put((tenant, 1), 7)
    state = state_at(1_000)
    for key, value in old.take_changes(1):
        state.load(key, value)
    state.load(b"seen:[1,9]", msgspec.msgpack.encode((1, None)))
    assert state["seen"].get((1, 1)) == 7
    state.sweep()
    assert len(state["seen"]) == 2
    state.log_time.us += 9 * SECOND_US
    state.sweep()
    assert len(state["seen"]) == 0


def test_a_changelog_with_bounds_is_loaded_without_them() -> None:
    bounded, state = state_at(10), PartitionState((UNBOUNDED,))
    bounded["seen"].put((1, 1), 7)
    for key, value in bounded.take_changes(1):
        state.load(key, value)
    assert state["seen"].data == {(1, 1): 7}


def test_a_lower_bound_takes_hold_with_the_tenants_next_key() -> None:
    before, state = state_at(10, UNBOUNDED), state_at(10)
    for number in range(10):
        before["seen"].put((1, number), 7)
    for key, value in before.take_changes(1):
        state.load(key, value)
    state["seen"].put((1, 99), 7)
    assert len(state["seen"]) == 3


def test_the_encoded_size_follows_what_is_written_and_deleted() -> None:
    state = state_at(10, UNBOUNDED)
    for number in range(10, 60):
        state["seen"].put((1, number), 7)
    written = sum(len(key) + len(value or b"") for key, value in state.take_changes(1))
    assert state["seen"].encoded_bytes == written
    for number in range(10, 35):
        state["seen"].delete((1, number))
    list(state.take_changes(1))
    assert state["seen"].encoded_bytes == written // 2
