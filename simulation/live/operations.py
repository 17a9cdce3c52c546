"""Row operations: what the simulation says and the writer does.

Owns the vocabulary between the two. Holds no connection and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Value = str | int | float | bool | datetime | None


class Planted(StrEnum):
    """What the simulation plants on purpose, named as it shows in the feed."""

    WRONG_PERSON = "WRONG_PERSON"
    UNAUTHORIZED_SITE = "UNAUTHORIZED_SITE"
    IMPOSSIBLE_SHIFTS = "IMPOSSIBLE_SHIFTS"
    OVERTIME_VIOLATION = "OVERTIME_VIOLATION"
    LATE_CHECK_IN = "LATE_CHECK_IN"
    MISSING_CHECK_OUT = "MISSING_CHECK_OUT"
    UNEXPECTED_LOCATION = "UNEXPECTED_LOCATION"
    TASK_OVERDUE = "TASK_OVERDUE"
    CHECKPOINTS_SKIPPED = "CHECKPOINTS_SKIPPED"
    UNEXPECTED_MOVEMENT = "UNEXPECTED_MOVEMENT"
    GEOFENCE_VIOLATION = "GEOFENCE_VIOLATION"
    LOCATION_SPOOFING = "LOCATION_SPOOFING"
    TICKET_SLA_BREACH = "TICKET_SLA_BREACH"
    TICKET_ESCALATED = "TICKET_ESCALATED"
    WORK_ORDER_OVERDUE = "WORK_ORDER_OVERDUE"
    DEVICE_OFFLINE = "DEVICE_OFFLINE"
    DATA_QUALITY = "DATA_QUALITY"
    TICKET_UPDATED = "ticket_updated"
    RATE_LIMITED = "rate_limited"


ANOMALIES = tuple(kind for kind in Planted if kind not in {Planted.TICKET_UPDATED, Planted.RATE_LIMITED})
"""What `--anomaly-rate` is about; the other kinds come with the company's ordinary day."""


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row; `values` has every column that is not null."""

    table: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Update:
    """New values for the row of this id."""

    table: str
    row_id: int
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Delete:
    """The row of this id goes."""

    table: str
    row_id: int


Operation = Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is committed together, and what the feed will show because of it."""

    tenant_id: int
    operations: tuple[Operation, ...]
    planted: tuple[Planted, ...] = ()
    """What the feed shows once this is committed, each as often as it shows."""
    later: tuple[tuple[datetime, Planted], ...] = ()
    """What the feed shows at a later time if nothing else happens until then: something that is missing."""
