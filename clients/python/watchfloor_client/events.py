"""The events that a feed yields: typed values without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Connected:
    """Signed in; the newest message of the feed is `seq` of this `epoch`."""

    tenant_id: int
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The gateway sends everything that was missed; `first` is one above `last` where nothing was."""

    first: int
    last: int

    @property
    def missed(self) -> int:
        """How many messages of the tenant's feed; a filter may hide some of them."""
        return max(0, self.last - self.first + 1)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the feed; each comes once, in order. `contract.FeedMessage` names the fields of `body`."""

    type: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that this reader will not get: reload what depends on them.

    `first` and `last`, both included, are None where no numbers can be named: the log itself is a new one, or it
    never reached this reader's position.
    """

    first: int | None
    last: int | None
    reason: str
    """`lost` (a number was skipped on the connection), or the server's reason: `too_old`, `log_hole`, …"""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection has ended; the feed connects again by itself after `retry_in_s`."""

    code: int | None
    """The close code; None where the connection was not closed by the gateway."""
    reason: str
    retry_in_s: float


Event = Connected | Resumed | Message | Gap | Disconnected
