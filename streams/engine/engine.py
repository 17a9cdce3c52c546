"""The cycle of the engine: fetch, cut micro-batches, hand them to the agent, write what they changed.

Reads: the source topics of the partitions that the group gave to this worker.
Writes: journal, outputs and changelog, in the order that makes state and outputs exact (see the package).
On failure: a fetch is tried again; a failed write or a defect in the agent stops the worker, whose next
start recovers. A newer owner's fence makes it give the partition up.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import faust
import structlog
from aiokafka.structs import TopicPartition
from mode import Service

from streams.engine.appender import Appender
from streams.engine.fetcher import Fetched, Fetcher
from streams.engine.model import EngineTopics, Entry, MicroBatch, OutputRecord, RawRecord
from streams.engine.partition import Identity, Partition
from streams.engine.recovery import Recovery
from streams.engine.snapshots import Snapshots
from streams.engine.tables import PartitionState, TableSpec
from streams.engine.writer import Writer
from streams.metrics import WorkerMetrics
from watchfloor.settings import WorkerSettings

log = structlog.get_logger(__name__)

_STOP_S = 5.0
"""How long a stop waits for the cycle that is under way."""

Decode = Callable[[int, RawRecord], Entry]
"""(topic rank, record) -> its entry; a record that cannot be read becomes a Poison, never an exception."""


@dataclass(frozen=True, slots=True)
class Application:
    """What the engine needs to know of the application that it runs."""

    topics: EngineTopics
    tables: tuple[TableSpec, ...]
    decode: Decode
    identity: Identity
    make_fence: Callable[[int], OutputRecord]


class Engine(Service):
    """Runs the partitions that this worker owns.

    Args:
        app: the Faust application; the engine listens to its assignments and feeds `batches`.
        application: topics, tables and codecs.
        fetcher, appender: the engine's own clients; started and stopped by it.
        settings: limits and intervals.
        metrics: where it counts.
        clock: Unix time in seconds; the one place where the wall clock enters.
    """

    abstract = False

    def __init__(
        self,
        app: faust.App,
        application: Application,
        fetcher: Fetcher,
        appender: Appender,
        settings: WorkerSettings,
        metrics: WorkerMetrics,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self.batches = app.channel()
        """The agent's stream: one MicroBatch an event."""
        self.failure: BaseException | None = None
        self._app = app
        self._application = application
        self._topics = application.topics
        self._fetcher = fetcher
        self._appender = appender
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._writer = Writer(application.topics, appender, fetcher, metrics)
        self._snapshots = Snapshots(application.topics, settings, clock)
        self._recovery = Recovery(
            application.topics, fetcher, appender, self._make_state, self._make_partition, application.make_fence
        )
        self._partitions: dict[int, Partition] = {}
        self._wanted: set[int] = set()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._assigned_once = False
        self._in_flight: asyncio.Task[None] | None = None
        self._last_cycle_s = 0.0
        self._waiting_since_s: dict[int, float] = {}
        self._lost_until_s: dict[int, float] = {}
        """Partitions that another worker fenced: not ours again before the group says so, or this time."""
        app.on_partitions_assigned.connect(self._on_assigned)
        app.on_partitions_revoked.connect(self._on_revoked)

    @property
    def ready(self) -> bool:
        """Whether every assigned partition is recovered and none is being taken over."""
        return self._assigned_once and not self._changed.is_set() and self.failure is None

    async def _on_assigned(self, _app: faust.App, assigned: set[TopicPartition], **_: object) -> None:
        self._wanted = {tp.partition for tp in assigned if tp.topic == self._topics.sources[0]}
        self._lost_until_s.clear()
        self._changed.set()

    async def _on_revoked(self, _app: faust.App, revoked: set[TopicPartition], **_: object) -> None:
        log.info("partitions revoked", partitions=sorted({tp.partition for tp in revoked}))

    def _make_state(self) -> PartitionState:
        return PartitionState(self._application.tables)

    def _make_partition(self, number: int, state: PartitionState) -> Partition:
        return Partition(number, self._topics.sources, state, self._application.identity)

    async def on_start(self) -> None:
        """Connect the clients; called by mode."""
        await self._fetcher.start(self._topics.all())
        await self._appender.start()

    async def on_stop(self) -> None:
        """Write what is open and disconnect; called by mode."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _STOP_S)
        if self.failure is None:
            await self._settle()
            await self._writer.write(self._snapshots.take(self._partitions.values(), force=True), [])
        await self._appender.stop()
        await self._fetcher.stop()

    @Service.task
    async def _run(self) -> None:
        try:
            while not self.should_stop:
                await self._cycle()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the boundary: the process ends and says why
            self.failure = error
            log.error("engine stopped", error=type(error).__name__, detail=str(error))  # noqa: TRY400 - no trace by default
            log.debug("trace", exc_info=error)
        finally:
            self._ended.set()

    async def _cycle(self) -> None:
        self._drop_fenced()
        if self._changed.is_set():
            await self._take_over()
        if not self._partitions:
            await self._wait_for_change()
            return
        await self._pace()
        fetched = await self._fetch()
        # What the snapshot holds must not contain this cycle's changes: its outputs are not written yet.
        snapshots = self._snapshots.take(self._partitions.values(), force=not fetched)
        batches = await self._process()
        await self._settle()
        if snapshots or batches:
            self._in_flight = asyncio.create_task(self._writer.write(snapshots, batches))
            if sum(len(batch.entries) for _, batch in batches) < self._settings.large_batch_records:
                await self._settle()  # at low rates: let records gather at the broker meanwhile

    def _drop_fenced(self) -> None:
        """Give up what another worker took over; claim it again only if the group never takes it away.

        A worker that was paused meets the fence before it hears of the rebalance. Recovering at once would
        fence the rightful owner in turn.
        """
        now_s = self._clock()
        for number in [number for number, partition in self._partitions.items() if partition.fenced]:
            del self._partitions[number]
            self._lost_until_s[number] = now_s + 2 * self._settings.session_timeout_ms / 1e3
        for number in [number for number, until_s in self._lost_until_s.items() if now_s >= until_s]:
            del self._lost_until_s[number]
            self._changed.set()

    async def _wait_for_change(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), 1.0)
        except TimeoutError:
            return

    async def _take_over(self) -> None:
        """Drop what was revoked, recover what was assigned."""
        await self._settle()
        self._changed.clear()
        wanted = self._wanted - self._lost_until_s.keys()
        for number in self._partitions.keys() - wanted:
            del self._partitions[number]
        for number in sorted(wanted - self._partitions.keys()):
            started_s = self._clock()
            self._partitions[number] = await self._recovery.recover(number)
            self._metrics.recoveries.inc()
            self._metrics.recovery_seconds.set(self._clock() - started_s)
            if self._changed.is_set():
                return
        self._assigned_once = True
        self._metrics.partitions.set(len(self._partitions))
        log.info("partitions owned", partitions=sorted(self._partitions))

    async def _pace(self) -> None:
        """At most one cycle in `cycle_interval_ms` while batches are small; a lone record goes at once."""
        if self._last_cycle_s:
            left_s = self._settings.cycle_interval_ms / 1e3 - (self._clock() - self._last_cycle_s)
            if left_s > 0:
                await asyncio.sleep(left_s)

    def _offsets_to_fetch(self) -> dict[TopicPartition, int]:
        limit = self._settings.partition_fetch_bytes_max
        return {
            TopicPartition(topic, partition.number): partition.fetched[rank]
            for partition in self._partitions.values()
            for rank, topic in enumerate(self._topics.sources)
            if partition.buffered_bytes[rank] < limit
        }

    def _fetch_wait_ms(self) -> int:
        """How long the broker may hold the fetch back where it has nothing."""
        wait_ms = self._settings.idle_fetch_wait_ms
        now_ms = self._clock() * 1e3
        for partition in self._partitions.values():
            if partition.unsaved:
                wait_ms = min(wait_ms, self._settings.changelog_interval_ms)
            if any(partition.buffers):
                wait_ms = min(wait_ms, 1)
            if partition.wake_at_ms is not None:
                wait_ms = min(wait_ms, max(0, int(partition.wake_at_ms - now_ms)))
        return wait_ms

    async def _fetch(self) -> bool:
        """Fetch into the buffers; whether anything came."""
        offsets = self._offsets_to_fetch()
        fetched = await self._fetcher.fetch(offsets, self._fetch_wait_ms())
        if len(fetched) < len(offsets):
            await self._skip_deleted(offsets, fetched)
        decode, any_records = self._application.decode, False
        for tp, answer in fetched.items():
            partition = self._partitions.get(tp.partition)
            if partition is None:
                continue
            rank = self._topics.sources.index(tp.topic)
            entries = [decode(rank, record) for record in answer.records]
            any_records = any_records or bool(entries)
            partition.add(rank, entries, answer.next_offset, answer.high_watermark, answer.size_bytes if entries else 0)
        return any_records

    async def _skip_deleted(self, offsets: dict[TopicPartition, int], fetched: dict[TopicPartition, Fetched]) -> None:
        """Where retention deleted records before they were read: say so, and go on behind the hole."""
        for tp in offsets.keys() - fetched.keys():
            partition = self._partitions.get(tp.partition)
            if partition is None:
                continue
            rank = self._topics.sources.index(tp.topic)
            first = await self._fetcher.earliest(tp)
            if first > partition.fetched[rank]:
                log.error(
                    "records deleted before they were read",
                    topic=tp.topic,
                    partition=tp.partition,
                    count=first - partition.fetched[rank],
                )
                partition.skip_to(rank, first)

    async def _process(self) -> list[tuple[Partition, MicroBatch]]:
        """Cut the next micro-batch of each partition and have the agent process it."""
        now_s = self._clock()
        done: list[tuple[Partition, MicroBatch]] = []
        for partition in self._partitions.values():
            batch = partition.next_batch(int(now_s * 1e3), wait=self._may_wait(partition, now_s))
            if batch is None:
                continue
            started_s = self._clock()
            await self.batches.put(batch)
            await batch.processed
            partition.finish(batch)
            self._count(partition, batch, self._clock() - started_s)
            done.append((partition, batch))
        small = sum(len(batch.entries) for _, batch in done) < self._settings.large_batch_records
        self._last_cycle_s = now_s if done and small else 0.0
        return done

    def _may_wait(self, partition: Partition, now_s: float) -> bool:
        """Whether a lagging topic is still waited for; not longer than `merge_wait_ms_max`."""
        if not any(partition.buffers) or not any(partition.lagging):
            self._waiting_since_s.pop(partition.number, None)
            return True
        since_s = self._waiting_since_s.setdefault(partition.number, now_s)
        if now_s - since_s < self._settings.merge_wait_ms_max / 1e3:
            return True
        self._waiting_since_s.pop(partition.number, None)
        return False

    def _count(self, partition: Partition, batch: MicroBatch, seconds: float) -> None:
        metrics = self._metrics
        metrics.batches.inc()
        metrics.batch_size.observe(len(batch.entries))
        metrics.process_seconds.observe(seconds)
        if batch.late:
            metrics.late.inc(batch.late)
        if batch.repeats:
            metrics.repeats.inc(batch.repeats)
        metrics.lag_records.labels(partition.number).set(partition.lag_records)

    async def _settle(self) -> None:
        """Wait until everything that was sent is acknowledged."""
        if self._in_flight is not None:
            task, self._in_flight = self._in_flight, None
            await task
