"""A changelog that older owners wrote to late: what they displaced is written again, what they deleted stays."""

import asyncio

import msgspec
import pytest
from support.partition_topics import PartitionTopics, entry, output

from streams.engine.formats import JournalFence, PartitionPosition
from streams.engine.log.changelog import encode_position
from streams.engine.model import OutputRecord
from streams.engine.takeover.recovery import DamagedLogError


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


def test_what_a_late_write_would_displace_under_compaction_is_written_again() -> None:
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


def test_keys_without_the_position_that_they_belong_to_stop_the_worker() -> None:
    topics = PartitionTopics()
    topics.state(1, "count:1", 7)
    with pytest.raises(DamagedLogError, match="has keys, but not the position"):
        topics.recover()
