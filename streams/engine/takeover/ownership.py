"""Which partitions this worker owns: assigned by the group, taken over by recovery, lost to a fence.

Reads: the group's decisions. Writes: nothing itself; a recovery writes fences. Key: the partition.
Guarantee: a partition is processed only after its recovery, and not while the group decides.
On failure: a failed recovery is raised when all that run beside it have ended; a partition that another worker took over
is given up, and claimed again after a time unless the group has decided by then.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from aiokafka.errors import KafkaError, ProducerFenced

from streams.engine.metrics import EngineMetrics
from streams.engine.partition.partition import Partition
from streams.engine.takeover.recovery import Recovery

log = structlog.get_logger(__name__)

_CHECK_INTERVAL_S = 60.0
"""How often an owner checks for late writes of an older one; far below the changelog's `min.compaction.lag.ms`."""


class Ownership:
    """The owned partitions.

    Args:
        clock: Unix seconds.
        reclaim_after_s: a partition that another worker took over is claimed again after this time, unless the group
            has decided before.
        at_once: number of partitions that are recovered concurrently: while the records of one are decoded, the broker
            reads those of another.
    """

    def __init__(
        self,
        recovery: Recovery,
        metrics: EngineMetrics,
        clock: Callable[[], float],
        *,
        reclaim_after_s: float,
        at_once: int = 1,
    ) -> None:
        self._at_once = at_once
        self.partitions: dict[int, Partition] = {}
        self._recovery = recovery
        self._metrics = metrics
        self._clock = clock
        self._reclaim_after_s = reclaim_after_s
        self._suspend_s_max = reclaim_after_s / 2
        self._wanted: set[int] = set()
        self._deciding = False
        """Whether the group is about to make a new assignment."""
        self._set_aside: dict[int, Partition] = {}
        """Partitions owned before the decision; those that stay ours are processed further without a recovery."""
        self._quiet = asyncio.Event()
        self._ended = False
        self._recovering = False
        self._check_at_s = 0.0
        self._changed = asyncio.Event()
        self._assigned_once = False
        self._lost_until_s: dict[int, float] = {}

    @property
    def settled(self) -> bool:
        """Whether every assigned partition is recovered and none is being taken over."""
        return self._assigned_once and not (self._changed.is_set() or self._deciding or self._recovering)

    async def to_save(self) -> list[Partition]:
        """The partitions whose open snapshot to write, because the group may assign them to others; usually none.

        Not those that another worker has already taken over: after its fence a snapshot would not count. Nothing may
        be in flight.
        """
        if not self._deciding:
            return []
        try:
            return [
                each
                for each in self.partitions.values()
                if not each.fenced and await self._recovery.verify_ownership(each)
            ]
        except KafkaError:  # without a snapshot the next owner only has more to run again
            return []

    @property
    def claimed(self) -> set[int]:
        """Partitions that are ours, or were until the group began to decide."""
        return self._wanted | self.partitions.keys() | self._set_aside.keys()

    async def suspend(self) -> None:
        """The group is about to decide: process nothing until `assign`; returns when nothing is in flight.

        A worker that went on until it learns the decision would write after the fence of the next owner. Does not wait
        longer than the session lasts. What has not been sent by then never is: the partitions are given up, and
        recovered again if the group leaves them here. What is in flight then is covered by the next owner's fence.
        """
        if self._ended:
            return
        self._deciding = True
        self._quiet.clear()
        self._changed.set()
        if self.partitions or self._recovering:
            try:
                await asyncio.wait_for(self._quiet.wait(), self._suspend_s_max)
            except TimeoutError:
                self._abandon()

    def end(self) -> None:
        """This worker writes nothing more, so the group need not wait for it."""
        self._ended = True
        self._quiet.set()

    def assign(self, numbers: set[int]) -> None:
        """The group has decided: these are ours."""
        self._wanted = set(numbers)
        self._deciding = False
        self._lost_until_s.clear()
        self._changed.set()

    def drop_fenced(self) -> None:
        """Give up what another worker took over.

        A worker that was paused finds the fence before it learns about the rebalance. Recovering at once would fence
        the rightful owner in turn.
        """
        now_s = self._clock()
        for number in [number for number, partition in self.partitions.items() if partition.fenced]:
            del self.partitions[number]
            self._lost_until_s[number] = now_s + self._reclaim_after_s
        for number in [number for number, until_s in self._lost_until_s.items() if now_s >= until_s]:
            del self._lost_until_s[number]
            self._changed.set()

    def _abandon(self) -> None:
        """Give up the partitions in the middle of a round, whoever owns them now."""
        log.warning("a round outlasted the session, its partitions are given up", partitions=sorted(self.partitions))
        for partition in self.partitions.values():
            partition.fenced = True
        self.partitions = {}  # a new dictionary: the round iterates over the old one

    @property
    def changed(self) -> bool:
        """Whether `take_over` has something to do."""
        return self._changed.is_set() or (bool(self.partitions) and self._clock() >= self._check_at_s)

    async def wait_for_change(self, timeout_s: float) -> None:
        """Return when the assignment changes, or after the time."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return

    async def take_over(self) -> None:
        """Drop what was revoked, keep what is still ours, recover what is new. Nothing may be in flight.

        Raises:
            KafkaError: the broker does not answer or refuses.
        """
        if not self._changed.is_set():
            await self._check()
            return
        self._changed.clear()
        self._set_aside |= self.partitions
        self.partitions.clear()
        if self._deciding:
            self._quiet.set()
            return
        wanted = self._wanted - self._lost_until_s.keys()
        self._recovering = True
        try:
            await self._keep_owned(wanted)
            missing = sorted(wanted - self.partitions.keys())
            for start in range(0, len(missing), self._at_once):
                if self._changed.is_set():
                    return
                recoveries = [self._recover(number) for number in missing[start : start + self._at_once]]
                for result in await asyncio.gather(*recoveries, return_exceptions=True):
                    if result is not None:
                        raise result
            if self._changed.is_set():
                return
        finally:
            self._recovering = False
        self._assigned_once = True
        log.info("partitions owned", partitions=sorted(self.partitions))

    async def _recover(self, number: int) -> None:
        """Take one partition over."""
        started_s = self._clock()
        try:
            self.partitions[number] = await self._recovery.recover(number)
        except ProducerFenced:  # another worker was faster: as if we had found its fence
            self._lost_until_s[number] = self._clock() + self._reclaim_after_s
            return
        self._metrics.recoveries.inc()
        self._metrics.recovery_seconds.set(self._clock() - started_s)

    async def _keep_owned(self, wanted: set[int]) -> None:
        """Keep what was set aside, where it is still ours and nobody had it in between."""
        set_aside, self._set_aside = self._set_aside, {}
        for number, partition in set_aside.items():
            if number in wanted and not partition.fenced and await self._recovery.verify_ownership(partition):
                self.partitions[number] = partition
        self._check_at_s = self._clock() + _CHECK_INTERVAL_S

    async def _check(self) -> None:
        """Check for records of others; an owner with nothing to write would not find them."""
        self._check_at_s = self._clock() + _CHECK_INTERVAL_S
        with contextlib.suppress(KafkaError):  # it is checked again the next time
            for partition in self.partitions.values():
                partition.fenced = partition.fenced or not await self._recovery.verify_ownership(partition)
