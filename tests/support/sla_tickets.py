"""A ticket whose time runs out in four hours, and a worker that watches it."""

from typing import Any

from support.changes import NOW, NOW_US, Worker, change

from contracts.envelope import Change
from detectors.registry import named

HOUR_MS = 3_600_000
NOW_MS = NOW_US // 1000
DUE_MS = NOW_MS + 4 * HOUR_MS


def ticket(operation: str = "c", *, lsn: int = 100, at_us: int = NOW_US, **more: Any) -> Change:
    """A ticket of priority HIGH that was created NOW."""
    row = {"id": 5, "tenant_id": 1, "site_id": 4, "status": "OPEN", "priority": "HIGH", "created_at": NOW} | more
    before = row | {"status": "NEW"} if operation == "u" else None
    return change("ticket", row, before=before, op=operation, lsn=lsn, at_us=at_us)


def worker(**more: Any) -> Worker:
    """One that runs the SLA's detector."""
    return Worker(detectors=named(["ticket_sla_breach", "wrong_person"]), **more)


def types(records: list[Any]) -> list[str]:
    """Finding types of the records, in order."""
    return [finding.finding_type for record in records for finding in getattr(record, "findings", [])]
