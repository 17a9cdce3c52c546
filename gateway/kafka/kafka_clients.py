"""What the gateway's readers of Kafka need of their clients. Keeps nothing and decides nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from common.kafka import librdkafka_config, unreachable
from common.settings.gateway import ReaderSettings
from common.settings.kafka import KafkaSettings

POLL_MS = 1_000
PATIENCE = 6
"""Times the allowed silence, before the brokers are looked up anew."""
_METADATA_TIMEOUT_S = 5.0

Polled = dict[TopicPartition, list[ConsumerRecord]]


def partitions_of(kafka: KafkaSettings, topics: Iterable[str]) -> dict[str, list[TopicPartition]]:
    """The partitions of those of the topics that exist.

    Blocks. The asyncio client only knows topics that it is subscribed to, so another one is asked.

    Raises:
        WatchfloorError: no broker answers.
    """
    try:
        known = AdminClient(librdkafka_config(kafka)).list_topics(timeout=_METADATA_TIMEOUT_S).topics
    except KafkaException as error:
        raise unreachable(kafka) from error
    return {
        name: [TopicPartition(name, number) for number in sorted(known[name].partitions)]
        for name in topics
        if name in known
    }


def silent_s(consumer: AIOKafkaConsumer, connected_at: float) -> float:
    """Seconds since a broker last answered a fetch, or since `connected_at` (seconds since 1970) if none did."""
    answers = [consumer.last_poll_timestamp(partition) or 0 for partition in consumer.assignment()]
    return time.time() - max(connected_at, max(answers, default=0) / 1000)


async def portions(consumer: AIOKafkaConsumer, limits: ReaderSettings) -> AsyncIterator[Polled]:
    """What comes, for ever, one poll at a time; empty where a poll brought nothing.

    Raises:
        KafkaConnectionError: no broker has answered for long.
    """
    connected_at = time.time()
    while True:
        polled: Polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=limits.poll_records_max)
        yield polled
        if polled:
            await asyncio.sleep(0)  # the sockets' turn
        elif silent_s(consumer, connected_at) > limits.broker_silence_s_max * PATIENCE:
            raise KafkaConnectionError("the broker did not come back")


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Let go of the broker."""
    # aiokafka 0.14 cancels and awaits its tasks. One that has not begun yet ends as cancelled instead of
    # returning, and `stop` would let that out as if this task were cancelled: let them begin first.
    await asyncio.sleep(0)
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
