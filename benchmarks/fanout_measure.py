"""One run of a case: a server, a load client, a producer, and their costs. Prints only progress."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from fanout_cases import TENANTS, Steady
from fanout_servers import Bench, Running, Server
from processes import cpu_seconds
from scratch_broker import PARTITIONS
from session import say

from common.settings.kafka import KafkaSettings
from streams.topics import ensure_topics

SETTLE_S = 1.0
CATCH_UP_S = 20.0
"""How long after the last record viewers may take; one that lacks a record then has fallen behind."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SteadyRun:
    """One steady case on one server."""

    deliveries_per_s: float
    cpu_s_per_million: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    server_cores: float
    load_cores: float
    broker_cores: float
    producer_cores: float
    other_cores: float
    """CPU share of the machine's other programs."""
    closed: int
    lost: int
    repeated: int
    behind: int
    """Viewers that still lacked records some time after the last one."""
    peak_mib: float
    late_ms: float
    """How far the producer was behind its schedule at most."""
    notes: dict[str, int]


@contextmanager
def server_under_test(bench: Bench, server: Server) -> Iterator[Running]:
    """Run a server with its own topics."""
    prefix = f"run{next(_numbers)}-{server.name}"
    ensure_topics(KafkaSettings(bootstrap_servers=bench.broker.address, topic_prefix=prefix, partitions=PARTITIONS))
    running = Running(bench, server, prefix)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()
        bench.broker.delete(f"{prefix}.")


def spread(rate: int) -> dict[int, int]:
    """Spread a rate evenly over all tenants."""
    return dict.fromkeys(TENANTS, rate // len(TENANTS))


def sleep_until(moment_ns: int) -> None:
    """Sleep until a time of the wall clock, which the producer also uses."""
    time.sleep(max(0.0, (moment_ns - time.time_ns()) / 1e9))


def measure_steady(bench: Bench, server: Server, case: Steady) -> SteadyRun:
    """Run a steady case on a server and measure it."""
    with server_under_test(bench, server) as here, here.load(case.clients, "-receipts") as load:
        time.sleep(SETTLE_S)
        with here.produce(spread(case.rate), bench.warm_up_s + bench.seconds) as producer:
            start_ns = producer.first_ns + int(bench.warm_up_s * 1e9)
            end_ns = start_ns + int(bench.seconds * 1e9)
            load.ask(do="window", name="all", spans=[(start_ns, end_ns)])
            watched = {
                "server": here.process,
                "load": psutil.Process(load.pid),
                "broker": psutil.Process(bench.broker.pid),
                "producer": psutil.Process(producer.pid),
            }
            sleep_until(start_ns)
            before, machine_s = {name: cpu_seconds([each]) for name, each in watched.items()}, _busy_s()
            sleep_until(end_ns)
            used = {name: cpu_seconds([each]) - before[name] for name, each in watched.items()}
            used["other"] = max(0.0, _busy_s() - machine_s - sum(used.values()))
            written = producer.finished()
            behind = load.ask(do="await", seqs=written["seqs"], timeout_s=CATCH_UP_S)["behind"]
            report = load.ask(do="report")
            peak_mib = here.process.memory_info().rss / 2**20
    latency, arrivals = report["windows"][0]["latency"], report["windows"][0]["arrivals"]
    cores: dict[str, Any] = {f"{name}_cores": used_s / bench.seconds for name, used_s in used.items()}
    run = SteadyRun(
        deliveries_per_s=arrivals / bench.seconds,
        cpu_s_per_million=used["server"] / max(1, arrivals) * 1e6,
        behind=behind,
        peak_mib=peak_mib,
        late_ms=written["late_ms"],
        **{name: latency[name] for name in ("p50_ms", "p99_ms", "max_ms")},
        **cores,
        **{name: report[name] for name in ("closed", "lost", "repeated", "notes")},
    )
    say(
        f"{case.name}, {server.name}: {run.deliveries_per_s:,.0f} deliveries/s, p50 {run.p50_ms:.1f} p99 {run.p99_ms:.1f} "
        f"max {run.max_ms:.0f} ms, {run.cpu_s_per_million:.2f} CPU s per million, cores: server {run.server_cores:.2f} "
        f"load {run.load_cores:.2f} broker {run.broker_cores:.2f} producer {run.producer_cores:.2f} other {run.other_cores:.2f}, {run.peak_mib:.0f} MiB, "
        f"closed {run.closed} lost {run.lost} repeated {run.repeated} behind {run.behind} late {run.late_ms:.0f} ms {run.notes}"
    )
    return run


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
