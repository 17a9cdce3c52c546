"""One socket below the WebSocket: when its handshake is under way, what it may take, when it has room again.

Owns the connection class that the WebSocket library is given.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog
from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from contracts.messages import CloseCode
from gateway.access.client_address import rate_key
from gateway.metrics import GatewayMetrics
from gateway.sockets.connection_shell import ConnectionShell
from gateway.sockets.sign_in_pool import SignInPool

_log = structlog.get_logger(__name__)

_MINUTE_S = 60.0


def socket_address(connection: ServerConnection) -> str:
    """Address of the other side of a socket; empty where it is closed."""
    address = connection.remote_address
    return str(address[0]) if address else ""


@dataclass(slots=True)
class Connections:
    """The connections of a gateway, however far they came, and the limits of one of them."""

    pool: SignInPool[ServerConnection]
    """Those on which nobody has signed in yet."""
    control_frames_per_minute_max: int
    metrics: GatewayMetrics
    shells: dict[ServerConnection, ConnectionShell] = field(default_factory=dict)
    """Of those whose handshake is done."""

    def waits(self, connection: ServerConnection, address: str) -> None:
        """A socket was opened, or the address of its client is known by now."""
        for oldest in self.pool.add(connection, rate_key(address)):
            self.metrics.refused.labels("handshakes").inc()
            oldest.transport.abort()


class GatewayConnection(ServerConnection):
    """A connection that is counted until its socket is closed, however far its handshake came.

    Also knows when it last received something, and when its socket has room again; and bounds what the library leaves
    open: how many sockets nobody has signed in on, how many control frames come, how long a failed connection may linger.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, connections: Connections, **options: Any) -> None:
        super().__init__(protocol, server, **options)
        # Nearly always empty, and an empty deque takes 600 bytes; the library only appends, removes and iterates.
        self.drain_waiters = []  # type: ignore[assignment]
        self._connections = connections
        self._controls = 0
        self._controls_since = self.loop.time()
        self._end: asyncio.TimerHandle | None = None
        self.received_at = self.loop.time()
        self.address: str | None = None
        """Of the client, where a trusted proxy named it; None is that of the socket."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was opened."""
        super().connection_made(transport)
        self._connections.waits(self, socket_address(self))

    def data_received(self, data: bytes) -> None:
        """Something was received, be it a pong."""
        self.received_at = self.loop.time()
        super().data_received(data)
        if self.close_deadline is not None and self._end is None:
            # A client that was sent why the connection fails need not close it: the library would wait for it.
            self._end = self.loop.call_at(self.close_deadline, self.transport.abort)

    def process_event(self, event: Any) -> None:
        """One frame."""
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode in {Opcode.PING, Opcode.PONG}:
            self._count_control()

    def resume_writing(self) -> None:
        """The socket has room again."""
        super().resume_writing()
        shell = self._connections.shells.get(self)
        if shell is not None:
            shell.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._connections.pool.discard(self)
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def _count_control(self) -> None:
        # A ping is answered at once, whether or not the client reads the answers: they would pile up.
        if self.received_at - self._controls_since > _MINUTE_S:
            self._controls_since, self._controls = self.received_at, 0
        self._controls += 1
        if self._controls > self._connections.control_frames_per_minute_max and self.protocol.state is State.OPEN:
            reason = f"more than {self._connections.control_frames_per_minute_max} pings and pongs a minute"
            self._connections.metrics.closes.labels(str(int(CloseCode.TOO_MANY))).inc()
            _log.info("closing", connection=self.id.hex, code=int(CloseCode.TOO_MANY), reason=reason)
            self.protocol.fail(CloseCode.TOO_MANY, reason)
            self.send_data()
            self.transport.pause_reading()  # what it sends from here on is not even read
            self.close_deadline = self.received_at + (self.close_timeout or 0)
