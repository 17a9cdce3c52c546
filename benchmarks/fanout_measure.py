"""One run of a case: a server, a load client, a producer, and their costs. Prints only progress."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from fanout_cases import TENANTS, Steady
from fanout_load import Asked, Producer, start_load
from fanout_servers import Running, Server, write_clients
from processes import cpu_seconds
from scratch_broker import PARTITIONS, ScratchBroker
from session import say

from common.settings.kafka import KafkaSettings
from contracts.topics import TopicNames
from streams.topics import ensure_topics

SETTLE_S = 1.0
CATCH_UP_S = 20.0
"""How long after the last record viewers may take; one that lacks a record then has fallen behind."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every run needs.

    Args:
        broker: a running broker.
        directory: the directory for temporary files.
        tools: the directory of the compiled programs.
        warm_up_s: how long each case runs before it is measured.
        seconds: how long each case is measured.
    """

    broker: ScratchBroker
    directory: Path
    tools: Path
    warm_up_s: float
    seconds: float


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


@dataclass(slots=True)
class ServerUnderTest:
    """A running server with its own topics."""

    bench: Bench
    server: Server
    running: Running
    prefix: str

    @property
    def process(self) -> psutil.Process:
        """The server's process."""
        return psutil.Process(self.running.pid)

    def load(self, clients: int, *options: str, tenants: tuple[int, ...] = TENANTS, first_user: int = 1) -> Asked:
        """Start viewers of this server and wait until they are signed in."""
        path = self.bench.directory / f"{self.prefix}-{first_user}.clients"
        write_clients(path, self.server, tenants, clients, first_user)
        return start_load(self.bench.tools, self.running.address, self.server.protocol, path, *options)

    def produce(self, rates: Mapping[int, int], seconds: float) -> Producer:
        """Start writing records for this server."""
        topic = TopicNames(self.prefix).anomalies
        log = self.bench.directory / f"{self.prefix}-producer.log"
        return Producer(self.bench.broker.address, topic, PARTITIONS, self.server.form, rates, seconds, log)


@contextmanager
def server_under_test(bench: Bench, server: Server) -> Iterator[ServerUnderTest]:
    """Run a server with its own topics."""
    prefix = f"run{next(_numbers)}-{server.name}"
    ensure_topics(KafkaSettings(bootstrap_servers=bench.broker.address, topic_prefix=prefix, partitions=PARTITIONS))
    running = Running(server, bench.broker.address, prefix, bench.directory, bench.tools)
    try:
        running.wait_until_ready()
        yield ServerUnderTest(bench, server, running, prefix)
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
