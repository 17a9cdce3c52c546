"""The broker behaves as the engine relies on, and as the in-memory log does on which the engine is tested."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import NotLeaderForPartitionError, UnknownTopicOrPartitionError
from aiokafka.structs import TopicPartition
from confluent_kafka import TopicPartition as AdminPartition
from confluent_kafka.admin import AdminClient, NewTopic
from support.log_contract import BATCH_BYTES, PARTITIONS, SMALL_BYTES_MAX, LogContract
from support.stack import RunningStack
from support.waiting import let_pass_async

from common.kafka import aiokafka_config, librdkafka_config
from common.settings.kafka import KafkaSettings
from streams.engine.kafka.appender import Appender, PlainAppender
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.kafka.transactions import TransactionalAppender
from streams.engine.model import OutputRecord

NAMES = ("plain", "other", "small")


class BrokerClients:
    """Clients of a broker on which new topics were made."""

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self._config = aiokafka_config(kafka)
        self._admin = AdminClient(librdkafka_config(kafka))
        self._prefix = prefix
        self._appenders: list[Appender] = []
        self.fetcher = Fetcher(self._config, fetch_bytes_max=1 << 20, partition_bytes_max=1 << 20)

    async def start(self) -> None:
        small = {"max.message.bytes": str(SMALL_BYTES_MAX)}
        topics = [NewTopic(self.topic(name), PARTITIONS, 1, config=small if name == "small" else {}) for name in NAMES]
        await asyncio.gather(*(asyncio.wrap_future(done) for done in self._admin.create_topics(topics).values()))
        await self.fetcher.start([self.topic(name) for name in NAMES])
        while not all(self.fetcher.partitions(self.topic(name)) for name in NAMES):
            await self.fetcher._refresh()  # the broker has made them and may not say so yet
        async with asyncio.timeout(10):
            while not await self._answer():
                await let_pass_async(0.05)  # until the broker leads the partitions of the new topics

    async def _answer(self) -> bool:
        places = [TopicPartition(self.topic(name), number) for name in NAMES for number in range(PARTITIONS)]
        try:
            return all([await self.fetcher.end(place) >= 0 for place in places])
        except (NotLeaderForPartitionError, UnknownTopicOrPartitionError):
            return False

    async def stop(self) -> None:
        for client in (*self._appenders, self.fetcher):
            await client.stop()
        deleted = self._admin.delete_topics([self.topic(name) for name in NAMES])
        await asyncio.gather(*(asyncio.wrap_future(done) for done in deleted.values()))

    def topic(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    async def appender(self, *, transactions: bool = False) -> Appender:
        limits = {"batch_bytes_max": BATCH_BYTES, "state_batch_bytes_max": BATCH_BYTES}
        made: Appender = (
            TransactionalAppender(
                self._config, transactional_id_prefix=self._prefix, transaction_timeout_ms=60_000, **limits
            )
            if transactions
            else PlainAppender(self._config, **limits)
        )
        await made.start()
        self._appenders.append(made)
        return made

    async def leave_open(self, appender: TransactionalAppender, topic: str, records: Sequence[OutputRecord]) -> None:
        (_,) = await appender.append(topic, 0, records)
        producer = appender._producers[0]
        ((_, data),), producer.gathered = producer.gathered, []
        await producer.requests.begin(producer.identity, [topic], 0)
        await producer.requests.produce(producer.identity, 0, {topic: data})

    async def delete_before(self, topic: str, partition: int, offset: int) -> None:
        (done,) = self._admin.delete_records([AdminPartition(topic, partition, offset)]).values()
        await asyncio.wrap_future(done)


class Broker:
    """The stack's."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[BrokerClients]:
        clients = BrokerClients(self._kafka, f"log-{secrets.token_hex(4)}")
        try:
            await clients.start()
            yield clients
        finally:
            await clients.stop()


class TestBroker(LogContract):
    @pytest.fixture
    def log(self, stack: RunningStack) -> Broker:
        return Broker(stack.settings.kafka)
