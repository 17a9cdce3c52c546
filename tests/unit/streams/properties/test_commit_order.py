"""Commit order across topics while rows are being committed: an answer that shows no single moment, and few rows.

Also of streams/engine/loop/source_reader.py.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support import engine_life
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

TOPICS = topics_of("a", "b", "c")
SETTINGS = changed(
    EngineSettings(),
    {
        "micro_batch.interval_ms": 0,
        "fetch.idle_wait_ms": 1,
        "changelog.interval_ms": 1,
        "merge.wait_ms_max": 60_000,
    },
)


def decode(source_index: int, record: RawRecord) -> Entry:
    lsn = json.loads(record.value or b"")
    return Entry(lsn, lsn, source_index, record.offset, lsn, record)


APPLICATION = EngineSpec(TOPICS, (), decode, str, fence)


class Busy(MemoryFetcher):
    """A broker that looks at one topic after the other while rows are being committed, each into one of them.

    Args:
        log: where the rows go.
        rows: rank of each row's topic, in commit order.
        draws: how many come between two looks, in which order the topics are looked at, how much an answer holds.
    """

    def __init__(self, log: MemoryLog, rows: list[int], draws: random.Random) -> None:
        super().__init__(log, lambda: draws.randrange(1, 4))
        self._rows = list(enumerate(rows, start=1))
        self._busy_log = log
        self._draws = draws

    async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
        answer: dict[TopicPartition, Fetched] = {}
        for place in self._draws.sample(sorted(offsets), len(offsets)):
            answer |= await super().fetch({place: offsets[place]}, wait_ms)
            self.commit(self._draws.choice([0, 0, 1, 2]))
        return answer

    def commit(self, count: int) -> None:
        for lsn, source_index in self._rows[:count]:
            self._busy_log.append(TOPICS.source_topics[source_index], 0, [OutputRecord(b"k", b"%d" % lsn, ())])
        del self._rows[:count]


class Life(engine_life.Life):
    """A worker that notes in which order it processed the rows, and how many of them were late."""

    def __init__(self, fetcher: Any, log: MemoryLog, draws: random.Random, *, look_after_ms: int = 0) -> None:
        self.order: list[int] = []
        self.late = 0
        appender: Any = MemoryAppender(log, None, stores_last=False, draws=draws)
        metrics = WorkerMetrics(CollectorRegistry())
        chosen = changed(SETTINGS, {"merge.second_look_after_ms": look_after_ms})
        self.loop = EngineLoop(
            APPLICATION, self._process, EngineClients(fetcher, appender), chosen, metrics, self._clock
        )

    async def _process(self, batch: MicroBatch) -> None:
        self.order += [entry.lsn for entry in batch.entries]
        self.late += batch.late
        batch.processed.set_result(None)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.integers(0, 2), max_size=40), seed=st.integers(0, 10_000))
def test_few_rows_are_processed_in_commit_order_however_an_answer_is_gathered(rows: list[int], seed: int) -> None:
    draws, log = random.Random(seed), MemoryLog()
    one = Life(Busy(log, rows, draws), log, draws)
    asyncio.run(one.run(rounds=3 * len(rows) + 10))
    assert one.order == list(range(1, len(rows) + 1))
    assert one.late == 0


def test_a_row_of_the_topic_that_was_looked_at_first_is_processed_first() -> None:
    class Assignments(Busy):
        """Between the looks at two topics a shift is assigned and its person checks in."""

        async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
            answer: dict[TopicPartition, Fetched] = {}
            for place in sorted(offsets):
                answer |= await MemoryFetcher.fetch(self, {place: offsets[place]}, wait_ms)
                self.commit(2)
            return answer

    draws, log = random.Random(1), MemoryLog()
    one = Life(Assignments(log, [0, 1], draws), log, draws)
    asyncio.run(one.run(rounds=4))
    assert (one.order, one.late) == ([1, 2], 0)


@pytest.mark.parametrize(("wait_s", "looks"), [(0.0, 0), (0.2, 1)])
def test_a_second_look_is_for_rows_that_were_waited_for(wait_s: float, looks: int) -> None:
    class Watched(MemoryFetcher):
        """Has one row, after a while; counts the second looks."""

        looks = 0

        async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
            one.pass_time(wait_s)
            return await super().fetch(offsets, wait_ms)

        async def fetch_now(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Fetched]:
            self.looks += 1
            return await super().fetch_now(offsets)

    draws, log = random.Random(1), MemoryLog()
    log.append("a", 0, [OutputRecord(b"k", b"1", ())])
    fetcher = Watched(log, lambda: 5)
    one = Life(fetcher, log, draws, look_after_ms=50)
    asyncio.run(one.run(rounds=3))
    assert (one.order, fetcher.looks) == ([1], looks)
