"""The requests of a transaction, each repeated until it is answered for good. Knows nothing of records.

Owns the judgement of the broker's error codes: what passes by itself is tried again, what says that another
writer has the transactional id is ProducerFenced, everything else is raised as it is.
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
"""INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED: somebody else claimed
the transactional id, or the broker has ended the transaction and forgotten its writer. Either way what was sent
is void, and the partition has to be claimed and recovered anew."""
_NOT_ATTEMPTED = 55
"""Of a request for several partitions: the error is with another one of them."""
_PAUSE_S_MIN, _PAUSE_S_MAX = 0.001, 0.1


class ProducerIdentity(NamedTuple):
    """A claimed transactional id: who writes, in which of its lives."""

    transactional_id: str
    producer_id: int
    epoch: int


class TransactionRequests:
    """Speaks with the coordinator of a transactional id and with the leaders of partitions.

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

    async def begin(self, who: ProducerIdentity, places: Mapping[str, int]) -> None:
        """Tell the coordinator to which topics, and which partition of each, the transaction will write.

        Raises:
            ProducerFenced: another writer has claimed the transactional id.
            KafkaError: the broker refuses.
        """
        topics = [(topic, [partition]) for topic, partition in places.items()]
        await self._coordinate(who.transactional_id, AddPartitionsToTxnRequest(*who, topics))

    async def commit(self, who: ProducerIdentity) -> None:
        """End the transaction; when this returns, it is committed whatever happens.

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
        patience = _Patience(who.transactional_id)
        while len(offsets) < len(batches):
            by_leader: dict[int | None, dict[str, bytes]] = {}
            for topic, data in batches.items():
                if topic not in offsets:
                    by_leader.setdefault(await self._leader(topic, partition), {})[topic] = data
            found = await asyncio.gather(
                *(self._produce_to(leader, who, partition, part, patience) for leader, part in by_leader.items())
            )
            for each in found:
                offsets |= each
            if len(offsets) < len(batches):
                await patience.wait()
        return offsets

    async def _produce_to(
        self,
        leader: int | None,
        who: ProducerIdentity,
        partition: int,
        batches: Mapping[str, bytes],
        patience: "_Patience",
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
            await self._again(error, patience)
            return {}
        offsets: dict[str, int] = {}
        for topic, parts in answer.topics:
            for _, code, offset, *_ in parts:
                refused = _judged(who.transactional_id, [code])
                if refused is None:
                    offsets[topic] = offset
                else:
                    await self._again(refused, patience)
        return offsets

    async def _leader(self, topic: str, partition: int) -> int | None:
        await self._client._wait_on_metadata(topic)  # noqa: SLF001 - as aiokafka's producer does
        leader = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
        return None if leader == -1 else leader

    async def _again(self, error: KafkaError, patience: "_Patience") -> None:
        """Raise what does not pass by itself; prepare for another try otherwise."""
        if not error.retriable:
            raise error
        patience.note(error)
        if error.invalid_metadata:
            await self._client.force_metadata_update()

    async def _coordinate(self, transactional_id: str, request: Any) -> Any:
        """Send a request to the coordinator until it is answered for good; returns the answer."""
        patience = _Patience(transactional_id)
        while True:
            try:
                node = await self._coordinator(transactional_id)
                answer = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
                error = _judged(transactional_id, _codes(answer))
                if error is None:
                    return answer
                raise error
            except ConcurrentTransactions:
                pass  # the markers of the one before are still being written
            except KafkaError as failed:
                self._coordinators.pop(transactional_id, None)
                await self._again(failed, patience)
            await patience.wait()

    async def _coordinator(self, transactional_id: str) -> int:
        node = self._coordinators.get(transactional_id)
        if node is None:
            node = await self._client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
            self._coordinators[transactional_id] = node
        return node


class _Patience:
    """Growing pauses between tries; says once that there is something to wait for."""

    def __init__(self, transactional_id: str) -> None:
        self._transactional_id = transactional_id
        self._pause_s = _PAUSE_S_MIN
        self._said = False

    def note(self, error: KafkaError) -> None:
        """Remember why it takes longer."""
        if not self._said:
            self._said = True
            log.warning("transaction waits", transactional_id=self._transactional_id, error=type(error).__name__)

    async def wait(self) -> None:
        """The next pause."""
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _PAUSE_S_MAX)


def _codes(answer: Any) -> list[int]:
    if hasattr(answer, "errors"):
        return [code for _, parts in answer.errors for _, code in parts]
    return [answer.error_code]


def _judged(transactional_id: str, codes: Iterable[int]) -> KafkaError | None:
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
