"""Appends RecordBatches to the engine's own topics and says at which offset each landed.

Records of one call stay together in as few RecordBatches as their size allows; a RecordBatch is stored
whole or not at all. The order of calls is kept per topic partition.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.engine.model import OutputRecord

GENERATION_HEADER = "generation"
"""On every output record and tombstone: which owner of the partition wrote it."""
BATCH_HEADER = "batch"
"""On every output record: number of its micro-batch and index within it, `17/0`."""


class BatchTooLargeError(Exception):
    """Records that must be stored in one RecordBatch do not fit into one."""

    def __init__(self, topic: str, limit_bytes: int) -> None:
        super().__init__(f"more than {limit_bytes} bytes for one RecordBatch on {topic}")
        self.topic = topic
        self.limit_bytes = limit_bytes


@dataclass(slots=True)
class Append:
    """A RecordBatch on its way: `written` gives its metadata once the broker has acknowledged it for good."""

    topic: str
    count: int
    """Offsets that it takes: its records and, once written, the marker of a transaction behind them."""
    written: "asyncio.Future[Any]"


class Appender(ABC):
    """Thinks in whole RecordBatches; what `commit` makes of them is the guarantee.

    Args:
        batch_bytes_max: of the RecordBatches that records may be spread over.
        state_batch_bytes_max: of a RecordBatch that must hold everything.
    """

    def __init__(self, *, batch_bytes_max: int, state_batch_bytes_max: int) -> None:
        self._batch_bytes_max = batch_bytes_max
        self._state_batch_bytes_max = state_batch_bytes_max

    @abstractmethod
    async def start(self) -> None:
        """Connect."""

    @abstractmethod
    async def stop(self) -> None:
        """Let what is on its way arrive, and disconnect."""

    async def claim(self, partition: int) -> None:  # noqa: B027 - not every guarantee needs it
        """Become the writer of a partition, before its tails are read.

        Raises:
            KafkaError: the broker refuses.
        """

    async def commit(self) -> None:  # noqa: B027 - the same
        """Say that what was appended since the last time belongs together, partition by partition.

        Nothing of it counts as written before. Returns at once; what comes of it is in `Append.written`:
        ProducerFenced where another writer has claimed the partition since.
        """

    async def append(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> list[Append]:
        """Send records in order, split where a RecordBatch is full.

        Raises:
            BatchTooLargeError: a single record is larger than a RecordBatch may be.
        """
        appends: list[Append] = []
        builder, size = self._new_batch(), 0
        for key, value, headers in records:
            length = len(value or b"") + len(key or b"") + 64 * (1 + len(headers))
            if size and size + length > self._batch_bytes_max:
                appends.append(await self._send(builder, topic, partition))
                builder, size = self._new_batch(), 0
            if builder.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                raise BatchTooLargeError(topic, self._batch_bytes_max)
            size += length
        if size:
            appends.append(await self._send(builder, topic, partition))
        return appends

    async def append_whole(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes | None]], *, generation: int
    ) -> Append:
        """Send key-value records as exactly one RecordBatch.

        Args:
            topic: where to.
            partition: of the topic.
            records: a value of None is a tombstone: compaction removes the key.
            generation: of the writer. A value says it itself; a tombstone has only headers to say it in.

        Raises:
            BatchTooLargeError: they do not fit.
        """
        builder = self._new_batch()
        tombstone = [(GENERATION_HEADER, b"%d" % generation)]
        for key, value in records:
            headers = tombstone if value is None else []
            if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
                raise BatchTooLargeError(topic, self._state_batch_bytes_max)
        return await self._send(builder, topic, partition)

    @abstractmethod
    def _new_batch(self) -> Any:
        """An empty RecordBatch: what aiokafka calls a BatchBuilder."""

    @abstractmethod
    async def _send(self, builder: Any, topic: str, partition: int) -> Append:
        """Take a RecordBatch over; it is not added to any more."""


class PlainAppender(Appender):
    """Sends at once, by one idempotent producer; what is acknowledged is written. For `guarantee: journal`."""

    def __init__(self, client_config: Mapping[str, Any], *, batch_bytes_max: int, state_batch_bytes_max: int) -> None:
        super().__init__(batch_bytes_max=batch_bytes_max, state_batch_bytes_max=state_batch_bytes_max)
        self._producer = AIOKafkaProducer(
            **client_config,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=max(batch_bytes_max, state_batch_bytes_max),
            max_request_size=2 * max(batch_bytes_max, state_batch_bytes_max),
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is queued and disconnect."""
        await self._producer.stop()

    def _new_batch(self) -> Any:
        return self._producer.create_batch()

    async def _send(self, builder: Any, topic: str, partition: int) -> Append:
        builder.close()
        count = builder.record_count()
        return Append(topic, count, await self._producer.send_batch(builder, topic, partition=partition))
