"""What is written of a micro-batch: where, with which headers, what is kept back, and what is refused."""

import asyncio
import random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.engine_life import topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog

from common.errors import WatchfloorError
from streams.engine.formats import JournalEntry, decode_journal
from streams.engine.kafka.clients import EngineClients
from streams.engine.log.writer import LogWriter, RefusedForSizeError
from streams.engine.metrics import EngineMetrics
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState

TOPICS = topics_of("a", outputs=("clean",))


class Written:
    """One micro-batch with outputs on an in-memory log."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog()
        self.partition = Partition(0, TOPICS.sources, PartitionState(()), str)
        self.partition.generation = 3
        self.partition.ends = dict.fromkeys(TOPICS.all(), 0)
        self.batch = MicroBatch(0, 17, self.partition.state, [], {"a": (4, 9)}, None)
        draws = random.Random(1)
        appender: Any = MemoryAppender(self.log, None, stores_last=False, draws=draws)
        fetcher: Any = MemoryFetcher(self.log, lambda: 5)
        self._writer = LogWriter(TOPICS, EngineClients(fetcher, appender), EngineMetrics(CollectorRegistry()))

    def emit(self, topic: str, *values: bytes) -> None:
        for value in values:
            self.batch.emit(topic, b"k", value, [("own", b"1")])

    def write(self) -> None:
        asyncio.run(self._writer.write([], [(self.partition, self.batch)]))

    def values(self, topic: str) -> list[bytes | None]:
        return [record.value for record in self.log.topics[topic, 0]]


def test_outputs_say_their_generation_and_place_and_the_first_repeats_the_journal() -> None:
    written = Written()
    written.emit("feed", b"1", b"2")
    written.emit("clean", b"3")
    written.write()
    (journal,) = written.values("journal")
    assert decode_journal(journal or b"") == JournalEntry(3, 17, {"a": (4, 9)})
    headers = [list(record.headers) for topic in ("feed", "clean") for record in written.log.topics[topic, 0]]
    own, generation, copy = ("own", b"1"), ("generation", b"3"), ("journal", journal)
    assert headers == [
        [own, generation, ("batch", b"17/0"), copy],
        [own, generation, ("batch", b"17/1")],
        [own, generation, ("batch", b"17/0"), copy],
    ]
    assert written.partition.ends == {"a": 0, "feed": 2, "clean": 1, "journal": 1, "state": 0}


def test_what_a_topic_already_has_of_a_journalled_micro_batch_is_kept_back() -> None:
    written = Written()
    written.partition.written = {"journal": {17: 0}, "feed": {17: 0}}
    written.emit("feed", b"1", b"2")
    written.emit("clean", b"3")
    written.write()
    assert (written.values("journal"), written.values("feed"), written.values("clean")) == ([], [b"2"], [b"3"])
    headers = dict(written.log.topics["feed", 0][0].headers)
    assert (headers["batch"], "journal" in headers) == (b"17/1", True), "whoever reads only the rest can still place it"


def test_a_topic_that_the_engine_does_not_know_is_refused_before_anything_is_written() -> None:
    """A recovery would not look there for what was written already."""
    written = Written()
    written.emit("feed", b"1")
    written.emit("elsewhere", b"2")
    with pytest.raises(ValueError, match=r"wrote to \['elsewhere'\], which is no output"):
        written.write()
    assert not any(written.log.ends.values())


def test_a_record_that_its_topic_refuses_is_said_with_what_to_do() -> None:
    written = Written(MemoryLog(bytes_max={"clean": 300}))
    written.emit("clean", b"." * 1_000)
    with pytest.raises(RefusedForSizeError, match=r"RecordBatch on clean for its size: raise the topic's") as refused:
        written.write()
    assert isinstance(refused.value, WatchfloorError)


def test_another_owners_fence_between_our_records_ends_the_ownership() -> None:
    written = Written()
    fence = [("generation", b"4")]
    written.log.append("feed", 0, [_record(b"fence", fence)])
    written.emit("feed", b"1")
    written.write()
    assert written.partition.fenced
    written.emit("feed", b"2")
    written.write()
    assert written.values("feed") == [b"fence", b"1"], "nothing more is written of it"


def test_late_writes_of_an_older_owner_do_not_end_it() -> None:
    written = Written()
    written.log.append("feed", 0, [_record(b"late", [("generation", b"2")])])
    written.emit("feed", b"1")
    written.write()
    assert not written.partition.fenced


def _record(value: bytes, headers: list[tuple[str, bytes]]) -> Any:
    return (b"k", value, headers)
