"""What a server sends over a WebSocket: messages and close codes of contract v1.

Owns the shapes and their JSON. Never decides who gets what: that is the gateway's. Fields may be added
within v1, none removed or retyped; clients ignore what they do not know.
"""

from enum import IntEnum, StrEnum
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from contracts.findings import Category, Severity
from contracts.requests import RequestId

SUBPROTOCOL = "noc.v1"
BEARER_PREFIX = "bearer."
"""A client that cannot send headers offers `noc.v1` and `bearer.<token>` as subprotocols."""

Evidence = dict[str, int | float | str | bool | list[int] | None]


# --- close codes ---------------------------------------------------------------------------------


class CloseCode(IntEnum):
    """Why the server closes a connection. `ADVICE` says what the client does next."""

    GOING_AWAY = 1001
    INTERNAL_ERROR = 1011
    RESTARTING = 1012
    NOT_AUTHENTICATED = 4401
    FORBIDDEN = 4403
    AUTHENTICATION_LATE = 4408
    TOO_SLOW = 4409
    TOO_LARGE = 4413
    TOO_MANY = 4429


class Reconnect(StrEnum):
    """Whether a client comes back on its own."""

    YES = "yes"
    NEW_TOKEN = "new_token"  # noqa: S105 - the name of a policy
    NO = "no"


class Advice(msgspec.Struct, frozen=True):
    """What a client does after a close code."""

    reconnect: Reconnect
    delay_s_min: int
    """The first attempt's delay, doubled by each further one; a random share of it is waited."""
    meaning: str


ADVICE: dict[CloseCode, Advice] = {
    CloseCode.GOING_AWAY: Advice(Reconnect.YES, 1, "the gateway stops"),
    CloseCode.INTERNAL_ERROR: Advice(Reconnect.YES, 5, "the gateway failed on this connection"),
    CloseCode.RESTARTING: Advice(Reconnect.YES, 1, "the gateway restarts, or the log behind it is a new one"),
    CloseCode.NOT_AUTHENTICATED: Advice(Reconnect.NEW_TOKEN, 0, "the token is missing, not valid or expired"),
    CloseCode.FORBIDDEN: Advice(Reconnect.NO, 0, "the token names no tenant or lacks noc:view"),
    CloseCode.AUTHENTICATION_LATE: Advice(Reconnect.YES, 1, "no authentication in time"),
    CloseCode.TOO_SLOW: Advice(Reconnect.YES, 5, "the client does not read as fast as its feed comes"),
    CloseCode.TOO_LARGE: Advice(Reconnect.NO, 0, "a message of the client was too large"),
    CloseCode.TOO_MANY: Advice(Reconnect.YES, 60, "the client sent too many messages"),
}


# --- server to client: answers -------------------------------------------------------------------


class _Server(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""


class _Answer(_Server, frozen=True, kw_only=True):
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
    """A client that hears nothing for twice this long may take the connection for dead."""


class Subscribed(_Answer, frozen=True, kw_only=True, tag="subscribed"):
    """The subscription after `subscribe_*` or `unsubscribe`; empty lists stand for all that the token allows.

    `seq` is where it starts: the `prev_seq` of its first message.
    """

    seq: int
    client_ids: list[int]
    site_ids: list[int]


class Stats(_Answer, frozen=True, kw_only=True, tag="stats"):
    """Counted by the gateway process that answers, since it started."""

    uptime_seconds: float
    events_processed: int
    """Source events of the tenant that this gateway was told of, with findings and without."""
    tenant_id: int
    group_name: str
    connections: int
    """Of the tenant at this gateway."""


class Pong(_Answer, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping` and `heartbeat`."""


class Heartbeat(_Server, frozen=True, kw_only=True, tag="heartbeat"):
    """Sent when the feed is quiet: browsers do not show protocol pings to a page."""


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


class ErrorMessage(_Answer, frozen=True, kw_only=True, tag="error"):
    """Something the client asked for was not done; the logs carry `correlation_id` too (R5.8)."""

    code: ErrorCode
    message: str
    correlation_id: str


# --- server to client: the feed ------------------------------------------------------------------
# `prev_seq` is the last field of each: the hub encodes a message once and appends the number.


class Part(msgspec.Struct, frozen=True):
    """A record with several findings is several dashboard messages of one `seq`."""

    index: int
    of: int


class DashboardAnomaly(_Server, frozen=True, kw_only=True, tag="anomaly_detected"):
    """One finding, on the dashboard endpoint."""

    seq: int
    part: Part
    anomaly_id: str
    event_id: str
    event_type: str
    person_id: int | None
    person_name: str | None
    site_id: int | None
    site_name: str | None
    client_id: int | None
    anomaly_type: str
    category: Category
    severity: Severity
    fraud_score: float | None
    title: str
    description: str
    created_at: str
    detection_latency_ms: float
    prev_seq: int = 0


class FindingView(msgspec.Struct, frozen=True, kw_only=True):
    """A finding with its placeholders filled for the viewer."""

    id: str
    finding_type: str
    category: Category
    severity: Severity
    title: str
    description: str
    evidence: Evidence
    created_at: str
    fraud_score: float | None


class StreamAnomaly(_Server, frozen=True, kw_only=True, tag="anomaly_detected"):
    """One source event with all its findings, on the anomaly stream."""

    seq: int
    event_id: str
    event_type: str
    findings_count: int
    detection_latency_ms: float
    """From the commit in PostgreSQL to the record in the feed's log."""
    person_id: int | None
    person_name: str | None
    site_id: int | None
    site_name: str | None
    client_id: int | None
    findings: list[FindingView]
    prev_seq: int = 0


class TicketUpdatedMessage(_Server, frozen=True, kw_only=True, tag="ticket_updated"):
    """A ticket whose status changed."""

    seq: int
    ticket_id: int
    ticket_no: str | None
    old_status: str
    new_status: str
    priority: str | None
    assigned_to: int | None
    site_id: int | None
    site_name: str | None
    client_id: int | None
    description: str
    updated_at: str | None
    prev_seq: int = 0


class RateLimitedMessage(_Server, frozen=True, kw_only=True, tag="rate_limited"):
    """A burst over the tenant's limit: `dropped` events of `window` were not scored."""

    seq: int
    dropped: int
    window: str
    limit: int
    prev_seq: int = 0


class EventProcessed(_Server, frozen=True, kw_only=True, tag="event_processed"):
    """A source event that was scored and found clean; anomaly stream only, outside the sequence."""

    event_id: str
    event_type: str
    anomalies_found: Literal[False] = False
    detection_latency_ms: float


SequencedMessage = DashboardAnomaly | StreamAnomaly | TicketUpdatedMessage | RateLimitedMessage
AnswerMessage = ConnectionEstablished | Subscribed | Stats | Pong | ErrorMessage
ServerMessage = SequencedMessage | AnswerMessage | EventProcessed | Heartbeat

encode_message = msgspec.json.Encoder().encode
"""A server message as UTF-8 JSON."""
