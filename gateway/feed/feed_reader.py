"""Reads `noc.anomalies` and `noc.processed`: every partition, no consumer group, from the tail on.

Reads: both topics. Writes: the hub. Guarantee: each accepted record reaches the hub once and in order,
also across a broker's absence. On failure: not ready, connects anew, goes on where it stopped. When the
topic was recreated every client is told to come back, since its position means nothing any more.
"""

import asyncio
import time
from collections.abc import Iterable

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, OffsetOutOfRangeError

from common.errors import WatchfloorError
from common.kafka import aiokafka_config, feed_epoch, unreachable
from common.settings.gateway import ReaderSettings
from common.settings.kafka import KafkaSettings
from contracts.messages import CloseCode
from contracts.topics import TopicNames
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.hub import Hub
from gateway.feed.rendering import FeedEntry
from gateway.kafka.kafka_clients import PATIENCE, POLL_MS, Polled, partitions_of, silent_s, stop_consumer
from gateway.metrics import GatewayMetrics
from gateway.session.replies import iso

_RETRY_S = 1.0

_log = structlog.get_logger(__name__)


class FeedReader:
    """The gateway's view of the log.

    Args:
        kafka: the cluster.
        limits: fetch and tail sizes, how long a broker may be silent.
        hub: gets what was read.
        intake: decides what is shown.
        metrics: lag and reconnects.
    """

    def __init__(
        self, kafka: KafkaSettings, limits: ReaderSettings, hub: Hub, intake: FeedDecoder, metrics: GatewayMetrics
    ) -> None:
        self._kafka = kafka
        self._limits = limits
        self._hub = hub
        self._intake = intake
        self._metrics = metrics
        self._topics = TopicNames(kafka.topic_prefix)
        self._consumer: AIOKafkaConsumer | None = None
        self._next: dict[TopicPartition, int] = {}
        self._answering = False
        self._connected_at = 0.0
        self.epoch = ""
        """The identity of the log; empty before `open`."""
        self.positions_known = False
        """Whether the tail was read: until then nobody may be told where the feed stands."""
        self.lag_records = 0
        """Feed records that are not read yet."""
        self.last_record_at: float | None = None
        """When the newest feed record that was read was appended, seconds since 1970."""
        self.last_output_at: float | None = None
        """The same of feed records and clean events."""

    @property
    def ready(self) -> bool:
        """Whether the past was read and the broker answers."""
        return self._answering

    @property
    def lag_seconds(self) -> float:
        """How old the newest feed record that was read is, where others wait; 0 where none do."""
        waits = self.lag_records > 0 and self.last_record_at is not None
        return max(0.0, time.time() - (self.last_record_at or 0.0)) if waits else 0.0

    async def open(self) -> None:
        """Connect and read back the tail, so that every tenant's position is known before anybody signs in.

        Raises:
            WatchfloorError: no broker answers in time, or a topic is missing.
        """
        deadline = time.monotonic() + self._limits.broker_wait_s_max
        while True:
            try:
                await self._connect()
            except (KafkaError, OSError) as error:
                if time.monotonic() > deadline:
                    raise unreachable(self._kafka) from error
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._poll()
            except OffsetOutOfRangeError as error:
                # Retention was faster than this gateway, or the topic is a new one. What is left is read;
                # the hole shows in the sequence.
                for partition in error.args[0]:
                    self._next.pop(partition, None)
                await self._reconnect("the position is not in the log any more")
            except KafkaError as error:
                await self._reconnect(str(error) or type(error).__name__)

    async def close(self) -> None:
        """Let go of the broker."""
        self._answering = False
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def _reconnect(self, reason: str) -> None:
        self._metrics.reconnects.inc()
        _log.error("the feed is interrupted, connecting anew", reason=reason, broker=self._kafka.bootstrap_servers)
        while True:
            await self.close()
            try:
                await self._connect()
            except (KafkaError, OSError, WatchfloorError) as error:
                _log.debug("no connection yet", error=type(error).__name__)
                await asyncio.sleep(_RETRY_S)
            else:
                _log.info("the feed goes on")
                return

    async def _connect(self) -> None:
        consumer = AIOKafkaConsumer(
            **aiokafka_config(self._kafka),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            # With `guarantee: transactions` what a killed worker did not commit is made anew, with the same numbers.
            isolation_level="read_committed",
            fetch_max_wait_ms=self._limits.fetch_wait_ms_max,
            request_timeout_ms=self._limits.broker_silence_s_max * 1000,
        )
        self._consumer = consumer
        try:
            await consumer.start()
            topics = await asyncio.to_thread(_partitions, self._kafka, self._topics)
            anomalies, processed = topics[self._topics.anomalies], topics[self._topics.processed]
            await self._learn_epoch()
            consumer.assign([*anomalies, *processed])
            ends = await self._seek(consumer, anomalies, processed)
            self._connected_at = time.time()
            await self._catch_up(consumer, {partition: ends[partition] for partition in anomalies})
        except BaseException:
            await self.close()
            raise
        self._answering = True

    async def _learn_epoch(self) -> None:
        epoch = await asyncio.to_thread(feed_epoch, self._kafka, self._topics.anomalies)
        if self.epoch and epoch != self.epoch:
            _log.warning("the feed's topic is a new one", old=self.epoch, new=epoch)
            self.positions_known = False
            self._next.clear()
            self._intake.clear()
            self._hub.close_all(CloseCode.RESTARTING, "the log behind the feed is a new one")
        self.epoch = epoch

    async def _seek(
        self, consumer: AIOKafkaConsumer, anomalies: Iterable[TopicPartition], processed: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        first = await consumer.beginning_offsets([*anomalies])
        ends: dict[TopicPartition, int] = await consumer.end_offsets([*anomalies, *processed])
        for partition, end in ends.items():
            # The clean events of the past interest nobody; of the feed the tail tells the positions.
            start = max(first[partition], end - self._limits.tail_records_max) if partition in first else end
            consumer.seek(partition, self._next.setdefault(partition, start))
        return ends

    async def _catch_up(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        behind = {partition for partition in ends if self._next[partition] < ends[partition]}
        while behind:
            await self._take(consumer, await self._fetch(consumer))
            if silent_s(consumer, self._connected_at) > self._limits.broker_silence_s_max:
                raise KafkaConnectionError("the broker does not answer")
            behind = {partition for partition in behind if await consumer.position(partition) < ends[partition]}
        self.positions_known = True

    async def _poll(self) -> None:
        consumer = self._consumer
        if consumer is None:
            raise KafkaConnectionError("not connected")
        polled = await self._fetch(consumer)
        began = time.perf_counter()
        silence_s = silent_s(consumer, self._connected_at)
        if silence_s > self._limits.broker_silence_s_max:
            self._fell_silent(silence_s)
        else:
            if not self._answering:
                await self._is_back()
            await self._take(consumer, polled)
        if polled:
            # The sockets' turn. The more one round costs, the longer it is: under load rounds grow, and a round
            # of many messages costs hardly more than one of few.
            await asyncio.sleep(min(time.perf_counter() - began, self._limits.round_pause_ms_max / 1000))

    def _fell_silent(self, silence_s: float) -> None:
        # The client keeps trying the brokers that it knows; after a while they may be others.
        if self._answering:
            self._answering = False
            _log.error("the feed is interrupted: the broker does not answer", broker=self._kafka.bootstrap_servers)
        if silence_s > self._limits.broker_silence_s_max * PATIENCE:
            raise KafkaConnectionError("the broker did not come back")

    async def _is_back(self) -> None:
        # What was fetched may be of another log by the same name: nothing of it is shown before this is known.
        try:
            epoch = await asyncio.to_thread(feed_epoch, self._kafka, self._topics.anomalies)
        except WatchfloorError as error:
            raise KafkaConnectionError("the broker went away again") from error
        if epoch != self.epoch:
            raise KafkaConnectionError("the feed's topic is another one")
        self._answering = True
        _log.info("the feed goes on")

    async def _fetch(self, consumer: AIOKafkaConsumer) -> Polled:
        polled: Polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._limits.poll_records_max)
        return polled

    async def _take(self, consumer: AIOKafkaConsumer, polled: Polled) -> None:
        entries: list[FeedEntry] = []
        for partition, records in polled.items():
            if partition.topic == self._topics.anomalies:
                entries += self._anomalies(partition.partition, records)
            else:
                self._processed(partition.partition, records)
            self._next[partition] = records[-1].offset + 1
            self._note_time(partition.topic, records[-1].timestamp / 1000)
        if self.positions_known:
            self._hub.publish(entries)
        else:
            self._hub.remember(entries)
        self.lag_records = await self._lag(consumer)
        self._metrics.lag.set(self.lag_records)

    def _note_time(self, topic: str, appended_at: float) -> None:
        self.last_output_at = max(self.last_output_at or 0.0, appended_at)
        if topic == self._topics.anomalies:
            self.last_record_at = max(self.last_record_at or 0.0, appended_at)

    def _anomalies(self, partition: int, records: list[ConsumerRecord]) -> list[FeedEntry]:
        found: list[FeedEntry] = []
        for record in records:
            entry = self._intake.anomaly(
                partition, record.offset, record.headers, record.value or b"", record.timestamp
            )
            if entry is not None:
                found.append(entry)
        return found

    def _processed(self, partition: int, records: list[ConsumerRecord]) -> None:
        for record in records:
            batch = self._intake.processed(partition, record.offset, record.headers, record.value or b"")
            if batch is not None:
                self._hub.publish_processed(batch.tenant_id, batch.events, iso(record.timestamp / 1000))

    async def _lag(self, consumer: AIOKafkaConsumer) -> int:
        lag = 0
        for partition in self._next:
            highwater = consumer.highwater(partition)
            if partition.topic == self._topics.anomalies and highwater is not None:
                # Not from the last record on: behind it may be the marker of its transaction.
                lag += max(0, highwater - await consumer.position(partition))
        return lag


def _partitions(kafka: KafkaSettings, names: TopicNames) -> dict[str, list[TopicPartition]]:
    """The partitions of both topics. Blocks."""
    needed = (names.anomalies, names.processed)
    found = partitions_of(kafka, needed)
    for name in needed:
        if name not in found:
            raise WatchfloorError(f"the topic {name} is missing", "start `watchfloor up` or a worker, which make it")
    return found
