"""What it means when another writer's records stand between ours, and what to do about it.

Every partition has one owner, so an end offset or an acknowledged offset higher than the expected one tells
of either a newer owner (its fence is there: we are the one who was paused) or of late writes of an older one.
"""

import contextlib
from enum import Enum, auto

import msgspec
from aiokafka.structs import TopicPartition

from streams.engine.kafka.appender import GENERATION_HEADER
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.log.changelog import FENCE_KEY, POSITION_KEY, state_generation
from streams.engine.model import EngineTopics, RawRecord, decode_journal
from streams.engine.partition.partition import Partition


class Verdict(Enum):
    """Who wrote between our records."""

    FENCED = auto()
    """A newer generation has taken the partition over."""
    LATE_WRITES = auto()
    """An older generation wrote after our fence; readers skip it."""


async def judge_intruders(
    fetcher: Fetcher, partition: Partition, topic_partition: TopicPartition, start: int, end: int, topics: EngineTopics
) -> Verdict:
    """Look at the records in [start, end) of a topic that are not ours.

    Late writes to the changelog are made good: compaction would keep the late record of a key and forget
    ours, so the next snapshot writes those keys, and the position, again.
    """
    keys: list[bytes] = []
    async for record in fetcher.read(topic_partition, start, end):
        if _generation(record, topic_partition.topic, topics) > partition.generation:
            return Verdict.FENCED
        if topic_partition.topic == topics.state and record.key is not None:
            keys.append(record.key)
    for key in keys:
        partition.unsaved = True
        if key != POSITION_KEY and not key.startswith(FENCE_KEY):
            with contextlib.suppress(KeyError):  # of a table that does not exist any more
                partition.touch(key)
    return Verdict.LATE_WRITES


async def still_owned(fetcher: Fetcher, partition: Partition, topics: EngineTopics) -> bool:
    """Whether nobody took the partition over since our last write, without writing anything.

    Nothing of the partition may be in flight. Late writes of an older owner are made good as above; an owner
    with nothing to write would not meet them otherwise.

    Raises:
        KafkaError: the broker does not answer or refuses.
    """
    for topic in (topics.journal, topics.feed, topics.state):
        topic_partition = TopicPartition(topic, partition.number)
        expected, end = partition.ends[topic], await fetcher.end(topic_partition)
        if end > expected:
            if await judge_intruders(fetcher, partition, topic_partition, expected, end, topics) is Verdict.FENCED:
                return False
            partition.ends[topic] = end
    return True


def _generation(record: RawRecord, topic: str, topics: EngineTopics) -> int:
    try:
        if topic == topics.state:
            return state_generation(record)
        if topic == topics.journal:
            return int(decode_journal(record.value or b"").generation)
        return int(dict(record.headers).get(GENERATION_HEADER, b"0"))
    except (msgspec.MsgspecError, ValueError):
        return 0  # not written by any worker
