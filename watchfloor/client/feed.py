"""The connection to one feed: sign-in, heartbeat, reconnection by the server's advice.

Owns one WebSocket at a time. Never shows a token: it goes into the first message and nowhere else.
Close codes and what they ask of a client are the contract's (`contracts.messages.ADVICE`).
"""

import asyncio
import random
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from contracts.messages import ADVICE, Advice, CloseCode, Reconnect
from watchfloor.addresses import is_loopback
from watchfloor.client.events import Connected, Disconnected, Event, Gap, Message
from watchfloor.client.sequence import SequenceTracker
from watchfloor.errors import WatchfloorError

_REFUSALS_MAX = 2
"""Tokens that are new each time and refused each time are made with another secret than the gateway's."""
_UNSHOWN = frozenset({"pong", "heartbeat"})
_UNKNOWN = Advice(Reconnect.YES, 1, "the connection broke")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Stream(StrEnum):
    """The endpoints of contract v1."""

    DASHBOARD = "dashboard"
    ANOMALY = "anomaly"

    @property
    def path(self) -> str:
        """Where the gateway serves it."""
        return "/ws/noc/dashboard/" if self is Stream.DASHBOARD else "/ws/noc/anomaly-stream/"


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """Where to connect and how patient to be."""

    url: str
    """`ws://` or `wss://`, host and port; with a path where a proxy serves the gateway below one."""
    token: Callable[[], str] = field(repr=False)
    """Called before each connection, so that a renewed token is taken up."""
    stream: Stream = Stream.DASHBOARD
    allow_plaintext: bool = False
    """Send the token over `ws://` to another machine."""
    heartbeat_interval_s: float = 25.0
    silence_s_max: float = 60.0
    """Without any frame for so long the connection is taken for dead."""
    open_timeout_s: float = 10.0
    retry_delay_s: float = 0.5
    retry_delay_s_max: float = 60.0
    stable_after_s: float = 10.0
    """A connection that lived so long resets the growing delay."""
    message_bytes_max: int = 1024 * 1024
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The URL of the endpoint.

        Raises:
            WatchfloorError: not a WebSocket URL, or one that would carry the token readable to others.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise WatchfloorError(f"{self.url} is not a WebSocket address", "give one such as wss://noc.example.com")
        if parts.query or parts.username or parts.password:
            raise WatchfloorError("the WebSocket address holds a query or a password", "give the token in a file")
        if parts.scheme == "ws" and not self.allow_plaintext and not is_loopback(parts.hostname):
            raise WatchfloorError(
                f"the token would cross the network to {parts.hostname} readable to everybody",
                "use wss://, or allow it with --allow-plaintext in a network that you trust",
            )
        path = parts.path.rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}{self.stream.path}"


class Feed:
    """A feed that stays connected until its reader stops reading."""

    def __init__(self, options: FeedOptions, *, chance: Callable[[], float] = random.random) -> None:
        """Prepare; nothing is connected yet.

        Args:
            options: where and how.
            chance: numbers in 0..1 for the jitter.
        """
        self.tracker = SequenceTracker()
        self._options = options
        self._chance = chance
        self._attempt = 0
        self._refused_token: str | None = None
        self._refusals = 0
        """In a row, without a sign-in between them."""

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield what happens, for ever. Close the iterator (`contextlib.aclosing`) to disconnect.

        Raises:
            WatchfloorError: the gateway refuses this reader, so that trying again cannot help.
        """
        while True:
            lost: Disconnected | None = None
            async with aclosing(self._session()) as session:
                async for event in session:
                    if isinstance(event, Disconnected):
                        lost = event
                    else:
                        yield event
            if lost is not None:
                yield lost
                await asyncio.sleep(lost.retry_in_s)

    async def _session(self) -> AsyncGenerator[Event, None]:
        """One connection from its opening to its end; the last event is Disconnected."""
        address, token, loop = self._options.address, self._options.token(), asyncio.get_running_loop()
        if token == self._refused_token or self._refusals >= _REFUSALS_MAX:
            raise WatchfloorError(
                f"the gateway refuses the token: {ADVICE[CloseCode.NOT_AUTHENTICATED].meaning}",
                "get a new one from the same place as the gateway",
            )
        opened = loop.time()
        try:
            # Loopback is never reached through a proxy, whatever the environment says.
            proxy: Literal[True] | None = None if is_loopback(urlsplit(address).hostname or "") else True
            async with (
                connect(
                    address,
                    compression=None,
                    proxy=proxy,
                    open_timeout=self._options.open_timeout_s,
                    close_timeout=2,
                    ping_interval=None,
                    max_size=self._options.message_bytes_max,
                    ssl=self._options.tls,
                ) as socket,
                aclosing(self._signed_in(socket, token)) as events,
            ):
                async for event in events:
                    yield event
        except ConnectionClosed as closed:
            if loop.time() - opened >= self._options.stable_after_s:
                self._attempt = 0
            yield self._after_close(closed, token)
        except (OSError, InvalidHandshake, InvalidURI) as error:
            yield self._after_failure(error, address)

    async def _signed_in(self, socket: ClientConnection, token: str) -> AsyncGenerator[Event, None]:
        await socket.send(msgspec.json.encode({"type": "authenticate", "token": token}).decode())
        heartbeat = asyncio.create_task(self._beat(socket))
        try:
            while True:
                frame = await self._next_frame(socket)
                for event in self._read(frame):
                    yield event
        finally:
            heartbeat.cancel()
            # A reader that has seen enough leaves as such (1000), not as a failure.
            await socket.close()

    async def _next_frame(self, socket: ClientConnection) -> bytes:
        try:
            async with asyncio.timeout(self._options.silence_s_max):
                return await socket.recv(decode=False)
        except TimeoutError as error:
            raise ConnectionError(f"nothing heard for {self._options.silence_s_max:g} s") from error

    async def _beat(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(self._options.heartbeat_interval_s)
            try:
                await socket.send('{"type":"ping"}')
            except ConnectionClosed:
                return

    def _read(self, frame: bytes) -> list[Event]:
        try:
            body = _decode(frame)
        except msgspec.DecodeError:
            # A frame that is no object of the contract is not ours to show; what it replaced shows as a gap.
            return []
        kind = body.get("type")
        if not isinstance(kind, str) or kind in _UNSHOWN:
            return []
        if kind == "connection_established":
            return self._established(body)
        fresh, gap = self.tracker.accept(body)
        message: list[Event] = [Message(kind, body)] if fresh else []
        return [gap, *message] if gap is not None else message

    def _established(self, body: dict[str, Any]) -> list[Event]:
        self._refused_token, self._refusals = None, 0
        connected = Connected(int(body["tenant_id"]), str(body["epoch"]), int(body["seq"]))
        gap: Gap | None = self.tracker.established(connected.epoch, connected.seq)
        return [connected] if gap is None else [connected, gap]

    def _after_close(self, closed: ConnectionClosed, token: str) -> Disconnected:
        code = closed.rcvd.code if closed.rcvd is not None else None
        advice = ADVICE[CloseCode(code)] if code in {int(known) for known in CloseCode} else _UNKNOWN
        if advice.reconnect is Reconnect.NO:
            raise WatchfloorError(f"the gateway refuses this client: {advice.meaning} ({code})", _cure(code))
        if advice.reconnect is Reconnect.NEW_TOKEN:
            self._refused_token = token
            self._refusals += 1
        return self._retry(code, (closed.rcvd.reason if closed.rcvd else "") or advice.meaning, advice)

    def _after_failure(self, error: Exception, address: str) -> Disconnected:
        match error:
            case InvalidURI():
                raise WatchfloorError(f"{address} is not a WebSocket address", "correct it") from error
            case InvalidStatus():
                status = error.response.status_code
                if 400 <= status < 500 and status != 429:  # noqa: PLR2004 - HTTP: the client's fault, too many requests
                    raise WatchfloorError(
                        f"{address} answers with HTTP status {status}", "check that the address is a gateway's"
                    ) from error
                reason = f"the gateway is not ready (HTTP status {status})"
            case InvalidHandshake():
                reason = f"what answers at {address} is no gateway ({type(error).__name__})"
            case ConnectionRefusedError():
                reason = f"nothing listens at {address}"
            case ConnectionError():
                reason = str(error)
            case OSError():
                reason = f"no answer at {address} ({error.strerror or type(error).__name__})"
            case _:
                reason = str(error)
        return self._retry(None, reason, _UNKNOWN)

    def _retry(self, code: int | None, reason: str, advice: Advice) -> Disconnected:
        """Take the next delay: doubled each time, at least half and at most all of it is waited."""
        ceiling = max(self._options.retry_delay_s, advice.delay_s_min) * 2.0 ** min(self._attempt, 16)
        ceiling = min(ceiling, max(self._options.retry_delay_s_max, advice.delay_s_min))
        self._attempt += 1
        return Disconnected(code, reason, round(ceiling * (0.5 + self._chance() / 2), 3))


def _cure(code: int | None) -> str:
    if code == CloseCode.FORBIDDEN:
        return "use a token with a tenant and the capability noc:view"
    return "report it: the client sends nothing that large"
