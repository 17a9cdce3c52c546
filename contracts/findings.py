"""Findings: what a detector reports about one source event.

Titles and descriptions hold placeholders (`{person_name}`, `{site_name}`) in the place of names; the gateway fills them
for each viewer, so that a name never reaches anybody who may not see it.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec


class Severity(StrEnum):
    """How soon somebody has to look at it."""

    INFO = "INFO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Category(StrEnum):
    """What a finding is about."""

    ATTENDANCE = "ATTENDANCE"
    TASK = "TASK"
    LOCATION = "LOCATION"
    TICKET = "TICKET"
    WORK_ORDER = "WORK_ORDER"
    DEVICE_HEALTH = "DEVICE_HEALTH"
    DATA_QUALITY = "DATA_QUALITY"


class FindingType(StrEnum):
    """The finding types; those of learned volumes are `ANOMALY_<SIGNAL>_BELOW` and `_ABOVE`."""

    WRONG_PERSON = "WRONG_PERSON"
    UNAUTHORIZED_SITE = "UNAUTHORIZED_SITE"
    IMPOSSIBLE_SHIFTS = "IMPOSSIBLE_SHIFTS"
    OVERTIME_VIOLATION = "OVERTIME_VIOLATION"
    LATE_CHECK_IN = "LATE_CHECK_IN"
    MISSING_CHECK_OUT = "MISSING_CHECK_OUT"
    UNEXPECTED_LOCATION = "UNEXPECTED_LOCATION"
    TASK_OVERDUE = "TASK_OVERDUE"
    CHECKPOINTS_SKIPPED = "CHECKPOINTS_SKIPPED"
    UNUSUAL_COMPLETION_TIME = "UNUSUAL_COMPLETION_TIME"
    UNEXPECTED_MOVEMENT = "UNEXPECTED_MOVEMENT"
    GEOFENCE_VIOLATION = "GEOFENCE_VIOLATION"
    LOCATION_SPOOFING = "LOCATION_SPOOFING"
    TICKET_SLA_BREACH = "TICKET_SLA_BREACH"
    TICKET_ESCALATED = "TICKET_ESCALATED"
    WORK_ORDER_OVERDUE = "WORK_ORDER_OVERDUE"
    DEVICE_OFFLINE = "DEVICE_OFFLINE"
    ANOMALY_PHONE_EVENTS_BELOW = "ANOMALY_PHONE_EVENTS_BELOW"
    ANOMALY_PHONE_EVENTS_ABOVE = "ANOMALY_PHONE_EVENTS_ABOVE"
    DATA_QUALITY = "DATA_QUALITY"


Evidence: TypeAlias = dict[str, int | float | str | bool | list[int] | None]
"""What an operator needs to check a finding: identifiers and numbers, never names."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with one source event."""

    id: str
    finding_type: str
    category: Category
    severity: Severity
    title: str
    description: str
    evidence: Evidence
    created_at: str
    """The commit time of the source row, ISO 8601 UTC: the log's clock, the same on a replay."""
    fraud_score: float | None = None
    """0..1 for attendance findings, None where fraud is not what the finding is about."""
