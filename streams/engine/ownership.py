"""Which partitions this worker owns: assigned by the group, taken over by recovery, lost to a fence."""

import asyncio
from collections.abc import Callable

import structlog

from streams.engine.partition import Partition
from streams.engine.recovery import Recovery
from streams.metrics import WorkerMetrics

log = structlog.get_logger(__name__)


class Ownership:
    """The owned partitions.

    Args:
        recovery: takes partitions over.
        metrics: where it counts.
        clock: Unix seconds.
        reclaim_after_s: a partition that another worker fenced is claimed again after this time, unless the
            group has decided before.
    """

    def __init__(
        self, recovery: Recovery, metrics: WorkerMetrics, clock: Callable[[], float], *, reclaim_after_s: float
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self._recovery = recovery
        self._metrics = metrics
        self._clock = clock
        self._reclaim_after_s = reclaim_after_s
        self._wanted: set[int] = set()
        self._changed = asyncio.Event()
        self._assigned_once = False
        self._lost_until_s: dict[int, float] = {}

    @property
    def settled(self) -> bool:
        """Whether every assigned partition is recovered and none is being taken over."""
        return self._assigned_once and not self._changed.is_set()

    def assign(self, numbers: set[int]) -> None:
        """The group has decided: these are ours."""
        self._wanted = set(numbers)
        self._lost_until_s.clear()
        self._changed.set()

    def drop_fenced(self) -> None:
        """Give up what another worker took over.

        A worker that was paused meets the fence before it hears of the rebalance. Recovering at once would
        fence the rightful owner in turn.
        """
        now_s = self._clock()
        for number in [number for number, partition in self.partitions.items() if partition.fenced]:
            del self.partitions[number]
            self._lost_until_s[number] = now_s + self._reclaim_after_s
        for number in [number for number, until_s in self._lost_until_s.items() if now_s >= until_s]:
            del self._lost_until_s[number]
            self._changed.set()

    @property
    def changed(self) -> bool:
        """Whether `take_over` has something to do."""
        return self._changed.is_set()

    async def wait_for_change(self, timeout_s: float) -> None:
        """Return when the assignment changes, or after the time."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return

    async def take_over(self) -> None:
        """Drop what was revoked, recover what was assigned. Nothing may be in flight.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        self._changed.clear()
        wanted = self._wanted - self._lost_until_s.keys()
        for number in self.partitions.keys() - wanted:
            del self.partitions[number]
        for number in sorted(wanted - self.partitions.keys()):
            started_s = self._clock()
            self.partitions[number] = await self._recovery.recover(number)
            self._metrics.recoveries.inc()
            self._metrics.recovery_seconds.set(self._clock() - started_s)
            if self._changed.is_set():
                return
        self._assigned_once = True
        log.info("partitions owned", partitions=sorted(self.partitions))
