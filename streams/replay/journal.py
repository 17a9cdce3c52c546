"""Reads a partition's journal: the entries that count, and what they say about the live run as a whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from streams.engine.formats import JournalEntry, JournalFence, Provenance, check_format, decode_journal
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.spec import EngineSpec


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """What the journal of a partition says about the live run as a whole."""

    first_batch: int
    """1 where the journal has the whole run; 0 where it is empty."""
    batches: int
    late: int
    """Records that were not processed at their place in commit order; 0: the journal's order is that of the log."""
    arrived: int
    """Offsets of topics that are ordered by arrival: where their records were processed, only the journal knows."""
    tick_ms: int
    """Log time of the latest tick, Unix milliseconds: every timer that was due by then has been fired."""

    others: dict[Provenance, int]
    """Releases with another digest than the replay's, to the first micro-batch that each of them processed."""

    def doubts(self) -> list[str]:
        """Why a replay may differ from the live run; empty: it cannot. Only the last of them concern one by journal."""
        doubts = []
        if self.first_batch > 1:
            doubts.append(
                f"the journal begins at micro-batch {self.first_batch}: what came late before it is not known"
            )
        if self.late:
            doubts.append(
                f"{self.late} records came late in the live run: the log alone does not say where they were processed"
            )
        if self.arrived:
            doubts.append(f"{self.arrived} records have no LSN: the log alone does not say where they were processed")
        for other, batch in self.others.items():
            doubts.append(
                f"from micro-batch {batch} on the live run used other code or settings "
                f"(release {other.release}, digest {other.digest})"
                if other.digest
                else f"from micro-batch {batch} on it is not known which code and settings the live run used"
            )
        return doubts


async def summarize(spec: EngineSpec, fetcher: Fetcher, number: int) -> JournalSummary:
    """Read a partition's journal to its end.

    Args:
        spec: the application's topics, and the digest of the code and settings that a replay would use.
        fetcher: started.
        number: the partition.

    Raises:
        NewerFormatError: a later release has written to the journal.
    """
    first_batch = batches = late = arrived = tick_ms = 0
    others: dict[Provenance, int] = {}
    by_arrival = spec.topics.arrival_topics
    async for entry, written_by in journal_of(fetcher, TopicPartition(spec.topics.journal, number)):
        if written_by.digest != spec.digest:
            others.setdefault(written_by, entry.batch)
        first_batch = first_batch or entry.batch
        batches += 1
        late += entry.late
        arrived += sum(end - start for topic, (start, end) in entry.spans.items() if topic in by_arrival)
        tick_ms = max(tick_ms, entry.tick_ms or 0)
    return JournalSummary(first_batch, batches, late, arrived, tick_ms, others)


async def journal_of(
    fetcher: Fetcher, topic_partition: TopicPartition
) -> AsyncIterator[tuple[JournalEntry, Provenance]]:
    """The journal's entries that count, each micro-batch once, and who processed it.

    What an older generation wrote after a fence does not count. A micro-batch that was run again after a crash is in the
    journal twice, with the same content.

    Raises:
        NewerFormatError: a later release has written to the journal.
    """
    fence, last = JournalFence(0), 0
    async for record in fetcher.read(topic_partition, 0):
        entry = decode_journal(record.value or b"")
        if isinstance(entry, JournalFence):
            check_format(topic_partition.topic, entry.written_by)
            fence = entry if entry.generation >= fence.generation else fence
        elif entry.generation >= fence.generation and entry.batch > last:
            last = entry.batch
            yield entry, fence.written_by if entry.generation == fence.generation else Provenance()
