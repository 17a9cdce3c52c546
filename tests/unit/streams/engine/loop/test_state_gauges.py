"""What an operator sees: sizes, evictions, stages, and how far a recovery is.

Also of streams/engine/takeover/progress.py.
"""

import asyncio
import random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from support.changed_settings import changed
from support.engine_life import topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog
from support.waiting import let_pass_async

from common.settings.engine import EngineSettings
from streams.engine.formats import PartitionPosition
from streams.engine.kafka.clients import EngineClients
from streams.engine.log.changelog import encode_position
from streams.engine.loop.loop import EngineLoop
from streams.engine.loop.state_gauges import StateGauges
from streams.engine.model import Entry, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import PartitionState, TableSpec
from streams.engine.takeover.progress import TakeoverProgress
from streams.metrics import WorkerMetrics

TOPICS = topics_of("a")
SPECS = (
    TableSpec("plain", int, int),
    TableSpec(
        "seen", tuple[int, int], int, keys_per_group_max=2, expire_after_s=5, use_interval_s=1, group_name="owner"
    ),
)
DAY_S = 86_400.0
FULL = "a table is full: the least recently used keys are evicted"


class Observed:
    def __init__(self) -> None:
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.now_s = 10 * DAY_S
        self.silence_s: dict[int, float] = {}
        self.observer = StateGauges(self.metrics, lambda: self.silence_s, lambda: self.now_s)
        self.partitions = [
            Partition(number, TOPICS.sources, PartitionState(SPECS), lambda _: "") for number in range(2)
        ]
        for partition in self.partitions:
            partition.state.log_time.us = 1_000_000

    def observe(self) -> list[Any]:
        with capture_logs() as lines:
            self.observer.update(self.partitions)
        return [line for line in lines if line["event"] == FULL]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"watchfloor_worker_{name}", labels)


def test_keys_and_bytes_are_those_of_all_partitions() -> None:
    observed, written = Observed(), 0
    for partition in observed.partitions:
        for number in range(50):
            partition.state["plain"].put(number, 7)
        written += sum(len(key) + len(value or b"") for key, value in partition.state.take_changes(1))
    observed.observe()
    assert observed.value("state_keys", table="plain") == 100
    assert observed.value("state_bytes", table="plain") == written
    assert observed.value("state_keys", table="seen") == 0


def test_a_full_table_is_counted_and_reported_once_a_day_and_group() -> None:
    observed = Observed()
    table = observed.partitions[0].state["seen"]
    for number in range(5):
        table.put((7, number), 0)
    (line,) = observed.observe()
    assert (line["owner"], line["table"], line["limit"], line["evicted"]) == (7, "seen", 2, 3)
    assert observed.value("evicted_total", table="seen", reason="bound") == 3
    table.put((7, 9), 0)
    assert observed.observe() == []
    for number in range(3):
        table.put((8, number), 0)
    assert [line["owner"] for line in observed.observe()] == [8]
    assert observed.value("evicted_total", table="seen", reason="bound") == 5
    observed.now_s += DAY_S
    table.put((7, 1), 0)
    assert [line["owner"] for line in observed.observe()] == [7]


def test_what_expires_is_counted_and_nothing_to_worry_about() -> None:
    observed = Observed()
    state = observed.partitions[1].state
    state["seen"].put((7, 1), 0)
    state.log_time.us += 7_000_000
    state.sweep()
    assert observed.observe() == []
    assert observed.value("evicted_total", table="seen", reason="expired") == 1
    observed.observe()
    assert observed.value("evicted_total", table="seen", reason="expired") == 1


def test_the_lag_in_seconds_is_at_least_the_silence_of_the_brokers() -> None:
    observed = Observed()
    observed.silence_s = {1: 30.0}
    observed.observe()
    assert (observed.value("lag_seconds", partition="0"), observed.value("lag_seconds", partition="1")) == (0, 30)
    observed.silence_s = {}
    observed.observe()
    assert observed.value("lag_seconds", partition="1") == 0


def test_the_delay_is_the_longest_since_the_gauges_were_set_before() -> None:
    observed = Observed()
    observed.partitions[0].delay_ms_max = 1_500.0
    observed.observe()
    assert (observed.value("delay_seconds", partition="0"), observed.value("delay_seconds", partition="1")) == (1.5, 0)
    observed.observe()
    assert observed.value("delay_seconds", partition="0") == 0


class SlowFetcher(MemoryFetcher):
    """Reads at the pace of a distant broker, half of it before the pause."""

    def __init__(self, log: MemoryLog, pause_s: float) -> None:
        super().__init__(log, lambda: 5)
        self._pause_s = pause_s

    async def read_pieces(self, place: Any, start: int, end: int | None = None) -> Any:
        async for records in super().read_pieces(place, start, end):
            if place.topic == "state" and any(record.offset == 50 for record in records):
                await let_pass_async(self._pause_s)
            yield records


def cycle_of(fetcher: Any, log: MemoryLog, metrics: WorkerMetrics) -> EngineLoop:
    async def process(batch: MicroBatch) -> None:
        for entry in batch.entries:
            batch.state["plain"].put(entry.offset, entry.offset)

    def decode(source_index: int, record: RawRecord) -> Entry:
        return Entry(record.offset + 1, record.offset + 1, source_index, record.offset, None, record)

    fence = OutputRecord(None, b"fence", ())
    application = EngineSpec(TOPICS, SPECS, decode, lambda entry: str(entry.offset), lambda _: fence)
    appender: Any = MemoryAppender(log, None, stores_last=False, draws=random.Random(1))
    settings = changed(
        EngineSettings(), {"micro_batch.interval_ms": 0, "changelog.interval_ms": 0, "fetch.idle_wait_ms": 1}
    )
    ticks = iter(range(1_000, 10**9))
    return EngineLoop(
        application, process, EngineClients(fetcher, appender), settings, metrics, lambda: float(next(ticks))
    )


def test_each_stage_of_a_round_is_timed_once() -> None:
    log, metrics = MemoryLog(), WorkerMetrics(CollectorRegistry())
    log.append("a", 0, [OutputRecord(b"k", b"v", ())] * 3)

    async def run() -> None:
        cycle = cycle_of(MemoryFetcher(log, lambda: 3), log, metrics)
        cycle.ownership.assign({0})
        await cycle.run_once()

    asyncio.run(run())
    for stage in ("fetch", "decode", "process", "write"):
        count = metrics.registry.get_sample_value("watchfloor_worker_stage_seconds_count", {"stage": stage})
        assert count == 1, stage
        total = metrics.registry.get_sample_value("watchfloor_worker_stage_seconds_sum", {"stage": stage})
        assert total is not None
        assert (total > 0) or stage == "write", stage


def test_a_recovery_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    log, metrics = MemoryLog(), WorkerMetrics(CollectorRegistry())
    filled = PartitionState(SPECS)
    for number in range(99):
        filled["plain"].put(number, 7)
    records = [encode_position(0, PartitionPosition(0, {}, 0, {}, (0, 0), {})), *filled.take_changes(0)]
    log.append("state", 0, [OutputRecord(key, value, ()) for key, value in records])
    seen: list[tuple[float | None, float | None]] = []

    class Watched(TakeoverProgress):
        def _set_gauges(self) -> None:
            super()._set_gauges()
            value = metrics.registry.get_sample_value
            seen.append((value("watchfloor_worker_recovery_read_records"), value("watchfloor_worker_recovery_records")))

    monkeypatch.setattr(
        "streams.engine.loop.loop.TakeoverProgress", lambda metrics, clock: Watched(metrics, clock, interval_s=0.01)
    )

    async def run() -> None:
        cycle = cycle_of(SlowFetcher(log, 0.05), log, metrics)
        cycle.ownership.assign({0})
        await cycle.run_once()

    with capture_logs() as lines:
        asyncio.run(run())
    reported = [line for line in lines if line["event"] == "recovering"]
    assert reported, "a line while it runs"
    assert (reported[0]["partition"], reported[0]["records_read"], reported[0]["records"]) == (0, 50, 100)
    assert (50, 100) in seen
    assert seen[-1] == (0, 0)
