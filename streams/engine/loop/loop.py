"""The engine's loop: fetch, form micro-batches, have them processed, write what they changed.

Reads: the source topics of the partitions that the group gave to this worker.
Writes: journal, outputs and changelog, in the order that makes state and outputs exact (see the package). Key: the
partition. State: the partitions' tables.
Guarantee: each source record has its effect exactly once, for readers that skip what an older owner wrote after a fence.
On failure: a fetch is tried again; a failed write or a defect in the processing leaves the loop as an exception, and the
next start recovers. A newer owner's fence makes it give the partition up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from common.settings.engine import EngineSettings
from streams.engine.kafka.clients import EngineClients
from streams.engine.log.snapshots import Snapshots
from streams.engine.log.writer import LogWriter
from streams.engine.loop.merge_timeout import MergeTimeout
from streams.engine.loop.source_reader import SourceReader
from streams.engine.loop.state_gauges import StateGauges
from streams.engine.metrics import EngineMetrics
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec
from streams.engine.takeover.ownership import Ownership
from streams.engine.takeover.progress import TakeoverProgress
from streams.engine.takeover.recovery import Recovery
from streams.engine.takeover.standby import Standby

log = structlog.get_logger(__name__)

_IDLE_S = 1.0
"""How long a worker without partitions waits before it looks again."""


class EngineLoop:
    """Runs the owned partitions, one round at a time.

    Args:
        process: has a micro-batch processed; returns when its outputs and state changes are complete.
        clients: read and write; started by the caller.
        clock: Unix time in seconds; nothing else reads the wall clock.
        standby: keeps warm copies of what others own; None: this worker keeps none.
    """

    def __init__(
        self,
        spec: EngineSpec,
        process: Callable[[MicroBatch], Awaitable[None]],
        clients: EngineClients,
        settings: EngineSettings,
        metrics: EngineMetrics,
        clock: Callable[[], float],
        standby: Standby | None = None,
    ) -> None:
        self._process_batch = process
        self._settings = settings
        self._metrics = metrics
        self._process_seconds = metrics.stage_seconds.labels("process")
        self._clock = clock
        self._writer = LogWriter(spec.topics, clients, metrics)
        self._snapshots = Snapshots(spec.topics, settings, clock)
        self._source_reader = SourceReader(spec, clients.fetcher, settings, metrics, clock)
        self._gauges = StateGauges(metrics, self._source_reader.silence_s, clock)
        recovery = Recovery(
            spec,
            clients,
            TakeoverProgress(metrics, clock),
            tick_grace_ms=settings.tick.grace_ms,
            take_copy=None if standby is None else standby.take,
        )
        self.ownership = Ownership(
            recovery,
            metrics,
            clock,
            reclaim_after_s=2 * settings.group.session_timeout_ms / 1e3,
            at_once=settings.takeover.concurrent_max,
        )
        self._in_flight: asyncio.Task[None] | None = None
        self._unwritten = False
        """Whether micro-batches were formed whose writing has not begun: positions are ahead of what was written."""
        self._last_small_round_s = 0.0
        self._merge_timeout = MergeTimeout(settings.merge.wait_ms_max / 1e3)

    async def run_once(self) -> None:
        """One round.

        Raises:
            KafkaError: a write was not acknowledged, or a recovery failed.
            RefusedForSizeError: a record or a snapshot is larger than its topic allows.
            Exception: whatever the processing raised.
        """
        self.ownership.drop_fenced()
        if self.ownership.changed:
            await self._finish_writes()
            await self._save(await self.ownership.to_save())
            await self.ownership.take_over()
        partitions = self.ownership.partitions
        if not partitions:
            await self.ownership.wait_for_change(_IDLE_S)
            return
        await self._pace()
        fetched = await self._source_reader.fetch(partitions)
        await self._source_reader.fetch_again(partitions)
        # What the snapshot holds must not contain this round's changes: their outputs are not written yet.
        snapshots = self._snapshots.take(partitions.values(), force=not fetched)
        if fetched >= self._settings.micro_batch.large_records:
            self._source_reader.fetch_ahead(partitions.values())
        self._unwritten = True
        batches = await self._process()
        await self._finish_writes()
        if batches and not self._is_small(batches):
            self._in_flight = asyncio.create_task(self._writer.write(snapshots, batches))
        elif snapshots or batches:
            await self._writer.write(snapshots, batches)  # at low rates: let records gather at the broker meanwhile
        self._unwritten = False

    @property
    def ready(self) -> bool:
        """Whether every assigned partition is recovered, and the brokers answer; may be asked from another thread."""
        silent = self._source_reader.silence_s().keys()
        return self.ownership.settled and not silent & self.ownership.partitions.keys()

    def update_gauges(self) -> None:
        """Set the gauges that describe a state rather than an event; call it about once a second."""
        self._gauges.update(self.ownership.partitions.values())

    async def close(self) -> None:
        """Write what is open, so that the next owner has nothing to run again.

        Not after a round that was interrupted: its micro-batches are in the positions, but were never written.
        """
        self._source_reader.close()
        await self._finish_writes()
        if self._unwritten:
            log.warning("stopped in the middle of a round, the next owner begins it again")
        else:
            await self._save(self.ownership.partitions.values())

    async def _save(self, partitions: Iterable[Partition]) -> None:
        """Write the open snapshots of these partitions; nothing may be in flight."""
        if snapshots := self._snapshots.take(partitions, force=True):
            await self._writer.write(snapshots, [])

    async def _pace(self) -> None:
        """At most one round in `micro_batch.interval_ms` while batches are small; a lone record goes at once."""
        if self._last_small_round_s:
            left_s = self._settings.micro_batch.interval_ms / 1e3 - (self._clock() - self._last_small_round_s)
            if left_s > 0:
                await asyncio.sleep(left_s)

    async def _process(self) -> list[tuple[Partition, MicroBatch]]:
        """Form the next micro-batch of each partition and have it processed."""
        now_s = self._clock()
        done: list[tuple[Partition, MicroBatch]] = []
        for partition in self.ownership.partitions.values():
            buffers, lagging = partition.merge_buffers, partition.merge_lagging
            batch = partition.next_batch(
                wait=self._merge_timeout.may_wait(partition.number, buffers, lagging, now_s),
                records_max=self._settings.micro_batch.records_max,
            )
            if batch is None:
                continue
            started_s = self._clock()
            await self._process_batch(batch)
            partition.finish(batch)
            ended_s = self._clock()
            if batch.log_ms:
                partition.delay_ms_max = max(partition.delay_ms_max, ended_s * 1e3 - batch.log_ms)
            self._count(batch, ended_s - started_s)
            done.append((partition, batch))
        self._last_small_round_s = now_s if done and self._is_small(done) else 0.0
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

    async def _finish_writes(self) -> None:
        """Wait until everything that was sent is acknowledged."""
        if self._in_flight is not None:
            task, self._in_flight = self._in_flight, None
            await task
