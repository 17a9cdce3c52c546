"""The connection to one feed: sign-in, resume, reconnection by the server's advice.

Owns one WebSocket at a time. Never shows a token: it goes into the first message, or into a refresh, and nowhere
else. `sequence` decides what is new and what is missing, `closing` how long to wait.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import ExitStack, aclosing
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from watchfloor_client.addresses import is_loopback
from watchfloor_client.closing import UNKNOWN, Backoff, advice_for, retry_after_s
from watchfloor_client.contract import ADVICE, Advice, CloseCode, Reconnect
from watchfloor_client.errors import AddressError, RefusedError
from watchfloor_client.events import Connected, Disconnected, Event, Message
from watchfloor_client.options import FeedOptions
from watchfloor_client.receipts import Receipts
from watchfloor_client.sequence import Position, SequenceTracker
from watchfloor_client.upkeep import Upkeep

_REFUSALS_MAX = 2
"""New tokens that are refused in a row: they are signed with another secret than the gateway's."""
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Feed:
    """A feed that stays connected until its reader stops iterating."""

    def __init__(self, options: FeedOptions, *, chance: Callable[[], float] = random.random) -> None:
        """Prepare; nothing is connected yet.

        Args:
            options: where and how.
            chance: random numbers in 0..1 for the jitter.
        """
        self._options = options
        self._tracker = SequenceTracker(options.since)
        self._position = options.since
        self._receipts = Receipts()
        self._backoff = Backoff(
            delay_s=options.retry_delay_s,
            delay_s_max=options.retry_delay_s_max,
            stable_after_s=options.stable_after_s,
            chance=chance,
        )
        self._signed_in_at: float | None = None
        self._refused_token: str | None = None
        self._refusals = 0
        """In a row, without a sign-in between them."""

    @property
    def position(self) -> Position | None:
        """After the last event that was yielded; None before the first sign-in.

        A program that stores it after it has processed an event, and passes it as `FeedOptions.since` when it
        restarts, gets each message at least once, and twice only the one that it was processing.
        """
        return self._position

    def seen(self, ids: Iterable[str]) -> None:
        """Report to the gateway, with the next receipts, that a person has looked at these messages.

        Args:
            ids: `anomaly_id` of dashboard messages, `id` of a stream's findings.
        """
        self._receipts.seen(ids)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield events without end. Close the iterator (`contextlib.aclosing`) to disconnect.

        Raises:
            AddressError: the address is not that of a gateway.
            RefusedError: the gateway refuses this client, and a new connection would not change that.
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
        """The events of one connection; the last one is Disconnected."""
        address, token = self._options.address, self._options.token()
        if token == self._refused_token or self._refusals >= _REFUSALS_MAX:
            raise RefusedError(
                f"the gateway refuses the token: {ADVICE[CloseCode.NOT_AUTHENTICATED].meaning}",
                "get a new one that is signed for this gateway",
            )
        self._signed_in_at = None
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
                aclosing(self._conversation(socket, token)) as events,
            ):
                async for event in events:
                    yield event
        except ConnectionClosed as closed:
            yield self._after_close(closed, token)
        except (OSError, InvalidHandshake, InvalidURI) as error:
            yield self._after_failure(error, address)

    async def _conversation(self, socket: ClientConnection, token: str) -> AsyncGenerator[Event, None]:
        sign_in = self._options.sign_in(token, self._tracker.opened())
        await socket.send(msgspec.json.encode(sign_in).decode())
        upkeep: Upkeep | None = None
        with ExitStack() as open_until_the_end:
            try:
                while True:
                    body = await self._next_message(socket)
                    events = self._tracker.receive(body)
                    if upkeep is None and any(isinstance(event, Connected) for event in events):
                        upkeep = open_until_the_end.enter_context(self._signed_in(socket, token))
                    if upkeep is not None:
                        upkeep.receive(body)
                    for event in events[:-1]:
                        yield event
                    # Moved with the last event of a frame only: a reader that stops at an earlier one misses the rest.
                    self._position = self._tracker.position
                    for event in events[-1:]:
                        yield event
                        self._confirm(event)
            finally:
                # A reader that stops is a normal closure (1000), not a failure.
                await socket.close()

    def _signed_in(self, socket: ClientConnection, token: str) -> Upkeep:
        self._refused_token, self._refusals = None, 0
        clock = asyncio.get_running_loop().time
        self._signed_in_at = clock()
        return Upkeep(socket, self._options, self._receipts, token, clock)

    def _confirm(self, event: Event) -> None:
        """The reader asks for the next event: it has processed this one."""
        if isinstance(event, Message) and self._position is not None and "prev_seq" in event.body:
            self._receipts.received(self._position.seq)

    async def _next_message(self, socket: ClientConnection) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._options.silence_s_max):
                frame = await socket.recv(decode=False)
        except TimeoutError as error:
            raise ConnectionError(f"nothing received for {self._options.silence_s_max:g} s") from error
        try:
            return _decode(frame)
        except msgspec.DecodeError:
            # A frame that is not a JSON object is skipped; a message that it stands for shows up as a gap.
            return {}

    def _after_close(self, closed: ConnectionClosed, token: str) -> Disconnected:
        code = closed.rcvd.code if closed.rcvd is not None else None
        advice = advice_for(code)
        if advice.reconnect is Reconnect.NO:
            raise RefusedError(f"the gateway refuses this client: {advice.meaning} ({code})", _remedy(code))
        if advice.reconnect is Reconnect.NEW_TOKEN:
            self._refused_token = token
            self._refusals += 1
        asked_s, reason = retry_after_s(closed.rcvd.reason if closed.rcvd else "")
        return self._retry(code, reason or advice.meaning, advice, asked_s)

    def _after_failure(self, error: Exception, address: str) -> Disconnected:
        asked_s = 0
        match error:
            case InvalidURI():
                raise AddressError(f"{address} is not a WebSocket address", "correct it") from error
            case InvalidStatus():
                status = error.response.status_code
                if 400 <= status < 500 and status != 429:  # noqa: PLR2004 - HTTP: the client's fault, too many requests
                    raise AddressError(
                        f"{address} answers with HTTP status {status}", "check that the address is that of a gateway"
                    ) from error
                asked_s, _ = retry_after_s(f"retry_after_s={error.response.headers.get('Retry-After', '')}")
                reason = f"the gateway is not ready (HTTP status {status})"
            case InvalidHandshake():
                reason = f"{address} does not answer like a gateway ({type(error).__name__})"
            case ConnectionRefusedError():
                reason = f"nothing listens at {address}"
            case ConnectionError():
                reason = str(error)
            case OSError():
                reason = f"no answer at {address} ({error.strerror or type(error).__name__})"
            case _:
                reason = str(error)
        return self._retry(None, reason, UNKNOWN, asked_s)

    def _retry(self, code: int | None, reason: str, advice: Advice, asked_s: int) -> Disconnected:
        now = asyncio.get_running_loop().time()
        signed_in_s = 0.0 if self._signed_in_at is None else now - self._signed_in_at
        return Disconnected(code, reason, self._backoff.next_delay_s(advice, signed_in_s=signed_in_s, asked_s=asked_s))


def _remedy(code: int | None) -> str:
    if code == CloseCode.FORBIDDEN:
        return "use a token with a tenant and the capability noc:view"
    return "report it: the client sends nothing that large"
