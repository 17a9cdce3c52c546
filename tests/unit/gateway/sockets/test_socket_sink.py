"""When a connection that gives no sign of life, or takes nothing, is cut."""

from types import SimpleNamespace
from typing import Any

import pytest
from websockets.protocol import State

from gateway.metrics import GatewayMetrics
from gateway.sockets.socket_sink import SocketSink

SILENT_S_MAX = 50.0


class Socket:
    """A connection with a clock and a buffer that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.received_at = 1_000.0
        self.waiting = 0
        self.paused = False
        self.aborted = False
        self.written: list[bytes] = []
        self.protocol = SimpleNamespace(state=State.OPEN)
        self.loop = SimpleNamespace(time=lambda: self.now)
        self.id = SimpleNamespace(hex="the connection")
        self.transport = SimpleNamespace(
            get_write_buffer_size=lambda: self.waiting, abort=self._abort, write=self.written.append
        )

    def _abort(self) -> None:
        self.aborted = True


@pytest.fixture
def socket() -> Socket:
    return Socket()


@pytest.fixture
def sink(socket: Socket) -> SocketSink:
    connection: Any = socket
    return SocketSink(connection, 3.0, set(), GatewayMetrics())


def pings(sink: SocketSink, socket: Socket, times: int, *, sends: bool) -> None:
    for _ in range(times):
        socket.now += 25.0
        if sends:
            socket.received_at = socket.now
        sink.ping(SILENT_S_MAX)


def test_who_sends_and_reads_is_asked_for_a_sign_of_life_and_kept(socket: Socket, sink: SocketSink) -> None:
    pings(sink, socket, 20, sends=True)
    assert (socket.aborted, len(socket.written)) == (False, 20)


def test_who_says_nothing_is_cut(socket: Socket, sink: SocketSink) -> None:
    pings(sink, socket, 2, sends=False)
    assert not socket.aborted
    pings(sink, socket, 1, sends=False)
    assert socket.aborted


def test_who_sends_and_reads_nothing_is_cut_although_no_feed_notices_it(socket: Socket, sink: SocketSink) -> None:
    """Its pings are answered into a buffer that nobody empties."""
    socket.paused, socket.waiting = True, 300_000
    for _ in range(3):
        pings(sink, socket, 1, sends=True)
        socket.waiting += 10_000
    assert not socket.aborted
    pings(sink, socket, 1, sends=True)
    assert socket.aborted
    assert socket.written == []


def test_who_reads_slowly_is_not_cut(socket: Socket, sink: SocketSink) -> None:
    socket.paused, socket.waiting = True, 300_000
    for _ in range(20):
        pings(sink, socket, 1, sends=True)
        socket.waiting -= 100
    assert not socket.aborted


def test_who_has_read_all_in_between_begins_anew(socket: Socket, sink: SocketSink) -> None:
    for paused in (True, True, False, True, True, True):
        socket.paused, socket.waiting = paused, 300_000 if paused else 0
        pings(sink, socket, 1, sends=True)
    assert not socket.aborted
