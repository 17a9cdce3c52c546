"""What the process says when it cannot start, and which connections it accepts; the rest is tested on the chain.

Also of gateway/sockets/gateway_connection.py, gateway/sockets/listening.py and gateway/wiring.py.
"""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from support.changed_settings import changed
from support.fake_kafka import FakeCluster, until
from support.feed_samples import AUTH
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common.errors import WatchfloorError
from common.settings.gateway import AdminSettings, GatewaySettings, ReaderSettings, TlsSettings
from common.settings.kafka import KafkaSettings
from common.settings.load import Settings
from contracts.revocations import Revocation, RevokedSubject, encode_revocation, key_bytes
from gateway.access.tokens import mint_token
from gateway.server import GatewayServer, run_gateway
from gateway.sockets.listening import listen_admin
from gateway.sockets.socket_sink import text_frame
from gateway.wiring import wire_gateway


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_taken_port_is_named(taken_port: int) -> None:
    with pytest.raises(WatchfloorError, match=rf"port is taken \(127.0.0.1:{taken_port}\).*--port"):
        run_gateway(Settings(auth=AUTH, gateway=GatewaySettings(port=taken_port)))


def test_an_absent_broker_is_named(free_port: int) -> None:
    settings = Settings(
        auth=AUTH,
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:9"),
        gateway=GatewaySettings(port=free_port, reader=ReaderSettings(broker_wait_s_max=1, broker_silence_s_max=1)),
    )
    with pytest.raises(WatchfloorError, match=r"no Kafka broker answers at 127.0.0.1:9.*kafka.bootstrap_servers"):
        run_gateway(settings)
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)  # a line for each question to a component


def test_an_admin_port_that_is_taken_is_named(taken_port: int, free_port: int) -> None:
    with pytest.raises(WatchfloorError, match=rf"admin address 127.0.0.1:{taken_port}.*--admin-port"):
        run_gateway(Settings(auth=AUTH, gateway=GatewaySettings(port=free_port, admin=AdminSettings(port=taken_port))))


def test_half_a_certificate_is_refused() -> None:
    with pytest.raises(WatchfloorError, match=r"tls\.key_file"):
        run_gateway(Settings(auth=AUTH, gateway=GatewaySettings(tls=TlsSettings(key_file=Path("/nowhere.pem")))))


def server_of(limits: GatewaySettings) -> GatewayServer:
    """A gateway that has read its feed, without a broker behind it."""
    parts = wire_gateway(Settings(auth=AUTH, gateway=limits), text_frame, FakeCluster())
    parts.feed.caught_up()
    parts.tenant_limits.missing()
    parts.services.revocations.missing()
    return GatewayServer(limits, parts)


@asynccontextmanager
async def listening(port: int, connections_max: int, **more: Any) -> AsyncIterator[GatewayServer]:
    gateway = server_of(changed(GatewaySettings(port=port), {"connections.total_max": connections_max} | more))
    await gateway.open()
    server = gateway._server
    assert server is not None
    try:
        yield gateway
    finally:
        server.close()
        await server.wait_closed()


async def until_free(gateway: GatewayServer) -> None:
    await until(lambda: not len(gateway._connections.pool) and not len(gateway._parts.services.signed_in))


def test_only_who_signs_in_takes_a_place(free_port: int) -> None:
    async def story() -> None:
        async with listening(free_port, 2) as gateway:
            url = f"ws://127.0.0.1:{free_port}/ws/noc/"
            waiting = await asyncio.gather(*(connect(url) for _ in range(5)))  # all of them are let in
            token = mint_token(AUTH, tenant_id=1, user="ops", capabilities=["noc:view"])
            for one in waiting:
                await one.send(json.dumps({"type": "authenticate", "token": token}))
            answers = [json.loads(await one.recv()) for one in waiting]
            assert sorted(answer["type"] for answer in answers) == ["connection_established"] * 2 + ["error"] * 3
            assert {answer["code"] for answer in answers if "code" in answer} == {"too_many_connections"}
            with pytest.raises(InvalidStatus) as refused:
                await connect(url)
            assert refused_with(refused.value)[0] == 503
            for one in waiting:
                one.transport.abort()
            await until_free(gateway)
            (await connect(url)).transport.abort()
            await until_free(gateway)

    asyncio.run(story())


def test_a_request_that_opens_nothing_is_not_counted_any_more(free_port: int) -> None:
    async def story() -> None:
        async with listening(free_port, 1) as gateway:
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
                writer.write(b"GET /ws/noc/ HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b" 426 " in await reader.readline()
                writer.close()
                await until_free(gateway)

    asyncio.run(story())


def test_nobody_is_let_in_before_the_tenants_limits_are_known(free_port: int) -> None:
    async def story() -> None:
        async with listening(free_port, 1) as gateway:
            gateway._parts.tenant_limits.known = False
            with pytest.raises(InvalidStatus, match="503"):
                await connect(f"ws://127.0.0.1:{free_port}/ws/noc/")
            assert gateway._parts.readiness.readiness().reason == "reading the tenants' limits"

    asyncio.run(story())


def test_nobody_is_let_in_before_the_revocations_are_known(free_port: int) -> None:
    async def story() -> None:
        async with listening(free_port, 1) as gateway:
            gateway._parts.services.revocations.known = False
            with pytest.raises(InvalidStatus, match="503"):
                await connect(f"ws://127.0.0.1:{free_port}/ws/noc/")
            assert gateway._parts.readiness.readiness().reason == "reading the revocations"

    asyncio.run(story())


def refused_with(error: InvalidStatus) -> tuple[int, str, str]:
    answer = error.response
    return answer.status_code, answer.headers["Retry-After"], (answer.body or b"").decode().strip()


def test_who_comes_too_fast_from_one_address_is_told_when_to_come_back(free_port: int) -> None:
    slow = {
        "handshake.per_address_per_s_max": 1,
        "handshake.per_address_burst_max": 2,
        "trusted_proxies": ["127.0.0.1"],
    }

    async def story() -> None:
        async with listening(free_port, 10, **slow), AsyncExitStack() as opened:
            url = f"ws://127.0.0.1:{free_port}/ws/noc/"

            async def come(address: str) -> None:
                headers = {"X-Forwarded-For": f"6.6.6.6, {address}"}
                (await opened.enter_async_context(connect(url, additional_headers=headers))).transport.abort()

            for _ in range(2):
                await come("203.0.113.7")
            with pytest.raises(InvalidStatus) as refused:
                await come("203.0.113.7")
            assert refused_with(refused.value) == (
                503,
                "1",
                "too many connections from this address in a short time",
            )
            await come("203.0.113.8")

    asyncio.run(story())


def test_who_comes_too_fast_altogether_is_told_when_to_come_back(free_port: int) -> None:
    async def story() -> None:
        async with listening(free_port, 10, **{"handshake.per_s_max": 1, "handshake.burst_max": 1}) as gateway:
            url = f"ws://127.0.0.1:{free_port}/ws/noc/"
            (await connect(url)).transport.abort()
            for wait_s in ("1", "2", "3"):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url)
                assert refused_with(refused.value) == (503, wait_s, "too many clients connect at once")
            await until_free(gateway)
            assert (
                'watchfloor_gateway_handshakes_refused_total{reason="rate"} 3.0'
                in gateway._parts.metrics.text().decode()
            )

    asyncio.run(story())


def test_sockets_that_say_nothing_keep_nobody_out_who_speaks(free_port: int) -> None:
    async def story() -> None:
        async with listening(
            free_port, 10, **{"handshake.pending_max": 2, "session.authenticate_timeout_s": 1}
        ) as gateway:
            silent = [await asyncio.open_connection("127.0.0.1", free_port) for _ in range(2)]
            (await connect(f"ws://127.0.0.1:{free_port}/ws/noc/")).transport.abort()
            (oldest, _), (other, _) = silent
            assert await oldest.read() == b""  # it made room
            assert len(gateway._connections.pool) <= 2
            await other.read()  # the time for a handshake is up
            for _, writer in silent:
                writer.close()
            await until_free(gateway)

    asyncio.run(story())


def test_one_user_s_connections_are_counted_until_they_are_gone(free_port: int) -> None:
    async def story() -> None:
        greetings: list[str] = []
        async with listening(
            free_port, 10, **{"connections.per_user_max": 2, "connections.per_tenant_max": 3}
        ) as gateway:

            async def come(user: str, tenant: int = 1) -> ClientConnection:
                token = mint_token(AUTH, tenant_id=tenant, user=user, capabilities=["noc:view"])
                made = await connect(f"ws://127.0.0.1:{free_port}/ws/noc/", subprotocols=["noc.v1", f"bearer.{token}"])
                greetings.append(json.loads(await made.recv())["type"])
                return made

            async def sent_away(user: str) -> str:
                refused = await come(user)
                with pytest.raises(ConnectionClosed) as closed:
                    await refused.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
                return closed.value.rcvd.reason

            first, _second = await come("a"), await come("a")
            assert await sent_away("a") == "retry_after_s=10; a user has at most 2 connections here"
            await come("b")
            assert await sent_away("c") == "retry_after_s=10; a tenant has at most 3 connections here"
            await come("a", tenant=2)
            await first.close()
            await until(lambda: len(gateway._parts.services.signed_in) < 4)
            await come("a")
        let_in, error = "connection_established", "error"
        assert greetings == [let_in, let_in, error, let_in, error, let_in, let_in]

    asyncio.run(story())


def test_a_revocation_ends_connections_and_keeps_their_tokens_out(free_port: int) -> None:
    async def story() -> None:
        async with listening(free_port, 10) as gateway:
            url = f"ws://127.0.0.1:{free_port}/ws/noc/"

            async def come(user: str, token: str | None = None) -> tuple[str, ClientConnection]:
                token = token or mint_token(AUTH, tenant_id=1, user=user, capabilities=["noc:view"])
                made = await connect(url, subprotocols=["noc.v1", f"bearer.{token}"])
                assert "connection_established" in str(await made.recv())
                return token, made

            async def end_of(connection: ClientConnection) -> tuple[int, str]:
                with pytest.raises(ConnectionClosed) as closed:
                    async with asyncio.timeout(5):
                        await connection.recv()
                assert closed.value.rcvd is not None
                return closed.value.rcvd.code, closed.value.rcvd.reason

            (token, revoked), (_, other) = await come("a"), await come("b")
            view = gateway._parts.services.revocations

            def write(value: bytes | None) -> None:
                record: Any = SimpleNamespace(key=key_bytes(RevokedSubject(1, "a")), value=value, timestamp=0)
                view.take({TopicPartition(view.topic, 0): [record]}, {})
                view.caught_up()

            view.begin({})
            write(encode_revocation(Revocation(datetime.now(UTC))))
            assert await end_of(revoked) == (4401, "the token was revoked")
            again = await connect(url, subprotocols=["noc.v1", f"bearer.{token}"])
            assert json.loads(await again.recv())["message"] == "the token was revoked"
            assert await end_of(again) == (4401, "the token was revoked")
            await other.send(json.dumps({"type": "refresh", "token": token, "request_id": 1}))
            answer = json.loads(await other.recv())
            assert (answer["code"], answer["message"]) == ("not_authenticated", "the token was revoked")
            await other.send(json.dumps({"type": "ping", "request_id": 2}))
            assert json.loads(await other.recv())["request_id"] == 2
            write(None)
            await come("a", token)

    asyncio.run(story())


async def _raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


def test_the_admin_port_has_the_metrics_and_the_public_port_has_not(free_port: int) -> None:
    async def story() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            admin_port = int(probe.getsockname()[1])
        async with listening(free_port, 10, **{"admin.port": admin_port}) as gateway, httpx.AsyncClient() as http:
            admin = await listen_admin(gateway._limits, gateway._parts.routes)
            public, own = (f"http://127.0.0.1:{port}" for port in (free_port, admin_port))
            seen = {
                (where, path): (await http.get(f"{base}{path}")).status_code
                for where, base in (("public", public), ("own", own))
                for path in ("/healthz", "/readyz", "/metrics", "/", "/ws/noc/")
            }
            assert seen == {
                ("public", "/healthz"): 200,
                ("public", "/readyz"): 503,  # no broker
                ("public", "/metrics"): 404,
                ("public", "/"): 200,
                ("public", "/ws/noc/"): 426,
                ("own", "/healthz"): 200,
                ("own", "/readyz"): 503,
                ("own", "/metrics"): 200,
                ("own", "/"): 404,
                ("own", "/ws/noc/"): 404,
            }
            with pytest.raises(InvalidStatus, match="404"):
                await connect(f"ws://127.0.0.1:{admin_port}/ws/noc/")
            wrong = (b"GET //x/metrics HTTP/1.1\r\n\r\n", b"GET http://x/metrics HTTP/1.1\r\n\r\n", b"PUT /metrics HTTP/1.1\r\n\r\n", b"GET /ws/noc/ HTTP/1.1\r\n\r\n")  # fmt: skip
            for port in (free_port, admin_port):
                for request in wrong:
                    answer = await _raw(port, request)
                    assert answer.startswith(b"HTTP/1.1 4"), (request, answer)
                    assert b"X-Content-Type-Options: nosniff" in answer, (request, answer)
                    assert b"Strict-Transport-Security" not in answer
                    assert b"metric" not in answer.partition(b"\r\n\r\n")[2]
            admin.close()
            await admin.wait_closed()

    asyncio.run(story())
