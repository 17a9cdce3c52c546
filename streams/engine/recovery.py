"""Taking over a partition: fence, read the tails, rebuild state and the micro-batches to run again.

The new owner appends a fence record with its generation to the feed, the journal and the changelog, in
this order, and reads each tail up to its own fence. Whatever an older generation writes behind a fence
is ignored by readers and by the next recovery.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog
from aiokafka.structs import TopicPartition

from streams.engine.appender import BATCH_HEADER, Append, Appender
from streams.engine.fetcher import Fetcher
from streams.engine.model import (
    EngineTopics,
    JournalEntry,
    JournalFence,
    OutputRecord,
    Position,
    RawRecord,
    decode_journal,
    encode_journal,
)
from streams.engine.partition import Partition
from streams.engine.tables import PartitionState

log = structlog.get_logger(__name__)

GENERATION_HEADER = "generation"
JOURNAL_HEADER = "journal"
POSITION_KEY = b"@position"
FENCE_KEY = b"@fence:"
"""Followed by the generation: under compaction every fence must survive beside the others."""

_decode_position = msgspec.msgpack.Decoder(tuple[int, Position]).decode
decode_generation = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode


def encode_position(generation: int, position: Position) -> tuple[bytes, bytes]:
    """The changelog record that says how far the state beside it has come."""
    return POSITION_KEY, msgspec.msgpack.encode((generation, position))


@dataclass(slots=True)
class _Tails:
    """What the reading of the tails has found so far."""

    state: PartitionState
    position: Position = field(default_factory=lambda: Position(0, {}, 0, {}, (0, 0), {}))
    fences: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    """The highest generation met anywhere."""
    entries: dict[int, JournalEntry] = field(default_factory=dict)
    written: dict[str, tuple[int, int]] = field(default_factory=dict)
    read_to: dict[str, int] = field(default_factory=dict)
    stale: int = 0

    def met(self, topic: str, generation: int, *, fence: bool = False) -> bool:
        """Note a record's generation; whether the record counts."""
        self.seen = max(self.seen, generation)
        if fence:
            self.fences[topic] = max(self.fences.get(topic, 0), generation)
            return False
        if generation < self.fences.get(topic, 0):
            self.stale += 1
            return False
        return True


class Recovery:
    """Recovers partitions for one worker.

    Args:
        make_state: builds the empty tables of a partition.
        make_partition: builds the partition around its state.
        make_fence: the feed's fence record for a generation.
    """

    def __init__(
        self,
        topics: EngineTopics,
        fetcher: Fetcher,
        appender: Appender,
        make_state: Callable[[], PartitionState],
        make_partition: Callable[[int, PartitionState], Partition],
        make_fence: Callable[[int], OutputRecord],
    ) -> None:
        self._topics = topics
        self._fetcher = fetcher
        self._appender = appender
        self._make_state = make_state
        self._make_partition = make_partition
        self._make_fence = make_fence

    async def recover(self, number: int) -> Partition:
        """Take the partition over; afterwards older owners can do no harm.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        above = 0
        while True:
            tails = _Tails(self._make_state())
            await self._read_tails(number, tails, ends={})
            generation = max(tails.seen, above) + 1
            fences = await self._append_fences(number, generation)
            # Between the first reading and the fence an older owner may have written more.
            await self._read_tails(number, tails, ends={append.topic: offset for append, offset in fences})
            if tails.seen < generation:
                break
            above = tails.seen  # a rival fenced at the same moment: go above it
        partition = self._rebuild(number, generation, tails)
        ends = {append.topic: offset + append.count for append, offset in fences}
        partition.ends = {topic: tails.read_to.get(topic, 0) for topic in self._topics.outputs} | ends
        log.info(
            "partition recovered",
            partition=number,
            generation=generation,
            batch=partition.batch,
            replay=len(partition.replay),
            stale=tails.stale,
            keys=sum(len(table) for table in partition.state.tables.values()),
        )
        return partition

    async def _append_fences(self, number: int, generation: int) -> list[tuple[Append, int]]:
        journal = OutputRecord(None, encode_journal(JournalFence(generation)), ())
        state = (FENCE_KEY + b"%d" % generation, msgspec.msgpack.encode((generation, None)))
        appends = [
            *await self._appender.append(self._topics.feed, number, [self._make_fence(generation)]),
            *await self._appender.append(self._topics.journal, number, [journal]),
            await self._appender.append_whole(self._topics.state, number, [state]),
        ]
        return [(append, (await append.written).offset) for append in appends]

    async def _read_tails(self, number: int, tails: _Tails, ends: dict[str, int]) -> None:
        topics = self._topics
        await self._read(topics.state, number, tails, 0, ends, self._on_state)
        await self._read(topics.journal, number, tails, tails.position.journal_offset, ends, self._on_journal)
        for topic in topics.outputs:
            await self._read(topic, number, tails, tails.position.output_offsets.get(topic, 0), ends, self._on_output)

    async def _read(
        self,
        topic: str,
        number: int,
        tails: _Tails,
        start: int,
        ends: dict[str, int],
        handle: Callable[[str, RawRecord, _Tails], None],
    ) -> None:
        start = tails.read_to.get(topic, start)
        async for record in self._fetcher.read(TopicPartition(topic, number), start, ends.get(topic)):
            tails.read_to[topic] = record.offset + 1
            handle(topic, record, tails)
        tails.read_to.setdefault(topic, start)

    def _on_state(self, topic: str, record: RawRecord, tails: _Tails) -> None:
        key, value = record.key or b"", record.value or b""
        generation = decode_generation(value)[0]
        if not tails.met(topic, generation, fence=key.startswith(FENCE_KEY)):
            return
        if key == POSITION_KEY:
            tails.position = _decode_position(value)[1]
            return
        try:
            tails.state.load(key, value)
        except KeyError:  # a table of an earlier version of the application
            tails.stale += 1

    def _on_journal(self, topic: str, record: RawRecord, tails: _Tails) -> None:
        entry = decode_journal(record.value or b"")
        if tails.met(topic, entry.generation, fence=isinstance(entry, JournalFence)):
            self._note_entry(entry, tails)

    def _on_output(self, topic: str, record: RawRecord, tails: _Tails) -> None:
        headers = dict(record.headers)
        generation = int(headers.get(GENERATION_HEADER, b"0"))
        batch = headers.get(BATCH_HEADER)
        if not tails.met(topic, generation, fence=batch is None) or batch is None:
            return
        number, _, index = batch.partition(b"/")
        tails.written[topic] = max(tails.written.get(topic, (0, 0)), (int(number), int(index)))
        if JOURNAL_HEADER in headers:
            self._note_entry(decode_journal(headers[JOURNAL_HEADER]), tails)

    @staticmethod
    def _note_entry(entry: JournalEntry | JournalFence, tails: _Tails) -> None:
        if isinstance(entry, JournalEntry):
            tails.entries[entry.batch] = entry

    def _rebuild(self, number: int, generation: int, tails: _Tails) -> Partition:
        partition = self._make_partition(number, tails.state)
        partition.generation = generation
        partition.resume_at(tails.position)
        partition.written = tails.written
        following = partition.batch + 1
        replay: deque[JournalEntry] = deque()
        while following in tails.entries:
            replay.append(tails.entries[following])
            following += 1
        if any(batch >= following for batch in tails.entries):
            # Impossible while journal entries are acknowledged in order; if it happens, say so loudly.
            log.error("hole in the journal", partition=number, missing=following)
        partition.replay = replay
        return partition
