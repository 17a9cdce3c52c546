"""The engine's values: entries, micro-batches, journal records and positions. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
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


class Fetched(NamedTuple):
    """What a fetch brought of one topic partition."""

    records: list[RawRecord]
    next_offset: int
    end: int
    """Up to where it can be read: the end of what is committed (the last stable offset)."""
    size_bytes: int
    transaction_open: bool = False
    """Whether there are records behind `end` whose transaction has not ended."""


class UnreadableRecord(NamedTuple):
    """Stands for a record that could not be decoded."""

    reason: str
    exception_class: str


class Entry(msgspec.Struct, gc=False):
    """One source record in its place. Made for every record, so it is the cheapest object that has names."""

    commit_lsn: int
    lsn: int
    source_index: int
    """Index of its topic in the engine's list of source topics."""
    offset: int
    change: Any
    """What the topic's decoder returned, or a Poison."""
    record: RawRecord
    snapshot_lsn: int = 0
    """Of a row that a snapshot read: the LSN of the snapshot. Its `lsn` is 0: it is never taken for a repeat."""


class OutputRecord(NamedTuple):
    """A record that a micro-batch writes."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class JournalEntry(msgspec.Struct, frozen=True, tag_field="type", tag="batch", omit_defaults=True):
    """What one micro-batch consists of."""

    generation: int
    batch: int
    spans: dict[str, tuple[int, int]]
    """Source topic to its first offset and the offset after its last."""
    tick_ms: int | None = None
    """Log time, Unix milliseconds, up to which the micro-batch fires the timers that are due."""
    late: int = 0
    """Records that came after a later one of another topic had been processed, or after a timer of a later
    time had been fired; and one where another database's history begins."""


class JournalFence(msgspec.Struct, frozen=True, tag_field="type", tag="fence"):
    """The start of a generation in the journal."""

    generation: int


class PartitionPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a partition's state has come; written with the state, in the same RecordBatch."""

    batch: int
    offsets: dict[str, int]
    """Source topic to the next offset to process."""
    journal_offset: int
    output_offsets: dict[str, int]
    """Output topic to the offset from which to look for outputs of later micro-batches."""
    last_order: tuple[int, int]
    """Commit order of the latest processed record."""
    progress: dict[str, tuple[int, int, list[str]]]
    """Source topic to the commit order of its latest record and the record identities at that order."""
    ticked_ms: int = 0
    """The latest time at which a timer that a tick has fired was due, Unix milliseconds."""


encode_journal = msgspec.json.Encoder().encode
decode_journal = msgspec.json.Decoder(JournalEntry | JournalFence).decode


@dataclass(frozen=True, slots=True)
class EngineTopics:
    """The topics that the engine reads and writes."""

    sources: tuple[str, ...]
    feed: str
    """The output topic whose readers follow fences."""
    other_outputs: tuple[str, ...]
    journal: str
    state: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """Topics that micro-batches write to."""
        return (self.feed, *self.other_outputs)

    def all(self) -> list[str]:
        """Every topic that the engine touches."""
        return [*self.sources, *self.outputs, self.journal, self.state]
