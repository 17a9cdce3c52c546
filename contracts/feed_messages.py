"""The messages of contract v1 that show a record of the feed: their shapes, and nothing of who gets them.

`prev_seq` is the last field of each message with a `seq`: the gateway encodes a message once and appends the number.
"""

from typing import Literal

import msgspec

from contracts.findings import Category, Evidence, Severity


class ServerStruct(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every message of a server has."""

    timestamp: str
    """ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent."""


class Part(msgspec.Struct, frozen=True):
    """A record with several findings is several dashboard messages of one `seq`."""

    index: int
    of: int


class DashboardAnomaly(ServerStruct, frozen=True, kw_only=True, tag="anomaly_detected"):
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
    evidence: Evidence
    """What the finding is based on: enough to check it."""
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


class StreamAnomaly(ServerStruct, frozen=True, kw_only=True, tag="anomaly_detected"):
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


class TicketUpdatedMessage(ServerStruct, frozen=True, kw_only=True, tag="ticket_updated"):
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


class RateLimitedMessage(ServerStruct, frozen=True, kw_only=True, tag="rate_limited"):
    """A burst over the tenant's limit: `dropped` events of `window` were not scored."""

    seq: int
    dropped: int
    window: str
    limit: int
    prev_seq: int = 0


class EventProcessed(ServerStruct, frozen=True, kw_only=True, tag="event_processed"):
    """A source event that was scored and found clean; anomaly stream only, outside the sequence."""

    event_id: str
    event_type: str
    anomalies_found: Literal[False] = False
    detection_latency_ms: float


SequencedMessage = DashboardAnomaly | StreamAnomaly | TicketUpdatedMessage | RateLimitedMessage
