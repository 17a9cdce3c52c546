"""An application that counts each tenant's events, on an in-memory log: one life of a worker, and what a reader sees."""

import asyncio
import json
import random
from typing import Any

from prometheus_client import CollectorRegistry
from support import engine_life
from support.changed_settings import changed
from support.engine_life import fence, topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog, TransactionalMemoryAppender

from common.settings.engine import EngineSettings
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.engine.model import Entry, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import TableSpec
from streams.metrics import WorkerMetrics

TOPICS = topics_of("a", "b", outputs=("clean",))
SETTINGS = changed(
    EngineSettings(),
    {
        "micro_batch.interval_ms": 0,
        "fetch.idle_wait_ms": 1,
        "changelog.interval_ms": 1,
        "merge.wait_ms_max": 60_000,
    },
)
NEVER_MS = 10**9
Event = dict[str, Any]


def decode(source_index: int, record: RawRecord) -> Entry:
    event = json.loads(record.value or b"")
    return Entry(event["lsn"], event["lsn"], source_index, record.offset, event, record)


def plain_fold(events: list[Event]) -> list[Event]:
    """What the feed must say: every third event of a key, with the key's own numbers."""
    counts: dict[int, int] = {}
    seqs: dict[int, int] = {}
    said = []
    for event in sorted(events, key=lambda each: each["lsn"]):
        key = event["key"]
        counts[key] = counts.get(key, 0) + 1
        if counts[key] % 3 == 0:
            seqs[key] = seqs.get(key, 0) + 1
            said.append({"key": key, "seq": seqs[key], "lsn": event["lsn"]})
    return said


def process(batch: MicroBatch) -> None:
    table = batch.state["count"]
    for entry in batch.entries:
        key = entry.change["key"]
        count, seq = table.get(key) or (0, 0)
        count += 1
        if count % 3 == 0:
            seq += 1
            body = {"key": key, "seq": seq, "lsn": entry.lsn}
            batch.emit("feed", b"%d" % key, json.dumps(body).encode())
        else:
            batch.emit("clean", b"%d" % key, b"%d" % entry.lsn)
        table.put(key, (count, seq))


async def run_agent(batch: MicroBatch) -> None:
    process(batch)


APPLICATION = EngineSpec(
    TOPICS,
    (TableSpec("count", int, tuple[int, int]),),
    decode,
    lambda entry: str(entry.change["lsn"]),
    fence,
)


class Life(engine_life.Life):
    """One process: runs until everything is processed, or dies."""

    def __init__(
        self,
        log: MemoryLog,
        draws: random.Random,
        lives: int | None,
        *,
        stores_last: bool,
        snapshots_each_ms: int | None = None,
        transactions: bool = False,
        session_timeout_ms: int = SETTINGS.group.session_timeout_ms,
    ) -> None:
        interval_ms = snapshots_each_ms or draws.choice([1, 30, 1_000])
        appender = TransactionalMemoryAppender if transactions else MemoryAppender
        self.loop = EngineLoop(
            APPLICATION,
            self._process,
            EngineClients(
                MemoryFetcher(log, lambda: draws.randrange(0, 6)),  # type: ignore[arg-type]
                appender(log, lives, stores_last=stores_last, draws=draws, splits=True),  # type: ignore[arg-type]
            ),
            changed(
                SETTINGS,
                {
                    "changelog.interval_ms": interval_ms,
                    "micro_batch.large_records": draws.choice([1, 1_000]),  # with 1 it always fetches ahead
                    "group.session_timeout_ms": session_timeout_ms,
                },
            ),
            WorkerMetrics(CollectorRegistry()),
            self._clock,
        )
        self._hangs: asyncio.Event | None = None
        self._goes_on = asyncio.Event()

    async def _process(self, batch: MicroBatch) -> None:
        if self._hangs is not None:
            self._hangs.set()
            await self._goes_on.wait()
        await run_agent(batch)

    def hang(self) -> asyncio.Event:
        """From now on micro-batches are never processed, as if the agent were gone; set when one waits."""
        self._hangs = asyncio.Event()
        return self._hangs

    def go_on(self) -> None:
        """What hangs is processed after all."""
        self._hangs = None
        self._goes_on.set()

    @property
    def done(self) -> bool:
        return all(partition.caught_up for partition in self.loop.ownership.partitions.values())


def feed_of(log: MemoryLog) -> list[Event]:
    return [json.loads(record.value or b"") for record in log.topics["feed", 0] if record.key is not None]


def log_with(keys: list[tuple[int, int]]) -> tuple[MemoryLog, list[Event]]:
    log, events = MemoryLog(), []
    for lsn, (source_index, key) in enumerate(keys, start=1):
        event = {"lsn": lsn, "key": key}
        events.append(event)
        log.append(TOPICS.source_topics[source_index], 0, [OutputRecord(b"k", json.dumps(event).encode(), ())])
    return log, events


def by_the_rule(log: MemoryLog) -> list[Event]:
    """What a reader sees that skips fenced-off generations and repeated numbers."""
    fence, last, seen = 0, dict[int, int](), []
    for record in log.topics["feed", 0]:
        generation = int(dict(record.headers)["generation"])
        if record.key is None:
            fence = max(fence, generation)
            continue
        event = json.loads(record.value or b"")
        if generation >= fence and event["seq"] > last.get(event["key"], 0):
            last[event["key"]] = event["seq"]
            seen.append(event)
    return seen
