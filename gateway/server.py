"""The sockets: with `gateway.wire` the only file that knows the WebSocket library.

Owns the listening port, HTTP answers, handshakes, reading from clients, signs of life, and the order of
stopping. What is said on a connection is decided by `gateway.protocol`.
"""

import asyncio
import errno
import logging
import random
import signal
import ssl
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
import uvloop
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from contracts.messages import CloseCode
from gateway.answers import iso
from gateway.handshake import allowed_origins, check, chosen_subprotocol, endpoint_of
from gateway.pulse import Pulse
from gateway.runtime import Runtime
from gateway.visitor import Visitor
from gateway.web_files import SECURITY_HEADERS, Answer, text
from gateway.wire import Crowd, Seat, SocketWire, text_frame
from watchfloor.errors import WatchfloorError
from watchfloor.settings import GatewaySettings, Settings

# A message between the limit and this many times the limit is answered with an error and 4413; what is
# larger still is not read at all, and the library closes with 1009.
_READ_LIMIT_FACTOR = 4
_RETRY_AFTER_S = "2"
_BEAT_S = 1.0
_BACKLOG = 4_096
"""Connections that may wait to be accepted: after a restart thousands come at once."""
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


class _Guest(NamedTuple):
    wire: SocketWire
    visitor: Visitor


class _Gateway:
    def __init__(self, settings: Settings) -> None:
        self._limits: GatewaySettings = settings.gateway
        self._tls = _tls(settings.gateway)
        self._runtime = Runtime(settings, text_frame)
        self._origins = allowed_origins(
            self._limits.allowed_origins, self._limits.host, self._limits.port, secure=self._tls is not None
        )
        self._guests: Pulse[_Guest] = Pulse(settings.gateway.heartbeat_interval_s)
        self._crowd = Crowd(
            self._limits.handshakes_max, self._limits.control_frames_per_minute_max, self._runtime.metrics
        )
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen, read the feed, wait for a signal, stop in order."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await self._listen()
        _log.info("listening", host=self._limits.host, port=self._limits.port, tls=self._tls is not None)
        feed = loop.create_task(self._runtime.run())
        waiting = loop.create_task(stop.wait())
        beating = loop.create_task(self._beat())
        try:
            await asyncio.wait([feed, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._runtime.draining = True
            waiting.cancel()
            beating.cancel()
            await self._drain(server)
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)
        if not feed.cancelled():
            feed.result()  # raises what ended it
        _log.info("stopped")

    async def _listen(self) -> Server:
        limits = self._limits
        try:
            return await serve(
                self._handle,
                limits.host,
                limits.port,
                ssl=self._tls,
                compression=None,  # 64 KiB a connection otherwise, and a frame would not be the same for all
                select_subprotocol=_select_subprotocol,
                process_request=self._answer,
                create_connection=self._connection,  # type: ignore[arg-type]  # documented as a factory
                server_header=None,
                open_timeout=limits.authenticate_timeout_s,
                ping_interval=None,  # `_beat` does it for all: a task for each of thousands costs memory
                write_limit=limits.queue_bytes_max,
                backlog=_BACKLOG,
                close_timeout=limits.close_timeout_s,
                max_size=limits.message_bytes_max * _READ_LIMIT_FACTOR,
            )
        except OSError as error:
            where = f"{limits.host}:{limits.port}"
            if error.errno == errno.EADDRINUSE:
                raise WatchfloorError(
                    f"the gateway's port is taken ({where})", "stop what listens there, or choose another with --port"
                ) from error
            raise WatchfloorError(
                f"the gateway cannot listen at {where} ({error.strerror or error})",
                "correct gateway.host and gateway.port",
            ) from error

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """An HTTP answer, or None where a WebSocket may be opened."""
        try:
            path = urlsplit(request.path).path
        except ValueError:
            return _response(text(HTTPStatus.BAD_REQUEST, "this is not an address"))
        if endpoint_of(request.path) is None:
            return _response(self._runtime.web.answer(request.method, path))
        refusal = check(request.path, request.headers.get_all("Origin"), self._origins)
        if refusal is not None:
            return self._refuse(connection, refusal.kind, text(refusal.status, refusal.sentence))
        later = {"Retry-After": _RETRY_AFTER_S}
        if not self._runtime.admits:
            sentence = self._runtime.readiness().reason
            return self._refuse(connection, "not_ready", text(HTTPStatus.SERVICE_UNAVAILABLE, sentence, later))
        if len(self._crowd.seats) >= self._limits.connections_max:
            full = text(HTTPStatus.SERVICE_UNAVAILABLE, "this gateway has all the connections it can take", later)
            return self._refuse(connection, "full", full)
        # Taken here and not when the handshake is done: many handshakes at once would all find room.
        self._crowd.seats.add(connection)
        return None

    def _connection(self, protocol: ServerProtocol, server: Server, **options: Any) -> ServerConnection:
        return Seat(protocol, server, self._crowd, **options)

    def _refuse(self, connection: ServerConnection, kind: str, answer: Answer) -> Response:
        self._runtime.metrics.refused.labels(kind).inc()
        _log.warning("handshake refused", reason=kind, connection=connection.id.hex)
        return _response(answer)

    async def _handle(self, connection: ServerConnection) -> None:
        request = connection.request
        endpoint = endpoint_of(request.path) if request is not None else None
        if request is None or endpoint is None or not isinstance(connection, Seat):
            return  # cannot be: `_answer` lets nothing else through, and `_connection` makes nothing else
        wire = SocketWire(connection, self._limits.close_timeout_s, self._closing, self._runtime.metrics)
        visitor = self._runtime.visitor(wire, endpoint)
        connection.on_drained = visitor.drained
        guest = _Guest(wire, visitor)
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

    async def _beat(self) -> None:
        """Once a second a share of the connections: a ping for the library, a heartbeat for the page."""
        silent_s_max = 2 * self._limits.heartbeat_interval_s
        while True:
            await asyncio.sleep(_BEAT_S)
            now = iso(time.time())
            for guest in self._guests.tick():
                guest.wire.ping(silent_s_max)
                guest.visitor.beat(now)

    async def _drain(self, server: Server) -> None:
        """Take nobody new, send everybody away, wait for them as long as the settings say."""
        server.close(close_connections=False)
        await self._send_away()
        try:
            async with asyncio.timeout(self._limits.drain_s_max):
                await server.wait_closed()
        except TimeoutError:
            _log.warning("connections did not close in time", left=len(self._guests))

    async def _send_away(self) -> None:
        """Close all connections, spread over a while, so that not all come back to the next gateway at once."""
        guests = self._guests.members()
        random.shuffle(guests)
        pause_s = self._limits.drain_spread_s_max / max(1, len(guests) // _SENT_AWAY_AT_ONCE)
        for place, guest in enumerate(guests):
            if place % _SENT_AWAY_AT_ONCE == 0 and place:
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            guest.wire.close(CloseCode.RESTARTING, "the gateway stops: connect again in a moment")


def _response(answer: Answer) -> Response:
    headers = Headers(
        {
            **SECURITY_HEADERS,
            **answer.headers,
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Connection": "close",
        }
    )
    return Response(answer.status.value, answer.status.phrase, headers, answer.body)


def _select_subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen, _ = chosen_subprotocol(offered)
    return Subprotocol(chosen) if chosen else None


def _offered_token(headers: list[str]) -> str | None:
    return chosen_subprotocol([name.strip() for header in headers for name in header.split(",")])[1]


def _tls(limits: GatewaySettings) -> ssl.SSLContext | None:
    if limits.tls_certificate_file is None and limits.tls_key_file is None:
        return None
    if limits.tls_certificate_file is None or limits.tls_key_file is None:
        raise WatchfloorError("only one of gateway.tls_certificate_file and gateway.tls_key_file is set", "set both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(limits.tls_certificate_file, limits.tls_key_file)
    except OSError as error:
        raise WatchfloorError(f"the gateway's certificate cannot be read ({error})", "check both files") from error
    return context
