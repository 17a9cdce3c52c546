"""The cycle of the engine: fetch, cut micro-batches, have them processed, write what they changed.

Reads: the source topics of the partitions that the group gave to this worker.
Writes: journal, outputs and changelog, in the order that makes state and outputs exact (see the package).
On failure: a fetch is tried again; a failed write or a defect in the processing leaves the cycle as an
exception, and the next start recovers. A newer owner's fence makes it give the partition up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog

from common.settings.engine import EngineSettings
from streams.engine.kafka.appender import Appender
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.log.snapshots import Snapshots
from streams.engine.log.writer import Writer
from streams.engine.loop.merge_timeout import MergeTimeout
from streams.engine.loop.source_reader import Decode, SourceReader
from streams.engine.loop.state_gauges import StateGauges
from streams.engine.model import EngineTopics, OutputRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.partition.source_progress import RecordIdentity
from streams.engine.state.partition_state import PartitionState, TableSpec
from streams.engine.takeover.ownership import Ownership
from streams.engine.takeover.progress import TakeoverProgress
from streams.engine.takeover.recovery import Recovery, no_copy
from streams.engine.takeover.standby import Standby
from streams.metrics import WorkerMetrics

log = structlog.get_logger(__name__)

_IDLE_S = 1.0
"""How long a worker without partitions waits before it looks again."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What the engine needs to know of the application that it runs."""

    topics: EngineTopics
    tables: tuple[TableSpec, ...]
    decode: Decode
    identity: RecordIdentity
    make_fence: Callable[[int], OutputRecord]


class EngineLoop:
    """Runs the owned partitions, one round at a time.

    Args:
        application: topics, tables and codecs.
        process: has a micro-batch processed; returns when its outputs and state changes are complete.
        fetcher: reads; started by the caller.
        appender: writes; started by the caller.
        settings: limits and intervals.
        metrics: where it counts.
        clock: Unix time in seconds; the one place where the wall clock enters.
        standby: keeps warm copies of what others own; None: this worker keeps none.
    """

    def __init__(
        self,
        application: EngineSpec,
        process: Callable[[MicroBatch], Awaitable[None]],
        fetcher: Fetcher,
        appender: Appender,
        settings: EngineSettings,
        metrics: WorkerMetrics,
        clock: Callable[[], float],
        standby: Standby | None = None,
    ) -> None:
        topics = application.topics
        self._process_batch = process
        self._settings = settings
        self._metrics = metrics
        self._process_seconds = metrics.stage_seconds.labels("process")
        self._observer = StateGauges(metrics, clock)
        self._clock = clock
        self._writer = Writer(topics, appender, fetcher, metrics)
        self._snapshots = Snapshots(topics, settings, clock)
        self._intake = SourceReader(topics.sources, application.decode, fetcher, settings, metrics, clock)
        self.ownership = Ownership(
            Recovery(
                topics,
                fetcher,
                appender,
                lambda: PartitionState(application.tables),
                lambda number, state: Partition(
                    number, topics.sources, state, application.identity, tick_grace_ms=settings.tick.grace_ms
                ),
                application.make_fence,
                TakeoverProgress(metrics, clock),
                no_copy if standby is None else standby.take,
            ),
            metrics,
            clock,
            reclaim_after_s=2 * settings.group.session_timeout_ms / 1e3,
            at_once=settings.takeover.concurrent_max,
        )
        self._in_flight: asyncio.Task[None] | None = None
        self._unwritten = False
        """Whether micro-batches were cut whose writing has not begun: positions are ahead of what was written."""
        self._last_small_cycle_s = 0.0
        self._patience = MergeTimeout(settings.merge.wait_ms_max / 1e3)

    async def run_once(self) -> None:
        """One round.

        Raises:
            KafkaError: a write was not acknowledged, or a recovery failed.
            RefusedForSizeError: a record or a snapshot is larger than its topic allows.
            ValueTooLargeError: one key's state is larger than the settings allow.
            Exception: whatever the processing raised.
        """
        self.ownership.drop_fenced()
        if self.ownership.changed:
            await self._settle()
            await self._save(await self.ownership.leaving())
            await self.ownership.take_over()
        partitions = self.ownership.partitions
        if not partitions:
            await self.ownership.wait_for_change(_IDLE_S)
            return
        await self._pace()
        fetched = await self._intake.fetch(partitions)
        await self._intake.look_again(partitions)
        # What the snapshot holds must not contain this round's changes: their outputs are not written yet.
        snapshots = self._snapshots.take(partitions.values(), force=not fetched)
        if fetched >= self._settings.micro_batch.large_records:
            self._intake.fetch_ahead(partitions.values())
        self._unwritten = True
        batches = await self._process()
        await self._settle()
        if batches and not self._is_small(batches):
            self._in_flight = asyncio.create_task(self._writer.write(snapshots, batches))
        elif snapshots or batches:
            await self._writer.write(snapshots, batches)  # at low rates: let records gather at the broker meanwhile
        self._unwritten = False

    def observe(self) -> None:
        """Set the gauges that describe a state rather than an event; call it about once a second."""
        self._observer.observe(self.ownership.partitions.values())

    async def close(self) -> None:
        """Write what is open, so that the next owner has nothing to run again.

        Not where a round was broken off: a position that counts its micro-batches would lose them.
        """
        self._intake.close()
        await self._settle()
        if self._unwritten:
            log.warning("stopped in the middle of a round, the next owner begins it anew")
        else:
            await self._save(self.ownership.partitions.values())

    async def _save(self, partitions: Iterable[Partition]) -> None:
        """Write the open snapshots of these partitions; nothing may be in flight."""
        if snapshots := self._snapshots.take(partitions, force=True):
            await self._writer.write(snapshots, [])

    async def _pace(self) -> None:
        """At most one round in `micro_batch.interval_ms` while batches are small; a lone record goes at once."""
        if self._last_small_cycle_s:
            left_s = self._settings.micro_batch.interval_ms / 1e3 - (self._clock() - self._last_small_cycle_s)
            if left_s > 0:
                await asyncio.sleep(left_s)

    async def _process(self) -> list[tuple[Partition, MicroBatch]]:
        """Cut the next micro-batch of each partition and have it processed."""
        now_s = self._clock()
        done: list[tuple[Partition, MicroBatch]] = []
        for partition in self.ownership.partitions.values():
            batch = partition.next_batch(
                wait=self._patience.lasts(partition.number, partition.buffers, partition.lagging, now_s)
            )
            if batch is None:
                continue
            started_s = self._clock()
            await self._process_batch(batch)
            partition.finish(batch)
            self._count(batch, self._clock() - started_s)
            done.append((partition, batch))
        self._last_small_cycle_s = now_s if done and self._is_small(done) else 0.0
        return done

    def _is_small(self, batches: list[tuple[Partition, MicroBatch]]) -> bool:
        return sum(len(batch.entries) for _, batch in batches) < self._settings.micro_batch.large_records

    def _count(self, batch: MicroBatch, seconds: float) -> None:
        metrics = self._metrics
        metrics.batches.inc()
        metrics.batch_size.observe(len(batch.entries))
        self._process_seconds.observe(seconds)
        if batch.late:
            metrics.late.inc(batch.late)
        if batch.repeats:
            metrics.repeats.inc(batch.repeats)
        if batch.new_history:
            log.warning("the topics carry another database now", partition=batch.partition, batch=batch.number)

    async def _settle(self) -> None:
        """Wait until everything that was sent is acknowledged."""
        if self._in_flight is not None:
            task, self._in_flight = self._in_flight, None
            await task
