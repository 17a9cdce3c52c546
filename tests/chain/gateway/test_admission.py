"""Who is let in, who is sent away, and with which code: on the real sockets."""

import json
import time

import httpx
import pytest
from support.gateway_process import GatewayProcess
from websockets.exceptions import InvalidStatus

LOCAL_ORIGINS = ("http://127.0.0.1:{port}", "http://localhost:{port}", "https://noc.example.com")


def test_without_a_token_it_is_4401(gateway: GatewayProcess) -> None:
    with gateway.connect() as client:
        client.say(type="ping", request_id=1)
        error = client.hear()
        assert (error["type"], error["code"], error["request_id"]) == ("error", "not_authenticated", 1)
        assert client.close_code() == 4401
        assert error["correlation_id"] in gateway.words()


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_bad_token_is_4401(gateway: GatewayProcess, token: str) -> None:
    with gateway.connect() as client:
        client.say(type="authenticate", token=token)
        assert client.close_code() == 4401


def test_an_expired_token_is_4401(gateway: GatewayProcess) -> None:
    with gateway.connect() as client:
        client.say(type="authenticate", token=gateway.token(lifetime_s=-60))
        assert client.close_code() == 4401


def test_a_connection_ends_when_its_token_does(gateway: GatewayProcess) -> None:
    with gateway.connect() as client:
        client.say(type="authenticate", token=gateway.token(lifetime_s=-4))  # one second of allowed skew is left
        assert client.hear()["type"] == "connection_established"
        assert client.close_code() == 4401


def test_without_a_tenant_it_is_4403(gateway: GatewayProcess) -> None:
    with gateway.connect() as client:
        client.say(type="authenticate", token=gateway.token(None))
        assert client.close_code() == 4403


def test_without_noc_view_it_is_4403(gateway: GatewayProcess) -> None:
    with gateway.connect() as client:
        client.say(type="authenticate", token=gateway.token(1, "noc:ack_alerts"))
        assert client.close_code() == 4403


def test_saying_nothing_is_4408(gateway: GatewayProcess) -> None:
    began = time.monotonic()
    with gateway.connect() as client:
        assert client.close_code() == 4408
    assert time.monotonic() - began == pytest.approx(2, abs=1)


def test_the_subprotocol_signs_in(gateway: GatewayProcess) -> None:
    with gateway.connect(subprotocols=["noc.v1", f"bearer.{gateway.token(7)}"]) as client:
        assert client.connection.subprotocol == "noc.v1"
        assert client.hear()["tenant_id"] == 7


def test_a_bad_token_in_the_subprotocol_is_4401(gateway: GatewayProcess) -> None:
    with gateway.connect(subprotocols=["noc.v1", "bearer.nonsense"]) as client:
        assert client.close_code() == 4401


def test_the_hundred_and_first_message_is_answered_and_closed_with_4429(gateway: GatewayProcess) -> None:
    with gateway.sign_in() as client:
        for _ in range(110):
            client.say(type="ping")
        answers = [client.hear() for _ in range(100)]
        assert {answer["type"] for answer in answers[:99]} == {"pong"}
        assert answers[99]["code"] == "too_many_messages"
        assert client.close_code() == 4429


def test_a_message_over_64_kib_is_4413(gateway: GatewayProcess) -> None:
    with gateway.sign_in() as client:
        client.connection.send(json.dumps({"type": "ping", "padding": "x" * 70_000}))
        assert client.hear()["code"] == "message_too_large"
        assert client.close_code() == 4413


def test_a_message_far_over_the_limit_is_not_read(gateway: GatewayProcess) -> None:
    with gateway.sign_in() as client:
        client.connection.send("x" * 2_000_000)
        assert client.close_code() == 1009


@pytest.mark.parametrize("origin", LOCAL_ORIGINS)
def test_the_own_page_and_configured_origins_connect(gateway: GatewayProcess, origin: str) -> None:
    with gateway.connect(origin=origin.format(port=gateway.port)) as client:
        client.say(type="authenticate", token=gateway.token())
        assert client.hear()["type"] == "connection_established"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://noc.example.com.evil.example"])
def test_foreign_origins_are_refused(gateway: GatewayProcess, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        gateway.connect(origin=origin)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(("path", "status"), [("/ws/noc/?token=secret-thing", 400), ("/ws/noc/other/", 404)])
def test_handshakes_that_go_wrong(gateway: GatewayProcess, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        gateway.connect(path)
    assert refused.value.response.status_code == status


def test_compression_is_not_agreed_to(gateway: GatewayProcess) -> None:
    with gateway.connect(compression="deflate") as client:
        assert client.connection.response is not None
        assert "Sec-WebSocket-Extensions" not in client.connection.response.headers


def test_http_answers(gateway: GatewayProcess) -> None:
    page = httpx.get(f"{gateway.http}/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert httpx.get(f"{gateway.http}/healthz").text == "ok\n"
    assert httpx.get(f"{gateway.http}/readyz").json() == {"ready": True, "reason": "caught up"}
    assert "watchfloor_gateway_connections" in httpx.get(gateway.metrics).text
    assert httpx.get(f"{gateway.http}/no-such-thing").status_code == 404
    assert httpx.get(f"{gateway.http}/ws/noc/").status_code == 426


def test_the_log_holds_no_token_and_no_name(gateway: GatewayProcess) -> None:
    token = gateway.token(9, "noc:view", "noc:view_pii")
    with gateway.connect(subprotocols=["noc.v1", f"bearer.{token}"]) as client:
        client.hear()
    with pytest.raises(InvalidStatus):
        gateway.connect(f"/ws/noc/?token={token}")
    words = gateway.words()
    assert '"tenant_id": 9' in words
    for secret in (token, token.rsplit(".", 1)[1], "secret-thing", "tester", "Valerie"):
        assert secret not in words
