"""Runs a partition's journal again: the same micro-batches, ticks and order, and so the same outputs.

Reads the journal and the source topics, writes nothing. What an older generation journalled behind a
fence counts as little here as it does for recovery; of a micro-batch that was journalled twice (it was run
again after a crash) both entries say the same.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiokafka.structs import TopicPartition

from streams.engine.cycle import Application
from streams.engine.fetcher import Fetcher
from streams.engine.model import JournalEntry, JournalFence, MicroBatch, decode_journal
from streams.engine.partition import Partition
from streams.engine.tables import PartitionState


class IncompleteLogError(Exception):
    """The journal has a hole, or retention has deleted what it refers to."""


async def replay(
    application: Application,
    fetcher: Fetcher,
    number: int,
    process: Callable[[MicroBatch], Awaitable[None]],
    *,
    records_max: int = 2_000,
) -> AsyncIterator[tuple[Partition, MicroBatch]]:
    """Each journalled micro-batch of a partition, processed again, in order.

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
        await process(batch)
        partition.finish(batch)
        yield partition, batch


async def journal_of(fetcher: Fetcher, place: TopicPartition) -> AsyncIterator[JournalEntry]:
    """The journal's entries that count, each micro-batch once."""
    fence = last = 0
    async for record in fetcher.read(place, 0):
        entry = decode_journal(record.value or b"")
        if isinstance(entry, JournalFence):
            fence = max(fence, entry.generation)
        elif entry.generation >= fence and entry.batch > last:
            last = entry.batch
            yield entry


async def _fetch(
    application: Application, fetcher: Fetcher, partition: Partition, entry: JournalEntry, records_max: int
) -> None:
    """Fetch more of the topics that the micro-batch needs."""
    sources = application.topics.sources
    offsets = {
        TopicPartition(topic, partition.number): partition.fetched[rank]
        for rank, topic in enumerate(sources)
        if partition.fetched[rank] < entry.spans.get(topic, (0, 0))[1] or len(partition.buffers[rank]) < records_max
    }
    fetched = await fetcher.fetch(offsets, 1)
    for place, answer in fetched.items():
        rank = sources.index(place.topic)
        start, end = entry.spans.get(place.topic, (0, 0))
        if answer.records and start <= partition.fetched[rank] < end and answer.records[0].offset >= end:
            raise IncompleteLogError(f"{place.topic} no longer has the records of micro-batch {entry.batch}")
        if answer.next_offset > partition.fetched[rank] and not answer.records and partition.fetched[rank] < end:
            raise IncompleteLogError(f"{place.topic} no longer has the records of micro-batch {entry.batch}")
        entries = [application.decode(rank, record) for record in answer.records]
        partition.add(rank, entries, answer.next_offset, answer.end, answer.size_bytes)
