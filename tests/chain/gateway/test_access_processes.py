"""Several gateways on one port, and a port for each one's health."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from support.feed_samples import anomaly
from support.gateway_process import Client, FeedWriter, GatewayProcess, free_port
from support.waiting import until
from websockets.exceptions import ConnectionClosed, WebSocketException

from common.settings.kafka import KafkaSettings

SIGNED_IN = 'watchfloor_gateway_connections{endpoint="dashboard"}'
CLIENTS = 40


@pytest.fixture(scope="module")
def pair(
    kafka_address: KafkaSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayProcess, GatewayProcess]]:
    """Both run when a test begins; what it ends it starts again."""
    feed, port = FeedWriter(kafka_address), free_port()
    directories = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    first, second = (
        GatewayProcess(feed, directory, port=port, reuse_port=True, **{"admin.port": free_port()})
        for directory in directories
    )
    with first, second:
        yield first, second


def signed_in(gateway: GatewayProcess, tenant: int = 1) -> Client:
    """Right after a death the kernel may still give a connection to the dead."""

    def attempt() -> Client | None:
        try:
            return gateway.sign_in(tenant)
        except (OSError, EOFError, WebSocketException):
            return None

    return until(attempt, "somebody answers at the port", within_s=5)


def test_two_processes_share_a_port_and_one_goes_on_when_the_other_is_killed(
    pair: tuple[GatewayProcess, GatewayProcess],
) -> None:
    first, second = pair
    with ExitStack() as clients:
        viewers = [clients.enter_context(first.sign_in()) for _ in range(CLIENTS)]
        shares = {gateway: gateway.metric(SIGNED_IN) for gateway in pair}
        assert sum(shares.values()) == CLIENTS
        assert min(shares.values()) >= 1
        first.feed.write(anomaly(1, 1))
        assert {viewer.hear()["seq"] for viewer in viewers} == {1}

        first.stop(signal.SIGKILL)
        first.feed.write(anomaly(1, 2))
        stayed = [viewer for viewer in viewers if seq_or_gone(viewer) == 2]
        assert len(stayed) == shares[second]
        with ExitStack() as back:
            returned = [back.enter_context(signed_in(second)) for _ in range(CLIENTS - len(stayed))]
            assert second.metric(SIGNED_IN) == CLIENTS
            first.feed.write(anomaly(1, 3))
            assert {viewer.hear()["seq"] for viewer in (*stayed, *returned)} == {3}

    first.start()  # and the dead one's successor takes its share again
    with ExitStack() as clients:
        for _ in range(CLIENTS):
            clients.enter_context(first.sign_in())
        assert first.metric(SIGNED_IN) >= 1


def seq_or_gone(viewer: Client) -> int | None:
    try:
        return int(viewer.hear()["seq"])
    except ConnectionClosed:
        return None


def test_a_process_takes_connections_only_while_it_is_ready(
    pair: tuple[GatewayProcess, GatewayProcess],
) -> None:
    """Half of the connections would be refused if the other one listened."""
    first, second = pair
    assert second.stop() == 0
    for _ in range(20):
        with first.sign_in():
            pass
    with ThreadPoolExecutor(1) as starter:
        starting = starter.submit(second.start)
        came = 0
        while not starting.done():
            with first.sign_in():
                came += 1
        starting.result()
    assert came > 20
    assert httpx.get(f"{second.http}/readyz").json()["ready"] is True


def test_metrics_are_each_process_s_own_and_not_on_the_public_port(
    pair: tuple[GatewayProcess, GatewayProcess],
) -> None:
    for gateway in pair:
        assert "watchfloor_gateway_connections" in httpx.get(f"{gateway.http}/metrics").text
        assert httpx.get(f"{gateway.http}/").status_code == 404
    public = f"http://127.0.0.1:{pair[0].port}"
    assert httpx.get(f"{public}/metrics").status_code == 404
    assert httpx.get(f"{public}/readyz").status_code == 200
    assert httpx.get(f"{public}/").status_code == 200


def test_a_port_that_is_not_shared_is_taken(pair: tuple[GatewayProcess, GatewayProcess], tmp_path: Path) -> None:
    alone = GatewayProcess(pair[0].feed, tmp_path, port=pair[0].port)
    alone.start()  # the others answer on that port
    assert alone.process is not None
    assert alone.process.wait(5) == 1
    assert "the gateway's port is taken" in alone.words()
