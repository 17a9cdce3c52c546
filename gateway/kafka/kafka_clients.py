"""Makes the gateway's Kafka clients and looks topics up. Reads no records and keeps nothing."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from common.kafka import aiokafka_config, librdkafka_config, unreachable
from common.settings.kafka import KafkaSettings

_METADATA_TIMEOUT_S = 5.0
# A topic that this user may not see is as good as missing.
_NOT_THERE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED})


class TopicDescription(NamedTuple):
    """A topic that exists."""

    id: str
    """A topic that was deleted and made anew has another one, and positions in the old one mean nothing in it."""
    partitions: list[TopicPartition]


class KafkaClients:
    """The clients of one gateway."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka

    def consumer(self, *, fetch_wait_ms_max: int, request_timeout_ms: int) -> AIOKafkaConsumer:
        """A consumer without a group, whose positions are set by the caller."""
        return AIOKafkaConsumer(
            **aiokafka_config(self.kafka),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            # With `guarantee: transactions` what a killed worker did not commit is made anew, with the same numbers.
            isolation_level="read_committed",
            fetch_max_wait_ms=fetch_wait_ms_max,
            request_timeout_ms=request_timeout_ms,
        )

    def producer(self, records_max: int) -> Producer:
        """The gateway's producer, which holds so many records: each at most once, acknowledged by all replicas."""
        return Producer(
            librdkafka_config(
                self.kafka,
                client_id="watchfloor-gateway",
                acks="all",
                enable_idempotence=True,
                linger_ms=50,
                compression_type="gzip",  # the only codec that every reader has, the gateways' own reader among them
                # Until it is taken, or this process ends: what is too much is dropped by the rules of its outlet.
                message_timeout_ms=0,
                queue_buffering_max_messages=records_max,
            )
        )

    def describe(self, topics: Iterable[str]) -> dict[str, TopicDescription]:
        """Those of the topics that exist, by name.

        Blocks. The asyncio client knows only the topics that it is subscribed to, so another client is used.

        Raises:
            WatchfloorError: no broker answers.
        """
        found: dict[str, TopicDescription] = {}
        names = TopicCollection(list(topics))
        try:
            admin = AdminClient(librdkafka_config(self.kafka))
            for name, answer in admin.describe_topics(names, request_timeout=_METADATA_TIMEOUT_S).items():
                try:
                    topic = answer.result()
                except KafkaException as error:
                    if error.args[0].code() not in _NOT_THERE:
                        raise
                else:
                    partitions = sorted(TopicPartition(name, partition.id) for partition in topic.partitions)
                    found[name] = TopicDescription(str(topic.topic_id), partitions)
        except KafkaException as error:
            raise unreachable(self.kafka) from error
        return found


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer's connections."""
    # aiokafka 0.14 cancels and awaits its tasks. One that has not begun yet ends as cancelled instead of
    # returning, and `stop` would let that out as if this task were cancelled: let them begin first.
    await asyncio.sleep(0)
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
