"""What a feed tells its reader: typed values, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Connected:
    """Signed in; the feed stands at `seq` of this `epoch`."""

    tenant_id: int
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The gateway gives again all that was missed; `first` is one above `last` where that is nothing."""

    first: int
    last: int

    @property
    def missed(self) -> int:
        """How many numbers of the tenant's feed; with filters some of them are for others."""
        return max(0, self.last - self.first + 1)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the feed, each once, in order."""

    type: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that this reader did not get: reload what depends on them.

    `first` and `last` are None where no numbers can be named: the log itself is a new one, or it never came
    as far as this reader's position.
    """

    first: int | None
    last: int | None
    reason: str
    """`lost` (a number is missing on the connection), or the server's word: `too_old`, `log_hole`, …"""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; the feed tries again by itself after `retry_in_s`."""

    code: int | None
    """The close code, None where there was no connection to close."""
    reason: str
    retry_in_s: float


Event = Connected | Resumed | Message | Gap | Disconnected
