"""The targets of the engine, for one worker process with exact state on two cores shared with the broker.

Owns the targets and the figures with them, for the engine's benchmarks. Measures nothing.
"""

import math
from collections.abc import Sequence

from engines import HIGH_RATE, LOW_RATE
from figures import Figure, median
from measure import Throughput
from paced import Paced
from restart import Restart

SHORT_EVENTS, LONG_EVENTS = 400_000, 10_000_000

EVENTS_PER_S_MIN = 130_000
CPU_S_PER_100K_MAX = 0.75
PACED = {
    LOW_RATE: {"p50_ms": 4.0, "p99_ms": 8.0, "core_share": 0.2, "idle_core_share": 0.02},
    HIGH_RATE: {"p99_ms": 30.0},
}
MEMORY_GROWTH_MAX = 1.05
"""The ratio of the peak memory in the last quarter of a long run to that in its second quarter."""
ENTITIES_MEMORY_MIB_MAX = 600.0 * 1e6 / 2**20
RECOVERY_S_MAX = 8.0
FIRST_EVENT_S_MAX = 3.0
_SAMPLES_MIN = 8


def throughput_figures(name: str, runs: Sequence[Throughput], *, targets: bool) -> list[Figure]:
    """The medians over the runs of one engine; the targets apply to our engine in the short run."""
    return [
        Figure(
            f"{name}_events_per_s",
            median([run.events_per_s for run in runs]),
            EVENTS_PER_S_MIN if targets else None,
            lower_is_better=False,
        ),
        Figure(
            f"{name}_cpu_s_per_100k",
            median([run.cpu_s_per_100k for run in runs]),
            CPU_S_PER_100K_MAX if targets else None,
        ),
        Figure(f"{name}_peak_mib", median([run.peak_mib for run in runs])),
    ]


def paced_figures(name: str, paced: Sequence[Paced], *, targets: bool) -> list[Figure]:
    """The latencies and CPU shares of one engine at each rate; no latencies if it fell behind."""
    figures: list[Figure] = []
    for each in paced:
        wanted = PACED.get(each.rate, {}) if targets else {}
        prefix = f"{name}_at_{each.rate}"
        names = (
            ("core_share", "idle_core_share") if each.missing else ("p50_ms", "p99_ms", "core_share", "idle_core_share")
        )
        values = [(value, getattr(each, value)) for value in names]
        figures += [
            Figure(f"{prefix}_{value}", measured, wanted.get(value))
            for value, measured in values
            if not math.isnan(measured)
        ]
        figures.append(Figure(f"{prefix}_missing", each.missing, 0 if targets else None))
    return figures


def memory_growth(run: Throughput) -> float:
    """The ratio of the peak memory in the last quarter of a run to that in its second quarter; NaN for a short run."""
    samples = [mib for _, mib in run.memory_mib]
    if len(samples) < _SAMPLES_MIN:
        return math.nan
    quarter = len(samples) // 4
    return max(samples[-quarter:]) / max(samples[quarter : 2 * quarter])


def memory_figures(name: str, runs: Sequence[Throughput]) -> list[Figure]:
    """Whether memory stays flat over a long run; empty if the run was too short."""
    growth = [value for value in map(memory_growth, runs) if not math.isnan(value)]
    return [Figure(f"{name}_memory_growth", max(growth), MEMORY_GROWTH_MAX)] if growth else []


def restart_figures(restarts: Sequence[Restart], entities: int) -> list[Figure]:
    """The worst values of the restarts, because every restart must meet the target."""
    return [
        Figure("entities", entities),
        Figure("entities_memory_mib", max(each.memory_mib for each in restarts), ENTITIES_MEMORY_MIB_MAX),
        Figure("recovery_s", max(each.recovery_s for each in restarts), RECOVERY_S_MAX),
        Figure("restart_to_first_event_s", max(each.first_event_s for each in restarts), FIRST_EVENT_S_MAX),
    ]
