"""Fires what is due without a row: detectors' timers, waits that are over, bursts that ended.

Reads: ticks, and the commit time of a tenant's next row. Key: the tenant. State: `streams.state.timers`.
Returns: the outcomes of the timers, as they fire in the order of time.
Guarantee: the timers of a tenant that are due fire before its next row, so their positions among the tenant's messages do
not depend on when ticks come.
"""

from collections.abc import Iterable, Iterator
from math import inf

from streams.detection.detector_timers import DetectorTimers
from streams.detection.reference_wait import ReferenceWait
from streams.handlers.scored_row import ScoredRowHandler
from streams.metrics import WorkerMetrics
from streams.outcomes import Outcome
from streams.rate_limit.dead_letter_limit import DeadLetterLimit
from streams.rate_limit.limiter import Limiter
from streams.state.quota import QUOTA
from streams.state.rearm import REARM
from streams.state.tables import TenantTables
from streams.state.timers import Timer
from streams.state.wait_queue import TABLE as WAITING
from streams.turn import Turn


class TimerHandler:
    """Fires what is due.

    Args:
        dead_letter_limit: has reports of failed records.
        timers_per_tick_max: how many timers fire in one micro-batch.
    """

    def __init__(
        self,
        limiter: Limiter,
        timers: DetectorTimers,
        reference_wait: ReferenceWait,
        scored_rows: ScoredRowHandler,
        *,
        dead_letter_limit: DeadLetterLimit,
        timers_per_tick_max: int,
        metrics: WorkerMetrics,
    ) -> None:
        self._dead_letter_limit = dead_letter_limit
        self._limiter = limiter
        self._timers = timers
        self._wait = reference_wait
        self._scored_rows = scored_rows
        self._timers_per_tick_max = timers_per_tick_max
        self._metrics = metrics

    def tick(self, turn: Turn, until_ms: int) -> Iterator[Outcome]:
        """Fire the timers that were due by this log time although no row of their tenants has arrived since.

        After a long silence many may be due. The rest waits for the next tick, which comes at once, so that writes do
        not wait for all of them and the group session does not expire.
        """
        tables, left = turn.tables, self._timers_per_tick_max
        for tenant_id in sorted({*self._limiter.tenants_due(tables, until_ms), *tables.timers.tenants_due(until_ms)}):
            for due_ms, outcomes in self._due(tables, tenant_id, until_ms, left):
                yield from outcomes
                left -= 1
                self._metrics.tick_delay_seconds.set((until_ms - due_ms) / 1e3)
                turn.batch.fired_ms = max(turn.batch.fired_ms, due_ms)
            if left <= 0:
                return

    def before_row(self, tables: TenantTables, tenant_id: int, commit_ms: int) -> Iterator[Outcome]:
        """Fire the timers of a tenant that were due by the time of its next row."""
        for _, outcomes in self._due(tables, tenant_id, commit_ms, inf):
            yield from outcomes

    def next_ms(self, tables: TenantTables) -> int | None:
        """When the next timer is due, Unix milliseconds; None if there is none."""
        waiting = (self._limiter.next_report_ms(tables), tables.timers.next_ms())
        return min((due_ms for due_ms in waiting if due_ms is not None), default=None)

    def _due(
        self, tables: TenantTables, tenant_id: int, until_ms: int, most: float
    ) -> Iterator[tuple[int, Iterable[Outcome]]]:
        """The tenant's timers that were due by then, at most `most`, each with its time and its outcomes."""
        while most > 0:
            most -= 1
            burst_ms = self._limiter.due_ms(tables, tenant_id)
            timer = tables.timers.next_of(tenant_id) if tables.timers.due_by(tenant_id, until_ms) else None
            if burst_ms is not None and burst_ms <= until_ms and (timer is None or burst_ms <= timer.due_ms):
                burst = self._limiter.report_due(tables, tenant_id)
                yield burst_ms, () if burst is None else (burst,)
            elif timer is not None and timer.due_ms <= until_ms:
                yield timer.due_ms, self._fire(tables, tenant_id, timer)
            else:
                return

    def _fire(self, tables: TenantTables, tenant_id: int, timer: Timer) -> Iterator[Outcome]:
        """Fire the tenant's first timer, which is `timer`; the entities that it reads count as used at its time."""
        now_us, tables.log_time.us = tables.log_time.us, timer.due_ms * 1000
        try:
            if timer.table == WAITING:
                tables.timers.take(tenant_id)
                yield from self._scored_rows.judge_released(tables, self._wait.release(tables, tenant_id, timer.due_ms))
            elif timer.table == QUOTA:
                tables.timers.take(tenant_id)
                yield self._dead_letter_limit.report(tables, tenant_id)
            elif timer.table == REARM:
                self._timers.rearm_some(tables, tenant_id)
            else:
                outcome = self._timers.fire(tables, tenant_id, timer)
                if outcome is not None:
                    yield outcome
        finally:
            tables.log_time.us = now_us
