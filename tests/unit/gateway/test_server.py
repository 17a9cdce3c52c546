"""What the process says when it cannot start; the sockets themselves are tested on the chain."""

import socket
from collections.abc import Iterator

import pytest
from unit.gateway.gateway_values import AUTH

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
