"""The rows of the captured tables, as the change envelopes carry them. Never judges a value.

One struct a canonical table; contracts/schema.py derives the SQL of the tables from them. Only `id` and `tenant_id` are
required: a column that was dropped, or that a customer never had, is None; a column that was added is ignored. A value
of the wrong type raises `msgspec.ValidationError`, which the worker turns into a dead letter.
"""

from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec

UNAVAILABLE: Final = "__debezium_unavailable_value"
"""Replaces the unchanged value of a long (TOASTed) text column of a table that does not log it.

With `REPLICA IDENTITY FULL`, which the source schema sets, Debezium fills in the old value and this does not occur.
Compare with `==`, or use `known`.
"""

Timestamp: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""Always timezone-aware; Debezium writes UTC."""


BigInt: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""PostgreSQL's bigint. JSON has no bounds; without them a made-up number would break whatever stores it later."""

TenantId: TypeAlias = Annotated[int, msgspec.Meta(gt=0, le=2**63 - 1)]
"""Never 0: Debezium writes 0 for an unknown integer that may not be null, as in the delete of a table which does not log
its old rows."""


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every captured row has. It holds only scalars, so that the garbage collector can skip it."""

    id: BigInt
    tenant_id: TenantId


class Tenant(Row, frozen=True, kw_only=True, gc=False):
    """A customer. Its key is its id: `tenant_id` takes the id's value where the table has no such column."""

    id: TenantId
    tenant_id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    name: str | None = None
    timezone: str | None = None
    max_events_per_second: BigInt | None = None
    """None: the default of the worker's settings."""

    def __post_init__(self) -> None:
        if not self.tenant_id:
            msgspec.structs.force_setattr(self, "tenant_id", self.id)


class Client(Row, frozen=True, kw_only=True, gc=False):
    """A company for which a tenant guards, cleans or repairs."""

    name: str | None = None


class Site(Row, frozen=True, kw_only=True, gc=False):
    """A location of a client that a tenant looks after."""

    client_id: BigInt | None = None
    name: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    geofence_radius_m: float | None = None
    geofence: str | None = None
    """GeoJSON text, not decoded here."""
    timezone: str | None = None


class Person(Row, frozen=True, kw_only=True, gc=False):
    """Somebody who works for a tenant."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None


class Assignment(Row, frozen=True, kw_only=True, gc=False):
    """A shift: this person is expected at this site between these times."""

    person_id: BigInt | None = None
    site_id: BigInt | None = None
    shift_start: Timestamp | None = None
    shift_end: Timestamp | None = None


class Policy(Row, frozen=True, kw_only=True, gc=False):
    """Thresholds of one detector, for the whole tenant, one of its clients or one of its sites."""

    client_id: BigInt | None = None
    site_id: BigInt | None = None
    detector: str | None = None
    settings: str | None = None
    """JSON object text, not decoded here."""


class Device(Row, frozen=True, kw_only=True, gc=False):
    """A phone, camera or sensor at a site."""

    site_id: BigInt | None = None
    name: str | None = None
    status: str | None = None
    last_seen: Timestamp | None = None
    battery_percent: float | None = None


class Attendance(Row, frozen=True, kw_only=True, gc=False):
    """A check-in or check-out."""

    site_id: BigInt | None = None
    person_id: BigInt | None = None
    verified_person_id: BigInt | None = None
    """The person whom the face check recognised."""
    device_id: BigInt | None = None
    event_type: str | None = None
    occurred_at: Timestamp | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None


class Jobneed(Row, frozen=True, kw_only=True, gc=False):
    """A task, or a tour with checkpoints."""

    site_id: BigInt | None = None
    person_id: BigInt | None = None
    job_type: str | None = None
    title: str | None = None
    status: str | None = None
    planned_start: Timestamp | None = None
    due_at: Timestamp | None = None
    started_at: Timestamp | None = None
    completed_at: Timestamp | None = None
    checkpoints_expected: BigInt | None = None
    checkpoints_scanned: BigInt | None = None


class Location(Row, frozen=True, kw_only=True, gc=False):
    """A GPS fix of a person's device."""

    person_id: BigInt | None = None
    site_id: BigInt | None = None
    device_id: BigInt | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None
    speed_mps: float | None = None
    is_mock: bool | None = None
    recorded_at: Timestamp | None = None


class Ticket(Row, frozen=True, kw_only=True, gc=False):
    """Something a client reported."""

    site_id: BigInt | None = None
    ticket_no: str | None = None
    status: str | None = None
    priority: str | None = None
    assigned_to: BigInt | None = None
    description: str | None = None
    escalation_level: BigInt | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None


class WorkOrder(Row, frozen=True, kw_only=True, gc=False):
    """Work given to a vendor."""

    site_id: BigInt | None = None
    status: str | None = None
    vendor: str | None = None
    due_at: Timestamp | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None


AnyRow: TypeAlias = (
    Tenant
    | Client
    | Site
    | Person
    | Assignment
    | Policy
    | Device
    | Attendance
    | Jobneed
    | Location
    | Ticket
    | WorkOrder
)

ROW_TYPES: Final[dict[str, type[AnyRow]]] = {
    "tenant": Tenant,
    "client": Client,
    "site": Site,
    "person": Person,
    "assignment": Assignment,
    "policy": Policy,
    "device": Device,
    "attendance": Attendance,
    "jobneed": Jobneed,
    "location": Location,
    "ticket": Ticket,
    "work_order": WorkOrder,
}
"""The struct of each canonical table. Reference data comes first, in the order in which the tables refer to each other."""


def known(text: str | None) -> str | None:
    """The text, or None where the change does not carry it.

    >>> known(UNAVAILABLE), known("door open")
    (None, 'door open')
    """
    return None if text == UNAVAILABLE else text
