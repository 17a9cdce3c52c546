"""The transactional appender against a broker that answers late, moves, loses answers and fences.

Also of streams/engine/kafka/appender.py and streams/engine/kafka/transaction_requests.py.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import KafkaConnectionError, OutOfOrderSequenceNumber, ProducerFenced
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waiting import stays_async

from streams.engine.kafka import transactions as module
from streams.engine.kafka.appender import PendingAppend
from streams.engine.kafka.transactions import TransactionalAppender
from streams.engine.model import OutputRecord

NOT_LEADER, NOT_COORDINATOR, NOT_ENOUGH_REPLICAS, OUT_OF_ORDER = 6, 16, 19, 45
INVALID_EPOCH, INVALID_STATE, CONCURRENT = 47, 48, 51
CONNECTION_LOST, ANSWER_LOST = -100, -101
BY_REQUEST = {
    InitProducerIdRequest: [NOT_COORDINATOR, CONCURRENT, CONNECTION_LOST, ANSWER_LOST],
    AddPartitionsToTxnRequest: [NOT_COORDINATOR, CONCURRENT, CONNECTION_LOST, ANSWER_LOST],
    ProduceRequest: [NOT_LEADER, NOT_ENOUGH_REPLICAS, CONNECTION_LOST, ANSWER_LOST],
    EndTxnRequest: [NOT_COORDINATOR, CONCURRENT, CONNECTION_LOST, ANSWER_LOST],
}


class Claimed(NamedTuple):
    error_code: int
    producer_id: int = 0
    producer_epoch: int = 0


class Ended(NamedTuple):
    error_code: int


class Added(NamedTuple):
    errors: list[Any]


class Produced(NamedTuple):
    topics: list[Any]


class Broker:
    """One node that is coordinator and leader of everything, and fails as it is told to."""

    def __init__(self) -> None:
        self.cluster = self
        self.logs: dict[str, list[bytes | None]] = {}
        """Topic to values in the order of their offsets; None is a marker."""
        self.failures: list[tuple[type, int]] = []
        """Answers to come: the next request of this kind fails so."""
        self.requests: Counter[type] = Counter()
        self._epochs: dict[str, int] = {}
        self._open: dict[str, set[str]] = {}
        self._sequences: dict[tuple[int, int, str], tuple[int, int, int]] = {}
        """(producer, epoch, topic) to (sequence and offset of the last RecordBatch, the sequence after it)."""

    async def bootstrap(self) -> None: ...

    async def close(self) -> None: ...

    async def force_metadata_update(self) -> bool:
        return True

    async def _wait_on_metadata(self, _topic: str) -> set[int]:
        return {0}

    def leader_for_partition(self, _partition: TopicPartition) -> int:
        return 1

    async def coordinator_lookup(self, _kind: int, _key: str) -> int:
        return 1

    async def send(self, _node: int, request: Any, **_: Any) -> Any:
        kind = type(request)
        self.requests[kind] += 1
        code = next((code for wanted, code in self.failures if wanted is kind), 0)
        if code:
            self.failures.remove((kind, code))
        await asyncio.sleep(0)
        if code == CONNECTION_LOST:
            raise KafkaConnectionError
        answer = self._answer(request, 0 if code == ANSWER_LOST else code)
        if code == ANSWER_LOST:
            raise KafkaConnectionError
        return answer

    def fence(self, transactional_id: str) -> None:
        self._epochs[transactional_id] += 1

    def _answer(self, request: Any, code: int) -> Any:
        name = request._transactional_id
        stale = name in self._epochs and getattr(request, "_producer_epoch", self._epochs[name]) != self._epochs[name]
        if isinstance(request, InitProducerIdRequest):
            if code:
                return Claimed(code)
            self._epochs[name] = self._epochs.get(name, -1) + 1
            return Claimed(0, 9, self._epochs[name])
        if isinstance(request, AddPartitionsToTxnRequest):
            code = INVALID_EPOCH if stale else code
            if not code:
                self._open.setdefault(name, set()).update(topic for topic, _ in request._topics)
            return Added([(topic, [(each, code) for each in parts]) for topic, parts in request._topics])
        if isinstance(request, EndTxnRequest):
            code = INVALID_EPOCH if stale else code
            if not code:
                for topic in self._open.pop(name, ()):
                    self.logs.setdefault(topic, []).append(None)
            return Ended(code)
        return Produced(
            [(topic, [(part, *self._store(name, topic, data, code), -1)]) for topic, ((part, data),) in request._topics]
        )

    def _store(self, name: str, topic: str, data: bytes, code: int) -> tuple[int, int]:
        batches = MemoryRecords(data)
        batch = batches.next_batch()
        assert batch is not None
        assert not batches.has_next(), "a request may hold one RecordBatch a topic partition"
        assert batch.is_transactional
        assert topic in self._open.get(name, ()), "written outside of the transaction"
        if code:
            return code, -1
        if batch.producer_epoch != self._epochs[name]:
            return INVALID_EPOCH, -1
        sequence = struct.unpack_from(">i", data, 53)[0]
        who = (batch.producer_id, batch.producer_epoch, topic)
        last, offset, following = self._sequences.get(who, (-1, -1, 0))
        if sequence == last:
            return 0, offset
        if sequence != following:
            return OUT_OF_ORDER, -1
        log, values = self.logs.setdefault(topic, []), [record.value for record in batch]
        self._sequences[who] = (sequence, len(log), sequence + len(values))
        log.extend(values)
        return 0, len(log) - len(values)


def with_appender(broker: Broker, do: Callable[[TransactionalAppender], Any]) -> None:
    async def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "AIOKafkaClient", lambda **_: broker)
            appender = TransactionalAppender(
                {},
                transactional_id_prefix="app",
                transaction_timeout_ms=60_000,
                batch_bytes_max=400,
                state_batch_bytes_max=1 << 20,
            )
            await appender.start()
            await do(appender)
            await appender.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def record(value: bytes) -> OutputRecord:
    return OutputRecord(b"k", value, ())


@settings(max_examples=150, deadline=None)
@given(
    writes=st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 6), min_size=1), min_size=1, max_size=6),
    failures=st.lists(
        st.sampled_from(sorted(BY_REQUEST, key=repr)).flatmap(
            lambda kind: st.tuples(st.just(kind), st.sampled_from(BY_REQUEST[kind]))
        ),
        max_size=6,
    ),
)
def test_whatever_passes_by_itself_each_record_is_stored_once_where_the_append_says(
    writes: list[dict[str, int]], failures: list[tuple[type, int]]
) -> None:
    broker = Broker()
    broker.failures = list(failures)
    wanted: dict[str, list[bytes | None]] = {}
    ends: dict[str, int] = {}

    async def write(appender: TransactionalAppender) -> None:
        await appender.claim(0)
        for number, topics in enumerate(writes):
            appends: list[PendingAppend] = []
            for topic, count in topics.items():
                values = [b"%d-%d" % (number, index) + 100 * b"." for index in range(count)]
                appends += await appender.append(topic, 0, [record(value) for value in values])
                wanted.setdefault(topic, []).extend([*values, None])
            await appender.commit()
            for append in appends:
                offset = (await append.written).offset
                assert offset == ends.get(append.topic, 0), "a gap in our own offsets would look like an intruder"
                ends[append.topic] = offset + append.count

    with_appender(broker, write)
    assert broker.logs == wanted
    assert ends == {topic: len(values) for topic, values in wanted.items()}


@pytest.mark.parametrize("kind", [AddPartitionsToTxnRequest, ProduceRequest, EndTxnRequest])
@pytest.mark.parametrize("code", [INVALID_EPOCH, INVALID_STATE])
def test_who_has_lost_the_transactional_id_is_fenced(kind: type, code: int) -> None:
    broker = Broker()

    async def write(appender: TransactionalAppender) -> None:
        await appender.claim(0)
        await appender.claim(1)
        broker.failures = [(kind, code)]
        mine = [*await appender.append("a", 0, [record(b"v")]), *await appender.append("b", 0, [record(b"v")])]
        await appender.commit()
        for append in mine:
            with pytest.raises(ProducerFenced):
                await append.written
        (other,) = await appender.append("a", 1, [record(b"w")])
        await appender.commit()
        await other.written  # the other partition goes on

    with_appender(broker, write)
    assert not broker.failures


def test_a_paused_writer_stores_nothing_once_another_has_claimed_its_partition() -> None:
    broker = Broker()

    async def write(appender: TransactionalAppender) -> None:
        await appender.claim(0)
        broker.fence("app-0")
        (append,) = await appender.append("a", 0, [record(b"v")])
        await appender.commit()
        with pytest.raises(ProducerFenced):
            await append.written

    with_appender(broker, write)
    assert not broker.logs


def test_what_does_not_pass_by_itself_is_raised_to_whoever_waits() -> None:
    broker = Broker()

    async def write(appender: TransactionalAppender) -> None:
        await appender.claim(0)
        broker.failures = [(ProduceRequest, OUT_OF_ORDER)]
        (append,) = await appender.append("a", 0, [record(b"v")])
        await appender.commit()
        with pytest.raises(OutOfOrderSequenceNumber):
            await append.written

    with_appender(broker, write)


def test_partitions_commit_beside_each_other_and_one_transaction_takes_four_requests() -> None:
    broker = Broker()

    async def write(appender: TransactionalAppender) -> None:
        await appender.claim(0)
        await appender.claim(1)
        broker.failures = [(AddPartitionsToTxnRequest, CONCURRENT)]
        broker.requests.clear()
        appends = [(await appender.append(topic, part, [record(b"v")]))[0] for topic in "abc" for part in (0, 1)]
        await appender.commit()
        await asyncio.gather(*(append.written for append in appends))

    with_appender(broker, write)
    assert broker.requests == {AddPartitionsToTxnRequest: 3, ProduceRequest: 2, EndTxnRequest: 2}


def test_nothing_is_sent_before_the_commit() -> None:
    broker = Broker()

    async def write(appender: TransactionalAppender) -> None:
        await appender.claim(0)
        broker.requests.clear()
        await appender.append("a", 0, [record(b"v")])
        await appender.append_whole("s", 0, [(b"k", b"v")], generation=1)
        await stays_async(lambda: not broker.requests, "nothing is sent", for_s=0.01)

    with_appender(broker, write)
