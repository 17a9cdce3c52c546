"""The engine's values: entries, micro-batches, journal records and positions. No I/O."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import msgspec

from streams.engine.tables import PartitionState

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


class Poison(NamedTuple):
    """Stands for a record that could not be decoded."""

    reason: str
    exception_class: str


class Entry(msgspec.Struct, gc=False):
    """One source record in its place. Made for every record, so it is the cheapest object that has names."""

    commit_lsn: int
    lsn: int
    rank: int
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


class Position(msgspec.Struct, frozen=True, array_like=True):
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


class MicroBatch:
    """The records of one partition, in commit order, that are processed and written as one.

    An agent enters it (`with batch:`), reads `entries`, `tick_ms` and `ticked_ms`, changes `state`, calls `emit`,
    sets `wake_at_ms`, `log_ms` and `fired_ms`, and adds to `late`. It must not await in between: nothing else may
    touch the state meanwhile.
    """

    __slots__ = (
        "entries",
        "fired_ms",
        "late",
        "log_ms",
        "new_history",
        "number",
        "outputs",
        "partition",
        "processed",
        "repeats",
        "spans",
        "state",
        "tick_ms",
        "ticked_ms",
        "wake_at_ms",
    )

    def __init__(
        self,
        partition: int,
        number: int,
        state: PartitionState,
        entries: list[Entry],
        spans: dict[str, tuple[int, int]],
        tick_ms: int | None,
    ) -> None:
        self.partition = partition
        self.number = number
        """Counts the micro-batches of the partition, from 1, without holes."""
        self.state = state
        self.entries = entries
        self.spans = spans
        self.tick_ms = tick_ms
        """Log time up to which due timers fire, after the entries; None: none do. It says which timers, never more:
        what a timer does is a matter of the time it was due."""
        self.ticked_ms = 0
        """The latest time at which a timer that an earlier tick has fired was due: a record from before it is late."""
        self.fired_ms = 0
        """The same of this micro-batch's tick; 0: it fired none."""
        self.log_ms = 0
        """The agent's word on how far the log has come: commit time of the last record; 0: it cannot tell."""
        self.late = 0
        self.repeats = 0
        self.new_history = False
        """Whether a snapshot showed that the LSNs have begun anew: another database stands behind the topics."""
        self.outputs: dict[str, list[OutputRecord]] = {}
        self.wake_at_ms: int | None = None
        """When the agent wants a tick, Unix milliseconds; None: not before new records come."""
        self.processed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def emit(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """Append a record to an output topic, in the partition of the micro-batch."""
        self.outputs.setdefault(topic, []).append(OutputRecord(key, value, headers))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Tell the engine that processing ended. An error is a defect of the agent: the engine stops for it."""
        if not self.processed.done():
            if error is None:
                self.processed.set_result(None)
            else:
                self.processed.set_exception(error)
        return isinstance(error, Exception)
