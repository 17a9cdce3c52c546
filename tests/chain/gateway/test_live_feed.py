"""Records in the real log reach real clients: whole, in order, once, and nobody else's."""

import itertools
from pathlib import Path

from support.feed_samples import anomaly, limited, ticket
from support.gateway_process import FeedWriter, GatewayProcess
from support.waiting import until

from common.settings.kafka import KafkaSettings
from contracts.feed import ProcessedEvent

STREAM = "/ws/noc/anomaly-stream/"
tenants = itertools.count(100)


def test_both_endpoints_get_a_record_in_their_shape(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with (
        gateway.sign_in(tenant, capabilities=("noc:view", "noc:view_all_clients", "noc:view_pii")) as dashboard,
        gateway.sign_in(tenant, "/ws/noc/") as alias,
        gateway.sign_in(tenant, STREAM) as stream,
    ):
        feed.write(anomaly(tenant, 1, findings=2), ticket(tenant, 2, description="x" * 500), limited(tenant, 3))
        first, second, status, burst = (dashboard.hear() for _ in range(4))
        assert (first["type"], first["seq"], first["part"]) == ("anomaly_detected", 1, {"index": 0, "of": 2})
        assert (first["anomaly_type"], first["person_name"]) == ("WRONG_PERSON", "Valerie Ondo")
        assert (second["seq"], second["part"]) == (1, {"index": 1, "of": 2})
        assert (status["type"], status["new_status"], len(status["description"])) == ("ticket_updated", "RESOLVED", 200)
        assert (burst["type"], burst["dropped"], burst["limit"], burst["prev_seq"]) == ("rate_limited", 50, 100, 2)
        assert [alias.hear()["person_name"] for _ in range(2)] == ["Va***o"] * 2
        whole = stream.hear()
        assert (whole["type"], whole["findings_count"], whole["prev_seq"]) == ("anomaly_detected", 2, 0)
        assert [finding["finding_type"] for finding in whole["findings"]] == ["WRONG_PERSON", "UNAUTHORIZED_SITE"]
        assert whole["detection_latency_ms"] > 0


def test_clean_events_reach_the_anomaly_stream(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with gateway.sign_in(tenant, STREAM) as stream, gateway.sign_in(tenant) as dashboard:
        feed.clean(tenant, ProcessedEvent("attendance:1", "attendance", 3, 2, 8.5))
        event = stream.hear()
        assert event.pop("timestamp").endswith("Z")
        assert event == {
            "type": "event_processed",
            "event_id": "attendance:1",
            "event_type": "attendance",
            "anomalies_found": False,
            "detection_latency_ms": 8.5,
        }
        assert dashboard.hear_all() == []
        stream.say(type="get_stats")
        assert stream.hear()["events_processed"] == 1


def test_a_tenant_never_gets_another_s_message(gateway: GatewayProcess, feed: FeedWriter) -> None:
    mine, other = next(tenants), next(tenants)
    with gateway.sign_in(mine) as me, gateway.sign_in(other, STREAM) as them:
        feed.write(*(anomaly(tenant, seq) for seq in range(1, 21) for tenant in (mine, other)))
        feed.clean(mine, ProcessedEvent("location:1", "location", 3, 2, 1.0))
        assert [message["seq"] for message in me.hear_all()] == list(range(1, 21))
        theirs = them.hear_all()
        assert [message["type"] for message in theirs] == ["anomaly_detected"] * 20


def test_sites_and_clients_of_the_token_limit_what_is_seen(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with gateway.sign_in(tenant, sites=[4]) as limited_viewer, gateway.sign_in(tenant) as free_viewer:
        free_viewer.say(type="subscribe_site", site_id=5, request_id="s")
        assert free_viewer.hear()["request_id"] == "s"
        feed.write(anomaly(tenant, 1, site_id=4), anomaly(tenant, 2, site_id=5), anomaly(tenant, 3, site_id=4))
        assert [(m["seq"], m["prev_seq"]) for m in limited_viewer.hear_all()] == [(1, 0), (3, 1)]
        assert [(m["seq"], m["prev_seq"]) for m in free_viewer.hear_all()] == [(2, 0)]
        limited_viewer.say(type="subscribe_site", site_id=5)
        assert limited_viewer.hear()["code"] == "forbidden"


def test_fenced_off_writers_and_repeats_are_not_shown(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with gateway.sign_in(tenant) as viewer:
        feed.write(anomaly(tenant, 1), generation=5)
        feed.fence(tenant, 6)
        feed.write(anomaly(tenant, 2, person_id=666), generation=5)
        feed.write(anomaly(tenant, 1), anomaly(tenant, 2), generation=6)
        feed.raw(tenant, b"not a record")
        feed.write(anomaly(tenant, 3), generation=6)
        heard = viewer.hear_all()
        assert [(message["seq"], message["person_id"]) for message in heard] == [(1, 17), (2, 17), (3, 17)]
    assert gateway.metric('watchfloor_gateway_feed_records_total{result="unreadable"}') >= 1


def test_a_new_connection_is_told_where_the_feed_stands(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    feed.write(*(anomaly(tenant, seq) for seq in range(1, 8)))
    until(lambda: _position(gateway, tenant) == 7, "the gateway has read the records")
    with gateway.sign_in(tenant) as viewer:
        feed.write(anomaly(tenant, 8))
        assert viewer.hear()["prev_seq"] == viewer.established["seq"] == 7


def test_positions_and_epoch_survive_a_restart(own_gateway: GatewayProcess) -> None:
    feed = own_gateway.feed
    feed.write(*(anomaly(tenant, seq) for tenant in (1, 2, 3) for seq in range(1, 5)))
    until(lambda: _position(own_gateway, 3) == 4, "the gateway has read the records")
    with own_gateway.sign_in(1) as viewer:
        before = viewer.established
        assert own_gateway.stop() == 0
        assert viewer.close_code() == 1012
    own_gateway.start()
    for tenant in (1, 2, 3):
        with own_gateway.sign_in(tenant) as viewer:
            assert (viewer.established["epoch"], viewer.established["seq"]) == (before["epoch"], 4)
            assert viewer.hear_all(0.2) == []
            feed.write(anomaly(tenant, 5))
            assert (viewer.hear()["prev_seq"]) == 4


def test_a_frozen_client_is_cut_off_and_the_others_go_on(kafka_address: KafkaSettings, tmp_path: Path) -> None:
    signed_in = 'watchfloor_gateway_connections{endpoint="dashboard"}'
    # Its library stops reading after a few frames that nobody takes; then the kernel's buffers fill.
    with (
        GatewayProcess(FeedWriter(kafka_address), tmp_path, **{"slow.timeout_s": 2}) as gateway,
        gateway.sign_in(1) as frozen,
        gateway.sign_in(1) as viewer,
    ):
        seq = 0
        while gateway.metric(signed_in) == 2.0:
            assert seq < 5_000, "the frozen client was never cut off"
            gateway.feed.write(*(anomaly(1, seq + step, 3, site_name="N" * 2_000) for step in range(1, 11)))
            seq += 10
            assert [viewer.hear() for _ in range(30)][-1]["seq"] == seq
        assert '"code": 4409' in gateway.words()
        assert "retry_after_s=5" in gateway.words()
        frozen.connection.socket.close()


def test_a_slow_client_reads_on_from_the_past_and_loses_nothing(own_gateway: GatewayProcess) -> None:
    count = 2_000
    with own_gateway.sign_in(1) as slow, own_gateway.sign_in(1) as viewer:
        for start in range(0, count, 50):
            own_gateway.feed.write(*(anomaly(1, start + step, site_name="N" * 2_000) for step in range(1, 51)))
            assert [viewer.hear() for _ in range(50)][-1]["seq"] == start + 50
        heard = [slow.hear() for _ in range(count)]
        assert [message["seq"] for message in heard] == list(range(1, count + 1))
        own_gateway.feed.write(anomaly(1, count + 1))
        assert slow.hear()["prev_seq"] == count
    assert own_gateway.metric("watchfloor_gateway_slow_closes_total") == 0


def test_a_recreated_topic_is_a_new_epoch_and_everybody_is_told_to_come_back(own_gateway: GatewayProcess) -> None:
    feed = own_gateway.feed
    feed.write(*(anomaly(1, seq) for seq in range(1, 6)))
    until(lambda: _position(own_gateway, 1) == 5, "the gateway has read the records")
    with own_gateway.sign_in(1) as viewer:
        before = viewer.established["epoch"]
        feed.recreate()
        assert viewer.close_code(30) == 1012
    until(own_gateway.ready, "the gateway is ready again")
    feed.write(anomaly(1, 1))
    until(lambda: _position(own_gateway, 1) == 1, "the new log is read from its beginning")
    with own_gateway.sign_in(1) as viewer:
        assert viewer.established["epoch"] != before


def _position(gateway: GatewayProcess, tenant: int) -> int:
    with gateway.sign_in(tenant) as viewer:
        return int(viewer.established["seq"])
