"""Replays a partition by its source topics alone: in commit order, with the time that the log tells.

Reads: the source topics. Writes nothing. Key: the partition.
Guarantee: each tenant's outputs are the same however the records are cut into micro-batches, and whatever other
partitions a process replays beside this one. They are those of the live run where `JournalSummary.doubts` of its journal
is empty. Not guaranteed are the order of different tenants' records among each other, nor the micro-batches and
latencies of clean events.
On failure: where the log is not complete, IncompleteLogError; where it does not determine one order, UnorderedLogError.

Sources that are ordered by arrival are left out: only the journal knows where their records were processed.
`JournalSummary.doubts` says whether the live run had any.

Time: a tenant's own rows fire its timers that were due before them. A tick fires those of tenants without rows, up to
the commit time of the latest row, and at the end up to a time that the caller names.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiokafka.structs import TopicPartition

from streams.engine.kafka.fetcher import Fetcher
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import PartitionState
from streams.replay.by_journal import IncompleteLogError, deleted_before

_TICK_GRACE_MS = 10_000
"""Commits whose order differs from that of their times lie closer together than this; nobody waits for these ticks."""


class UnorderedLogError(Exception):
    """The log does not determine one order: the outputs of a replay would depend on how it is cut."""


async def replay_log(
    spec: EngineSpec,
    fetcher: Fetcher,
    number: int,
    process: Callable[[MicroBatch], Awaitable[None]],
    *,
    until_ms: int,
    records_max: int = 2_000,
) -> AsyncIterator[tuple[Partition, MicroBatch]]:
    """The records that a partition's source topics have now, processed in commit order.

    Args:
        spec: the application's topics, tables and codecs.
        fetcher: started.
        number: the partition.
        process: has a micro-batch processed.
        until_ms: log time at the end, Unix milliseconds: timers due by then fire. `JournalSummary.tick_ms` is
            what an idle live run has reached.
        records_max: buffered records per topic above which no more are fetched.

    Raises:
        IncompleteLogError: the beginning of a topic has been deleted, so that the state before it is unknown.
        UnorderedLogError: another database stands behind the topics from some record on, or a row's commit time
            lies far before that of rows which were committed earlier.
    """
    partition = Partition(
        number, spec.topics.sources, PartitionState(spec.tables), spec.identity, tick_grace_ms=_TICK_GRACE_MS
    )
    partition.wake_at_ms = None
    for source_index, topic in enumerate(partition.topics):
        topic_partition = TopicPartition(topic, number)
        if topic in spec.topics.arrival_topics:
            partition.high_watermarks[source_index] = 0  # nothing is read of it
            continue
        if first := await fetcher.first(topic_partition):
            raise IncompleteLogError(f"{topic} begins at offset {first}: what was before is unknown")
        partition.high_watermarks[source_index] = await fetcher.end(topic_partition)
    at_end = False
    while True:
        batch = partition.next_batch(wait=True)
        if batch is None:
            if at_end:
                return
            at_end = partition.caught_up
            if at_end:
                partition.asked_ms = [until_ms + _TICK_GRACE_MS] * len(partition.topics)
            else:
                await _fetch(spec, fetcher, partition, records_max)
            continue
        await process(batch)
        if batch.late:
            raise UnorderedLogError(
                f"partition {number} has another database's history in it"
                if batch.new_history
                else f"partition {number} has rows with a commit time long before that of earlier commits"
            )
        partition.finish(batch)
        yield partition, batch


async def _fetch(spec: EngineSpec, fetcher: Fetcher, partition: Partition, records_max: int) -> None:
    """Fetch more of the topics whose buffers are not full, no further than they went when the replay began."""
    lagging = partition.lagging
    offsets = {
        TopicPartition(topic, partition.number): partition.fetched[source_index]
        for source_index, topic in enumerate(partition.topics)
        if lagging[source_index] and len(partition.buffers[source_index]) < records_max
    }
    for topic_partition, answer in (await fetcher.fetch(offsets, 1)).items():
        source_index = partition.topics.index(topic_partition.topic)
        end = partition.high_watermarks[source_index]
        if await deleted_before(fetcher, topic_partition, offsets[topic_partition], answer):
            raise IncompleteLogError(f"{topic_partition.topic} lost records while they were read")
        entries = [spec.decode(source_index, record) for record in answer.records if record.offset < end]
        partition.add(source_index, entries, min(answer.next_offset, end), end, answer.size_bytes)
