"""Fetches the source topics of the owned partitions into their buffers.

Reads: the source topics. Writes: the partitions' buffers. Key: the partition.
Guarantee: each record of a topic enters its buffer once, in offset order.
On failure: a fetch that fails is logged and tried again in the next round; a record that cannot be decoded is an entry
like any other.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from aiokafka.structs import TopicPartition

from common.settings.engine import EngineSettings
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.metrics import EngineMetrics
from streams.engine.model import Fetched
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec


class SourceReader:
    """One fetch for all topics of all partitions.

    Args:
        clock: Unix seconds.
    """

    def __init__(
        self,
        spec: EngineSpec,
        fetcher: Fetcher,
        settings: EngineSettings,
        metrics: EngineMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._source_indexes = {topic: index for index, topic in enumerate(spec.topics.source_topics)}
        self._decode = spec.decode
        self._fetcher = fetcher
        self._settings = settings
        self._fetch_seconds = metrics.stage_seconds.labels("fetch")
        self._decode_seconds = metrics.stage_seconds.labels("decode")
        self._clock = clock
        self._ahead: tuple[dict[TopicPartition, int], asyncio.Task[dict[TopicPartition, Fetched]]] | None = None
        """The offsets of a fetch that was sent ahead, and its answer."""
        self._waited_s = 0.0
        """How long the last fetch took."""
        self._asked_ms: dict[TopicPartition, int] = {}
        """When each topic partition was asked that has not answered yet, Unix milliseconds."""

    async def fetch(self, partitions: Mapping[int, Partition]) -> int:
        """Fetch into the buffers, waiting a little where there is nothing; returns how many records came."""
        asked_s = self._clock()
        if self._ahead is None:
            offsets = self._ask(partitions.values(), self._settings.fetch.partition_bytes_max)
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

    async def fetch_again(self, partitions: Mapping[int, Partition]) -> None:
        """Where the broker was waited for, ask every topic once more, so that what came is processed in commit order.

        `Partition.set_horizon` has the reason. The broker begins to look when the first of several rows comes, so it
        sees some of the others and misses some. That rarely concerns rows that were there before they were asked for,
        and under load a second request would cost a quarter more CPU.
        """
        buffered = sum(each.buffered_records for each in partitions.values())
        wanted = buffered < self._settings.micro_batch.large_records
        wanted = wanted and self._waited_s >= self._settings.merge.second_look_after_ms / 1e3
        again = [each for each in partitions.values() if each.set_horizon(wanted=wanted)]
        if not again:
            return
        now_ms = int(self._clock() * 1e3)
        offsets = self._offsets(again, self._settings.fetch.partition_bytes_max)
        fetched = await self._fetcher.fetch_now(offsets)
        self._take_in(partitions, fetched, offsets, dict.fromkeys(fetched, now_ms))

    def fetch_ahead(self, partitions: Iterable[Partition]) -> None:
        """Send the next fetch already, so that the broker works while the micro-batches at hand are processed.

        The buffers still hold those micro-batches, so they may hold twice their limit.
        """
        offsets = self._ask(partitions, 2 * self._settings.fetch.partition_bytes_max)
        if offsets:
            self._ahead = offsets, asyncio.create_task(self._fetcher.fetch(offsets, 0))

    def silence_s(self) -> dict[int, float]:
        """By partition, for how long the brokers have not answered about one of its topics, where that is too long.

        May be called from another thread. A topic with a full buffer is not asked, so its silence means nothing.
        """
        oldest_ms: dict[int, int] = {}
        for (_, number), asked_ms in list(self._asked_ms.items()):
            oldest_ms[number] = min(asked_ms, oldest_ms.get(number, asked_ms))
        now_s, limit_s = self._clock(), self._settings.fetch.broker_silence_s_max
        return {number: now_s - ms / 1e3 for number, ms in oldest_ms.items() if now_s - ms / 1e3 > limit_s}

    def close(self) -> None:
        """Cancel a fetch that is in flight."""
        if self._ahead is not None:
            self._ahead[1].cancel()

    def _take_in(
        self,
        partitions: Mapping[int, Partition],
        fetched: Mapping[TopicPartition, Fetched],
        offsets: Mapping[TopicPartition, int],
        asked_ms: Mapping[TopicPartition, int],
    ) -> int:
        """Decode answers into the buffers; returns how many records they had."""
        decode, count = self._decode, 0
        for topic_partition, answer in fetched.items():
            partition = partitions.get(topic_partition.partition)
            source_index = self._source_indexes[topic_partition.topic]
            if partition is None or partition.fetched[source_index] != offsets[topic_partition]:
                continue  # given up, or taken over again, since it was asked for
            entries = [decode(source_index, record) for record in answer.records]
            count += len(entries)
            partition.add(
                source_index, entries, answer.next_offset, answer.end, answer.size_bytes, asked_ms[topic_partition]
            )
        return count

    def _ask(self, partitions: Iterable[Partition], bytes_max: int) -> dict[TopicPartition, int]:
        """Where to read on, and note that these topic partitions are being asked now."""
        offsets = self._offsets(partitions, bytes_max)
        now_ms = int(self._clock() * 1e3)
        self._asked_ms = {each: self._asked_ms.get(each, now_ms) for each in offsets}
        return offsets

    def _offsets(self, partitions: Iterable[Partition], bytes_max: int) -> dict[TopicPartition, int]:
        """Where to read on; topics with enough in their buffer are left out until it is processed."""
        return {
            TopicPartition(topic, partition.number): partition.fetched[source_index]
            for partition in partitions
            for topic, source_index in self._source_indexes.items()
            if partition.wants(source_index, bytes_max)
        }

    def _wait_ms(self, partitions: Iterable[Partition]) -> int:
        """How long the broker may delay its answer where it has nothing."""
        wait_ms = self._settings.fetch.idle_wait_ms
        now_ms = self._clock() * 1e3
        for partition in partitions:
            if partition.unsaved:
                wait_ms = min(wait_ms, self._settings.changelog.interval_ms)
            if any(partition.buffers):
                wait_ms = min(wait_ms, 1)
            if partition.wake_at_ms is not None:
                # A tick needs a fetch that was sent after its time. Where that is not answered, do not spin.
                left_ms = int(partition.wake_at_ms + self._settings.tick.grace_ms - now_ms) + 1
                wait_ms = min(wait_ms, max(self._settings.micro_batch.interval_ms, left_ms))
        return wait_ms
