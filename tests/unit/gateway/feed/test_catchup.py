import asyncio
from collections import defaultdict
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from support.feed_samples import anomaly, limited, ticket
from support.hub_world import FakeSink, World

from contracts.feed import FeedRecord
from contracts.messages import CloseCode
from gateway.access.scope import Scope
from gateway.feed.catchup import SlowCloseBackoff
from gateway.feed.subscriber import Mode, Subscriber


def test_who_was_behind_reads_on_from_the_past_and_is_live_again() -> None:
    world = World()
    slow, sink = world.join(1, room=100)
    for seq in range(1, 8):
        world.publish(anomaly(1, seq))
    assert sink.seqs() == [(1, 0)]
    world.serve(slow, sink)
    while slow.mode is Mode.BEHIND:  # each slice fills its socket again
        world.serve(slow, sink)
    world.publish(anomaly(1, 8))
    assert [seq for seq, _ in sink.seqs()] == list(range(1, 8))  # the socket is full again
    world.serve(slow, sink)
    assert sink.seqs() == [(seq, seq - 1) for seq in range(1, 9)]


def test_the_past_is_rendered_once_for_all_who_come_back() -> None:
    world = World()
    world.publish(*(anomaly(1, seq) for seq in range(1, 11)))
    before = world.encodings
    sinks = []
    for _ in range(20):
        subscriber, sink = world.subscriber(1)
        world.catch_up.start(subscriber, 3)
        world.serve(subscriber, sink)
        sinks.append(sink)
    assert {tuple(sink.seqs()) for sink in sinks} == {tuple((seq, seq - 1) for seq in range(4, 11))}
    assert world.encodings - before == 7


def test_who_takes_nothing_for_too_long_is_closed_and_told_when_to_come_back() -> None:
    world = World(**{"slow.timeout_s": 30, "slow.retry_after_s_min": 5, "slow.retry_after_s_max": 20})
    reasons = []
    for _ in range(4):
        frozen, sink = world.join(1, room=10)
        position = world.hub.position(1)
        world.publish(anomaly(1, position + 1))
        world.publish(anomaly(1, position + 2))
        world.now += 29
        world.catch_up.close_stuck()
        assert sink.closed is None
        world.now += 2
        world.catch_up.close_stuck()
        assert sink.closed is CloseCode.TOO_SLOW
        assert frozen.mode is Mode.GONE
        reasons.append(sink.reason.partition(";")[0])
    assert reasons == ["retry_after_s=5", "retry_after_s=10", "retry_after_s=20", "retry_after_s=20"]
    assert world.metrics.registry.get_sample_value("watchfloor_gateway_slow_closes_total") == 4


def test_who_is_further_behind_than_the_past_reaches_is_closed() -> None:
    world = World(**{"history.messages_max": 3})
    slow, sink = world.join(1, room=10)
    for seq in range(1, 8):
        world.publish(anomaly(1, seq))
    world.serve(slow, sink)
    assert sink.closed is CloseCode.TOO_SLOW
    assert world.hub.connections(1) == 0


def test_a_storm_leaves_the_live_feed_its_turns() -> None:
    world = World(**{"resume.slice_messages": 1})
    world.publish(*(anomaly(1, seq) for seq in range(1, 201)))
    subscribers = [world.subscriber(1) for _ in range(200)]

    async def story() -> int:
        serving = asyncio.create_task(world.catch_up.run())
        for subscriber, _ in subscribers:
            world.catch_up.start(subscriber, 0)
        turns = 0
        while any(subscriber.mode is Mode.BEHIND for subscriber, _ in subscribers):
            await asyncio.sleep(0)
            turns += 1
        serving.cancel()
        return turns

    turns = asyncio.run(story())
    assert turns > 5
    assert all([seq for seq, _ in sink.seqs()] == list(range(1, 201)) for _, sink in subscribers)


def test_slow_closes_are_forgiven_in_time() -> None:
    slow = SlowCloseBackoff(5, 40)
    assert [slow.closed((1, "ops"), now) for now in (0, 100, 200, 300, 400)] == [5, 10, 20, 40, 40]
    assert slow.closed((1, "other"), 400) == 5
    assert slow.closed((1, "ops"), 801) == 5


scopes = st.sampled_from(
    [Scope(), Scope().with_site(3), Scope(clients=frozenset({2})), Scope(sites=frozenset({4})).with_site(4)]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 5)),
        st.tuples(st.just("drain"), st.integers(0, 3)),
        st.tuples(st.just("rescope"), st.integers(0, 3)),
        st.tuples(st.just("join"), st.integers(0, 20)),
    ),
    max_size=40,
)


@given(steps, st.lists(st.tuples(scopes, st.integers(0, 3000)), min_size=1, max_size=4), st.integers(1, 4))
def test_however_slowly_it_reads_each_gets_all_that_it_may_see_once_and_in_order(
    what: list[tuple[str, int]], viewers: list[tuple[Scope, int]], slice_messages: int
) -> None:
    play = Play(slice_messages)
    for scope, room in viewers:
        subscriber, sink = play.world.join(1, scope=scope, room=room)
        play.viewers.append(Viewer(subscriber, sink, 0, [(0, scope)]))
    for kind, number in what:
        getattr(play, kind)(number)
    counts: dict[int, int] = defaultdict(int)
    for viewer in play.viewers:
        while viewer.subscriber.mode is Mode.BEHIND:
            play.world.serve(viewer.subscriber, viewer.sink)
        expected = [number for number in range(viewer.start + 1, play.seq + 1) if play.may_see(viewer, number)]
        got = viewer.sink.seqs()
        assert [number for number, _ in got] == expected
        # Nothing lies between a message and the one before it that this subscription would have shown.
        last = viewer.start
        for number, before in got:
            assert last <= before < number
            assert not [between for between in expected if before < between < number]
            last = number
            counts[number] += 1
    assert {number: count for (_, number), count in play.world.counts.recipients.items() if count} == counts


@dataclass
class Viewer:
    subscriber: Subscriber
    sink: FakeSink
    start: int
    views: list[tuple[int, Scope]]
    """Which scope holds from which seq on: a change holds from where the subscription stood."""


class Play:
    """What happens to a gateway, step by step."""

    def __init__(self, slice_messages: int) -> None:
        self.world = World(**{"resume.slice_messages": slice_messages})
        self.viewers: list[Viewer] = []
        self.seq = 0

    def publish(self, number: int) -> None:
        records: list[FeedRecord] = []
        for seq in range(self.seq + 1, self.seq + number + 1):
            make = anomaly if seq % 3 else ticket
            records.append(make(1, seq, site_id=3 + seq % 2) if seq % 7 else limited(1, seq))
        self.seq += number
        self.world.publish(*records)

    def drain(self, number: int) -> None:
        viewer = self.viewers[number % len(self.viewers)]
        self.world.serve(viewer.subscriber, viewer.sink)

    def rescope(self, number: int) -> None:
        viewer, scope = self.viewers[number % len(self.viewers)], Scope().with_site(3 + number % 2)
        at = self.world.hub.change(viewer.subscriber, viewer.subscriber.variant, scope)
        viewer.views.append((at, scope))

    def join(self, number: int) -> None:
        cursor = min(number, self.seq)
        subscriber, sink = self.world.subscriber(1, room=500)
        self.viewers.append(Viewer(subscriber, sink, cursor, [(cursor, Scope())]))
        self.world.catch_up.start(subscriber, cursor)

    def may_see(self, viewer: Viewer, seq: int) -> bool:
        scope = [view for at, view in viewer.views if at < seq][-1]
        return seq % 7 == 0 or scope.shows(2, 3 + seq % 2)
