"""What it means when another writer's records stand between ours, and what to do about it.

Every partition has one owner. An end offset or an acknowledged offset higher than expected therefore means one of two
things: a newer owner has taken the partition over (its fence is there, and we are the one that was paused), or an older
owner has written late.
"""

from enum import Enum, auto

import msgspec
from aiokafka.structs import TopicPartition

from streams.engine.formats import GENERATION_HEADER, decode_journal
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.log.changelog import state_generation
from streams.engine.model import RawRecord
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineTopics


class ForeignWriter(Enum):
    """Who wrote between our records."""

    NEWER_OWNER = auto()
    """The partition has been taken over."""
    OLDER_OWNER = auto()
    """It wrote after our fence; readers skip its records."""


async def identify_writer(
    fetcher: Fetcher, partition: Partition, topic_partition: TopicPartition, span: tuple[int, int], topics: EngineTopics
) -> ForeignWriter:
    """Read the records of a span of offsets that are not ours.

    An older owner's writes to the changelog are repaired: compaction would keep its late record of a key and remove
    ours, so the next snapshot writes those keys, and the position, again.
    """
    keys: list[bytes] = []
    async for record in fetcher.read(topic_partition, *span):
        if _generation(record, topic_partition.topic, topics) > partition.generation:
            return ForeignWriter.NEWER_OWNER
        if topic_partition.topic == topics.state and record.key is not None:
            keys.append(record.key)
    partition.rewrite(keys)
    return ForeignWriter.OLDER_OWNER


async def verify_ownership(fetcher: Fetcher, partition: Partition, topics: EngineTopics) -> bool:
    """Whether nobody has taken the partition over since our last write. Writes nothing itself.

    Nothing of the partition may be in flight. Late writes of an older owner are repaired as above; an owner with
    nothing to write would not notice them otherwise.

    Raises:
        KafkaError: the broker does not answer or refuses.
    """
    for topic in (topics.journal, topics.feed, topics.state):
        topic_partition = TopicPartition(topic, partition.number)
        expected, end = partition.ends[topic], await fetcher.end(topic_partition)
        if end > expected:
            writer = await identify_writer(fetcher, partition, topic_partition, (expected, end), topics)
            if writer is ForeignWriter.NEWER_OWNER:
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
