"""What a session gives and what it is told: the words between `gateway.session.protocol` and its shell.

Values only; nothing here acts.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from msgspec import UNSET, UnsetType

from contracts.messages import AnswerMessage, CloseCode
from contracts.requests import RequestId, ResumePosition
from gateway.access.scope import Scope
from gateway.access.tokens import Bearer

Requested = RequestId | UnsetType


@dataclass(frozen=True, slots=True)
class Send:
    """Write this answer."""

    message: AnswerMessage


@dataclass(frozen=True, slots=True)
class Verify:
    """Check this token, then call `admitted` or `refused`. No message is taken in between."""

    token: str

    def __repr__(self) -> str:  # a token must not reach a log through a trace
        return "Verify(token=…)"


@dataclass(frozen=True, slots=True)
class Subscribe:
    """From here on write the tenant's feed as far as `scope` shows it; repeated when identity or scope change.

    With a position nothing is written before the answer to it, `resumed`, which repeats `request_id`.
    """

    identity: Bearer
    scope: Scope
    resume: ResumePosition | None = None
    request_id: Requested = UNSET
    announce: bool = False
    """Answer with `subscribed`, which says from where on the scope is shown."""


@dataclass(frozen=True, slots=True)
class Rewind:
    """Go back to a position on the subscription that there is; answered with `resumed`."""

    position: ResumePosition
    request_id: Requested


@dataclass(frozen=True, slots=True)
class NoteReceived:
    """The client says that it has had everything up to `seq`."""

    seq: int


@dataclass(frozen=True, slots=True)
class NoteSeen:
    """A person has looked at the messages of these ids."""

    ids: tuple[str, ...]


class Action(StrEnum):
    """What the audit trail tells of (R5.5)."""

    SIGN_IN = "sign_in"
    REFRESH = "refresh"
    SUBSCRIBE = "subscribe"
    RESUME = "resume"
    FLOOD = "flood"
    HANDSHAKE = "handshake"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Audit:
    """Write this into the audit trail."""

    action: Action
    allowed: bool
    reason: str
    """Why it was refused, or what was allowed; never a part of a token."""
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """Close with this code; nothing follows."""

    code: CloseCode
    reason: str


Effect = Send | Verify | Subscribe | Rewind | NoteReceived | NoteSeen | Audit | Close


class Facts(Protocol):
    """What the answers are made of; reads of memory, no I/O."""

    server_version: str
    heartbeat_interval_s: int

    @property
    def epoch(self) -> str:
        """The identity of the feed's log."""
        ...

    def max_events_per_second(self, tenant_id: int) -> int:
        """The tenant's own limit of scored events, or the default."""
        ...

    def position(self, tenant_id: int) -> int:
        """The seq of the tenant's last message, 0 where none is known."""
        ...

    def events_processed(self, tenant_id: int) -> int:
        """Source events of the tenant that this process was told of."""
        ...

    def connections(self, tenant_id: int) -> int:
        """Connections of the tenant at this process."""
        ...

    def uptime_s(self, now: float) -> float:
        """Seconds since the process started."""
        ...
