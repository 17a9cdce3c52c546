"""A client that names a position gets the whole gap, or is told why not.

Also of gateway/feed/backfill.py.
"""

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feed_samples import NOW, anomaly
from support.hub_world import FakeSink, World
from support.waiting import stays_async

from contracts.feed import encode_record
from contracts.messages import Resumed, UnrecoverableReason
from contracts.requests import ResumePosition
from gateway.access.scope import Scope
from gateway.feed.backfill import Located, Span
from gateway.feed.history import StoredRecord
from gateway.feed.log_turns import UnrecoverableError
from gateway.feed.rendering import Endpoint
from gateway.feed.resume import Resumer, ResumeRequest
from gateway.feed.subscriber import Mode, Subscriber

PAGE = 4
"""Records that the log gives at once."""


class Log:
    """A log that still has the records from `first` on."""

    def __init__(self, first: int = 1) -> None:
        self.first = first
        self.reads: list[Span] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.away = False
        self.fails_from = 1 << 60
        """Records from this seq on cannot be read."""
        self.pages = 0

    async def locate(self, span: Span) -> Located:
        self.reads.append(span)
        await asyncio.sleep(0)
        self.meanwhile()
        if self.away:
            raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE)
        if span.first < self.first:
            raise UnrecoverableError(UnrecoverableReason.TOO_OLD)
        offsets = array("q", range(span.first, span.last + 1))
        return Located(span.tenant_id, TopicPartition("feed", 0), span.first, offsets)

    async def page(self, located: Located, seq: int, user: str) -> list[StoredRecord]:
        assert user == "ops"
        await asyncio.sleep(0)
        if self.fails_from <= seq:
            raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE)
        self.pages += 1
        return [
            StoredRecord(
                seq, seq - 1, seq, int(NOW * 1000), encode_record(anomaly(located.tenant_id, seq, site_id=3 + seq % 2))
            )
            for seq in range(seq, min(seq + PAGE, located.last + 1))
        ]

    def clear(self) -> None:
        self.reads.append(Span(0, 0, 0))


class Desk:
    """A world whose subscribers can name positions."""

    def __init__(self, log: Log | None = None, **limits: Any) -> None:
        self.world = World(**limits)
        self.log = log or Log()
        self.answers: list[Resumed] = []
        self.resumer = Resumer(
            self.world.hub,
            self.world.catch_up,
            self.log,  # type: ignore[arg-type]
            self.world.limits.resume,
            self.world.metrics,
        )

    def publish(self, last: int) -> None:
        for seq in range(self.world.hub.position(1) + 1, last + 1):
            self.world.publish(anomaly(1, seq, site_id=3 + seq % 2))

    async def resume(self, seq: int, scope: Scope | None = None, epoch: str = "e") -> tuple[Subscriber, FakeSink]:
        subscriber, sink = self.world.subscriber(1, Endpoint.DASHBOARD, scope)
        task = self.begin(subscriber, seq, epoch)
        while task is not None and not task.done():
            if subscriber.mode is Mode.BEHIND:
                self.world.serve(subscriber, sink)
            await asyncio.sleep(0)
        self.world.serve(subscriber, sink)
        return subscriber, sink

    def begin(self, subscriber: Subscriber, seq: int, epoch: str = "e") -> asyncio.Task[None] | None:
        return self.resumer.begin(ResumeRequest(subscriber, ResumePosition(epoch, seq), "r", self.answers.append))

    @property
    def answer(self) -> tuple[bool, str | None, int | None, int | None]:
        (answer,) = self.answers
        assert answer.request_id == "r"
        return answer.recovered, answer.reason, answer.first, answer.last


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


def test_a_gap_in_memory_comes_whole_and_then_the_live_feed() -> None:
    async def story() -> None:
        desk = Desk()
        desk.publish(10)
        subscriber, sink = await desk.resume(6)
        assert desk.answer == (True, None, 7, 10)
        desk.publish(11)
        assert sink.seqs() == [(seq, seq - 1) for seq in range(7, 12)]
        assert subscriber.mode is Mode.LIVE
        assert desk.log.reads == [Span(0, 0, 0)]

    run(story)


def test_nothing_missing_is_an_answer_too() -> None:
    async def story() -> None:
        desk = Desk()
        desk.publish(4)
        _, sink = await desk.resume(4)
        assert desk.answer == (True, None, 5, 4)
        assert sink.seqs() == []

    run(story)


def test_what_memory_has_not_comes_from_the_log_also_filtered() -> None:
    async def story() -> None:
        for scope in (Scope(), Scope().with_site(3)):
            desk = Desk(**{"history.messages_max": 3})
            desk.publish(20)
            desk.log.meanwhile = lambda desk=desk: desk.publish(21)  # type: ignore[misc]  # mypy: lambda defaults
            _, sink = await desk.resume(5, scope)
            assert desk.answer == (True, None, 6, 21)
            desk.publish(22)
            everything = [seq for seq in range(6, 23) if scope.shows(2, 3 + seq % 2)]
            assert [seq for seq, _ in sink.seqs()] == everything
            assert [before for _, before in sink.seqs()] == [5, *everything[:-1]]

    run(story)


def test_the_past_may_move_on_while_the_log_is_read() -> None:
    async def story() -> None:
        # A little, as it does all the time; or so far that the log has to be read again for what has left meanwhile.
        for moves, reads in (([22, 23, 24], 1), ([30, 31], 2)):
            desk = Desk(**{"history.messages_max": 3})
            desk.publish(20)
            numbers = iter(moves)
            desk.log.meanwhile = lambda desk=desk, numbers=numbers: desk.publish(next(numbers))  # type: ignore[misc]
            _, sink = await desk.resume(5)
            assert len(desk.log.reads) == 1 + reads
            assert [seq for seq, _ in sink.seqs()] == list(range(6, desk.world.hub.position(1) + 1))

    run(story)


def test_what_cannot_be_given_is_said_and_the_live_feed_goes_on() -> None:
    async def story() -> None:
        cases: list[tuple[dict[str, Any], Log, int, str, tuple[bool, str, int | None, int | None]]] = [
            ({}, Log(), 6, "another", (False, "epoch_changed", None, 20)),
            ({"history.messages_max": 3}, Log(first=9), 6, "e", (False, "too_old", 7, 20)),
            ({"history.messages_max": 3, "resume.messages_max": 10}, Log(), 6, "e", (False, "too_many", 7, 20)),
            ({"resume.ahead_wait_s": 1}, Log(), 99, "e", (False, "unknown_position", None, 20)),
        ]
        for limits, log, seq, epoch, answer in cases:
            desk = Desk(log, **limits)
            desk.publish(20)
            _, sink = await desk.resume(seq, epoch=epoch)
            assert desk.answer == answer
            desk.publish(21)
            assert sink.seqs() == [(21, 20)]
            reason = answer[1]
            assert (
                desk.world.metrics.registry.get_sample_value("watchfloor_gateway_resumes_total", {"result": reason})
                == 1
            )

    run(story)


def test_a_log_that_cannot_be_read_is_no_silent_loss() -> None:
    async def story() -> None:
        desk = Desk(**{"history.messages_max": 3})
        desk.publish(20)
        desk.log.away = True
        await desk.resume(5)
        assert desk.answer == (False, "unavailable", 6, 20)

    run(story)


def test_a_client_of_a_gateway_that_is_further_waits_for_this_one() -> None:
    async def story() -> None:
        desk = Desk()
        desk.publish(5)
        subscriber, sink = desk.world.subscriber(1)
        task = desk.begin(subscriber, 8)
        assert task is not None
        desk.publish(7)
        await stays_async(lambda: not desk.answers, "no answer", for_s=0.05)
        assert (sink.data, subscriber.mode) == (b"", Mode.HELD)
        desk.publish(10)
        await task
        desk.world.serve(subscriber, sink)
        assert desk.answer == (True, None, 9, 10)
        assert sink.seqs() == [(9, 8), (10, 9)]

    run(story)


def test_a_live_client_may_go_back() -> None:
    async def story() -> None:
        desk = Desk()
        subscriber, sink = desk.world.join(1)
        desk.publish(5)
        assert desk.begin(subscriber, 3) is None
        desk.publish(6)
        desk.world.serve(subscriber, sink)
        assert [seq for seq, _ in sink.seqs()] == [1, 2, 3, 4, 5, 4, 5, 6]
        assert desk.world.hub.connections(1) == 1

    run(story)


def test_who_leaves_meanwhile_is_answered_nothing() -> None:
    async def story() -> None:
        desk = Desk(**{"history.messages_max": 3})
        desk.publish(20)
        subscriber, sink = desk.world.subscriber(1)
        task = desk.begin(subscriber, 5)
        assert task is not None
        desk.world.hub.leave(subscriber)
        await task
        assert (desk.answers, sink.data, desk.world.hub.connections(1)) == ([], b"", 0)

    run(story)


@settings(deadline=None)  # each runs an event loop of its own
@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 10),
    st.integers(1, 31),
    st.sampled_from([Scope(), Scope().with_site(3), Scope(sites=frozenset({4}))]),
)
def test_the_whole_gap_or_none_of_it(position: int, seq: int, memory: int, log_first: int, scope: Scope) -> None:
    async def story() -> None:
        desk = Desk(Log(log_first), **{"history.messages_max": memory, "resume.ahead_wait_s": 1})
        desk.publish(position)
        if seq > position:
            return
        _, sink = await desk.resume(seq, scope)
        recovered, _, first, last = desk.answer
        desk.publish(position + 2)
        wanted = range((seq if recovered else position) + 1, position + 3)
        assert [number for number, _ in sink.seqs()] == [number for number in wanted if scope.shows(2, 3 + number % 2)]
        assert recovered is (seq + 1 > position - memory or seq + 1 >= log_first)
        assert (first, last) == (seq + 1, position)

    run(story)
