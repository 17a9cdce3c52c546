"""What is older than the history is found in the log and read page by page; a read that is cancelled ends at once.

Also of gateway/feed/log_turns.py.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.fake_kafka import FakeCluster
from support.feed_samples import anomaly
from support.waiting import until_async

from common.settings.gateway import ResumeSettings
from contracts.feed import encode_record
from contracts.messages import UnrecoverableReason
from contracts.topics import tenant_key
from gateway.feed.backfill import Backfill, Span
from gateway.feed.history import History, StoredRecord
from gateway.feed.log_turns import LogTurns, UnrecoverableError

TOPIC = "noc.anomalies"
MANY = 1 << 30


class Desk:
    """A log of one partition, and what reads it."""

    def __init__(self, **limits: int) -> None:
        self.cluster = FakeCluster(**{TOPIC: 1})
        self.history = History(1_000, MANY, MANY)
        self.backfill = Backfill(self.cluster, self.history, ResumeSettings(**limits), silence_s_max=2)

    def write(self, tenant: int, *seqs: int, generation: int = 1, size: int = 0) -> None:
        for seq in seqs:
            value = encode_record(anomaly(tenant, seq, site_name="x" * size))
            headers = [("generation", b"%d" % generation)]
            self.cluster.append(TOPIC, value, key=tenant_key(tenant), headers=headers)

    async def read(self, span: Span) -> list[StoredRecord]:
        located = await self.backfill.locate(span)
        found: list[StoredRecord] = []
        while span.first + len(found) <= located.last:
            found += await self.backfill.page(located, span.first + len(found), "ops")
        return found


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story()

    asyncio.run(bounded())


def test_everything_is_found_between_the_records_of_others() -> None:
    async def story() -> None:
        desk = Desk()
        for seq in range(1, 6_001):
            desk.write(1, seq)
            desk.write(2, seq)
        found = await desk.read(Span(1, 101, 6_000, "ops"))
        assert [stored.seq for stored in found] == list(range(101, 6_001))
        assert {stored.offset % 2 for stored in found} == {0}
        consumers = desk.cluster.consumers
        assert await desk.read(Span(1, 5_000, 6_000, "ops")) == found[4_899:]
        assert desk.cluster.consumers == consumers, "it was read already"
        assert desk.cluster.stopped == consumers

    run(story)


def test_what_the_history_has_is_not_looked_for() -> None:
    async def story() -> None:
        desk = Desk()
        desk.write(1, *range(1, 101))
        for seq in range(51, 101):
            desk.history.add(1, StoredRecord(seq, seq - 1, seq - 1, 0, b""))
        located = await desk.backfill.locate(Span(1, 11, 100, "ops"))
        assert located.offsets.tolist() == list(range(10, 100))
        assert (located.first, located.last) == (11, 100)

    run(story)


def test_a_page_is_bounded_in_bytes() -> None:
    async def story() -> None:
        desk = Desk()
        desk.write(1, *range(1, 401), size=20_000)
        located = await desk.backfill.locate(Span(1, 1, 400, "ops"))
        page = await desk.backfill.page(located, 1, "ops")
        assert len(page) < 400
        for seq in range(1, 401, 30):
            assert (await desk.backfill.page(located, seq, "ops"))[0].seq == seq
        assert desk.backfill._pages_bytes <= 32 << 20

    run(story)


def test_of_several_generations_the_rightful_record_is_given() -> None:
    async def story() -> None:
        desk = Desk()
        desk.write(1, *range(1, 6), generation=5)
        desk.write(1, *range(4, 9), generation=5, size=3)
        desk.write(1, *range(4, 21), generation=6, size=7)
        found = await desk.read(Span(1, 2, 20, "ops"))
        assert [stored.seq for stored in found] == list(range(2, 21))
        assert [stored.offset for stored in found] == [1, 2, *range(10, 27)]

    run(story)


def test_what_is_not_in_the_log_any_more_is_said() -> None:
    async def story() -> None:
        desk = Desk(scan_records_max=10_000)
        desk.write(1, *range(5, 20))
        for seq in range(1, 30_000):
            desk.write(2, seq)
        for tenant, first in ((1, 5), (1, 4), (3, 1)):
            with pytest.raises(UnrecoverableError) as refused:
                await desk.backfill.locate(Span(tenant, first, 19, "ops"))
            assert refused.value.reason is UnrecoverableReason.TOO_OLD
        desk.cluster.answers = False
        with pytest.raises(UnrecoverableError) as refused:
            await desk.backfill.locate(Span(2, 29_000, 29_999, "ops"))
        assert refused.value.reason is UnrecoverableReason.UNAVAILABLE

    run(story)


def test_many_who_want_the_same_cost_one_search() -> None:
    async def story() -> None:
        desk = Desk(reads_max=2)
        desk.write(1, *range(1, 301))
        await asyncio.gather(*(desk.read(Span(1, 1, 300, "ops")) for _ in range(50)))
        assert desk.cluster.consumers <= 4

    run(story)


def test_a_cancelled_read_gives_its_turn_back_at_once() -> None:
    async def story() -> None:
        desk = Desk(reads_max=1)
        desk.write(1, *range(1, 20_001))
        desk.write(2, *range(1, 11))
        reads = [asyncio.create_task(desk.read(Span(1, 1, 20_000, "ops"))) for _ in range(20)]
        await until_async(lambda: desk.cluster.consumers, "one of them reads")
        for read in reads:
            read.cancel()
        ended = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(each) for each in ended} == {asyncio.CancelledError}
        await until_async(lambda: desk.cluster.consumers == desk.cluster.stopped, "its connection is closed")
        assert len(await desk.read(Span(2, 1, 10, "ops"))) == 10

    run(story)


def test_turns_go_round_the_tenants() -> None:
    async def story() -> None:
        turns = LogTurns(FakeCluster(), 1, 2.0)
        order: list[int] = []

        async def read(tenant: int) -> None:
            async with turns.turn(tenant, "ops"):
                order.append(tenant)
                await asyncio.sleep(0)

        await asyncio.gather(*(read(tenant) for tenant in [1] * 10 + [2] * 2))
        assert [index for index, tenant in enumerate(order) if tenant == 2] == [2, 4]

    run(story)
