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
from contracts.feed import AnomalyDetected
from contracts.findings import Finding
from contracts.rows import Attendance
from detectors.attendance import AttendanceContext, AttendanceDetector, AttendancePolicy
from detectors.judgement import Judgement, combined_fraud_score
from streams.engine.model import Entry, MicroBatch, Poison
from streams.fuse import Fuse
from streams.limiter import Limiter
from streams.metrics import WorkerMetrics
from streams.outbox import Outbox, event_id, feed_id, iso_us, source_of
from streams.reference import ShiftBook, learn_person, learn_site, learn_tenant
from streams.tables import TenantState, TenantTables
from streams.tickets import status_change

SCORED_TABLES = frozenset({"attendance", "jobneed", "location", "ticket", "work_order", "device"})
"""Their changes count against the tenant's limit. Reference data and ticket status never do (R2.2)."""

_EVENT_TYPES = {"jobneed": "task"}
"""Canonical table to event type, where they differ."""
_ATTENDANCE_COLUMNS = ("person_id", "verified_person_id", "site_id", "event_type", "occurred_at")


class Scorer:
    """Processes micro-batches of any partition.

    Args:
        tables: canonical table names by topic rank.
        detectors: the attendance detectors to run.
        policy: their thresholds.
        limiter: the per-tenant rate limit.
        shifts_per_person_max: see ShiftBook.
        fuse: stops the worker when too much fails.
        outbox: where feed records, clean events and dead letters go.
        metrics: where it counts.
    """

    def __init__(
        self,
        tables: Sequence[str],
        detectors: Sequence[AttendanceDetector],
        policy: AttendancePolicy,
        *,
        limiter: Limiter,
        shifts_per_person_max: int,
        fuse: Fuse,
        outbox: Outbox,
        metrics: WorkerMetrics,
    ) -> None:
        self._tables = tuple(tables)
        self._detectors = tuple(detectors)
        self._policy = policy
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
            self._limiter.tick(batch, tables, batch.tick_ms)
        batch.wake_at_ms = self._limiter.next_report_ms(tables)
        batch.log_ms = _log_ms(batch.entries)
        self._outbox.flush(batch)
        for table, count in zip(self._tables, counts, strict=True):
            if count:
                self._metrics.events.labels(table).inc(count)

    def _apply(self, batch: MicroBatch, tables: TenantTables, entry: Entry, change: Change) -> None:
        tables.log_time.us = change.commit_us
        learn = self._learn.get(change.table)
        if learn is not None:
            if tables.bursting:
                self._limiter.catch_up(batch, tables, change.row.tenant_id, change.commit_us // 1000)
            learn(tables, change)
            return
        if change.table not in SCORED_TABLES or change.snapshot:
            return
        tenant_id = change.row.tenant_id
        tenant = tables.tenants.get(tenant_id)
        if tenant is None:
            tenant = TenantState()
        scored = self._limiter.admit(batch, tables, tenant_id, tenant, change.commit_us // 1000)
        tables.tenants.put(tenant_id, tenant)
        self._outbox.note_scored(change.commit_us)
        if change.table == "ticket" and change.op == "u":
            record = status_change(tables, tenant, change, self._outbox.epoch)
            if record is not None:
                self._outbox.feed(batch, tenant, record)
        if not scored:
            return
        self._score(batch, tables, tenant, entry, change)

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
        score = combined_fraud_score(judgement.fraud_score for judgement in judgements)
        record = AnomalyDetected(
            tenant_id=row.tenant_id,
            seq=tenant.seq + 1,
            id=feed_id(change, "anomaly_detected"),
            time=created_at,
            epoch=self._outbox.epoch,
            source=source_of(change),
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
        self._outbox.feed(batch, tenant, record)
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


def _attendance_changed(change: Change) -> bool:
    """Whether there is something new to judge: a new row, or one whose judged columns changed."""
    before, after = cast(Any, change.before), cast(Any, change.row)
    if change.op == "c" or before is None:
        return True
    return any(getattr(before, column) != getattr(after, column) for column in _ATTENDANCE_COLUMNS)
