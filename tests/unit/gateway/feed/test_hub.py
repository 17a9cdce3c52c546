"""Who gets which message, and what a full socket makes of it.

Also of gateway/access/scope.py and gateway/feed/subscriber.py.
"""

from support.feed_samples import anomaly, instant
from support.hub_world import World

from contracts.messages import CloseCode, FeedState, FeedStatus, MessageSeen, SeenBy
from gateway.access.scope import Scope
from gateway.feed.subscriber import Mode


def test_a_subscriber_that_is_live_has_reached_what_the_tenant_has() -> None:
    world = World()
    live, _ = world.join(1)
    behind, _ = world.join(1, room=0)
    world.publish(anomaly(1, 1))
    world.publish(anomaly(1, 2))
    assert (behind.mode, world.hub.reached(live), world.hub.reached(behind)) == (Mode.BEHIND, 2, 1)


def test_a_new_filter_starts_where_the_feed_stands() -> None:
    world = World()
    subscriber, sink = world.join(1)
    world.publish(anomaly(1, 1), anomaly(1, 2))
    assert world.hub.change(subscriber, subscriber.variant, Scope().with_site(4)) == 2
    world.publish(anomaly(1, 3), anomaly(1, 4, site_id=4))
    assert world.hub.change(subscriber, subscriber.variant, Scope()) == 4
    world.publish(anomaly(1, 5))
    assert [(m["seq"], m["prev_seq"]) for m in sink.messages()] == [(1, 0), (2, 1), (4, 2), (5, 4)]


def test_a_heartbeat_tells_how_far_the_subscription_has_come() -> None:
    world = World()
    live, quick = world.join(1, scope=Scope().with_site(9))
    behind, slow = world.join(1, room=100)
    world.publish(anomaly(1, 1))
    world.publish(anomaly(1, 2), anomaly(1, 3))
    for subscriber in (live, behind):
        world.hub.heartbeat(subscriber, instant())
    assert quick.messages() == [{"type": "heartbeat", "timestamp": instant(), "seq": 3}]
    slow.pending = 0
    world.hub.heartbeat(behind, instant())
    assert slow.messages()[-1] == {"type": "heartbeat", "timestamp": instant(), "seq": 1}


def test_a_notice_reaches_who_may_see_it_and_whose_socket_has_room() -> None:
    world = World()
    _, mine = world.join(1)
    _, theirs = world.join(2)
    _, narrow = world.join(1, scope=Scope(sites=frozenset({4})))
    _, full = world.join(1, room=0)
    full.pending = 1
    notice = FeedStatus(
        timestamp=instant(), state=FeedState.LIVE, component=None, behind_seconds=0, behind_records=0, since=None
    )
    world.hub.notify(1, notice, lambda scope: scope.shows(None, 3))
    assert [len(sink.messages()) for sink in (mine, theirs, narrow, full)] == [1, 0, 0, 0]
    world.hub.notify(None, notice)
    assert [len(sink.messages()) for sink in (mine, theirs, narrow, full)] == [2, 1, 1, 0]


def test_who_has_seen_a_message_is_masked_by_its_kind_for_who_may_not_read_names() -> None:
    world = World()
    _, plain = world.join(1)
    _, masked = world.join(1, masked=True)
    users = ["jane@example.com", "+1 555 867 1234", "tel:5558671234", "Valerie Ondo", "valerie.ondo"]
    world.hub.notify(1, MessageSeen(timestamp=instant(), seq=1, id="f", seen_by=[SeenBy(user, "t") for user in users]))
    assert [by["user"] for by in plain.messages()[0]["seen_by"]] == users
    hidden = ["j***@example.com", "+1-***-***-1234", "***-***-1234", "Va***o", "va***o"]
    assert [by["user"] for by in masked.messages()[0]["seen_by"]] == hidden


def test_who_left_gets_nothing_more() -> None:
    world = World()
    subscriber, sink = world.join(1)
    world.hub.leave(subscriber)
    world.hub.leave(subscriber)
    world.publish(anomaly(1, 1))
    assert sink.data == b""
    assert "watchfloor_gateway_connections" in world.metrics.text().decode()
    assert 'watchfloor_gateway_connections{endpoint="dashboard"} 0.0' in world.metrics.text().decode()


def test_a_new_log_sends_everybody_away_and_forgets_positions() -> None:
    world = World()
    _, sink = world.join(1)
    world.publish(anomaly(1, 5))
    assert world.counts.logs_ended == 0
    world.fan_out.start_log("another")
    assert sink.closed is CloseCode.RESTARTING
    assert (world.hub.position(1), world.hub.epoch, world.counts.logs_ended) == (0, "another", 1)
    assert world.hub.history.oldest(1) is None
