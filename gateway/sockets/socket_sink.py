"""One WebSocket as the hub and the connection's shell see it: writes without waiting, closing in bounded time.

Owns how complete frames are made and written, and how a connection that is silent or stuck is cut.
"""

import asyncio

import structlog
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from contracts.messages import CloseCode
from gateway.metrics import GatewayMetrics
from gateway.sockets.gateway_connection import GatewayConnection, socket_address

_log = structlog.get_logger(__name__)

_REASON_BYTES_MAX = 123
"""What fits into a close frame (RFC 6455)."""
_OPEN = State.OPEN
_PING = Frame(Opcode.PING, b"").serialize(mask=False)


def text_frame(payload: bytes) -> bytes:
    """A payload as one complete, unmasked text frame."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


class SocketSink:
    """A connection's writing side.

    Args:
        close_timeout_s: how long a close may take before the connection is cut.
        closing: holds the tasks that close, so that none is lost.
    """

    __slots__ = ("_close_timeout_s", "_closed", "_closing", "_connection", "_metrics", "_protocol", "_stuck")

    def __init__(
        self,
        connection: GatewayConnection,
        close_timeout_s: float,
        closing: set[asyncio.Task[None]],
        metrics: GatewayMetrics,
    ) -> None:
        self._connection = connection
        self._protocol = connection.protocol
        self._metrics = metrics
        self._close_timeout_s = close_timeout_s
        self._closing = closing
        self._closed = False
        self._stuck: tuple[float, int] | None = None
        """Since when it has taken nothing, and what waits; looked at with each ping."""

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
        """Whether more waits to leave than `gateway.connections.queue_bytes_max`."""
        return self._connection.paused

    def write(self, frames: bytes) -> None:
        """Take complete frames; never waits, and does nothing on a connection that is closing."""
        # The protocol's state is what the connection's property looks up; this runs for every subscriber and batch.
        if not self._closed and self._protocol.state is _OPEN:
            self._connection.transport.write(frames)

    def buffered_bytes(self) -> int:
        """What was taken and has not left yet."""
        return self._connection.transport.get_write_buffer_size()

    def ping(self, silent_s_max: float) -> None:
        """Send a ping; cut the connection that sent or took nothing for `silent_s_max` seconds."""
        connection = self._connection
        now = connection.loop.time()
        if now - connection.received_at > silent_s_max:
            self._cut("silent", "nothing was heard for too long")
        elif not connection.paused:
            self._stuck = None
            self.write(_PING)
        elif self._stuck is None or self.buffered_bytes() < self._stuck[1]:
            self._stuck = (now, self.buffered_bytes())
        elif now - self._stuck[0] > silent_s_max:
            # It sends and does not read, and no feed message is there to notice that it is behind.
            self._cut("stuck", "nothing was read for too long")

    def _cut(self, kind: str, reason: str) -> None:
        self._metrics.closes.labels(kind).inc()
        _log.info("closing", connection=self.id, reason=reason)
        self._connection.transport.abort()

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection; nothing is written to it any more."""
        if self._closed:
            return
        self._closed = True
        self._metrics.closes.labels(str(int(code))).inc()
        _log.info("closing", connection=self.id, code=int(code), reason=reason)
        task = self._connection.loop.create_task(
            self._close(code, reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore"))
        )
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, code: CloseCode, reason: str) -> None:
        # The library's own timeout starts when its close frame has left; a frozen reader never lets it.
        try:
            async with asyncio.timeout(self._close_timeout_s):
                await self._connection.close(code, reason)
        except TimeoutError:
            self._connection.transport.abort()
