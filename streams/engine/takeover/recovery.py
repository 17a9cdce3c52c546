"""Takes a partition over: fences the older owner off, loads the state, finds the micro-batches to run again.

Reads: the changelog from its beginning; journal and outputs from where the position says.
Writes: a fence with the next generation to the fenced output, the journal and the changelog. Key: the partition.
Guarantee: the tails are read up to those fences, so whatever an older owner writes later counts nowhere.
On failure: raises; nothing is owned then, and another attempt begins anew with a higher generation.
"""

from collections import deque
from collections.abc import Callable

import structlog
from aiokafka.structs import TopicPartition

from common.errors import WatchfloorError
from common.version import __version__
from streams.engine.formats import FORMAT, GENERATION_HEADER, JournalFence, Provenance, encode_journal
from streams.engine.kafka.appender import PendingAppend
from streams.engine.kafka.clients import EngineClients
from streams.engine.log.changelog import Changelog, encode_state_fence
from streams.engine.log.fencing import verify_ownership
from streams.engine.log.log_tails import LogTails
from streams.engine.model import OutputRecord, RawRecord
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import PartitionState
from streams.engine.takeover.progress import RecoveryReading, TakeoverProgress

log = structlog.get_logger(__name__)


class DamagedLogError(WatchfloorError):
    """A partition's topics lack what its state depends on: going on would repeat or lose, so the worker stops."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(
            f"partition {number} cannot be recovered: {what}",
            "restore the topic, or begin a new feed (docs/operations.md, Retention)",
        )


class Recovery:
    """Recovers partitions for one worker.

    Args:
        take_copy: gives away what was already read of a partition's changelog, if anything was; None: there are no
            copies.
    """

    def __init__(
        self,
        spec: EngineSpec,
        clients: EngineClients,
        progress: TakeoverProgress,
        *,
        tick_grace_ms: int = 0,
        take_copy: Callable[[int], Changelog | None] | None = None,
    ) -> None:
        self._spec = spec
        self._topics = spec.topics
        self._fetcher = clients.fetcher
        self._appender = clients.appender
        self._progress = progress
        self._tick_grace_ms = tick_grace_ms
        self._take_copy = take_copy
        self._writer = Provenance(FORMAT, __version__, spec.digest)

    async def recover(self, number: int) -> Partition:
        """Take the partition over; afterwards older owners can do no harm.

        Raises:
            ProducerFenced: yet another worker has taken it over meanwhile.
            KafkaError: the broker does not answer or refuses.
            DamagedLogError: somebody has deleted what a recovery needs.
            NewerFormatError: a later release has written to the partition; this one has written nothing.
        """
        async with self._progress.of(number, lambda topic: self._fetcher.end(TopicPartition(topic, number))) as reading:
            return await self._recover(number, reading)

    async def verify_ownership(self, partition: Partition) -> bool:
        """Whether nobody has taken a recovered partition over since; nothing of it may be in flight.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        return await verify_ownership(self._fetcher, partition, self._topics)

    async def _recover(self, number: int, reading: RecoveryReading) -> Partition:
        await self._appender.claim(number)
        changelog = (self._take_copy and self._take_copy(number)) or Changelog()
        highest = 0
        while True:
            tails = LogTails(self._topics, changelog)
            await self._read_tails(number, tails, reading, ends={})
            generation = max(tails.highest_generation, highest) + 1
            fences = await self._append_fences(number, generation)
            # Between the first reading and the fence an older owner may have written more.
            await self._read_tails(number, tails, reading, ends={append.topic: offset for append, offset in fences})
            highest = tails.highest_generation
            if highest < generation:
                break
            reading.read_to.clear()  # another worker fenced at the same moment: go above its generation
        ends = {append.topic: offset + append.count for append, offset in fences}
        # Only now: what counts in the topics without fences is decided by what those with fences say.
        for topic in self._topics.unfenced_outputs:
            ends[topic] = await self._read_unfenced_output(topic, number, tails)
        partition = self._rebuild(number, generation, tails)
        partition.ends = ends
        log.info(
            "partition recovered",
            partition=number,
            generation=generation,
            batch=partition.batch,
            replay=len(partition.replay),
            stale=tails.stale,
            keys=sum(len(table) for table in partition.state.tables.values()),
        )
        self._report_other_writer(number, changelog)
        return partition

    def _report_other_writer(self, number: int, changelog: Changelog) -> None:
        """Log that the state was made by other code or settings than those that go on with it."""
        before = changelog.written_by
        if changelog.owner and before.digest != self._writer.digest:
            log.info(
                "the state was written with other code or settings",
                partition=number,
                release=before.release,
                digest=before.digest,
                own_digest=self._writer.digest,
            )

    async def _append_fences(self, number: int, generation: int) -> list[tuple[PendingAppend, int]]:
        topics, appender = self._topics, self._appender
        journal = OutputRecord(b"%d" % number, encode_journal(JournalFence(generation, self._writer)), ())
        state = encode_state_fence(generation, self._writer)
        output = self._spec.make_fence(generation)
        # Recovery and the check of foreign records read a record's generation from its header alone.
        headers = [pair for pair in output.headers if pair[0] != GENERATION_HEADER]
        output = output._replace(headers=[*headers, (GENERATION_HEADER, b"%d" % generation)])
        appends = [
            *await appender.append(topics.feed, number, [output]),
            *await appender.append(topics.journal, number, [journal]),
            await appender.append_whole(topics.state, number, [state], generation=generation),
        ]
        await appender.commit()
        return [(append, (await append.written).offset) for append in appends]

    async def _read_tails(self, number: int, tails: LogTails, reading: RecoveryReading, ends: dict[str, int]) -> None:
        """Read the topics that have fences, from where the reading is, up to the given offsets."""
        topics, changelog = self._topics, tails.changelog
        reading.begin(topics.state, changelog.read_to)
        topic_partition = TopicPartition(topics.state, number)
        async for records in self._fetcher.read_pieces(topic_partition, changelog.read_to, ends.get(topics.state)):
            changelog.take_in(records)
            reading.read_to[topics.state] = changelog.read_to

        async def read(topic: str, start: int, take_in: Callable[[RawRecord], None]) -> None:
            start, read_to = reading.begin(topic, start), reading.read_to
            async for record in self._fetcher.read(TopicPartition(topic, number), start, ends.get(topic)):
                read_to[topic] = record.offset + 1
                take_in(record)

        await read(topics.journal, tails.position.journal_offset, tails.on_journal)
        await read(topics.feed, tails.position.output_offsets.get(topics.feed, 0), tails.on_fenced_output)

    async def _read_unfenced_output(self, topic: str, number: int, tails: LogTails) -> int:
        """Read a topic without fences to its end; returns the offset at which our next record is expected."""
        topic_partition, start = TopicPartition(topic, number), tails.position.output_offsets.get(topic, 0)
        # The end is not the offset after the last record: markers of transactions take offsets.
        end = await self._fetcher.end(topic_partition)
        async for record in self._fetcher.read(topic_partition, start, end):
            tails.on_unfenced_output(topic, record)
        return end

    def _rebuild(self, number: int, generation: int, tails: LogTails) -> Partition:
        following = tails.following()
        self._check(number, tails, last=tails.position.batch + len(following))
        state = PartitionState(self._spec.tables)
        tails.changelog.load_into(state)
        partition = Partition(
            number, self._topics.sources, state, self._spec.identity, tick_grace_ms=self._tick_grace_ms
        )
        partition.generation = generation
        partition.resume_at(tails.position)
        partition.written = tails.written
        partition.replay = deque(following)
        partition.rewrite(tails.changelog.keys_to_rewrite)
        return partition

    def _check(self, number: int, tails: LogTails, *, last: int) -> None:
        """Refuse to go on from what cannot be right; `last` is the last micro-batch that the logs have in a row."""
        topics = self._topics
        if tails.changelog.lacks_position:
            raise DamagedLogError(number, f"{topics.state} has keys, but not the position that they belong to")
        if any(batch > last for batch in tails.entries):
            raise DamagedLogError(number, f"{topics.journal} lacks micro-batch {last + 1}, and has later ones")
