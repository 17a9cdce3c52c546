"""The fold over one partition: micro-batches and tables in, tables and outputs out.

Reads: the entries of a micro-batch in commit order, then its tick. Each goes to the handler of its kind of input.
Writes: the tables; what the handlers return goes to the feed through `streams.feed.writer`, the only door.
Key: the tenant. State: see `streams.state.tables`.
Guarantee: the same entries and ticks give the same tables and the same feed bytes.
On failure: a record that cannot be read, or makes its handler raise, becomes a dead letter with its reason; its
neighbours and the stream go on.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from contracts.envelope import Change
from streams.engine.model import Entry, UnreadableRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.feed.breaker import DeadLetterBreaker, keys_in_log_order
from streams.feed.writer import FeedWriter
from streams.handlers.scored_row import SCORED_TABLES
from streams.handlers.timer import TimerHandler
from streams.metrics import WorkerMetrics
from streams.outcomes import Outcomes, RecordFailed
from streams.state.tables import TenantTables
from streams.turn import Turn


class Handler(Protocol):
    """What happens with one kind of input."""

    def handle(self, tables: TenantTables, entry: Entry) -> Outcomes:
        """Change the tables by one entry; returns what follows from it, and writes nothing."""
        ...


class BatchProcessor:
    """Processes micro-batches of any partition.

    Args:
        inputs: kinds of input by source index: canonical table names.
        handlers: kind of input to its handler; an input without one takes its place in the order and does nothing.
        timers: what happens without an input.
        feed: writes what follows.
        breaker: stops the worker when too much fails.
        metrics: where it counts.
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
        """Fold one micro-batch into the tables and fill its outputs.

        Raises:
            BreakerOpenError: too many records failed; nothing of the micro-batch may be written.
        """
        turn = Turn(batch, tables)
        counts = [0] * len(self._inputs)
        ticked_us = batch.ticked_ms * 1000
        for entry in batch.entries:
            counts[entry.source_index] += 1
            change = entry.change
            if change is None:  # a heartbeat or TRUNCATE: takes its place, says nothing
                continue
            if type(change) is UnreadableRecord:
                self._feed.write(turn, (RecordFailed(entry, "decode", change.reason, change.exception_class),))
                continue
            if change.commit_us < ticked_us:
                batch.late += 1  # a timer of a later time has been fired: the row counts where it stands
            try:
                self._apply(turn, entry, change)
            except Exception as error:  # noqa: BLE001 - the one boundary: whatever one record does, its neighbours go on
                self._feed.write(turn, (RecordFailed.by(entry, change.table, error),))
        self._breaker.note(len(batch.entries), keys_in_log_order(batch.entries, turn.failed))
        if batch.tick_ms is not None:
            self._feed.write(turn, self._timers.tick(turn, batch.tick_ms))
        batch.wake_at_ms = self._timers.next_ms(tables)
        batch.log_ms = _log_ms(batch.entries)
        self._feed.flush(turn)
        for name, count in zip(self._inputs, counts, strict=True):
            if count:
                self._metrics.events.labels(name).inc(count)

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


def _log_ms(entries: Sequence[Entry]) -> int:
    """Commit time of the last streamed row, Unix milliseconds; 0 where there is none."""
    for entry in reversed(entries):
        if isinstance(entry.change, Change) and not entry.change.snapshot:
            return entry.change.commit_us // 1000
    return 0
