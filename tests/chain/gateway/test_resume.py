"""A client that was away is given the whole gap or told why not: from memory, from the log, on another gateway."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.feed_samples import anomaly
from support.gateway_process import Client, FeedWriter, GatewayProcess
from support.waiting import until

tenants = itertools.count(5_000)
PII = ("noc:view", "noc:view_all_clients", "noc:view_pii")


@pytest.fixture(scope="module")
def forgetful(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that keeps three messages a tenant in memory: what is older it has to look up in the log."""
    directory = tmp_path_factory.mktemp("forgetful")
    with GatewayProcess(feed, directory, **{"history.messages_max": 3, "resume.messages_max": 3_000}) as running:
        yield running


def comes_back(
    gateway: GatewayProcess, tenant: int, seq: int, epoch: str, capabilities: tuple[str, ...] = PII, **more: Any
) -> tuple[dict[str, Any], Client]:
    """Sign in with a position; the answer to it, which comes before anything else of the feed."""
    first = {"resume": {"epoch": epoch, "seq": seq}} | more
    client = gateway.sign_in(tenant, capabilities=capabilities, first=first)
    while (answer := client.hear(20))["type"] == "heartbeat":
        assert "seq" not in answer
    assert answer["type"] == "resumed", answer
    return answer, client


def chain(client: Client, quiet_s: float = 0.5) -> list[tuple[int, int]]:
    return [(message["seq"], message["prev_seq"]) for message in client.hear_all(quiet_s)]


def dense(first: int, last: int) -> list[tuple[int, int]]:
    return [(seq, seq - 1) for seq in range(first, last + 1)]


def test_a_gap_in_memory(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with gateway.sign_in(tenant) as before:
        epoch = before.established["epoch"]
        feed.write(*(anomaly(tenant, seq) for seq in range(1, 11)))
        assert chain(before) == dense(1, 10)
    answer, client = comes_back(gateway, tenant, 4, epoch)
    with client:
        assert (answer["recovered"], answer["reason"], answer["from"], answer["to"]) == (True, None, 5, 10)
        feed.write(anomaly(tenant, 11))
        assert chain(client) == dense(5, 11)


def test_who_never_got_a_message_can_resume_too(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with gateway.sign_in(tenant) as before:
        position = {name: before.established[name] for name in ("epoch", "seq")}
    feed.write(*(anomaly(tenant, seq) for seq in range(1, 4)))
    answer, client = comes_back(gateway, tenant, position["seq"], position["epoch"])
    with client:
        assert answer["recovered"]
        assert chain(client) == dense(1, 3)


def test_a_gap_in_the_log_filtered_and_masked(forgetful: GatewayProcess, feed: FeedWriter) -> None:
    tenant, other = next(tenants), next(tenants)
    with forgetful.sign_in(tenant) as before:
        epoch = before.established["epoch"]
    # Others write into the same partitions, so that the log has to be searched.
    for start in range(0, 2_000, 200):
        feed.write(
            *(anomaly(tenant, seq + 1, site_id=4 + seq % 2) for seq in range(start, start + 200)),
            *(anomaly(other, seq + 1) for seq in range(start, start + 200)),
        )
    until(lambda: _position(forgetful, tenant) == 2_000, "the gateway has read it")
    for capabilities, name in ((PII, "Valerie Ondo"), (("noc:view", "noc:view_all_clients"), "Va***o")):
        answer, client = comes_back(forgetful, tenant, 100, epoch, capabilities, site_ids=[4])
        with client:
            assert (answer["recovered"], answer["from"], answer["to"]) == (True, 101, 2_000)
            heard = client.hear_all(1.0)
            assert [message["seq"] for message in heard] == [seq for seq in range(101, 2_001) if seq % 2]
            assert [message["prev_seq"] for message in heard] == [100, *(seq for seq in range(101, 1_999) if seq % 2)]
            assert {message["person_name"] for message in heard} == {name}
    assert forgetful.metric('watchfloor_gateway_resumes_total{result="log"}') == 2


def test_what_is_too_much_or_unknown_or_of_another_log_is_said(forgetful: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with forgetful.sign_in(tenant) as before:
        epoch = before.established["epoch"]
    for start in range(1, 3_202, 400):
        feed.write(*(anomaly(tenant, seq) for seq in range(start, start + 400)))
    until(lambda: _position(forgetful, tenant) == 3_600, "the gateway has read it")
    for seq, named, reason, first in (
        (1, epoch, "too_many", 2),
        (9_999, epoch, "unknown_position", None),
        (5, "x", "epoch_changed", None),
    ):
        answer, client = comes_back(forgetful, tenant, seq, named)
        with client:
            assert (answer["recovered"], answer["reason"], answer["from"]) == (False, reason, first)
            assert chain(client) == []


def test_after_a_restart_and_on_another_gateway(own_gateway: GatewayProcess, tmp_path: Path) -> None:
    tenant, feed = next(tenants), own_gateway.feed
    with own_gateway.sign_in(tenant) as before:
        epoch = before.established["epoch"]
        feed.write(*(anomaly(tenant, seq) for seq in range(1, 6)))
        assert chain(before) == dense(1, 5)
        own_gateway.stop()
    feed.write(*(anomaly(tenant, seq) for seq in range(6, 9)))
    (tmp_path / "other").mkdir()
    with GatewayProcess(feed, tmp_path / "other") as other:
        own_gateway.start()
        for gateway in (own_gateway, other):
            answer, client = comes_back(gateway, tenant, 5, epoch)
            with client:
                assert answer["recovered"]
                assert chain(client) == dense(6, 8)


def test_a_new_topic_has_a_new_epoch(own_gateway: GatewayProcess) -> None:
    tenant, feed = next(tenants), own_gateway.feed
    with own_gateway.sign_in(tenant) as before:
        epoch = before.established["epoch"]
        feed.write(anomaly(tenant, 1))
        own_gateway.stop()
    feed.recreate()
    own_gateway.start()
    answer, client = comes_back(own_gateway, tenant, 1, epoch)
    with client:
        assert (answer["recovered"], answer["reason"]) == (False, "epoch_changed")
        assert client.established["epoch"] != epoch


def test_what_a_fenced_off_worker_wrote_is_not_given_again(forgetful: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with forgetful.sign_in(tenant) as before:
        epoch = before.established["epoch"]
    feed.write(*(anomaly(tenant, seq) for seq in range(1, 6)), generation=5)
    feed.fence(tenant, 6)
    feed.write(*(anomaly(tenant, seq, person_id=666) for seq in range(4, 9)), generation=5)
    feed.write(*(anomaly(tenant, seq) for seq in range(4, 21)), generation=6)
    until(lambda: _position(forgetful, tenant) == 20, "the gateway has read it")
    answer, client = comes_back(forgetful, tenant, 2, epoch)
    with client:
        assert answer["recovered"]
        heard = client.hear_all()
        assert [message["seq"] for message in heard] == list(range(3, 21))
        assert {message["person_id"] for message in heard} == {17}


def test_a_position_named_on_an_open_connection(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with gateway.sign_in(tenant) as client:
        feed.write(*(anomaly(tenant, seq) for seq in range(1, 4)))
        assert chain(client) == dense(1, 3)
        client.say(type="resume", epoch=client.established["epoch"], seq=1, request_id="back")
        answer = client.hear()
        assert (answer["type"], answer["request_id"], answer["from"], answer["to"]) == ("resumed", "back", 2, 3)
        assert chain(client) == dense(2, 3)


def test_a_hole_in_the_log_is_told_and_not_bridged(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    with gateway.sign_in(tenant) as client:
        epoch = client.established["epoch"]
        feed.write(anomaly(tenant, 1), anomaly(tenant, 5), anomaly(tenant, 6))
        first, gap, *rest = client.hear_all()
        assert (first["seq"], gap["type"], gap["from"], gap["to"]) == (1, "gap", 2, 4)
        assert [message["seq"] for message in rest] == [5, 6]
    answer, again = comes_back(gateway, tenant, 1, epoch)
    with again:
        assert (answer["recovered"], answer["reason"]) == (False, "too_old")


def _position(gateway: GatewayProcess, tenant: int) -> int:
    with gateway.sign_in(tenant) as client:
        return int(client.established["seq"])
