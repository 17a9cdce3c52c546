"""The sockets: with `gateway.sockets.wire` and `gateway.sockets.listening` the only file that knows the WebSocket library.

Owns HTTP answers, handshakes, reading from clients, signs of life, and the order of
stopping. What is said on a connection is decided by `gateway.session.protocol`.
"""

import asyncio
import logging
import random
import signal
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
import uvloop
from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from common.settings.gateway import GatewaySettings
from common.settings.load import Settings
from contracts.messages import CloseCode
from gateway.access.admission import FULL_RETRY_AFTER_S, Arrivals, Denial
from gateway.access.client_address import client_address, networks
from gateway.session.replies import iso
from gateway.sockets.connection_shell import ConnectionShell
from gateway.sockets.gateway_connection import ConnectionLimits, GatewayConnection, socket_address
from gateway.sockets.handshake import allowed_origins, check, chosen_subprotocol, endpoint_of
from gateway.sockets.http_routes import HttpReply, text
from gateway.sockets.listening import listen, listen_admin, response, tls_context
from gateway.sockets.wire import SocketWire, text_frame
from gateway.staggered_schedule import StaggeredSchedule
from gateway.wiring import GatewayParts

_BEAT_S = 1.0
_READY_POLL_S = 0.05
_SENT_AWAY_AT_ONCE = 50
_READ_REQUEST = Request("", Headers())

_log = structlog.get_logger(__name__)


def run_gateway(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then close every connection and return.

    Raises:
        WatchfloorError: the port cannot be had, no broker answers, or tokens cannot be verified.
    """
    # At debug the library logs handshake headers, and a token may be among them.
    logging.getLogger("websockets").setLevel(logging.WARNING)
    # Its retries are told by the feed's reader, once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    uvloop.run(_Gateway(settings).run())


class _OpenConnection(NamedTuple):
    wire: SocketWire
    visitor: ConnectionShell


class _Gateway:
    def __init__(self, settings: Settings) -> None:
        self._limits: GatewaySettings = settings.gateway
        self._tls = tls_context(settings.gateway.tls)
        self._runtime = GatewayParts(settings, text_frame)
        self._origins = allowed_origins(
            self._limits.allowed_origins, self._limits.host, self._limits.port, secure=self._tls is not None
        )
        self._guests: StaggeredSchedule[_OpenConnection] = StaggeredSchedule(
            settings.gateway.session.heartbeat_interval_s
        )
        self._crowd = ConnectionLimits(
            self._limits.handshake.pending_max,
            self._limits.session.control_frames_per_minute_max,
            self._runtime.metrics,
        )
        self._arrivals = Arrivals(self._limits.handshake, time.monotonic())
        self._trusted_proxies = networks(self._limits.trusted_proxies)
        self._closing: set[asyncio.Task[None]] = set()
        self._server: Server | None = None

    async def run(self) -> None:
        """Listen, read the feed, wait for a signal, stop in order."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        admin = await listen_admin(self._limits, self._runtime.web)
        if not self._limits.reuse_port:  # a port that is taken is told before anything else is done
            await self._open()
        serving = loop.create_task(self._serve())
        feed = loop.create_task(self._runtime.run())
        waiting = loop.create_task(stop.wait())
        beating = loop.create_task(self._beat())
        try:
            await asyncio.wait([feed, waiting, serving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._runtime.draining = True
            waiting.cancel()
            beating.cancel()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await self._drain()
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)
            if admin is not None:  # last: until here it says how the draining goes
                admin.close()
                await admin.wait_closed()
        for ended in (serving, feed):
            if not ended.cancelled():
                ended.result()  # raises what ended it
        _log.info("stopped")

    async def _serve(self) -> None:
        """Keep the public port open; of several processes on one port each opens it when it is ready."""
        while self._server is None:
            await asyncio.sleep(_READY_POLL_S)
            if self._runtime.admits:
                await self._open()
        await asyncio.get_running_loop().create_future()  # connections have tasks of their own

    async def _open(self) -> None:
        self._server = await listen(
            self._limits,
            self._tls,
            self._handle,
            select_subprotocol=_select_subprotocol,
            process_request=self._answer,
            create_connection=self._connection,
        )
        _log.info("listening", host=self._limits.host, port=self._limits.port, tls=self._tls is not None)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """An HTTP answer, or None where a WebSocket may be opened."""
        try:
            path = urlsplit(request.path).path
        except ValueError:
            return response(text(HTTPStatus.BAD_REQUEST, "this is not an address"))
        if endpoint_of(request.path) is None:
            return response(self._runtime.web.answer(request.method, path))
        refusal = check(request.path, request.headers.get_all("Origin"), self._origins)
        if refusal is not None:
            return self._refuse(connection, refusal.kind, text(refusal.status, refusal.sentence))
        denial = self._denial(connection, request)
        if denial is not None:
            later = {"Retry-After": str(denial.retry_after_s)}
            return self._refuse(connection, denial.kind, text(HTTPStatus.SERVICE_UNAVAILABLE, denial.sentence, later))
        # Taken here and not when the handshake is done: many handshakes at once would all find room.
        self._crowd.seats.add(connection)
        return None

    def _denial(self, connection: ServerConnection, request: Request) -> Denial | None:
        address = client_address(
            socket_address(connection), request.headers.get_all("X-Forwarded-For"), self._trusted_proxies
        )
        if isinstance(connection, GatewayConnection):
            connection.address = address
        if not self._runtime.admits:
            return Denial("not_ready", self._runtime.readiness().reason, FULL_RETRY_AFTER_S)
        if len(self._crowd.seats) >= self._limits.connections.total_max:
            return Denial("full", "this gateway has all the connections it can take", FULL_RETRY_AFTER_S)
        return self._arrivals.arrive(address, time.monotonic())

    def _connection(self, protocol: ServerProtocol, server: Server, **options: Any) -> ServerConnection:
        return GatewayConnection(protocol, server, self._crowd, **options)

    def _refuse(self, connection: ServerConnection, kind: str, answer: HttpReply) -> Response:
        self._runtime.metrics.refused.labels(kind).inc()
        _log.warning("handshake refused", reason=kind, connection=connection.id.hex)
        address = connection.remote_address
        self._runtime.handshake_refused(kind, str(address[0]) if address else None)
        return response(answer)

    async def _handle(self, connection: ServerConnection) -> None:
        request = connection.request
        endpoint = endpoint_of(request.path) if request is not None else None
        if request is None or endpoint is None or not isinstance(connection, GatewayConnection):
            return  # cannot be: `_answer` lets nothing else through, and `_connection` makes nothing else
        wire = SocketWire(connection, self._limits.connections.close_timeout_s, self._closing, self._runtime.metrics)
        visitor = self._runtime.visitor(wire, endpoint)
        connection.on_drained = visitor.drained
        guest = _OpenConnection(wire, visitor)
        self._guests.add(guest)
        self._runtime.metrics.sockets.set(len(self._guests))
        token = _offered_token(request.headers.get_all("Sec-WebSocket-Protocol"))
        # The library keeps both for the connection's life, a quarter of an idle one's memory. That a request came is
        # how it tells a handshake's end, so an empty one stays.
        connection.request, connection.response = _READ_REQUEST, None
        try:
            await visitor.arrive(token)
            while not visitor.closed:
                await visitor.hear(await connection.recv())
            await connection.wait_closed()
        except ConnectionClosed:
            pass  # by whom and why is in the log already, or is the client's affair
        finally:
            visitor.leave()
            self._guests.discard(guest)
            self._runtime.metrics.sockets.set(len(self._guests))
            self._runtime.garbage.connection_gone(len(self._guests))

    async def _beat(self) -> None:
        """Once a second a share of the connections: a ping for the library, a heartbeat for the page."""
        silent_s_max = 2 * self._limits.session.heartbeat_interval_s
        while True:
            await asyncio.sleep(_BEAT_S)
            now = iso(time.time())
            for guest in self._guests.tick():
                guest.wire.ping(silent_s_max)
                guest.visitor.beat(now)

    async def _drain(self) -> None:
        """Take nobody new, send everybody away, wait for them as long as the settings say."""
        server = self._server
        if server is None:  # stopped before it was ready
            return
        server.close(close_connections=False)
        await self._send_away()
        try:
            async with asyncio.timeout(self._limits.drain.wait_s_max):
                await server.wait_closed()
        except TimeoutError:
            _log.warning("connections did not close in time", left=len(self._guests))

    async def _send_away(self) -> None:
        """Close all connections, spread over a while, so that not all come back to the next gateway at once."""
        guests = self._guests.members()
        random.shuffle(guests)
        pause_s = self._limits.drain.spread_s_max / max(1, len(guests) // _SENT_AWAY_AT_ONCE)
        for place, guest in enumerate(guests):
            if place % _SENT_AWAY_AT_ONCE == 0 and place:
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            guest.wire.close(CloseCode.RESTARTING, "the gateway stops: connect again in a moment")


def _select_subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen, _ = chosen_subprotocol(offered)
    return Subprotocol(chosen) if chosen else None


def _offered_token(headers: list[str]) -> str | None:
    return chosen_subprotocol([name.strip() for header in headers for name in header.split(",")])[1]
