"""The fold over one partition's changes: tables and changes in, tables and feed records out.

Reads: the entries of a micro-batch, in commit order.
Writes: the tables; through `Outbox` the feed, the clean events and the dead letters.
Key: the tenant. State: see `streams.tables`.
Guarantee: the same entries and ticks give the same tables and the same feed bytes; the clock is read
once a micro-batch, for latencies only.
On failure: a record that cannot be read, or makes a handler or a detector raise, becomes a dead letter
with its reason; the event's other detectors and the stream go on.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from contracts.envelope import Change
from contracts.feed import AnomalyDetected, RateLimited, TicketUpdated
from contracts.findings import Finding
from contracts.rows import Attendance, Ticket, known
from detectors.attendance import AttendanceContext, AttendanceDetector, AttendancePolicy
from detectors.judgement import Judgement, combined_fraud_score
from streams.engine.model import Entry, MicroBatch, Poison
from streams.metrics import WorkerMetrics
from streams.outbox import Outbox, event_id, feed_id, iso_ms, iso_us
from streams.rate_limit import BurstReport, admit, advance, report_due_ms
from streams.reference import ShiftBook, learn_person, learn_site, learn_tenant
from streams.tables import TenantState, TenantTables

DESCRIPTION_CHARACTERS_MAX = 200
SCORED_TABLES = frozenset({"attendance", "jobneed", "location", "ticket", "work_order", "device"})
"""Their changes count against the tenant's limit. Reference data and ticket status never do (R2.2)."""

_EVENT_TYPES = {"jobneed": "task"}
"""Canonical table to event type, where they differ."""
_ATTENDANCE_COLUMNS = ("person_id", "verified_person_id", "site_id", "event_type", "occurred_at")


class UnjudgeableError(Exception):
    """A row that can be read but not processed, and why."""


class Scorer:
    """Processes micro-batches of any partition.

    Args:
        tables: canonical table names by topic rank.
        detectors: the attendance detectors to run.
        policy: their thresholds.
        events_max: default limit of scored events per tenant and window.
        window_ms: length of the rate-limit window.
        shifts_per_person_max: see ShiftBook.
        outbox: where feed records, clean events and dead letters go.
        metrics: where it counts.
    """

    def __init__(
        self,
        tables: Sequence[str],
        detectors: Sequence[AttendanceDetector],
        policy: AttendancePolicy,
        *,
        events_max: int,
        window_ms: int,
        shifts_per_person_max: int,
        outbox: Outbox,
        metrics: WorkerMetrics,
    ) -> None:
        self._tables = tuple(tables)
        self._detectors = tuple(detectors)
        self._policy = policy
        self._events_max = events_max
        self._window_ms = window_ms
        self._outbox = outbox
        self._metrics = metrics
        self._learn: dict[str, Callable[[TenantTables, Change], None]] = {
            "tenant": learn_tenant,
            "site": learn_site,
            "person": learn_person,
            "assignment": ShiftBook(shifts_per_person_max).learn,
        }

    def process(self, batch: MicroBatch, tables: TenantTables) -> None:
        """Fold one micro-batch into the tables and fill its outputs."""
        counts = [0] * len(self._tables)
        for entry in batch.entries:
            counts[entry.rank] += 1
            change = entry.change
            if change is None:  # a heartbeat or TRUNCATE: takes its place, says nothing
                continue
            if type(change) is Poison:
                self._bury(batch, entry, "decode", change.reason, change.exception_class)
                continue
            try:
                self._apply(batch, tables, entry, change)
            except Exception as error:  # noqa: BLE001 - the one boundary: whatever one record does, its neighbours go on
                self._bury(batch, entry, change.table, str(error), type(error).__name__)
        if batch.tick_ms is not None:
            self._tick(batch, tables, batch.tick_ms)
        batch.wake_at_ms = self._next_report_ms(tables)
        self._outbox.flush(batch)
        for table, count in zip(self._tables, counts, strict=True):
            if count:
                self._metrics.events.labels(table).inc(count)

    def _apply(self, batch: MicroBatch, tables: TenantTables, entry: Entry, change: Change) -> None:
        learn = self._learn.get(change.table)
        if learn is not None:
            learn(tables, change)
            return
        if change.table not in SCORED_TABLES or change.snapshot:
            return
        tenant_id = change.row.tenant_id
        tenant = tables.tenants.get(tenant_id)
        if tenant is None:
            tenant = TenantState()
        limit = self._limit(tenant)
        tenant.rate, scored, report = admit(tenant.rate, change.commit_us // 1000, limit, self._window_ms)
        if report is not None:
            self._report_burst(batch, tables, tenant_id, tenant, report)
        if tenant.rate.dropped:
            tables.bursting.add(tenant_id)
        tables.tenants.put(tenant_id, tenant)
        if change.table == "ticket" and change.op == "u":
            self._ticket_status(batch, tables, tenant, change)
        if not scored:
            self._metrics.rate_limited.inc()
            return
        self._score(batch, tables, tenant, entry, change)

    def _limit(self, tenant: TenantState) -> int:
        """Events that are scored per window; the tenant's own setting is per second."""
        own = tenant.events_per_second_max
        return self._events_max if own is None else max(0, own) * self._window_ms // 1000

    def _score(
        self, batch: MicroBatch, tables: TenantTables, tenant: TenantState, entry: Entry, change: Change
    ) -> None:
        if change.op == "d":
            return
        judgements, failed = self._judge(batch, tables, entry, change)
        row = cast(Any, change.row)
        site_id, person_id = getattr(row, "site_id", None), getattr(row, "person_id", None)
        site = None if site_id is None else tables.sites.get((row.tenant_id, site_id))
        event_type = _EVENT_TYPES.get(change.table, change.table)
        if not judgements:
            if not failed:
                client_id = site.client_id if site else None
                self._outbox.clean(change, event_type, site_id, client_id)
            return
        person = None if person_id is None else tables.persons.get((row.tenant_id, person_id))
        created_at = iso_us(change.commit_us)
        tenant.seq += 1
        score = combined_fraud_score(judgement.fraud_score for judgement in judgements)
        record = AnomalyDetected(
            tenant_id=row.tenant_id,
            seq=tenant.seq,
            id=feed_id(change, "anomaly_detected"),
            time=created_at,
            epoch=self._outbox.epoch,
            source=self._outbox.source(change),
            event_id=event_id(change),
            event_type=event_type,
            site_id=site_id,
            client_id=site.client_id if site else None,
            person_id=person_id,
            site_name=site.name if site else None,
            person_name=person.name if person else None,
            findings=[
                Finding(
                    id=feed_id(change, judgement.finding_type),
                    finding_type=judgement.finding_type,
                    category=judgement.category,
                    severity=judgement.severity,
                    title=judgement.title,
                    description=judgement.description,
                    evidence=judgement.evidence,
                    created_at=created_at,
                    fraud_score=score,
                )
                for judgement in judgements
            ],
        )
        self._outbox.feed(batch, record)
        for judgement in judgements:
            self._metrics.findings.labels(judgement.finding_type).inc()

    def _judge(
        self, batch: MicroBatch, tables: TenantTables, entry: Entry, change: Change
    ) -> tuple[list[Judgement], bool]:
        """Every detector's judgement; one that raises costs its own only, and the record a dead letter."""
        if change.table != "attendance" or not _attendance_changed(change):
            return [], False
        row = cast(Attendance, change.row)
        shifts = tables.shifts.get((row.tenant_id, row.person_id)) if row.person_id is not None else None
        context = AttendanceContext(shifts or ())
        judgements: list[Judgement] = []
        failed = False
        for detector in self._detectors:
            try:
                judgement = detector(row, context, self._policy)
            except Exception as error:  # noqa: BLE001 - R3.9: the event's other detectors and the stream go on
                self._bury(batch, entry, detector.name, str(error), type(error).__name__)
                failed = True
                continue
            if judgement is not None:
                judgements.append(judgement)
        return judgements, failed

    def _ticket_status(self, batch: MicroBatch, tables: TenantTables, tenant: TenantState, change: Change) -> None:
        """R4.8: a change of status only, never a creation and never an unchanged status."""
        after, before = cast(Ticket, change.row), cast(Ticket | None, change.before)
        if before is None:
            raise UnjudgeableError("an updated ticket without its old row: set REPLICA IDENTITY FULL on its table")
        if before.status == after.status or before.status is None or after.status is None:
            return
        site = None if after.site_id is None else tables.sites.get((after.tenant_id, after.site_id))
        tenant.seq += 1
        record = TicketUpdated(
            tenant_id=after.tenant_id,
            seq=tenant.seq,
            id=feed_id(change, "ticket_updated"),
            time=iso_us(change.commit_us),
            epoch=self._outbox.epoch,
            source=self._outbox.source(change),
            event_id=event_id(change),
            event_type="ticket",
            site_id=after.site_id,
            client_id=site.client_id if site else None,
            site_name=site.name if site else None,
            ticket_id=after.id,
            ticket_no=known(after.ticket_no),
            old_status=before.status,
            new_status=after.status,
            priority=after.priority,
            assigned_to=after.assigned_to,
            description=(known(after.description) or "")[:DESCRIPTION_CHARACTERS_MAX],
            updated_at=None if after.updated_at is None else iso_us(int(after.updated_at.timestamp() * 1e6)),
        )
        self._outbox.feed(batch, record)

    def _report_burst(
        self, batch: MicroBatch, tables: TenantTables, tenant_id: int, tenant: TenantState, report: BurstReport
    ) -> None:
        tables.bursting.discard(tenant_id)
        window = iso_ms(report.window_start_ms)
        tenant.seq += 1
        record = RateLimited(
            tenant_id=tenant_id,
            seq=tenant.seq,
            id=self._outbox.burst_id(tenant_id, report.window_start_ms, report.dropped),
            time=window,
            epoch=self._outbox.epoch,
            source=self._outbox.burst_source(tenant_id, window),
            event_id=f"rate_limit:{tenant_id}:{report.window_start_ms}",
            event_type="rate_limit",
            dropped=report.dropped,
            window=window,
            limit=self._limit(tenant),
        )
        self._outbox.feed(batch, record)

    def _tick(self, batch: MicroBatch, tables: TenantTables, now_ms: int) -> None:
        """Report the bursts that are over although no event came since."""
        for tenant_id in sorted(tables.bursting):
            tenant = tables.tenants.get(tenant_id)
            due_ms = None if tenant is None else report_due_ms(tenant.rate, self._window_ms)
            if tenant is None or due_ms is None:
                tables.bursting.discard(tenant_id)
                continue
            if now_ms < due_ms:
                continue
            tenant.rate, report = advance(tenant.rate, now_ms, self._window_ms)
            if report is not None:
                self._report_burst(batch, tables, tenant_id, tenant, report)
            tables.tenants.put(tenant_id, tenant)

    def _next_report_ms(self, tables: TenantTables) -> int | None:
        due = [
            report_due_ms(tenant.rate, self._window_ms)
            for tenant_id in tables.bursting
            if (tenant := tables.tenants.get(tenant_id)) is not None
        ]
        return min((each for each in due if each is not None), default=None)

    def _bury(self, batch: MicroBatch, entry: Entry, detector: str, reason: str, exception_class: str) -> None:
        self._metrics.dead_letters.labels(self._tables[entry.rank]).inc()
        self._outbox.dead_letter(batch, entry, detector, reason, exception_class)


def _attendance_changed(change: Change) -> bool:
    """Whether there is something new to judge: a new row, or one whose judged columns changed."""
    before, after = cast(Any, change.before), cast(Any, change.row)
    if change.op == "c" or before is None:
        return True
    return any(getattr(before, column) != getattr(after, column) for column in _ATTENDANCE_COLUMNS)
