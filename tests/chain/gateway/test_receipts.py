"""Receipts, marks and the audit trail in the real log, over several gateways and a restart."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.feed_samples import anomaly
from support.gateway_process import AUTH, Client, FeedWriter, GatewayProcess
from support.waiting import until
from websockets.exceptions import InvalidStatus

from contracts.receipts import RecipientCounts, decode_receipts
from gateway.access.tokens import mint_token

tenants = itertools.count(7_000)
QUICK = {"receipts.interval_ms": 100, "receipts.positions_interval_s": 1, "critical.unseen_s": 3, "audit.window_s": 2}


@pytest.fixture(scope="module")
def here(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(feed, tmp_path_factory.mktemp("here"), **QUICK) as running:
        yield running


@pytest.fixture
def there(feed: FeedWriter, tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(feed, tmp_path, **QUICK) as running:
        yield running


OPERATOR = ("noc:view", "noc:view_all_clients", "noc:view_pii", "noc:ack_alerts")


def visitor(
    gateway: GatewayProcess, tenant: int, user: str, capabilities: Sequence[str] = OPERATOR, **limits: Any
) -> Client:
    token = mint_token(AUTH, tenant_id=tenant, user=user, capabilities=capabilities, lifetime_s=600, **limits)
    client = gateway.connect()
    client.say(type="authenticate", token=token)
    client.established = client.hear()
    return client


def hear_until(client: Client, kind: str, timeout_s: float = 15.0) -> dict[str, Any]:
    """The next message of a type; others are passed over."""
    deadline = time.monotonic() + timeout_s
    others = []
    while time.monotonic() < deadline:
        try:
            message = client.hear(max(0.01, deadline - time.monotonic()))
        except TimeoutError:
            break
        if message["type"] == kind:
            return message
        others.append(message["type"])
    raise AssertionError(f"no {kind} came, but {others}")


def feed_messages(client: Client) -> int:
    return sum("prev_seq" in message for message in client.hear_all())


def counts(feed: FeedWriter, tenant: int, epoch: str, seqs: range) -> list[int]:
    fold = RecipientCounts()
    for record in feed.written(feed.names.receipts, tenant):
        fold.take(decode_receipts(json.dumps(record).encode()))
    return [fold.of(epoch, tenant, seq) for seq in seqs]


def test_who_was_written_what_and_who_had_it(here: GatewayProcess, there: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with (
        visitor(here, tenant, "ann") as ann,
        visitor(here, tenant, "bob", sites=[4]) as bob,
        visitor(there, tenant, "eve") as eve,
    ):
        epoch = ann.established["epoch"]
        feed.write(*(anomaly(tenant, seq, site_id=4 if seq % 2 else 5) for seq in range(1, 11)))
        assert [feed_messages(client) for client in (ann, bob, eve)] == [10, 5, 10]
        ann.say(type="received", seq=10)
        eve.say(type="received", seq=9_999)
        until(
            lambda: counts(feed, tenant, epoch, range(1, 12)) == [3, 2] * 5 + [0],
            "each message's recipients are counted over both gateways",
        )
        with here.connect() as late:
            token = here.token(tenant)
            late.say(type="authenticate", token=token, resume={"epoch": epoch, "seq": 6})
            assert [message["seq"] for message in late.hear_all() if "prev_seq" in message] == [7, 8, 9, 10]
        until(
            lambda: counts(feed, tenant, epoch, range(1, 11)) == [3, 2, 3, 2, 3, 2, 4, 3, 4, 3],
            "a client that catches up counts",
        )

    def latest() -> dict[str, dict[str, Any]]:
        reaches: dict[str, dict[str, Any]] = {}
        for record in feed.written(feed.names.receipts, tenant):
            reaches |= {reach["user"]: reach for reach in record.get("connections", [])}
        return reaches

    until(lambda: all(latest()[user].get("left") for user in ("ann", "bob", "eve")), "the last entries are written")
    found = latest()
    assert {user: (found[user]["written"], found[user].get("received")) for user in ("ann", "bob", "eve")} == {
        "ann": (10, 10),
        "bob": (10, None),
        "eve": (10, 10),
    }


def test_who_looked_at_a_critical_message_is_known_at_every_gateway(
    here: GatewayProcess, there: GatewayProcess, feed: FeedWriter
) -> None:
    tenant = next(tenants)
    seen, unseen = anomaly(tenant, 1, 2, site_id=4), anomaly(tenant, 2, 2, site_id=5)
    with (
        visitor(here, tenant, "ann") as ann,
        visitor(there, tenant, "bob") as bob,
        visitor(there, tenant, "eve", sites=[5]) as eve,
        visitor(there, next(tenants), "mallory") as mallory,
    ):
        feed.write(seen, unseen)
        shown = [message for message in ann.hear_all() if message.get("severity") == "CRITICAL"]
        identifier = shown[0]["anomaly_id"]
        mallory.say(type="seen", ids=[identifier, shown[1]["anomaly_id"]])
        eve.say(type="seen", ids=[identifier])
        with visitor(there, tenant, "a program", OPERATOR[:3]) as program:
            program.say(type="seen", ids=[each["anomaly_id"] for each in shown])
        ann.say(type="seen", ids=[identifier])
        for client in (ann, bob):
            notice = hear_until(client, "message_seen")
            assert (notice["id"], notice["seq"]) == (identifier, 1)
            assert [mark["user"] for mark in notice["seen_by"]] == ["ann"]
        for client in (ann, bob, eve):
            notice = hear_until(client, "critical_unseen")
            assert (notice["id"], notice["site_id"]) == (shown[1]["anomaly_id"], 5)
            assert notice["unseen_seconds"] >= 3
            assert notice["recipients"] == (1 if client is ann else 2)
        assert all(message["type"] == "heartbeat" for message in mallory.hear_all())
        marks = [m for record in feed.written(feed.names.receipts, tenant) for m in record.get("seen", [])]
        assert [(mark["user"], mark["id"]) for mark in marks if mark["may_act"]] == [("ann", identifier)]

        there.stop()
        there.start()
        with visitor(there, tenant, "dan") as dan:
            again = hear_until(dan, "critical_unseen", 20)
            assert again["id"] == shown[1]["anomaly_id"]
            dan.say(type="seen", ids=[again["id"]])
            hear_until(dan, "message_seen")
            hear_until(ann, "message_seen")
            dan.say(type="seen", ids=[identifier])
            assert [mark["user"] for mark in hear_until(dan, "message_seen")["seen_by"]] == ["ann", "dan"]
    assert here.metric('watchfloor_gateway_seen_marks_total{result="taken"}') == 1


def test_sign_ins_refusals_and_floods_are_in_the_audit_trail(here: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with visitor(here, tenant, "ann", sites=[4]) as ann:
        ann.say(type="subscribe_site", site_id=5)
        correlation_id = hear_until(ann, "error")["correlation_id"]
        for _ in range(5):
            ann.say(type="subscribe_site", site_id=6)
            assert hear_until(ann, "error")["code"] == "forbidden"
    with visitor(here, tenant, "bob") as bob:
        for _ in range(101):
            bob.say(type="ping")
        assert bob.close_code() == 4429
    with here.connect() as stranger:
        stranger.say(type="authenticate", token="not.a.token")
        assert stranger.close_code() == 4401
    for _ in range(20):
        with pytest.raises(InvalidStatus):
            here.connect(origin="https://evil.example")

    def trail() -> list[tuple[Any, ...]]:
        return [
            (record["action"], record["allowed"], record["tenant_id"], record["subject"], record["count"])
            for record in feed.written(feed.names.audit)
            if record["tenant_id"] in {tenant, None}
        ]

    def refused_handshakes() -> list[int]:
        return [row[4] for row in trail() if row[0] == "handshake"]

    until(lambda: sum(refused_handshakes()) == 20, "all refused handshakes are counted")
    until(lambda: ("subscribe", False, tenant, "ann", 5) in trail(), "repeats are counted")
    assert len(refused_handshakes()) == 2
    for expected in (
        ("sign_in", True, tenant, "ann", 1),
        ("sign_in", True, tenant, "bob", 1),
        ("subscribe", False, tenant, "ann", 1),
        ("flood", False, tenant, "bob", 1),
        ("sign_in", False, None, None, 1),
    ):
        assert trail().count(expected) == 1, expected
    record = next(r for r in feed.written(feed.names.audit, tenant) if r["action"] == "subscribe")
    assert (record["correlation_id"], record["peer"], record["endpoint"]) == (
        correlation_id,
        "127.0.0.1",
        "dashboard",
    )
    assert correlation_id in here.words()
    everything = json.dumps(feed.written(feed.names.audit))
    assert "not.a.token" not in everything
    assert "eyJ" not in everything


def test_what_is_not_written_yet_is_written_at_the_end(feed: FeedWriter, tmp_path: Path) -> None:
    tenant = next(tenants)
    slow = {"receipts.interval_ms": 60_000, "receipts.positions_interval_s": 600, "audit.window_s": 600}
    with GatewayProcess(feed, tmp_path, **slow) as gateway, visitor(gateway, tenant, "ann") as ann:
        epoch = ann.established["epoch"]
        feed.write(anomaly(tenant, 1))
        hear_until(ann, "anomaly_detected")
        for _ in range(3):
            with pytest.raises(InvalidStatus):
                gateway.connect("/ws/noc/?token=x", origin="https://else.example")
        assert counts(feed, tenant, epoch, range(1, 2)) == [0]
        assert gateway.stop() == 0
        assert counts(feed, tenant, epoch, range(1, 2)) == [1]
        ours = [r for r in feed.written(feed.names.audit) if r["action"] == "handshake"][-2:]
        assert [record["count"] for record in ours] == [1, 2]


def test_a_gateway_alone_says_what_it_does_not_know(here: GatewayProcess) -> None:
    answer = httpx.get(f"{here.http}/api/noc/health/", timeout=5)
    assert answer.status_code == httpx.codes.OK
    health = answer.json()
    states = {name: component["state"] for name, component in health["components"].items()}
    assert states == {
        "database": "unknown",
        "kafka": "healthy",
        "connect": "unknown",
        "worker": "unknown",
        "gateway": "healthy",
    }
    assert (health["status"], health["feed"]["state"]) == ("healthy", "live")
