"""The engine as a Faust service: assignments come in as signals, micro-batches go out through a channel.

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
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.batch_channel import BatchChannel
from streams.engine.loop.loop import EngineLoop
from streams.engine.metrics import EngineMetrics
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.spec import EngineSpec
from streams.engine.takeover.standby import Standby

log = structlog.get_logger(__name__)

_STANDBY_CHECK_S = 0.2
"""How often the standby checks whether the take-over of partitions has ended."""
_STOP_S = 5.0
"""How long a stop waits for the current round."""


class Engine(Service):
    """Runs the partitions that Faust's group gives to this worker.

    Args:
        clients: the engine's own reader and producer; started and stopped by it.
        clock: Unix time in seconds.
        standby: keeps warm copies of what others own; its fetcher is started and stopped here too.
    """

    abstract = False

    def __init__(
        self,
        app: faust.App,
        spec: EngineSpec,
        clients: EngineClients,
        settings: EngineSettings,
        metrics: EngineMetrics,
        clock: Callable[[], float],
        standby: Standby | None = None,
    ) -> None:
        super().__init__()
        self.batches = BatchChannel(app)
        """The agent's stream: one MicroBatch an event."""
        self.failure: BaseException | None = None
        """Why the engine stopped by itself; the process ends then."""
        self._topics = spec.topics
        self._clients = clients
        self._standby = standby
        self._engine_loop = EngineLoop(spec, self._hand_over, clients, settings, metrics, clock, standby)
        self._ended = asyncio.Event()
        app.on_partitions_revoked.connect(self._on_revoked)
        app.on_partitions_assigned.connect(self._on_assigned)

    @property
    def ready(self) -> bool:
        """Whether every assigned partition is recovered and processed, and the brokers answer."""
        return self.failure is None and self._engine_loop.ready

    def update_gauges(self) -> None:
        """Set the gauges that describe the engine's state; call it about once a second."""
        self._engine_loop.update_gauges()

    async def _on_assigned(self, _app: faust.App, assigned: set[TopicPartition], **_: object) -> None:
        numbers = {each.partition for each in assigned if each.topic == self._topics.membership}
        self._engine_loop.ownership.assign(numbers)

    async def _on_revoked(self, _app: faust.App, _revoked: set[TopicPartition], **_: object) -> None:
        await self._engine_loop.ownership.suspend()

    async def _hand_over(self, batch: MicroBatch) -> None:
        await self.batches.put(batch)
        await batch.processed

    async def on_start(self) -> None:
        """Connect the clients; called by mode."""
        await self._clients.fetcher.start(self._topics.all())
        if self._standby is not None:
            await self._standby.fetcher.start([self._topics.state])
        await self._clients.appender.start()

    async def on_stop(self) -> None:
        """Write what is open and disconnect; called by mode."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _STOP_S)
        if self.failure is None:
            try:
                await self._engine_loop.close()
            except KafkaError as error:  # the next owner runs the journalled micro-batches again
                log.warning("the last snapshot was not written", error=type(error).__name__)
        self._engine_loop.ownership.end()
        await self._clients.appender.stop()
        await self._clients.fetcher.stop()
        if self._standby is not None:
            await self._standby.fetcher.stop()

    @Service.task
    async def _follow(self) -> None:
        """Keep the warm copies; pauses while partitions are being taken over."""
        wait_s = _STANDBY_CHECK_S
        while self._standby is not None and not self.should_stop:
            await asyncio.sleep(wait_s)
            ownership = self._engine_loop.ownership
            try:
                wait_s = await self._standby.follow(ownership.claimed) if ownership.settled else _STANDBY_CHECK_S
            except Exception as error:  # noqa: BLE001 - the boundary: without copies a worker works as well
                self._standby.forget()
                if not self.should_stop:
                    log.error("the standby stopped", error=type(error).__name__, detail=str(error))  # noqa: TRY400
                return

    @Service.task
    async def _run(self) -> None:
        try:
            while not self.should_stop:
                await self._engine_loop.run_once()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the boundary: the process ends and says why
            self.failure = error
            log.error("engine stopped", error=type(error).__name__, detail=str(error))  # noqa: TRY400 - no trace by default
            log.debug("trace", exc_info=error)
        finally:
            self._ended.set()
