"""Fetches the source topics of the owned partitions into their buffers."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from aiokafka.structs import TopicPartition

from common.settings.engine import EngineSettings
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.model import Entry, Fetched, RawRecord
from streams.engine.partition.partition import Partition
from streams.metrics import WorkerMetrics

Decode = Callable[[int, RawRecord], Entry]
"""(topic rank, record) -> its entry; a record that cannot be read becomes a Poison, never an exception."""


class SourceReader:
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
        settings: EngineSettings,
        metrics: WorkerMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._ranks = {topic: source_index for source_index, topic in enumerate(sources)}
        self._decode = decode
        self._fetcher = fetcher
        self._settings = settings
        self._fetch_seconds = metrics.stage_seconds.labels("fetch")
        self._decode_seconds = metrics.stage_seconds.labels("decode")
        self._clock = clock
        self._ahead: tuple[dict[TopicPartition, int], asyncio.Task[dict[TopicPartition, Fetched]]] | None = None
        """Where a fetch that is under way reads, and its answer."""
        self._waited_s = 0.0
        """How long the last fetch took."""
        self._asked_ms: dict[TopicPartition, int] = {}
        """When each place was asked that has not answered yet, Unix milliseconds."""

    async def fetch(self, partitions: Mapping[int, Partition]) -> int:
        """Fetch into the buffers, waiting a little where there is nothing; how many records came."""
        asked_s = self._clock()
        if self._ahead is None:
            offsets = self._offsets(partitions.values(), self._settings.fetch.partition_bytes_max)
            fetched = await self._fetcher.fetch(offsets, self._wait_ms(partitions.values()))
        else:
            (offsets, task), self._ahead = self._ahead, None
            fetched = await task
        answered_s = self._clock()
        asked_ms = {topic_partition: self._asked_ms.pop(topic_partition, 0) for topic_partition in fetched}
        self._waited_s = answered_s - asked_s
        count = self._take_in(partitions, fetched, offsets, asked_ms)
        if count:
            self._fetch_seconds.observe(answered_s - asked_s)
            self._decode_seconds.observe(self._clock() - answered_s)
        return count

    async def look_again(self, partitions: Mapping[int, Partition]) -> None:
        """Where the broker was waited for, ask every topic once more, so that what came is processed in commit order.

        `Partition.set_horizon` has the reason. The broker begins to look when the first row of several comes, so it
        sees some of the others and misses some. Rows that had come before they were asked for have no such moment,
        or rarely; and under load a second question would cost a quarter more CPU.
        """
        waiting = sum(each.waiting_records for each in partitions.values())
        wanted = waiting < self._settings.micro_batch.large_records
        wanted = wanted and self._waited_s >= self._settings.merge.second_look_after_ms / 1e3
        again = [each for each in partitions.values() if each.set_horizon(wanted=wanted)]
        if not again:
            return
        now_ms = int(self._clock() * 1e3)
        offsets = self._places(again, self._settings.fetch.partition_bytes_max)
        fetched = await self._fetcher.look(offsets)
        self._take_in(partitions, fetched, offsets, dict.fromkeys(fetched, now_ms))

    def _take_in(
        self,
        partitions: Mapping[int, Partition],
        fetched: Mapping[TopicPartition, Fetched],
        offsets: Mapping[TopicPartition, int],
        asked_ms: Mapping[TopicPartition, int],
    ) -> int:
        """Decode answers into the buffers; how many records they had."""
        decode, count = self._decode, 0
        for topic_partition, answer in fetched.items():
            partition, source_index = partitions.get(topic_partition.partition), self._ranks[topic_partition.topic]
            if partition is None or partition.fetched[source_index] != offsets[topic_partition]:
                continue  # given up, or taken over anew, since it was asked for
            entries = [decode(source_index, record) for record in answer.records]
            count += len(entries)
            partition.add(
                source_index, entries, answer.next_offset, answer.end, answer.size_bytes, asked_ms[topic_partition]
            )
        return count

    def fetch_ahead(self, partitions: Iterable[Partition]) -> None:
        """Ask the broker for what comes next, so that it works while the micro-batches at hand are processed.

        The buffers are still full of those, so they may hold twice their limit.
        """
        offsets = self._offsets(partitions, 2 * self._settings.fetch.partition_bytes_max)
        if offsets:
            self._ahead = offsets, asyncio.create_task(self._fetcher.fetch(offsets, 0))

    def close(self) -> None:
        """Give up a fetch that is under way."""
        if self._ahead is not None:
            self._ahead[1].cancel()

    def _offsets(self, partitions: Iterable[Partition], limit: int) -> dict[TopicPartition, int]:
        """Where to read on; topics with enough in their buffer are left out until it is processed."""
        offsets = self._places(partitions, limit)
        now_ms = int(self._clock() * 1e3)
        for topic_partition in offsets:
            self._asked_ms.setdefault(topic_partition, now_ms)
        return offsets

    def _places(self, partitions: Iterable[Partition], limit: int) -> dict[TopicPartition, int]:
        return {
            TopicPartition(topic, partition.number): partition.fetched[source_index]
            for partition in partitions
            for topic, source_index in self._ranks.items()
            if partition.wants(source_index, limit)
        }

    def _wait_ms(self, partitions: Iterable[Partition]) -> int:
        """How long the broker may hold the fetch back where it has nothing."""
        wait_ms = self._settings.fetch.idle_wait_ms
        now_ms = self._clock() * 1e3
        for partition in partitions:
            if partition.unsaved:
                wait_ms = min(wait_ms, self._settings.changelog.interval_ms)
            if any(partition.buffers):
                wait_ms = min(wait_ms, 1)
            if partition.wake_at_ms is not None:
                # A tick takes a fetch that was sent after its time; where that is not answered, do not spin.
                left_ms = int(partition.wake_at_ms + self._settings.tick.grace_ms - now_ms) + 1
                wait_ms = min(wait_ms, max(self._settings.micro_batch.interval_ms, left_ms))
        return wait_ms
