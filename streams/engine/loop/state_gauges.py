"""Describes the owned partitions about once a second: lag, size of the state, evicted keys.

Reads what the partitions count themselves, so that no record pays for it. The log says once per day, table and group of
keys that a table is full: what is evicted there is missing in the outputs.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from streams.engine.metrics import EngineMetrics
from streams.engine.partition.partition import Partition
from streams.engine.state.bounded_table import BOUND
from streams.engine.state.table import TableSpec

log = structlog.get_logger(__name__)

_DAY_S = 86_400
_REPORTS_PER_DAY_MAX = 10_000
"""Log lines about full tables in a day; of more only the metric tells."""


class StateGauges:
    """Sets the gauges that describe a state rather than an event.

    Args:
        silence_s: by partition, how long the brokers have not answered where that is too long.
        clock: Unix seconds.
    """

    def __init__(
        self, metrics: EngineMetrics, silence_s: Callable[[], dict[int, float]], clock: Callable[[], float]
    ) -> None:
        self._metrics = metrics
        self._silence_s = silence_s
        self._clock = clock
        self._day = 0
        self._reported: set[tuple[str, Any]] = set()
        """Tables and groups that were reported today."""

    def update(self, partitions: Iterable[Partition]) -> None:
        """Look at the partitions, which may not be in the middle of a micro-batch."""
        metrics, now_s = self._metrics, self._clock()
        silence_s = self._silence_s()
        keys, size_bytes, owned = Counter[str](), Counter[str](), 0
        for partition in partitions:
            owned += 1
            lag, number = partition.lag_records, partition.number
            metrics.lag_records.labels(number).set(lag)
            behind_s = max(0.0, now_s - partition.newest_ms / 1e3) if lag else 0.0
            metrics.lag_seconds.labels(number).set(max(behind_s, silence_s.get(number, 0.0)))
            metrics.delay_seconds.labels(number).set(partition.delay_ms_max / 1e3)
            partition.delay_ms_max = 0.0
            for name, table in partition.state.tables.items():
                keys[name] += len(table)
                size_bytes[name] += table.encoded_bytes
            for bounded in partition.state.bounded.values():
                if bounded.evicted:
                    self._count_evicted(bounded.spec, bounded.evicted)
                    bounded.evicted = {}
        for name, count in keys.items():
            metrics.state_keys.labels(name).set(count)
            metrics.state_bytes.labels(name).set(size_bytes[name])
        metrics.partitions.set(owned)

    def _count_evicted(self, spec: TableSpec, evicted: dict[tuple[Any, str], int]) -> None:
        if self._day != (day := int(self._clock() // _DAY_S)):
            self._day = day
            self._reported.clear()
        for (group, reason), count in evicted.items():
            self._metrics.evicted.labels(spec.name, reason).inc(count)
            key = (spec.name, group)
            if reason == BOUND and key not in self._reported and len(self._reported) < _REPORTS_PER_DAY_MAX:
                self._reported.add(key)
                log.warning(
                    "a table is full: the least recently used keys are evicted",
                    **{spec.group_name: group},
                    table=spec.name,
                    limit=spec.keys_per_group_max,
                    evicted=count,
                    advice=spec.advice,
                )
