"""The results of the fan-out benchmark: figures with targets, tables and the chart. Measures nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from chart import bars
from fanout_cases import (
    FROZEN_GROWTH_MIB_MAX,
    FROZEN_P99_RATIO_MAX,
    IDLE_KIB_MAX,
    STEADY,
    STORM_S_MAX,
    Steady,
)
from fanout_hard import FrozenRun, IdleRun, StormRun
from fanout_measure import SteadyRun
from fanout_servers import CENTRIFUGE, SERVERS, WATCHFLOOR, Server
from figures import Figure, markdown_table, median

COLUMNS = ("clients x records/s", "server", "deliveries/s", "p50 / p99 ms", "CPU s per million", "cut off", "missing")
PICTURE_CASES = ("100k", "300k")


@dataclass(slots=True)
class Measured:
    """Everything that was measured."""

    steady: dict[tuple[str, str], list[SteadyRun]] = field(default_factory=dict)
    """The runs by case and server."""
    idle: dict[str, IdleRun] = field(default_factory=dict)
    """The runs by server."""
    frozen: list[FrozenRun] = field(default_factory=list)
    storm: list[StormRun] = field(default_factory=list)

    def of(self, case: Steady, server: Server, value: str) -> float | None:
        """The median of a value over the runs of a case; None if there are none."""
        runs = self.steady.get((case.name, server.name))
        return median([getattr(run, value) for run in runs]) if runs else None

    def worst(self, case: Steady, server: Server, value: str) -> float:
        """The maximum of a value over the runs of a case."""
        return max(float(getattr(run, value)) for run in self.steady[case.name, server.name])

    def raw(self) -> str:
        """Everything as JSON."""
        return json.dumps(
            {
                "steady": {"/".join(key): [asdict(run) for run in runs] for key, runs in self.steady.items()},
                "idle": {name: asdict(run) for name, run in self.idle.items()},
                "frozen": [asdict(run) for run in self.frozen],
                "storm": [asdict(run) for run in self.storm],
            },
            indent=1,
        )


def figures(measured: Measured) -> list[Figure]:
    """All figures; those of our gateway with their targets."""
    found: list[Figure] = []
    for case in STEADY:
        for server in SERVERS:
            if (case.name, server.name) in measured.steady:
                found += _steady(measured, case, server)
        found += _ratios(measured, case)
    for name, idle in measured.idle.items():
        ours = name == WATCHFLOOR.name
        found.append(Figure(f"{name}_idle_kib_per_connection", idle.kib_per_connection, IDLE_KIB_MAX if ours else None))
        found.append(Figure(f"{name}_sign_in_cpu_ms", idle.sign_in_cpu_ms))
    return [*found, *_frozen(measured.frozen), *_storm(measured.storm)]


def _steady(measured: Measured, case: Steady, server: Server) -> list[Figure]:
    ours = server is WATCHFLOOR
    prefix = f"{server.name}_{case.name}"
    found = []
    for value in ("deliveries_per_s", "p50_ms", "p99_ms", "cpu_s_per_million"):
        target = case.targets.get(value) if ours else None
        found.append(
            Figure(
                f"{prefix}_{value}",
                measured.of(case, server, value) or 0.0,
                target,
                lower_is_better=value != "deliveries_per_s",
            )
        )
    for value in ("closed", "lost", "repeated", "behind"):
        # At the peak rate more is offered than required, so only what arrived is checked.
        target = 0 if ours and not (value == "behind" and "deliveries_per_s" in case.targets) else None
        found.append(Figure(f"{prefix}_{value}", measured.worst(case, server, value), target))
    return found


def _ratios(measured: Measured, case: Steady) -> list[Figure]:
    found = []
    for value in ("cpu_s_per_million", "p99_ms"):
        ours, theirs = measured.of(case, WATCHFLOOR, value), measured.of(case, CENTRIFUGE, value)
        if ours is not None and theirs:
            target = 1.0 if case.beats_peer else None
            found.append(Figure(f"{case.name}_{value}_ratio_to_{CENTRIFUGE.name}", ours / theirs, target))
    return found


def _frozen(runs: Sequence[FrozenRun]) -> list[Figure]:
    if not runs:
        return []
    ratio = median([run.frozen_p99_ms / run.free_p99_ms for run in runs])
    return [
        Figure("frozen_p99_ms", median([run.frozen_p99_ms for run in runs])),
        Figure("frozen_p99_ratio_to_free", ratio, FROZEN_P99_RATIO_MAX),
        Figure("frozen_growth_mib", max(run.growth_mib for run in runs), FROZEN_GROWTH_MIB_MAX),
        Figure("frozen_peak_mib", max(run.peak_mib for run in runs)),
        Figure("frozen_others_closed_lost_repeated", max(run.closed + run.lost + run.repeated for run in runs), 0),
        Figure("frozen_one_lost_repeated_behind", max(run.frozen_lost + run.frozen_behind for run in runs), 0),
    ]


def _storm(runs: Sequence[StormRun]) -> list[Figure]:
    if not runs:
        return []
    wrong = max(run.lost + run.repeated + run.unrecovered + run.early + run.behind for run in runs)
    return [
        Figure("storm_caught_up_s", max(run.caught_up_s for run in runs), STORM_S_MAX),
        Figure("storm_caught_up_p50_s", median([run.caught_up_p50_s for run in runs])),
        Figure("storm_lost_repeated_unrecovered_behind", wrong, 0),
        Figure("storm_refused_handshakes", max(run.refused for run in runs)),
        Figure("storm_cpu_s", median([run.cpu_s for run in runs])),
        Figure("storm_peak_mib", max(run.peak_mib for run in runs)),
    ]


def rows(measured: Measured) -> list[tuple[str, ...]]:
    """The rows of the table of steady cases, with a text for each of `COLUMNS`."""
    return [
        (
            f"{case.clients:,} x {case.rate:,}",
            server.label,
            f"{measured.of(case, server, 'deliveries_per_s'):,.0f}",
            f"{_ms(measured.of(case, server, 'p50_ms'))} / {_ms(measured.of(case, server, 'p99_ms'))}",
            f"{measured.of(case, server, 'cpu_s_per_million'):.2f}",
            f"{measured.worst(case, server, 'closed'):.0f}",
            _missing(measured, case, server),
        )
        for case in STEADY
        for server in SERVERS
        if (case.name, server.name) in measured.steady
    ]


def _missing(measured: Measured, case: Steady, server: Server) -> str:
    if measured.worst(case, server, "behind") and not measured.worst(case, server, "closed"):
        return "falls behind"
    return f"{measured.worst(case, server, 'lost'):.0f}"


def _ms(value: float | None) -> str:
    return "" if value is None else (f"{value:,.0f}" if value >= 100 else f"{value:.1f}")


def markdown(measured: Measured, targets: Sequence[Figure]) -> str:
    """The tables for the documentation: the steady cases, and the targets."""
    held = [
        (each.name, f"{each.value:,.4g}", each.wanted, "yes" if each.met else "no")
        for each in targets
        if each.target is not None
    ]
    lines = [
        *markdown_table(COLUMNS, rows(measured)),
        "",
        *markdown_table(("figure", "measured", "target", "met"), held),
    ]
    return "\n".join(lines)


def picture(measured: Measured, title: str) -> str:
    """The chart as SVG: deliveries per second of CPU time, at two rates."""
    servers = [server for server in SERVERS if any(name == server.name for _, name in measured.steady)]
    panels = [
        (
            f"deliveries per CPU second at {case.deliveries_per_s:,}/s",
            [_per_cpu_second(measured.of(case, server, "cpu_s_per_million")) for server in servers],
        )
        for case in STEADY
        if case.name in PICTURE_CASES
    ]
    own = [server is WATCHFLOOR for server in servers]
    return bars(title, [server.label for server in servers], panels, own)


def _per_cpu_second(cpu_s_per_million: float | None) -> float:
    return 1e6 / cpu_s_per_million if cpu_s_per_million else 0.0


def load_note(steady: Mapping[tuple[str, str], Sequence[SteadyRun]]) -> str:
    """How busy everything except the servers was at most, so that a reader can judge the figures."""
    runs = [run for each in steady.values() for run in each]
    if not runs:
        return ""
    most = max(runs, key=lambda run: run.load_cores)
    return (
        f"The load client used {most.load_cores:.2f} of a core at most (server {most.server_cores:.2f}, broker "
        f"{most.broker_cores:.2f}, producer {most.producer_cores:.2f} in that run); "
        f"other programs of the machine {max(run.other_cores for run in runs):.2f} at most."
    )
