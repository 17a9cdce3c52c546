"""Kafka's promises in memory: topics of RecordBatches that are stored whole or not at all.

Stands in for the engine's fetcher and appender where a test needs thousands of crashes a second. What it
promises is what the broker promises; `tests/chaos` checks the same with the real one.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from streams.engine.appender import Append
from streams.engine.model import Fetched, OutputRecord


class Stored(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Metadata(NamedTuple):
    offset: int


class CrashError(Exception):
    """The process died here."""


@dataclass
class MemoryLog:
    topics: dict[tuple[str, int], list[Stored]] = field(default_factory=lambda: defaultdict(list))

    def append(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> int:
        log = self.topics[topic, partition]
        first = len(log)
        for key, value, headers in records:
            log.append(Stored(len(log), 0, key, value, tuple(headers)))
        return first

    def compact(self, topic: str, partition: int) -> None:
        """Keep the newest record of each key; offsets stay."""
        log = self.topics[topic, partition]
        newest = {record.key: record.offset for record in log}
        self.topics[topic, partition] = [record for record in log if newest[record.key] == record.offset]


class MemoryFetcher:
    """Hands records out in pieces whose size `draw` chooses."""

    def __init__(self, log: MemoryLog, draw: Callable[[], int]) -> None:
        self._log = log
        self._draw = draw

    async def fetch(self, offsets: Mapping[TopicPartition, int], _wait_ms: int) -> dict[TopicPartition, Fetched]:
        return {place: self._piece(place, offset, self._draw()) for place, offset in offsets.items()}

    async def end(self, place: TopicPartition) -> int:
        log = self._log.topics[place.topic, place.partition]
        return log[-1].offset + 1 if log else 0

    def _piece(self, place: TopicPartition, offset: int, count: int) -> Fetched:
        log = self._log.topics[place.topic, place.partition]
        records: list[Any] = [record for record in log if record.offset >= offset][:count]
        following = records[-1].offset + 1 if records else offset
        end = log[-1].offset + 1 if log else 0
        return Fetched(records, following, end, 100 * len(records))

    async def read(self, place: TopicPartition, start: int, end: int | None = None) -> AsyncIterator[Any]:
        for record in list(self._log.topics[place.topic, place.partition]):
            if record.offset >= start and (end is None or record.offset < end):
                yield record


class MemoryAppender:
    """Stores RecordBatches until `lives` of them were attempted, then dies: before storing, or before the ack.

    Batches that are under way together are stored in any order of their topics, as a broker may, but in
    their own order within a topic.
    """

    def __init__(self, log: MemoryLog, lives: int | None, *, stores_last: bool, draws: random.Random) -> None:
        self._log = log
        self._lives = lives
        self._stores_last = stores_last
        self._draws = draws
        self._under_way: list[tuple[str, int, Sequence[OutputRecord], asyncio.Future[Any]]] = []

    async def append(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> list[Append]:
        return [self._store(topic, partition, records)]

    async def append_whole(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> Append:
        return self._store(topic, partition, [OutputRecord(key, value, ()) for key, value in records])

    def _store(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> Append:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[Any] = loop.create_future()
        if not self._under_way:
            loop.call_soon(self._flush)
        self._under_way.append((topic, partition, records, written))
        return Append(topic, len(records), written)

    def _flush(self) -> None:
        waiting, self._under_way = self._under_way, []
        while waiting:
            topic = self._draws.choice([each[0] for each in waiting])
            at = next(index for index, each in enumerate(waiting) if each[0] == topic)
            self._write(*waiting.pop(at))

    def _write(
        self, topic: str, partition: int, records: Sequence[OutputRecord], written: "asyncio.Future[Any]"
    ) -> None:
        dying = self._lives is not None and self._lives <= 0
        if self._lives is not None:
            self._lives -= 1
        if dying:
            if self._stores_last:
                self._log.append(topic, partition, records)
                self._stores_last = False
            written.set_exception(CrashError())
            written.exception()  # looked at: the cycle may have died before it waits for this one
        else:
            written.set_result(Metadata(self._log.append(topic, partition, records)))
