"""Where a feed connects, what it asks for, and its timeouts. Values and their checks."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from watchfloor_client.addresses import is_loopback
from watchfloor_client.errors import AddressError
from watchfloor_client.sequence import Position


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
    """Where to connect, what to ask for, and how long to wait."""

    url: str
    """`ws://` or `wss://`, host and port; with a path where a proxy serves the gateway below one."""
    token: Callable[[], str] = field(repr=False)
    """Called before each connection and before the token in use expires; returns the token to use from then on."""
    stream: Stream = Stream.DASHBOARD
    allow_plaintext: bool = False
    """Whether the token may be sent over `ws://` to another machine."""
    client_ids: tuple[int, ...] = ()
    """Only messages about these clients; empty: all that the token allows."""
    site_ids: tuple[int, ...] = ()
    """Only messages about these sites; empty: all that the token allows."""
    since: Position | None = None
    """Continue from here; None: begin with what comes after the first sign-in."""
    heartbeat_interval_s: float = 25.0
    silence_s_max: float = 60.0
    """A connection on which nothing arrives for this long is considered dead."""
    open_timeout_s: float = 10.0
    retry_delay_s: float = 0.5
    retry_delay_s_max: float = 60.0
    stable_after_s: float = 10.0
    """A connection that was signed in for this long resets the growing delay."""
    receipts_interval_s: float = 5.0
    """How often receipts are sent at most: what was received and what was seen."""
    refresh_before_s: float = 60.0
    """How long before its expiry a token is replaced; never before half of its lifetime has passed."""
    message_bytes_max: int = 1024 * 1024
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The URL of the endpoint.

        Raises:
            AddressError: not a WebSocket URL, or one over which others could read the token.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise AddressError(f"{self.url} is not a WebSocket address", "give one such as wss://noc.example.com")
        if parts.query or parts.username or parts.password:
            raise AddressError("the WebSocket address holds a query or a password", "give the token in a file")
        if parts.scheme == "ws" and not self.allow_plaintext and not is_loopback(parts.hostname):
            raise AddressError(
                f"the token would cross the network to {parts.hostname} unencrypted",
                "use wss://, or allow plaintext in a network that you trust",
            )
        path = parts.path.rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}{self.stream.path}"

    def sign_in(self, token: str, position: Position | None) -> dict[str, Any]:
        """The first message of a connection."""
        message: dict[str, Any] = {"type": "authenticate", "token": token}
        if position is not None:
            message["resume"] = {"epoch": position.epoch, "seq": position.seq}
        if self.client_ids:
            message["client_ids"] = list(self.client_ids)
        if self.site_ids:
            message["site_ids"] = list(self.site_ids)
        return message
