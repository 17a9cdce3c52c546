"""The fold over one partition's changes: tables and changes in, tables and feed records out.

Reads: the entries of a micro-batch, in commit order.
Writes: the tables; through `Outbox` the feed, the clean events and the dead letters.
Key: the tenant. State: see `streams.tables`.
Guarantee: the same entries and ticks give the same tables and the same feed bytes; the clock is read
once a micro-batch, for latencies only. What is due without a row happens, for a tenant, before its next row,
in the order of the times; so its place among the tenant's messages is the same wherever the ticks fall.
On failure: a record that cannot be read, or makes a handler or a detector raise, becomes a dead letter
with its reason; the event's other detectors and the stream go on.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import structlog

from contracts.envelope import Change
from detectors.interface import Event
from streams.anomalies import anomaly_of_absence, anomaly_of_change, event_type_of
from streams.engine.model import Entry, MicroBatch, Poison
from streams.fuse import Fuse
from streams.judging import Judge
from streams.limiter import Limiter
from streams.metrics import WorkerMetrics
from streams.outbox import Outbox
from streams.reference import PolicyBook, ShiftBook, learn_person, learn_site, learn_tenant
from streams.tables import TenantState, TenantTables
from streams.tickets import status_change
from streams.timers import Timer

log = structlog.get_logger(__name__)

SCORED_TABLES = frozenset({"attendance", "jobneed", "location", "ticket", "work_order", "device"})
"""Their changes count against the tenant's limit. Reference data and ticket status never do (R2.2)."""

_WITH_SHIFTS = frozenset({"attendance", "location"})


class Scorer:
    """Processes micro-batches of any partition.

    Args:
        tables: canonical table names by topic rank.
        judge: runs the detectors.
        limiter: the per-tenant rate limit.
        shifts_per_person_max: see ShiftBook.
        fuse: stops the worker when too much fails.
        outbox: where feed records, clean events and dead letters go.
        metrics: where it counts.
    """

    def __init__(
        self,
        tables: Sequence[str],
        judge: Judge,
        *,
        limiter: Limiter,
        shifts_per_person_max: int,
        fuse: Fuse,
        outbox: Outbox,
        metrics: WorkerMetrics,
    ) -> None:
        self._tables = tuple(tables)
        self._judge = judge
        self._limiter = limiter
        self._fuse = fuse
        self._failed: set[int] = set()
        self._outbox = outbox
        self._metrics = metrics
        self._learn: dict[str, Callable[[TenantTables, Change], None]] = {
            "tenant": learn_tenant,
            "site": learn_site,
            "person": learn_person,
            "assignment": ShiftBook(shifts_per_person_max).learn,
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
            counts[entry.rank] += 1
            change = entry.change
            if change is None:  # a heartbeat or TRUNCATE: takes its place, says nothing
                continue
            if type(change) is Poison:
                self._bury(batch, entry, "decode", change.reason, change.exception_class)
                continue
            if change.commit_us < ticked_us:
                batch.late += 1  # a timer of a later time has been fired: the row counts where it stands
            try:
                self._apply(batch, tables, entry, change)
            except Exception as error:  # noqa: BLE001 - the one boundary: whatever one record does, its neighbours go on
                self._bury(batch, entry, change.table, str(error), type(error).__name__)
        self._fuse.note(len(batch.entries), self._failed_keys(batch))
        if batch.tick_ms is not None:
            self._tick(batch, tables, batch.tick_ms)
        batch.wake_at_ms = min(
            (due for due in (self._limiter.next_report_ms(tables), tables.timers.next_ms()) if due is not None),
            default=None,
        )
        batch.log_ms = _log_ms(batch.entries)
        self._outbox.flush(batch)
        for table, count in zip(self._tables, counts, strict=True):
            if count:
                self._metrics.events.labels(table).inc(count)

    def _apply(self, batch: MicroBatch, tables: TenantTables, entry: Entry, change: Change) -> None:
        tables.log_time.us = change.commit_us
        tenant_id, commit_ms = change.row.tenant_id, change.commit_us // 1000
        if tenant_id in tables.bursting or tables.timers.due_by(tenant_id, commit_ms):
            self._advance(batch, tables, tenant_id, commit_ms)
        learn = self._learn.get(change.table)
        if learn is not None:
            learn(tables, change)
            return
        if change.table not in SCORED_TABLES:
            return
        if change.snapshot:
            self._score(batch, tables, TenantState(), entry, change, taught=True)
            return
        tenant = tables.tenants.get(tenant_id)
        if tenant is None:
            tenant = TenantState()
        scored = self._limiter.admit(batch, tables, tenant_id, tenant, commit_ms)
        tables.tenants.put(tenant_id, tenant)
        self._outbox.note_scored(change.commit_us)
        if change.table == "ticket" and change.op == "u":
            record = status_change(tables, tenant, change, self._outbox.epoch)
            if record is not None:
                self._outbox.feed(batch, tenant, record)
        self._score(batch, tables, tenant, entry, change, taught=not scored)

    def _score(
        self,
        batch: MicroBatch,
        tables: TenantTables,
        tenant: TenantState,
        entry: Entry,
        change: Change,
        *,
        taught: bool,
    ) -> None:
        """Judge a change, and tell what is wrong or that nothing is; a change that only teaches tells neither."""
        if change.op == "d":
            self._judge.forget(tables, change)
            return
        row = cast(Any, change.row)
        site_id, person_id = getattr(row, "site_id", None), getattr(row, "person_id", None)
        place = self._judge.places.at(tables, row.tenant_id, site_id)
        shifts = None
        if person_id is not None and change.table in _WITH_SHIFTS:
            shifts = tables.shifts.get((row.tenant_id, person_id))
        before = cast(Any, change.before)
        event = Event(row, change.commit_us, change.op, before, place.facts, shifts or ())
        failures: list[str] = []

        def failed(detector: str, error: Exception) -> None:
            failures.append(detector)
            self._bury(batch, entry, detector, str(error), type(error).__name__)

        judgements = self._judge.judge(tables, change, event, place, taught=taught, failed=failed)
        if taught:
            return
        if not judgements:
            if not failures:
                self._outbox.clean(change, event_type_of(change.table), site_id, place.client_id)
            return
        person = None if person_id is None else tables.persons.get((row.tenant_id, person_id))
        epoch = self._outbox.epoch
        record = anomaly_of_change(change, judgements, tenant, place, site_id, person_id, person, epoch)
        self._outbox.feed(batch, tenant, record)
        for judgement in judgements:
            self._metrics.findings.labels(judgement.finding_type).inc()

    def _tick(self, batch: MicroBatch, tables: TenantTables, until_ms: int) -> None:
        """Let happen what was due by this log time although no row of its tenant came since."""
        for tenant_id in sorted({*tables.bursting, *tables.timers.tenants_due(until_ms)}):
            due_ms = self._advance(batch, tables, tenant_id, until_ms)
            if due_ms is not None:
                self._metrics.tick_delay_seconds.set((until_ms - due_ms) / 1e3)
                batch.fired_ms = max(batch.fired_ms, due_ms)

    def _advance(self, batch: MicroBatch, tables: TenantTables, tenant_id: int, until_ms: int) -> int | None:
        """Let happen, in the order of the times, what was due of a tenant by then; returns the last such time."""
        last_ms = None
        while True:
            burst_ms = self._limiter.due_ms(tables, tenant_id)
            timer = tables.timers.next_of(tenant_id) if tables.timers.due_by(tenant_id, until_ms) else None
            if burst_ms is not None and burst_ms <= until_ms and (timer is None or burst_ms <= timer.due_ms):
                self._limiter.report_due(batch, tables, tenant_id)
                last_ms = burst_ms
            elif timer is not None and timer.due_ms <= until_ms:
                self._fire(batch, tables, tenant_id, timer)
                last_ms = timer.due_ms
            else:
                return last_ms

    def _fire(self, batch: MicroBatch, tables: TenantTables, tenant_id: int, timer: Timer) -> None:
        def failed(detector: str, error: Exception) -> None:
            # There is no record to bury: the row that set the timer was judged long ago.
            self._metrics.timers_failed.inc()
            log.error("a detector's timer raised", detector=detector, error=type(error).__name__, tenant_id=tenant_id)

        now_us, tables.log_time.us = tables.log_time.us, timer.due_ms * 1000  # its use counts as of its time
        try:
            absence = self._judge.fire(tables, tenant_id, timer, failed)
        finally:
            tables.log_time.us = now_us
        if absence is None:
            return
        tenant = tables.tenants.get(tenant_id) or TenantState()
        place = self._judge.places.at(tables, tenant_id, absence.origin.site_id)
        person_id = absence.origin.person_id
        person = None if person_id is None else tables.persons.get((tenant_id, person_id))
        self._outbox.feed(
            batch, tenant, anomaly_of_absence(tenant_id, absence, tenant, place, person, self._outbox.epoch)
        )
        tables.tenants.put(tenant_id, tenant)
        for judgement in absence.judgements:
            self._metrics.findings.labels(judgement.finding_type).inc()

    def _failed_keys(self, batch: MicroBatch) -> dict[int, bytes | None]:
        """Index and record key of each entry that became a dead letter, in the order of the log."""
        if not self._failed:
            return {}
        entries = _in_log_order(batch.entries)
        return {index: entry.record.key for index, entry in enumerate(entries) if id(entry) in self._failed}

    def _bury(self, batch: MicroBatch, entry: Entry, detector: str, reason: str, exception_class: str) -> None:
        self._failed.add(id(entry))
        self._metrics.dead_letters.labels(self._tables[entry.rank]).inc()
        self._outbox.dead_letter(batch, entry, detector, reason, exception_class)


def _in_log_order(entries: Sequence[Entry]) -> list[Entry]:
    """Entries with the unreadable ones behind the record before them in their topic.

    In the micro-batch they come first, having no place of their own; there even a few look like a long run.
    """
    before: dict[int, tuple[int, int]] = {}
    places: list[tuple[tuple[int, int], int, int, Entry]] = []
    for entry in sorted(entries, key=lambda each: each.offset):
        if entry.commit_lsn:
            before[entry.rank] = (entry.commit_lsn, entry.lsn)
        places.append((before.get(entry.rank, (0, 0)), entry.rank, entry.offset, entry))
    return [entry for *_, entry in sorted(places, key=lambda place: place[:3])]


def _log_ms(entries: Sequence[Entry]) -> int:
    """Commit time of the last streamed row, Unix milliseconds; 0 where there is none."""
    for entry in reversed(entries):
        if isinstance(entry.change, Change) and not entry.change.snapshot:
            return entry.change.commit_us // 1000
    return 0
