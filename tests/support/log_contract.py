"""What the engine relies on of a log, as tests that the in-memory log and a real broker both have to pass.

A module of tests subclasses `LogContract` and gives it a fixture `log`. Where the two differ, one of them fails: then the
in-memory log is wrong, and with it all that was tested on it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced
from aiokafka.structs import TopicPartition
from support.waiting import let_pass_async

from streams.engine.kafka.appender import Appender, BatchTooLargeError
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.model import OutputRecord

BATCH_BYTES = 4_000
"""Of a RecordBatch; what the tests write is far below or above."""
REFUSED_BYTES = 2_500
"""Above the limit of the topic `small`."""
SMALL_BYTES_MAX = 1_500
PARTITIONS = 2
READ_WAIT_MS = 2_000


class Clients(Protocol):
    """Connected to a log with the topics `plain`, `other` and `small` of two partitions, empty at first."""

    fetcher: Fetcher

    def topic(self, name: str) -> str:
        """The topic's name on this log."""

    async def appender(self, *, transactions: bool = False) -> Appender:
        """A producer of its own, started; it fills RecordBatches of up to `BATCH_BYTES`."""

    async def leave_open(self, appender: Appender, topic: str, records: Sequence[OutputRecord]) -> None:
        """Send records to partition 0 in a transaction that the appender does not end."""

    async def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """What retention does."""


class LogUnderTest(Protocol):
    """A log that can be connected to."""

    def connect(self) -> AbstractAsyncContextManager[Clients]:
        """Clients for new topics; disconnects at the end."""


def record(text: str, size: int = 0) -> OutputRecord:
    return OutputRecord(b"k-" + text.encode(), text.encode() + b"." * size, (("name", text.encode()),))


async def append(by: Appender, topic: str, *records: OutputRecord, partition: int = 0) -> list[tuple[int, int]]:
    """Append and commit; (offset, offsets taken) of each RecordBatch."""
    appends = await by.append(topic, partition, list(records))
    await by.commit()
    return [(int((await each.written).offset), each.count) for each in appends]


async def texts(fetcher: Fetcher, topic: str, start: int = 0, end: int | None = None, partition: int = 0) -> list[str]:
    place = TopicPartition(topic, partition)
    return [dict(each.headers)["name"].decode() async for each in fetcher.read(place, start, end)]


class LogContract:
    """The tests; each opens its own clients."""

    def test_what_was_appended_is_read_as_it_was_and_in_order(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            written = [record("one"), OutputRecord(None, b"v", ()), OutputRecord(b"k", None, (("a", b""), ("a", b"2")))]
            assert await append(by, topic, *written) == [(0, 3)]
            read = [each async for each in clients.fetcher.read(TopicPartition(topic, 0), 0)]
            assert [each.offset for each in read] == [0, 1, 2]
            assert [(each.key, each.value, tuple(each.headers)) for each in read] == [tuple(each) for each in written]
            assert await append(by, topic, record("two"), partition=1) == [(0, 1)]
            assert await append(by, topic, record("three")) == [(3, 1)]

        run(log, story)

    def test_an_empty_topic_begins_and_ends_at_0(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            place = TopicPartition(topic, 0)
            assert (await clients.fetcher.first(place), await clients.fetcher.end(place)) == (0, 0)
            assert await texts(clients.fetcher, topic) == []
            assert await by.append(topic, 0, []) == []
            fetched = (await clients.fetcher.fetch({place: 0}, 1))[place]
            assert (fetched.records, fetched.next_offset, fetched.end, fetched.size_bytes) == ([], 0, 0, 0)
            assert clients.fetcher.partitions(topic) == set(range(PARTITIONS))

        run(log, story)

    def test_records_are_split_where_a_batch_is_full_and_keep_their_order(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            names = [f"{number}" for number in range(12)]
            batches = await append(by, topic, *(record(name, 900) for name in names))
            assert len(batches) > 1
            assert sum(count for _, count in batches) == len(names)
            ends = [offset + count for offset, count in batches]
            assert [offset for offset, _ in batches] == [0, *ends[:-1]], "one behind the other"
            assert await texts(clients.fetcher, topic) == names

        run(log, story)

    def test_a_record_larger_than_a_batch_is_a_batch_of_its_own(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            written = [record("a"), record("large", 3 * BATCH_BYTES), record("b"), record("c")]
            assert await append(by, topic, *written) == [(0, 1), (1, 1), (2, 2)]
            assert await texts(clients.fetcher, topic) == ["a", "large", "b", "c"]
            pending = await by.append_whole(topic, 0, [(b"large", b"." * 3 * BATCH_BYTES)], generation=1)
            await by.commit()
            assert (await pending.written).offset == 4

        run(log, story)

    def test_what_must_be_whole_and_does_not_fit_is_not_sent(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            with pytest.raises(BatchTooLargeError):
                await by.append_whole(topic, 0, [(b"%d" % each, b"." * 900) for each in range(9)], generation=1)
            await by.commit()
            assert await clients.fetcher.end(TopicPartition(topic, 0)) == 0

        run(log, story)

    def test_what_must_be_whole_is_one_batch_and_tombstones_say_whose_they_are(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            pending = await by.append_whole(topic, 0, [(b"a", b"1"), (b"b", None)], generation=7)
            await by.commit()
            assert ((await pending.written).offset, pending.count) == (0, 2)
            value, tombstone = [each async for each in clients.fetcher.read(TopicPartition(topic, 0), 0)]
            assert (value.key, value.value, list(value.headers)) == (b"a", b"1", [])
            assert (tombstone.value, list(tombstone.headers)) == (None, [("generation", b"7")])

        run(log, story)

    def test_a_topic_refuses_what_is_larger_than_it_allows(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("small"), await clients.appender()
            with pytest.raises(MessageSizeTooLargeError):
                await append(by, topic, record("large", REFUSED_BYTES))
            assert await append(by, topic, record("fits")) == [(0, 1)], "nothing of the other was stored"

        run(log, story)

    def test_a_fetch_says_how_far_it_came_and_where_the_end_is(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            plain, other, by = clients.topic("plain"), clients.topic("other"), await clients.appender()
            await append(by, plain, *(record(f"{each}") for each in range(4)))
            places = {TopicPartition(plain, 0): 2, TopicPartition(plain, 1): 0, TopicPartition(other, 0): 0}
            fetched = await clients.fetcher.fetch(places, READ_WAIT_MS)
            here = fetched[TopicPartition(plain, 0)]
            assert ([each.offset for each in here.records], here.next_offset, here.end) == ([2, 3], 4, 4)
            assert here.size_bytes > 0
            assert not here.transaction_open
            async with asyncio.timeout(10):
                while not (now := await clients.fetcher.fetch_now(places)):  # a broker that is busy is left out
                    await let_pass_async(0.01)
            assert {place: len(each.records) for place, each in now.items()} == dict(
                zip(places, (2, 0, 0), strict=True)
            )

        run(log, story)

    def test_a_reading_stops_where_it_is_told_to(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            for number in range(6):
                await append(by, topic, record(f"{number}"))
            assert await texts(clients.fetcher, topic, 1, 4) == ["1", "2", "3"]
            assert await texts(clients.fetcher, topic, 4) == ["4", "5"]
            assert await texts(clients.fetcher, topic, 6) == []
            assert await texts(clients.fetcher, topic, 3, 3) == []

        run(log, story)

    def test_what_retention_deleted_is_passed_over_and_said(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            for number in range(5):
                await append(by, topic, record(f"{number}"))
            await clients.delete_before(topic, 0, 3)
            place = TopicPartition(topic, 0)
            assert (await clients.fetcher.first(place), await clients.fetcher.end(place)) == (3, 5)
            fetched = (await clients.fetcher.fetch({place: 1}, 1))[place]
            assert (fetched.records, fetched.next_offset, fetched.end) == ([], 3, 5)
            assert await texts(clients.fetcher, topic) == ["3", "4"]

        run(log, story)

    def test_behind_the_end_a_log_is_read_anew(self, log: LogUnderTest) -> None:
        """It is shorter than it was: the broker has lost a part of it, or somebody has made it anew."""

        async def story(clients: Clients) -> None:
            topic, by = clients.topic("plain"), await clients.appender()
            await append(by, topic, record("one"))
            place = TopicPartition(topic, 0)
            fetched = (await clients.fetcher.fetch({place: 9}, 1))[place]
            assert (fetched.records, fetched.next_offset, fetched.end) == ([], 0, 1)

        run(log, story)

    def test_a_gap_before_an_own_record_means_that_somebody_else_wrote(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, mine, other = clients.topic("plain"), await clients.appender(), await clients.appender()
            ((offset, count),) = await append(mine, topic, record("mine"))
            await append(other, topic, record("fence"))
            ((later, _),) = await append(mine, topic, record("late"))
            assert await texts(clients.fetcher, topic, offset + count, later) == ["fence"]

        run(log, story)

    def test_a_transaction_takes_an_offset_more_and_is_seen_when_it_ends(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            plain, other = clients.topic("plain"), clients.topic("other")
            by = await clients.appender(transactions=True)
            await by.claim(0)
            pending = [*await by.append(plain, 0, [record("one")]), *await by.append(other, 0, [record("two")])]
            assert await clients.fetcher.end(TopicPartition(plain, 0)) == 0, "nothing counts before the commit"
            await by.commit()
            assert [((await each.written).offset, each.count) for each in pending] == [(0, 2), (0, 2)]
            for topic in (plain, other):
                await reached(clients.fetcher, topic, 2)
            assert await texts(clients.fetcher, plain) == ["one"]
            assert await append(by, plain, record("three")) == [(2, 2)]
            await reached(clients.fetcher, plain, 4)
            assert await texts(clients.fetcher, plain) == ["one", "three"]

        run(log, story)

    def test_an_open_transaction_hides_all_behind_it_until_its_successor_aborts_it(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic, plain = clients.topic("plain"), await clients.appender()
            place = TopicPartition(topic, 0)
            dead, owner = await clients.appender(transactions=True), await clients.appender(transactions=True)
            await dead.claim(0)
            await append(plain, topic, record("before"))
            await clients.leave_open(dead, topic, [record("never")])
            await append(plain, topic, record("behind"))
            assert await clients.fetcher.end(place) == 1
            fetched = (await clients.fetcher.fetch({place: 0}, READ_WAIT_MS))[place]
            assert (len(fetched.records), fetched.next_offset, fetched.end, fetched.transaction_open) == (1, 1, 1, True)
            waiting = asyncio.create_task(texts(clients.fetcher, topic, 0, 3))
            await owner.claim(0)
            assert await asyncio.wait_for(waiting, 10) == ["before", "behind"]
            await reached(clients.fetcher, topic, 4)
            with pytest.raises(ProducerFenced):
                await append(dead, topic, record("refused"))
            assert await append(owner, topic, record("made anew")) == [(4, 2)]
            await reached(clients.fetcher, topic, 6)
            assert await texts(clients.fetcher, topic) == ["before", "behind", "made anew"]

        run(log, story)

    def test_partitions_have_writers_of_their_own(self, log: LogUnderTest) -> None:
        async def story(clients: Clients) -> None:
            topic = clients.topic("plain")
            first, second = await clients.appender(transactions=True), await clients.appender(transactions=True)
            for partition in range(PARTITIONS):
                await first.claim(partition)
            await second.claim(1)
            assert await append(first, topic, record("kept"), partition=0) == [(0, 2)]
            with pytest.raises(ProducerFenced):
                await append(first, topic, record("lost"), partition=1)

        run(log, story)


def run(log: LogUnderTest, story: Any) -> None:
    async def connected() -> None:
        async with log.connect() as clients, asyncio.timeout(60):
            await story(clients)

    asyncio.run(connected())


async def reached(fetcher: Fetcher, topic: str, end: int) -> None:
    """The marker of a transaction comes a moment after its acknowledgement, and never another offset than this."""
    place = TopicPartition(topic, 0)
    async with asyncio.timeout(10):
        while await fetcher.end(place) < end:
            await let_pass_async(0.01)
    assert await fetcher.end(place) == end
