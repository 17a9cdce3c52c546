"""The documented configurations of HAProxy and nginx, with two real gateways behind them; where one is installed."""

import datetime as dt
import json
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.feed_samples import anomaly
from support.gateway_process import FeedWriter, GatewayProcess, free_port
from support.waiting import until
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from common.settings.kafka import KafkaSettings
from streams.topics import ensure_topics

CONFIGURATIONS = Path(__file__).parents[3] / "deploy" / "balancer"
COMMANDS = {"haproxy": ("haproxy", "-db", "-f"), "nginx": ("nginx", "-g", "daemon off;", "-c")}
ORIGIN = "https://noc.example.com"  # the gateways of these tests allow it
ELSEWHERE = "127.0.0.2"
"""A client's address that is not the balancer's."""


class Balanced(NamedTuple):
    port: int
    gateways: tuple[GatewayProcess, GatewayProcess]
    trust: ssl.SSLContext

    def open(self, origin: str = ORIGIN) -> connect:
        """A client on wss that says that it is somebody else; a context manager."""
        return connect(
            f"wss://noc.example.com:{self.port}/ws/noc/",
            sock=socket.create_connection(("127.0.0.1", self.port), 5, source_address=(ELSEWHERE, 0)),
            ssl=self.trust,
            origin=Origin(origin),
            additional_headers={"X-Forwarded-For": "203.0.113.66"},
            open_timeout=5,
        )

    def sign_in(self, client: ClientConnection, tenant: int = 1) -> dict[str, Any]:
        """What a client is greeted with."""
        client.send(json.dumps({"type": "authenticate", "token": self.gateways[0].token(tenant)}))
        greeting: dict[str, Any] = json.loads(client.recv(5))
        return greeting


def certificate(directory: Path) -> Path:
    """A certificate for the documented name and its key, in one file as HAProxy likes it and in two."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "noc.example.com")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("noc.example.com")]), critical=False)
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = directory / "noc.example.com.pem"
    file.write_bytes(made + private)
    file.with_suffix(".key").write_bytes(private)
    return file


@contextmanager
def running(kind: str, gateways: tuple[GatewayProcess, GatewayProcess], directory: Path) -> Iterator[Balanced]:
    """The documented file with the addresses of this machine in it."""
    file, port = certificate(directory), free_port()
    suffix = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}[kind]
    text = (CONFIGURATIONS / suffix).read_text("utf-8")
    changes = {
        "10.0.0.11:8080": f"127.0.0.1:{gateways[0].port}",
        "10.0.0.12:8080": f"127.0.0.1:{gateways[1].port}",
        "maxconn 40000": "maxconn 2000",  # a test's user may have few file descriptors
        "worker_rlimit_nofile 90000;": "",
        "worker_connections 40000": "worker_connections 2000",
        "bind :443": f"bind 127.0.0.1:{port}",
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/haproxy/": f"{directory}/",
        "/etc/nginx/": f"{directory}/",
        "events {": f"pid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nevents {{",
        "    map $http_upgrade": f"    access_log {directory}/access.log;\n    map $http_upgrade",
    }
    for before, after in changes.items():
        text = text.replace(before, after)
    configuration = directory / suffix
    configuration.write_text(text, "utf-8")
    words = directory / "balancer.log"
    with words.open("wb") as log:
        process = subprocess.Popen([*COMMANDS[kind], str(configuration)], stdout=log, stderr=log)
    try:
        trust = ssl.create_default_context(cafile=str(file))
        # The library's threaded client loses its request about once in a hundred times where TLS 1.3's tickets come
        # while it writes; its asyncio client and browsers do not.
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        balanced = Balanced(port, gateways, trust)
        until(lambda: answers(balanced) or process.poll() is not None, "the balancer answers", within_s=15)
        assert process.poll() is None, words.read_text("utf-8")
        yield balanced
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def answers(balanced: Balanced) -> bool:
    try:
        return get(balanced, "/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def get(balanced: Balanced, path: str) -> httpx.Response:
    with httpx.Client(verify=balanced.trust) as http:
        return http.get(
            f"https://127.0.0.1:{balanced.port}{path}",
            headers={"Host": "noc.example.com"},
            extensions={"sni_hostname": "noc.example.com"},
        )


@pytest.fixture(params=sorted(COMMANDS))
def balanced(request: pytest.FixtureRequest, kafka_address: KafkaSettings, tmp_path: Path) -> Iterator[Balanced]:
    if shutil.which(COMMANDS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not installed (Debian: apt-get install {request.param})")
    feed = FeedWriter(kafka_address)
    ensure_topics(feed.kafka)
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made.append(GatewayProcess(feed, tmp_path / name, trusted_proxies=["127.0.0.1"]))
    first, second = made
    with first, second, running(request.param, (first, second), tmp_path) as ready:
        yield ready


def test_dashboards_work_through_a_balancer_and_outlive_a_gateway(balanced: Balanced) -> None:
    first, second = balanced.gateways
    with ExitStack() as open_clients:
        clients = [open_clients.enter_context(balanced.open()) for _ in range(10)]
        assert {balanced.sign_in(client)["type"] for client in clients} == {"connection_established"}
        shares = [gateway.metric('watchfloor_gateway_connections{endpoint="dashboard"}') for gateway in (first, second)]
        assert sum(shares) == 10
        assert min(shares) >= 3
        first.feed.write(anomaly(1, 1))
        assert [next_seq(client) for client in clients] == [1] * 10
        first.stop(signal.SIGKILL)
        first.feed.write(anomaly(1, 2))
        assert [next_seq(client) for client in clients].count(2) == shares[1]
        for _ in range(10):  # and at once: nobody is sent to the dead one
            greeting = balanced.sign_in(open_clients.enter_context(balanced.open()))
            assert (greeting["type"], greeting["seq"]) == ("connection_established", 2)
    first.start()
    until(lambda: reaches(balanced, first), "the gateway that came back gets connections again", within_s=20)


def next_seq(client: ClientConnection) -> int | None:
    """Of the next message of the feed; None where the connection is gone."""
    while True:
        try:
            message = json.loads(client.recv(5))
        except ConnectionClosed:
            return None
        if message["type"] != "heartbeat":
            return int(message["seq"])


def reaches(balanced: Balanced, gateway: GatewayProcess) -> bool:
    with suppress(OSError, WebSocketException), balanced.open() as client:
        balanced.sign_in(client)
        return gateway.metric('watchfloor_gateway_connections{endpoint="dashboard"}') > 0
    return False


def test_the_balancer_names_the_client_and_hides_the_metrics(balanced: Balanced) -> None:
    with balanced.open() as client:
        assert balanced.sign_in(client, 9)["type"] == "connection_established"
    assert get(balanced, "/").status_code == 200
    assert get(balanced, "/metrics").status_code == 404
    with pytest.raises(InvalidStatus, match="403"), balanced.open("https://evil.example.com"):
        pass
    feed = balanced.gateways[0].feed

    def peers() -> list[str]:
        return [record["peer"] for record in feed.written(feed.names.audit, 9) if record["action"] == "sign_in"]

    assert until(peers, "the sign-in is in the audit trail", within_s=15) == [ELSEWHERE]
