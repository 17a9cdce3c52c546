"""Tokens on the real process: revoked, refreshed, at their end; and how many connections a user has."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.feed_samples import anomaly
from support.gateway_process import Client, FeedWriter, GatewayProcess
from support.waiting import until
from websockets.exceptions import InvalidStatus

from common.settings.kafka import KafkaSettings
from streams.topics import ensure_topics

SKEW_S = 5
"""Seconds that a token is accepted for after its end, `auth.clock_skew_s`."""


@pytest.fixture(scope="module")
def feed(kafka_address: KafkaSettings) -> FeedWriter:
    made = FeedWriter(kafka_address)
    ensure_topics(made.kafka)
    return made


@pytest.fixture(scope="module")
def gateway(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    limits = {
        "connections.per_user_max": 3,
        "trusted_proxies": ["127.0.0.1"],
        "handshake.per_address_per_s_max": 1,
        "handshake.per_address_burst_max": 4,
    }
    with GatewayProcess(feed, tmp_path_factory.mktemp("gateway"), **limits) as running:
        yield running


def revoke(gateway: GatewayProcess, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "watchfloor", "--config", str(gateway.config), "revoke", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return done.stdout


def come(gateway: GatewayProcess, token: str) -> tuple[Client, dict[str, Any]]:
    client = gateway.connect()
    client.say(type="authenticate", token=token)
    return client, client.hear()


def accepted(gateway: GatewayProcess, token: str) -> bool:
    client, answer = come(gateway, token)
    with client:
        return answer["type"] == "connection_established"


def test_a_user_s_tokens_are_revoked_for_good_until_that_is_lifted(gateway: GatewayProcess) -> None:
    mine, other = gateway.token(1, user="zephyrine"), gateway.token(1, user="other")
    same_name = gateway.token(2, user="zephyrine")
    (me, _), (they, _), (elsewhere, _) = (come(gateway, token) for token in (mine, other, same_name))
    with me, they, elsewhere:
        assert "the tokens of zephyrine of tenant 1" in revoke(
            gateway, "--tenant", "1", "--user", "zephyrine", "--reason", "quarrelled"
        )
        began = time.monotonic()
        assert me.close_code() == 4401
        assert time.monotonic() - began < 2
        for untouched in (they, elsewhere):
            untouched.say(type="ping")
            assert untouched.hear()["type"] == "pong"
        they.say(type="refresh", token=mine)
        assert they.hear()["message"] == "the token was revoked"
    client, answer = come(gateway, mine)
    with client:
        assert (answer["code"], answer["message"]) == ("not_authenticated", "the token was revoked")
        assert client.close_code() == 4401
    assert gateway.stop() == 0
    gateway.start()
    assert not accepted(gateway, mine)
    until(
        lambda: accepted(gateway, gateway.token(1, user="zephyrine")),
        "a token that was issued later is accepted",
        within_s=5,
    )
    revoke(gateway, "--tenant", "1", "--user", "zephyrine", "--lift")
    until(lambda: accepted(gateway, mine), "the revocation is lifted", within_s=5)
    words = gateway.words()
    assert "zephyrine" not in words
    assert "quarrelled" not in words


def test_one_token_is_revoked_by_its_id_and_the_user_s_others_are_not(gateway: GatewayProcess) -> None:
    first, second = (gateway.token(1, user="two") for _ in range(2))
    (one, _), (another, _) = come(gateway, first), come(gateway, second)
    with one, another:
        revoke(gateway, "--jti", jwt.decode(first, options={"verify_signature": False})["jti"])
        assert one.close_code() == 4401
        another.say(type="ping")
        assert another.hear()["type"] == "pong"
    assert not accepted(gateway, first)
    assert accepted(gateway, second)


def test_a_topic_that_is_missing_is_told_and_not_made_by_accident(kafka_address: KafkaSettings, tmp_path: Path) -> None:
    with GatewayProcess(FeedWriter(kafka_address), tmp_path) as bare:
        assert "the topic of revocations is missing" in bare.words()
        assert accepted(bare, bare.token())
        command = [sys.executable, "-m", "watchfloor", "--config", str(bare.config), "revoke", "--jti", "a"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"topic {bare.feed.names.revocations} is missing: start a worker once" in done.stderr
        assert bare.feed.names.revocations not in bare.feed._admin.list_topics(timeout=5).topics


def test_a_refreshed_connection_outlives_its_first_token_and_ends_with_the_second(gateway: GatewayProcess) -> None:
    began = time.monotonic()
    # The skew is added to the life: these end after 2 and 5 seconds.
    refreshed, _ = come(gateway, gateway.token(1, user="r", lifetime_s=2 - SKEW_S))
    left, _ = come(gateway, gateway.token(1, user="l", lifetime_s=2 - SKEW_S))
    with refreshed, left:
        refreshed.say(type="refresh", token=gateway.token(1, user="r", lifetime_s=5 - SKEW_S), request_id=7)
        answer = refreshed.hear()
        assert (answer["type"], answer["request_id"]) == ("refreshed", 7)
        assert left.close_code() == 4401
        assert time.monotonic() - began == pytest.approx(2, abs=1.5)
        refreshed.say(type="ping")
        assert refreshed.hear()["type"] == "pong"
        assert refreshed.close_code() == 4401
        assert time.monotonic() - began == pytest.approx(5, abs=1.5)


def test_a_refresh_by_another_s_or_an_expired_token_changes_nothing(gateway: GatewayProcess) -> None:
    client, _ = come(gateway, gateway.token(1, user="r2"))
    with client:
        for token in (
            gateway.token(2, user="r2"),
            gateway.token(1, user="x"),
            gateway.token(1, lifetime_s=-60),
            "a.b.c",
        ):
            client.say(type="refresh", token=token)
            assert client.hear()["type"] == "error"
        client.say(type="ping")
        assert client.hear()["type"] == "pong"


def test_a_refresh_shows_what_the_new_token_allows(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = 77
    client, _ = come(gateway, gateway.token(tenant, "noc:view", user="v", sites=[4]))
    with client:
        feed.write(anomaly(tenant, 1, site_id=5), anomaly(tenant, 2, site_id=4))
        assert client.hear()["seq"] == 2
        everything = ("noc:view", "noc:view_all_clients", "noc:view_pii")
        client.say(type="refresh", token=gateway.token(tenant, *everything, user="v"))
        assert client.hear()["capabilities"] == sorted(everything)
        assert (view := client.hear())["type"] == "subscribed"
        assert view["seq"] == 2
        feed.write(anomaly(tenant, 3, site_id=5))
        shown = client.hear()
        assert (shown["seq"], shown["prev_seq"], shown["person_name"]) == (3, 2, "Valerie Ondo")
        client.say(type="refresh", token=gateway.token(tenant, "noc:view", user="v"))
        assert [client.hear()["type"] for _ in range(2)] == ["refreshed", "subscribed"]
        feed.write(anomaly(tenant, 4, site_id=5))
        assert client.hear_all() == []


def test_one_connection_too_many_of_a_user_is_told_when_to_come_back(gateway: GatewayProcess) -> None:
    token = gateway.token(1, user="many")
    clients = [come(gateway, token)[0] for _ in range(3)]
    client, answer = come(gateway, token)
    with client:
        assert answer["code"] == "too_many_connections"
        assert client.close_code() == 1013
        assert client.connection.close_reason.startswith("retry_after_s=10; ")
    assert accepted(gateway, gateway.token(1, user="few"))
    clients[0].__exit__()
    until(lambda: accepted(gateway, token), "a seat is free again", within_s=5)
    for open_client in clients[1:]:
        open_client.__exit__()


def test_an_address_that_connects_too_fast_is_told_when_to_come_back(gateway: GatewayProcess) -> None:
    def retry_after(address: str) -> str | None:
        try:
            with gateway.connect(additional_headers={"X-Forwarded-For": address}):
                return None
        except InvalidStatus as refused:
            return f"{refused.response.status_code} {refused.response.headers['Retry-After']}"

    answers = [retry_after("203.0.113.9") for _ in range(6)]
    assert answers[:4] == [None] * 4
    assert "503 1" in answers
    assert retry_after("203.0.113.10") is None
    assert gateway.metric('watchfloor_gateway_handshakes_refused_total{reason="address_rate"}') >= 1
