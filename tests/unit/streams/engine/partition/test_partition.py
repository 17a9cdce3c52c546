"""Merge, partition and tables: the pure part of the engine.

Also of streams/engine/model.py, streams/engine/partition/merge.py, streams/engine/partition/micro_batch.py and
streams/engine/partition/source_progress.py.
"""

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import Record
from support.engine_life import topics_of

from streams.engine.formats import JournalEntry
from streams.engine.model import Entry
from streams.engine.partition.merge import take_before, take_ready
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState, TableSpec

TOPICS = topics_of("a", "b", "c", outputs=("clean",))
COUNTERS = (TableSpec("count", int, int),)
GRACE_MS = 250


def entry(lsn: int, source_index: int, offset: int, identity: str = "") -> Entry:
    return Entry(lsn, lsn, source_index, offset, identity or f"{source_index}:{offset}", Record(offset))


def partition() -> Partition:
    made = Partition(0, TOPICS.sources, PartitionState(COUNTERS), lambda each: str(each.change), tick_grace_ms=GRACE_MS)
    made.wake_at_ms = None
    return made


def next_batch(of: Partition, *, wait: bool = True) -> MicroBatch | None:
    return of.next_batch(wait=wait)


def fill(
    of: Partition, source_index: int, lsns: list[int], *, start: int = 0, more: int = 0, asked_ms: int = 0
) -> None:
    new = [entry(lsn, source_index, start + index) for index, lsn in enumerate(lsns)]
    end = start + len(lsns)
    of.add(source_index, new, end, end + more, 100 * len(new), asked_ms)


def lsns(batch: MicroBatch | None) -> list[int]:
    assert batch is not None
    return [each.lsn for each in batch.entries]


def test_caught_up_topics_are_merged_by_commit_order() -> None:
    of = partition()
    fill(of, 0, [1, 5, 9])
    fill(of, 1, [2, 6])
    fill(of, 2, [])
    assert lsns(next_batch(of)) == [1, 2, 5, 6, 9]


def test_a_lagging_topic_is_waited_for_as_far_as_it_could_still_bring_something_earlier() -> None:
    of = partition()
    fill(of, 0, [1, 5, 9])
    fill(of, 1, [2, 6], more=1)
    fill(of, 2, [])
    assert lsns(next_batch(of)) == [1, 2, 5, 6]
    fill(of, 1, [8], start=2)
    assert lsns(next_batch(of)) == [8, 9]


def test_a_topic_that_was_not_fetched_yet_is_waited_for_but_not_for_ever() -> None:
    of = partition()
    fill(of, 0, [1])
    fill(of, 1, [])
    assert next_batch(of) is None
    assert lsns(next_batch(of, wait=False)) == [1]


def test_a_late_record_is_counted_and_processed() -> None:
    of = partition()
    for source_index, numbers in ((0, [9]), (1, []), (2, [])):
        fill(of, source_index, numbers)
    next_batch(of)
    fill(of, 1, [5])
    batch = next_batch(of)
    assert lsns(batch) == [5]
    assert batch is not None
    assert batch.late == 1


def test_what_a_restarted_connect_sends_again_is_dropped() -> None:
    of = partition()
    for source_index in range(3):
        fill(of, source_index, [1, 2, 3] if source_index == 0 else [])
    next_batch(of)
    of.add(0, [entry(2, 0, 3, "0:1"), entry(3, 0, 4, "0:2"), entry(4, 0, 5)], 6, 6, 1)
    batch = next_batch(of)
    assert lsns(batch) == [4]
    assert batch is not None
    assert (batch.repeats, batch.spans) == (2, {"a": (3, 6)})


def test_rows_of_one_wal_record_are_told_apart_by_their_identity() -> None:
    of = partition()
    for source_index in range(3):
        of.add(
            source_index,
            [entry(7, 0, 0, "x"), entry(7, 0, 1, "y"), entry(7, 0, 2, "x")] if source_index == 0 else [],
            3,
            3,
            1,
        )
    batch = next_batch(of)
    assert batch is not None
    assert [each.change for each in batch.entries] == ["x", "y"]


def test_a_snapshot_of_another_database_begins_a_new_history() -> None:
    of = partition()
    for source_index in range(3):
        fill(of, source_index, [900, 950] if source_index == 0 else [])
    next_batch(of)
    learn_only = Entry(40, 0, 0, 2, "learn_only", Record(2), 40)
    of.add(0, [learn_only, entry(41, 0, 3), entry(42, 0, 4)], 5, 5, 1)
    batch = next_batch(of)
    assert batch is not None
    assert (batch.new_history, batch.repeats, batch.late, len(batch.entries)) == (True, 0, 1, 3)


def test_a_snapshot_row_stands_where_its_snapshot_was_taken() -> None:
    of = partition()
    learn_only = Entry(40, 0, 1, 0, "learn_only", Record(0), 40)
    of.add(0, [entry(39, 0, 0), entry(41, 0, 1)], 2, 2, 1)
    of.add(1, [learn_only], 1, 1, 1)
    fill(of, 2, [])
    batch = next_batch(of)
    assert batch is not None
    assert [each.change for each in batch.entries] == ["0:0", "learn_only", "0:1"]
    fill(of, 2, [38])
    late = next_batch(of)
    assert late is not None
    assert (late.late, late.new_history) == (1, False)


def test_a_row_from_before_a_snapshot_that_was_processed_is_late() -> None:
    of = partition()
    of.add(1, [Entry(40, 0, 1, 0, "learn_only", Record(0), 40)], 1, 1, 1)
    for source_index in (0, 2):
        fill(of, source_index, [])
    next_batch(of)
    fill(of, 2, [39])
    late = next_batch(of)
    assert late is not None
    assert (late.late, late.new_history) == (1, False)


def test_a_full_buffer_that_ends_with_repeats_is_not_waited_for() -> None:
    of = partition()
    fill(of, 0, [7, 5], more=1)
    for source_index in (1, 2):
        fill(of, source_index, [])
    assert lsns(next_batch(of)) == [5, 7]


def test_a_later_snapshot_of_the_same_database_changes_nothing() -> None:
    of = partition()
    for source_index in range(3):
        fill(of, source_index, [900, 950] if source_index == 0 else [])
    next_batch(of)
    learn_only = Entry(960, 0, 0, 2, "learn_only", Record(2), 960)
    of.add(0, [learn_only, entry(950, 0, 3, "0:1"), entry(961, 0, 4)], 5, 5, 1)
    batch = next_batch(of)
    assert batch is not None
    assert (batch.new_history, batch.repeats) == (False, 1)


def test_a_tick_stays_behind_the_clock_by_the_grace() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [], asked_ms=1_249)
    assert next_batch(of) is None
    for source_index in range(3):
        fill(of, source_index, [], asked_ms=1_251)
    batch = next_batch(of)
    assert batch is not None
    assert batch.tick_ms == 1_001


def test_time_does_not_pass_while_one_topic_does_not_answer() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [], asked_ms=100)
    for source_index in range(2):
        fill(of, source_index, [], asked_ms=9_000)
    assert next_batch(of) is None


def test_a_timer_waits_until_the_records_before_it_are_processed() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [1] if source_index == 0 else [], more=source_index == 0, asked_ms=5_000)
    batch = next_batch(of)
    assert batch is not None
    assert batch.tick_ms is None
    fill(of, 0, [2], start=1, asked_ms=5_000)
    batch = next_batch(of)
    assert batch is not None
    assert (lsns(batch), batch.tick_ms) == ([2], 4_750)


def test_while_records_wait_the_log_itself_is_the_clock() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [1] if source_index == 0 else [], more=9 * (source_index == 0), asked_ms=5_000)
    batch = next_batch(of)
    assert batch is not None
    batch.wake_at_ms, batch.log_ms = 1_000, 1_300
    of.finish(batch)
    batch = next_batch(of)
    assert batch is not None
    assert (batch.entries, batch.tick_ms) == ([], 1_050)


def test_what_a_tick_has_fired_is_known_to_the_next_micro_batch_and_to_the_next_owner() -> None:
    of = partition()
    of.replay.extend([JournalEntry(1, 1, {}, 5_000), JournalEntry(1, 2, {}, 6_000)])
    first = next_batch(of)
    assert first is not None
    first.fired_ms = 4_000
    of.finish(first)
    of.ends = dict.fromkeys(TOPICS.all(), 0)
    successor = partition()
    successor.resume_at(of.position(TOPICS))
    second = next_batch(of)
    assert second is not None
    assert (first.ticked_ms, second.ticked_ms, successor.ticked_ms) == (0, 4_000, 4_000)


def test_journalled_micro_batches_are_run_again_exactly() -> None:
    of = partition()
    of.replay.extend([JournalEntry(1, 1, {"a": (0, 1), "b": (0, 2)}, 77), JournalEntry(1, 2, {"a": (1, 3)})])
    fill(of, 0, [1, 5, 9])
    assert next_batch(of) is None
    fill(of, 1, [2, 6])
    fill(of, 2, [])
    first, second = next_batch(of), next_batch(of)
    assert (lsns(first), lsns(second)) == ([1, 2, 6], [5, 9])
    assert first is not None
    assert (first.number, first.tick_ms) == (1, 77)
    assert not of.replay


def test_a_journalled_micro_batch_larger_than_the_buffer_is_still_fetched() -> None:
    of = partition()
    of.replay.append(JournalEntry(1, 1, {"a": (0, 3)}))
    assert of.wants(0, 100)
    fill(of, 0, [1, 2], more=1)
    assert of.buffered_bytes[0] >= 100
    assert of.wants(0, 100)
    fill(of, 0, [3], start=2)
    assert not of.wants(0, 100)


@settings(deadline=None)
@given(st.data())
def test_however_fetches_come_the_merge_is_the_commit_order(data: Any) -> None:
    count = data.draw(st.integers(0, 40))
    indexes = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    log: list[list[int]] = [[], [], []]
    for lsn, source_index in enumerate(indexes, start=1):
        log[source_index].append(lsn)
    of, seen = partition(), []
    done = [0, 0, 0]
    while any(done[source_index] < len(log[source_index]) for source_index in range(3)):
        for source_index in range(3):
            take = data.draw(st.integers(0, 5))
            part = log[source_index][done[source_index] : done[source_index] + take]
            fill(
                of,
                source_index,
                part,
                start=done[source_index],
                more=len(log[source_index]) - done[source_index] - len(part),
            )
            done[source_index] += len(part)
        batch = next_batch(of)
        if batch is not None:
            seen += lsns(batch)
            assert batch.late == 0
    assert seen == list(range(1, count + 1))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9) | st.none()), max_size=60))
def test_a_table_survives_its_changelog(operations: list[tuple[int, int | None]]) -> None:
    state, restored = PartitionState(COUNTERS), PartitionState(COUNTERS)
    for index, (key, value) in enumerate(operations):
        if value is None:
            state["count"].delete(key)
        else:
            state["count"].put(key, value)
        if index % 7 == 0:
            for changed, stored in state.take_changes(3):
                restored.load(changed, stored)
    for changed, stored in state.take_changes(3):
        restored.load(changed, stored)
    assert restored["count"].data == state["count"].data
    assert state.dirty_count == 0


def test_a_table_that_no_longer_exists_is_an_error_of_its_own() -> None:
    with pytest.raises(KeyError):
        PartitionState(COUNTERS).load(b"gone:1", b"")


def test_nothing_is_taken_from_empty_buffers() -> None:
    empty: list[deque[Entry]] = [deque(), deque()]
    assert take_ready(empty, [True, False]) == []
    assert take_before(empty, [5, 5]) == []


def test_spans_join_without_a_gap_where_offsets_have_no_record() -> None:
    """Markers of the source's transactions, or what retention deleted: recovery takes a gap for a foreign output."""
    of = partition()
    of.add(0, [entry(1, 0, 0), entry(2, 0, 1)], 3, 3, 200)  # offset 2 is a marker
    fill(of, 1, [])
    fill(of, 2, [])
    first = next_batch(of)
    assert of.lag_records == 0
    of.add(0, [], 4, 4, 0)  # a fetch that brings a marker only
    assert of.lag_records == 0
    of.add(0, [entry(5, 0, 4)], 5, 5, 100)
    assert of.lag_records == 3
    second = next_batch(of)
    assert first is not None
    assert second is not None
    assert first.spans["a"][1] == second.spans["a"][0]
    assert second.spans["a"][1] == 5
