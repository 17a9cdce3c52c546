"""The gateway process: takes handshakes, reads from clients, keeps connections alive, and stops in order.

With `gateway.sockets` the only part that knows the WebSocket library. What is sent on a connection is decided by
`gateway.session.protocol`, what is served over HTTP by `gateway.sockets.http_routes`.
"""

import asyncio
import logging
import random
import signal
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

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
from gateway.access.admission import FULL_RETRY_AFTER_S, ConnectRates, Refusal
from gateway.access.client_address import client_address, networks
from gateway.delivery.audit import Actor
from gateway.gc_tuning import GcTuning
from gateway.kafka.kafka_clients import KafkaClients
from gateway.lifetime import run_parts
from gateway.session.effects import Action, Audit
from gateway.session.replies import iso
from gateway.sockets.connection_shell import ConnectionShell
from gateway.sockets.gateway_connection import Connections, GatewayConnection, socket_address
from gateway.sockets.gateway_protocol import secured
from gateway.sockets.handshake import allowed_origins, check, chosen_subprotocol, endpoint_of
from gateway.sockets.http_routes import text
from gateway.sockets.listening import http_response, listen, listen_admin, response, tls_context
from gateway.sockets.request_target import path_of
from gateway.sockets.sign_in_pool import SignInPool
from gateway.sockets.sign_in_routes import PATHS
from gateway.sockets.socket_sink import SocketSink, text_frame
from gateway.staggered_schedule import StaggeredSchedule
from gateway.wiring import GatewayParts, wire_gateway

_HEARTBEAT_TICK_S = 1.0
_READY_POLL_S = 0.05
_CLOSED_AT_ONCE = 50
_READ_REQUEST = Request("", Headers())

_log = structlog.get_logger(__name__)


def run_gateway(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then close every connection and return.

    Raises:
        WatchfloorError: the port cannot be had, no broker answers, or tokens cannot be verified.
    """
    # At debug the library logs handshake headers, and a token may be among them.
    logging.getLogger("websockets").setLevel(logging.WARNING)
    # Each question to another component would be a line.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # What it retries is logged by the feed's handler, once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    parts = wire_gateway(settings, text_frame, KafkaClients(settings.kafka))
    uvloop.run(GatewayServer(settings.gateway, parts).run())


class _OpenConnection(NamedTuple):
    sink: SocketSink
    shell: ConnectionShell


class GatewayServer:
    """The sockets of one gateway.

    Raises:
        WatchfloorError: the certificate cannot be read, or a trusted proxy is no network.
    """

    def __init__(self, limits: GatewaySettings, parts: GatewayParts) -> None:
        self._limits = limits
        self._tls = tls_context(limits.tls)
        self._parts = parts
        self._gc_tuning = GcTuning()
        self._origins = allowed_origins(
            self._limits.allowed_origins, self._limits.host, self._limits.port, secure=self._tls is not None
        )
        self._open_connections: StaggeredSchedule[_OpenConnection] = StaggeredSchedule(
            limits.session.heartbeat_interval_s
        )
        self._connections = Connections(
            SignInPool(limits.handshake.pending_max), limits.session.control_frames_per_minute_max, parts.metrics
        )
        self._connect_rates = ConnectRates(limits.handshake, time.monotonic())
        self._trusted_proxies = networks(self._limits.trusted_proxies)
        self._closing: set[asyncio.Task[None]] = set()
        self._server: Server | None = None

    async def run(self) -> None:
        """Listen, read the feed, wait for a signal, stop in order."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        admin = await listen_admin(self._limits, self._parts.routes)
        if not self._limits.reuse_port:  # a port that is taken is reported before anything else is done
            await self.open()
        serving = loop.create_task(self._serve())
        running = loop.create_task(run_parts(self._parts, self._gc_tuning))
        waiting = loop.create_task(stop.wait())
        heartbeats = loop.create_task(self._send_heartbeats())
        try:
            await asyncio.wait([running, waiting, serving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._parts.readiness.stop()
            waiting.cancel()
            heartbeats.cancel()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await self._drain()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            admin.close()  # last: until here it shows how the draining goes
            await admin.wait_closed()
        for ended in (serving, running):
            if not ended.cancelled():
                ended.result()  # raises what ended it
        _log.info("stopped")

    async def _serve(self) -> None:
        """Keep the public port open; of several processes on one port each opens it when it is ready."""
        while self._server is None:
            await asyncio.sleep(_READY_POLL_S)
            if self._parts.readiness.admits:
                await self.open()
        await asyncio.get_running_loop().create_future()  # connections have tasks of their own

    async def open(self) -> None:
        """Open the public port.

        Raises:
            WatchfloorError: the address cannot be had.
        """
        self._server = await listen(
            self._limits,
            self._tls,
            self._handle,
            select_subprotocol=_select_subprotocol,
            process_request=self._response,
            create_connection=self._new_connection,
        )
        _log.info("listening", host=self._limits.host, port=self._limits.port, tls=self._tls is not None)

    async def _response(self, connection: ServerConnection, request: Request) -> Response | None:
        """An HTTP response, or None where a WebSocket may be opened."""
        if request.method == "POST" and path_of(request.path) in PATHS:
            return await self._sign_in_response(connection, request)
        if endpoint_of(request.path) is None or request.method != "GET":
            return http_response(self._parts.routes, request)
        refusal = check(request.path, request.headers.get_all("Origin"), self._origins)
        refusal = refusal or self._refusal(connection, request)
        if refusal is not None:
            return self._refuse(connection, refusal)
        return None

    async def _sign_in_response(self, connection: ServerConnection, request: Request) -> Response:
        refusal = check(request.path, request.headers.get_all("Origin"), self._origins)
        refusal = refusal or self._refusal(connection, request)
        if refusal is not None:
            return self._refuse(connection, refusal)
        peer = getattr(connection, "address", None) or socket_address(connection)
        authorization = " ".join(request.headers.get_all("Authorization"))
        return response(await self._parts.sign_in_routes.reply(request.path.partition("?")[0], authorization, peer))

    def _refusal(self, connection: ServerConnection, request: Request) -> Refusal | None:
        address = client_address(
            socket_address(connection), request.headers.get_all("X-Forwarded-For"), self._trusted_proxies
        )
        if isinstance(connection, GatewayConnection):
            connection.address = address
            self._connections.waits(connection, address)
        readiness = self._parts.readiness
        if not readiness.admits:
            return Refusal("not_ready", readiness.readiness().reason, FULL_RETRY_AFTER_S)
        if len(self._parts.services.signed_in) >= self._limits.connections.total_max:
            return Refusal("full", "this gateway has all the connections it can take", FULL_RETRY_AFTER_S)
        return self._connect_rates.take(address, time.monotonic())

    def _new_connection(self, protocol: ServerProtocol, server: Server, **options: Any) -> ServerConnection:
        return GatewayConnection(secured(protocol, tls=self._tls is not None), server, self._connections, **options)

    def _refuse(self, connection: ServerConnection, refusal: Refusal) -> Response:
        self._parts.metrics.refused.labels(refusal.kind).inc()
        _log.warning("handshake refused", reason=refusal.kind, connection=connection.id.hex)
        what = Audit(Action.HANDSHAKE, allowed=False, reason=refusal.kind)
        self._parts.services.audit.note(what, Actor(peer=socket_address(connection) or None), time.time())
        later = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
        return response(text(refusal.status, refusal.sentence, later))

    async def _handle(self, connection: ServerConnection) -> None:
        request = connection.request
        endpoint = endpoint_of(request.path) if request is not None else None
        if request is None or endpoint is None or not isinstance(connection, GatewayConnection):
            return  # cannot be: `_response` lets nothing else through, and `_new_connection` makes nothing else
        sink = SocketSink(connection, self._limits.connections.close_timeout_s, self._closing, self._parts.metrics)
        shell = self._parts.new_shell(sink, endpoint)
        self._connections.shells[connection] = shell
        opened = _OpenConnection(sink, shell)
        self._open_connections.add(opened)
        self._parts.metrics.sockets.set(len(self._open_connections))
        token = _offered_token(request.headers.get_all("Sec-WebSocket-Protocol"))
        # The library keeps both for the connection's life, a quarter of an idle one's memory. That a request came is
        # how it tells a handshake's end, so an empty one stays.
        connection.request, connection.response = _READ_REQUEST, None
        try:
            await shell.open(token)
            while shell.bearer is None and not shell.closed:
                await shell.receive(await connection.recv())
            if shell.bearer is not None:
                self._connections.pool.discard(connection)
            while not shell.closed:
                await shell.receive(await connection.recv())
            await connection.wait_closed()
        except ConnectionClosed:
            pass  # the gateway's own closing is in the log already, the client's need not be
        finally:
            shell.disconnected()
            self._connections.shells.pop(connection, None)
            self._open_connections.discard(opened)
            self._parts.metrics.sockets.set(len(self._open_connections))
            self._gc_tuning.connection_gone(len(self._open_connections))

    async def _send_heartbeats(self) -> None:
        """Once a second a share of the connections: a ping for the library, a heartbeat for the page."""
        silent_s_max = 2 * self._limits.session.heartbeat_interval_s
        while True:
            await asyncio.sleep(_HEARTBEAT_TICK_S)
            now = iso(time.time())
            for connection in self._open_connections.tick():
                connection.sink.ping(silent_s_max)
                connection.shell.heartbeat(now)

    async def _drain(self) -> None:
        """Take no new connections, close all, wait for them for `gateway.drain.wait_s_max`."""
        server = self._server
        if server is None:  # stopped before it was ready
            return
        server.close(close_connections=False)
        await self._close_all()
        try:
            async with asyncio.timeout(self._limits.drain.wait_s_max):
                await server.wait_closed()
        except TimeoutError:
            _log.warning("connections did not close in time", left=len(self._open_connections))

    async def _close_all(self) -> None:
        """Close all connections, spread over a while, so that not all come back to the next gateway at once."""
        connections = self._open_connections.members()
        random.shuffle(connections)
        pause_s = self._limits.drain.spread_s_max / max(1, len(connections) // _CLOSED_AT_ONCE)
        for index, connection in enumerate(connections):
            if index % _CLOSED_AT_ONCE == 0 and index:
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            connection.sink.close(CloseCode.RESTARTING, "the gateway stops: connect again in a moment")


def _select_subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen, _ = chosen_subprotocol(offered)
    return Subprotocol(chosen) if chosen else None


def _offered_token(headers: list[str]) -> str | None:
    return chosen_subprotocol([name.strip() for header in headers for name in header.split(",")])[1]
