"""Taking over and giving back: what an older owner left behind, and what nobody may write meanwhile.

Also of streams/engine/log/changelog.py, streams/engine/log/fencing.py, streams/engine/log/log_tails.py,
streams/engine/takeover/ownership.py and streams/engine/takeover/progress.py.
"""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.partition_topics import TOPICS, PartitionTopics

from streams.engine.formats import JournalEntry, JournalFence, PartitionPosition, encode_journal
from streams.engine.log.changelog import encode_position
from streams.engine.model import OutputRecord
from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState
from streams.engine.takeover.ownership import Ownership
from streams.engine.takeover.recovery import DamagedLogError
from streams.metrics import WorkerMetrics


def entry(batch: int, start: int, end: int, generation: int = 1) -> JournalEntry:
    return JournalEntry(generation, batch, {"a": (start, end)})


def output(made_from: JournalEntry, index: int = 0, *, first: bool = True) -> OutputRecord:
    headers = [("generation", b"%d" % made_from.generation), ("batch", b"%d/%d" % (made_from.batch, index))]
    return OutputRecord(b"k", b"v", [*headers, ("journal", encode_journal(made_from))] if first else headers)


def test_a_late_output_behind_the_feeds_fence_is_no_micro_batch() -> None:
    topics = PartitionTopics()
    topics.recover()
    topics.recover()  # generation 2 has fenced generation 1 off
    topics.append("feed", output(entry(1, 0, 10)))
    partition = topics.recover()
    assert not partition.replay
    assert not partition.written.get("feed")


def test_a_late_output_in_a_topic_without_fences_does_not_retopics_the_journals_micro_batch() -> None:
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


def test_behind_a_position_only_its_own_generation_counts() -> None:
    topics = PartitionTopics()
    topics.journal(JournalFence(1), JournalFence(2))
    topics.append("feed", OutputRecord(None, b"fence", [("generation", b"2")]))
    key, value = encode_position(2, PartitionPosition(4, {"a": 20}, 2, {"feed": 1}, (0, 0), {}))
    topics.append("state", OutputRecord(b"@fence:2", msgspec.msgpack.encode((2, None)), ()))
    topics.append("state", OutputRecord(key, value, ()))
    topics.append("feed", output(entry(5, 20, 30)))  # generation 1 wakes up; its fence lies before the position
    partition = topics.recover()
    assert not partition.replay
    assert not partition.written.get("feed")


def test_what_a_late_write_would_distopics_under_compaction_is_written_again() -> None:
    topics = PartitionTopics()
    topics.state(1, "@fence:1", None)
    topics.state(1, "count:7", 3)
    topics.state(2, "@fence:2", None)
    topics.position(2)
    topics.state(2, "count:7", 5)
    topics.state(1, "count:7", 4)
    partition = topics.recover()
    assert partition.unsaved
    changes = dict(partition.state.take_changes(partition.generation))
    assert [msgspec.msgpack.decode(value or b"") for value in changes.values()] == [[3, 5]]


def test_a_deleted_key_stays_deleted_and_leaves_the_changelog() -> None:
    topics = PartitionTopics()
    topics.state(1, "@fence:1", None)
    topics.state(1, "count:7", 3)
    topics.state(1, "count:8", 1)
    topics.position(1)
    topics.tombstone(1, "count:7")
    partition = topics.recover()
    assert partition.state["count"].data == {8: 1}
    topics.log.compact("state", 0, tombstones=True)
    assert not [record for record in topics.log.topics["state", 0] if record.key == b"count:7"]
    assert topics.recover().state["count"].data == {8: 1}


def test_a_late_tombstone_deletes_nothing_and_is_written_over() -> None:
    topics = PartitionTopics()
    topics.state(2, "@fence:2", None)
    topics.position(2)
    topics.state(2, "count:7", 5)
    topics.tombstone(1, "count:7")
    partition = topics.recover()
    assert partition.unsaved
    changes = [msgspec.msgpack.decode(value or b"") for _, value in partition.state.take_changes(partition.generation)]
    assert changes == [[3, 5]]


def test_a_late_value_of_a_deleted_key_is_deleted_again() -> None:
    topics = PartitionTopics()
    topics.state(2, "@fence:2", None)
    topics.tombstone(2, "count:7")
    topics.state(1, "count:7", 4)
    partition = topics.recover()
    assert dict(partition.state.take_changes(partition.generation)) == {b"count:7": None}


def test_an_owner_meets_a_tombstone_of_a_newer_one() -> None:
    topics = PartitionTopics()
    partition = topics.recover()
    topics.tombstone(partition.generation + 1, "count:7")
    assert not asyncio.run(topics.recovery.verify_ownership(partition))


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


def ownership(topics: PartitionTopics) -> Ownership:
    return Ownership(topics.recovery, WorkerMetrics(CollectorRegistry()), lambda: 0.0, reclaim_after_s=2.0)


def test_while_the_group_decides_nothing_is_owned_and_afterwards_the_same_goes_on() -> None:
    async def run() -> None:
        owner = ownership(PartitionTopics())
        owner.assign({0})
        await owner.take_over()
        before = owner.partitions[0]
        revoked = asyncio.create_task(owner.suspend())
        await asyncio.sleep(0)
        assert owner.changed
        assert not revoked.done(), "the group must not go on before the cycle has settled"
        await owner.take_over()
        await asyncio.wait_for(revoked, 1)
        assert not owner.partitions
        assert not owner.settled
        owner.assign({0})
        await owner.take_over()
        assert owner.partitions[0] is before, "no second recovery"
        assert owner.settled

    asyncio.run(run())


def test_while_a_partition_is_taken_over_the_worker_is_not_ready() -> None:
    async def run() -> None:
        topics = PartitionTopics()
        owner = ownership(topics)
        owner.assign({0})
        await owner.take_over()
        recover, seen = topics.recovery.recover, []

        async def watched(number: int) -> Partition:
            seen.append(owner.settled)
            return await recover(number)

        topics.recovery.recover = watched  # type: ignore[method-assign]
        owner.assign({0, 1})
        await owner.take_over()
        assert seen == [False]
        assert owner.settled

    asyncio.run(run())


def test_what_a_rival_fenced_is_recovered_at_once_when_the_group_gives_it_back() -> None:
    async def run() -> None:
        owner = ownership(PartitionTopics())
        owner.assign({0})
        await owner.take_over()
        before = owner.partitions[0]
        before.fenced = True  # met by the last write before the group's decision was heard
        owner.assign({0})
        await owner.take_over()
        assert owner.partitions[0] is not before, "given up again, it would lie idle for two sessions"

    asyncio.run(run())


def test_a_partition_that_somebody_had_in_between_is_recovered_anew() -> None:
    async def run() -> None:
        topics = PartitionTopics()
        owner = ownership(topics)
        owner.assign({0})
        await owner.take_over()
        before = owner.partitions[0]
        await topics.recovery.recover(0)
        owner.assign({0})
        await owner.take_over()
        assert owner.partitions[0] is not before
        assert owner.partitions[0].generation == before.generation + 2

    asyncio.run(run())


def test_a_worker_without_partitions_does_not_hold_the_group_up() -> None:
    async def run() -> None:
        await asyncio.wait_for(ownership(PartitionTopics()).suspend(), 0.5)

    asyncio.run(run())


def test_a_worker_that_writes_nothing_more_does_not_hold_the_group_up() -> None:
    async def run() -> None:
        owner = ownership(PartitionTopics())
        owner.assign({0})
        await owner.take_over()
        revoked = asyncio.create_task(owner.suspend())
        await asyncio.sleep(0)
        assert not revoked.done(), "its last snapshot may be on its way"
        owner.end()
        await asyncio.wait_for(revoked, 0.5)
        await asyncio.wait_for(owner.suspend(), 0.5)

    asyncio.run(run())


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


def test_partitions_are_recovered_beside_each_other_and_one_failure_is_told_when_all_have_ended() -> None:
    ended: list[int] = []

    class Rivals:
        """Recoveries that need each other to have begun."""

        def __init__(self) -> None:
            self._together = asyncio.Barrier(3)

        async def recover(self, number: int) -> Any:
            await self._together.wait()
            ended.append(number)
            if number == 1:
                raise KafkaConnectionError
            return Partition(number, TOPICS.sources, PartitionState(()), lambda _entry: "")

    async def run() -> Ownership:
        rivals: Any = Rivals()
        owner = Ownership(rivals, WorkerMetrics(CollectorRegistry()), lambda: 0.0, reclaim_after_s=2.0, at_once=3)
        owner.assign({0, 1, 2, 3})
        with pytest.raises(KafkaConnectionError):
            await asyncio.wait_for(owner.take_over(), 5)
        return owner

    owner = asyncio.run(run())
    assert sorted(ended) == [0, 1, 2]
    assert sorted(owner.partitions) == [0, 2]


def test_keys_without_the_position_that_they_belong_to_stop_the_worker() -> None:
    topics = PartitionTopics()
    topics.state(1, "count:1", 7)
    with pytest.raises(DamagedLogError, match="has keys, but not the position"):
        topics.recover()


def test_a_hole_in_the_journal_stops_the_worker() -> None:
    topics = PartitionTopics()
    topics.journal(entry(1, 0, 2), entry(3, 4, 6))
    with pytest.raises(DamagedLogError, match="lacks micro-batch 2"):
        topics.recover()
