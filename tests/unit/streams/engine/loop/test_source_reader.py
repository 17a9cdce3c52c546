"""What the reader knows of brokers that do not answer.

Also of streams/engine/loop/loop.py.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from aiokafka.structs import TopicPartition
from prometheus_client import CollectorRegistry
from support.changed_settings import changed
from support.engine_life import fence, topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog

from common.settings.engine import EngineSettings
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.engine.model import Entry, Fetched, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.spec import EngineSpec
from streams.metrics import WorkerMetrics

SILENCE_S_MAX = 10
SETTINGS = changed(
    EngineSettings(),
    {
        "micro_batch.interval_ms": 0,
        "fetch.idle_wait_ms": 1,
        "fetch.broker_silence_s_max": SILENCE_S_MAX,
    },
)


class SilentFetcher(MemoryFetcher):
    """Answers only about some topics."""

    silent: frozenset[str] = frozenset()

    async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
        return await super().fetch({each: at for each, at in offsets.items() if each.topic not in self.silent}, wait_ms)


class Owner:
    """A loop that owns partition 0, whose clock only the test advances."""

    def __init__(self) -> None:
        self.log, self.now_s = MemoryLog(), 1_000.0
        self.fetcher: Any = SilentFetcher(self.log, lambda: 5)
        self.metrics = WorkerMetrics(CollectorRegistry())
        appender: Any = MemoryAppender(self.log, None, stores_last=False, draws=random.Random(1))
        spec = EngineSpec(topics_of("a", "b"), (), self._decode, str, fence)
        clients = EngineClients(self.fetcher, appender)
        self.loop = EngineLoop(spec, self._process, clients, SETTINGS, self.metrics, lambda: self.now_s)
        self.loop.ownership.assign({0})

    def run(self, rounds: int = 1) -> None:
        async def run() -> None:
            for _ in range(rounds):
                await self.loop.run_once()

        asyncio.run(run())

    def lag_s(self) -> float | None:
        self.loop.update_gauges()
        return self.metrics.registry.get_sample_value("watchfloor_worker_lag_seconds", {"partition": "0"})

    @staticmethod
    def _decode(source_index: int, record: RawRecord) -> Entry:
        return Entry(record.offset + 1, record.offset + 1, source_index, record.offset, None, record)

    @staticmethod
    async def _process(batch: MicroBatch) -> None:
        """Do nothing."""


def test_a_worker_is_not_ready_while_no_broker_answers_and_its_lag_grows() -> None:
    owner = Owner()
    owner.run()
    assert (owner.loop.ready, owner.lag_s()) == (True, 0)
    owner.fetcher.silent = frozenset({"a", "b"})
    owner.run()
    owner.now_s += SILENCE_S_MAX
    owner.run()
    assert (owner.loop.ready, owner.lag_s()) == (True, 0), "so long a broker may take"
    for silence_s in (SILENCE_S_MAX + 1, SILENCE_S_MAX + 2):
        owner.now_s += 1
        owner.run()
        assert (owner.loop.ready, owner.lag_s()) == (False, silence_s)
    owner.fetcher.silent = frozenset()
    owner.run()
    assert (owner.loop.ready, owner.lag_s()) == (True, 0)


def test_one_topic_without_a_leader_is_enough() -> None:
    owner = Owner()
    owner.fetcher.silent = frozenset({"b"})
    owner.run()
    owner.now_s += SILENCE_S_MAX + 1
    owner.run()
    assert (owner.loop.ready, owner.lag_s()) == (False, SILENCE_S_MAX + 1)


def test_a_partition_that_was_given_up_says_nothing() -> None:
    owner = Owner()
    owner.fetcher.silent = frozenset({"a", "b"})
    owner.run()
    owner.now_s += SILENCE_S_MAX + 1
    assert not owner.loop.ready
    owner.loop.ownership.assign(set())

    async def run() -> None:
        await owner.loop.ownership.take_over()

    asyncio.run(run())
    assert owner.loop.ready


def test_a_long_time_without_a_question_is_no_silence() -> None:
    """A round takes that long, or the topic's buffer is full."""
    owner = Owner()
    owner.log.append("b", 0, [OutputRecord(b"k", b"v", ())] * 3)
    owner.run()
    owner.now_s += SILENCE_S_MAX + 1
    assert (owner.loop.ready, owner.lag_s()) == (True, 0)
