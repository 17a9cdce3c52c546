"""Reports how far the take-over of a partition has come, while it runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from aiokafka.errors import KafkaError

from streams.engine.metrics import EngineMetrics

log = structlog.get_logger(__name__)

_INTERVAL_S = 0.5
"""Between two reports: there must be a line at least every second, even when the event loop is busy."""


class RecoveryReading:
    """How far a recovery has read the topics of its partition."""

    __slots__ = ("ends", "read_to", "starts")

    def __init__(self) -> None:
        self.starts: dict[str, int] = {}
        self.read_to: dict[str, int] = {}
        """Topic to the next offset to read; kept by the recovery itself."""
        self.ends: dict[str, int] = {}

    def begin(self, topic: str, start: int) -> int:
        """Note where a topic is read from; returns where to go on, if it was read before."""
        self.starts.setdefault(topic, start)
        return self.read_to.setdefault(topic, start)

    @property
    def counts(self) -> tuple[int, int]:
        """Records read, and records to read as far as known; counted in offsets, in which compaction leaves gaps."""
        read = sum(offset - self.starts[topic] for topic, offset in self.read_to.items())
        total = sum(max(0, end - self.starts[topic]) for topic, end in self.ends.items())
        return read, max(read, total)


class TakeoverProgress:
    """Watches recoveries, by the offsets that a recovery keeps anyway.

    Args:
        clock: Unix seconds.
        interval_s: between two reports.
    """

    def __init__(self, metrics: EngineMetrics, clock: Callable[[], float], *, interval_s: float = _INTERVAL_S) -> None:
        self._metrics = metrics
        self._clock = clock
        self._interval_s = interval_s
        self._running: dict[int, RecoveryReading] = {}

    @contextlib.asynccontextmanager
    async def of(self, partition: int, end: Callable[[str], Awaitable[int]]) -> AsyncIterator[RecoveryReading]:
        """Watch one recovery for as long as it runs; it asks for the ends of topics only where that takes long."""
        reading = self._running[partition] = RecoveryReading()
        watch = asyncio.create_task(self._watch(partition, reading, end))
        try:
            yield reading
        finally:
            watch.cancel()
            del self._running[partition]
            self._set_gauges()

    async def _watch(self, partition: int, reading: RecoveryReading, end: Callable[[str], Awaitable[int]]) -> None:
        started_s = self._clock()
        while True:
            await asyncio.sleep(self._interval_s)
            with contextlib.suppress(KafkaError):  # the recovery itself meets the error, and raises it
                for topic in reading.starts.keys() - reading.ends.keys():
                    reading.ends[topic] = await end(topic)
            self._set_gauges()
            read, total = reading.counts
            seconds = round(self._clock() - started_s, 1)
            log.info("recovering", partition=partition, records_read=read, records=total, seconds=seconds)

    def _set_gauges(self) -> None:
        counts = [reading.counts for reading in self._running.values()]
        self._metrics.recovery_records_read.set(sum(read for read, _ in counts))
        self._metrics.recovery_records.set(sum(total for _, total in counts))
