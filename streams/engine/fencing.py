"""What it means when another writer's records stand between ours.

Every partition has one owner, so an acknowledged offset higher than the expected one tells of either a
newer owner (its fence is there: we are the one who was paused) or of late writes of an older one.
"""

from enum import Enum, auto

import msgspec
from aiokafka.structs import TopicPartition

from streams.engine.fetcher import Fetcher
from streams.engine.model import EngineTopics, RawRecord, decode_journal
from streams.engine.recovery import FENCE_KEY, GENERATION_HEADER, POSITION_KEY, decode_generation


class Verdict(Enum):
    """Who wrote between our records."""

    FENCED = auto()
    """A newer generation has taken the partition over."""
    LATE_WRITES = auto()
    """An older generation wrote after our fence; readers skip it."""


async def read_intruders(
    fetcher: Fetcher, partition: TopicPartition, start: int, end: int, generation: int, topics: EngineTopics
) -> tuple[Verdict, list[bytes]]:
    """Look at the records in [start, end) that are not ours.

    Returns:
        The verdict, and for the changelog the keys that an older owner wrote.
    """
    keys: list[bytes] = []
    async for record in fetcher.read(partition, start, end):
        if _generation(record, partition.topic, topics) > generation:
            return Verdict.FENCED, []
        key = record.key if partition.topic == topics.state else None
        if key is not None and key != POSITION_KEY and not key.startswith(FENCE_KEY):
            keys.append(key)
    return Verdict.LATE_WRITES, keys


def _generation(record: RawRecord, topic: str, topics: EngineTopics) -> int:
    try:
        if topic == topics.state:
            return int(decode_generation(record.value or b"")[0])
        if topic == topics.journal:
            return int(decode_journal(record.value or b"").generation)
        return int(dict(record.headers).get(GENERATION_HEADER, b"0"))
    except (msgspec.MsgspecError, ValueError):
        return 0  # not written by any worker
