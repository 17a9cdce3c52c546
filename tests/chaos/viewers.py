"""Clients of a gateway that come back whatever happens, and know in the end whether they missed anything.

Small and independent: they share no code with `watchfloor_client` and none with the gateway. What they heard is judged
by `support.expected_messages` from the log itself.
"""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from support.expected_messages import STREAM, Transcript, View, wrong_with
from support.published_contract import heard_problems
from support.waiting import let_pass_async
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

Json = dict[str, Any]
_PATHS = {"dashboard": "/ws/noc/dashboard/", STREAM: "/ws/noc/anomaly-stream/"}
_SILENCE_S_MAX = 30.0


@dataclass
class _Connection:
    """One connection of a viewer: where it asked to go on, and what it heard."""

    position: int | None
    heard: list[Json] = field(default_factory=list)


class Viewer:
    """One client.

    Args:
        view: what it may see and asks for.
        endpoint: `dashboard` or `anomaly-stream`.
        token: makes a token of its view.
        ports: of the gateways; it goes to any.
        seed: of its choices.
    """

    def __init__(self, view: View, endpoint: str, token: Callable[[], str], ports: Sequence[int], seed: int) -> None:
        self.view = view
        self.endpoint = endpoint
        self._token = token
        self._ports = ports
        self._random = random.Random(seed)
        self._epoch = ""
        self._whole = 0
        """Everything for it up to here was had, all parts of each."""
        self._parts: set[int] = set()
        """Of the record behind `_whole` that it had in part: which parts."""
        self._part_seq = 0
        self.had: list[tuple[int, int]] = []
        """Seq and part of every message, in the order of their coming, each once."""
        self.begun: int | None = None
        self.connections: list[_Connection] = []
        self.refusals: Counter[str] = Counter()
        self.faults: list[str] = []
        self.reads = asyncio.Event()
        """Cleared while it does not read, as a page that hangs."""
        self.reads.set()
        self._socket: ClientConnection | None = None

    @property
    def position(self) -> int:
        """Where it would go on."""
        return self._whole

    def cut(self) -> None:
        """Drop the connection, as a lost network does."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            port = self._random.choice(self._ports)
            try:
                async with connect(
                    f"ws://127.0.0.1:{port}{_PATHS[self.endpoint]}", compression=None, ping_interval=None,
                    open_timeout=5, close_timeout=1, max_size=None, proxy=None,
                ) as socket:  # fmt: skip
                    self._socket = socket
                    await self._read(socket)
            except (OSError, TimeoutError, WebSocketException):
                pass
            finally:
                self._socket = None
            await let_pass_async(self._random.uniform(0.05, 0.6))

    async def _read(self, socket: ClientConnection) -> None:
        position = None if self.begun is None else self._whole
        connection = _Connection(position)
        self.connections.append(connection)
        message: Json = {
            "type": "authenticate", "token": self._token(), "client_ids": sorted(self.view.wanted_clients),
            "site_ids": sorted(self.view.wanted_sites),
        }  # fmt: skip
        if position is not None:
            message["resume"] = {"epoch": self._epoch, "seq": position}
        await socket.send(json.dumps(message))
        while True:
            await self.reads.wait()
            async with asyncio.timeout(_SILENCE_S_MAX):
                heard: Json = json.loads(await socket.recv())
            connection.heard.append(heard)
            if not self._take(heard):
                return

    def _take(self, message: Json) -> bool:
        """Follow a message; False where the connection is of no use."""
        match message["type"]:
            case "connection_established":
                if self.begun is None:
                    self._epoch, self.begun, self._whole = message["epoch"], message["seq"], message["seq"]
                elif message["epoch"] != self._epoch:
                    self.faults.append("another epoch")
            case "resumed":
                if not message["recovered"]:
                    self.refusals[message["reason"]] += 1
                    return False  # with the same position again: the log is whole
            case "heartbeat":
                self._whole = max(self._whole, message.get("seq", 0))
            case "gap":
                self.faults.append(f"a gap {message}")
            case _ if "prev_seq" in message:
                self._message(message)
        return True

    def _message(self, message: Json) -> None:
        seq, part = message["seq"], message.get("part", {"index": 0, "of": 1})
        if seq <= self._whole:
            self.faults.append(f"{seq} came again")
            return
        if seq != self._part_seq:
            self._part_seq, self._parts = seq, set()
        if part["index"] in self._parts:
            return  # it had this part on the connection before
        self._parts.add(part["index"])
        self.had.append((seq, part["index"]))
        if len(self._parts) == part["of"]:
            self._whole = seq

    def judge(self, log: dict[int, Json]) -> list[str]:
        """All that is wrong, by the tenant's whole log."""
        expected = [
            (seq, index)
            for seq, record in sorted(log.items())
            if seq > (self.begun or 0) and self.view.shows(record)
            for index in range(len(record.get("findings", ())) if self.endpoint != STREAM else 1) or range(1)
        ]
        faults = list(self.faults)
        if self.begun is None:
            faults.append("it never signed in")
        if self.had != expected:
            missing = sorted(set(expected) - set(self.had))[:5]
            faults.append(f"had {len(self.had)} of {len(expected)} messages; missing {missing}, or in another order")
        for connection in self.connections:
            faults += self._judge_connection(connection, log)
        return [f"tenant {self.view.tenant}, {self.endpoint}: {fault}" for fault in faults]

    def _judge_connection(self, connection: _Connection, log: dict[int, Json]) -> list[str]:
        transcript = Transcript(self.view, self.endpoint, log, resuming=connection.position)
        for message in connection.heard:
            transcript.hears(message)
            if problems := list(heard_problems(message, _PATHS[self.endpoint])):
                transcript.faults.append(f"not of the contract: {problems[:2]}")
            if "prev_seq" in message and message["seq"] in log:
                transcript.faults += wrong_with(message, log[message["seq"]], self.view, self.endpoint)
        # A connection that was cut in the middle of its sign-in or of a record has done nothing wrong.
        return transcript.faults


class Crowd:
    """Viewers in a thread of their own; a context manager."""

    def __init__(self, viewers: Sequence[Viewer]) -> None:
        self.viewers = viewers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self.call(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def call(self, act: Callable[[], None]) -> None:
        """Do something in the viewers' loop."""

        async def acting() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acting(), self._loop).result(10)

    def _begin(self) -> None:
        self._tasks = [self._loop.create_task(viewer.run()) for viewer in self.viewers]

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
