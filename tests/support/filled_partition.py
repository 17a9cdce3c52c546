"""A partition whose buffers a test fills as fetches would, and what the next micro-batch takes of them."""

from support.changes import Record
from support.engine_life import topics_of

from streams.engine.model import Entry
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState, TableSpec

TOPICS = topics_of("a", "b", "c", outputs=("clean",))
COUNTERS = (TableSpec("count", int, int),)
GRACE_MS = 250


def entry(lsn: int, source_index: int, offset: int, identity: str = "") -> Entry:
    return Entry(lsn, lsn, source_index, offset, identity or f"{source_index}:{offset}", Record(offset))


def partition() -> Partition:
    made = Partition(0, TOPICS.sources, PartitionState(COUNTERS), lambda each: str(each.change), tick_grace_ms=GRACE_MS)
    made.wake_at_ms = None
    return made


def next_batch(of: Partition, *, wait: bool = True) -> MicroBatch | None:
    return of.next_batch(wait=wait)


def fill(
    of: Partition, source_index: int, lsns: list[int], *, start: int = 0, more: int = 0, asked_ms: int = 0
) -> None:
    new = [entry(lsn, source_index, start + index) for index, lsn in enumerate(lsns)]
    end = start + len(lsns)
    of.add(source_index, new, end, end + more, 100 * len(new), asked_ms)


def lsns(batch: MicroBatch | None) -> list[int]:
    assert batch is not None
    return [each.lsn for each in batch.entries]
