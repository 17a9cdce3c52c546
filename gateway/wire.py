"""One WebSocket as the hub and the visitor see it: writes without waiting, closing in bounded time.

Owns the connection class that the library is given, and how complete frames are made and written. With
`gateway.server` the only file that knows the WebSocket library.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from contracts.messages import CloseCode
from gateway.admission import FULL_RETRY_AFTER_S
from gateway.metrics import GatewayMetrics
from gateway.visitor import closing_reason

_log = structlog.get_logger(__name__)

_TURNED_AWAY_S = 1.0
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    % FULL_RETRY_AFTER_S
)
_PING = Frame(Opcode.PING, b"").serialize(mask=False)


def text_frame(payload: bytes) -> bytes:
    """A payload as one complete, unmasked text frame."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


def socket_address(connection: ServerConnection) -> str:
    """Address of the other side of a socket; empty where it is gone."""
    address = connection.remote_address
    return str(address[0]) if address else ""


class Lobby:
    """The sockets of one gateway by how far they came: those whose handshake is under way, and those with a seat.

    Args:
        handshakes_max: that may be under way.
        metrics: counts those over it.
    """

    def __init__(self, handshakes_max: int, metrics: GatewayMetrics) -> None:
        self.seats: set[ServerConnection] = set()
        self.opening: set[ServerConnection] = set()
        self.handshakes_max = handshakes_max
        self.metrics = metrics


class Seat(ServerConnection):
    """A connection that gives its seat back when its socket is gone, however far its handshake came.

    Also tells when it heard something last, and when its socket has room again.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, lobby: Lobby, **options: Any) -> None:
        super().__init__(protocol, server, **options)
        self._lobby = lobby
        self._turned_away = False
        self.heard_at = self.loop.time()
        self.on_drained: Callable[[], None] | None = None
        self.address: str | None = None
        """Of the client, where a trusted proxy named it; None is that of the socket."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted: it is heard, unless too many others are at it."""
        lobby = self._lobby
        if len(lobby.opening) < lobby.handshakes_max:
            lobby.opening.add(self)
            super().connection_made(transport)
            return
        # No task and no parser for it, or a flood of silent sockets would be one of work.
        self._turned_away = True
        lobby.metrics.refused.labels("handshakes").inc()
        Connection.connection_made(self, transport)
        self.transport.write(_BUSY)
        self.loop.call_later(_TURNED_AWAY_S, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Something came, be it a pong."""
        if self._turned_away:
            self.transport.close()  # only now: closed with the request unread, the answer would be lost
            return
        self.heard_at = self.loop.time()
        super().data_received(data)

    def handshake_done(self) -> None:
        """The WebSocket is open."""
        self._lobby.opening.discard(self)

    def resume_writing(self) -> None:
        """The socket has room again."""
        super().resume_writing()
        if self.on_drained is not None:
            self.on_drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._lobby.opening.discard(self)
        self._lobby.seats.discard(self)
        self.on_drained = None
        super().connection_lost(exc)


class SocketWire:
    """A connection's writing side.

    Args:
        connection: its socket.
        close_timeout_s: how long a close may take before the connection is cut.
        closing: holds the tasks that close, so that none is lost.
        metrics: counts closes by code.
    """

    __slots__ = ("_close_timeout_s", "_closed", "_closing", "_connection", "_metrics")

    def __init__(
        self, connection: Seat, close_timeout_s: float, closing: set[asyncio.Task[None]], metrics: GatewayMetrics
    ) -> None:
        self._connection = connection
        self._metrics = metrics
        self._close_timeout_s = close_timeout_s
        self._closing = closing
        self._closed = False

    @property
    def id(self) -> str:
        """Of the connection, for logs and receipts."""
        return self._connection.id.hex

    @property
    def peer(self) -> str:
        """Address of the client."""
        return self._connection.address or socket_address(self._connection)

    @property
    def congested(self) -> bool:
        """Whether more waits to leave than `gateway.queue_bytes_max`."""
        return self._connection.paused

    def write(self, frames: bytes) -> None:
        """Take complete frames; never waits, and does nothing on a connection that is closing."""
        connection = self._connection
        if not self._closed and connection.state is State.OPEN:
            connection.transport.write(frames)

    def buffered_bytes(self) -> int:
        """What was taken and has not left yet."""
        return self._connection.transport.get_write_buffer_size()

    def ping(self, silent_s_max: float) -> None:
        """Ask for a sign of life; cut the connection where none came for `silent_s_max` seconds."""
        connection = self._connection
        if connection.loop.time() - connection.heard_at > silent_s_max:
            self._metrics.closes.labels("silent").inc()
            _log.info("closing", connection=self.id, reason="nothing was heard for too long")
            connection.transport.abort()
        elif not connection.paused:
            self.write(_PING)

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection; nothing is written to it any more."""
        if self._closed:
            return
        self._closed = True
        self._metrics.closes.labels(str(int(code))).inc()
        _log.info("closing", connection=self.id, code=int(code), reason=reason)
        task = self._connection.loop.create_task(self._close(code, closing_reason(reason)))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, code: CloseCode, reason: str) -> None:
        # The library's own timeout starts when its close frame has left; a frozen reader never lets it.
        try:
            async with asyncio.timeout(self._close_timeout_s):
                await self._connection.close(code, reason)
        except TimeoutError:
            self._connection.transport.abort()
