"""Reads records of many topic partitions with one request per broker.

Owns the engine's low-level client. aiokafka's consumer fetches again at once, wraps every record in an object and every
partition in a task; the engine wants one fetch when it is ready for it.

Reads committed records only: those of an open transaction are not visible yet, those of an aborted one never become
visible. Without transactions every record is committed.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaError, NotLeaderForPartitionError, OffsetOutOfRangeError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.engine.kafka.in_flight_fetches import InFlightFetches
from streams.engine.model import Fetched, RawRecord

log = structlog.get_logger(__name__)

_LATEST = -1
_EARLIEST = -2
_READ_COMMITTED = 1
_RETRY_S = 0.2
_OPEN_POLL_S = 0.02
_FETCH_NOW_S_MAX = 0.02
"""How long a micro-batch is delayed at most by the second fetch, see `SourceReader.fetch_again`."""
_SECOND_CONNECTION = ConnectionGroup.COORDINATION
"""aiokafka's second connection to a broker: on the first, a request waits until a long poll has ended."""
_PREFERRED_REPLICA_VERSION = 11
"""From this version of the answer on a field stands between the aborted transactions and the records."""

Aborted = Sequence[tuple[int, int]]
"""Producer id and first offset of each aborted transaction that a fetch touches."""


class Fetcher:
    """Fetches from the leaders of the partitions that it is asked for."""

    def __init__(self, client_config: Mapping[str, Any], *, fetch_bytes_max: int, partition_bytes_max: int) -> None:
        self._client = AIOKafkaClient(**client_config)
        self._fetch_bytes_max = fetch_bytes_max
        self._partition_bytes_max = partition_bytes_max
        self._in_flight = InFlightFetches(self._fetch_from)

    async def start(self, topics: list[str]) -> None:
        """Connect and learn where the partitions of these topics are."""
        await self._client.bootstrap()
        await self._client.set_topics(topics)

    async def stop(self) -> None:
        """Disconnect."""
        await self._in_flight.close()
        await self._client.close()

    async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
        """Records from the given offsets on; waits up to `wait_ms` where there are none.

        Returns as soon as one broker has answered; the answers of the others come with a later call. A partition
        without a reachable leader is left out. Where an offset is no longer in the log, that is logged, and
        `next_offset` says where the log begins.
        """
        by_leader = self._by_leader(offsets)
        if not by_leader:
            await self._refresh()
            return {}
        return await self._in_flight.fetch(by_leader, offsets, wait_ms)

    async def fetch_now(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Fetched]:
        """What every broker has now, whatever fetch is in flight there; does not wait for records.

        A broker that takes longer than it ever should is left out.
        """
        by_leader = self._by_leader(offsets)
        try:
            async with asyncio.timeout(_FETCH_NOW_S_MAX):
                if len(by_leader) == 1:  # the cheapest way
                    ((node, partitions),) = by_leader.items()
                    return await self._fetch_from(node, partitions, offsets, 0, _SECOND_CONNECTION)
        except TimeoutError:
            return {}
        requests = [
            asyncio.create_task(self._fetch_from(node, partitions, offsets, 0, _SECOND_CONNECTION))
            for node, partitions in by_leader.items()
        ]
        if not requests:
            return {}
        answered, late = await asyncio.wait(requests, timeout=_FETCH_NOW_S_MAX)
        for request in late:
            request.cancel()
        return {
            topic_partition: fetched for request in answered for topic_partition, fetched in request.result().items()
        }

    def _by_leader(self, offsets: Mapping[TopicPartition, int]) -> dict[int, list[TopicPartition]]:
        by_leader: dict[int, list[TopicPartition]] = {}
        for topic_partition in offsets:
            if (leader := self._leader(topic_partition)) is not None:
                by_leader.setdefault(leader, []).append(topic_partition)
        return by_leader

    def _leader(self, topic_partition: TopicPartition) -> int | None:
        """The broker that leads it; None where none is known."""
        leader = self._client.cluster.leader_for_partition(topic_partition)
        return None if leader == -1 else leader

    async def _fetch_from(
        self,
        node: int,
        partitions: list[TopicPartition],
        offsets: Mapping[TopicPartition, int],
        wait_ms: int,
        group: ConnectionGroup = ConnectionGroup.DEFAULT,
    ) -> dict[TopicPartition, Fetched]:
        # The broker fills its answer in the order of the request: without a shuffle the first would starve the others.
        random.shuffle(partitions)
        by_topic: dict[str, list[tuple[int, int, int]]] = {}
        for topic, number in partitions:
            by_topic.setdefault(topic, []).append(
                (number, offsets[TopicPartition(topic, number)], self._partition_bytes_max)
            )
        request = FetchRequest(wait_ms, 1, self._fetch_bytes_max, _READ_COMMITTED, list(by_topic.items()))
        try:
            return await self._unpack(await self._client.send(node, request, group=group), offsets)
        except KafkaError as error:
            log.warning("fetch failed", broker=node, error=type(error).__name__)
            await self._refresh()
            return {}

    async def _unpack(self, response: Any, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Fetched]:
        result: dict[TopicPartition, Fetched] = {}
        stale = False
        aborted_at = -3 if response.API_VERSION >= _PREFERRED_REPLICA_VERSION else -2
        for topic, partitions in response.topics:
            for number, code, high_watermark, stable_end, *rest in partitions:
                topic_partition = TopicPartition(topic, number)
                if code == OffsetOutOfRangeError.errno:
                    result[topic_partition] = await self._restart_point(topic_partition, offsets[topic_partition])
                elif code:
                    stale = True
                    log.warning("fetch refused", topic=topic, partition=number, error=for_code(code).__name__)
                else:
                    data = rest[-1]
                    records = _unpack_records(data, offsets[topic_partition], rest[aborted_at] or ())
                    result[topic_partition] = Fetched(*records, stable_end, len(data), stable_end < high_watermark)
        if stale:
            await self._refresh()
        return result

    async def _restart_point(self, topic_partition: TopicPartition, offset: int) -> Fetched:
        """Where to go on when an offset is not in the log: retention was faster than we, or the topic is new."""
        first, end = await self._offset_at(topic_partition, _EARLIEST), await self._offset_at(topic_partition, _LATEST)
        log.error(
            "records were deleted before they were read",
            topic=topic_partition.topic,
            partition=topic_partition.partition,
            offset=offset,
            first_offset=first,
        )
        return Fetched([], first, end, 0)

    async def first(self, topic_partition: TopicPartition) -> int:
        """The first offset that the log still has.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        return await self._offset_at(topic_partition, _EARLIEST)

    def partitions(self, topic: str) -> set[int]:
        """The partition numbers of a topic, as far as known."""
        return set(self._client.cluster.partitions_for_topic(topic) or ())

    async def end(self, topic_partition: TopicPartition) -> int:
        """The offset after the last record that is committed; that of an open transaction is not there yet.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        return await self._offset_at(topic_partition, _LATEST)

    async def _refresh(self) -> None:
        await asyncio.sleep(_RETRY_S)
        await self._client.force_metadata_update()

    async def _offset_at(self, topic_partition: TopicPartition, time: int) -> int:
        """The first offset of the log, or the one after its last."""
        leader = self._leader(topic_partition)
        if leader is None:
            raise NotLeaderForPartitionError(f"no leader for {topic_partition}")
        request = OffsetRequest(-1, _READ_COMMITTED, [(topic_partition.topic, [(topic_partition.partition, time)])])
        response = await self._client.send(leader, request, group=_SECOND_CONNECTION)
        _, code, _, offset, *_ = response.topics[0][1][0]
        if code:
            raise for_code(code)(str(topic_partition))
        return int(offset)

    async def read(
        self, topic_partition: TopicPartition, start: int, end: int | None = None
    ) -> AsyncIterator[RawRecord]:
        """Records from `start` to the offset `end`, or to the end of the log.

        With an `end` it waits until a transaction that is open before it has ended. The broker ends a transaction whose
        writer has gone.
        """
        async for records in self.read_pieces(topic_partition, start, end):
            for record in records:
                yield record

    async def read_pieces(
        self, topic_partition: TopicPartition, start: int, end: int | None = None
    ) -> AsyncIterator[list[RawRecord]]:
        """As `read`, a fetch at a time."""
        offset = start
        while end is None or offset < end:
            leader = self._leader(topic_partition)
            if leader is None:
                await self._refresh()
                continue
            answer = await self._fetch_from(leader, [topic_partition], {topic_partition: offset}, 0, _SECOND_CONNECTION)
            fetched = answer.get(topic_partition)
            if fetched is None:
                continue  # no leader for now; the fetch has waited and refreshed the metadata
            records = fetched.records
            if end is not None and fetched.next_offset > end:
                records = [record for record in records if record.offset < end]
            yield records
            offset = fetched.next_offset
            if offset < fetched.end or (end is not None and offset >= end):
                continue
            if end is not None and fetched.transaction_open:
                await asyncio.sleep(_OPEN_POLL_S)
            elif end is None or not fetched.records:
                return


def _unpack_records(data: bytes, start: int, aborted: Aborted = ()) -> tuple[list[RawRecord], int]:
    """The records at or after `start`, and the offset after the last whole RecordBatch."""
    records: list[RawRecord] = []
    next_offset = start
    dropped = _AbortedBatches(aborted) if aborted else None
    batches = MemoryRecords(data)
    while batches.has_next():
        batch = batches.next_batch()
        if batch is None:
            break
        if batch.is_control_batch:
            if dropped is not None:
                dropped.end(batch)
        elif dropped is None or batch not in dropped:
            if batch.base_offset >= start:
                records.extend(batch)
            else:  # only the first batch can begin before the offset that was asked for
                records.extend([record for record in batch if record.offset >= start])
        next_offset = max(next_offset, batch.next_offset)
    return records, next_offset


class _AbortedBatches:
    """Recognises the RecordBatches of aborted transactions; asked about every batch of a fetch, in log order."""

    def __init__(self, aborted: Aborted) -> None:
        self._ahead = sorted(aborted, key=lambda each: each[1], reverse=True)
        self._producers: set[int] = set()

    def __contains__(self, batch: Any) -> bool:
        self._advance(batch.base_offset)
        return batch.is_transactional and batch.producer_id in self._producers

    def end(self, marker: Any) -> None:
        """Note a control batch: the transaction of its producer ends here."""
        self._advance(marker.base_offset)
        self._producers.discard(marker.producer_id)

    def _advance(self, offset: int) -> None:
        """Note the transactions that have begun before this offset."""
        while self._ahead and self._ahead[-1][1] <= offset:
            self._producers.add(self._ahead.pop()[0])
