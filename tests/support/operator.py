"""An operator's connection, and the rows that tests write."""

import itertools
import json
import time
from contextlib import ExitStack
from typing import Any, Self

import psycopg
from psycopg import sql
from support.log_scan import scan
from support.published_contract import check_heard, check_said
from support.stack import RunningStack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

DASHBOARD = "/ws/noc/dashboard/"
STREAM = "/ws/noc/anomaly-stream/"

_numbers = itertools.count(int(time.time() * 1000))


def fresh_id() -> int:
    """An id that no other test uses; good for tenants too."""
    return next(_numbers)


def insert(connection: "psycopg.Connection[Any]", table: str, **columns: Any) -> int:
    """Insert and commit one row; returns its id, a fresh one where none is given."""
    columns = {"id": fresh_id()} | columns
    if table == "person":
        scan.plant(*(columns.get(name) for name in ("name", "phone", "email")))
    statement = sql.SQL("INSERT INTO public.{} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    connection.execute(statement, list(columns.values()))
    return int(columns["id"])


def update(connection: "psycopg.Connection[Any]", table: str, row_id: int, **columns: Any) -> None:
    """Update and commit one row."""
    changes = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns]
    statement = sql.SQL("UPDATE public.{} SET {} WHERE id = %s").format(
        sql.Identifier(table), sql.SQL(", ").join(changes)
    )
    connection.execute(statement, [*columns.values(), row_id])


class Operator:
    """A signed-in client that remembers every message, each held against the published schemas."""

    def __init__(self, stack: RunningStack, tenant: int, path: str = DASHBOARD, **claims: Any) -> None:
        self.tenant = tenant
        self._path = path
        self.messages: list[dict[str, Any]] = []
        claims.setdefault("capabilities", ("noc:view", "noc:view_all_clients", "noc:view_pii"))
        self._open = ExitStack()
        url = stack.endpoints["websocket"] + path
        self._socket: ClientConnection = self._open.enter_context(connect(url, compression=None))
        self.send(type="authenticate", token=stack.make_token(tenant, **claims))
        self.greeting = self.expect("connection_established")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def send(self, **message: Any) -> None:
        """Send one message of the contract."""
        check_said(message)
        self._socket.send(json.dumps(message))

    def expect(self, kind: str, *, timeout_s: float = 30.0, **fields: Any) -> dict[str, Any]:
        """The next message of this type with these fields; what comes before it is kept in `messages`.

        Raises:
            AssertionError: it did not come in time.
        """
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._hear(left)
            except TimeoutError:
                break
            self.messages.append(message)
            if message["type"] == kind and all(message.get(name) == value for name, value in fields.items()):
                return message
        raise AssertionError(f"no {kind} {fields} within {timeout_s:g} s; got {self.messages[-5:]}")

    def collect(self, seconds: float) -> list[dict[str, Any]]:
        """All messages that come within a time, but for what the gateway says of the connection and of the chain."""
        before, deadline = len(self.messages), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.messages.append(self._hear(left))
            except TimeoutError:
                break
        return [message for message in self.messages[before:] if message["type"] not in ("heartbeat", "feed_status")]

    def _hear(self, timeout_s: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=timeout_s))
        check_heard(message, self._path)
        return message

    def closed_with(self, timeout_s: float = 30.0) -> int | None:
        """Wait for the server to close; returns its close code."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._socket.recv(timeout=left)
            except TimeoutError:
                break
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006
        raise AssertionError(f"the server did not close within {timeout_s:g} s")
