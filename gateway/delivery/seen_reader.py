"""What other gateways were told of who has looked at what: the tail of `noc.receipts`.

Reads: `noc.receipts`, every partition, no consumer group, from so long ago as CRITICAL messages are watched.
Writes: the receipts of this gateway. Guarantee: none beyond the log's; a mark that is missed makes a notice too
many. On failure: connects anew and reads the same again, which changes nothing.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from common.errors import WatchfloorError
from common.kafka import aiokafka_config
from common.settings.gateway import GatewaySettings
from common.settings.kafka import KafkaSettings
from contracts.receipts import SEEN_HEADER, ReceiptBatch, decode_receipts
from contracts.topics import TopicNames
from gateway.kafka.kafka_clients import partitions_of, portions, stop_consumer

_RETRY_S = 1.0
_MISSING_S = 30.0  # a topic that is not there may be made later
_WINDOW_S_MAX = 24 * 3_600.0

_log = structlog.get_logger(__name__)


class SeenReader:
    """Reads the marks of all gateways of a cluster.

    Args:
        kafka: the cluster.
        limits: how far is read back.
        own: the name of this process; its own marks are known.
        take: gets each record with marks.
    """

    def __init__(
        self, kafka: KafkaSettings, limits: GatewaySettings, own: str, take: Callable[[ReceiptBatch], None]
    ) -> None:
        self._kafka = kafka
        self._limits = limits
        self._own = own
        self._take = take
        self._topic = TopicNames(kafka.topic_prefix).receipts
        self._failing = False
        watched_s = limits.critical.unseen_s * 2.0 ** (limits.critical.notices_max - 1)
        self._window_s = min(watched_s, _WINDOW_S_MAX) + limits.receipts.interval_ms / 1000

    async def run(self) -> None:
        """Read until cancelled; never fails for want of a broker."""
        while True:
            try:
                found = await asyncio.to_thread(partitions_of, self._kafka, [self._topic])
                if self._topic in found:
                    await self._read(found[self._topic])
                _log.warning("the topic of receipts is missing: nobody knows what was seen", topic=self._topic)
                await asyncio.sleep(_MISSING_S)
            except (KafkaError, OSError, WatchfloorError) as error:
                if not self._failing:  # said once, not every second of a broker's absence
                    self._failing = True
                    _log.warning("what other gateways were told is not known now", error=type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _read(self, partitions: list[TopicPartition]) -> None:
        consumer = AIOKafkaConsumer(
            **aiokafka_config(self._kafka),
            group_id=None,
            enable_auto_commit=False,
            # What retention took before it was read was old.
            auto_offset_reset="latest",
            request_timeout_ms=self._limits.reader.broker_silence_s_max * 1000,
        )
        try:
            await consumer.start()
            consumer.assign(partitions)
            since_ms = int((time.time() - self._window_s) * 1000)
            places = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                place = places.get(partition)
                consumer.seek(partition, ends[partition] if place is None else place.offset)
            async for polled in portions(consumer, self._limits.reader):
                for records in polled.values():
                    self._hear(records)
                self._failing = self._failing and not polled
        finally:
            await stop_consumer(consumer)

    def _hear(self, records: list[ConsumerRecord]) -> None:
        for record in records:
            if SEEN_HEADER not in (record.headers or ()):
                continue
            try:
                batch = decode_receipts(record.value or b"")
            except (msgspec.DecodeError, ValueError) as error:
                _log.warning("receipts cannot be read", offset=record.offset, error=type(error).__name__)
                continue
            if batch.gateway != self._own:
                self._take(batch)
