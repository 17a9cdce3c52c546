"""The requests of a transaction, each repeated until its answer is final. Knows nothing of records.

Owns what the broker's error codes mean: a temporary error is tried again, an error that says that another writer has the
transactional id becomes ProducerFenced, everything else is raised as it is.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import ConcurrentTransactions, KafkaError, ProducerFenced, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest
from aiokafka.structs import TopicPartition

log = structlog.get_logger(__name__)

_ALL_REPLICAS = -1
_FENCED = frozenset({47, 48, 49, 90})
"""INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED: another writer claimed the
transactional id, or the broker has ended the transaction and dropped its writer. Either way what was sent is void, and
the partition must be claimed and recovered again."""
_NOT_ATTEMPTED = 55
"""In the answer for several partitions: the error concerns another one of them."""
_PAUSE_S_MIN, _PAUSE_S_MAX = 0.001, 0.1


class ProducerIdentity(NamedTuple):
    """A claimed transactional id: the producer that may write under it, and its epoch."""

    transactional_id: str
    producer_id: int
    epoch: int


class TransactionRequests:
    """Sends requests to the coordinator of a transactional id and to the leaders of partitions.

    Args:
        client: started by the caller.
        transaction_timeout_ms: after which the broker aborts a transaction whose writer has gone.
    """

    def __init__(self, client: AIOKafkaClient, transaction_timeout_ms: int) -> None:
        self._client = client
        self._transaction_timeout_ms = transaction_timeout_ms
        self._coordinators: dict[str, int] = {}

    async def claim(self, transactional_id: str) -> ProducerIdentity:
        """Become the one writer of a transactional id.

        Raises:
            KafkaError: the broker refuses.
        """
        request = InitProducerIdRequest(transactional_id, self._transaction_timeout_ms)
        answer = await self._coordinate(transactional_id, request)
        return ProducerIdentity(transactional_id, answer.producer_id, answer.producer_epoch)

    async def begin(self, who: ProducerIdentity, topics: Iterable[str], partition: int) -> None:
        """Tell the coordinator to which partition of which topics the transaction will write.

        Raises:
            ProducerFenced: another writer has claimed the transactional id.
            KafkaError: the broker refuses.
        """
        request = AddPartitionsToTxnRequest(*who, [(topic, [partition]) for topic in topics])
        await self._coordinate(who.transactional_id, request)

    async def commit(self, who: ProducerIdentity) -> None:
        """Commit the transaction; when this returns, it is committed whatever happens.

        Raises:
            ProducerFenced: another writer has claimed the transactional id; then it may be committed or not.
            KafkaError: the broker refuses.
        """
        await self._coordinate(who.transactional_id, EndTxnRequest(*who, True))

    async def produce(self, who: ProducerIdentity, partition: int, batches: Mapping[str, bytes]) -> dict[str, int]:
        """Store one RecordBatch per topic; returns their base offsets.

        A RecordBatch that is sent again is stored once: the broker knows it by its sequence number.

        Raises:
            ProducerFenced: another writer has claimed the transactional id.
            KafkaError: the broker refuses.
        """
        offsets: dict[str, int] = {}
        backoff = _Backoff(who.transactional_id)
        while len(offsets) < len(batches):
            by_leader: dict[int | None, dict[str, bytes]] = {}
            for topic, data in batches.items():
                if topic not in offsets:
                    by_leader.setdefault(await self._leader(topic, partition), {})[topic] = data
            found = await asyncio.gather(
                *(self._produce_to(leader, who, partition, some, backoff) for leader, some in by_leader.items())
            )
            for each in found:
                offsets |= each
            if len(offsets) < len(batches):
                await backoff.pause()
        return offsets

    async def _produce_to(
        self,
        leader: int | None,
        who: ProducerIdentity,
        partition: int,
        batches: Mapping[str, bytes],
        backoff: "_Backoff",
    ) -> dict[str, int]:
        """Base offsets of what this leader has stored; nothing of what has to be sent again."""
        if leader is None:
            await self._client.force_metadata_update()
            return {}
        topics = [(topic, [(partition, data)]) for topic, data in batches.items()]
        request = ProduceRequest(who.transactional_id, _ALL_REPLICAS, self._transaction_timeout_ms, topics)
        try:
            answer = await self._client.send(leader, request)
        except KafkaError as error:
            await self._retry(error, backoff)
            return {}
        offsets: dict[str, int] = {}
        for topic, partitions in answer.topics:
            for _, code, offset, *_ in partitions:
                refused = _error_of(who.transactional_id, [code])
                if refused is None:
                    offsets[topic] = offset
                else:
                    await self._retry(refused, backoff)
        return offsets

    async def _leader(self, topic: str, partition: int) -> int | None:
        await self._client._wait_on_metadata(topic)  # noqa: SLF001 - as aiokafka's producer does
        leader = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
        return None if leader == -1 else leader

    async def _retry(self, error: KafkaError, backoff: "_Backoff") -> None:
        """Raise an error that is not temporary; prepare another attempt otherwise."""
        if not error.retriable:
            raise error
        backoff.note(error)
        if error.invalid_metadata:
            await self._client.force_metadata_update()

    async def _coordinate(self, transactional_id: str, request: Any) -> Any:
        """Send a request to the coordinator until its answer is final; returns the answer."""
        backoff = _Backoff(transactional_id)
        while True:
            try:
                node = await self._coordinator(transactional_id)
                answer = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
                error = _error_of(transactional_id, _codes(answer))
                if error is None:
                    return answer
                raise error
            except ConcurrentTransactions:
                pass  # the markers of the one before are still being written
            except KafkaError as failed:
                self._coordinators.pop(transactional_id, None)
                await self._retry(failed, backoff)
            await backoff.pause()

    async def _coordinator(self, transactional_id: str) -> int:
        node = self._coordinators.get(transactional_id)
        if node is None:
            node = await self._client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
            self._coordinators[transactional_id] = node
        return node


class _Backoff:
    """Growing pauses between attempts; logs the reason once."""

    def __init__(self, transactional_id: str) -> None:
        self._transactional_id = transactional_id
        self._pause_s = _PAUSE_S_MIN
        self._logged = False

    def note(self, error: KafkaError) -> None:
        """Log why there is another attempt, the first time."""
        if not self._logged:
            self._logged = True
            log.warning("transaction waits", transactional_id=self._transactional_id, error=type(error).__name__)

    async def pause(self) -> None:
        """Wait before the next attempt."""
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _PAUSE_S_MAX)


def _codes(answer: Any) -> list[int]:
    if hasattr(answer, "errors"):
        return [code for _, partitions in answer.errors for _, code in partitions]
    return [answer.error_code]


def _error_of(transactional_id: str, codes: Iterable[int]) -> KafkaError | None:
    """The error that matters among the codes of an answer; None where there is none.

    Raises:
        ProducerFenced: another writer has claimed the transactional id.
    """
    bad = [code for code in codes if code not in (0, _NOT_ATTEMPTED)]
    if not bad:
        return None
    if _FENCED.intersection(bad):
        raise ProducerFenced(f"{transactional_id} has another writer")
    error: KafkaError = for_code(bad[0])()
    return error
