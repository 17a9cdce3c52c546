"""A Connect that answers over HTTP as the real one does."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from common.settings.connect import ConnectSettings
from common.settings.load import Settings

TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: wrapper\n\tat a.b.C\n"
    "Caused by: io.debezium.DebeziumException: Publication watchfloor is missing\n\tat d.e.F\n"
)


@dataclass
class Cluster:
    """The state of one connector as Connect's REST interface shows it."""

    url: str = ""
    config: dict[str, str] | None = None
    stopped: bool = False
    fails: bool = False
    trace: str = TRACE
    refusal: tuple[int, str] | None = None
    busy: int = 0
    """How many writes are answered with 409, as during a rebalance."""
    calls: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        verb = f"{method} {path.partition('?')[0].removeprefix('/connectors/watchfloor')}"
        return self.read(verb) if method == "GET" else self.write(verb, body)

    def read(self, verb: str) -> tuple[int, Any]:
        if verb == "GET /":
            return 200, {}
        if self.config is None:
            return 404, {"message": "not found"}
        return 200, self.status() if verb == "GET /status" else self.config

    def write(self, verb: str, body: Any) -> tuple[int, Any]:
        if self.busy:
            self.busy -= 1
            return 409, {"message": "rebalancing"}
        self.calls.append(verb)
        if verb == "PUT /config":
            if self.refusal:
                return self.refusal[0], {"message": self.refusal[1]}
            self.config = body | {"name": "watchfloor"}
        elif verb == "POST /restart":
            self.fails = False
        else:
            self.stopped = verb == "PUT /stop"
        return 202, {}

    def status(self) -> Any:
        task = {"id": 0, "state": "FAILED", "trace": self.trace} if self.fails else {"id": 0, "state": "RUNNING"}
        return {
            "name": "watchfloor",
            "connector": {"state": "STOPPED" if self.stopped else "RUNNING", "worker_id": "w:1"},
            "tasks": [] if self.stopped else [task | {"worker_id": "w:1"}],
        }


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    state = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = state.answer(self.command, self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server looks these names up

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(cluster: Cluster) -> Settings:
    return Settings(connect=ConnectSettings(url=cluster.url, start_timeout_s=2))
