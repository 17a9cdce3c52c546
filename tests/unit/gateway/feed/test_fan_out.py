"""Records of the feed as frames, for each kind of viewer.

Also of gateway/feed/rendering.py.
"""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from support.feed_samples import anomaly, instant, limited, ticket
from support.hub_world import World

from contracts.feed import FeedRecord, ProcessedEvent
from gateway.access.scope import Scope
from gateway.feed.rendering import Endpoint
from gateway.feed.subscriber import Mode


def test_one_record_is_one_dashboard_message_a_finding_and_one_stream_message() -> None:
    world = World()
    _, dashboard = world.join(1)
    _, stream = world.join(1, Endpoint.ANOMALY_STREAM)
    world.publish(anomaly(1, 1, findings=2), ticket(1, 2))
    first, second, status = dashboard.messages()
    assert [message["type"] for message in dashboard.messages()] == ["anomaly_detected"] * 2 + ["ticket_updated"]
    assert (first["seq"], first["part"], first["prev_seq"]) == (1, {"index": 0, "of": 2}, 0)
    assert (second["seq"], second["part"], second["prev_seq"]) == (1, {"index": 1, "of": 2}, 0)
    assert (status["seq"], status["prev_seq"]) == (2, 1)
    whole, status = stream.messages()
    assert (whole["findings_count"], len(whole["findings"]), whole["prev_seq"]) == (2, 2, 0)
    assert (status["type"], status["prev_seq"]) == ("ticket_updated", 1)


def test_a_batch_is_encoded_once_and_written_once_to_each() -> None:
    world = World()
    sinks = [world.join(1)[1] for _ in range(50)]
    world.publish(*(anomaly(1, seq) for seq in range(1, 11)))
    assert world.encodings == 10
    assert {sink.writes for sink in sinks} == {1}
    assert len({sink.data for sink in sinks}) == 1


def test_names_are_masked_for_who_may_not_see_them_also_in_titles() -> None:
    world = World()
    _, plain = world.join(1)
    _, masked = world.join(1, masked=True)
    _, masked_stream = world.join(1, Endpoint.ANOMALY_STREAM, masked=True)
    world.publish(anomaly(1, 1))
    assert plain.messages()[0]["title"] == "Somebody else checked in as Valerie Ondo"
    assert masked.messages()[0]["title"] == "Somebody else checked in as Va***o"
    assert masked.messages()[0]["person_name"] == "Va***o"
    assert b"Valerie" not in masked.data + masked_stream.data


def test_free_text_holds_no_name_that_the_feed_has_shown_live_and_on_resume() -> None:
    world = World(**{"history.rendered_messages_max": 1})
    _, plain = world.join(1)
    _, masked = world.join(1, masked=True)
    world.publish(anomaly(1, 1, person_name="Jakob Reim"))
    world.publish(ticket(1, 2, description="Jakob Reim called from +1 555 867 1234"))
    assert plain.messages()[1]["description"] == "Jakob Reim called from +1 555 867 1234"
    assert masked.messages()[1]["description"] == "*** called from +1-***-***-1234"
    again, sink = world.subscriber(1, masked=True)
    world.catch_up.start(again, 0)
    world.serve(again, sink)
    assert [message.get("description") for message in sink.messages()][1] == "*** called from +1-***-***-1234"
    _, other = world.join(2, masked=True)
    world.publish(ticket(2, 1, description="Jakob Reim called"))  # nobody of that tenant
    assert other.messages()[0]["description"] == "Jakob Reim called"


def test_a_text_is_rendered_again_for_who_reads_it_after_its_name_was_learned() -> None:
    world = World()
    _, masked = world.join(1, masked=True)
    world.publish(ticket(1, 1, description="Jakob Reim called"))
    assert masked.messages()[0]["description"] == "Jakob Reim called"  # nobody knew by then
    world.publish(anomaly(1, 2, person_name="Jakob Reim"))
    for _ in range(2):
        again, sink = world.subscriber(1, masked=True)
        world.catch_up.start(again, 0)
        world.serve(again, sink)
        assert sink.messages()[0]["description"] == "*** called"
    before = world.encodings
    world.catch_up.start(again, 0)
    world.serve(again, sink)
    assert world.encodings == before


def test_names_of_the_log_s_tail_are_known_at_the_start() -> None:
    world = World()
    world.fan_out.remember([world.entry(anomaly(1, 1, person_name="Jakob Reim"))])
    _, masked = world.join(1, masked=True)
    world.publish(ticket(1, 2, description="Jakob Reim called"))
    assert masked.messages()[0]["description"] == "*** called"


def test_a_filtering_subscriber_has_a_chain_of_its_own() -> None:
    world = World()
    _, sink = world.join(1, scope=Scope().with_site(4))
    world.publish(anomaly(1, 1), anomaly(1, 2, site_id=4), anomaly(1, 3), limited(1, 4), anomaly(1, 5, site_id=4))
    assert [(message["seq"], message["prev_seq"]) for message in sink.messages()] == [(2, 0), (4, 2), (5, 4)]


def test_who_may_see_no_client_still_hears_what_concerns_the_whole_tenant() -> None:
    world = World()
    _, dashboard = world.join(1, scope=Scope(clients=frozenset()))
    _, stream = world.join(1, Endpoint.ANOMALY_STREAM, Scope(clients=frozenset()))
    world.publish(anomaly(1, 1), ticket(1, 2), ticket(1, 3, client_id=None, site_id=None), limited(1, 4))
    world.fan_out.publish_processed(1, [ProcessedEvent("attendance:1", "attendance", None, None, 8.5)], instant())
    for sink in (dashboard, stream):
        assert [(message["type"], message["seq"]) for message in sink.messages()] == [("rate_limited", 4)]


def test_a_hole_in_the_log_shows_to_everybody() -> None:
    world = World()
    _, broad = world.join(1)
    _, narrow = world.join(1, scope=Scope().with_site(3))
    world.publish(anomaly(1, 1))
    world.publish(anomaly(1, 9))
    for sink in (broad, narrow):
        first, gap, after = sink.messages()
        assert (gap["type"], gap["from"], gap["to"], gap["reason"]) == ("gap", 2, 8, "log_hole")
        assert (first["seq"], after["seq"], after["prev_seq"]) == (1, 9, 8)


def test_clean_events_reach_the_anomaly_streams_of_the_tenant_only() -> None:
    world = World()
    _, dashboard = world.join(1)
    _, stream = world.join(1, Endpoint.ANOMALY_STREAM)
    _, masked = world.join(1, Endpoint.ANOMALY_STREAM, masked=True)
    _, narrow = world.join(1, Endpoint.ANOMALY_STREAM, Scope(sites=frozenset({4})))
    _, foreign = world.join(2, Endpoint.ANOMALY_STREAM)
    events = [
        ProcessedEvent("attendance:1", "attendance", 3, 2, 8.5),
        ProcessedEvent("location:2", "location", 4, 2, 9.0),
    ]
    world.fan_out.publish_processed(1, events, instant())
    assert stream.messages() == [
        {
            "type": "event_processed",
            "timestamp": instant(),
            "event_id": event.event_id,
            "event_type": event.event_type,
            "anomalies_found": False,
            "detection_latency_ms": event.detection_latency_ms,
        }
        for event in events
    ]
    assert masked.data == stream.data
    assert [message["event_id"] for message in narrow.messages()] == ["location:2"]
    assert dashboard.data == foreign.data == b""
    assert (world.hub.events_processed(1), world.hub.events_processed(2)) == (2, 0)


def test_whose_socket_is_full_gets_nothing_live_and_costs_the_others_nothing() -> None:
    world = World()
    slow, full = world.join(1, room=100)
    narrow, full_too = world.join(1, scope=Scope().with_site(3), room=100)
    _, quick = world.join(1)
    for seq in range(1, 6):
        world.publish(anomaly(1, seq))
    assert [seq for seq, _ in quick.seqs()] == [1, 2, 3, 4, 5]
    for subscriber, sink in ((slow, full), (narrow, full_too)):
        assert (sink.seqs(), sink.closed) == ([(1, 0)], None)
        assert (subscriber.mode, subscriber.cursor, subscriber.last_seq) == (Mode.BEHIND, 1, 1)
        assert world.hub.reached(subscriber) == 1
    assert world.hub.reached(narrow) == 1
    assert world.hub.connections(1) == 3


def test_a_large_batch_is_written_to_who_keeps_up() -> None:
    world = World()
    _, sink = world.join(1, room=100)
    world.publish(*(anomaly(1, seq) for seq in range(1, 30)))
    assert len(sink.messages()) == 29


tenants = st.integers(1, 3)
places = st.integers(1, 3)
scopes = st.builds(
    Scope,
    clients=st.none() | st.frozensets(places),
    sites=st.none() | st.frozensets(places),
    wanted_clients=st.frozensets(places, max_size=2),
    wanted_sites=st.frozensets(places, max_size=2),
)
viewers = st.tuples(tenants, st.sampled_from(Endpoint), scopes, st.booleans())
kinds = st.sampled_from(["anomaly", "ticket", "limited"])
changes = st.lists(st.tuples(kinds, tenants, st.none() | places, st.none() | places, st.integers(1, 3)), max_size=25)


@given(st.lists(viewers, max_size=8), changes, st.integers(1, 5))
def test_every_viewer_gets_exactly_what_it_may_see_in_order(
    who: list[tuple[int, Endpoint, Scope, bool]],
    log: list[tuple[str, int, int | None, int | None, int]],
    batch: int,
) -> None:
    world = World()
    sinks = [(viewer, world.join(viewer[0], viewer[1], viewer[2], masked=viewer[3])[1]) for viewer in who]
    seqs: dict[int, int] = defaultdict(int)
    records: list[FeedRecord] = []
    for kind, tenant, client, site, findings in log:
        seqs[tenant] += 1
        place = {"client_id": client, "site_id": site}
        match kind:
            case "anomaly":
                records.append(anomaly(tenant, seqs[tenant], findings, **place))
            case "ticket":
                records.append(ticket(tenant, seqs[tenant], **place))
            case _:
                records.append(limited(tenant, seqs[tenant]))
    for start in range(0, len(records), batch):
        world.publish(*records[start : start + batch])
    for (tenant, _, scope, masked), sink in sinks:
        expected = [
            record.seq
            for record in records
            if record.tenant_id == tenant and (type(record).__name__ == "RateLimited" or _may_see(scope, record))
        ]
        got = sink.messages()
        assert list(dict.fromkeys(message["seq"] for message in got)) == expected
        chain = dict(zip(expected, [0, *expected], strict=False))
        if scope.everything:
            assert all(message["prev_seq"] == message["seq"] - 1 for message in got)
        else:
            assert all(message["prev_seq"] == chain[message["seq"]] for message in got)
        assert not (masked and b"Valerie" in sink.data)
    counted = {key: count for key, count in world.counts.recipients.items() if count}
    assert counted == _counted(who, records)


def _may_see(scope: Scope, record: FeedRecord) -> bool:
    allowed = (scope.clients is None or record.client_id in scope.clients) and (
        scope.sites is None or record.site_id in scope.sites
    )
    unfiltered = not (scope.wanted_clients or scope.wanted_sites)
    return allowed and (unfiltered or record.client_id in scope.wanted_clients or record.site_id in scope.wanted_sites)


def _counted(who: list[tuple[int, Endpoint, Scope, bool]], records: list[FeedRecord]) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for tenant, _, scope, _ in who:
        for record in records:
            if record.tenant_id == tenant and (type(record).__name__ == "RateLimited" or _may_see(scope, record)):
                counts[tenant, record.seq] += 1
    return counts
