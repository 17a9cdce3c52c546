"""A Kafka cluster made of values, with as much of its clients as the gateway uses."""

import asyncio
import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from confluent_kafka import KafkaError, KafkaException
from support.waiting import let_pass_async, until_async

from common.kafka import unreachable
from common.settings.kafka import KafkaSettings
from gateway.kafka.kafka_clients import KafkaClients, TopicDescription

SOON_S = 5.0


class FakePartition:
    """The log of one partition. Offsets in `hidden` are aborted records and markers: no reader sees them."""

    def __init__(self) -> None:
        self.first = 0
        self.records: list[Any] = []
        self.hidden: set[int] = set()

    @property
    def end(self) -> int:
        return len(self.records)


class FakeTopic:
    """A topic; `id` changes when it is made anew."""

    def __init__(self, name: str, partitions: int) -> None:
        self.id = f"first {name}"
        self.partitions = {TopicPartition(name, number): FakePartition() for number in range(partitions)}

    def make_anew(self) -> None:
        self.id = f"second {self.id}"
        for partition in self.partitions:
            self.partitions[partition] = FakePartition()


class FakeConsumer:
    """A consumer of a fake cluster."""

    def __init__(self, cluster: "FakeCluster") -> None:
        self._cluster = cluster
        self._positions: dict[TopicPartition, int] = {}
        self._assigned: list[TopicPartition] = []
        self._answered_ms = 0

    async def start(self) -> None:
        self._cluster.consumers += 1
        if not self._cluster.answers:
            raise OSError

    async def stop(self) -> None:
        self._cluster.stopped += 1
        raise asyncio.CancelledError  # what aiokafka 0.14 lets out where one of its tasks had not begun

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._assigned = partitions

    def assignment(self) -> list[TopicPartition]:
        return self._assigned

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._cluster.partition(partition).first for partition in partitions}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._cluster.partition(partition).end for partition in partitions}

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found: dict[TopicPartition, Any] = {}
        for partition, at_ms in times.items():
            records = self._cluster.partition(partition).records
            found[partition] = next((record for record in records if record.timestamp >= at_ms), None)
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    def highwater(self, partition: TopicPartition) -> int | None:
        return self._cluster.partition(partition).end

    def last_poll_timestamp(self, _partition: TopicPartition) -> int:
        return self._answered_ms

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        assert timeout_ms
        await let_pass_async(0.001)  # nothing is there yet
        if self._cluster.failures:
            raise self._cluster.failures.pop()
        if not self._cluster.answers:
            return {}
        self._answered_ms = int((time.time() - self._cluster.answered_ago_s) * 1000)
        polled: dict[TopicPartition, list[Any]] = {}
        for partition in self._assigned:
            log, at = self._cluster.partition(partition), self._positions[partition]
            if not log.first <= at <= log.end:
                raise OffsetOutOfRangeError({partition: at})
            self._positions[partition] = min(log.end, at + max_records)
            shown = [record for record in log.records[at : at + max_records] if record.offset not in log.hidden]
            if shown:
                polled[partition] = shown
        return polled


class FakeProducer:
    """Takes up to `room` records, and acknowledges them when a test says so."""

    def __init__(self, room: int = 10_000) -> None:
        self.room = room
        self.taken: list[dict[str, Any]] = []
        self.unanswered: list[Callable[..., None]] = []
        self.refuses: KafkaError | None = None
        self.answers = True

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **record: Any) -> None:
        if self.refuses is not None:
            raise KafkaException(self.refuses)
        if len(self.unanswered) >= self.room:
            raise BufferError
        self.taken.append({"topic": topic, **record})
        self.unanswered.append(on_delivery)

    def answer(self, error: KafkaError | None = None) -> None:
        waiting, self.unanswered = self.unanswered, []
        for answered in waiting:
            answered(error, None)

    def poll(self, timeout: float) -> int:
        assert timeout == 0
        if self.answers:
            self.answer()
        return 0

    def flush(self, timeout: float) -> int:
        assert timeout <= 0.1
        return len(self.unanswered)

    def purge(self) -> None:
        self.answers = False
        self.answer(KafkaError(KafkaError._PURGE_QUEUE))


class FakeCluster(KafkaClients):
    """Topics with so many partitions each, and whether the brokers answer."""

    def __init__(
        self, kafka: KafkaSettings | None = None, *, producer: FakeProducer | None = None, **topics: int
    ) -> None:
        super().__init__(kafka or KafkaSettings())
        self.topics = {name: FakeTopic(name, partitions) for name, partitions in topics.items()}
        self.answers = True
        self.failures: list[Exception] = []
        """Raised by the next polls."""
        self.answered_ago_s = 0.0
        """How long ago what a poll gives was fetched."""
        self.consumers = 0
        self.stopped = 0
        self._producer = producer or FakeProducer()

    def partition(self, partition: TopicPartition) -> FakePartition:
        return self.topics[partition.topic].partitions[partition]

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        partition: int = 0,
        key: bytes = b"",
        headers: Iterable[tuple[str, bytes]] = (),
        at: float = 0.0,
    ) -> None:
        """Append a record that was written at a time in seconds since 1970."""
        log = self.topics[topic].partitions[TopicPartition(topic, partition)]
        log.records.append(
            SimpleNamespace(offset=log.end, key=key, value=value, headers=tuple(headers), timestamp=int(at * 1000))
        )

    def consumer(self, *, fetch_wait_ms_max: int, request_timeout_ms: int) -> Any:
        assert fetch_wait_ms_max < request_timeout_ms
        return FakeConsumer(self)

    def producer(self, records_max: int) -> Any:
        assert records_max
        return self._producer

    def describe(self, topics: Iterable[str]) -> dict[str, TopicDescription]:
        if not self.answers:
            raise unreachable(self.kafka)
        found = {name: self.topics[name] for name in topics if name in self.topics}
        return {name: TopicDescription(topic.id, list(topic.partitions)) for name, topic in found.items()}


async def until(condition: Callable[[], object]) -> None:
    """Wait for what a reader does."""
    await until_async(condition, "the reader has come to it", within_s=SOON_S)
