"""The worker's HTTP server: `/metrics` for Prometheus, `/healthz` and `/readyz` for supervisors."""

import errno
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from common.errors import WatchfloorError

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        """Log nothing: a line for each scrape would be noise."""


class Probes:
    """Serves the probes from a separate thread, so that they answer while the event loop is busy.

    Args:
        host, port: the address to listen on.
        ready: whether `/readyz` answers with 200.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, ready: Callable[[], bool]) -> None:
        self._host, self._port = host, port
        self._metrics = make_wsgi_app(registry)
        self._ready = ready
        self._server: WSGIServer | None = None

    def start(self) -> None:
        """Listen and serve.

        Raises:
            WatchfloorError: the port is taken, or the address is not one of this machine.
        """
        try:
            self._server = make_server(self._host, self._port, self._answer, _Server, _QuietHandler)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise WatchfloorError(
                f"the metrics address {self._host}:{self._port} {'is taken' if taken else 'cannot be used'}",
                "set worker.metrics.port (and worker.metrics.host) to a free one",
            ) from error
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()

    def stop(self) -> None:
        """Stop listening, if started."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return self._metrics(environ, start_response)  # type: ignore[no-any-return]
        if path == "/healthz":
            status, body = "200 OK", b"alive\n"
        elif path == "/readyz":
            status, body = ("200 OK", b"ready\n") if self._ready() else ("503 Service Unavailable", b"not ready\n")
        else:
            status, body = "404 Not Found", b"try /metrics, /healthz or /readyz\n"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]
