"""Writes what micro-batches changed, and notices when another worker wrote in between.

Reads: processed micro-batches and snapshots of the owned partitions.
Writes: journal, outputs and changelog. Key: the partition.
Guarantee: journal entry and outputs of a micro-batch are sent at once and acknowledged before any snapshot that contains
its changes is sent. Outputs that the topics already have are kept back.
On failure: a write that is not acknowledged is raised; the worker stops, and the next owner recovers. A partition that
another worker has taken over is marked as fenced and written no more.
"""

import time
from collections.abc import Sequence
from typing import cast

import structlog
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced
from aiokafka.structs import TopicPartition

from common.errors import WatchfloorError
from streams.engine.formats import BATCH_HEADER, GENERATION_HEADER, JOURNAL_HEADER, JournalEntry, encode_journal
from streams.engine.kafka.appender import PendingAppend
from streams.engine.kafka.clients import EngineClients
from streams.engine.log.fencing import ForeignWriter, identify_writer
from streams.engine.log.snapshots import Snapshot
from streams.engine.metrics import EngineMetrics
from streams.engine.model import OutputRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineTopics

log = structlog.get_logger(__name__)


class RefusedForSizeError(WatchfloorError):
    """The broker allows less on a topic than the settings do."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"the broker refuses a RecordBatch on {topic} for its size",
            "raise the topic's max.message.bytes, or lower the limits of the section worker in the settings "
            "(docs/operations.md)",
        )
        self.topic = topic


class LogWriter:
    """Appends journal, outputs and snapshots of the owned partitions.

    Args:
        clients: the producer, and what reads the records that another worker wrote in between.
    """

    def __init__(self, topics: EngineTopics, clients: EngineClients, metrics: EngineMetrics) -> None:
        self._topics = topics
        self._appender = clients.appender
        self._fetcher = clients.fetcher
        self._metrics = metrics
        self._write_seconds = metrics.stage_seconds.labels("write")

    async def write(
        self,
        snapshots: Sequence[Snapshot],
        batches: Sequence[tuple[Partition, MicroBatch]],
    ) -> None:
        """Send snapshots of earlier, acknowledged micro-batches, and further ones; wait until all are acknowledged.

        Raises:
            KafkaError: the broker did not acknowledge; the worker must stop and recover.
            RefusedForSizeError: a record or a snapshot is larger than its topic allows.
            ValueError: a micro-batch wrote to a topic that is no output of the engine's spec.
        """
        started_s = time.monotonic()
        appends: list[tuple[Partition, PendingAppend]] = []
        for snapshot in snapshots:
            partition = snapshot.partition
            if partition.fenced:
                continue
            self._metrics.changelog_bytes.inc(snapshot.size_bytes)
            if snapshot.in_steps:
                self._metrics.large_snapshots.inc(bool(snapshot.chunks))
                await self._append_in_steps(snapshot)
            else:
                appends.append((partition, await self._append_whole(snapshot)))
        for partition, batch in batches:
            if not partition.fenced:
                appends += [(partition, append) for append in await self._append_batch(partition, batch)]
        await self._appender.commit()
        for partition, append in appends:
            await self._confirm(partition, append)
        self._write_seconds.observe(time.monotonic() - started_s)

    async def _append_in_steps(self, snapshot: Snapshot) -> None:
        """Send a snapshot that takes several RecordBatches: each step once the one before it is acknowledged.

        Not after another owner's fence: its chunks must stay until their keys are written again.
        """
        partition, state, append = snapshot.partition, self._topics.state, self._appender.append
        for step in (snapshot.chunks, snapshot.whole, snapshot.rewritten, snapshot.obsolete):
            if partition.fenced or not step:
                continue
            if step is snapshot.whole:
                appends = [await self._append_whole(snapshot)]
            else:
                appends = await append(state, partition.number, cast(list[OutputRecord], step))
            await self._appender.commit()
            for each in appends:
                await self._confirm(partition, each)

    async def _append_whole(self, snapshot: Snapshot) -> PendingAppend:
        number, generation = snapshot.partition.number, snapshot.partition.generation
        return await self._appender.append_whole(self._topics.state, number, snapshot.whole, generation=generation)

    async def _append_batch(self, partition: Partition, batch: MicroBatch) -> list[PendingAppend]:
        """Send journal entry and outputs at once: the outputs' first record repeats the entry."""
        if unknown := batch.outputs.keys() - self._topics.outputs.values():
            raise ValueError(f"a micro-batch wrote to {sorted(unknown)}, which is no output of the engine's spec")
        entry = encode_journal(JournalEntry(partition.generation, batch.number, batch.spans, batch.tick_ms, batch.late))
        appends: list[PendingAppend] = []
        if batch.number not in partition.written.get(self._topics.journal, ()):
            record = OutputRecord(b"%d" % partition.number, entry, ())
            appends += await self._appender.append(self._topics.journal, partition.number, [record])
        for topic, outputs in batch.outputs.items():
            written = partition.written.get(topic, {}).get(batch.number, -1)
            records = [
                OutputRecord(key, value, _with_headers(headers, partition.generation, batch.number, index))
                for index, (key, value, headers) in enumerate(outputs)
                if index > written
            ]
            if records:
                first = records[0]
                records[0] = first._replace(headers=[*first.headers, (JOURNAL_HEADER, entry)])
                appends += await self._appender.append(topic, partition.number, records)
        return appends

    async def _confirm(self, partition: Partition, append: PendingAppend) -> None:
        """Wait for the acknowledgement; a gap before our record means that somebody else wrote."""
        try:
            offset: int = (await append.written).offset
        except ProducerFenced:  # nothing of this write was written, or all of it and its owner knows
            self._give_up(partition)
            return
        except MessageSizeTooLargeError as error:
            raise RefusedForSizeError(append.topic) from error
        expected = partition.ends[append.topic]
        partition.ends[append.topic] = offset + append.count
        if offset > expected and not partition.fenced:
            topic_partition = TopicPartition(append.topic, partition.number)
            writer = await identify_writer(self._fetcher, partition, topic_partition, (expected, offset), self._topics)
            if writer is ForeignWriter.NEWER_OWNER:
                self._give_up(partition)

    def _give_up(self, partition: Partition) -> None:
        """Another worker has taken the partition over."""
        if not partition.fenced:
            partition.fenced = True
            self._metrics.fenced.inc()
            log.warning("partition taken over by another worker", partition=partition.number)


def _with_headers(
    headers: Sequence[tuple[str, bytes]], generation: int, number: int, index: int
) -> list[tuple[str, bytes]]:
    return [*headers, (GENERATION_HEADER, b"%d" % generation), (BATCH_HEADER, b"%d/%d" % (number, index))]
