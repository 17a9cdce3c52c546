"""Feed records as the messages that viewers get. Pure: values in, values out, no clock.

A name that the viewer may not see must have been masked in the record before.
"""

import re

from msgspec.structs import asdict

from contracts.feed import AnomalyDetected, FeedRecord, ProcessedEvent, RateLimited, TicketUpdated
from contracts.feed_messages import (
    DashboardAnomaly,
    EventProcessed,
    FindingView,
    Part,
    RateLimitedMessage,
    SequencedMessage,
    StreamAnomaly,
    TicketUpdatedMessage,
)
from contracts.findings import Finding

DESCRIPTION_CHARACTERS_MAX = 200
_PLACEHOLDER = re.compile(r"\{(?:person|site)_name\}")


def dashboard_messages(record: FeedRecord, timestamp: str, latency_ms: float) -> list[SequencedMessage]:
    """The dashboard's messages of a record: one for each finding, all with the record's seq.

    Args:
        record: a record of the feed, masked for the viewer.
        timestamp: when it was written to the log, ISO 8601 UTC.
        latency_ms: from the source's commit to the log.

    Raises:
        TypeError: a type of record that has no message.
    """
    if not isinstance(record, AnomalyDetected):
        return [_other(record, timestamp)]
    count = len(record.findings)
    return [
        DashboardAnomaly(
            timestamp=timestamp,
            seq=record.seq,
            part=Part(index, count),
            anomaly_id=finding.id,
            event_id=record.event_id,
            event_type=record.event_type,
            person_id=record.person_id,
            person_name=record.person_name,
            site_id=record.site_id,
            site_name=record.site_name,
            client_id=record.client_id,
            anomaly_type=finding.finding_type,
            category=finding.category,
            severity=finding.severity,
            fraud_score=finding.fraud_score,
            title=filled(finding.title, record),
            description=filled(finding.description, record),
            evidence=finding.evidence,
            created_at=finding.created_at,
            detection_latency_ms=latency_ms,
        )
        for index, finding in enumerate(record.findings)
    ]


def stream_messages(record: FeedRecord, timestamp: str, latency_ms: float) -> list[SequencedMessage]:
    """The anomaly stream's messages of a record: always one. Arguments as of `dashboard_messages`."""
    if not isinstance(record, AnomalyDetected):
        return [_other(record, timestamp)]
    return [
        StreamAnomaly(
            timestamp=timestamp,
            seq=record.seq,
            event_id=record.event_id,
            event_type=record.event_type,
            findings_count=len(record.findings),
            detection_latency_ms=latency_ms,
            person_id=record.person_id,
            person_name=record.person_name,
            site_id=record.site_id,
            site_name=record.site_name,
            client_id=record.client_id,
            findings=[_finding_view(finding, record) for finding in record.findings],
        )
    ]


def processed_message(event: ProcessedEvent, timestamp: str) -> EventProcessed:
    """The anomaly stream's message of an event that was found clean."""
    return EventProcessed(
        timestamp=timestamp,
        event_id=event.event_id,
        event_type=event.event_type,
        detection_latency_ms=event.detection_latency_ms,
    )


def filled(text: str, record: FeedRecord) -> str:
    """The text with `{person_name}` and `{site_name}` replaced; an identifier stands in for an unknown name."""
    if "{" not in text:
        return text
    names = {
        "{person_name}": record.person_name or _numbered("person", record.person_id),
        "{site_name}": record.site_name or _numbered("site", record.site_id),
    }
    # One pass: a person whose name is "{site_name}" keeps that name.
    return _PLACEHOLDER.sub(lambda found: names[found[0]], text)


def _numbered(noun: str, identifier: int | None) -> str:
    return f"unknown {noun}" if identifier is None else f"{noun} {identifier}"


def _finding_view(finding: Finding, record: FeedRecord) -> FindingView:
    texts = {"title": filled(finding.title, record), "description": filled(finding.description, record)}
    return FindingView(**asdict(finding) | texts)


def _other(record: FeedRecord, timestamp: str) -> SequencedMessage:
    match record:
        case TicketUpdated():
            return TicketUpdatedMessage(
                timestamp=timestamp,
                seq=record.seq,
                ticket_id=record.ticket_id,
                ticket_no=record.ticket_no,
                old_status=record.old_status,
                new_status=record.new_status,
                priority=record.priority,
                assigned_to=record.assigned_to,
                site_id=record.site_id,
                site_name=record.site_name,
                client_id=record.client_id,
                description=record.description[:DESCRIPTION_CHARACTERS_MAX],
                updated_at=record.updated_at,
            )
        case RateLimited():
            return RateLimitedMessage(
                timestamp=timestamp,
                seq=record.seq,
                dropped=record.dropped,
                window=record.window,
                limit=record.limit,
            )
        case _:
            raise TypeError(f"no message for a record of type {type(record).__name__}")
