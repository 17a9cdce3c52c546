"""The engine as a Faust service: assignments come in by signals, micro-batches go out by a channel.

A thin shell. What the engine does is in `streams.engine.loop.loop`.
"""

import asyncio
import contextlib
from collections.abc import Callable

import faust
import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from mode import Service

from common.settings.engine import EngineSettings
from streams.engine.kafka.appender import Appender
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.loop.batch_channel import BatchChannel
from streams.engine.loop.loop import EngineLoop, EngineSpec
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.takeover.standby import Standby
from streams.metrics import WorkerMetrics

log = structlog.get_logger(__name__)

_STANDBY_LOOK_S = 0.2
"""How often the standby looks whether the take-over of partitions has ended."""
_STOP_S = 5.0
"""How long a stop waits for the round that is under way."""


class Engine(Service):
    """Runs the partitions that Faust's group gives to this worker.

    Args:
        app: the Faust application.
        application: topics, tables and codecs.
        fetcher: the engine's own reader; started and stopped by it.
        appender: the engine's own producer; started and stopped by it.
        settings: limits and intervals.
        metrics: where it counts.
        clock: Unix time in seconds.
        standby: keeps warm copies of what others own; its fetcher is started and stopped here too.
    """

    abstract = False

    def __init__(
        self,
        app: faust.App,
        application: EngineSpec,
        fetcher: Fetcher,
        appender: Appender,
        settings: EngineSettings,
        metrics: WorkerMetrics,
        clock: Callable[[], float],
        standby: Standby | None = None,
    ) -> None:
        super().__init__()
        self.batches = BatchChannel(app)
        """The agent's stream: one MicroBatch an event."""
        self.failure: BaseException | None = None
        """Why the engine stopped by itself; the process ends then."""
        self._topics = application.topics
        self._fetcher = fetcher
        self._appender = appender
        self._standby = standby
        self._cycle = EngineLoop(application, self._hand_over, fetcher, appender, settings, metrics, clock, standby)
        self._ended = asyncio.Event()
        app.on_partitions_revoked.connect(self._on_revoked)
        app.on_partitions_assigned.connect(self._on_assigned)

    @property
    def ready(self) -> bool:
        """Whether every assigned partition is recovered and processed."""
        return self.failure is None and self._cycle.ownership.settled

    def observe(self) -> None:
        """Set the gauges of the engine's state."""
        self._cycle.observe()

    async def _on_assigned(self, _app: faust.App, assigned: set[TopicPartition], **_: object) -> None:
        self._cycle.ownership.assign(
            {
                topic_partition.partition
                for topic_partition in assigned
                if topic_partition.topic == self._topics.sources[0]
            }
        )

    async def _on_revoked(self, _app: faust.App, _revoked: set[TopicPartition], **_: object) -> None:
        await self._cycle.ownership.suspend()

    async def _hand_over(self, batch: MicroBatch) -> None:
        await self.batches.put(batch)
        await batch.processed

    async def on_start(self) -> None:
        """Connect the clients; called by mode."""
        await self._fetcher.start(self._topics.all())
        if self._standby is not None:
            await self._standby.fetcher.start([self._topics.state])
        await self._appender.start()

    async def on_stop(self) -> None:
        """Write what is open and disconnect; called by mode."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _STOP_S)
        if self.failure is None:
            try:
                await self._cycle.close()
            except KafkaError as error:  # the next owner runs again what the journal has
                log.warning("the last snapshot was not written", error=type(error).__name__)
        self._cycle.ownership.end()
        await self._appender.stop()
        await self._fetcher.stop()
        if self._standby is not None:
            await self._standby.fetcher.stop()

    @Service.task
    async def _follow(self) -> None:
        """Keep the warm copies; while partitions are being taken over it stands still."""
        wait_s = _STANDBY_LOOK_S
        while self._standby is not None and not self.should_stop:
            await asyncio.sleep(wait_s)
            ownership = self._cycle.ownership
            try:
                wait_s = await self._standby.follow(ownership.claimed) if ownership.settled else _STANDBY_LOOK_S
            except Exception as error:  # noqa: BLE001 - the boundary: without copies a worker works as well
                self._standby.forget()
                if not self.should_stop:
                    log.error("the standby stopped", error=type(error).__name__, detail=str(error))  # noqa: TRY400
                return

    @Service.task
    async def _run(self) -> None:
        try:
            while not self.should_stop:
                await self._cycle.run_once()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the boundary: the process ends and says why
            self.failure = error
            log.error("engine stopped", error=type(error).__name__, detail=str(error))  # noqa: TRY400 - no trace by default
            log.debug("trace", exc_info=error)
        finally:
            self._ended.set()
