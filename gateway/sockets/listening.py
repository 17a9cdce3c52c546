"""The listening ports: the public one with its WebSockets, and the admin port of this process alone.

Owns how the library is set up, TLS, and the error about an address that cannot be had. Decides nothing of a request.
"""

import errno
import ssl
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from common.errors import WatchfloorError
from common.settings.gateway import GatewaySettings, TlsSettings
from gateway.sockets.gateway_protocol import secured
from gateway.sockets.http_routes import SECURITY_HEADERS, HttpReply, HttpRoutes, text
from gateway.sockets.request_target import path_of

# A message between the limit and this many times the limit is answered with an error and 4413; what is
# larger still is not read at all, and the library closes with 1009.
_READ_LIMIT_FACTOR = 4
_BACKLOG = 4_096
"""Connections that may wait to be accepted: after a restart thousands come at once."""


async def listen(
    limits: GatewaySettings,
    tls: ssl.SSLContext | None,
    handler: Callable[[ServerConnection], Awaitable[None]],
    *,
    select_subprotocol: Callable[[ServerConnection, Sequence[Subprotocol]], Subprotocol | None],
    process_request: Callable[[ServerConnection, Request], Awaitable[Response | None]],
    create_connection: Callable[..., ServerConnection],
) -> Server:
    """Open the public port.

    Raises:
        WatchfloorError: the address cannot be had.
    """
    try:
        return await serve(
            handler,
            limits.host,
            limits.port,
            ssl=tls,
            ssl_handshake_timeout=limits.session.authenticate_timeout_s if tls is not None else None,
            reuse_port=limits.reuse_port or None,
            compression=None,  # 64 KiB a connection otherwise, and a frame would not be the same for all
            select_subprotocol=select_subprotocol,
            process_request=process_request,
            create_connection=create_connection,  # type: ignore[arg-type]  # documented as a factory
            server_header=None,
            open_timeout=limits.session.authenticate_timeout_s,
            ping_interval=None,  # the gateway does it for all: a task for each of thousands costs memory
            write_limit=limits.connections.queue_bytes_max,
            backlog=_BACKLOG,
            close_timeout=limits.connections.close_timeout_s,
            max_size=limits.session.message_bytes_max * _READ_LIMIT_FACTOR,
        )
    except OSError as error:
        where = f"{limits.host}:{limits.port}"
        if error.errno == errno.EADDRINUSE:
            advice = (
                "start every gateway of this port with --reuse-port and as the same user"
                if limits.reuse_port
                else "stop what listens there, or choose another with --port"
            )
            raise WatchfloorError(f"the gateway's port is taken ({where})", advice) from error
        raise WatchfloorError(
            f"the gateway cannot listen at {where} ({error.strerror or error})", "correct gateway.host and gateway.port"
        ) from error


async def listen_admin(limits: GatewaySettings, routes: HttpRoutes) -> Server:
    """Open the admin port. It replies over HTTP only.

    Raises:
        WatchfloorError: the address cannot be had.
    """

    def reply(_connection: ServerConnection, request: Request) -> Response:
        return http_response(routes, request, admin=True)

    try:
        return await serve(
            _no_websocket,
            limits.admin.host,
            limits.admin.port,
            process_request=reply,
            create_connection=_admin_connection,  # type: ignore[arg-type]  # documented as a factory
            server_header=None,
            open_timeout=limits.session.authenticate_timeout_s,
        )
    except OSError as error:
        raise WatchfloorError(
            f"the gateway cannot listen at its admin address {limits.admin.host}:{limits.admin.port} "
            f"({error.strerror or error})",
            "choose a free one with --admin-port; each gateway of a machine needs its own",
        ) from error


def http_response(routes: HttpRoutes, request: Request, *, admin: bool = False) -> Response:
    """The response to a request that opens no WebSocket."""
    path = path_of(request.path)
    if path is None:
        return response(text(HTTPStatus.BAD_REQUEST, "this is not an address, or one that can be read in two ways"))
    return response(routes.reply(request.method, path, admin=admin))


def response(reply: HttpReply) -> Response:
    """A reply as the library sends it; the connection ends with it."""
    headers = Headers(
        {
            **SECURITY_HEADERS,
            **reply.headers,
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body)),
            "Connection": "close",
        }
    )
    return Response(reply.status.value, reply.status.phrase, headers, reply.body)


def tls_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """The certificate of the settings, None where they name none.

    Raises:
        WatchfloorError: one of the two files is not named, or cannot be read.
    """
    if tls.certificate_file is None and tls.key_file is None:
        return None
    if tls.certificate_file is None or tls.key_file is None:
        raise WatchfloorError("only one of gateway.tls.certificate_file and gateway.tls.key_file is set", "set both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    except OSError as error:
        raise WatchfloorError(f"the gateway's certificate cannot be read ({error})", "check both files") from error
    return context


def _admin_connection(protocol: ServerProtocol, server: Server, **options: Any) -> ServerConnection:
    return ServerConnection(secured(protocol, tls=False), server, **options)


async def _no_websocket(_connection: Any) -> None:
    """Never called: every request of the admin port is answered before."""
