"""What a feed tells its reader: typed values, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Connected:
    """Signed in; messages after `seq` of this `epoch` follow."""

    tenant_id: int
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the feed, each once, in order."""

    type: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that this reader did not get: reload what depends on them.

    `first` and `last` are None where the log itself is a new one, so that no numbers can be named.
    """

    first: int | None
    last: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; the feed tries again by itself after `retry_in_s`."""

    code: int | None
    """The close code, None where there was no connection to close."""
    reason: str
    retry_in_s: float


Event = Connected | Message | Gap | Disconnected
