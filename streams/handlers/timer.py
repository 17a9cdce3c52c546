"""Lets happen what is due without a row: timers and the ends of bursts, a tenant's in the order of their times."""

from collections.abc import Callable
from math import inf

from streams.engine.partition.micro_batch import MicroBatch
from streams.metrics import WorkerMetrics
from streams.rate_limit.limiter import Limiter
from streams.state.tables import TenantTables
from streams.state.timers import Timer


class TimerRunner:
    """What is due, before a tenant's next row or by a tick.

    Args:
        limiter: knows when a burst is over.
        fire: lets a tenant's first timer fire, which is the one given.
        timers_per_tick_max: so much of what is due happens in one micro-batch.
        metrics: where the delay of ticks is told.
    """

    def __init__(
        self,
        limiter: Limiter,
        fire: Callable[[MicroBatch, TenantTables, int, Timer], None],
        timers_per_tick_max: int,
        metrics: WorkerMetrics,
    ) -> None:
        self._limiter = limiter
        self._fire = fire
        self._timers_per_tick_max = timers_per_tick_max
        self._metrics = metrics

    def tick(self, batch: MicroBatch, tables: TenantTables, until_ms: int) -> None:
        """Let happen what was due by this log time although no row of its tenant came since.

        After a long silence much may be due. The rest of it waits for the next tick, which comes at once: what is
        written meanwhile does not wait for all of it, and a session does not end over it.
        """
        left = self._timers_per_tick_max
        for tenant_id in sorted({*tables.bursting, *tables.timers.tenants_due(until_ms)}):
            due_ms, fired = self.advance(batch, tables, tenant_id, until_ms, left)
            if due_ms is not None:
                self._metrics.tick_delay_seconds.set((until_ms - due_ms) / 1e3)
                batch.fired_ms = max(batch.fired_ms, due_ms)
            left -= fired
            if left <= 0:
                return

    def advance(
        self, batch: MicroBatch, tables: TenantTables, tenant_id: int, until_ms: int, most: float = inf
    ) -> tuple[int | None, int]:
        """Let happen, in the order of the times, what was due of a tenant by then, or `most` of it.

        Returns:
            The last such time, and how much there was.
        """
        last_ms, fired = None, 0
        while fired < most:
            burst_ms = self._limiter.due_ms(tables, tenant_id)
            timer = tables.timers.next_of(tenant_id) if tables.timers.due_by(tenant_id, until_ms) else None
            if burst_ms is not None and burst_ms <= until_ms and (timer is None or burst_ms <= timer.due_ms):
                self._limiter.report_due(batch, tables, tenant_id)
                last_ms, fired = burst_ms, fired + 1
            elif timer is not None and timer.due_ms <= until_ms:
                self._fire(batch, tables, tenant_id, timer)
                last_ms, fired = timer.due_ms, fired + 1
            else:
                break
        return last_ms, fired
