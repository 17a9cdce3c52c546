"""A signed-in connection and a tenant's connections, as the hub knows them.

Values only: `gateway.feed.hub`, `gateway.feed.fan_out` and `gateway.feed.catchup` change them.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from contracts.messages import CloseCode
from gateway.access.scope import Scope
from gateway.feed.history import StoredRecord
from gateway.feed.rendering import Variant


class Sink(Protocol):
    """Where a subscriber's frames go."""

    @property
    def congested(self) -> bool:
        """Whether more waits to leave than a connection may hold; `CatchUp.drained` is called when that is over."""

    def write(self, frames: bytes) -> None:
        """Take complete frames; never waits."""

    def buffered_bytes(self) -> int:
        """What was taken and has not left yet."""

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection; nothing is written to it any more."""


class Mode(Enum):
    """How a subscriber gets its messages."""

    LIVE = auto()
    """As they are read from the log."""
    BEHIND = auto()
    """From the history, as fast as it reads."""
    HELD = auto()
    """Not yet: it is not known whether it can be given what it missed."""
    GONE = auto()


@dataclass(slots=True)
class Backlog:
    """What a subscriber missed that is older than the history: one page of the log at a time, as it takes them."""

    page: Sequence[StoredRecord] = ()
    """What follows its cursor; given up while its socket is full."""
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it has room and waits for the next page, and when it needs none any more."""


@dataclass(slots=True, eq=False)
class Subscriber:
    """A signed-in connection."""

    tenant_id: int
    variant: Variant
    scope: Scope
    sink: Sink
    subject: str = ""
    mode: Mode = Mode.GONE
    last_seq: int = 0
    """The seq of its last message: the `prev_seq` of its next. Kept while the subscription filters or is behind."""
    cursor: int = 0
    """Everything up to this seq was written to it, or was not for it. Kept while it is not live."""
    moved_at: float = 0.0
    """When it last took something, or fell behind; seconds of the hub's clock. Kept while it is behind."""
    backlog: Backlog | None = field(default=None, repr=False)


@dataclass(slots=True)
class Group:
    """A tenant at this gateway."""

    position: int = 0
    """The seq of its last record."""
    events: int = 0
    """Source events since this gateway started."""
    # Subscribers who see everything share the frames of their variant; the others are asked one by one.
    broad: dict[Variant, set[Subscriber]] = field(default_factory=dict)
    narrow: set[Subscriber] = field(default_factory=set)
    waiting: set[Subscriber] = field(default_factory=set)
    """Those who are behind or held."""

    def members(self) -> Iterator[Subscriber]:
        """All of them."""
        for subscribers in self.broad.values():
            yield from subscribers
        yield from self.narrow
        yield from self.waiting
