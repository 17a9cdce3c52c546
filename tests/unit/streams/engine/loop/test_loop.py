"""A partition with much to do leaves the others their turn."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.changed_settings import changed
from support.engine_life import fence, topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog

from common.settings.engine import EngineSettings
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.engine.model import Entry, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.spec import EngineSpec
from streams.metrics import WorkerMetrics

RECORDS_MAX = 100
FLOOD = 2_000
SETTINGS = changed(
    EngineSettings(),
    {"micro_batch.interval_ms": 0, "micro_batch.records_max": RECORDS_MAX, "fetch.idle_wait_ms": 1},
)


class Rounds:
    """A loop over two partitions, and how many records of each every round processed."""

    def __init__(self, log: MemoryLog, *, with_lsn: bool) -> None:
        self.seen: list[Counter[int]] = []
        self._with_lsn = with_lsn
        fetcher: Any = MemoryFetcher(log, lambda: FLOOD)  # as many as a RecordBatch can hold come at once
        appender: Any = MemoryAppender(log, None, stores_last=False, draws=random.Random(1))
        spec = EngineSpec(topics_of("a", "b"), (), self._decode, str, fence)
        clients = EngineClients(fetcher, appender)
        metrics, ticks = WorkerMetrics(CollectorRegistry()), iter(range(1_000, 10**9))
        self.loop = EngineLoop(spec, self._process, clients, SETTINGS, metrics, lambda: float(next(ticks)))

    async def run(self, rounds: int) -> None:
        self.loop.ownership.assign({0, 1})
        for _ in range(rounds):
            self.seen.append(Counter())
            await self.loop.run_once()
        await self.loop.close()

    def _decode(self, source_index: int, record: RawRecord) -> Entry:
        lsn = record.offset + 1 if self._with_lsn else 0
        return Entry(lsn, lsn, source_index, record.offset, None, record)

    async def _process(self, batch: MicroBatch) -> None:
        self.seen[-1][batch.partition] += len(batch.entries)


@pytest.mark.parametrize("with_lsn", [True, False], ids=["rows", "tombstones"])
def test_a_round_takes_a_bounded_number_of_records_of_one_partition(with_lsn: bool) -> None:
    log = MemoryLog()
    log.append("a", 0, [OutputRecord(b"k", b"v", ())] * FLOOD)
    log.append("a", 1, [OutputRecord(b"k", b"v", ())])
    rounds = Rounds(log, with_lsn=with_lsn)
    asyncio.run(rounds.run(FLOOD // RECORDS_MAX + 5))
    assert sum((counted[0] for counted in rounds.seen), 0) == FLOOD, "nothing is left out"
    assert max(counted[0] for counted in rounds.seen) == RECORDS_MAX
    assert rounds.seen[0][1] == 1, "the other partition has its turn in the first round"
