"""The latency of an engine at a steady rate: from sending an event to reading its finding, and the CPU cost.

The sender is a separate process (peers/pace.py), the reader a thread in this one. Afterwards the engine gets no
input, to measure its idle share of a core.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from engines import PROGRAMS, Engine
from figures import percentile
from measure import Process, running
from processes import cpu_seconds
from scratch_broker import PARTITIONS
from session import RunFailedError, Session, say

SETTLE_S_MAX = 10.0
IDLE_AFTER_S = 3.0
ENDLESS = 1 << 60
_READ_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Paced:
    """The latencies and costs at one rate."""

    rate: int
    p50_ms: float
    p99_ms: float
    core_share: float
    idle_core_share: float
    missing: int
    """Findings still missing ten seconds after the last event: the engine falls behind."""


@dataclass(slots=True)
class _Reader:
    """Reads findings and records the latency of each event number in milliseconds."""

    broker: str
    topic: str
    latencies_ms: dict[int, float] = field(default_factory=dict)
    repeats: int = 0
    stopping: bool = False

    def run(self) -> None:
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "reader", "enable.auto.commit": False})
        consumer.assign([TopicPartition(self.topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        while not self.stopping:
            message = consumer.poll(_READ_POLL_S)
            if message is None or message.error() is not None:
                continue
            now_ms = time.time() * 1e3
            body = json.loads(message.value())
            if "id" not in body:  # a fence
                continue
            self.repeats += body["id"] in self.latencies_ms
            self.latencies_ms.setdefault(body["id"], now_ms - body["sent_us"] / 1e3)
        consumer.close()


def measure_paced(engine: Engine, session: Session, *, rate: int, seconds: float, idle_s: float) -> Paced:
    """Measure the latencies at a rate, then the idle share.

    Raises:
        RunFailedError: the engine ended, or wrote a finding twice or a wrong one.
    """
    say(f"{engine.name}: {rate:,} events/s for {seconds:.0f} s")
    broker, source = session.broker, f"paced-{engine.name}-{rate}"
    broker.create({source: {}})
    try:
        with running(engine, session, source, ENDLESS) as process:
            reader = _Reader(broker.address, process.output)
            thread = threading.Thread(target=reader.run)
            thread.start()
            try:
                share, sent = _send(process, source, rate, seconds)
                missing = _settle(reader, set(sent["findings"]), process)
                idle = _idle(process, idle_s) if idle_s and not missing else float("nan")
            finally:
                reader.stopping = True
                thread.join()
    finally:
        broker.delete(source)
    counted = [each for number, each in list(reader.latencies_ms.items()) if number >= sent["first"]]
    return Paced(rate, percentile(counted, 0.50), percentile(counted, 0.99), share, idle, missing)


def _send(process: Process, source: str, rate: int, seconds: float) -> tuple[float, dict[str, Any]]:
    """The engine's share of a core while the counted events were sent, and the result of peers/pace.py."""
    result = process.stats_file.with_name("sent.json")
    program = [sys.executable, str(PROGRAMS / "pace.py"), process.broker.address, source, str(rate), str(seconds)]
    with subprocess.Popen(
        [*program, str(process.stats_file), str(result)], stdout=subprocess.PIPE, text=True
    ) as sender:
        try:
            marks = [(line.strip(), cpu_seconds(process.tree()), time.monotonic()) for line in sender.stdout or ()]
        except BaseException:
            sender.kill()
            raise
    process.check()
    if sender.returncode or [name for name, _, _ in marks] != ["measure", "end"]:
        raise RunFailedError(f"the sender ended with code {sender.returncode}")
    (_, before_s, begun_s), (_, after_s, ended_s) = marks
    return (after_s - before_s) / (ended_s - begun_s), json.loads(result.read_text())


def _settle(reader: _Reader, expected: set[int], process: Process) -> int:
    """Wait for the last findings; return how many are missing."""
    deadline_s = time.monotonic() + SETTLE_S_MAX
    while len(reader.latencies_ms) < len(expected) and time.monotonic() < deadline_s:
        time.sleep(_READ_POLL_S)
    found = set(reader.latencies_ms)
    if found - expected or reader.repeats:
        raise RunFailedError(f"{process.name} wrote {len(found - expected)} wrong findings and {reader.repeats} twice")
    return len(expected - found)


def _idle(process: Process, seconds: float) -> float:
    """The engine's share of a core without any input."""
    time.sleep(IDLE_AFTER_S)
    before_s = cpu_seconds(process.tree())
    time.sleep(seconds)
    return (cpu_seconds(process.tree()) - before_s) / seconds
