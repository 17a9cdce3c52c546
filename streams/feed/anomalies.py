"""Feed records of what the detectors found: about a row change, or about something that did not happen."""

from collections.abc import Sequence

from contracts.envelope import Change
from contracts.feed import AnomalyDetected, SourcePosition, record_id
from contracts.findings import Finding
from detectors.finding_draft import FindingDraft, combined_fraud_score
from streams.detection.detector_runner import TimerFinding
from streams.feed.writer import event_id, feed_id, iso_ms, iso_us, source_of
from streams.state.entities import PersonState, TenantState
from streams.state.site_context import SiteContext

_EVENT_TYPES = {"jobneed": "task"}
"""Canonical table to event type, where they differ."""


def event_type_of(table: str) -> str:
    """What events of a canonical table are called."""
    return _EVENT_TYPES.get(table, table)


def anomaly_of_change(
    change: Change,
    judgements: Sequence[FindingDraft],
    tenant: TenantState,
    context: SiteContext,
    site_id: int | None,
    person_id: int | None,
    person: PersonState | None,
    epoch: str,
) -> AnomalyDetected:
    """The record of a row change with findings. It carries the tenant's next seq, taken when it is sent."""
    at = iso_us(change.commit_us)
    return AnomalyDetected(
        tenant_id=change.row.tenant_id,
        seq=tenant.seq + 1,
        id=feed_id(change, "anomaly_detected"),
        time=at,
        epoch=epoch,
        source=source_of(change),
        event_id=event_id(change),
        event_type=event_type_of(change.table),
        site_id=site_id,
        client_id=context.client_id,
        person_id=person_id,
        site_name=context.name,
        person_name=person.name if person else None,
        findings=_findings(judgements, at, change.table, str(change.row.id), change.lsn, ""),
    )


def anomaly_of_absence(
    tenant_id: int,
    absence: TimerFinding,
    tenant: TenantState,
    context: SiteContext,
    person: PersonState | None,
    epoch: str,
) -> AnomalyDetected:
    """The record of something that did not happen in time; its source is the row change that set the timer."""
    at, origin = iso_ms(absence.due_ms), absence.origin
    key, kind = str(origin.row_id), f"@{absence.detector}:{absence.due_ms}"
    return AnomalyDetected(
        tenant_id=tenant_id,
        seq=tenant.seq + 1,
        id=record_id(origin.table, key, origin.lsn, f"anomaly_detected{kind}"),
        time=at,
        epoch=epoch,
        source=SourcePosition(origin.table, key, origin.lsn, iso_us(origin.commit_us)),
        event_id=f"{origin.table}:{key}:{origin.lsn}{kind}",
        event_type=event_type_of(origin.table),
        site_id=origin.site_id,
        client_id=context.client_id,
        person_id=origin.person_id,
        site_name=context.name,
        person_name=person.name if person else None,
        findings=_findings(absence.judgements, at, origin.table, key, origin.lsn, kind),
    )


def _findings(
    judgements: Sequence[FindingDraft], created_at: str, table: str, key: str, lsn: int, kind: str
) -> list[Finding]:
    """The findings with their identifiers, which differ also where two are of one type."""
    score = combined_fraud_score(judgement.fraud_score for judgement in judgements)
    reported: dict[str, int] = {}
    findings = []
    for judgement in judgements:
        number = reported[judgement.finding_type] = reported.get(judgement.finding_type, 0) + 1
        what = judgement.finding_type + kind + (f"#{number}" if number > 1 else "")
        findings.append(
            Finding(
                id=record_id(table, key, lsn, what),
                finding_type=judgement.finding_type,
                category=judgement.category,
                severity=judgement.severity,
                title=judgement.title,
                description=judgement.description,
                evidence=judgement.evidence,
                created_at=created_at,
                fraud_score=score,
            )
        )
    return findings
