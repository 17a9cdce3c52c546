"""Fetches the source topics of the owned partitions into their buffers."""

from collections.abc import Callable, Iterable, Mapping

from aiokafka.structs import TopicPartition

from streams.engine.fetcher import Fetcher
from streams.engine.model import Entry, RawRecord
from streams.engine.partition import Partition
from watchfloor.settings import WorkerSettings

Decode = Callable[[int, RawRecord], Entry]
"""(topic rank, record) -> its entry; a record that cannot be read becomes a Poison, never an exception."""


class Intake:
    """One fetch for all topics of all partitions.

    Args:
        sources: source topics by rank.
        decode: makes entries.
        fetcher: reads.
        settings: limits of the buffers and of waiting.
        clock: Unix seconds.
    """

    def __init__(
        self,
        sources: tuple[str, ...],
        decode: Decode,
        fetcher: Fetcher,
        settings: WorkerSettings,
        clock: Callable[[], float],
    ) -> None:
        self._ranks = {topic: rank for rank, topic in enumerate(sources)}
        self._decode = decode
        self._fetcher = fetcher
        self._settings = settings
        self._clock = clock

    async def fetch(self, partitions: Mapping[int, Partition]) -> bool:
        """Fetch into the buffers, waiting a little where there is nothing; whether anything came."""
        fetched = await self._fetcher.fetch(self._offsets(partitions.values()), self._wait_ms(partitions.values()))
        decode, any_records = self._decode, False
        for place, answer in fetched.items():
            partition = partitions[place.partition]
            rank = self._ranks[place.topic]
            entries = [decode(rank, record) for record in answer.records]
            any_records = any_records or bool(entries)
            partition.add(rank, entries, answer.next_offset, answer.high_watermark, answer.size_bytes)
        return any_records

    def _offsets(self, partitions: Iterable[Partition]) -> dict[TopicPartition, int]:
        """Where to read on; topics with enough in their buffer are left out until it is processed."""
        limit = self._settings.partition_fetch_bytes_max
        return {
            TopicPartition(topic, partition.number): partition.fetched[rank]
            for partition in partitions
            for topic, rank in self._ranks.items()
            if partition.wants(rank, limit)
        }

    def _wait_ms(self, partitions: Iterable[Partition]) -> int:
        """How long the broker may hold the fetch back where it has nothing."""
        wait_ms = self._settings.idle_fetch_wait_ms
        now_ms = self._clock() * 1e3
        for partition in partitions:
            if partition.unsaved:
                wait_ms = min(wait_ms, self._settings.changelog_interval_ms)
            if any(partition.buffers):
                wait_ms = min(wait_ms, 1)
            if partition.wake_at_ms is not None:
                wait_ms = min(wait_ms, max(0, int(partition.wake_at_ms - now_ms)))
        return wait_ms
