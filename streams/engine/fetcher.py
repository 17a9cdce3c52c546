"""Reads records of many topic partitions with one request per broker, without objects per record.

Owns the low-level client of the engine. aiokafka's consumer fetches again at once, wraps every record in
an object and every partition in a task; the engine wants one fetch when it is ready for it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NotLeaderForPartitionError, OffsetOutOfRangeError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.engine.model import RawRecord

log = structlog.get_logger(__name__)

_LATEST = -1
_EARLIEST = -2
_READ_UNCOMMITTED = 0
_RETRY_S = 0.2


class Fetched(NamedTuple):
    """What a fetch brought of one topic partition."""

    records: list[RawRecord]
    next_offset: int
    high_watermark: int
    size_bytes: int


class Fetcher:
    """Fetches from the leaders of the partitions that it is asked for."""

    def __init__(self, client_config: Mapping[str, Any], *, fetch_bytes_max: int, partition_bytes_max: int) -> None:
        self._client = AIOKafkaClient(**client_config)
        self._fetch_bytes_max = fetch_bytes_max
        self._partition_bytes_max = partition_bytes_max

    async def start(self, topics: list[str]) -> None:
        """Connect and learn where the partitions of these topics are."""
        await self._client.bootstrap()
        await self._client.set_topics(topics)

    async def stop(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
        """Records from the given offsets on; waits up to `wait_ms` where there are none.

        A partition without a reachable leader is left out. Where an offset is no longer in the log, that is
        logged, and `next_offset` says where the log begins.
        """
        by_leader: dict[int, list[TopicPartition]] = {}
        for partition in offsets:
            leader = self._client.cluster.leader_for_partition(partition)
            if leader is not None and leader != -1:
                by_leader.setdefault(leader, []).append(partition)
        if not by_leader:
            await self._refresh()
            return {}
        answers = await asyncio.gather(
            *(self._fetch_from(leader, partitions, offsets, wait_ms) for leader, partitions in by_leader.items())
        )
        return {partition: fetched for answer in answers for partition, fetched in answer.items()}

    async def _fetch_from(
        self, node: int, partitions: list[TopicPartition], offsets: Mapping[TopicPartition, int], wait_ms: int
    ) -> dict[TopicPartition, Fetched]:
        # The broker fills the answer in the order of the request: rotate, or the first starves the others.
        random.shuffle(partitions)
        by_topic: dict[str, list[tuple[int, int, int]]] = {}
        for topic, number in partitions:
            by_topic.setdefault(topic, []).append(
                (number, offsets[TopicPartition(topic, number)], self._partition_bytes_max)
            )
        request = FetchRequest(wait_ms, 1, self._fetch_bytes_max, _READ_UNCOMMITTED, list(by_topic.items()))
        try:
            return await self._unpack(await self._client.send(node, request), offsets)
        except KafkaError as error:
            log.warning("fetch failed", broker=node, error=type(error).__name__)
            await self._refresh()
            return {}

    async def _unpack(self, response: Any, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Fetched]:
        result: dict[TopicPartition, Fetched] = {}
        stale = False
        for topic, parts in response.topics:
            for number, code, high_watermark, *rest in parts:
                partition = TopicPartition(topic, number)
                if code == OffsetOutOfRangeError.errno:
                    result[partition] = await self._restart_point(partition, offsets[partition])
                elif code:
                    stale = True
                    log.warning("fetch refused", topic=topic, partition=number, error=for_code(code).__name__)
                else:
                    data = rest[-1]
                    result[partition] = Fetched(*_unpack_records(data, offsets[partition]), high_watermark, len(data))
        if stale:
            await self._refresh()
        return result

    async def _restart_point(self, partition: TopicPartition, offset: int) -> Fetched:
        """Where to go on when an offset is not in the log: retention was faster than we, or the topic is new."""
        first, end = await self._offset_at(partition, _EARLIEST), await self._offset_at(partition, _LATEST)
        log.error(
            "records were deleted before they were read",
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            first_offset=first,
        )
        return Fetched([], first, end, 0)

    async def end(self, partition: TopicPartition) -> int:
        """The offset after the last record.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        return await self._offset_at(partition, _LATEST)

    async def _refresh(self) -> None:
        await asyncio.sleep(_RETRY_S)
        await self._client.force_metadata_update()

    async def _offset_at(self, partition: TopicPartition, time: int) -> int:
        """The first offset of the log, or the one after its last."""
        leader = self._client.cluster.leader_for_partition(partition)
        if leader is None or leader == -1:
            raise NotLeaderForPartitionError(f"no leader for {partition}")
        request = OffsetRequest(-1, _READ_UNCOMMITTED, [(partition.topic, [(partition.partition, time)])])
        response = await self._client.send(leader, request)
        _, code, _, offset, *_ = response.topics[0][1][0]
        if code:
            raise for_code(code)(str(partition))
        return int(offset)

    async def read(self, partition: TopicPartition, start: int, end: int | None = None) -> AsyncIterator[RawRecord]:
        """Records from `start` to the offset `end`, or to the end that the log has when it gets there."""
        offset = start
        while end is None or offset < end:
            fetched = (await self.fetch({partition: offset}, 0)).get(partition)
            if fetched is None:
                continue  # no leader for now; the fetch has waited and asked for the metadata again
            for record in fetched.records:
                if end is None or record.offset < end:
                    yield record
            offset = fetched.next_offset
            if not fetched.records and offset >= fetched.high_watermark:
                return
            if end is None and offset >= fetched.high_watermark:
                return


def _unpack_records(data: bytes, start: int) -> tuple[list[RawRecord], int]:
    """The records at or after `start`, and the offset after the last whole RecordBatch."""
    records: list[RawRecord] = []
    next_offset = start
    batches = MemoryRecords(data)
    while batches.has_next():
        batch = batches.next_batch()
        if batch is None:
            break
        if not batch.is_control_batch:
            if batch.base_offset >= start:
                records.extend(batch)
            else:  # only the first batch can begin before the offset that was asked for
                records.extend([record for record in batch if record.offset >= start])
        next_offset = max(next_offset, batch.next_offset)
    return records, next_offset
