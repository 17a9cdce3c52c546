"""Taking over: what an older owner left in the journal and the outputs, and which of it counts.

Also of streams/engine/log/log_tails.py and streams/engine/log/fencing.py.
"""

import asyncio
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.partition_topics import PartitionTopics, entry, output

from streams.engine.formats import JournalFence, PartitionPosition, encode_journal
from streams.engine.model import OutputRecord
from streams.engine.takeover.recovery import DamagedLogError


def test_a_late_output_behind_the_feeds_fence_is_no_micro_batch() -> None:
    topics = PartitionTopics()
    topics.recover()
    topics.recover()  # generation 2 has fenced generation 1 off
    topics.append("feed", output(entry(1, 0, 10)))
    partition = topics.recover()
    assert not partition.replay
    assert not partition.written.get("feed")


def test_a_late_output_without_a_fence_does_not_replace_the_journals_micro_batch() -> None:
    topics = PartitionTopics()
    good = entry(1, 0, 5, generation=2)
    topics.journal(JournalFence(1), JournalFence(2), good)
    topics.append("clean", output(entry(1, 0, 10)), output(entry(1, 0, 10), 1, first=False))
    partition = topics.recover()
    assert list(partition.replay) == [good]
    assert not partition.written.get("clean")


def test_late_outputs_of_later_micro_batches_keep_nothing_back_of_earlier_ones() -> None:
    topics = PartitionTopics()
    first, second = entry(1, 0, 5, generation=2), entry(2, 5, 9, generation=2)
    topics.journal(JournalFence(2), first, second)
    topics.append("clean", output(entry(2, 5, 9)))
    partition = topics.recover()
    assert list(partition.replay) == [first, second]
    assert partition.written["clean"] == {2: 0}, "the first one's outputs are still owed"


def test_an_output_that_was_faster_than_its_journal_entry_is_taken_up() -> None:
    topics = PartitionTopics()
    topics.journal(JournalFence(1), entry(1, 0, 5))
    topics.append("clean", output(entry(1, 0, 5)), output(entry(2, 5, 8)), output(entry(2, 5, 8), 1, first=False))
    partition = topics.recover()
    assert [each.spans["a"] for each in partition.replay] == [(0, 5), (5, 8)]
    assert partition.written["clean"] == {1: 0, 2: 1}


def test_an_output_that_leaves_a_gap_is_not_taken_up() -> None:
    topics = PartitionTopics()
    topics.journal(JournalFence(1), entry(1, 0, 5))
    topics.append("clean", output(entry(2, 6, 8)))
    assert len(topics.recover().replay) == 1


def test_an_idle_owner_notices_late_writes() -> None:
    topics = PartitionTopics()
    partition = topics.recover()
    partition.unsaved = False
    topics.append(
        "state",
        OutputRecord(b"@position", msgspec.msgpack.encode((0, PartitionPosition(0, {}, 0, {}, (0, 0), {}))), ()),
    )
    assert asyncio.run(topics.recovery.verify_ownership(partition))
    assert partition.unsaved, "its own position has to be the last one again"


def test_an_owner_learns_without_writing_that_it_was_fenced_off() -> None:
    topics = PartitionTopics()
    partition = topics.recover()
    assert asyncio.run(topics.recovery.verify_ownership(partition))
    topics.recover()
    assert not asyncio.run(topics.recovery.verify_ownership(partition))


@settings(max_examples=200, deadline=None)
@given(late=st.lists(st.tuples(st.sampled_from(["feed", "clean"]), st.integers(1, 6), st.integers(0, 30)), max_size=8))
def test_whatever_comes_late_the_journal_stays_what_it_was(late: list[tuple[str, int, int]]) -> None:
    topics = PartitionTopics()
    topics.recover()
    topics.recover()
    good = [entry(number, 5 * number - 5, 5 * number, generation=2) for number in (1, 2, 3)]
    topics.journal(*good)
    for topic, number, start in late:
        topics.append(topic, output(entry(number, start, start + 5)))
    partition = topics.recover()
    replay = list(partition.replay)
    assert [json.loads(encode_journal(each)) for each in replay[:3]] == [
        json.loads(encode_journal(each)) for each in good
    ]
    ends = [span for each in replay for span in each.spans["a"]]
    assert ends == sorted(ends), "whatever was taken up continues without a gap"


def test_a_hole_in_the_journal_stops_the_worker() -> None:
    topics = PartitionTopics()
    topics.journal(entry(1, 0, 2), entry(3, 4, 6))
    with pytest.raises(DamagedLogError, match="lacks micro-batch 2"):
        topics.recover()
