"""Runs a partition's journal again: the same micro-batches, ticks and order, and so the same outputs.

Reads the journal and the source topics, writes nothing. What an older generation journalled behind a
fence counts as little here as it does for recovery; of a micro-batch that was journalled twice (it was run
again after a crash) both entries say the same. Without the journal: `streams.replay.by_log`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from streams.engine.kafka.fetcher import Fetcher
from streams.engine.loop.loop import EngineSpec
from streams.engine.model import Fetched, JournalEntry, JournalFence, decode_journal
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState


class IncompleteLogError(Exception):
    """The journal has a hole, or the source topics no longer have what is to be replayed."""


async def replay(
    application: EngineSpec,
    fetcher: Fetcher,
    number: int,
    process: Callable[[MicroBatch], Awaitable[None]],
    *,
    records_max: int = 2_000,
) -> AsyncIterator[tuple[Partition, MicroBatch]]:
    """Each journalled micro-batch of a partition, processed again, in order.

    Its outputs are those of the live run byte for byte, but for the latencies of clean events. Given the
    settings and the version of the live run: a replay through others is a new run over the same micro-batches.

    Args:
        application: topics, tables and codecs, as the live worker had them.
        fetcher: started.
        number: the partition.
        process: has a micro-batch processed.
        records_max: buffered records per topic above which no more are fetched.

    Raises:
        IncompleteLogError: the journal does not begin at its first micro-batch, has a hole, or refers to
            records that the source topics no longer have.
    """
    topics = application.topics
    partition = Partition(number, topics.sources, PartitionState(application.tables), application.identity)
    async for entry in journal_of(fetcher, TopicPartition(topics.journal, number)):
        if entry.batch != partition.batch + 1:
            raise IncompleteLogError(f"micro-batch {partition.batch + 1} of partition {number} is not in the journal")
        partition.replay.append(entry)
        batch = partition.next_batch(wait=True)
        while batch is None:
            await _fetch(application, fetcher, partition, entry, records_max)
            batch = partition.next_batch(wait=True)
        for topic, (_, end) in entry.spans.items():
            if batch.spans.get(topic, (0, 0))[1] != end:
                raise _incomplete(topic, entry)
        await process(batch)
        partition.finish(batch)
        yield partition, batch


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """What the journal of a partition says of the live run as a whole."""

    first_batch: int
    """1 where the journal has the whole run; 0 where it is empty."""
    batches: int
    late: int
    """Records that were processed behind their place; where there is none, the journal's order is the log's own."""
    tick_ms: int
    """Log time of the latest tick, Unix milliseconds: every timer that was due by then has been fired."""

    def doubts(self) -> list[str]:
        """Why a replay without the journal may say something else than the live run did; empty: it cannot."""
        doubts = []
        if self.first_batch > 1:
            doubts.append(
                f"the journal begins at micro-batch {self.first_batch}: nobody knows what came late before it"
            )
        if self.late:
            doubts.append(
                f"{self.late} records came late in the live run: the log alone does not say where they counted"
            )
        return doubts


async def summarize(fetcher: Fetcher, topic_partition: TopicPartition) -> JournalSummary:
    """Read a partition's journal to its end."""
    first_batch = batches = late = tick_ms = 0
    async for entry in journal_of(fetcher, topic_partition):
        first_batch = first_batch or entry.batch
        batches += 1
        late += entry.late
        tick_ms = max(tick_ms, entry.tick_ms or 0)
    return JournalSummary(first_batch, batches, late, tick_ms)


async def journal_of(fetcher: Fetcher, topic_partition: TopicPartition) -> AsyncIterator[JournalEntry]:
    """The journal's entries that count, each micro-batch once."""
    fence = last = 0
    async for record in fetcher.read(topic_partition, 0):
        entry = decode_journal(record.value or b"")
        if isinstance(entry, JournalFence):
            fence = max(fence, entry.generation)
        elif entry.generation >= fence and entry.batch > last:
            last = entry.batch
            yield entry


async def _fetch(
    application: EngineSpec, fetcher: Fetcher, partition: Partition, entry: JournalEntry, records_max: int
) -> None:
    """Fetch more of the topics that the micro-batch needs."""
    sources = application.topics.sources
    offsets = {
        TopicPartition(topic, partition.number): partition.fetched[source_index]
        for source_index, topic in enumerate(sources)
        if partition.fetched[source_index] < entry.spans.get(topic, (0, 0))[1]
        or len(partition.buffers[source_index]) < records_max
    }
    for topic_partition, answer in (await fetcher.fetch(offsets, 1)).items():
        source_index = sources.index(topic_partition.topic)
        start, end = entry.spans.get(topic_partition.topic, (0, 0))
        wanted = max(start, partition.fetched[source_index])
        if wanted < end and await deleted_before(fetcher, topic_partition, wanted, answer):
            raise _incomplete(topic_partition.topic, entry)
        entries = [application.decode(source_index, record) for record in answer.records]
        partition.add(source_index, entries, answer.next_offset, answer.end, answer.size_bytes)


async def deleted_before(fetcher: Fetcher, topic_partition: TopicPartition, wanted: int, answer: Fetched) -> bool:
    """Whether retention has deleted records from the offset `wanted` on, as an answer without records may mean."""
    skipped = not answer.records and answer.next_offset > wanted
    return skipped and await fetcher.first(topic_partition) > wanted


def _incomplete(topic: str, entry: JournalEntry) -> IncompleteLogError:
    return IncompleteLogError(f"{topic} no longer has the records of micro-batch {entry.batch}")
