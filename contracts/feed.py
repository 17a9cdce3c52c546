"""Records of `noc.anomalies` and `noc.processed`: their JSON, headers and deterministic identifiers.

One record a source event. The same source change through the same configuration gives the same bytes,
live or replayed; nothing here reads a clock.
"""

import hashlib

import msgspec

from contracts.findings import Finding

Header = tuple[str, bytes]

GENERATION_HEADER = "generation"
CE_SOURCE = "/watchfloor/worker"
CE_SCHEMA = "urn:watchfloor:feed:v1"


class SourcePosition(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which row change a record is about."""

    table: str
    key: str
    lsn: int
    commit_time: str
    claimed_commit_time: str | None = None
    """Only where the database's clock was ahead: what it said. Then `commit_time`, and every time that is derived from
    it, is when the change reached Kafka."""


class FeedRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=False):
    """What every record of the feed has."""

    tenant_id: int
    seq: int
    id: str
    time: str
    epoch: str
    source: SourcePosition
    event_id: str
    event_type: str
    site_id: int | None = None
    client_id: int | None = None
    person_id: int | None = None
    site_name: str | None = None
    person_name: str | None = None


class AnomalyDetected(FeedRecord, frozen=True, kw_only=True, tag="anomaly_detected"):
    """A source event with findings, at least one."""

    findings: list[Finding]


class TicketUpdated(FeedRecord, frozen=True, kw_only=True, tag="ticket_updated"):
    """A ticket whose status changed (R4.8); `description` is cut at 200 characters (R5.7)."""

    ticket_id: int
    ticket_no: str | None
    old_status: str
    new_status: str
    priority: str | None
    assigned_to: int | None
    description: str
    updated_at: str | None


class RateLimited(FeedRecord, frozen=True, kw_only=True, tag="rate_limited"):
    """A burst over the tenant's limit (R2.2), reported once when its window has ended."""

    dropped: int
    """Events of the window that were not scored."""
    window: str
    """Start of the window, ISO 8601 UTC."""
    limit: int
    """Events per window that are scored."""


class Fence(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="fence"):
    """The start of a writer's generation in this partition."""

    generation: int
    epoch: str


AnyFeedRecord = AnomalyDetected | TicketUpdated | RateLimited | Fence


class ProcessedEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that was scored and found clean."""

    event_id: str
    event_type: str
    site_id: int | None
    client_id: int | None
    detection_latency_ms: float
    """From the commit in PostgreSQL to the end of its scoring, by the worker's clock."""


class ProcessedBatch(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="processed", omit_defaults=True):
    """The clean events of one tenant in one micro-batch.

    `batch` is the number of the micro-batch in its partition, `part` that of the record where the events of one
    micro-batch need several: a reader that has seen both numbers skips the repeat.
    """

    tenant_id: int
    batch: int
    events: list[ProcessedEvent]
    part: int = 0


encode_record = msgspec.json.Encoder().encode
"""The value of a feed record, a fence or a batch of clean events, as UTF-8 JSON."""
decode_feed_record = msgspec.json.Decoder(AnyFeedRecord).decode
decode_processed = msgspec.json.Decoder(ProcessedBatch).decode


def record_id(table: str, key: str, lsn: int, kind: str) -> str:
    """The deterministic identifier of one `kind` of statement about one row change: 32 hexadecimal digits.

    >>> record_id("ticket", "17", 35141432, "ticket_updated") == record_id("ticket", "17", 35141432, "ticket_updated")
    True
    """
    return hashlib.blake2b(f"{table}\x1f{key}\x1f{lsn}\x1f{kind}".encode(), digest_size=16).hexdigest()


def cloudevent_headers(record: FeedRecord) -> list[Header]:
    """CloudEvents 1.0 binary-mode headers and a W3C traceparent."""
    kind = str(type(record).__struct_config__.tag)
    identifier = record.id.encode()
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", identifier),
        ("ce_type", f"com.watchfloor.{kind}".encode()),
        ("ce_source", CE_SOURCE.encode()),
        ("ce_time", record.time.encode()),
        ("ce_subject", f"{record.source.table}/{record.source.key}".encode()),
        ("ce_dataschema", CE_SCHEMA.encode()),
        ("content-type", b"application/json"),
        ("traceparent", b"00-" + identifier + b"-" + identifier[:16] + b"-01"),
    ]


def feed_headers(record: FeedRecord, generation: int) -> list[Header]:
    """All headers of a feed record: its CloudEvents ones and the writer's generation."""
    return [(GENERATION_HEADER, b"%d" % generation), *cloudevent_headers(record)]
