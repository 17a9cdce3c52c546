"""Fetches the source topics of the owned partitions into their buffers."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from aiokafka.structs import TopicPartition

from streams.engine.fetcher import Fetcher
from streams.engine.model import Entry, Fetched, RawRecord
from streams.engine.partition import Partition
from streams.metrics import WorkerMetrics
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
        metrics: where it counts.
        clock: Unix seconds.
    """

    def __init__(
        self,
        sources: tuple[str, ...],
        decode: Decode,
        fetcher: Fetcher,
        settings: WorkerSettings,
        metrics: WorkerMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._ranks = {topic: rank for rank, topic in enumerate(sources)}
        self._decode = decode
        self._fetcher = fetcher
        self._settings = settings
        self._fetch_seconds = metrics.stage_seconds.labels("fetch")
        self._decode_seconds = metrics.stage_seconds.labels("decode")
        self._clock = clock
        self._ahead: tuple[dict[TopicPartition, int], asyncio.Task[dict[TopicPartition, Fetched]]] | None = None
        """Where a fetch that is under way reads, and its answer."""
        self._asked_ms: dict[TopicPartition, int] = {}
        """When each place was asked that has not answered yet, Unix milliseconds."""

    async def fetch(self, partitions: Mapping[int, Partition]) -> int:
        """Fetch into the buffers, waiting a little where there is nothing; how many records came."""
        asked_s = self._clock()
        if self._ahead is None:
            offsets = self._offsets(partitions.values(), self._settings.partition_fetch_bytes_max)
            fetched = await self._fetcher.fetch(offsets, self._wait_ms(partitions.values()))
        else:
            (offsets, task), self._ahead = self._ahead, None
            fetched = await task
        answered_s = self._clock()
        decode, count = self._decode, 0
        for place, answer in fetched.items():
            asked_ms = self._asked_ms.pop(place, 0)
            partition, rank = partitions.get(place.partition), self._ranks[place.topic]
            if partition is None or partition.fetched[rank] != offsets[place]:
                continue  # given up, or taken over anew, since it was asked for
            entries = [decode(rank, record) for record in answer.records]
            count += len(entries)
            partition.add(rank, entries, answer.next_offset, answer.end, answer.size_bytes, asked_ms)
        if count:
            self._fetch_seconds.observe(answered_s - asked_s)
            self._decode_seconds.observe(self._clock() - answered_s)
        return count

    def fetch_ahead(self, partitions: Iterable[Partition]) -> None:
        """Ask the broker for what comes next, so that it works while the micro-batches at hand are processed.

        The buffers are still full of those, so they may hold twice their limit.
        """
        offsets = self._offsets(partitions, 2 * self._settings.partition_fetch_bytes_max)
        if offsets:
            self._ahead = offsets, asyncio.create_task(self._fetcher.fetch(offsets, 0))

    def close(self) -> None:
        """Give up a fetch that is under way."""
        if self._ahead is not None:
            self._ahead[1].cancel()

    def _offsets(self, partitions: Iterable[Partition], limit: int) -> dict[TopicPartition, int]:
        """Where to read on; topics with enough in their buffer are left out until it is processed."""
        offsets = {
            TopicPartition(topic, partition.number): partition.fetched[rank]
            for partition in partitions
            for topic, rank in self._ranks.items()
            if partition.wants(rank, limit)
        }
        now_ms = int(self._clock() * 1e3)
        for place in offsets:
            self._asked_ms.setdefault(place, now_ms)
        return offsets

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
                # A tick takes a fetch that was sent after its time; where that is not answered, do not spin.
                left_ms = int(partition.wake_at_ms + self._settings.tick_grace_ms - now_ms) + 1
                wait_ms = min(wait_ms, max(self._settings.cycle_interval_ms, left_ms))
        return wait_ms
