"""Folds the micro-batches of a partition into its tables and outputs.

Reads: the entries of a micro-batch in commit order, then its tick. Each goes to the handler of its kind of input.
Writes: the tables; `streams.feed.writer` writes the outcomes that the handlers return.
Key: the tenant. State: see `streams.state.tables`.
Guarantee: the same entries and ticks give the same tables and the same bytes in the feed.
On failure: a record that cannot be read, or whose handler raises, becomes a dead letter with its reason; the other
records are processed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Protocol

from contracts.envelope import Change
from streams.engine.model import Entry, UnreadableRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.feed.breaker import DeadLetterBreaker
from streams.feed.writer import FeedWriter
from streams.handlers.scored_row import SCORED_TABLES
from streams.handlers.timer import TimerHandler
from streams.metrics import WorkerMetrics
from streams.outcomes import Outcomes, RecordFailed
from streams.state.tables import TenantTables
from streams.turn import Turn


class Handler(Protocol):
    """Handles one kind of input."""

    def handle(self, tables: TenantTables, entry: Entry) -> Outcomes:
        """Update the tables with an entry; return its outcomes, and write nothing."""
        ...


class BatchProcessor:
    """Processes micro-batches of any partition.

    Args:
        inputs: the kinds of input by source index: canonical table names.
        handlers: the handler of each kind of input; an input without one has no effect.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        handlers: Mapping[str, Handler],
        timers: TimerHandler,
        feed: FeedWriter,
        breaker: DeadLetterBreaker,
        metrics: WorkerMetrics,
    ) -> None:
        self._inputs = tuple(inputs)
        self._handlers = tuple(handlers.get(name) for name in inputs)
        self._scored = tuple(name in SCORED_TABLES for name in inputs)
        self._timers = timers
        self._feed = feed
        self._breaker = breaker
        self._metrics = metrics

    def process(self, batch: MicroBatch, tables: TenantTables) -> None:
        """Fold a micro-batch into the tables and fill its outputs.

        Raises:
            BreakerOpenError: too many records failed; the micro-batch must not be written.
        """
        turn = Turn(batch, tables)
        ticked_us = batch.ticked_ms * 1000
        for entry in batch.entries:
            change = entry.change
            if change is None:  # a heartbeat or TRUNCATE: it has no effect
                continue
            if type(change) is UnreadableRecord:
                self._feed.write(turn, (RecordFailed(entry, "decode", change.reason, change.exception_class),))
                continue
            if change.commit_us < ticked_us:
                batch.late += 1  # a timer of a later time has already fired; the row is counted as late
            try:
                self._apply(turn, entry, change)
            except Exception as error:  # noqa: BLE001 - the boundary around a record: the others are processed
                self._feed.write(turn, (RecordFailed.by(entry, change.table, error),))
        self._breaker.note(map(_record_key, batch.entries), turn.failed.values())
        if batch.tick_ms is not None:
            self._feed.write(turn, self._timers.tick(turn, batch.tick_ms))
        batch.wake_at_ms = self._timers.next_ms(tables)
        batch.log_ms = _log_ms(batch.entries)
        self._feed.flush(turn)
        for source_index, count in Counter(map(_source_index, batch.entries)).items():
            self._metrics.events.labels(self._inputs[source_index]).inc(count)

    def _apply(self, turn: Turn, entry: Entry, change: Change) -> None:
        tables, index, commit_us = turn.tables, entry.source_index, change.commit_us
        tables.log_time.us = commit_us
        tenant_id: int = change.row.tenant_id
        if tenant_id in tables.bursting or tables.timers.due_by(tenant_id, commit_us // 1000):
            self._feed.write(turn, self._timers.before_row(tables, tenant_id, commit_us // 1000))
        handler = self._handlers[index]
        if handler is None:
            return
        if self._scored[index] and not change.snapshot and not 0 < turn.oldest_us <= commit_us:
            turn.oldest_us = commit_us
        self._feed.write(turn, handler.handle(tables, entry))


_record_key = attrgetter("record.key")
_source_index = attrgetter("source_index")


def _log_ms(entries: Sequence[Entry]) -> int:
    """The commit time of the last streamed row, Unix milliseconds; 0 if there is none."""
    for entry in reversed(entries):
        if isinstance(entry.change, Change) and not entry.change.snapshot:
            return entry.change.commit_us // 1000
    return 0
