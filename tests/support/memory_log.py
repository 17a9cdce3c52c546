"""Kafka's guarantees in memory: topics of RecordBatches that are stored whole or not at all.

Stands in for the engine's fetcher and appender where a test needs thousands of crashes a second. `support.log_contract`
holds it to the broker's behaviour. Readers see committed records only: what a transaction left behind that was not
committed takes offsets and is never seen.
"""

import asyncio
import random
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced
from aiokafka.structs import TopicPartition

from streams.engine.kafka.appender import BatchTooLargeError, PendingAppend
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
    ends: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    epochs: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Partition to the epoch of its transactional writer."""
    first: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """The first offset that is still there."""
    bytes_max: dict[str, int] = field(default_factory=dict)
    """Topic to the size of a RecordBatch that it refuses to exceed; of others none."""
    disturb: Callable[[], None] = lambda: None
    """Called wherever something else may happen: between two RecordBatches, between two fetches of a reading."""
    _open: dict[tuple[str, int], int] = field(default_factory=dict)
    """The first offset of a transaction that has not ended: nothing from there on can be read."""
    _cleaned: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _cleaned_when_read: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """How far a log had been cleaned when the latest reading of it began."""

    def append(self, topic: str, partition: int, records: Sequence[OutputRecord], timestamp_ms: int = 0) -> int:
        log = self.topics[topic, partition]
        first = self.ends[topic, partition]
        for key, value, headers in records:
            log.append(Stored(self.skip(topic, partition, 1), timestamp_ms, key, value, tuple(headers)))
        return first

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """What retention does."""
        self.first[topic, partition] = offset
        log = self.topics[topic, partition]
        self.topics[topic, partition] = [record for record in log if record.offset >= offset]

    def skip(self, topic: str, partition: int, count: int) -> int:
        """Use offsets up without a record that anybody sees: a marker, or what was aborted."""
        first = self.ends[topic, partition]
        self.ends[topic, partition] += count
        return first

    def leave_open(self, topic: str, partition: int, count: int) -> None:
        """A writer sent so many records in a transaction and went; the next one that claims the partition aborts it."""
        self._open.setdefault((topic, partition), self.skip(topic, partition, count))

    def abort(self, partition: int) -> None:
        """End what was left open in a partition of any topic, with a marker."""
        for where in [where for where in self._open if where[1] == partition]:
            del self._open[where]
            self.skip(*where, 1)

    def stable_end(self, topic: str, partition: int) -> int:
        """The end of what is committed."""
        return self._open.get((topic, partition), self.ends[topic, partition])

    def compact(
        self,
        topic: str,
        partition: int,
        *,
        upto: int | None = None,
        drop_tombstones: bool = False,
        tombstones: bool = False,
    ) -> None:
        """Keep the newest record of each key, as far as the cleaner looks; offsets stay.

        Args:
            topic: which.
            partition: of it.
            upto: the offset before which it looks; by default the whole log.
            drop_tombstones: of those that had survived a compaction before the latest reading began. Others stay:
                a reading must not meet a value and miss its tombstone (`delete.retention.ms`).
            tombstones: all of them go, as after `delete.retention.ms`.
        """
        where = (topic, partition)
        upto = self.ends[where] if upto is None else upto
        newest = {record.key: record.offset for record in self.topics[where] if record.offset < upto}
        gone_before = upto if tombstones else self._cleaned_when_read[where] if drop_tombstones else 0
        self.topics[where] = [
            record
            for record in self.topics[where]
            if record.offset >= upto
            or (newest[record.key] == record.offset and (record.value is not None or record.offset >= gone_before))
        ]
        self._cleaned[where] = max(self._cleaned[where], upto)

    def note_reading(self, topic: str, partition: int) -> None:
        """A reading begins at the log's first offset."""
        self._cleaned_when_read[topic, partition] = self._cleaned[topic, partition]


class MemoryFetcher:
    """Hands records out in pieces whose size `draw` chooses."""

    read_records = 5
    """What one fetch of a reading brings."""

    def __init__(self, log: MemoryLog, draw: Callable[[], int]) -> None:
        self._log = log
        self._draw = draw

    async def start(self, _topics: list[str]) -> None:
        """There is nothing to connect to."""

    async def stop(self) -> None:
        """The same."""

    async def fetch(self, offsets: Mapping[TopicPartition, int], _wait_ms: int) -> dict[TopicPartition, Fetched]:
        return {
            topic_partition: self._piece(topic_partition, offset, self._draw())
            for topic_partition, offset in offsets.items()
        }

    async def fetch_now(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Fetched]:
        return await self.fetch(offsets, 0)

    async def first(self, topic_partition: TopicPartition) -> int:
        return self._log.first[topic_partition.topic, topic_partition.partition]

    def partitions(self, topic: str) -> set[int]:
        return {partition for name, partition in self._log.topics if name == topic}

    async def end(self, topic_partition: TopicPartition) -> int:
        return self._log.stable_end(topic_partition.topic, topic_partition.partition)

    def _piece(self, topic_partition: TopicPartition, offset: int, count: int) -> Fetched:
        log = self._log.topics[topic_partition.topic, topic_partition.partition]
        first, written = (
            self._log.first[topic_partition.topic, topic_partition.partition],
            self._log.ends[topic_partition.topic, topic_partition.partition],
        )
        end = self._log.stable_end(topic_partition.topic, topic_partition.partition)
        if not first <= offset <= written:  # as the broker: begin anew
            return Fetched([], first, end, 0)
        start, stop = (bisect_left(log, each, key=attrgetter("offset")) for each in (offset, end))
        records: list[Any] = log[start : min(start + count, stop)]
        following = end if stop - start <= count else records[-1].offset + 1 if records else offset
        return Fetched(records, max(offset, following), end, 100 * len(records), end < written)

    async def read(self, topic_partition: TopicPartition, start: int, end: int | None = None) -> AsyncIterator[Any]:
        async for records in self.read_pieces(topic_partition, start, end):
            for record in records:
                yield record

    async def read_pieces(
        self, topic_partition: TopicPartition, start: int, end: int | None = None
    ) -> AsyncIterator[list[Any]]:
        if start == 0:
            self._log.note_reading(topic_partition.topic, topic_partition.partition)
        while end is None or start < end:
            piece = self._piece(topic_partition, start, self.read_records)
            yield [record for record in piece.records if end is None or record.offset < end]
            start = piece.next_offset
            if end is not None and piece.transaction_open and start >= piece.end:
                await asyncio.sleep(0)
            elif start >= piece.end and (end is None or not piece.records):
                return
            self._log.disturb()


class MemoryAppender:
    """Stores RecordBatches until `lives` of them were attempted, then dies: before storing, or before the ack.

    Batches that are under way together are stored in any order of their topics, as a broker may, but in
    their own order within a topic.
    """

    def __init__(
        self,
        log: MemoryLog,
        lives: int | None,
        *,
        stores_last: bool,
        draws: random.Random,
        whole_bytes_max: int | None = None,
        splits: bool = False,
        batch_bytes_max: int | None = None,
    ) -> None:
        self._whole_bytes_max = whole_bytes_max
        self._batch_bytes_max = batch_bytes_max
        self._splits = splits
        self._log = log
        self._lives = lives
        self._stores_last = stores_last
        self._draws = draws
        self._under_way: list[tuple[str, int, Sequence[OutputRecord], asyncio.Future[Any]]] = []

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def stop(self) -> None:
        """The same."""

    async def claim(self, _partition: int) -> None:
        """Anybody may write."""

    async def commit(self) -> None:
        """Everything is on its way already."""

    async def append(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> list[PendingAppend]:
        """One RecordBatch, or as many as it likes, as if each were full somewhere."""
        if self._batch_bytes_max is not None or not records:
            return [self._store(topic, partition, full) for full in self._full_batches(records)]
        if not self._splits:
            return [self._store(topic, partition, records)]
        appends, start = [], 0
        while start < len(records):
            count = len(records) - start if self._draws.randrange(2) else self._draws.randrange(1, len(records) + 1)
            appends.append(self._store(topic, partition, records[start : start + count]))
            start += count
        return appends

    async def append_whole(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes | None]], *, generation: int
    ) -> PendingAppend:
        if self._whole_bytes_max is not None and len(records) > 1:
            assert sum(len(key) + len(value or b"") for key, value in records) <= self._whole_bytes_max
        tombstone = [("generation", b"%d" % generation)]
        made = [OutputRecord(key, value, tombstone if value is None else ()) for key, value in records]
        if self._batch_bytes_max is not None and len(made) > 1 and _size(made) > self._batch_bytes_max:
            raise BatchTooLargeError(topic, self._batch_bytes_max)
        return self._store(topic, partition, made)

    def _full_batches(self, records: Sequence[OutputRecord]) -> list[list[OutputRecord]]:
        batches: list[list[OutputRecord]] = []
        for record in records:
            if not batches or _size([*batches[-1], record]) > (self._batch_bytes_max or 0):
                batches.append([])
            batches[-1].append(record)
        return batches

    def _store(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> PendingAppend:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[Any] = loop.create_future()
        if not self._under_way:
            loop.call_soon(self._flush)
        self._under_way.append((topic, partition, records, written))
        return PendingAppend(topic, len(records), written)

    def _flush(self) -> None:
        waiting, self._under_way = self._under_way, []
        while waiting:
            topic = self._draws.choice([each[0] for each in waiting])
            at = next(index for index, each in enumerate(waiting) if each[0] == topic)
            self._write(*waiting.pop(at))
            self._log.disturb()

    def _write(
        self, topic: str, partition: int, records: Sequence[OutputRecord], written: "asyncio.Future[Any]"
    ) -> None:
        if _size(records) > self._log.bytes_max.get(topic, sys.maxsize):
            written.set_exception(MessageSizeTooLargeError())
            written.exception()  # looked at, as below
            return
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


class TransactionalMemoryAppender(MemoryAppender):
    """Stores what was gathered for a commit together; dies before the commit, or before its ack."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._epochs: dict[int, int] = {}
        self._gathered: list[tuple[int, PendingAppend, Sequence[OutputRecord]]] = []

    async def claim(self, partition: int) -> None:
        self._log.epochs[partition] += 1
        self._epochs[partition] = self._log.epochs[partition]
        self._log.abort(partition)

    async def commit(self) -> None:
        gathered, self._gathered = self._gathered, []
        loop = asyncio.get_running_loop()
        for number in {number for number, _, _ in gathered}:
            loop.call_soon(self._transact, number, [each[1:] for each in gathered if each[0] == number])

    def _store(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> PendingAppend:
        append = PendingAppend(topic, len(records), asyncio.get_running_loop().create_future())
        self._gathered.append((partition, append, records))
        return append

    def _transact(self, partition: int, batches: list[tuple[PendingAppend, Sequence[OutputRecord]]]) -> None:
        if self._epochs[partition] != self._log.epochs[partition]:
            self._fail(batches, ProducerFenced())
            return
        dying = self._lives is not None and self._lives <= 0
        if self._lives is not None:
            self._lives -= 1
        committed = not dying or self._stores_last
        offsets = [
            (self._log.append if committed else self._void)(append.topic, partition, records)
            for append, records in batches
        ]
        for append in {append.topic: append for append, _ in batches}.values():
            self._log.skip(append.topic, partition, 1)  # the marker
            append.count += 1
        if dying:
            self._fail(batches, CrashError())
        else:
            for (append, _), offset in zip(batches, offsets, strict=True):
                append.written.set_result(Metadata(offset))
        self._log.disturb()

    def _void(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> int:
        return self._log.skip(topic, partition, self._draws.randrange(len(records) + 1))

    def _fail(self, batches: list[tuple[PendingAppend, Sequence[OutputRecord]]], error: Exception) -> None:
        for append, _ in batches:
            append.written.set_exception(error)
            append.written.exception()  # looked at: the cycle may have died before it waits for this one


def _size(records: Sequence[OutputRecord]) -> int:
    """About what records take in a RecordBatch."""
    return sum(len(key or b"") + len(value or b"") + 64 * (1 + len(headers)) for key, value, headers in records)
