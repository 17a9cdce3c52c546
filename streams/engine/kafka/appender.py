"""Appends RecordBatches to the engine's own topics and reports the offset of each.

Records of one call stay together in as few RecordBatches as their size allows; a RecordBatch is stored whole or not at
all. The order of calls is kept per topic partition.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.engine.formats import GENERATION_HEADER
from streams.engine.model import OutputRecord


class BatchTooLargeError(Exception):
    """Records that must be stored in one RecordBatch do not fit into one."""

    def __init__(self, topic: str, limit_bytes: int) -> None:
        super().__init__(f"more than {limit_bytes} bytes for one RecordBatch on {topic}")
        self.topic = topic
        self.limit_bytes = limit_bytes


@dataclass(slots=True)
class PendingAppend:
    """A RecordBatch on its way: `written` gives its metadata once the broker has acknowledged it for good."""

    topic: str
    count: int
    """Offsets that it takes: its records and, once written, the marker of a transaction behind them."""
    written: "asyncio.Future[Any]"


class Appender(ABC):
    """Fills RecordBatches. How they are sent and what `commit` means is the guarantee of the subclass.

    Args:
        batch_bytes_max: size of the RecordBatches over which records may be spread.
        state_batch_bytes_max: size of a RecordBatch that must hold all records.
    """

    def __init__(self, *, batch_bytes_max: int, state_batch_bytes_max: int) -> None:
        self._batch_bytes_max = batch_bytes_max
        self._state_batch_bytes_max = state_batch_bytes_max

    @abstractmethod
    async def start(self) -> None:
        """Connect."""

    @abstractmethod
    async def stop(self) -> None:
        """Wait for what is on its way, and disconnect."""

    async def claim(self, partition: int) -> None:  # noqa: B027 - not every guarantee needs it
        """Become the one writer of a partition; to be called before its tails are read.

        Raises:
            KafkaError: the broker refuses.
        """

    async def commit(self) -> None:  # noqa: B027 - the same
        """Declare that what was appended since the last call belongs together, partition by partition.

        Nothing of it counts as written before. Returns at once; the result is in `PendingAppend.written`:
        ProducerFenced where another writer has claimed the partition since.
        """

    async def append(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> list[PendingAppend]:
        """Send records in order, split where a RecordBatch is full.

        A record that is larger than that is a RecordBatch of its own. The topic may refuse it: then `written` raises
        MessageSizeTooLargeError.
        """
        appends: list[PendingAppend] = []
        builder, size = self._new_batch(), 0
        for key, value, headers in records:
            length = len(value or b"") + len(key or b"") + 64 * (1 + len(headers))
            full = bool(size) and size + length > self._batch_bytes_max
            # Lengths are estimates, so a RecordBatch can be full before; a first record always fits.
            if full or builder.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                appends.append(await self._send(builder, topic, partition))
                builder, size = self._new_batch(), 0
                builder.append(timestamp=None, key=key, value=value, headers=list(headers))
            size += length
        if size:
            appends.append(await self._send(builder, topic, partition))
        return appends

    async def append_whole(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes | None]], *, generation: int
    ) -> PendingAppend:
        """Send key-value records as exactly one RecordBatch; a single record is one whatever its size.

        Args:
            topic: where to.
            partition: of the topic.
            records: a value of None is a tombstone: compaction removes the key.
            generation: of the writer. A value contains it; for a tombstone it goes into a header.

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
    async def _send(self, builder: Any, topic: str, partition: int) -> PendingAppend:
        """Send a RecordBatch, to which nothing is added any more."""


class PlainAppender(Appender):
    """Sends at once with one idempotent producer; what is acknowledged is written. For `guarantee: journal`."""

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

    async def _send(self, builder: Any, topic: str, partition: int) -> PendingAppend:
        builder.close()
        count = builder.record_count()
        return PendingAppend(topic, count, await self._producer.send_batch(builder, topic, partition=partition))
