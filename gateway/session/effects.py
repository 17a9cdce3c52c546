"""What a session wants done: the effects that `gateway.session.protocol` returns and a connection's shell carries out.

Values only; nothing here acts.
"""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import UNSET, UnsetType

from contracts.messages import AnswerMessage, CloseCode
from contracts.requests import RequestId, ResumePosition
from gateway.access.bearer import Bearer
from gateway.access.scope import Scope

OptionalRequestId = RequestId | UnsetType


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
    """From here on write the tenant's feed as far as `scope` shows it; repeated when bearer or scope change.

    With a position nothing is written before the answer to it, `resumed`, which repeats `request_id`.
    """

    bearer: Bearer
    scope: Scope
    resume: ResumePosition | None = None
    request_id: OptionalRequestId = UNSET
    announce: bool = False
    """Answer with `subscribed`, which names the seq from which on the scope is shown."""


@dataclass(frozen=True, slots=True)
class Rewind:
    """Go back to a position on the subscription that there is; answered with `resumed`."""

    position: ResumePosition
    request_id: OptionalRequestId


@dataclass(frozen=True, slots=True)
class NoteReceived:
    """The client reports that it has had everything up to `seq`."""

    seq: int


@dataclass(frozen=True, slots=True)
class NoteSeen:
    """A person has looked at the messages of these ids."""

    ids: tuple[str, ...]


class Action(StrEnum):
    """What the audit trail has records of (R5.5)."""

    SIGN_IN = "sign_in"
    SIGN_IN_CODE = "sign_in_code"
    SIGN_OUT = "sign_out"
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
