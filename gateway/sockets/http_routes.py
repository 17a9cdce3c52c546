"""What the gateway replies over plain HTTP: the page, its files, health, readiness and metrics.

Pure: a path in, a reply out. The files are read once at the start; a path never reaches the disk.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from gateway.health.readiness import Readiness

STATIC_DIR = Path(__file__).parent.parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEALTH_PATHS = frozenset({"/api/noc/health/", "/api/noc/health"})
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECURITY_HEADERS: dict[str, str] = {
    # No inline script or style, nothing from elsewhere, not in a frame. 'self' includes the WebSocket.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply without its transport."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpRoutes:
    """Replies to requests that are not WebSockets.

    Args:
        health: whether the chain is well enough for a 200, and the JSON of `/api/noc/health/`.
    """

    def __init__(
        self,
        readiness: Callable[[], Readiness],
        metrics: Callable[[], bytes],
        health: Callable[[], tuple[bool, bytes]],
    ) -> None:
        self._readiness = readiness
        self._metrics = metrics
        self._health = health
        self._files = {
            f"/{path.relative_to(STATIC_DIR).as_posix()}": (_TYPES[path.suffix], path.read_bytes())
            for path in sorted(STATIC_DIR.rglob("*"))
            if path.suffix in _TYPES and path.is_file()
        }
        self._files["/"] = self._files["/index.html"]

    def reply(self, method: str, path: str, *, admin: bool = False) -> HttpReply:
        """The reply to a path without its query. The admin port has the metrics and no page."""
        if method not in {"GET", "HEAD"}:
            return text(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered here", {"Allow": "GET, HEAD"})
        found = self._find(path, admin=admin)
        return found if method == "GET" else HttpReply(found.status, found.content_type, b"", found.headers)

    def _find(self, path: str, *, admin: bool) -> HttpReply:
        if path == "/healthz":
            return text(HTTPStatus.OK, "ok")
        if path == "/readyz":
            return self._ready()
        if path == "/metrics" and admin:
            return HttpReply(HTTPStatus.OK, _METRICS_TYPE, self._metrics(), {"Cache-Control": "no-store"})
        if path in _HEALTH_PATHS:
            well, body = self._health()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
            return HttpReply(status, "application/json", body, {"Cache-Control": "no-store"})
        file = None if admin else self._files.get(path)
        if file is None:
            return text(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        return HttpReply(HTTPStatus.OK, file[0], file[1], {"Cache-Control": "no-cache"})

    def _ready(self) -> HttpReply:
        readiness = self._readiness()
        status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps({"ready": readiness.ready, "reason": readiness.reason}).encode()
        return HttpReply(status, "application/json", body, {"Cache-Control": "no-store"})


def text(status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> HttpReply:
    """A short plain reply."""
    return HttpReply(status, "text/plain; charset=utf-8", f"{sentence}\n".encode(), headers or {})
