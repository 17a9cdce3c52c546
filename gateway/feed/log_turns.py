"""The consumers with which older parts of the feed are read: so many at once, given to tenants and users in turn.

Owns how long one read may take before the next one's turn, and how much of the event loop reading may use. A read that
is cancelled ends at once: nothing runs in a thread.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from contracts.messages import UnrecoverableReason
from gateway.feed.turns import FairTurns
from gateway.kafka.kafka_clients import KafkaClients, stop_consumer

_FETCH_WAIT_MS = 100
_POLL_MS = 500
_POLL_RECORDS_MAX = 200
_TURN_S = 0.25


class UnrecoverableError(Exception):
    """The part cannot be read.

    Args:
        reason: for the client.
    """

    def __init__(self, reason: UnrecoverableReason) -> None:
        super().__init__(reason)
        self.reason = reason


class LogTurns:
    """Reads parts of partitions, a bounded number of them at once.

    Args:
        clients: of the cluster.
        reads_max: how many at once.
        silence_s_max: how long the broker may be silent.
    """

    def __init__(self, clients: KafkaClients, reads_max: int, silence_s_max: float) -> None:
        self._clients = clients
        self._free = reads_max
        self._silence_s_max = silence_s_max
        self._waiting: FairTurns[asyncio.Future[None]] = FairTurns()
        self._stopping: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def turn(self, tenant_id: int, user: str) -> AsyncIterator[None]:
        """Wait until it is this user's turn."""
        await self._wait(tenant_id, user)
        try:
            yield
        finally:
            self._give_back()

    @asynccontextmanager
    async def consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer for the time of a turn.

        Raises:
            UnrecoverableError: the broker does not answer, or the log does not reach back that far.
        """
        consumer = self._clients.consumer(
            fetch_wait_ms_max=_FETCH_WAIT_MS, request_timeout_ms=int(self._silence_s_max * 1000)
        )
        try:
            await consumer.start()
            yield consumer
        except OffsetOutOfRangeError as error:
            raise UnrecoverableError(UnrecoverableReason.TOO_OLD) from error
        except (KafkaError, OSError) as error:
            raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE) from error
        finally:
            # A read that is cancelled here too leaves no connection behind.
            stopping = asyncio.create_task(stop_consumer(consumer))
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
            await asyncio.shield(stopping)

    async def records(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, first: int, above: int
    ) -> AsyncIterator[tuple[list[ConsumerRecord], int]]:
        """The records from an offset on and below another one, for the time of one turn.

        Yields:
            some of them, and the offset from which to go on; each time after the others' turn.

        Raises:
            UnrecoverableError: the broker is silent.
        """
        loop = asyncio.get_running_loop()
        consumer.assign([partition])
        consumer.seek(partition, first)
        began = heard_at = loop.time()
        at = first
        while at < above and loop.time() - began < _TURN_S:
            polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS_MAX)
            taken_at = loop.time()
            moved, at = at, await consumer.position(partition)
            if at > moved:
                heard_at = taken_at
            elif taken_at - heard_at > self._silence_s_max:
                raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE)
            yield [record for record in polled.get(partition, ()) if record.offset < above], at
            # As long as it took: the live feed goes first.
            await asyncio.sleep(loop.time() - taken_at)

    async def _wait(self, tenant_id: int, user: str) -> None:
        if self._free:
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.add(tenant_id, user, mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # the turn came at the same moment
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            following = self._waiting.take()
            if not following.done():
                following.set_result(None)
                return
        self._free += 1
