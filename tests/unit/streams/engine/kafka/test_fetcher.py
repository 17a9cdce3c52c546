"""What a fetch makes of the broker's bytes: committed records only, and where to read on."""

import asyncio
import struct
from typing import Any, NamedTuple

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waiting import stays_async

from streams.engine.kafka import fetcher as module
from streams.engine.kafka.fetcher import Fetcher

PLACE = TopicPartition("t", 0)
_ATTRIBUTES = 21
_CRC = 17
_CONTROL = 0x20
_ABORT, _COMMIT = 0, 1
OFFSETS = 2


def batch(offset: int, values: list[bytes], producer: int | None = None, *, control: bool = False) -> bytes:
    """A RecordBatch as a broker stores it; with a producer it belongs to a transaction."""
    builder = DefaultRecordBatchBuilder(2, 0, 0 if producer is None else 1, producer or -1, 0, 0, 1 << 20)
    for index, value in enumerate(values):
        builder.append(index, 1, b"\0\0" + struct.pack(">h", value[0]) if control else b"k", value, [])
    data = bytearray(builder.build())
    data[0:8] = struct.pack(">q", offset)
    if control:
        data[_ATTRIBUTES : _ATTRIBUTES + 2] = struct.pack(">h", data[_ATTRIBUTES + 1] | _CONTROL)
        data[_CRC : _CRC + 4] = struct.pack(">I", calc_crc32c(bytes(data[_ATTRIBUTES:])))
    return bytes(data)


class Log:
    """A partition that grows by transactions; what a reader of committed records must see is kept beside it."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, bytes]] = []
        self.aborted: list[tuple[int, int, int]] = []
        """Producer, first offset, offset of the marker."""
        self.committed: list[int] = []
        self.end = 0
        self._open: dict[int, list[int]] = {}

    def write(self, producer: int | None, count: int) -> None:
        offsets = list(range(self.end, self.end + count))
        self.batches.append((self.end, batch(self.end, [b"v"] * count, producer)))
        if producer is None:
            self.committed += offsets
        else:
            self._open.setdefault(producer, []).extend(offsets)
        self.end += count

    def finish(self, producer: int, *, commit: bool) -> None:
        offsets = self._open.pop(producer, [])
        if not offsets:
            return
        marker = bytes([_COMMIT if commit else _ABORT])
        self.batches.append((self.end, batch(self.end, [marker], producer, control=True)))
        if commit:
            self.committed += offsets
        else:
            self.aborted.append((producer, offsets[0], self.end))
        self.end += 1

    @property
    def stable_end(self) -> int:
        return min((offsets[0] for offsets in self._open.values()), default=self.end)

    def fetch(self, offset: int, batches: int) -> list[Any]:
        """The answer's fields of a partition: whole RecordBatches below the last stable offset."""
        data, upto = b"", offset
        for start, body in self.batches:
            end = start + 1 + int.from_bytes(body[23:27], "big")
            if end > offset and end <= self.stable_end and batches > 0:
                data, upto, batches = data + body, end, batches - 1
        touched = [(producer, first) for producer, first, marker in self.aborted if first < upto and marker >= offset]
        return [0, 0, self.end, self.stable_end, 0, touched, data]


class Answer(NamedTuple):
    topics: list[Any]
    API_VERSION: int = 10


class Client:
    """Answers fetches from a log."""

    def __init__(self, log: Log, batches: int) -> None:
        self.cluster = self
        self._log = log
        self._batches = batches
        self.isolation: set[int] = set()

    def leader_for_partition(self, _partition: TopicPartition) -> int:
        return 1

    async def send(self, _node: int, request: Any, **_: Any) -> Answer:
        self.isolation.add(request._isolation_level)
        if request.API_KEY == OFFSETS:
            return Answer([("t", [[0, 0, -1, self._log.stable_end]])])
        ((_, ((_, offset, _),)),) = request._topics
        return Answer([("t", [self._log.fetch(offset, self._batches)])])


def fetcher(log: Log, monkeypatch: pytest.MonkeyPatch, batches: int = 3) -> tuple[Fetcher, Client]:
    client = Client(log, batches)
    monkeypatch.setattr(module, "AIOKafkaClient", lambda **_: client)
    return Fetcher({}, fetch_bytes_max=1 << 20, partition_bytes_max=1 << 20), client


async def read(reader: Fetcher, start: int = 0, end: int | None = None) -> list[int]:
    return [record.offset async for record in reader.read(PLACE, start, end)]


actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from([None, 7, 8]), st.integers(1, 3)),
        st.tuples(st.just("finish"), st.sampled_from([7, 8]), st.booleans()),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(actions=actions, batches=st.integers(1, 4), start=st.integers(0, 6))
def test_what_is_read_is_what_is_committed(actions: list[Any], batches: int, start: int) -> None:
    log = Log()
    for name, producer, argument in actions:
        if name == "write":
            log.write(producer, argument)
        else:
            log.finish(producer, commit=argument)
    wanted = [offset for offset in sorted(log.committed) if start <= offset < log.stable_end]
    with pytest.MonkeyPatch.context() as patch:
        reader, client = fetcher(log, patch, batches)
        assert asyncio.run(read(reader, start)) == wanted
        assert asyncio.run(reader.end(PLACE)) == log.stable_end
        if log.stable_end:
            assert client.isolation == {1}


def test_a_fetch_says_where_the_committed_records_end_and_that_a_transaction_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    log.write(None, 2)
    log.write(7, 3)
    reader, _ = fetcher(log, monkeypatch)
    fetched = asyncio.run(reader.fetch({PLACE: 0}, 0))[PLACE]
    assert (len(fetched.records), fetched.next_offset, fetched.end, fetched.transaction_open) == (2, 2, 2, True)
    log.finish(7, commit=True)
    fetched = asyncio.run(reader.fetch({PLACE: 2}, 0))[PLACE]
    assert (len(fetched.records), fetched.next_offset, fetched.end, fetched.transaction_open) == (3, 6, 6, False)


@pytest.mark.parametrize("commit", [True, False])
def test_a_reading_up_to_an_offset_waits_for_the_transaction_before_it(
    monkeypatch: pytest.MonkeyPatch, *, commit: bool
) -> None:
    """A recovery that went on without these records would take its own fence for the next one."""

    async def run() -> list[int]:
        log = Log()
        log.write(7, 2)
        log.write(None, 1)
        reader, _ = fetcher(log, monkeypatch)
        reading = asyncio.create_task(read(reader, 0, 3))
        await stays_async(lambda: not reading.done(), "the reading waits", for_s=0.05)
        log.finish(7, commit=commit)
        return await asyncio.wait_for(reading, 5)

    assert asyncio.run(run()) == ([0, 1, 2] if commit else [2])


def test_a_fetch_now_asks_every_broker_and_waits_for_none_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Brokers(Client):
        """One leader a partition; the third does not answer."""

        def leader_for_partition(self, partition: TopicPartition) -> int:
            return partition.partition + 1

        async def send(self, node: int, request: Any, **_: Any) -> Answer:
            if node == 3:
                await asyncio.Event().wait()
            ((topic, ((number, offset, _),)),) = request._topics
            return Answer([(topic, [[number, *self._log.fetch(offset, 3)[1:]]])])

    log = Log()
    log.write(None, 2)
    monkeypatch.setattr(module, "AIOKafkaClient", lambda **_: Brokers(log, 3))
    reader = Fetcher({}, fetch_bytes_max=1 << 20, partition_bytes_max=1 << 20)
    places = [TopicPartition("t", number) for number in range(3)]

    async def fetch_now(asked: list[TopicPartition]) -> dict[TopicPartition, int]:
        answer = await asyncio.wait_for(reader.fetch_now(dict.fromkeys(asked, 0)), 1)
        return {place: len(fetched.records) for place, fetched in answer.items()}

    assert asyncio.run(fetch_now(places)) == {places[0]: 2, places[1]: 2}
    assert asyncio.run(fetch_now(places[:1])) == {places[0]: 2}
    assert asyncio.run(fetch_now(places[2:])) == {}
