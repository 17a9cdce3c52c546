"""One fetch per broker on its way: nobody waits for a broker that has nothing, and nothing comes twice."""

import asyncio
from collections.abc import Mapping

from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.kafka.in_flight_fetches import InFlightFetches
from streams.engine.model import Fetched

A, B, C = (TopicPartition("t", number) for number in range(3))


class Brokers:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, dict[TopicPartition, int], int]] = []
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def ask(
        self, node: int, partitions: list[TopicPartition], offsets: Mapping[TopicPartition, int], wait_ms: int
    ) -> dict[TopicPartition, Fetched]:
        assert node not in self._waiting, "two requests at once to one broker"
        asked = {partition: offsets[partition] for partition in partitions}
        self.asked.append((node, asked, wait_ms))
        self._waiting[node] = asyncio.get_running_loop().create_future()
        try:
            await self._waiting[node]
        finally:
            del self._waiting[node]
        return {partition: Fetched([], offset + 1, offset + 1, 0) for partition, offset in asked.items()}

    def answer(self, node: int) -> None:
        self._waiting[node].set_result(None)

    def answer_soon(self, *nodes: int) -> None:
        for node in nodes:
            asyncio.get_running_loop().call_later(0.001, self.answer, node)


def test_a_broker_with_nothing_to_say_does_not_hold_up_the_others() -> None:
    async def run() -> None:
        brokers = Brokers()
        outstanding = InFlightFetches(brokers.ask)
        brokers.answer_soon(1)
        first = await outstanding.fetch({1: [A], 2: [B]}, {A: 0, B: 7}, 60_000)
        assert first.keys() == {A}
        brokers.answer_soon(1)
        second = await outstanding.fetch({1: [A], 2: [B]}, {A: 1, B: 7}, 60_000)
        assert second.keys() == {A}
        assert [node for node, _, _ in brokers.asked] == [1, 2, 1], "the second broker is still being asked"
        brokers.answer_soon(2)
        third = await outstanding.fetch({1: [A], 2: [B]}, {A: 2, B: 7}, 60_000)
        assert third[B].next_offset == 8, "its late answer is as good as ever"
        await outstanding.close()

    asyncio.run(asyncio.wait_for(run(), 5))


def test_an_answer_that_nobody_asks_for_any_more_is_dropped() -> None:
    async def run() -> None:
        brokers = Brokers()
        outstanding = InFlightFetches(brokers.ask)
        brokers.answer_soon(1)
        await outstanding.fetch({1: [A], 2: [B, C]}, {A: 0, B: 7, C: 3}, 60_000)
        brokers.answer(2)
        # B was taken over anew further on, C was given up
        got = await outstanding.fetch({1: [A], 2: [B]}, {A: 1, B: 9}, 60_000)
        assert not got
        await outstanding.close()

    asyncio.run(asyncio.wait_for(run(), 5))


def test_a_call_does_not_take_longer_than_it_may_though_a_broker_was_given_more() -> None:
    async def run() -> None:
        brokers = Brokers()
        outstanding = InFlightFetches(brokers.ask)
        brokers.answer_soon(1)
        await outstanding.fetch({1: [A], 2: [B]}, {A: 0, B: 0}, 60_000)
        started_s = asyncio.get_running_loop().time()
        assert await outstanding.fetch({2: [B]}, {B: 0}, 1) == {}
        assert asyncio.get_running_loop().time() - started_s < 2
        await outstanding.close()

    asyncio.run(asyncio.wait_for(run(), 5))


def test_one_broker_is_asked_without_a_task_in_between() -> None:
    async def run() -> None:
        brokers = Brokers()
        outstanding = InFlightFetches(brokers.ask)
        before = len(asyncio.all_tasks())
        brokers.answer_soon(1)
        asyncio.get_running_loop().call_soon(lambda: tasks.append(len(asyncio.all_tasks())))
        tasks: list[int] = []
        await outstanding.fetch({1: [A, B]}, {A: 0, B: 0}, 60_000)
        assert tasks == [before]

    asyncio.run(asyncio.wait_for(run(), 5))


@settings(max_examples=100, deadline=None)
@given(rounds=st.lists(st.sets(st.integers(1, 3), min_size=1), min_size=1, max_size=12))
def test_every_partition_moves_on_by_each_answer_once(rounds: list[set[int]]) -> None:
    """Whatever the order of the answers: what is taken in is 0, 1, 2, ... of each partition."""
    by_leader = {1: [A], 2: [B], 3: [C]}

    async def run() -> None:
        brokers = Brokers()
        outstanding = InFlightFetches(brokers.ask)
        offsets = {A: 0, B: 0, C: 0}
        for answering in rounds:
            brokers.answer_soon(*answering)
            got: dict[TopicPartition, Fetched] = {}
            while len(got) < len(answering):
                for partition, fetched in (await outstanding.fetch(by_leader, offsets, 60_000)).items():
                    assert partition not in got
                    assert fetched.next_offset == offsets[partition] + 1
                    offsets[partition] += 1
                    got[partition] = fetched
            assert {node for node, partitions in by_leader.items() if partitions[0] in got} == answering
        await outstanding.close()

    asyncio.run(asyncio.wait_for(run(), 20))
