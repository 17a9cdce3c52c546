"""Thousands of sockets on which nobody signs in: operators sign in as before, and nobody signed in loses a place."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import psutil
import pytest
from support.gateway_process import FeedWriter, GatewayProcess
from support.quiet_tenant import QuietTenant
from support.raw_socket import RawSocket
from support.waiting import let_pass, until

tenants = itertools.count(41_000)
SOCKETS = 5_000
RENEWED_MAX = 100
"""Every second."""
POOL_MAX = 4_000
SIGN_IN_S_MAX = 2.0
MIB = 1 << 20


@pytest.fixture(scope="module")
def gateway(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    limits = {"session.authenticate_timeout_s": 10, "connections.total_max": 200, "handshake.pending_max": POOL_MAX}
    with GatewayProcess(feed, tmp_path_factory.mktemp("gateway"), **limits) as running:
        yield running


def says_nothing(_raw: socket.socket) -> None:
    """Only opens the socket."""


def asks_half(raw: socket.socket) -> None:
    raw.sendall(RawSocket.request()[:60])


def is_let_in(raw: socket.socket) -> None:
    raw.sendall(RawSocket.request())


def answers_soon(gateway: GatewayProcess) -> bool:
    began = time.monotonic()
    return all(gateway.ready() for _ in range(10)) and time.monotonic() - began < 1.0


class Attack:
    """So many sockets from an address; those that the gateway closes are opened anew, some hundred a second."""

    def __init__(self, port: int, opening: Callable[[socket.socket], None], address: str, *, trickles: bool) -> None:
        self._port = port
        self._opening = opening
        self._address = address
        self._trickles = trickles
        self._sockets: list[socket.socket] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> None:
        for number in range(SOCKETS):
            self._sockets.append(self._open())
            if number % 100 == 0:
                let_pass(0.1)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        for raw in self._sockets:
            raw.close()

    def _open(self) -> socket.socket:
        raw = socket.socket()
        raw.settimeout(5)
        with suppress(OSError):
            raw.bind((self._address, 0))
            raw.connect(("127.0.0.1", self._port))
            self._opening(raw)
        raw.setblocking(False)
        return raw

    def _closed(self, raw: socket.socket) -> bool:
        try:
            if self._trickles:
                raw.send(b"G")
            return not raw.recv(65_536)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _go_on(self) -> None:
        while not self._stop.is_set():
            closed = [index for index, raw in enumerate(self._sockets) if self._closed(raw)]
            for index in closed[:RENEWED_MAX]:
                self._sockets[index].close()
                self._sockets[index] = self._open()
            let_pass(1.0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("attack", "trickles", "address"),
    [
        (says_nothing, False, "127.0.0.1"),
        (asks_half, False, "127.0.0.66"),
        (asks_half, True, "127.0.0.1"),
        (is_let_in, False, "127.0.0.66"),
    ],
    ids=["silent, the same address", "half a request", "a byte at a time, the same address", "let in and silent"],
)
def test_operators_sign_in_beside_sockets_that_never_do(
    gateway: GatewayProcess,
    feed: FeedWriter,
    attack: Callable[[socket.socket], None],
    trickles: bool,
    address: str,
) -> None:
    assert gateway.process is not None
    process = psutil.Process(gateway.process.pid)
    with ExitStack() as open_clients, QuietTenant(gateway, feed, next(tenants)) as quiet:
        before = process.memory_info().rss
        signed_in = [open_clients.enter_context(gateway.sign_in(next(tenants))) for _ in range(5)]
        first = quiet.heard
        with Attack(gateway.port, attack, address, trickles=trickles):
            until(lambda: answers_soon(gateway), "the gateway has taken the sockets", within_s=60)
            took_s = []
            for _ in range(10):
                began = time.monotonic()
                with gateway.sign_in(next(tenants)):
                    took_s.append(time.monotonic() - began)
                let_pass(0.2)
            for client in signed_in:
                client.say(type="ping")
                assert client.hear()["type"] == "pong"
            assert max(took_s) < SIGN_IN_S_MAX, took_s
            assert process.num_fds() < POOL_MAX + 300
        assert quiet.longest_s(first) < SIGN_IN_S_MAX
        assert process.memory_info().rss - before < 160 * MIB
