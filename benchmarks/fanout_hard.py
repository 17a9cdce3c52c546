"""The cases without a steady load: idle connections, a frozen viewer, a reconnect storm."""

import os
import signal
import time
from dataclasses import dataclass

import psutil
from fanout_cases import (
    FROZEN_CLIENTS,
    FROZEN_CYCLES,
    FROZEN_GUARD_S,
    FROZEN_PHASE_S,
    FROZEN_RATE,
    FROZEN_TENANT,
    FROZEN_TENANT_RATE,
    IDLE_CLIENTS,
    IDLE_S,
    STORM_CLIENTS,
    STORM_RATE,
)
from fanout_load import Asked
from fanout_measure import CATCH_UP_S, SETTLE_S, server_under_test, sleep_until, spread
from fanout_servers import Bench, Running, Server
from processes import cpu_seconds
from session import say

WARMING_CLIENTS = 100
"""Connections opened and closed before memory is measured, because the first ones load code."""
STORM_WAIT_S_MAX = 60.0
STORM_AFTER_S = 3.0
_FROZEN_USER = 100_001


@dataclass(frozen=True, slots=True)
class IdleRun:
    """Connections that get only heartbeats."""

    kib_per_connection: float
    """The growth of the server's resident memory for each connection."""
    cores: float
    sign_in_cpu_ms: float


def measure_idle(bench: Bench, server: Server) -> IdleRun:
    """Measure the memory of idle connections."""
    with server_under_test(bench, server) as here:
        with here.load(WARMING_CLIENTS):
            time.sleep(SETTLE_S)
        time.sleep(SETTLE_S)
        before_kib, before_s = _rss_kib(here.process), cpu_seconds([here.process])
        with here.load(IDLE_CLIENTS):
            signed_in_s = cpu_seconds([here.process])
            time.sleep(IDLE_S)
            run = IdleRun(
                kib_per_connection=(_rss_kib(here.process) - before_kib) / IDLE_CLIENTS,
                cores=(cpu_seconds([here.process]) - signed_in_s) / IDLE_S,
                sign_in_cpu_ms=(signed_in_s - before_s) / IDLE_CLIENTS * 1e3,
            )
    say(
        f"idle, {server.name}: {run.kib_per_connection:.1f} KiB a connection, {run.cores:.3f} cores, "
        f"{run.sign_in_cpu_ms:.2f} ms of CPU a sign-in"
    )
    return run


def _rss_kib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1024


@dataclass(frozen=True, slots=True)
class FrozenRun:
    """Many viewers, and one more that is stopped with SIGSTOP part of the time."""

    free_p99_ms: float
    frozen_p99_ms: float
    growth_mib: float
    """At most how much more the server's memory grew while the viewer was frozen than in an equal time before."""
    peak_mib: float
    closed: int
    """Closed connections of the other viewers."""
    lost: int
    repeated: int
    frozen_behind: int
    """1 if the frozen viewer had not caught up at the end."""
    frozen_lost: int
    frozen_closes: dict[str, int]


def measure_frozen(bench: Bench, server: Server) -> FrozenRun:
    """Measure alternating free and frozen phases, so that both see the same state of the machine."""
    phase_ns, guard_ns = int(FROZEN_PHASE_S * 1e9), int(FROZEN_GUARD_S * 1e9)
    cycle_ns = 2 * (phase_ns + guard_ns)
    seconds = bench.warm_up_s + FROZEN_CYCLES * cycle_ns / 1e9
    rates = spread(FROZEN_RATE) | {FROZEN_TENANT: FROZEN_TENANT_RATE}
    with (
        server_under_test(bench, server) as here,
        here.load(FROZEN_CLIENTS, "-receipts") as others,
        here.load(1, "-reconnect", tenants=(FROZEN_TENANT,), first_user=_FROZEN_USER) as one,
    ):
        time.sleep(SETTLE_S)
        with here.produce(rates, seconds) as producer:
            starts = [producer.first_ns + int(bench.warm_up_s * 1e9) + n * cycle_ns for n in range(FROZEN_CYCLES)]
            stops = [start + guard_ns + phase_ns for start in starts]
            others.ask(
                do="window",
                name="free",
                spans=[(start + guard_ns, stop) for start, stop in zip(starts, stops, strict=True)],
            )
            others.ask(
                do="window", name="frozen", spans=[(stop + guard_ns, stop + guard_ns + phase_ns) for stop in stops]
            )
            growth, peak = _freeze_and_thaw(here, one, starts, stops, phase_ns + guard_ns)
            seqs = producer.finished()["seqs"]
        others.ask(do="await", seqs=seqs, timeout_s=CATCH_UP_S)
        behind = one.ask(do="await", seqs=seqs, timeout_s=CATCH_UP_S)["behind"]
        report, lone = others.ask(do="report"), one.ask(do="report")
    windows = {window["name"]: window["latency"] for window in report["windows"]}
    run = FrozenRun(
        free_p99_ms=windows["free"]["p99_ms"],
        frozen_p99_ms=windows["frozen"]["p99_ms"],
        growth_mib=growth,
        peak_mib=peak,
        **{name: report[name] for name in ("closed", "lost", "repeated")},
        frozen_behind=behind,
        frozen_lost=lone["lost"] + lone["repeated"],
        frozen_closes=lone["notes"],
    )
    say(f"frozen, {server.name}: {run}")
    return run


def _freeze_and_thaw(
    here: Running, one: Asked, starts: list[int], stops: list[int], length_ns: int
) -> tuple[float, float]:
    """Stop the viewer's process in each cycle; return the extra growth and the peak of the server's memory, MiB."""
    growths, peaks = [], []
    for start_ns, stop_ns in zip(starts, stops, strict=True):
        sleep_until(start_ns)
        first = _rss_kib(here.process)
        sleep_until(stop_ns)
        middle = _rss_kib(here.process)
        os.kill(one.pid, signal.SIGSTOP)
        try:
            sleep_until(stop_ns + length_ns // 2)
            peaks.append(_rss_kib(here.process))
            sleep_until(stop_ns + length_ns)
        finally:
            os.kill(one.pid, signal.SIGCONT)
        peaks.append(last := _rss_kib(here.process))
        growths.append((last - middle) - (middle - first))
    return max(growths) / 1024, max(peaks) / 1024


@dataclass(frozen=True, slots=True)
class StormRun:
    """All connections are dropped at once and resume."""

    caught_up_s: float
    """From the drop until the last viewer had everything that it missed."""
    caught_up_p50_s: float
    behind: int
    """Viewers that never caught up, or lacked messages at the end."""
    lost: int
    repeated: int
    unrecovered: int
    early: int
    """Messages that arrived before the answer to `resume`."""
    refused: int
    cpu_s: float
    """CPU time of the server, from the drop until all had caught up."""
    peak_mib: float
    notes: dict[str, int]


def measure_storm(bench: Bench, server: Server) -> StormRun:
    """Measure a network failure of all viewers while the feed goes on."""
    with server_under_test(bench, server) as here, here.load(STORM_CLIENTS, "-reconnect", "-receipts") as load:
        time.sleep(SETTLE_S)
        with here.produce(spread(STORM_RATE), bench.warm_up_s + bench.seconds + STORM_AFTER_S) as producer:
            sleep_until(producer.first_ns + int(bench.warm_up_s * 1e9))
            before_s = cpu_seconds([here.process])
            load.ask(do="drop")
            behind = load.ask(do="await_recovered", timeout_s=STORM_WAIT_S_MAX)["behind"]
            used_s = cpu_seconds([here.process]) - before_s
            peak_mib = _rss_kib(here.process) / 1024
            seqs = producer.finished()["seqs"]
        behind += load.ask(do="await", seqs=seqs, timeout_s=CATCH_UP_S)["behind"]
        report = load.ask(do="report")
    recovery = report["recovery"]
    run = StormRun(
        caught_up_s=recovery["max_ms"] / 1e3,
        caught_up_p50_s=recovery["p50_ms"] / 1e3,
        behind=behind,
        cpu_s=used_s,
        peak_mib=peak_mib,
        **{name: report[name] for name in ("lost", "repeated", "unrecovered", "early", "refused", "notes")},
    )
    say(f"storm, {server.name}: {run}")
    return run
