"""The rate limit of the tenants: which events are scored, and when a burst over the limit is reported.

The arithmetic is in `streams.rate_limit.window`; this module knows the tenants' limits and stores their windows.
"""

import heapq

from streams.metrics import WorkerMetrics
from streams.outcomes import BurstEnded
from streams.rate_limit.window import BurstReport, admit, advance, report_due_ms
from streams.state.entities import RateState, TenantState
from streams.state.tables import TenantTables


class Limiter:
    """Decides which events are scored.

    Args:
        events_per_second_max: the limit of tenants without their own.
        window_ms: the length of the tumbling window.
        report_interval_ms: how often a burst that does not end is reported.
    """

    def __init__(
        self, *, events_per_second_max: int, window_ms: int, report_interval_ms: int, metrics: WorkerMetrics
    ) -> None:
        self._window_ms = window_ms
        self._default_limit = self._per_window(events_per_second_max)
        self._report_interval_ms = report_interval_ms
        self._metrics = metrics

    def admit(self, tables: TenantTables, tenant_id: int, commit_ms: int) -> tuple[bool, BurstEnded | None]:
        """Count an event of a tenant.

        Returns:
            Whether the event is scored, and the report of a burst that ended before it.
        """
        tenant = tables.tenants.get(tenant_id)
        if tenant is None:
            tenant = TenantState()
        rate, own = tenant.rate, tenant.events_per_second_max
        limit = self._default_limit if own is None else self._per_window(own)
        if rate.admitted < limit and commit_ms // self._window_ms <= rate.window:
            # The result of `window.admit` for nearly every event, without its calls.
            tenant.rate = RateState(
                rate.window, rate.admitted + 1, rate.dropped, rate.burst_window, rate.last_drop_window
            )
            tables.tenants.put(tenant_id, tenant)
            return True, None
        tenant.rate, scored, report = admit(rate, commit_ms, limit, self._window_ms, self._report_interval_ms)
        burst = None if report is None else self._ended(tables, tenant_id, tenant, report)
        if not scored:
            if tenant_id not in tables.bursting:
                tables.bursting.add(tenant_id)
                heapq.heappush(tables.bursts, (report_due_ms(tenant.rate, self._window_ms) or 0, tenant_id))
            self._metrics.count_rate_limited(tenant_id)
        tables.tenants.put(tenant_id, tenant)
        return scored, burst

    def due_ms(self, tables: TenantTables, tenant_id: int) -> int | None:
        """When the tenant's burst is over if no further event arrives; None if there is no burst."""
        if tenant_id not in tables.bursting:
            return None
        tenant = tables.tenants.get(tenant_id)
        due_ms = None if tenant is None else report_due_ms(tenant.rate, self._window_ms)
        if due_ms is None:
            tables.bursting.discard(tenant_id)
        return due_ms

    def report_due(self, tables: TenantTables, tenant_id: int) -> BurstEnded | None:
        """End the tenant's burst as of its time (`due_ms`), which has come."""
        due_ms, tenant = self.due_ms(tables, tenant_id), tables.tenants.get(tenant_id)
        if tenant is None or due_ms is None:
            return None
        tenant.rate, report = advance(tenant.rate, due_ms, self._window_ms, self._report_interval_ms)
        tables.tenants.put(tenant_id, tenant)
        return None if report is None else self._ended(tables, tenant_id, tenant, report)

    def next_report_ms(self, tables: TenantTables) -> int | None:
        """When the first open burst of any tenant is over, Unix milliseconds; None if there is none."""
        bursts = tables.bursts
        while bursts:
            queued_ms, tenant_id = bursts[0]
            due_ms = self.due_ms(tables, tenant_id)
            if due_ms == queued_ms:
                return due_ms
            if due_ms is None:
                heapq.heappop(bursts)
            else:  # further events were dropped since
                heapq.heapreplace(bursts, (due_ms, tenant_id))
        return None

    def tenants_due(self, tables: TenantTables, until_ms: int) -> list[int]:
        """The tenants whose burst is over by then; costs no look at the others."""
        due: list[tuple[int, int]] = []
        while (first_ms := self.next_report_ms(tables)) is not None and first_ms <= until_ms:
            due.append(heapq.heappop(tables.bursts))
        for each in due:
            heapq.heappush(tables.bursts, each)
        return [tenant_id for _, tenant_id in due]

    def _limit(self, tenant: TenantState) -> int:
        """The number of events scored in each window; at least one, so that a low limit does not stop scoring."""
        own = tenant.events_per_second_max
        return self._default_limit if own is None else self._per_window(own)

    def _per_window(self, per_second: int) -> int:
        return 0 if per_second <= 0 else max(1, per_second * self._window_ms // 1000)

    def _ended(self, tables: TenantTables, tenant_id: int, tenant: TenantState, report: BurstReport) -> BurstEnded:
        tables.bursting.discard(tenant_id)
        return BurstEnded(tenant_id, report.dropped, report.window_start_ms, self._limit(tenant))
