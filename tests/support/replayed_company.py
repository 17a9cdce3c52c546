"""A company's log as live workers left it behind, however they died, and what replays of it say."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from prometheus_client import CollectorRegistry
from support.changed_settings import changed
from support.memory_log import CrashError, MemoryAppender, MemoryFetcher, MemoryLog
from support.played_company import NAMES, PARTITIONS, START_MS, Delivery, Step

from common.settings.load import load_settings
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.engine.model import OutputRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.metrics import WorkerMetrics
from streams.replay.by_journal import replay
from streams.replay.by_log import replay_log
from streams.replay.journal import JournalSummary, summarize
from streams.wiring import make_replay

EPOCH = "epoch"
SETTINGS = load_settings(environ={})
WORKER = changed(
    SETTINGS.worker,
    {
        "rate_limit.max_events_per_second": 2,
        "rate_limit.burst_report_interval_s": 4,
        "micro_batch.interval_ms": 0,
        "changelog.interval_ms": 1,
        "state.entities_per_tenant_max": 2,
        "state.use_interval_s": 1,
        "references.wait_ms": 1_500,
        "references.waiting_events_per_tenant_max": 3,
        "references.report_interval_s": 4,
        "policies": {"ticket_sla_breach": {"high_hours_max": 0.0005, "low_hours_max": 0.0002}},
        "timers.snapshot_settle_ms": 300,
        "timers.per_tick_max": 2,
        "merge.wait_ms_max": 60_000,  # the pieces in which these tests fetch are small, and time flies
    },
)
SETTINGS = SETTINGS.model_copy(update={"worker": WORKER})
Feed = dict[int, list[bytes]]
"""Tenant to the values of its records, in order."""


class Life:
    """One worker process on a clock of its own, which goes on where the one before stood."""

    def __init__(self, log: MemoryLog, delivery: Delivery, draws: random.Random, now_ms: int) -> None:
        self.now_ms = now_ms
        self._delivery = delivery
        self._draws = draws
        self._log = log

    async def run(self, until_ms: int | None, lives: int | None, *, stores_last: bool = False) -> None:
        """Work until then, or until everything is said; or until the broker is out of reach for good."""
        application, process = make_replay(SETTINGS, EPOCH)
        cycle = EngineLoop(
            application,
            process,
            EngineClients(
                MemoryFetcher(self._log, lambda: self._draws.randrange(0, 9)),  # type: ignore[arg-type]
                MemoryAppender(self._log, lives, stores_last=stores_last, draws=self._draws),  # type: ignore[arg-type]
            ),
            WORKER,
            WorkerMetrics(CollectorRegistry()),
            lambda: self.now_ms / 1e3,
        )
        cycle.ownership.assign(set(range(PARTITIONS)))
        idle = 0
        while idle < 30 and (until_ms is None or self.now_ms < until_ms):
            self.now_ms += self._draws.choice([1, 7, 40, 260])
            self._delivery.until(self.now_ms)
            await cycle.run_once()
            parts = cycle.ownership.partitions.values()
            quiet = all(each.caught_up and each.wake_at_ms is None for each in parts)
            idle = idle + 1 if quiet and self._delivery.end_ms is None else 0
        await cycle.close()


def live_run(drawn: list[Step], crashes: list[tuple[int, int, bool]], draws: random.Random) -> MemoryLog:
    """The log that workers leave, each but the last one killed: (milliseconds, writes that it lives, ...)."""
    log = MemoryLog()
    delivery, now_ms = Delivery(log, drawn), START_MS
    for run_ms, lives, stores_last in crashes:
        life = Life(log, delivery, draws, now_ms)
        with contextlib.suppress(CrashError):
            asyncio.run(life.run(now_ms + run_ms, lives, stores_last=stores_last))
        now_ms = life.now_ms + 500
    asyncio.run(Life(log, delivery, draws, now_ms).run(None, None))
    return log


def feed_of(log: MemoryLog) -> Feed:
    said: Feed = {}
    for partition in range(PARTITIONS):
        for record in log.topics[NAMES.anomalies, partition]:
            if record.key is not None:
                said.setdefault(json.loads(record.value or b"")["tenant_id"], []).append(record.value or b"")
    return said


def clean_of(records: list[Any]) -> list[Any]:
    """Clean events without their latencies."""
    bodies = [json.loads(record.value) for record in records]
    return [(body["tenant_id"], body["batch"], [each[:4] for each in body["events"]]) for body in bodies]


async def collect(replayed: AsyncIterator[tuple[Partition, MicroBatch]], outputs: dict[str, list[Any]]) -> None:
    async for _, batch in replayed:
        for topic, records in batch.outputs.items():
            outputs.setdefault(topic, []).extend(records)


def by_tenant(records: list[OutputRecord]) -> Feed:
    said: Feed = {}
    for record in records:
        said.setdefault(json.loads(record.value or b"")["tenant_id"], []).append(record.value or b"")
    return said


def pieces(draws: random.Random, most: int) -> Callable[[], int]:
    return lambda: draws.randrange(0, most)


def summary_of(log: MemoryLog, partition: int) -> JournalSummary:
    fetcher: Any = MemoryFetcher(log, lambda: 50)
    return asyncio.run(summarize(make_replay(SETTINGS, EPOCH)[0], fetcher, partition))


def by_the_journal(log: MemoryLog, draws: random.Random) -> dict[str, list[Any]]:
    outputs: dict[str, list[Any]] = {}
    application, process = make_replay(SETTINGS, EPOCH)
    for partition in range(PARTITIONS):
        fetcher: Any = MemoryFetcher(log, pieces(draws, 12))
        asyncio.run(collect(replay(application, fetcher, partition, process), outputs))
    return outputs


def by_the_log(log: MemoryLog, draws: random.Random, partitions: list[int], until_ms: int) -> dict[str, list[Any]]:
    """What one process says that replays some partitions side by side."""
    outputs: dict[str, list[Any]] = {}
    application, process = make_replay(SETTINGS, EPOCH)

    async def run() -> None:
        await asyncio.gather(
            *(
                collect(
                    replay_log(
                        application,
                        MemoryFetcher(log, pieces(draws, draws.choice([2, 5, 80]))),  # type: ignore[arg-type]
                        partition,
                        process,
                        until_ms=until_ms,
                        records_max=draws.choice([1, 7, 1_000]),
                    ),
                    outputs,
                )
                for partition in partitions
            )
        )

    asyncio.run(run())
    return outputs
