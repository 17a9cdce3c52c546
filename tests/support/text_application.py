"""An application whose state is texts that grow, on an in-memory log: one life of a worker, and what it left."""

import json
import random
from typing import Any

from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support import engine_life
from support.changed_settings import changed
from support.engine_life import fence, topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog, TransactionalMemoryAppender

from common.settings.engine import EngineSettings
from streams.engine.formats import PartitionPosition
from streams.engine.kafka.clients import EngineClients
from streams.engine.log.changelog import Changelog
from streams.engine.loop.loop import EngineLoop
from streams.engine.model import Entry, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import PartitionState, TableSpec
from streams.engine.takeover.standby import Standby
from streams.metrics import WorkerMetrics

TOPICS = topics_of("a", outputs=("clean",))
TABLES = (TableSpec("text", int, str),)
BATCH_BYTES_MAX = 500
Said = list[tuple[int, int]]


def decode(source_index: int, record: RawRecord) -> Entry:
    return Entry(
        record.offset + 1, record.offset + 1, source_index, record.offset, json.loads(record.value or b""), record
    )


async def process(batch: MicroBatch) -> None:
    """A key's text grows with each event, and is deleted when it becomes too long."""
    table = batch.state["text"]
    for entry in batch.entries:
        key, more = entry.change
        text = table.get(key, "") + more
        if len(text) > 200:
            table.delete(key)
        else:
            table.put(key, text)
        batch.emit("feed", b"%d" % key, json.dumps([key, len(text)]).encode())


def plain_fold(events: list[tuple[int, str]]) -> tuple[dict[int, str], Said]:
    texts: dict[int, str] = {}
    said = []
    for key, more in events:
        text = texts.pop(key, "") + more
        said.append((key, len(text)))
        if len(text) <= 200:
            texts[key] = text
    return texts, said


APPLICATION = EngineSpec(
    TOPICS,
    TABLES,
    decode,
    lambda entry: str(entry.offset),
    fence,
)


class Life(engine_life.Life):
    """One process."""

    def __init__(
        self,
        log: MemoryLog,
        draws: random.Random,
        lives: int | None = None,
        *,
        bytes_max: int = BATCH_BYTES_MAX,
        interval_ms: int | None = None,
        standby: Standby | None = None,
        transactions: bool = False,
    ) -> None:
        appender = TransactionalMemoryAppender if transactions else MemoryAppender
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.loop = EngineLoop(
            APPLICATION,
            process,
            EngineClients(
                MemoryFetcher(log, lambda: draws.randrange(0, 12)),  # type: ignore[arg-type]
                appender(  # type: ignore[arg-type]
                    log,
                    lives,
                    stores_last=bool(draws.randrange(2)),
                    draws=draws,
                    whole_bytes_max=bytes_max,
                    splits=True,
                ),
            ),
            changed(
                EngineSettings(),
                {
                    "micro_batch.interval_ms": 0,
                    "fetch.idle_wait_ms": 1,
                    "changelog.interval_ms": draws.choice([1, 30]) if interval_ms is None else interval_ms,
                    "changelog.batch_bytes_max": bytes_max,
                    "output.batch_bytes_max": draws.choice([50, 300, 900]),
                },
            ),
            self.metrics,
            self._clock,
            standby,
        )

    @property
    def texts(self) -> dict[int, str]:
        return self.loop.ownership.partitions[0].state["text"].data


EVENTS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["x", "yy" * 20, "z" * 90])), max_size=60)


def log_with(events: list[tuple[int, str]]) -> MemoryLog:
    log = MemoryLog()
    for event in events:
        log.append("a", 0, [OutputRecord(b"k", json.dumps(event).encode(), ())])
    return log


def feed_of(log: MemoryLog) -> Said:
    """What a reader by the rule sees; the place in the topic tells repeats here."""
    fence, seen = 0, []
    for record in log.topics["feed", 0]:
        generation = int(dict(record.headers)["generation"])
        if record.key is None:
            fence = max(fence, generation)
        elif generation >= fence:
            seen.append(tuple(json.loads(record.value or b"")))
    return seen


def keys_of(log: MemoryLog) -> set[bytes]:
    """What the changelog holds once everything is compacted."""
    newest = {record.key: record.value for record in log.topics["state", 0]}
    return {key for key, value in newest.items() if key is not None and value is not None}


def recovered(log: MemoryLog) -> tuple[dict[int, str], PartitionPosition]:
    """What the changelog alone says."""
    changelog, state = Changelog(), PartitionState(TABLES)
    records: Any = log.topics["state", 0]
    changelog.take_in(records)
    changelog.load_into(state)
    return state["text"].data, changelog.position
