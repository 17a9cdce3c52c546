"""Who may open a WebSocket, decided from the request alone: endpoint, Origin, query, subprotocols.

Pure. A browser always names its Origin; a request without one comes from a program, which no foreign
page can drive.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from contracts.messages import BEARER_PREFIX, SUBPROTOCOL
from gateway.access.admission import Refusal
from gateway.feed.rendering import Endpoint
from gateway.sockets.request_target import path_of
from watchfloor_client.addresses import is_loopback

ENDPOINTS: dict[str, Endpoint] = {
    "/ws/noc/dashboard/": Endpoint.DASHBOARD,
    "/ws/noc/": Endpoint.DASHBOARD,
    "/ws/noc/anomaly-stream/": Endpoint.ANOMALY_STREAM,
}
_TOKEN_PARAMETERS = frozenset({"token", "access_token", "jwt", "bearer"})
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+")
"""A JWT by whatever name it comes."""


def endpoint_of(target: str) -> Endpoint | None:
    """The endpoint of a request target, None where it has none; the last slash may be missing."""
    path = path_of(target) or ""
    return ENDPOINTS.get(path if path.endswith("/") else f"{path}/")


def check(target: str, origins: Sequence[str], allowed: frozenset[str]) -> Refusal | None:
    """Why a handshake is refused, if it is, by its target with the query and the values of its Origin headers."""
    if len(origins) > 1 or (origins and origins[0].lower() not in allowed):
        problem = "this origin may not connect, see gateway.allowed_origins"
        return Refusal("origin", problem, status=HTTPStatus.FORBIDDEN)
    query = urlsplit(target).query
    named = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
    if named & _TOKEN_PARAMETERS or _TOKEN.search(unquote(query)):
        problem = "a token in an address ends up in logs: send it in the first message"
        return Refusal("token_in_url", problem, status=HTTPStatus.BAD_REQUEST)
    return None


def allowed_origins(configured: Sequence[str], host: str, port: int, *, secure: bool) -> frozenset[str]:
    """The configured origins, and the gateway's own where it listens on loopback; `secure`: it speaks TLS itself."""
    own: list[str] = []
    if is_loopback(host):
        scheme = "https" if secure else "http"
        own = [f"{scheme}://{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    return frozenset(origin.rstrip("/").lower() for origin in (*configured, *own))


def chosen_subprotocol(offered: Sequence[str]) -> tuple[str | None, str | None]:
    """The subprotocol to accept, and the token that came with it."""
    if SUBPROTOCOL not in offered:
        return None, None
    tokens = [name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)]
    return SUBPROTOCOL, tokens[0] if tokens else None
