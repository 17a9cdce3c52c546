"""Replays a partition by its journal: the same micro-batches, ticks and order, and so the same outputs.

Reads: the journal and the source topics. Writes nothing. Key: the partition.
Guarantee: the outputs are those of the live run byte for byte, except for the latencies of clean events.
On failure: where the journal or the source topics have lost something, IncompleteLogError.
Without the journal: `streams.replay.by_log`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiokafka.structs import TopicPartition

from streams.engine.formats import JournalEntry
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.model import Fetched
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import PartitionState
from streams.replay.journal import journal_of


class IncompleteLogError(Exception):
    """The journal has a hole, or the source topics no longer have what is to be replayed."""


async def replay(
    spec: EngineSpec,
    fetcher: Fetcher,
    number: int,
    process: Callable[[MicroBatch], Awaitable[None]],
    *,
    records_max: int = 2_000,
) -> AsyncIterator[tuple[Partition, MicroBatch]]:
    """Each journalled micro-batch of a partition, processed again, in order.

    It takes the code and the settings of the live run; `JournalSummary.doubts` says whether these are others. With others
    it is a new run over the same micro-batches.

    Args:
        spec: the application's topics, tables and codecs, as the live worker had them.
        fetcher: started.
        number: the partition.
        process: has a micro-batch processed.
        records_max: buffered records per topic above which no more are fetched.

    Raises:
        IncompleteLogError: the journal does not begin at its first micro-batch, has a hole, or refers to
            records that the source topics no longer have.
        NewerFormatError: a later release has written to the journal.
    """
    topics = spec.topics
    partition = Partition(number, topics.sources, PartitionState(spec.tables), spec.identity)
    async for entry, _ in journal_of(fetcher, TopicPartition(topics.journal, number)):
        if entry.batch != partition.batch + 1:
            raise IncompleteLogError(f"micro-batch {partition.batch + 1} of partition {number} is not in the journal")
        partition.replay.append(entry)
        batch = partition.next_batch(wait=True)
        while batch is None:
            await _fetch(spec, fetcher, partition, entry, records_max)
            batch = partition.next_batch(wait=True)
        for topic, (_, end) in entry.spans.items():
            if batch.spans.get(topic, (0, 0))[1] != end:
                raise _incomplete(topic, entry)
        await process(batch)
        partition.finish(batch)
        yield partition, batch


async def _fetch(
    spec: EngineSpec, fetcher: Fetcher, partition: Partition, entry: JournalEntry, records_max: int
) -> None:
    """Fetch more of the topics that the micro-batch needs, and of those whose buffers are not full."""
    offsets = {
        TopicPartition(topic, partition.number): partition.fetched[source_index]
        for source_index, topic in enumerate(partition.topics)
        if partition.fetched[source_index] < entry.spans.get(topic, (0, 0))[1]
        or len(partition.buffers[source_index]) < records_max
    }
    for topic_partition, answer in (await fetcher.fetch(offsets, 1)).items():
        source_index = partition.topics.index(topic_partition.topic)
        start, end = entry.spans.get(topic_partition.topic, (0, 0))
        wanted = max(start, partition.fetched[source_index])
        if wanted < end and await deleted_before(fetcher, topic_partition, wanted, answer):
            raise _incomplete(topic_partition.topic, entry)
        entries = [spec.decode(source_index, record) for record in answer.records]
        partition.add(source_index, entries, answer.next_offset, answer.end, answer.size_bytes)


async def deleted_before(fetcher: Fetcher, topic_partition: TopicPartition, wanted: int, answer: Fetched) -> bool:
    """Whether retention has deleted records from the offset `wanted` on, as an answer without records may mean."""
    skipped = not answer.records and answer.next_offset > wanted
    return skipped and await fetcher.first(topic_partition) > wanted


def _incomplete(topic: str, entry: JournalEntry) -> IncompleteLogError:
    return IncompleteLogError(f"{topic} no longer has the records of micro-batch {entry.batch}")
