"""The results of a comparison: medians of each engine, ratios, and tables for the terminal and the docs.

Measures nothing and draws nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from engines import WATCHFLOOR, Engine
from figures import Figure, markdown_table, median
from measure import Throughput
from paced import Paced
from targets import memory_figures, paced_figures, throughput_figures

COLUMNS = (
    "engine",
    "events/s",
    "CPU s per 100k",
    "peak MiB",
    "p50/p99 ms at 1,000/s",
    "core, idle",
    "p50/p99 ms at 20,000/s",
)
_BEHIND = "falls behind"


@dataclass(slots=True)
class Measured:
    """Everything that was measured of one engine."""

    engine: Engine
    runs: list[Throughput] = field(default_factory=list)
    paced: list[Paced] = field(default_factory=list)

    @property
    def events_per_s(self) -> float:
        """Median."""
        return median([run.events_per_s for run in self.runs])

    @property
    def cpu_s_per_100k(self) -> float:
        """Median."""
        return median([run.cpu_s_per_100k for run in self.runs])

    @property
    def peak_mib(self) -> float:
        """Median."""
        return median([run.peak_mib for run in self.runs])


def comparison_figures(measured: Sequence[Measured], *, long: bool) -> list[Figure]:
    """The figures of every engine, and the ratios of ours to the others."""
    figures: list[Figure] = []
    for each in measured:
        ours = each.engine is WATCHFLOOR
        figures += throughput_figures(each.engine.name, each.runs, targets=ours and not long)
        if ours:
            figures += memory_figures(each.engine.name, each.runs)
        figures += paced_figures(each.engine.name, each.paced, targets=ours)
    return figures + _ratios(measured, long=long)


def _ratios(measured: Sequence[Measured], *, long: bool) -> list[Figure]:
    by_name = {each.engine.name: each for each in measured}
    ours = by_name.get(WATCHFLOOR.name)
    if ours is None:
        return []
    figures: list[Figure] = []
    if (bare := by_name.get("bare_loop")) is not None:
        figures += _ratios_to("bare_loop", ours, bare.events_per_s, bare.cpu_s_per_100k, None)
    if peers := [each for each in measured if each.engine.is_peer]:
        fastest, leanest = max(each.events_per_s for each in peers), min(each.cpu_s_per_100k for each in peers)
        # The requirement for a long run names only Kafka Streams.
        figures += _ratios_to("best_peer", ours, fastest, leanest, None if long else 1.0)
    if long and (streams := by_name.get("kafka_streams")) is not None:
        figures += _ratios_to("kafka_streams", ours, streams.events_per_s, streams.cpu_s_per_100k, 1.0)
    return figures


def _ratios_to(
    name: str, ours: Measured, events_per_s: float, cpu_s_per_100k: float, wanted: float | None
) -> list[Figure]:
    return [
        Figure(f"events_ratio_to_{name}", ours.events_per_s / events_per_s, wanted, lower_is_better=False),
        Figure(f"cpu_ratio_to_{name}", ours.cpu_s_per_100k / cpu_s_per_100k, wanted),
    ]


def rows(measured: Sequence[Measured]) -> list[tuple[str, ...]]:
    """The rows of the table, fastest first, with a text for each of `COLUMNS`."""
    ordered = sorted(measured, key=lambda each: -each.events_per_s)
    return [
        (
            each.engine.label,
            f"{each.events_per_s:,.0f}",
            f"{each.cpu_s_per_100k:.2f}",
            f"{each.peak_mib:,.0f}",
            *_paced_cells(each),
        )
        for each in ordered
    ]


def _paced_cells(measured: Measured) -> tuple[str, str, str]:
    by_rate = {each.rate: each for each in measured.paced}
    low, high = by_rate.get(WATCHFLOOR.rates[0]), by_rate.get(WATCHFLOOR.rates[1])
    if low is None:
        return "", "", _latency(high)
    idle = "" if math.isnan(low.idle_core_share) else f"{low.idle_core_share:.3f}"
    return _latency(low), f"{low.core_share:.2f}, {idle}", _latency(high)


def _latency(paced: Paced | None) -> str:
    if paced is None:
        return ""
    return _BEHIND if paced.missing else f"{paced.p50_ms:.1f}/{paced.p99_ms:.1f}"


def table_for_docs(measured: Sequence[Measured]) -> str:
    """The table for the documentation, with each engine's way of keeping state."""
    notes = {each.engine.label: each.engine.note for each in measured}
    return "\n".join(markdown_table((*COLUMNS, "state"), [(*row, notes[row[0]]) for row in rows(measured)]))
