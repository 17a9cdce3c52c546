"""Describes the owned partitions about once a second: lag, size of the state, what was evicted.

Reads what the partitions count by themselves, so that no record pays for it. An operator hears of a table that
is full once a day and tenant: what is forgotten there is missed in findings and messages.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from streams.engine.partition.partition import Partition
from streams.engine.state.bounded_table import BOUND
from streams.metrics import WorkerMetrics

log = structlog.get_logger(__name__)

_DAY_S = 86_400
_TOLD_MAX = 10_000
"""Tenants and tables that a full table is told of in a day; of more the metric has to do."""


class StateGauges:
    """Sets the gauges that describe a state rather than an event.

    Args:
        metrics: where.
        clock: Unix seconds.
    """

    def __init__(self, metrics: WorkerMetrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._day = 0
        self._reported: set[tuple[str, Any]] = set()
        """Tables and tenants that were told of today."""

    def observe(self, partitions: Iterable[Partition]) -> None:
        """Look at the partitions; they may not be in the middle of a micro-batch."""
        metrics, now_s = self._metrics, self._clock()
        keys, size_bytes, owned = Counter[str](), Counter[str](), 0
        for partition in partitions:
            owned += 1
            lag, number = partition.lag_records, partition.number
            metrics.lag_records.labels(number).set(lag)
            metrics.lag_seconds.labels(number).set(max(0.0, now_s - partition.newest_ms / 1e3) if lag else 0.0)
            for name, table in partition.state.tables.items():
                keys[name] += len(table)
                size_bytes[name] += table.encoded_bytes
            for name, bounded in partition.state.bounded.items():
                if bounded.evicted:
                    self._count_evicted(name, bounded.evicted, bounded.spec.entities_per_tenant_max)
                    bounded.evicted = {}
        for name, count in keys.items():
            metrics.state_keys.labels(name).set(count)
            metrics.state_bytes.labels(name).set(size_bytes[name])
        metrics.partitions.set(owned)

    def _count_evicted(self, table: str, evicted: dict[tuple[Any, str], int], limit: int | None) -> None:
        if self._day != (day := int(self._clock() // _DAY_S)):
            self._day = day
            self._reported.clear()
        for (tenant, reason), count in evicted.items():
            self._metrics.evicted.labels(table, reason).inc(count)
            what = (table, tenant)
            if reason == BOUND and what not in self._reported and len(self._reported) < _TOLD_MAX:
                self._reported.add(what)
                log.warning(
                    "a tenant has more entities than are remembered; the ones not used for longest are forgotten",
                    tenant_id=tenant,
                    table=table,
                    limit=limit,
                    forgotten=count,
                    advice="raise worker.state.entities_per_tenant_max, or find out what writes so many",
                )
