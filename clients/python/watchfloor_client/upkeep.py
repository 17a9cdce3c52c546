"""What a signed-in connection sends by itself: pings, receipts, and a new token before the old one expires.

Owns the tasks of one connection. Reads nothing from the socket: the feed passes it the messages.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from watchfloor_client.options import FeedOptions
from watchfloor_client.receipts import Receipts

_REFRESH_ID = "refresh"
_RETRY_S_MIN = 5.0
_SLEEP_S_MAX = 3_600.0


class Upkeep:
    """The tasks of one connection; enter it when the sign-in is answered, leave it when the connection ends.

    Args:
        socket: the connection.
        options: those of the feed.
        receipts: those of the feed.
        token: the one that this connection was signed in with.
        clock: the event loop's time in seconds.
    """

    def __init__(
        self,
        socket: ClientConnection,
        options: FeedOptions,
        receipts: Receipts,
        token: str,
        clock: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._options = options
        self._receipts = receipts
        self._token = token
        self._clock = clock
        self._expires_at = self._renew_at = math.inf
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self._receipts.reconnected()
        self._tasks = [asyncio.create_task(work()) for work in (self._ping, self._acknowledge, self._renew)]
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    def receive(self, body: Mapping[str, Any]) -> None:
        """Note when the token expires: `connection_established` and `refreshed` say so."""
        lifetime_s = _lifetime_s(body)
        if lifetime_s is not None:
            self._expires_at = self._clock() + lifetime_s
            self._renew_at = self._clock() + max(lifetime_s / 2, lifetime_s - self._options.refresh_before_s)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._options.heartbeat_interval_s)
            await self._send({"type": "ping"})

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(self._options.receipts_interval_s)
            for message in self._receipts.due():
                if not await self._send(message) and message["type"] == "seen":
                    self._receipts.seen(message["ids"])

    async def _renew(self) -> None:
        while True:
            wait_s = self._renew_at - self._clock()
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, _SLEEP_S_MAX))
                continue
            left_s = self._expires_at - self._clock()
            # Until the answer says otherwise: again after half of the remaining time.
            self._renew_at = self._clock() + max(left_s / 2, _RETRY_S_MIN)
            token = self._new_token()
            if token is not None:
                await self._send({"type": "refresh", "token": token, "request_id": _REFRESH_ID})

    def _new_token(self) -> str | None:
        try:
            token = self._options.token()
        # The caller's code. The connection lasts until the old token expires; then it is called again and may raise.
        except Exception:  # noqa: BLE001
            return None
        if token == self._token:
            return None
        self._token = token
        return token

    async def _send(self, message: Mapping[str, Any]) -> bool:
        with suppress(ConnectionClosed):
            await self._socket.send(msgspec.json.encode(message).decode())
            return True
        return False


def _lifetime_s(body: Mapping[str, Any]) -> float | None:
    """How long the token is still valid, by the server's own clock."""
    if body.get("type") not in ("connection_established", "refreshed"):
        return None
    try:
        now, end = (datetime.fromisoformat(str(body[name])) for name in ("timestamp", "expires_at"))
        return max(0.0, (end - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
