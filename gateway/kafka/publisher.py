"""What the gateway itself writes to Kafka: one producer for all kinds of records.

Writes: the topics of its outlets. Guarantee: each record at most once and acknowledged by all replicas. On failure:
while no broker answers records wait in their outlet's queue, which has a bound; what becomes of a record that finds no
room or that the broker does not take is decided by its outlet. Nobody ever waits for it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from prometheus_client import Counter

from contracts.topics import partition_of_key
from gateway.kafka.kafka_clients import KafkaClients
from gateway.metrics import GatewayMetrics

R = TypeVar("R")

_POLL_S = 0.05
_IN_FLIGHT_MAX = 500
"""Of each outlet: what librdkafka holds besides the queue here."""
_SPARE = 100

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EncodedRecord:
    """A record as it is produced."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Outlet(ABC, Generic[R]):
    """One kind of records: where they go, how many may wait, and what becomes of those that are not taken.

    Args:
        name: in metrics and log lines.
        topic: where they go; the partition follows from the key.
        counter: of records by what became of them.
    """

    def __init__(self, name: str, topic: str, counter: Counter) -> None:
        self.name = name
        self.topic = topic
        self.counter = counter
        self.in_flight = 0
        """Records that the producer holds."""
        self.queue: deque[tuple[R, EncodedRecord]] = deque()
        """Records that wait for the producer, the oldest first; change it by `append` and `pop`."""
        self.queued_bytes = 0

    def append(self, record: R) -> None:
        """Queue a record."""
        encoded = self.encode(record)
        self.queue.append((record, encoded))
        self.queued_bytes += len(encoded.value)

    def pop(self) -> R:
        """Take the oldest record out; raises IndexError where there is none."""
        record, encoded = self.queue.popleft()
        self.queued_bytes -= len(encoded.value)
        return record

    def written(self, record: R) -> None:  # noqa: ARG002 - for subclasses
        """The broker has taken a record."""
        self.counter.labels("written").inc()

    @abstractmethod
    def encode(self, record: R) -> EncodedRecord:
        """The record's bytes."""

    @abstractmethod
    def add(self, record: R) -> None:
        """Queue a record as far as there is room; `lost` is called for what there is none for."""

    @abstractmethod
    def lost(self, record: R, why: str) -> None:
        """A record will never be written."""


class Publisher:
    """The gateway's producer. Its methods never wait and never fail.

    Args:
        outlets: what is written; those that come first are handed over first.
        stop_s_max: how long a stop waits for the broker.
    """

    def __init__(
        self, clients: KafkaClients, outlets: Sequence[Outlet[Any]], metrics: GatewayMetrics, stop_s_max: float
    ) -> None:
        self._partitions = clients.kafka.partitions
        self._outlets = outlets
        self._metrics = metrics
        self._stop_s_max = stop_s_max
        self._producer = clients.producer(len(outlets) * _IN_FLIGHT_MAX + _SPARE)

    @property
    def waiting(self) -> dict[str, int]:
        """Records that no broker has taken yet, by the name of their outlet."""
        return {outlet.name: len(outlet.queue) + outlet.in_flight for outlet in self._outlets}

    def publish(self, outlet: Outlet[R], record: R) -> None:
        """Write a record, as far as its outlet has room."""
        try:
            outlet.add(record)
        except Exception as error:  # noqa: BLE001 - whatever cannot be encoded costs itself, not who wanted it recorded
            outlet.lost(record, f"it cannot be encoded ({type(error).__name__})")
        self._hand_over()

    async def run(self) -> None:
        """Serve the producer until cancelled."""
        while True:
            self.serve()
            await asyncio.sleep(_POLL_S)

    def serve(self) -> None:
        """Take note of what was delivered and hand over what there is room for."""
        self._producer.poll(0)
        self._hand_over()
        for name, count in self.waiting.items():
            self._metrics.publish_waiting.labels(name).set(count)

    async def close(self) -> None:
        """Let the broker take what is left, for as long as the settings say; the rest is lost."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._stop_s_max
        while any(self.waiting.values()) and loop.time() < deadline:
            self.serve()
            await asyncio.to_thread(self._producer.flush, _POLL_S)
        left = self.waiting
        if not any(left.values()):
            return
        _log.warning("not everything reached the broker", **left)
        self._producer.purge()
        self._producer.poll(0)
        for outlet in self._outlets:
            while outlet.queue:
                outlet.lost(outlet.pop(), "the gateway stops and no broker answers")

    def _hand_over(self) -> None:
        for outlet in self._outlets:
            while outlet.queue and outlet.in_flight < _IN_FLIGHT_MAX:
                if not self._produce(outlet, *outlet.queue[0]):
                    return
                outlet.pop()

    def _produce(self, outlet: Outlet[R], record: R, encoded: EncodedRecord) -> bool:
        """Hand over a record; False where the producer is full."""

        def delivered(error: KafkaError | None, _message: Message) -> None:
            outlet.in_flight -= 1
            if error is None:
                outlet.written(record)
            else:
                outlet.lost(record, error.name())

        try:
            self._producer.produce(
                outlet.topic,
                key=encoded.key,
                value=encoded.value,
                headers=list(encoded.headers),
                partition=partition_of_key(encoded.key, self._partitions),
                on_delivery=delivered,
            )
        except BufferError:
            return False
        except KafkaException as error:  # such as a record that is too large: it would never be taken
            outlet.lost(record, error.args[0].name())
            return True
        outlet.in_flight += 1
        return True
