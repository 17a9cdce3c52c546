"""Converts outcomes to records of the feed. Pure: an outcome, a sequence number and the feed's epoch in, a record out.

The table `RECORDS` names the function for each kind of outcome; a new kind of message is a new line there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import asdict

from common.time import iso_ms, iso_us
from contracts.envelope import Change
from contracts.feed import AnomalyDetected, FeedRecord, RateLimited, SourcePosition, TicketUpdated, record_id
from contracts.findings import Finding
from contracts.rows import known
from detectors.finding_draft import FindingDraft, combined_fraud_score
from streams.outcomes import AbsenceFound, BurstEnded, FindingRaised, TicketStatusChanged

DESCRIPTION_CHARACTERS_MAX = 200
EVENT_TYPES = {"jobneed": "task"}
"""The event type of each canonical table for which it is not the table's name."""


class Number(NamedTuple):
    """The sequence number of a record, and the identity of the log in which it counts."""

    seq: int
    epoch: str


def event_id(change: Change) -> str:
    """The id of the event of a row change, such as `attendance:17:35141432`."""
    return f"{change.table}:{change.row.id}:{change.lsn}"


def finding_record(outcome: FindingRaised, number: Number) -> AnomalyDetected:
    """The record of a row change with findings."""
    change, context = outcome.change, outcome.context
    at, key = iso_us(change.commit_us), str(change.row.id)
    return AnomalyDetected(
        tenant_id=change.row.tenant_id,
        seq=number.seq,
        id=record_id(change.table, key, change.lsn, "anomaly_detected"),
        time=at,
        epoch=number.epoch,
        source=_source_of(change),
        event_id=event_id(change),
        event_type=EVENT_TYPES.get(change.table, change.table),
        site_id=outcome.site_id,
        client_id=context.client_id,
        person_id=outcome.person_id,
        site_name=context.name,
        person_name=outcome.person_name,
        findings=_findings(outcome.drafts, at, (change.table, key, change.lsn)),
    )


def absence_record(outcome: AbsenceFound, number: Number) -> AnomalyDetected:
    """The record of something that did not happen in time, whose source is the row change that set the timer."""
    at, origin, context = iso_ms(outcome.due_ms), outcome.origin, outcome.context
    key, kind = str(origin.row_id), f"@{outcome.detector}:{outcome.due_ms}"
    return AnomalyDetected(
        tenant_id=outcome.tenant_id,
        seq=number.seq,
        id=record_id(origin.table, key, origin.lsn, f"anomaly_detected{kind}"),
        time=at,
        epoch=number.epoch,
        source=SourcePosition(origin.table, key, origin.lsn, iso_us(origin.commit_us)),
        event_id=f"{origin.table}:{key}:{origin.lsn}{kind}",
        event_type=EVENT_TYPES.get(origin.table, origin.table),
        site_id=origin.site_id,
        client_id=context.client_id,
        person_id=origin.person_id,
        site_name=context.name,
        person_name=outcome.person_name,
        findings=_findings(outcome.drafts, at, (origin.table, key, origin.lsn), kind),
    )


def ticket_record(outcome: TicketStatusChanged, number: Number) -> TicketUpdated:
    """The record of a ticket whose status changed."""
    change, before, after, site = outcome.change, outcome.before, outcome.after, outcome.site
    return TicketUpdated(
        tenant_id=after.tenant_id,
        seq=number.seq,
        id=record_id(change.table, str(after.id), change.lsn, "ticket_updated"),
        time=iso_us(change.commit_us),
        epoch=number.epoch,
        source=_source_of(change),
        event_id=event_id(change),
        event_type="ticket",
        site_id=after.site_id,
        client_id=site.client_id if site else None,
        site_name=site.name if site else None,
        ticket_id=after.id,
        ticket_no=known(after.ticket_no),
        old_status=before.status or "",
        new_status=after.status or "",
        priority=after.priority,
        assigned_to=after.assigned_to,
        description=(known(after.description) or "")[:DESCRIPTION_CHARACTERS_MAX],
        updated_at=None if after.updated_at is None else iso_us(round(after.updated_at.timestamp() * 1e6)),
    )


def burst_record(outcome: BurstEnded, number: Number) -> RateLimited:
    """The record of a burst over the tenant's limit."""
    tenant, window = str(outcome.tenant_id), iso_ms(outcome.window_start_ms)
    return RateLimited(
        tenant_id=outcome.tenant_id,
        seq=number.seq,
        id=record_id("rate_limit", tenant, outcome.window_start_ms, str(outcome.dropped)),
        time=window,
        epoch=number.epoch,
        source=SourcePosition("tenant", tenant, 0, window),
        event_id=f"rate_limit:{tenant}:{outcome.window_start_ms}",
        event_type="rate_limit",
        dropped=outcome.dropped,
        window=window,
        limit=outcome.limit,
    )


RECORDS: Mapping[type, Callable[[Any, Number], FeedRecord]] = {
    FindingRaised: finding_record,
    AbsenceFound: absence_record,
    TicketStatusChanged: ticket_record,
    BurstEnded: burst_record,
}


def _source_of(change: Change) -> SourcePosition:
    claimed = None if change.claimed_commit_us is None else iso_us(change.claimed_commit_us)
    return SourcePosition(change.table, str(change.row.id), change.lsn, iso_us(change.commit_us), claimed)


def _findings(
    drafts: Sequence[FindingDraft], created_at: str, source: tuple[str, str, int], kind: str = ""
) -> list[Finding]:
    """The findings with their ids, which differ even if two have the same type.

    Args:
        drafts: the finding drafts of an outcome.
        created_at: ISO 8601 UTC.
        source: the table, primary key and LSN of the row change that they are about.
        kind: distinguishes the findings of a timer from those of its row.
    """
    table, key, lsn = source
    score = combined_fraud_score(draft.fraud_score for draft in drafts)
    counts: dict[str, int] = {}
    findings = []
    for draft in drafts:
        count = counts[draft.finding_type] = counts.get(draft.finding_type, 0) + 1
        own_id = record_id(table, key, lsn, draft.finding_type + kind + (f"#{count}" if count > 1 else ""))
        findings.append(Finding(id=own_id, created_at=created_at, **asdict(draft) | {"fraud_score": score}))
    return findings
