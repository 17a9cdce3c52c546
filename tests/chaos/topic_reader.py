"""Reads whole topics as plain values. Knows the Kafka client and nothing of what the records mean."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

READ_S_MAX = 60.0
_POLL_S = 1.0
_POLL_RECORDS = 2_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the log has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Reader:
    """Reads from the broker at `address`.

    Args:
        address: of the broker.
        committed: leave out what is not committed, as any reader with `read_committed` does, and nothing else.
    """

    def __init__(self, address: str, *, committed: bool = False) -> None:
        self._address = address
        self._isolation = "read_committed" if committed else "read_uncommitted"

    def ends(self, topic: str) -> dict[int, int]:
        """Partition to the offset after its last record."""
        consumer = self._consumer()
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            places = [TopicPartition(topic, number) for number in partitions]
            return {each.partition: consumer.get_watermark_offsets(each, timeout=10)[1] for each in places}
        finally:
            consumer.close()

    def read(self, topic: str, starts: dict[int, int] | None = None) -> list[Record]:
        """Every record from the given offsets, or from the beginning, to the end as it is now.

        Records of a partition are in order. A compacted log has fewer records than offsets.
        """
        ends = self.ends(topic)
        starts = starts or {}
        places = [TopicPartition(topic, number, starts.get(number, 0)) for number in ends]
        waiting = {each.partition for each in places if each.offset < ends[each.partition]}
        consumer = self._consumer()
        records: list[Record] = []
        try:
            consumer.assign([each for each in places if each.partition in waiting])
            idle_s = 0.0
            while waiting and idle_s < READ_S_MAX:
                messages = consumer.consume(_POLL_RECORDS, _POLL_S)
                idle_s = 0.0 if messages else idle_s + _POLL_S
                for message in messages:
                    if message.error() is not None:
                        if message.error().code() == -191:
                            waiting.discard(message.partition())
                            continue
                        raise KafkaException(message.error())
                    if message.offset() < ends[message.partition()]:
                        records.append(_record(message))
            assert not waiting, f"{topic} could not be read to its end within {READ_S_MAX:g} s"
        finally:
            consumer.close()
        return records

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._address,
                "group.id": "chaos-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": self._isolation,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )


def by_partition(records: Iterable[Record]) -> dict[int, list[Record]]:
    """The records of each partition, in order."""
    parts: dict[int, list[Record]] = {}
    for record in records:
        parts.setdefault(record.partition, []).append(record)
    return parts


def _record(message: Any) -> Record:
    headers = {name: value or b"" for name, value in message.headers() or ()}
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers,
    )
