"""What the client knows of contract v1: close codes with their advice, and the messages that a feed yields.

Written by scripts/python_types.py from contracts/; do not edit.
"""

from enum import IntEnum, StrEnum
from typing import Literal, NotRequired, TypedDict

import msgspec

GENERATION_HEADER = "generation"


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


class Part(TypedDict):
    """A record with several findings is several dashboard messages of one `seq`."""

    index: int
    of: int


Category = Literal[
    "ATTENDANCE",
    "TASK",
    "LOCATION",
    "TICKET",
    "WORK_ORDER",
    "DEVICE_HEALTH",
    "DATA_QUALITY",
]
"""What a finding is about."""


Severity = Literal[
    "INFO",
    "LOW",
    "MEDIUM",
    "HIGH",
    "CRITICAL",
]
"""How soon somebody has to look at it."""


class DashboardAnomaly(TypedDict):
    """One finding, on the dashboard endpoint."""

    type: Literal["anomaly_detected"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
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
    evidence: dict[str, int | float | str | bool | list[int] | None]
    """What the finding is based on: enough to check it."""
    created_at: str
    detection_latency_ms: float
    prev_seq: int


class FindingView(TypedDict):
    """A finding with its placeholders filled for the viewer."""

    id: str
    finding_type: str
    category: Category
    severity: Severity
    title: str
    description: str
    evidence: dict[str, int | float | str | bool | list[int] | None]
    created_at: str
    fraud_score: float | None


class StreamAnomaly(TypedDict):
    """One source event with all its findings, on the anomaly stream."""

    type: Literal["anomaly_detected"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
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
    prev_seq: int


class TicketUpdatedMessage(TypedDict):
    """A ticket whose status changed."""

    type: Literal["ticket_updated"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
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
    prev_seq: int


class RateLimitedMessage(TypedDict):
    """A burst over the tenant's limit: `dropped` events of `window` were not scored."""

    type: Literal["rate_limited"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    seq: int
    dropped: int
    window: str
    limit: int
    prev_seq: int


class Subscribed(TypedDict):
    """The subscription after `subscribe_*` or `unsubscribe`; empty lists mean everything that the token allows.

    `seq` is where it starts: the `prev_seq` of its first message.
    """

    type: Literal["subscribed"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    request_id: NotRequired[str | int]
    seq: int
    client_ids: list[int]
    site_ids: list[int]


class Stats(TypedDict):
    """Counted by the gateway process that answers, since it started."""

    type: Literal["stats"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    request_id: NotRequired[str | int]
    uptime_seconds: float
    events_processed: int
    """Source events of the tenant that this gateway knows of, with findings and without."""
    tenant_id: int
    group_name: str
    connections: int
    """Of the tenant at this gateway."""


ErrorCode = Literal[
    "malformed",
    "unknown_type",
    "invalid",
    "not_authenticated",
    "forbidden",
    "too_many_messages",
    "message_too_large",
    "too_many_filters",
    "too_many_connections",
]
"""What was wrong, for programs."""


class ErrorMessage(TypedDict):
    """Something that the client asked for was not done; the logs contain `correlation_id` too (R5.8)."""

    type: Literal["error"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    request_id: NotRequired[str | int]
    code: ErrorCode
    message: str
    correlation_id: str


class EventProcessed(TypedDict):
    """A source event that was scored and found clean; anomaly stream only, outside the sequence."""

    type: Literal["event_processed"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    event_id: str
    event_type: str
    anomalies_found: Literal[False]
    detection_latency_ms: float


FeedState = Literal[
    "live",
    "behind",
    "interrupted",
]
"""How current the feed is."""


class FeedStatus(TypedDict):
    """Sent when the feed falls behind the database, while it is, and when it has caught up."""

    type: Literal["feed_status"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    state: FeedState
    component: str | None
    """What delays it: `gateway`, `worker`, `connect`, `kafka` or `database`."""
    behind_seconds: float | None
    behind_records: int | None
    since: str | None


class SeenBy(TypedDict):
    """Somebody who has looked at a message."""

    user: str
    at: str


class MessageSeen(TypedDict):
    """Somebody has looked at a CRITICAL message; `seen_by` names everybody who has, the first one first."""

    type: Literal["message_seen"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    seq: int
    id: str
    seen_by: list[SeenBy]


class CriticalUnseen(TypedDict):
    """Nobody has looked at a CRITICAL message in the time that the settings allow."""

    type: Literal["critical_unseen"]
    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""
    seq: int
    id: str
    site_id: int | None
    client_id: int | None
    since: str
    unseen_seconds: float
    recipients: int
    """Connections that it was written to, at this gateway."""


FeedMessage = (
    DashboardAnomaly
    | StreamAnomaly
    | TicketUpdatedMessage
    | RateLimitedMessage
    | Subscribed
    | Stats
    | ErrorMessage
    | EventProcessed
    | FeedStatus
    | MessageSeen
    | CriticalUnseen
)
"""What `Message.body` is, by its `type`."""
