"""A partition's topics in memory and a recovery of it: what older owners left there is written by the test."""

import asyncio
import random
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from support.engine_life import topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog

from streams.engine.formats import JournalEntry, JournalFence, PartitionPosition, encode_journal
from streams.engine.kafka.clients import EngineClients
from streams.engine.log.changelog import encode_position
from streams.engine.metrics import EngineMetrics
from streams.engine.model import OutputRecord
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import TableSpec
from streams.engine.takeover.progress import TakeoverProgress
from streams.engine.takeover.recovery import Recovery

TOPICS = topics_of("a", "b", outputs=("clean",))
COUNT = TableSpec("count", int, int)


class PartitionTopics:
    """Partition 0, and a worker that can take it over.

    Args:
        digest: of the worker's code and settings.
    """

    def __init__(self, digest: str = "") -> None:
        self.log = MemoryLog()
        draws = random.Random(1)
        fetcher: Any = MemoryFetcher(self.log, lambda: draws.randrange(1, 4))
        appender: Any = MemoryAppender(self.log, None, stores_last=False, draws=draws)
        self.recovery = Recovery(
            EngineSpec(
                TOPICS,
                (COUNT,),
                lambda _index, _record: pytest.fail("a recovery decodes nothing"),
                lambda _entry: "",
                lambda _generation: OutputRecord(None, b"fence", ()),  # as the application makes it: no headers
                digest,
            ),
            EngineClients(fetcher, appender),
            TakeoverProgress(EngineMetrics(CollectorRegistry()), lambda: 0.0),
        )

    def append(self, topic: str, *records: OutputRecord) -> None:
        self.log.append(topic, 0, records)

    def journal(self, *entries: JournalEntry | JournalFence) -> None:
        self.append("journal", *(OutputRecord(None, encode_journal(each), ()) for each in entries))

    def state(self, generation: int, key: str, value: Any) -> None:
        self.append("state", OutputRecord(key.encode(), msgspec.msgpack.encode((generation, value)), ()))

    def position(self, generation: int) -> None:
        key, value = encode_position(generation, PartitionPosition(0, {}, 0, {}, (0, 0), {}))
        self.append("state", OutputRecord(key, value, ()))

    def tombstone(self, generation: int, key: str) -> None:
        self.append("state", OutputRecord(key.encode(), None, (("generation", b"%d" % generation),)))

    def recover(self) -> Partition:
        return asyncio.run(self.recovery.recover(0))


def entry(batch: int, start: int, end: int, generation: int = 1) -> JournalEntry:
    """The journal's entry of a micro-batch that has these offsets of topic a."""
    return JournalEntry(generation, batch, {"a": (start, end)})


def output(made_from: JournalEntry, index: int = 0, *, first: bool = True) -> OutputRecord:
    """An output of that micro-batch; the first one repeats its journal entry."""
    headers = [("generation", b"%d" % made_from.generation), ("batch", b"%d/%d" % (made_from.batch, index))]
    return OutputRecord(b"k", b"v", [*headers, ("journal", encode_journal(made_from))] if first else headers)
