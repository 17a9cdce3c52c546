"""What the process says when it cannot start, and its seats; the rest of the sockets is tested on the chain."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from unit.gateway.gateway_values import AUTH
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway import server as module
from gateway.server import run_gateway
from watchfloor.errors import WatchfloorError
from watchfloor.settings import GatewaySettings, KafkaSettings, Settings


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
        gateway=GatewaySettings(port=free_port, broker_wait_s_max=1, broker_silence_s_max=1),
    )
    with pytest.raises(WatchfloorError, match=r"no Kafka broker answers at 127.0.0.1:9.*kafka.bootstrap_servers"):
        run_gateway(settings)


def test_half_a_certificate_is_refused() -> None:
    with pytest.raises(WatchfloorError, match="tls_key_file"):
        run_gateway(Settings(auth=AUTH, gateway=GatewaySettings(tls_key_file="/nowhere.pem")))


@asynccontextmanager
async def listening(port: int, connections_max: int) -> AsyncIterator[module._Gateway]:
    """A gateway that has read its feed, without a broker behind it."""
    limits = GatewaySettings(port=port, connections_max=connections_max)
    gateway = module._Gateway(Settings(auth=AUTH, gateway=limits))
    gateway._runtime.feed.positions_known = True
    gateway._runtime.tenant_limits.known = True
    server = await gateway._listen()
    try:
        yield gateway
    finally:
        server.close()
        await server.wait_closed()


async def until_free(gateway: module._Gateway) -> None:
    async with asyncio.timeout(5):
        while gateway._crowd.seats:  # noqa: ASYNC110 - a closing socket tells nobody
            await asyncio.sleep(0.01)


def test_handshakes_that_are_under_way_take_seats_too(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        release = asyncio.Event()

        class Slow(module.Seat):
            async def handshake(self, *args: object, **options: object) -> None:
                await super().handshake(*args, **options)  # type: ignore[arg-type]
                await release.wait()  # the 101 has left, and the handler does not run yet

        monkeypatch.setattr(module, "Seat", Slow)
        async with listening(free_port, 2) as gateway:
            url = f"ws://127.0.0.1:{free_port}/ws/noc/"
            opened = await asyncio.gather(*(connect(url) for _ in range(5)), return_exceptions=True)
            refused = [one for one in opened if isinstance(one, InvalidStatus)]
            assert {one.response.status_code for one in refused} == {503}
            assert (len(opened) - len(refused), len(gateway._guests)) == (2, 0)
            for one in opened:
                if not isinstance(one, BaseException):
                    one.transport.abort()
            release.set()
            await until_free(gateway)
            (await connect(url)).transport.abort()
            await until_free(gateway)

    asyncio.run(story())


def test_a_request_that_opens_nothing_gives_its_seat_back(free_port: int) -> None:
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
            gateway._runtime.tenant_limits.known = False
            with pytest.raises(InvalidStatus, match="503"):
                await connect(f"ws://127.0.0.1:{free_port}/ws/noc/")
            assert gateway._runtime.readiness().reason == "reading the tenants' limits"

    asyncio.run(story())
