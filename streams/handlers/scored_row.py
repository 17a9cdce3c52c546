"""The fold over one partition's changes: tables and changes in, tables and feed records out.

Reads: the entries of a micro-batch, in commit order.
Writes: the tables; through `FeedWriter` the feed, the clean events and the dead letters.
Key: the tenant. State: see `streams.state.tables`.
Guarantee: the same entries and ticks give the same tables and the same feed bytes; the clock is read
once a micro-batch, for latencies only. What is due without a row happens, for a tenant, before its next row,
in the order of the times; so its context among the tenant's messages is the same wherever the ticks fall.
On failure: a record that cannot be read, or makes a handler or a detector raise, becomes a dead letter
with its reason; the event's other detectors and the stream go on.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec
import structlog

from contracts.envelope import Change
from detectors.interface import Event
from detectors.row_quality.data_quality import Reason, clean, data_quality, happened_s
from detectors.shared.facts import Shift
from streams.detection.detector_runner import DetectorRunner
from streams.detection.missing_references import with_missing
from streams.detection.reference_wait import NOTHING_UNKNOWN, REFERENCES, ReferenceWait, Released, Unknown
from streams.engine.model import Entry, UnreadableRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.feed.anomalies import event_type_of
from streams.feed.breaker import DeadLetterBreaker
from streams.feed.telling import Teller
from streams.feed.writer import FeedWriter
from streams.handlers.reference_row import PolicyBook, ShiftBook, learn_person, learn_site, learn_tenant
from streams.handlers.ticket_status import status_change
from streams.handlers.timer import TimerRunner
from streams.intake.entries import keys_in_log_order, log_ms
from streams.metrics import WorkerMetrics
from streams.rate_limit.limiter import Limiter
from streams.state.entities import TenantState
from streams.state.site_context import SiteContext
from streams.state.tables import TenantTables
from streams.state.timers import Timer
from streams.state.wait_queue import TABLE as WAITING

log = structlog.get_logger(__name__)

SCORED_TABLES = frozenset({"attendance", "jobneed", "location", "ticket", "work_order", "device"})
"""Their changes count against the tenant's limit. Reference data and ticket status never do (R2.2)."""

_WAITING_TABLES = frozenset({"attendance", "location"})
"""Their events name a person whose shifts matter; they wait for what they refer to."""


class BatchProcessor:
    """Processes micro-batches of any partition.

    Args:
        tables: canonical table names by topic rank.
        judge: runs the detectors.
        limiter: the per-tenant rate limit.
        waiting: for events that come before what they refer to.
        shifts_per_person_max: see ShiftBook.
        timers_per_tick_max: so much of what is due happens in one micro-batch.
        fuse: stops the worker when too much fails.
        outbox: where feed records, clean events and dead letters go.
        metrics: where it counts.
    """

    def __init__(
        self,
        tables: Sequence[str],
        judge: DetectorRunner,
        *,
        limiter: Limiter,
        waiting: ReferenceWait,
        shifts_per_person_max: int,
        timers_per_tick_max: int,
        breaker: DeadLetterBreaker,
        feed: FeedWriter,
        metrics: WorkerMetrics,
    ) -> None:
        self._tables = tuple(tables)
        self._runner = judge
        self._limiter = limiter
        self._reference_wait = waiting
        self._due = TimerRunner(limiter, self._fire, timers_per_tick_max, metrics)
        self._breaker = breaker
        self._failed: set[int] = set()
        self._feed = feed
        self._teller = Teller(feed, metrics)
        self._metrics = metrics
        self._learn: dict[str, Callable[[TenantTables, Change], None]] = {
            "tenant": learn_tenant,
            "site": learn_site,
            "person": learn_person,
            "assignment": ShiftBook(shifts_per_person_max, judge).learn,
            "policy": PolicyBook(judge).learn,
        }

    def process(self, batch: MicroBatch, tables: TenantTables) -> None:
        """Fold one micro-batch into the tables and fill its outputs.

        Raises:
            FuseBlownError: too many records failed; nothing of the micro-batch may be written.
        """
        counts = [0] * len(self._tables)
        self._failed = set()
        ticked_us = batch.ticked_ms * 1000
        for entry in batch.entries:
            counts[entry.source_index] += 1
            change = entry.change
            if change is None:  # a heartbeat or TRUNCATE: takes its place, says nothing
                continue
            if type(change) is UnreadableRecord:
                self._bury(batch, entry, "decode", change.reason, change.exception_class)
                continue
            if change.commit_us < ticked_us:
                batch.late += 1  # a timer of a later time has been fired: the row counts where it stands
            try:
                self._apply(batch, tables, entry, change)
            except Exception as error:  # noqa: BLE001 - the one boundary: whatever one record does, its neighbours go on
                self._bury(batch, entry, change.table, str(error), type(error).__name__)
        self._breaker.note(len(batch.entries), keys_in_log_order(batch.entries, self._failed))
        if batch.tick_ms is not None:
            self._due.tick(batch, tables, batch.tick_ms)
        batch.wake_at_ms = min(
            (due for due in (self._limiter.next_report_ms(tables), tables.timers.next_ms()) if due is not None),
            default=None,
        )
        batch.log_ms = log_ms(batch.entries)
        self._feed.flush(batch)
        for table, count in zip(self._tables, counts, strict=True):
            if count:
                self._metrics.events.labels(table).inc(count)

    def _apply(self, batch: MicroBatch, tables: TenantTables, entry: Entry, change: Change) -> None:
        tables.log_time.us = commit_us = change.commit_us
        row: Any = change.row
        tenant_id, table, commit_ms = row.tenant_id, change.table, commit_us // 1000
        if tenant_id in tables.bursting or tables.timers.due_by(tenant_id, commit_ms):
            self._due.advance(batch, tables, tenant_id, commit_ms)
        learn = self._learn.get(table)
        if learn is not None:
            self._learn_checked(batch, tables, learn, change)
            if tenant_id in tables.wait_queues and change.table in REFERENCES:
                self._tell_released(batch, tables, self._reference_wait.release(tables, tenant_id, commit_ms))
            return
        if table not in SCORED_TABLES:
            return
        if change.snapshot:
            self._score(batch, tables, TenantState(), entry, change, row, learn_only=True)
            return
        tenant = tables.tenants.get(tenant_id)
        if tenant is None:
            tenant = TenantState()
        scored = self._limiter.admit(batch, tables, tenant_id, tenant, commit_ms)
        tables.tenants.put(tenant_id, tenant)
        self._feed.note_scored(commit_us)
        if table == "ticket" and change.op == "u":
            record = status_change(tables, tenant, change, self._feed.epoch)
            if record is not None:
                self._feed.feed(batch, tenant, record)
        self._score(batch, tables, tenant, entry, change, row, learn_only=not scored)

    def _score(
        self,
        batch: MicroBatch,
        tables: TenantTables,
        tenant: TenantState,
        entry: Entry,
        change: Change,
        row: Any,
        *,
        learn_only: bool,
    ) -> None:
        """Judge a change or have it wait; a change that only teaches is told neither as wrong nor as clean."""
        tenant_id, table = row.tenant_id, change.table
        if change.op == "d":
            if table in _WAITING_TABLES and tenant_id in tables.wait_queues:
                self._tell_released(batch, tables, self._reference_wait.end_waits(tables, change))
            self._runner.forget(tables, change)
            return
        site_id: int | None = row.site_id
        context = self._runner.site_contexts.at(tables, tenant_id, site_id)
        shifts: Sequence[Shift] | None = None
        unknown = NOTHING_UNKNOWN
        if table in _WAITING_TABLES:
            if row.person_id is not None:
                shifts = tables.shifts.get((tenant_id, row.person_id))
            if not shifts or (context.facts is None and site_id is not None) or tenant_id in tables.wait_queues:
                first, arrived = self._reference_wait.arrive(tables, entry, learn_only=learn_only)
                self._tell_released(batch, tables, first)
                if arrived is None:
                    return
                unknown = arrived
        self._judge_now(
            batch, tables, tenant, entry, change, row, context, shifts or (), unknown, learn_only=learn_only
        )

    def _tell_released(self, batch: MicroBatch, tables: TenantTables, released: Iterable[Released]) -> None:
        """Judge events whose wait is over as if they had come now, as what they were."""
        for entry, missing, reported in released:
            change: Change = entry.change
            row: Any = change.row
            tenant = tables.tenants.get(row.tenant_id) or TenantState()
            context = self._runner.site_contexts.at(tables, row.tenant_id, row.site_id)
            shifts = None if row.person_id is None else tables.shifts.get((row.tenant_id, row.person_id))
            try:
                self._judge_now(batch, tables, tenant, entry, change, row, context, shifts or (), (missing, reported))
            except Exception as error:  # noqa: BLE001 - as in `process`: not the row that ended the wait has failed
                self._bury(batch, entry, change.table, str(error), type(error).__name__)
            tables.tenants.put(row.tenant_id, tenant)

    def _judge_now(
        self,
        batch: MicroBatch,
        tables: TenantTables,
        tenant: TenantState,
        entry: Entry,
        change: Change,
        row: Any,
        context: SiteContext,
        shifts: Sequence[Shift],
        unknown: Unknown,
        *,
        learn_only: bool = False,
    ) -> None:
        """Judge a change, and tell what is wrong or that nothing is; a change that only teaches tells neither."""
        site_id: int | None = row.site_id
        op: Any = change.op
        before: Any = change.before
        missing, reported = unknown
        reasons: Sequence[Reason] = ()
        at_s = happened_s(change.table, row)
        if context.quality is not None:
            given, (row, reasons) = row, clean(change.table, row, change.commit_us, context.quality, before, at_s)
            if row is not given:  # its time may be among what was blanked
                at_s = happened_s(change.table, row)
        event = Event(row, change.commit_us, op, before, context.facts, shifts, missing, at_s)
        failures: list[tuple[str, Exception]] = []
        judgements = self._runner.judge(tables, change, event, context, failures, learn_only=learn_only)
        for detector, error in failures:
            self._bury(batch, entry, detector, str(error), type(error).__name__)
        if learn_only:
            return
        if missing:
            judgements = with_missing(
                judgements, change, missing, reported if context.quality else (), self._reference_wait.wait_ms
            )
            for name in reported:
                self._metrics.references_missed.labels(name).inc()
        if reasons:
            judgements.insert(0, data_quality(reasons))
        if not judgements:
            if not failures:
                self._feed.clean(change, event_type_of(change.table), site_id, context.client_id)
            return
        self._teller.of_change(
            batch, tables, tenant, change, context, site_id, getattr(row, "person_id", None), judgements
        )

    def _learn_checked(
        self, batch: MicroBatch, tables: TenantTables, learn: Callable[[TenantTables, Change], None], change: Change
    ) -> None:
        """Learn a row of the reference data without the values that cannot be, and tell of them."""
        row, reasons = change.row, cast(Sequence[Reason], ())
        tenant_id, context = row.tenant_id, self._runner.site_contexts.at(tables, row.tenant_id, None)
        if context.quality is not None and change.op != "d":
            row, reasons = clean(change.table, row, change.commit_us, context.quality, change.before)
        learn(tables, change if row is change.row else msgspec.structs.replace(change, after=row))
        if reasons and not change.snapshot:
            site_id = row.id if change.table == "site" else getattr(row, "site_id", None)
            person_id = getattr(row, "person_id", None)
            context = self._runner.site_contexts.at(tables, tenant_id, site_id)
            tenant = tables.tenants.get(tenant_id) or TenantState()
            self._teller.of_change(batch, tables, tenant, change, context, site_id, person_id, [data_quality(reasons)])
            tables.tenants.put(tenant_id, tenant)

    def _fire(self, batch: MicroBatch, tables: TenantTables, tenant_id: int, timer: Timer) -> None:
        """Let a tenant's first timer fire, which is this one. What it uses counts as used at its time."""
        now_us, tables.log_time.us = tables.log_time.us, timer.due_ms * 1000
        try:
            if timer.table == WAITING:
                tables.timers.take(tenant_id)
                self._tell_released(batch, tables, self._reference_wait.release(tables, tenant_id, timer.due_ms))
            else:
                self._tell_absence(batch, tables, tenant_id, timer)
        finally:
            tables.log_time.us = now_us

    def _tell_absence(self, batch: MicroBatch, tables: TenantTables, tenant_id: int, timer: Timer) -> None:
        failures: list[tuple[str, Exception]] = []
        absence = self._runner.fire(tables, tenant_id, timer, failures)
        for detector, error in failures:
            # There is no record to bury: the row that set the timer was judged long ago.
            self._metrics.timers_failed.inc()
            log.error("a detector's timer raised", detector=detector, error=type(error).__name__, tenant_id=tenant_id)
        if absence is None:
            return
        context = self._runner.site_contexts.at(tables, tenant_id, absence.origin.site_id)
        self._teller.of_absence(batch, tables, tenant_id, absence, context)

    def _bury(self, batch: MicroBatch, entry: Entry, detector: str, reason: str, exception_class: str) -> None:
        self._failed.add(id(entry))
        self._metrics.dead_letters.labels(self._tables[entry.source_index]).inc()
        self._feed.dead_letter(batch, entry, detector, reason, exception_class)
