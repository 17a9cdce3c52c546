"""Appends in transactions: what a partition writes together becomes visible together, or not at all.

For `guarantee: transactions`. Each partition has a transactional id. Claiming it makes the broker abort what an earlier
writer left open and refuse whatever that writer sends from then on, so a worker that was paused and wakes up cannot
write at all. Partitions commit independently of each other.

Each partition has a client of its own: a broker answers a connection's requests one after the other, and a request to
produce belongs to one transactional id. aiokafka's own producer is not used: it waits 20 ms at a time while the markers
of its last transaction are being written, and costs more CPU (docs/decisions/0007-transactions-as-a-setting.md has the
figures).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.engine.kafka.appender import Appender, PendingAppend
from streams.engine.kafka.transaction_requests import ProducerIdentity, TransactionRequests

_STOP_S = 5.0
_MAGIC, _UNCOMPRESSED, _TRANSACTIONAL, _UNKNOWN = 2, 0, 1, -1


class StoredBatch(NamedTuple):
    """Where a RecordBatch was stored."""

    offset: int


class _Batch:
    """A RecordBatch that is being filled; its producer's state is set when it is complete."""

    def __init__(self, bytes_max: int) -> None:
        self._builder = DefaultRecordBatchBuilder(
            _MAGIC, _UNCOMPRESSED, _TRANSACTIONAL, _UNKNOWN, _UNKNOWN, _UNKNOWN, bytes_max
        )
        self.count = 0

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Any = None) -> Any:
        """Add a record; None where it does not fit."""
        added = self._builder.append(self.count, timestamp, key, value, headers or [])
        if added is not None:
            self.count += 1
        return added

    def build(self, identity: ProducerIdentity, sequence: int) -> bytes:
        """The bytes to send."""
        self._builder.set_producer_state(identity.producer_id, identity.epoch, sequence)
        return bytes(self._builder.build())


@dataclass(slots=True)
class _PartitionProducer:
    """The producer of one partition and what it has gathered for its next transaction."""

    requests: TransactionRequests
    identity: ProducerIdentity
    sequences: dict[str, int] = field(default_factory=dict)
    """Topic to the sequence number of its next record."""
    gathered: list[tuple[PendingAppend, bytes]] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One transaction after the other."""


class TransactionalAppender(Appender):
    """One transaction per partition and `commit`.

    Args:
        client_config: of aiokafka's client.
        transactional_id_prefix: followed by the partition's number; the same for all workers of an application.
        transaction_timeout_ms: after which the broker aborts a transaction whose writer has gone.
    """

    def __init__(
        self,
        client_config: Mapping[str, Any],
        *,
        transactional_id_prefix: str,
        transaction_timeout_ms: int,
        batch_bytes_max: int,
        state_batch_bytes_max: int,
    ) -> None:
        super().__init__(batch_bytes_max=batch_bytes_max, state_batch_bytes_max=state_batch_bytes_max)
        self._client_config = client_config
        self._transaction_timeout_ms = transaction_timeout_ms
        self._clients: dict[int, AIOKafkaClient] = {}
        self._prefix = transactional_id_prefix
        self._bytes_max = max(batch_bytes_max, state_batch_bytes_max)
        self._producers: dict[int, _PartitionProducer] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Nothing: a partition's connection is made when it is claimed."""

    async def stop(self) -> None:
        """Wait for what is on its way, if the broker answers, and disconnect; the rest was not written."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=_STOP_S)
            for task in late:
                task.cancel()
        for client in self._clients.values():
            await client.close()

    async def claim(self, partition: int) -> None:
        """Become the one writer of a partition; when this returns, what an earlier one left open is aborted.

        Raises:
            KafkaError: the broker refuses.
        """
        client = self._clients.get(partition)
        if client is None:
            client = AIOKafkaClient(**self._client_config)
            await client.bootstrap()
            self._clients[partition] = client
        requests = TransactionRequests(client, self._transaction_timeout_ms)
        identity = await requests.claim(f"{self._prefix}-{partition}")
        self._producers[partition] = _PartitionProducer(requests, identity)

    async def commit(self) -> None:
        """Start a transaction with what each partition has gathered."""
        for partition, producer in self._producers.items():
            if producer.gathered:
                gathered, producer.gathered = producer.gathered, []
                task = asyncio.create_task(self._transact(partition, producer, gathered))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def _new_batch(self) -> Any:
        return _Batch(self._bytes_max)

    async def _send(self, builder: _Batch, topic: str, partition: int) -> PendingAppend:
        producer = self._producers[partition]
        sequence = producer.sequences.get(topic, 0)
        producer.sequences[topic] = (sequence + builder.count) % 2**31
        append = PendingAppend(topic, builder.count, asyncio.get_running_loop().create_future())
        producer.gathered.append((append, builder.build(producer.identity, sequence)))
        return append

    async def _transact(
        self, partition: int, producer: _PartitionProducer, gathered: list[tuple[PendingAppend, bytes]]
    ) -> None:
        """One transaction, from its beginning to its acknowledged commit."""
        waiting: dict[str, list[tuple[PendingAppend, bytes]]] = {}
        for append, data in gathered:
            waiting.setdefault(append.topic, []).append((append, data))
        offsets: dict[int, int] = {}
        try:
            async with producer.turn:
                await producer.requests.begin(producer.identity, waiting, partition)
                for index in range(max(map(len, waiting.values()))):
                    # A request may hold one RecordBatch a topic partition.
                    now = {topic: batches[index] for topic, batches in waiting.items() if index < len(batches)}
                    found = await producer.requests.produce(
                        producer.identity, partition, {topic: data for topic, (_, data) in now.items()}
                    )
                    offsets |= {id(now[topic][0]): offset for topic, offset in found.items()}
                await producer.requests.commit(producer.identity)
        except Exception as error:  # noqa: BLE001 - whoever waits for these batches raises it
            for append, _ in gathered:
                append.written.set_exception(error)
                append.written.exception()  # looked at: whoever waits may have stopped at an earlier one
            return
        for batches in waiting.values():
            batches[-1][0].count += 1  # the marker
        for append, _ in gathered:
            append.written.set_result(StoredBatch(offsets[id(append)]))
