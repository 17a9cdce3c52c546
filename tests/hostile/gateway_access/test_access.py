"""Viewers, users and programs that try to read, do or end what is not theirs, on the real gateway."""

import itertools
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from support.attacked_gateway import unharmed
from support.feed_samples import anomaly, ticket
from support.gateway_process import AUTH, SECRET, Client, FeedWriter, GatewayProcess, free_port
from support.waiting import until

from streams.topics import ensure_topics

tenants = itertools.count(11_000)
VIEW = ("noc:view", "noc:view_all_clients")
PLANTED = ("valerie.o@example.com", "+49 30 5550 1234", "Jakob Reim", "jakob  REIM", "(555) 867-1234")


@pytest.fixture(scope="module")
def feed(kafka_address: str) -> FeedWriter:
    made = FeedWriter(kafka_address)
    ensure_topics(made.kafka)
    return made


def heard_text(client: Client) -> str:
    return json.dumps(client.hear_all(1.0), ensure_ascii=False)


def test_a_masked_viewer_reads_nothing_personal_live_or_sent_again(gateway: GatewayProcess, feed: FeedWriter) -> None:
    tenant = next(tenants)
    text = "; ".join(PLANTED)
    with (
        gateway.sign_in(tenant, capabilities=VIEW) as masked,
        gateway.sign_in(tenant, capabilities=(*VIEW, "noc:view_pii")) as plain,
    ):
        position = {"epoch": masked.established["epoch"], "seq": 0}
        feed.write(anomaly(tenant, 1, person_name="Jakob Reim"), ticket(tenant, 2, description=text))
        live = heard_text(masked)
        assert "ticket_updated" in live
        assert text in heard_text(plain)
        masked.say(type="resume", **position)
        again = heard_text(masked)
        assert "ticket_updated" in again
    for planted in PLANTED:
        assert planted not in live
        assert planted not in again


@pytest.mark.parametrize("claim", ["sub", "jti", "name", "sid"])
@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", ["\udc00"], "\u202eops", "\x00", "x" * 300])
def test_no_claim_ends_the_gateway(gateway: GatewayProcess, claim: str, value: Any) -> None:
    now = int(time.time())
    claims = {
        "sub": "ops", "tenant_id": 1, "capabilities": list(VIEW), "iss": AUTH.issuer, "aud": AUTH.audience, "iat": now, "exp": now + 60
    }  # fmt: skip
    token = jwt.encode(claims | {claim: value}, SECRET, "HS256")
    with unharmed(gateway), gateway.connect() as client:
        client.say(type="authenticate", token=token)
        answer = client.hear()
        if claim in ("sub", "jti") or "\\ud" in json.dumps(value):
            assert (answer["type"], answer["code"]) == ("error", "not_authenticated")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"OPTIONS", b"TRACE"])
@pytest.mark.parametrize(
    "target",
    [b"/metrics", b"//x/metrics", b"//metrics", b"/./metrics", b"/x/../metrics", b"/%6detrics", b"/metrics/", b"/metrics?x", b"http://x/metrics",
     b"/metrics#x", b"/metrics;x", b"/\\metrics", b"x/metrics", b"*", b"/ws/noc/../../metrics"],
)  # fmt: skip
def test_no_target_gives_the_metrics(gateway: GatewayProcess, method: bytes, target: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.sendall(method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert b"watchfloor_gateway" not in answer
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert b"X-Content-Type-Options: nosniff" in answer
    assert "watchfloor_gateway" in httpx.get(gateway.metrics).text


def post(gateway: GatewayProcess, what: str, authorization: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{gateway.port}/api/noc/{what}",
        headers={"Authorization": authorization, **headers},
        timeout=5,
    )


def test_a_code_works_once_and_signing_out_ends_the_session_everywhere(
    gateway: GatewayProcess, feed: FeedWriter, tmp_path: Path
) -> None:
    token = gateway.token(next(tenants))
    code = post(gateway, "sign-in-codes", f"Bearer {token}").json()["code"]
    assert post(gateway, "sign-in", f"Code {code}", Origin="https://evil.example").status_code == 403
    assert post(gateway, "sign-in", f"Code {code}").json() == {"token": token}
    assert post(gateway, "sign-in", f"Code {code}").status_code == 401
    with GatewayProcess(feed, tmp_path) as other, gateway.connect() as here, other.connect() as there:
        for client in (here, there):
            client.say(type="authenticate", token=token)
            assert client.hear()["type"] == "connection_established"
        assert post(gateway, "sign-out", f"Bearer {token}").status_code == 204
        assert (here.close_code(), there.close_code()) == (4401, 4401)
        with gateway.connect() as again:
            again.say(type="authenticate", token=token)
            assert again.hear()["message"] == "the token was revoked"
        assert token not in gateway.words() + other.words()
        assert code not in gateway.words()
    until(
        lambda: {"sign_in_code", "sign_out"} <= {record["action"] for record in feed.written(feed.names.audit)},
        "both are in the audit trail",
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_unsafe_gateway_does_not_start_in_silence(gateway: GatewayProcess, host: str) -> None:
    command = [sys.executable, "-m", "watchfloor", "--config", str(gateway.config), "gateway", "--host", host]
    done = subprocess.run(
        [*command, "--port", str(free_port())], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert "gateway.allow_insecure" in line
