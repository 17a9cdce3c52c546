"""Taking over and giving back: what nobody may write while the group decides."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry
from support.partition_topics import TOPICS, PartitionTopics

from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState
from streams.engine.takeover.ownership import Ownership
from streams.metrics import WorkerMetrics


def ownership(topics: PartitionTopics) -> Ownership:
    return Ownership(topics.recovery, WorkerMetrics(CollectorRegistry()), lambda: 0.0, reclaim_after_s=2.0)


def test_while_the_group_decides_nothing_is_owned_and_afterwards_the_same_goes_on() -> None:
    async def run() -> None:
        owner = ownership(PartitionTopics())
        owner.assign({0})
        await owner.take_over()
        before = owner.partitions[0]
        revoked = asyncio.create_task(owner.suspend())
        await asyncio.sleep(0)
        assert owner.changed
        assert not revoked.done(), "the group must not go on before the cycle has settled"
        await owner.take_over()
        await asyncio.wait_for(revoked, 1)
        assert not owner.partitions
        assert not owner.settled
        owner.assign({0})
        await owner.take_over()
        assert owner.partitions[0] is before, "no second recovery"
        assert owner.settled

    asyncio.run(run())


def test_while_a_partition_is_taken_over_the_worker_is_not_ready() -> None:
    async def run() -> None:
        topics = PartitionTopics()
        owner = ownership(topics)
        owner.assign({0})
        await owner.take_over()
        recover, seen = topics.recovery.recover, []

        async def watched(number: int) -> Partition:
            seen.append(owner.settled)
            return await recover(number)

        topics.recovery.recover = watched  # type: ignore[method-assign]
        owner.assign({0, 1})
        await owner.take_over()
        assert seen == [False]
        assert owner.settled

    asyncio.run(run())


def test_what_a_rival_fenced_is_recovered_at_once_when_the_group_gives_it_back() -> None:
    async def run() -> None:
        owner = ownership(PartitionTopics())
        owner.assign({0})
        await owner.take_over()
        before = owner.partitions[0]
        before.fenced = True  # met by the last write before the group's decision was heard
        owner.assign({0})
        await owner.take_over()
        assert owner.partitions[0] is not before, "given up again, it would lie idle for two sessions"

    asyncio.run(run())


def test_a_partition_that_somebody_had_in_between_is_recovered_anew() -> None:
    async def run() -> None:
        topics = PartitionTopics()
        owner = ownership(topics)
        owner.assign({0})
        await owner.take_over()
        before = owner.partitions[0]
        await topics.recovery.recover(0)
        owner.assign({0})
        await owner.take_over()
        assert owner.partitions[0] is not before
        assert owner.partitions[0].generation == before.generation + 2

    asyncio.run(run())


def test_a_worker_without_partitions_does_not_hold_the_group_up() -> None:
    async def run() -> None:
        await asyncio.wait_for(ownership(PartitionTopics()).suspend(), 0.5)

    asyncio.run(run())


def test_a_worker_that_writes_nothing_more_does_not_hold_the_group_up() -> None:
    async def run() -> None:
        owner = ownership(PartitionTopics())
        owner.assign({0})
        await owner.take_over()
        revoked = asyncio.create_task(owner.suspend())
        await asyncio.sleep(0)
        assert not revoked.done(), "its last snapshot may be on its way"
        owner.end()
        await asyncio.wait_for(revoked, 0.5)
        await asyncio.wait_for(owner.suspend(), 0.5)

    asyncio.run(run())


def test_partitions_are_recovered_beside_each_other_and_a_failure_is_told_at_the_end() -> None:
    ended: list[int] = []

    class Rivals:
        """Recoveries that need each other to have begun."""

        def __init__(self) -> None:
            self._together = asyncio.Barrier(3)

        async def recover(self, number: int) -> Any:
            await self._together.wait()
            ended.append(number)
            if number == 1:
                raise KafkaConnectionError
            return Partition(number, TOPICS.sources, PartitionState(()), lambda _entry: "")

    async def run() -> Ownership:
        rivals: Any = Rivals()
        owner = Ownership(rivals, WorkerMetrics(CollectorRegistry()), lambda: 0.0, reclaim_after_s=2.0, at_once=3)
        owner.assign({0, 1, 2, 3})
        with pytest.raises(KafkaConnectionError):
            await asyncio.wait_for(owner.take_over(), 5)
        return owner

    owner = asyncio.run(run())
    assert sorted(ended) == [0, 1, 2]
    assert sorted(owner.partitions) == [0, 2]
