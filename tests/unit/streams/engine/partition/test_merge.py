"""Buffers are merged by commit order, as far as a topic that lags may still bring something earlier."""

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.filled_partition import entry, fill, lsns, next_batch, partition

from streams.engine.model import Entry
from streams.engine.partition.merge import take_before, take_ready


def test_caught_up_topics_are_merged_by_commit_order() -> None:
    of = partition()
    fill(of, 0, [1, 5, 9])
    fill(of, 1, [2, 6])
    fill(of, 2, [])
    assert lsns(next_batch(of)) == [1, 2, 5, 6, 9]


def test_a_lagging_topic_is_waited_for_where_it_may_bring_something_earlier() -> None:
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


def test_a_micro_batch_takes_so_many_of_a_topic_and_what_comes_before_them() -> None:
    of = partition()
    fill(of, 0, [1, 2, 5, 7, 9])
    fill(of, 1, [3, 6])
    fill(of, 2, [])
    batches = [lsns(of.next_batch(wait=True, records_max=3)) for _ in range(2)]
    assert batches == [[1, 2, 3, 5], [6, 7, 9]]


def test_records_without_an_order_are_taken_in_parts_too() -> None:
    """A hundred thousand tombstones have no LSN."""
    buffers = [deque(entry(0, 0, offset) for offset in range(10)), deque([entry(4, 1, 0)])]
    parts = [len(take_ready(buffers, [False, False], records_max=4)) for _ in range(4)]
    assert parts == [4, 4, 3, 0]


def test_a_topic_that_was_sent_again_does_not_stop_the_merge() -> None:
    buffers = [deque(entry(lsn, 0, offset) for offset, lsn in enumerate([8, 9, 1, 2, 3]))]
    taken = [take_ready(buffers, [False], records_max=3) for _ in range(5)]
    assert sum(map(len, taken)) == 5
    assert all(taken[:2])


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
        batch = of.next_batch(wait=True, records_max=data.draw(st.integers(1, 6)))
        if batch is not None:
            seen += lsns(batch)
            assert batch.late == 0
    while (batch := of.next_batch(wait=True, records_max=1)) is not None:
        seen += lsns(batch)
    assert seen == list(range(1, count + 1))


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
