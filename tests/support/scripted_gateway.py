"""A gateway for the tests of clients: real sockets, scripted answers."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[["Visit"], None]


class Visit:
    """One connection to the scripted gateway."""

    def __init__(self, connection: ServerConnection, first: dict[str, Any]) -> None:
        self._connection = connection
        self.first = first

    def send(self, **message: Any) -> None:
        self._connection.send(json.dumps(message))

    def send_raw(self, text: str) -> None:
        self._connection.send(text)

    def welcome(self, seq: int = 0, epoch: str = "e1", tenant_id: int = 1, expires_in_s: float = 3600) -> None:
        times = {"timestamp": self.time(0), "expires_at": self.time(expires_in_s)}
        self.send(type="connection_established", tenant_id=tenant_id, epoch=epoch, seq=seq, **times)

    def resumed(self, first: int, last: int, reason: str | None = None) -> None:
        self.send(type="resumed", recovered=reason is None, reason=reason, **{"from": first, "to": last})

    def time(self, later_s: float) -> str:
        """As the gateway writes it; its clock is an hour ahead of ours."""
        return (datetime.now(UTC) + timedelta(hours=1, seconds=later_s)).isoformat().replace("+00:00", "Z")

    def anomaly(self, seq: int, prev_seq: int, index: int = 0, of: int = 1, **more: Any) -> None:
        self.send(type="anomaly_detected", seq=seq, prev_seq=prev_seq, part={"index": index, "of": of}, **more)

    def receive(self, timeout_s: float = 5) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=timeout_s))
        return message

    def close(self, code: int, reason: str = "") -> None:
        self._connection.close(code, reason)

    def stay(self) -> None:
        """Keep the connection until the client leaves."""
        try:
            while True:
                self._connection.recv()
        except ConnectionClosed:
            return


class ScriptedGateway:
    """Follows one script a connection, the last one again and again."""

    def __init__(self, scripts: list[Script]) -> None:
        self.visits: list[Visit] = []
        self.paths: list[str] = []
        self.left: list[int | None] = []
        """Close codes, in the order of the ends."""
        self._scripts = scripts
        self._server: Server = serve(self._handle, "127.0.0.1", 0, compression=None)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    @property
    def tokens(self) -> list[str]:
        return [visit.first["token"] for visit in self.visits]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(5)

    def _handle(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        self.paths.append(request.path)
        visit = Visit(connection, json.loads(connection.recv(timeout=5)))
        place = len(self.visits)
        self.visits.append(visit)
        with suppress(ConnectionClosed):
            self._scripts[min(place, len(self._scripts) - 1)](visit)
        self.left.append(connection.close_code)


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedGateway]]:
    """`scripted(script, …)` starts a gateway that follows them."""
    started: list[ScriptedGateway] = []

    def start(*scripts: Script) -> ScriptedGateway:
        started.append(ScriptedGateway(list(scripts)))
        return started[-1]

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture
def dead_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
