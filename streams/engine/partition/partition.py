"""One partition as a state machine: buffers in, micro-batches out. Pure but for the batch's future."""

import contextlib
import sys
from collections import deque
from collections.abc import Iterable, Sequence

from streams.engine.formats import JournalEntry, PartitionPosition
from streams.engine.model import Entry
from streams.engine.partition.merge import CommitOrder, in_commit_order, latest_order, take_before, take_ready
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.source_progress import CommitProgress
from streams.engine.spec import EngineTopics, RecordIdentity, SourceTopic
from streams.engine.state.chunked_snapshot import CHUNK_PREFIX
from streams.engine.state.partition_state import PartitionState
from streams.engine.state.table import RESERVED_PREFIX


class Partition:
    """Buffers and position of one partition that this worker owns.

    Args:
        number: the Kafka partition number, the same in every topic.
        sources: the inputs; their indexes are those of the lists below.
        tick_grace_ms: how long the log is given to bring what was committed before a timer's time.
    """

    def __init__(
        self,
        number: int,
        sources: Sequence[SourceTopic],
        state: PartitionState,
        identity: RecordIdentity,
        *,
        tick_grace_ms: int = 0,
    ) -> None:
        self.number = number
        self.topics = tuple(source.topic for source in sources)
        self.state = state
        self.generation = 0
        self.batch = 0
        self.offsets = [0] * len(self.topics)
        """Next offset to process, by source."""
        self.fetched = [0] * len(self.topics)
        """Next offset to fetch, by source."""
        self.high_watermarks = [-1] * len(self.topics)
        """End offsets as of the last fetch, by source; -1 before the first."""
        self.asked_ms = [0] * len(self.topics)
        """When the last fetch that was answered was sent, Unix milliseconds, by source; 0 before the first."""
        self.delay_ms_max = 0.0
        """The longest time from the commit of the last row of a micro-batch to its end, since somebody set it to 0."""
        self.buffers: list[deque[Entry]] = [deque() for _ in self.topics]
        self._merged = [index for index, source in enumerate(sources) if source.ordered_by == "commit_lsn"]
        self._arriving = [index for index, source in enumerate(sources) if source.ordered_by == "arrival"]
        self.merge_buffers = [self.buffers[index] for index in self._merged]
        """The buffers of the sources that are ordered by commit LSN."""
        self.buffered_bytes = [0] * len(self.topics)
        self.replay: deque[JournalEntry] = deque()
        """Journalled micro-batches that must be run again before anything new."""
        self.written: dict[str, dict[int, int]] = {}
        """Output topic to micro-batch to the index of the last output that it already has."""
        self.ends: dict[str, int] = {}
        """Written topic to the offset at which our next record is expected."""
        self.newest_ms = 0
        """When the latest processed record was appended to its topic, Unix milliseconds; 0 before the first."""
        self.wake_at_ms: int | None = 0
        """When a tick is wanted. A recovered partition wants one at once: its timers may be overdue."""
        self.log_ms = 0
        """Commit time of the last processed record, Unix milliseconds; 0 before the first."""
        self.ticked_ms = 0
        """The latest time at which a timer that a tick has fired was due."""
        self.fenced = False
        """Whether nothing more of it may be written: another worker has it, or may have it by now."""
        self.unsaved = False
        """Whether a micro-batch was processed since the last snapshot."""
        self.chunked_snapshots = 0
        """Counts this owner's snapshots that were written in chunks."""
        self.obsolete_chunks: set[bytes] = set()
        """Changelog keys of chunks that nobody needs once the next snapshot is written."""
        self._progress = CommitProgress(self.topics, identity)
        self._horizon: CommitOrder | None = None
        """Later entries are left for a later micro-batch than the next; None: none are."""
        self._tick_grace_ms = tick_grace_ms

    def resume_at(self, position: PartitionPosition) -> None:
        """Start after a recovered position."""
        self.batch = position.batch
        self.offsets = [position.offsets.get(topic, 0) for topic in self.topics]
        self.fetched = list(self.offsets)
        self.ticked_ms = position.ticked_ms
        self._progress.resume_at(position)

    def position(self, topics: EngineTopics) -> PartitionPosition:
        """Where the state is now; valid to store once all outputs so far are acknowledged."""
        return PartitionPosition(
            batch=self.batch,
            offsets=dict(zip(self.topics, self.offsets, strict=True)),
            journal_offset=self.ends[topics.journal],
            output_offsets={topic: self.ends[topic] for topic in topics.outputs.values()},
            last_order=self._progress.last_order,
            progress=dict(self._progress.by_topic),
            ticked_ms=self.ticked_ms,
        )

    @property
    def lagging(self) -> list[bool]:
        """By source whether the broker has records that were not fetched yet."""
        return [end < 0 or have < end for have, end in zip(self.fetched, self.high_watermarks, strict=True)]

    @property
    def merge_lagging(self) -> list[bool]:
        """The same of the sources that are ordered by commit LSN."""
        lagging = self.lagging
        return [lagging[index] for index in self._merged] if self._arriving else lagging

    @property
    def caught_up(self) -> bool:
        """Whether everything that the broker had at the last fetch was processed."""
        return not self.replay and not any(self.buffers) and not any(self.lagging)

    @property
    def lag_records(self) -> int:
        """Offsets between what was processed and the end of the source topics, as of the last fetch.

        What was fetched and left nothing in the buffer is processed too: deleted records and the markers of
        transactions. `offsets` does not move for those, so that a topic's spans in the journal join without a
        gap; recovery takes a gap as a sign that an output was made from something else.
        """
        sources = zip(self.offsets, self.fetched, self.buffers, self.high_watermarks, strict=True)
        return sum(max(0, end - (offset if buffer else fetched)) for offset, fetched, buffer, end in sources)

    @property
    def buffered_records(self) -> int:
        """Entries in the buffers."""
        return sum(map(len, self.buffers))

    def wants(self, source_index: int, bytes_max: int) -> bool:
        """Whether to fetch more of a topic: its buffer is not full, or a micro-batch that is run again needs more.

        The fetches of the first run may have been cut differently, so a journalled micro-batch can be larger
        than the buffer. Without the exception it would be waited for forever.
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
        """Take in what a fetch returned for one topic; `asked_ms` is when it was sent."""
        self.buffers[source_index].extend(entries)
        self.buffered_bytes[source_index] += size_bytes if entries else 0
        self.fetched[source_index] = next_offset
        self.high_watermarks[source_index] = high_watermark
        self.asked_ms[source_index] = asked_ms

    def set_horizon(self, *, wanted: bool) -> bool:
        """Leave what is fetched from now on to a later micro-batch than the next; returns whether there is a next one.

        A fetch is not a picture of one moment: the broker looks at one topic after the other. It may have looked at
        an earlier row's topic before that row came, and at a later row's topic after. Asked once more, it returns
        everything that was there before the rows at hand, and also rows that came after them, which may again be
        incomplete.
        """
        wanted = wanted and not self.replay and any(self.merge_buffers)
        self._horizon = latest_order(self.merge_buffers) if wanted else None
        return wanted

    def reached_ms(self) -> int:
        """How far the log has come: nothing that was committed before is assumed to be still on its way.

        Where no record waits, this is the moment at which the topics were asked, less the grace for what was on its
        way then. Where records wait, it is the commit time of the last processed one, less the same grace for commits
        whose order differs from that of their times. While a broker does not answer, time does not pass.
        """
        waits = any(self.buffers) or any(self.lagging)
        return (self.log_ms if waits else min(self.asked_ms)) - self._tick_grace_ms

    def next_batch(self, *, wait: bool, records_max: int = sys.maxsize) -> MicroBatch | None:
        """The next micro-batch: exactly what the journal says while there is more of it, then what is ready.

        Its entries are first everything that has come of the topics ordered by arrival, then the records of the others
        in commit order. So a command is applied to what its sender can have seen, and before the timers that the rows
        let fire. A tick is part of it when a timer is due by the time that the log has reached; the timers come after
        the records. With `wait`, topics that lag are waited for. It has at most `records_max` records of each topic
        ordered by commit LSN; the others follow in the next micro-batch.
        """
        if self.replay:
            return self._replayed_batch()
        arrived = self._take_arrived(self.fetched) if self._arriving else []
        merged = take_ready(
            self.merge_buffers, self.merge_lagging, wait=wait, horizon=self._horizon, records_max=records_max
        )
        tick_ms = None
        if self.wake_at_ms is not None:
            reached_ms = self.reached_ms()
            tick_ms = reached_ms if reached_ms >= self.wake_at_ms else None
        if not arrived and not merged and tick_ms is None:
            return None
        return self._make_batch(arrived, merged, tick_ms)

    def finish(self, batch: MicroBatch) -> None:
        """Take over what the agent set on a processed micro-batch."""
        self.wake_at_ms = batch.wake_at_ms
        self.log_ms = batch.log_ms or self.log_ms
        self.ticked_ms = max(self.ticked_ms, batch.fired_ms)
        self.state.sweep()

    def rewrite(self, keys: Iterable[bytes]) -> None:
        """Write these changelog keys, and the position, again with the next snapshot; delete those of chunks then.

        A key of a table that the application does not have any more is left alone.
        """
        for key in keys:
            self.unsaved = True
            if key.startswith(CHUNK_PREFIX):
                self.obsolete_chunks.add(key)
            elif not key.startswith(RESERVED_PREFIX):
                with contextlib.suppress(KeyError):
                    self.state.touch(key)

    def _replayed_batch(self) -> MicroBatch | None:
        entry = self.replay[0]
        ends = [entry.spans.get(topic, (0, at))[1] for topic, at in zip(self.topics, self.offsets, strict=True)]
        if any(have < end for have, end in zip(self.fetched, ends, strict=True)):
            return None  # not fetched yet
        self.replay.popleft()
        arrived = self._take_arrived(ends)
        merged = in_commit_order(take_before(self.merge_buffers, [ends[index] for index in self._merged]))
        return self._make_batch(arrived, merged, entry.tick_ms)

    def _take_arrived(self, ends: Sequence[int]) -> list[Entry]:
        """Take the entries of topics ordered by arrival that come before these offsets, which are by source."""
        return take_before([self.buffers[index] for index in self._arriving], [ends[index] for index in self._arriving])

    def _make_batch(self, arrived: list[Entry], merged: list[Entry], tick_ms: int | None) -> MicroBatch:
        spans = self._advance(arrived + merged if arrived else merged)
        self.batch += 1
        kept, repeats, late, new_history = self._progress.screen(merged)
        batch = MicroBatch(self.number, self.batch, self.state, arrived + kept if arrived else kept, spans, tick_ms)
        batch.ticked_ms, batch.repeats, batch.late, batch.new_history = self.ticked_ms, repeats, late, new_history
        if merged:
            self.newest_ms = merged[-1].record.timestamp
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
