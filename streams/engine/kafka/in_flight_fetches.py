"""One fetch in flight per broker: the first answer is enough, the others stay in flight.

With one request to every broker and a wait for all of them, a broker without records would delay the others' records for
as long as it may wait. Here its request goes on waiting while theirs are processed: the offsets of its partitions do not
move meanwhile, so its answer is as good later. Knows nothing of Kafka's protocol.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from aiokafka.structs import TopicPartition

from streams.engine.model import Fetched

FetchedByPartition = dict[TopicPartition, Fetched]
Ask = Callable[[int, list[TopicPartition], Mapping[TopicPartition, int], int], Coroutine[Any, Any, FetchedByPartition]]
"""(broker, partitions, their offsets, wait in ms) -> what it answered; no exception for a broker that fails."""

_ANSWER_GRACE_S = 0.005
"""For how long an answer is waited for beyond the time that the broker was given."""


class InFlightFetches:
    """The requests in flight, at most one per broker."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._requests: dict[int, tuple[asyncio.Task[FetchedByPartition], Mapping[TopicPartition, int]]] = {}

    async def fetch(
        self, by_leader: Mapping[int, list[TopicPartition]], offsets: Mapping[TopicPartition, int], wait_ms: int
    ) -> FetchedByPartition:
        """Ask every broker that is not being asked already; returns the answers of those that answer first.

        An answer for a partition that is no longer asked for, or from another offset, is dropped. A broker may wait
        `wait_ms` for records; this call takes roughly as long at most.
        """
        if len(by_leader) == 1 and not self._requests:  # one broker: the cheapest way
            ((node, partitions),) = by_leader.items()
            return await self._ask(node, partitions, offsets, wait_ms)
        for node, partitions in by_leader.items():
            if node not in self._requests:
                asked: Mapping[TopicPartition, int] = {partition: offsets[partition] for partition in partitions}
                self._requests[node] = asyncio.create_task(self._ask(node, partitions, asked, wait_ms)), asked
        await asyncio.wait(
            [task for task, _ in self._requests.values()],
            timeout=wait_ms / 1e3 + _ANSWER_GRACE_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        result: FetchedByPartition = {}
        for node in [node for node, (task, _) in self._requests.items() if task.done()]:
            task, asked = self._requests.pop(node)
            for partition, fetched in task.result().items():
                if offsets.get(partition) == asked[partition]:
                    result[partition] = fetched
        return result

    async def close(self) -> None:
        """Cancel what is in flight."""
        tasks = [task for task, _ in self._requests.values()]
        self._requests.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
