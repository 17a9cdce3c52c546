"""The engine's values: fetched records, entries and outputs. No I/O."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

Headers = Sequence[tuple[str, bytes]]


class RawRecord(Protocol):
    """What the engine needs of a fetched Kafka record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class SourceRecord(msgspec.Struct):
    """The same of a record that was not fetched just now: one that was stored, or that is made in memory."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Fetched(NamedTuple):
    """What one fetch returned for one topic partition."""

    records: list[RawRecord]
    next_offset: int
    end: int
    """The end of what is committed and can be read: the last stable offset."""
    size_bytes: int
    transaction_open: bool = False
    """Whether there are records after `end` whose transaction has not ended."""


class UnreadableRecord(NamedTuple):
    """Stands for a record that could not be decoded."""

    reason: str
    exception_class: str


class Entry(msgspec.Struct, gc=False):
    """One source record at its place in the order. Made for every record: the cheapest object with named fields."""

    commit_lsn: int
    """0 where there is none: the record could not be decoded, or its topic is ordered by arrival."""
    lsn: int
    source_index: int
    """Index of its topic in `EngineTopics.sources`."""
    offset: int
    change: Any
    """What the application's decoder made of the record."""
    record: RawRecord
    snapshot_lsn: int = 0
    """For a row that a snapshot read: the LSN of the snapshot. Its `lsn` is 0: it is never taken for a repeat."""


class OutputRecord(NamedTuple):
    """A record that a micro-batch writes."""

    key: bytes | None
    value: bytes | None
    headers: Headers
