"""One partition as a state machine: buffers in, micro-batches out. Pure but for the batch's future."""

from collections import deque
from collections.abc import Sequence

from streams.engine.model import EngineTopics, Entry, JournalEntry, PartitionPosition
from streams.engine.partition.merge import Order, cut, reach, take_spans
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.source_progress import NOWHERE, RecordIdentity, SourceProgress
from streams.engine.state.chunked_snapshot import MARKER
from streams.engine.state.partition_state import PartitionState


class Partition:
    """Buffers and position of one partition that this worker owns.

    Args:
        number: the Kafka partition number, the same in every topic.
        topics: the source topics, by rank.
        identity: tells records of the same commit order apart, such as table and primary key.
        tick_grace_ms: how long the log is given to bring what was committed before a timer's time.
    """

    def __init__(
        self,
        number: int,
        topics: Sequence[str],
        state: PartitionState,
        identity: RecordIdentity,
        *,
        generation: int = 0,
        tick_grace_ms: int = 0,
    ) -> None:
        self.number = number
        self.topics = tuple(topics)
        self.state = state
        self.generation = generation
        self.batch = 0
        self.offsets = [0] * len(self.topics)
        """Next offset to process, by rank."""
        self.fetched = [0] * len(self.topics)
        """Next offset to fetch, by rank."""
        self.high_watermarks = [-1] * len(self.topics)
        """End offsets as of the last fetch, by rank; -1 before the first."""
        self.asked_ms = [0] * len(self.topics)
        """When the last fetch that was answered was sent, Unix milliseconds, by rank; 0 before the first."""
        self.buffers: list[deque[Entry]] = [deque() for _ in self.topics]
        self.buffered_bytes = [0] * len(self.topics)
        self.replay: deque[JournalEntry] = deque()
        """Journalled micro-batches that are to be run again before anything new."""
        self.written: dict[str, dict[int, int]] = {}
        """Output topic to micro-batch to the index of the last output that it already has."""
        self.ends: dict[str, int] = {}
        """Written topic to the offset at which our next record is expected."""
        self._horizon: Order | None = None
        """What lies behind it is left for a later micro-batch than the next; None: nothing is."""
        self.last_order: Order = (0, 0)
        self.newest_ms = 0
        """When the latest processed record was appended to its topic, Unix milliseconds; 0 before the first."""
        self.progress: dict[str, tuple[int, int, list[str]]] = {}
        self.wake_at_ms: int | None = 0
        """When a tick is wanted. A recovered partition wants one at once: its timers may be overdue."""
        self.log_ms = 0
        """Commit time of the last processed record, Unix milliseconds; 0 before the first."""
        self.ticked_ms = 0
        """The latest time at which a timer that a tick has fired was due."""
        self.fenced = False
        """Whether to write nothing more of it: another worker has it, or may have it by now."""
        self.unsaved = False
        """Whether a micro-batch was processed since the last snapshot."""
        self.parts_serial = 0
        """Counts this owner's snapshots that were written in parts."""
        self.obsolete: set[bytes] = set()
        """Changelog keys of parts that nobody needs once the next snapshot is written."""
        self._identity = identity
        self._tick_grace_ms = tick_grace_ms

    def resume_at(self, position: PartitionPosition) -> None:
        """Start after a recovered position."""
        self.batch = position.batch
        self.offsets = [position.offsets.get(topic, 0) for topic in self.topics]
        self.fetched = list(self.offsets)
        self.last_order = position.last_order
        self.progress = dict(position.progress)
        self.ticked_ms = position.ticked_ms

    def position(self, topics: EngineTopics) -> PartitionPosition:
        """Where the state is now; valid to store once all outputs so far are acknowledged."""
        return PartitionPosition(
            batch=self.batch,
            offsets=dict(zip(self.topics, self.offsets, strict=True)),
            journal_offset=self.ends[topics.journal],
            output_offsets={topic: self.ends[topic] for topic in topics.outputs},
            last_order=self.last_order,
            progress=dict(self.progress),
            ticked_ms=self.ticked_ms,
        )

    @property
    def lagging(self) -> list[bool]:
        """Per topic whether the broker has records that were not fetched yet."""
        return [end < 0 or have < end for have, end in zip(self.fetched, self.high_watermarks, strict=True)]

    @property
    def caught_up(self) -> bool:
        """Whether everything that the broker had at the last fetch was processed."""
        return not self.replay and not any(self.buffers) and not any(self.lagging)

    @property
    def lag_records(self) -> int:
        """Offsets between what was processed and the end of the source topics, as of the last fetch.

        What was fetched and left nothing in the buffer is processed too: deleted records and the markers of
        transactions. `offsets` does not move for those, so that a topic's spans in the journal join without a
        gap; recovery takes a gap for a sign that an output was made from something else.
        """
        places = zip(self.offsets, self.fetched, self.buffers, self.high_watermarks, strict=True)
        return sum(max(0, end - (at if buffer else fetched)) for at, fetched, buffer, end in places)

    def wants(self, source_index: int, bytes_max: int) -> bool:
        """Whether to fetch more of a topic: its buffer has room, or a micro-batch that is run again needs more.

        The fetches of the first run may have been cut differently, so a journalled micro-batch can be larger
        than the buffer; without the exception it would be waited for for ever.
        """
        if self.buffered_bytes[source_index] < bytes_max:
            return True
        return (
            bool(self.replay)
            and self.fetched[source_index] < self.replay[0].spans.get(self.topics[source_index], (0, 0))[1]
        )

    def add(
        self,
        source_index: int,
        entries: Sequence[Entry],
        next_offset: int,
        high_watermark: int,
        size_bytes: int,
        asked_ms: int = 0,
    ) -> None:
        """Take in what a fetch brought of one topic; `asked_ms` is when it was sent."""
        self.buffers[source_index].extend(entries)
        self.buffered_bytes[source_index] += size_bytes if entries else 0
        self.fetched[source_index] = next_offset
        self.high_watermarks[source_index] = high_watermark
        self.asked_ms[source_index] = asked_ms

    @property
    def waiting_records(self) -> int:
        """Entries in the buffers."""
        return sum(map(len, self.buffers))

    def set_horizon(self, *, wanted: bool) -> bool:
        """Leave what comes from now on to a later micro-batch than the next; whether there is a next one.

        An answer is not a picture of one moment: the broker looks at one topic after the other, and may have looked
        at an earlier row's topic before that row came, and at a later row's topic after. Asked once more, it brings
        all that was there before the rows at hand, and rows that came after them, of which the same cannot be said.
        """
        wanted = wanted and not self.replay and any(self.buffers)
        self._horizon = reach(self.buffers) if wanted else None
        return wanted

    def reached_ms(self) -> int:
        """How far the log has come: nothing that was committed before is taken to be still under way.

        Where nothing waits, the moment at which the topics were asked, less the grace for what was under way
        then. Where records wait, the commit time of the last processed one, less the same for commits whose
        order is not quite that of their times. A broker that does not answer does not let time pass.
        """
        waits = any(self.buffers) or any(self.lagging)
        return (self.log_ms if waits else min(self.asked_ms)) - self._tick_grace_ms

    def next_batch(self, *, wait: bool) -> MicroBatch | None:
        """The next micro-batch: exactly what the journal says while it has more, then what there is.

        A tick is part of it when a timer is due by the time that the log has reached; the timers come after the
        records.

        Args:
            wait: whether to wait for topics that lag.
        """
        if self.replay:
            return self._replayed_batch()
        entries = cut(self.buffers, self.lagging, wait=wait, horizon=self._horizon)
        tick_ms = None
        if self.wake_at_ms is not None:
            reached_ms = self.reached_ms()
            tick_ms = reached_ms if reached_ms >= self.wake_at_ms else None
        if not entries and tick_ms is None:
            return None
        return self._make_batch(entries, tick_ms)

    def finish(self, batch: MicroBatch) -> None:
        """Take over what the agent said about a processed micro-batch."""
        self.wake_at_ms = batch.wake_at_ms
        self.log_ms = batch.log_ms or self.log_ms
        self.ticked_ms = max(self.ticked_ms, batch.fired_ms)
        self.state.sweep()

    def touch(self, key: bytes) -> None:
        """Write this changelog key again with the next snapshot; where it is one of a part, delete it then.

        Raises:
            KeyError: of a table that does not exist (any more).
        """
        self.unsaved = True
        if key.startswith(MARKER):
            self.obsolete.add(key)
        else:
            self.state.touch(key)

    def _replayed_batch(self) -> MicroBatch | None:
        entry = self.replay[0]
        ends = [entry.spans.get(topic, (0, at))[1] for topic, at in zip(self.topics, self.offsets, strict=True)]
        if any(have < end for have, end in zip(self.fetched, ends, strict=True)):
            return None  # not fetched yet
        self.replay.popleft()
        return self._make_batch(take_spans(self.buffers, ends), entry.tick_ms)

    def _make_batch(self, entries: list[Entry], tick_ms: int | None) -> MicroBatch:
        spans = self._advance(entries)
        self.batch += 1
        batch = MicroBatch(self.number, self.batch, self.state, [], spans, tick_ms)
        batch.ticked_ms = self.ticked_ms
        batch.entries = self._without_repeats(entries, batch)
        if entries:
            self.newest_ms = entries[-1].record.timestamp
        self.unsaved = True
        return batch

    def _advance(self, entries: list[Entry]) -> dict[str, tuple[int, int]]:
        """Move the offsets past these entries; returns the span of each topic that has any."""
        ends = list(self.offsets)
        for entry in entries:
            if entry.offset >= ends[entry.source_index]:
                ends[entry.source_index] = entry.offset + 1
        spans = {}
        for source_index, (start, end) in enumerate(zip(self.offsets, ends, strict=True)):
            if end > start:
                spans[self.topics[source_index]] = (start, end)
                if not self.buffers[source_index]:
                    self.buffered_bytes[source_index] = 0
        self.offsets = ends
        return spans

    def _without_repeats(self, entries: list[Entry], batch: MicroBatch) -> list[Entry]:
        """Drop what a restarted Connect sent again, count what came late, note the commit order reached.

        Records with LSN 0 (unreadable ones, snapshot rows) are never repeats.
        """
        kept: list[Entry] = []
        append = kept.append
        frontier = [SourceProgress(*self.progress.get(topic, NOWHERE)) for topic in self.topics]
        last = self.last_order
        for entry in entries:
            lsn = entry.lsn
            if lsn:
                order = (entry.commit_lsn, lsn)
                reached = frontier[entry.source_index]
                if order > reached.order:
                    reached.order, reached.newest, reached.identities = order, entry, None
                elif order < reached.order or reached.holds(entry, self._identity):
                    batch.repeats += 1
                    continue
                if order < last:
                    batch.late += 1
                else:
                    last = order
            elif entry.snapshot_lsn:
                if entry.snapshot_lsn < last[0]:
                    # Within one database a snapshot is never older than what was streamed before it. Everything
                    # of the new one would look like a repeat of the old one.
                    batch.new_history = True
                    batch.late += 1
                    frontier = [SourceProgress(*NOWHERE) for _ in self.topics]
                    self.progress.clear()
                    last = NOWHERE[:2]
                last = max(last, (entry.snapshot_lsn, 0))
            append(entry)
        self.last_order = last
        for topic, reached in zip(self.topics, frontier, strict=True):
            if reached.order != NOWHERE[:2]:
                self.progress[topic] = (*reached.order, reached.known(self._identity))
        return kept
