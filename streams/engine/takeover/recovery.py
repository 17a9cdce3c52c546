"""Taking over a partition: fence, read the tails, rebuild state and the micro-batches to run again.

The new owner appends a fence record with its generation to the feed, the journal and the changelog, in
this order, and reads each tail up to its own fence. Whatever an older generation writes behind a fence
is ignored by readers and by the next recovery.
"""

import contextlib
from collections import deque
from collections.abc import Callable

import msgspec
import structlog
from aiokafka.structs import TopicPartition

from streams.engine.kafka.appender import GENERATION_HEADER, Append, Appender
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.log.changelog import FENCE_KEY, POSITION_KEY, Changelog
from streams.engine.log.fencing import still_owned
from streams.engine.log.log_tails import LogTails
from streams.engine.model import EngineTopics, JournalFence, OutputRecord, RawRecord, encode_journal
from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState
from streams.engine.takeover.progress import Reading, TakeoverProgress

log = structlog.get_logger(__name__)


class DamagedLogError(Exception):
    """A partition's topics lack what its state hangs on: going on would repeat or lose, so the worker stops."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(
            f"partition {number} cannot be recovered: {what}; restore the topic, or begin a new feed "
            "(docs/operations.md, Retention)"
        )


def no_copy(_number: int) -> None:
    """Of a worker that keeps no warm copies."""


class Recovery:
    """Recovers partitions for one worker.

    Args:
        make_state: builds the empty tables of a partition.
        make_partition: builds the partition around its state.
        make_fence: the feed's fence record for a generation.
        progress: says how far it has come.
        take_copy: gives away what was already read of a partition's changelog, if anything was.
    """

    def __init__(
        self,
        topics: EngineTopics,
        fetcher: Fetcher,
        appender: Appender,
        make_state: Callable[[], PartitionState],
        make_partition: Callable[[int, PartitionState], Partition],
        make_fence: Callable[[int], OutputRecord],
        progress: TakeoverProgress,
        take_copy: Callable[[int], Changelog | None] = no_copy,
    ) -> None:
        self._topics = topics
        self._fetcher = fetcher
        self._appender = appender
        self._make_state = make_state
        self._make_partition = make_partition
        self._make_fence = make_fence
        self._progress = progress
        self._take_copy = take_copy

    async def recover(self, number: int) -> Partition:
        """Take the partition over; afterwards older owners can do no harm.

        Raises:
            ProducerFenced: yet another worker has taken it over meanwhile.
            KafkaError: the broker does not answer or refuses.
            DamagedLogError: somebody has deleted what a recovery needs.
        """
        async with self._progress.of(number, lambda topic: self._fetcher.end(TopicPartition(topic, number))) as reading:
            return await self._recover(number, reading)

    async def _recover(self, number: int, reading: Reading) -> Partition:
        await self._appender.claim(number)
        changelog = self._take_copy(number) or Changelog()
        above = 0
        while True:
            tails = LogTails(self._topics, changelog)
            await self._read_tails(number, tails, reading, ends={})
            generation = max(tails.seen, above) + 1
            fences = await self._append_fences(number, generation)
            # Between the first reading and the fence an older owner may have written more.
            await self._read_tails(number, tails, reading, ends={append.topic: offset for append, offset in fences})
            if tails.seen < generation:
                break
            above = tails.seen  # a rival fenced at the same moment: go above it
            reading.read_to.clear()
        ends = {append.topic: offset + append.count for append, offset in fences}
        # Only now: what counts in the topics without fences is decided by what those with fences say.
        for topic in self._topics.other_outputs:
            ends[topic] = await self._read_other_output(topic, number, tails)
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
        return partition

    async def still_owned(self, partition: Partition) -> bool:
        """Whether nobody has taken a recovered partition over since; nothing of it may be in flight.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        return await still_owned(self._fetcher, partition, self._topics)

    async def _append_fences(self, number: int, generation: int) -> list[tuple[Append, int]]:
        journal = OutputRecord(b"%d" % number, encode_journal(JournalFence(generation)), ())
        state = (FENCE_KEY + b"%d" % generation, msgspec.msgpack.encode((generation, None)))
        feed = self._make_fence(generation)
        # Recovery and the intruder check know a record's generation by its header alone.
        headers = [pair for pair in feed.headers if pair[0] != GENERATION_HEADER]
        feed = feed._replace(headers=[*headers, (GENERATION_HEADER, b"%d" % generation)])
        appends = [
            *await self._appender.append(self._topics.feed, number, [feed]),
            *await self._appender.append(self._topics.journal, number, [journal]),
            await self._appender.append_whole(self._topics.state, number, [state], generation=generation),
        ]
        await self._appender.commit()
        return [(append, (await append.written).offset) for append in appends]

    async def _read_tails(self, number: int, tails: LogTails, reading: Reading, ends: dict[str, int]) -> None:
        """Read the topics that have fences, from where the reading is on, up to the given offsets."""
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
        await read(topics.feed, tails.position.output_offsets.get(topics.feed, 0), tails.on_feed)

    async def _read_other_output(self, topic: str, number: int, tails: LogTails) -> int:
        """Read a topic without fences to its end; returns the offset at which our next record is expected."""
        topic_partition, start = TopicPartition(topic, number), tails.position.output_offsets.get(topic, 0)
        end = await self._fetcher.end(
            topic_partition
        )  # not behind the last record: markers of transactions take offsets
        async for record in self._fetcher.read(topic_partition, start, end):
            tails.on_other_output(topic, record)
        return end

    def _check(self, number: int, tails: LogTails, *, ran: int) -> None:
        """Refuse to go on from what cannot be right; `ran` is the last micro-batch that the logs have in a row."""
        topics = self._topics
        if tails.changelog.has_lost_its_position:
            raise DamagedLogError(number, f"{topics.state} has keys, but not the position that they belong to")
        if any(batch > ran for batch in tails.entries):
            raise DamagedLogError(number, f"{topics.journal} lacks micro-batch {ran + 1}, and has later ones")

    def _rebuild(self, number: int, generation: int, tails: LogTails) -> Partition:
        following = tails.following()
        self._check(number, tails, ran=tails.position.batch + len(following))
        state = self._make_state()
        tails.changelog.load_into(state)
        partition = self._make_partition(number, state)
        partition.generation = generation
        partition.resume_at(tails.position)
        partition.written = tails.written
        partition.replay = deque(following)
        for key in tails.changelog.rewrite:
            partition.unsaved = True
            if key != POSITION_KEY:
                with contextlib.suppress(KeyError):  # of a table that does not exist any more
                    partition.touch(key)
        return partition
