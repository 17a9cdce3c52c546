"""Reads whole topics as plain values. Knows the Kafka client and nothing of what the records mean."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

READ_S_MAX = 60.0
_ANSWER_S_MAX = 10.0
_POLL_S = 0.05
_POLL_RECORDS = 2_000
_NO_HEADERS: dict[str, bytes] = {}


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


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Reader:
    """Reads from the broker at `address`.

    Args:
        address: `host:port`.
        isolation: `read_uncommitted`, or `read_committed` to leave aborted transactions out.
    """

    def __init__(self, address: str, isolation: str = "read_uncommitted") -> None:
        self.address = address
        self.isolation = isolation

    def ends(self, topic: str) -> dict[int, int]:
        """Partition to the offset after its last record."""
        return {place.partition: end for place, end in self.ends_of([topic]).items()}

    def ends_of(self, topics: Iterable[str]) -> dict[Place, int]:
        """The offset after the last record of every partition of some topics."""
        with closing(self._consumer()) as consumer:
            known = consumer.list_topics(timeout=_ANSWER_S_MAX).topics
            places = [Place(topic, number) for topic in topics for number in known[topic].partitions]
            return {place: _end(consumer, place) for place in places}

    def read(self, topic: str, starts: Mapping[int, int] | None = None) -> list[Record]:
        """Every record of a topic from the given offsets, or from the beginning, to the end as it is now.

        Records of a partition are in order. A compacted log has fewer records than offsets.
        """
        starts = starts or {}
        ends = self.ends_of([topic])
        return list(self._read({place: (starts.get(place.partition, 0), end) for place, end in ends.items()}))

    def read_partition(self, topics: Iterable[str], partition: int) -> Iterator[Record]:
        """Every record that several topics have in one partition number; those of a topic are in order."""
        with closing(self._consumer()) as consumer:
            ends = {place: _end(consumer, place) for place in (Place(topic, partition) for topic in topics)}
        return self._read({place: (0, end) for place, end in ends.items()})

    def _read(self, spans: Mapping[Place, tuple[int, int]]) -> Iterator[Record]:
        waiting = {place for place, (start, end) in spans.items() if start < end}
        with closing(self._consumer()) as consumer:
            consumer.assign([TopicPartition(*place, spans[place][0]) for place in waiting])
            idle_s = 0.0
            while waiting and idle_s < READ_S_MAX:
                messages = consumer.consume(_POLL_RECORDS, _POLL_S)
                idle_s = 0.0 if messages else idle_s + _POLL_S
                for message in messages:
                    place = Place(message.topic(), message.partition())
                    if (error := message.error()) is None:
                        if message.offset() < spans[place][1]:
                            yield _record(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        waiting.discard(place)
                    else:
                        raise KafkaException(error)
        assert not waiting, f"could not be read to their end within {READ_S_MAX:g} s: {sorted(waiting)}"

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "chaos-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": self.isolation,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 16_384,
                "log_level": 0,
            }
        )


def _end(consumer: Consumer, place: Place) -> int:
    return int(consumer.get_watermark_offsets(TopicPartition(*place), timeout=_ANSWER_S_MAX)[1])


def _record(message: Any) -> Record:
    given = message.headers()
    headers = {name: value or b"" for name, value in given} if given else _NO_HEADERS
    return Record(
        sys.intern(message.topic()),  # a run has many records and few topics
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers,
    )
