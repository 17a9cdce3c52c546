"""What a server sends over a WebSocket: messages and close codes of contract v1.

Owns the shapes and their JSON. Never decides who gets what: the gateway does. Fields may be added within v1, none
removed or retyped; clients ignore what they do not know.
"""

from enum import IntEnum, StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from contracts.feed_messages import EventProcessed, SequencedMessage, ServerStruct
from contracts.requests import RequestId

SUBPROTOCOL = "noc.v1"
BEARER_PREFIX = "bearer."
"""A client that cannot send headers offers `noc.v1` and `bearer.<token>` as subprotocols."""


# --- close codes ---------------------------------------------------------------------------------


class CloseCode(IntEnum):
    """Why the server closes a connection. `ADVICE` says what the client does next."""

    GOING_AWAY = 1001
    INTERNAL_ERROR = 1011
    RESTARTING = 1012
    TRY_AGAIN_LATER = 1013
    NOT_AUTHENTICATED = 4401
    FORBIDDEN = 4403
    AUTHENTICATION_LATE = 4408
    TOO_SLOW = 4409
    TOO_LARGE = 4413
    TOO_MANY = 4429


class Reconnect(StrEnum):
    """Whether a client reconnects by itself."""

    YES = "yes"
    NEW_TOKEN = "new_token"  # noqa: S105 - the name of a policy
    NO = "no"


class Advice(msgspec.Struct, frozen=True):
    """What a client does after a close code."""

    reconnect: Reconnect
    delay_s_min: int
    """The delay of the first attempt, doubled by each further one; the client waits a random share of it."""
    meaning: str


ADVICE: dict[CloseCode, Advice] = {
    CloseCode.GOING_AWAY: Advice(Reconnect.YES, 1, "the gateway stops"),
    CloseCode.INTERNAL_ERROR: Advice(Reconnect.YES, 5, "the gateway failed on this connection"),
    CloseCode.RESTARTING: Advice(Reconnect.YES, 1, "the gateway restarts, or the log behind it is a new one"),
    CloseCode.TRY_AGAIN_LATER: Advice(Reconnect.YES, 10, "this user or tenant has all the connections it can have"),
    CloseCode.NOT_AUTHENTICATED: Advice(Reconnect.NEW_TOKEN, 0, "the token is missing, not valid or expired"),
    CloseCode.FORBIDDEN: Advice(Reconnect.NO, 0, "the token names no tenant or lacks noc:view"),
    CloseCode.AUTHENTICATION_LATE: Advice(Reconnect.YES, 1, "no authentication in time"),
    CloseCode.TOO_SLOW: Advice(Reconnect.YES, 5, "the client does not read as fast as its feed comes"),
    CloseCode.TOO_LARGE: Advice(Reconnect.NO, 0, "a message of the client was too large"),
    CloseCode.TOO_MANY: Advice(Reconnect.YES, 60, "the client sent too many messages"),
}


# --- server to client: answers -------------------------------------------------------------------


class _Answer(ServerStruct, frozen=True, kw_only=True):
    request_id: RequestId | UnsetType = UNSET


class ConnectionEstablished(_Answer, frozen=True, kw_only=True, tag="connection_established"):
    """The first message after sign-in; `epoch` and `seq` are where this connection starts in the feed."""

    tenant_id: int
    max_events_per_second: int
    epoch: str
    seq: int
    capabilities: list[str]
    server_version: str
    heartbeat_interval_s: int
    """A client that receives nothing for twice this long may consider the connection dead."""
    expires_at: str
    """When the token ends, and with it this connection unless it is refreshed."""


class Refreshed(_Answer, frozen=True, kw_only=True, tag="refreshed"):
    """The connection continues with another token, and shows what that one allows."""

    capabilities: list[str]
    expires_at: str


class UnrecoverableReason(StrEnum):
    """Why missed messages cannot be sent again."""

    EPOCH_CHANGED = "epoch_changed"
    """The log behind the numbers is another one."""
    UNKNOWN_POSITION = "unknown_position"
    """The log never reached the position that was named."""
    TOO_OLD = "too_old"
    """The log does not reach back that far, or has a hole there."""
    TOO_MANY = "too_many"
    """More messages than the gateway sends again at once."""
    UNAVAILABLE = "unavailable"
    """The log cannot be read now."""


class Resumed(_Answer, frozen=True, kw_only=True, tag="resumed"):
    """The answer to a position: all missed messages follow, or none.

    `from` and `to` are the first and the last seq that the client has missed, both included; with nothing missed `from`
    is one above `to`. Where none follow, the live feed continues after `to`; `from` is null where the position that was
    named does not exist in this log.
    """

    recovered: bool
    reason: UnrecoverableReason | None
    first: int | None = msgspec.field(name="from")
    last: int = msgspec.field(name="to")


class Subscribed(_Answer, frozen=True, kw_only=True, tag="subscribed"):
    """The subscription after `subscribe_*` or `unsubscribe`; empty lists mean everything that the token allows.

    `seq` is where it starts: the `prev_seq` of its first message.
    """

    seq: int
    client_ids: list[int]
    site_ids: list[int]


class Stats(_Answer, frozen=True, kw_only=True, tag="stats"):
    """Counted by the gateway process that answers, since it started."""

    uptime_seconds: float
    events_processed: int
    """Source events of the tenant that this gateway knows of, with findings and without."""
    tenant_id: int
    group_name: str
    connections: int
    """Of the tenant at this gateway."""


class Pong(_Answer, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping` and `heartbeat`."""


class Heartbeat(ServerStruct, frozen=True, kw_only=True, tag="heartbeat"):
    """A sign of life: browsers do not show protocol pings to a page.

    Every message of this subscription up to `seq` was sent before it: a filtered client resumes from there. It has no
    `seq` while the gateway looks for what a returning client has missed.
    """

    seq: int | UnsetType = UNSET


class GapReason(StrEnum):
    """Why messages are missing."""

    LOG_HOLE = "log_hole"
    """The log lost them."""


class GapMessage(ServerStruct, frozen=True, kw_only=True, tag="gap"):
    """Messages that are lost for everybody: reload what depends on them. Both ends included."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    reason: GapReason


class FeedState(StrEnum):
    """How current the feed is."""

    LIVE = "live"
    BEHIND = "behind"
    INTERRUPTED = "interrupted"


class FeedStatus(ServerStruct, frozen=True, kw_only=True, tag="feed_status"):
    """Sent when the feed falls behind the database, while it is, and when it has caught up."""

    state: FeedState
    component: str | None
    """What delays it: `gateway`, `worker`, `connect`, `kafka` or `database`."""
    behind_seconds: float | None
    behind_records: int | None
    since: str | None


class SeenBy(msgspec.Struct, frozen=True):
    """Somebody who has looked at a message."""

    user: str
    at: str


class MessageSeen(ServerStruct, frozen=True, kw_only=True, tag="message_seen"):
    """Somebody has looked at a CRITICAL message; `seen_by` names everybody who has, the first one first."""

    seq: int
    id: str
    seen_by: list[SeenBy]


class CriticalUnseen(ServerStruct, frozen=True, kw_only=True, tag="critical_unseen"):
    """Nobody has looked at a CRITICAL message in the time that the settings allow."""

    seq: int
    id: str
    site_id: int | None
    client_id: int | None
    since: str
    unseen_seconds: float
    recipients: int
    """Connections that it was written to, at this gateway."""


class ErrorCode(StrEnum):
    """What was wrong, for programs."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    INVALID = "invalid"
    NOT_AUTHENTICATED = "not_authenticated"
    FORBIDDEN = "forbidden"
    TOO_MANY = "too_many_messages"
    TOO_LARGE = "message_too_large"
    TOO_MANY_FILTERS = "too_many_filters"
    TOO_MANY_CONNECTIONS = "too_many_connections"


class ErrorMessage(_Answer, frozen=True, kw_only=True, tag="error"):
    """Something that the client asked for was not done; the logs contain `correlation_id` too (R5.8)."""

    code: ErrorCode
    message: str
    correlation_id: str


AnswerMessage = ConnectionEstablished | Refreshed | Resumed | Subscribed | Stats | Pong | ErrorMessage
NoticeMessage = Heartbeat | GapMessage | FeedStatus | MessageSeen | CriticalUnseen
ServerMessage = SequencedMessage | AnswerMessage | EventProcessed | NoticeMessage

encode_message = msgspec.json.Encoder().encode
"""A server message as UTF-8 JSON."""
