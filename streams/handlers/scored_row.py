"""Handles a row of a scored table: applies the rate limit, then judges it or lets it wait for the rows it refers to.

Reads: changes of attendance, jobneed, location, ticket, work_order and device. Key: the tenant.
State: the tenant's rate window, detector states, waiting events; see `streams.state.tables`.
Returns: findings, clean events, status changes of tickets, bursts that ended, detectors that raised.
On failure: if an exception is raised, the record becomes a dead letter. A detector that raises is an outcome, and the
other detectors still judge the event.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.envelope import Change
from detectors.interface import Event
from detectors.row_quality.data_quality import Reason, clean, event_time_s, quality_draft
from detectors.shared.facts import Shift
from streams.detection.detector_runner import DetectorRunner, Failures
from streams.detection.missing_references import with_missing
from streams.detection.reference_wait import NOTHING_UNKNOWN, ReferenceWait, Released, Unknown
from streams.engine.model import Entry
from streams.feed.records import EVENT_TYPES
from streams.handlers.ticket_status import status_change
from streams.metrics import WorkerMetrics
from streams.outcomes import NONE, BurstEnded, EventClean, FindingRaised, Outcome, Outcomes, RecordFailed
from streams.rate_limit.limiter import Limiter
from streams.state.site_context import SiteContext
from streams.state.tables import TenantTables

SCORED_TABLES = frozenset({"attendance", "jobneed", "location", "ticket", "work_order", "device"})
"""Their changes count against the tenant's limit; reference data and ticket status do not."""

_WAITING_TABLES = frozenset({"attendance", "location"})
"""Their events name a person whose shifts matter, and wait for the rows they refer to."""


class ScoredRowHandler:
    """Judges row changes."""

    def __init__(
        self, runner: DetectorRunner, limiter: Limiter, reference_wait: ReferenceWait, metrics: WorkerMetrics
    ) -> None:
        self._runner = runner
        self._context_at = runner.site_contexts.at
        self._limiter = limiter
        self._wait = reference_wait
        self._metrics = metrics

    def handle(self, tables: TenantTables, entry: Entry) -> Outcomes:
        """Judge a change, or let it wait. A snapshot row, or one over the limit, only updates the detectors' states."""
        change: Change = entry.change
        if change.snapshot:
            return self._score(tables, entry, change, learn_only=True)
        admitted, burst = self._limiter.admit(tables, change.row.tenant_id, change.commit_us // 1000)
        if burst is None and (change.op != "u" or change.table != "ticket"):
            return self._score(tables, entry, change, learn_only=not admitted)
        return self._with_notices(tables, entry, burst, learn_only=not admitted)

    def judge_released(self, tables: TenantTables, released: Iterable[Released]) -> Iterable[Outcome]:
        """Judge the events whose wait is over, as they would have been judged on arrival."""
        for entry, missing, unreported in released:
            change: Change = entry.change
            row: Any = change.row
            context = self._context_at(tables, row.tenant_id, row.site_id)
            shifts = None if row.person_id is None else tables.shifts.get((row.tenant_id, row.person_id))
            try:
                outcomes = self._judge(tables, entry, context, shifts or (), (missing, unreported))
            except Exception as error:  # noqa: BLE001 - the event that waited has failed, not the row that released it
                outcomes = (RecordFailed.by(entry, change.table, error),)
            yield from outcomes

    def _with_notices(
        self, tables: TenantTables, entry: Entry, burst: BurstEnded | None, *, learn_only: bool
    ) -> Iterable[Outcome]:
        """Add the outcomes beside the findings: a burst that ended before this event, a ticket's change of status."""
        change: Change = entry.change
        if burst is not None:
            yield burst
        if change.table == "ticket" and change.op == "u":
            status = status_change(tables, entry)
            if status is not None:
                yield status
        yield from self._score(tables, entry, change, learn_only=learn_only)

    def _score(self, tables: TenantTables, entry: Entry, change: Change, *, learn_only: bool) -> Outcomes:
        """Judge a change or let it wait."""
        row: Any = change.row
        tenant_id, table = row.tenant_id, change.table
        if change.op == "d":
            return self._forget(tables, change)
        site_id: int | None = row.site_id
        context = self._context_at(tables, tenant_id, site_id)
        if table not in _WAITING_TABLES:
            return self._judge(tables, entry, context, (), NOTHING_UNKNOWN, learn_only=learn_only)
        shifts = None if row.person_id is None else tables.shifts.get((tenant_id, row.person_id))
        if not shifts or (context.facts is None and site_id is not None) or tenant_id in tables.wait_queues:
            return self._wait_or_judge(tables, entry, context, shifts or (), learn_only=learn_only)
        return self._judge(tables, entry, context, shifts, NOTHING_UNKNOWN, learn_only=learn_only)

    def _forget(self, tables: TenantTables, change: Change) -> Iterable[Outcome]:
        """Handle a deleted row: judge the waiting events of its person, then drop the state of the row."""
        if change.table in _WAITING_TABLES and change.row.tenant_id in tables.wait_queues:
            yield from self.judge_released(tables, self._wait.end_waits(tables, change))
        self._runner.forget(tables, change)

    def _wait_or_judge(
        self, tables: TenantTables, entry: Entry, context: SiteContext, shifts: Sequence[Shift], *, learn_only: bool
    ) -> Iterable[Outcome]:
        first, unknown = self._wait.arrive(tables, entry, learn_only=learn_only)
        yield from self.judge_released(tables, first)
        if unknown is not None:
            yield from self._judge(tables, entry, context, shifts, unknown, learn_only=learn_only)

    def _judge(
        self,
        tables: TenantTables,
        entry: Entry,
        context: SiteContext,
        shifts: Sequence[Shift],
        unknown: Unknown,
        *,
        learn_only: bool = False,
    ) -> Outcomes:
        """Run the detectors; return the findings, or that the event is clean, or neither if the row is only learned."""
        change: Change = entry.change
        row: Any = change.row
        table, site_id = change.table, row.site_id
        op: Any = change.op
        before: Any = change.before
        missing, unreported = unknown
        reasons: Sequence[Reason] = ()
        at_s = event_time_s(table, row)
        if context.quality is not None:
            given, (row, reasons) = row, clean(table, row, change.commit_us, context.quality, before, at_s)
            if row is not given:  # its time may be among the values that were removed
                at_s = event_time_s(table, row)
        event = Event(row, change.commit_us, op, before, context.facts, shifts, missing, at_s)
        failures: Failures = []
        drafts = self._runner.judge(tables, change, event, context, failures, learn_only=learn_only)
        failed = tuple(RecordFailed.by(entry, name, error) for name, error in failures) if failures else NONE
        if learn_only:
            return failed
        if missing:
            drafts = with_missing(drafts, change, missing, unreported if context.quality else (), self._wait.wait_ms)
            for name in unreported:
                self._metrics.references_missed.labels(name).inc()
        if reasons:
            drafts.insert(0, quality_draft(reasons))
        if drafts:
            person_id = getattr(row, "person_id", None)
            person = None if person_id is None else tables.persons.get((change.row.tenant_id, person_id))
            person_name = person.name if person else None
            return (*failed, FindingRaised(entry, change, context, site_id, person_id, person_name, drafts))
        if failed:
            return failed
        row = change.row
        event_id = f"{table}:{row.id}:{change.lsn}"  # the same as `records.event_id`, without the call
        kind = EVENT_TYPES.get(table, table)
        return (EventClean(row.tenant_id, event_id, kind, site_id, context.client_id, change.commit_us),)
