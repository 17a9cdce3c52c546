"""Reads a small topic from its start and keeps reading it: what the gateway's views of such topics share.

Reads: every partition of one topic, no consumer group. Writes: nothing. Guarantee: a view is told all records of the
log, in the order of each partition, and then that it has caught up. On failure: what the view held stays, and the
topic is read again from its start.
"""

import asyncio
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.errors import WatchfloorError
from common.kafka import aiokafka_config
from common.settings.load import Settings
from gateway.kafka.kafka_clients import partitions_of, portions, stop_consumer

_RETRY_S = 1.0
_MISSING_S = 30.0  # a topic that is not there may be made later

_log = structlog.get_logger(__name__)


class TopicView(Protocol):
    """What a topic is folded into."""

    def begin(self) -> None:
        """The topic is read from its start: fold into something new, and go on answering by the old."""
        ...

    def take(self, record: Any) -> None:
        """A record of the topic, in the log's order: `key`, `value` and `timestamp` (ms) of aiokafka."""
        ...

    def caught_up(self) -> None:
        """What was taken is all that the log holds; said again after each further portion."""
        ...

    def missing(self) -> None:
        """There is no such topic; it is looked for again."""
        ...


async def follow(settings: Settings, topic: str, view: TopicView) -> None:
    """Keep a view as the log says until cancelled; never fails for want of a broker."""
    while True:
        try:
            found = await asyncio.to_thread(partitions_of, settings.kafka, [topic])
            if topic in found:
                await _read(settings, found[topic], view)
            view.missing()
            await asyncio.sleep(_MISSING_S)
        except (KafkaError, OSError, WatchfloorError) as error:
            _log.debug("a topic is read again", topic=topic, error=type(error).__name__)
            await asyncio.sleep(_RETRY_S)


async def _read(settings: Settings, partitions: list[TopicPartition], view: TopicView) -> None:
    """The topic from its start on, without end.

    Raises:
        KafkaError: the broker fails or is silent for long, or a position is not in the log any more.
    """
    limits = settings.gateway.reader
    consumer = AIOKafkaConsumer(
        **aiokafka_config(settings.kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        request_timeout_ms=limits.broker_silence_s_max * 1000,
    )
    try:
        await consumer.start()
        consumer.assign(partitions)
        first = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, first[partition])
        view.begin()
        behind = {partition for partition in partitions if first[partition] < ends[partition]}
        if not behind:
            view.caught_up()
        async for polled in portions(consumer, limits):
            for records in polled.values():
                for record in records:
                    view.take(record)
            waited = bool(behind)
            behind = {partition for partition in behind if await consumer.position(partition) < ends[partition]}
            if not behind and (polled or waited):
                view.caught_up()
    finally:
        await stop_consumer(consumer)
