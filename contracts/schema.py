"""The canonical source tables as typed data: what the embedded database is made of, what a customer's is mapped to.

The one source for the SQL of connect/schema.py, the checks of a customer's database, the names that a
mapping may use and the reference in docs/capture.md. contracts/rows.py has the same columns as structs;
a test holds the two together.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

SqlType: TypeAlias = Literal["bigint", "integer", "boolean", "double precision", "text", "timestamptz", "jsonb"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a canonical table."""

    name: str
    type: SqlType
    required: bool = False
    """NOT NULL in the tables that we create; demanded of a customer's table."""
    default: str | None = None
    """SQL expression for rows that do not say."""


@dataclass(frozen=True, slots=True)
class Table:
    """A canonical table. Its primary key is `id`, and the key of its change records is `tenant_id`."""

    name: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names in the order of the table."""
        return tuple(column.name for column in self.columns)


_TYPES: Final[dict[str, SqlType]] = {
    "max_events_per_second": "integer",
    "latitude": "double precision",
    "longitude": "double precision",
    "geofence_radius_m": "double precision",
    "geofence": "jsonb",
    "settings": "jsonb",
    "shift_start": "timestamptz",
    "shift_end": "timestamptz",
    "last_seen": "timestamptz",
    "battery_percent": "double precision",
    "occurred_at": "timestamptz",
    "recorded_at": "timestamptz",
    "accuracy_m": "double precision",
    "speed_mps": "double precision",
    "is_mock": "boolean",
    "planned_start": "timestamptz",
    "due_at": "timestamptz",
    "started_at": "timestamptz",
    "completed_at": "timestamptz",
    "checkpoints_expected": "integer",
    "checkpoints_scanned": "integer",
    "assigned_to": "bigint",
    "escalation_level": "integer",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
"""A column means the same in every table that has it; identifiers are bigint, everything else is text."""


def _table(name: str, columns: str) -> Table:
    def column(name: str) -> Column:
        if name in ("id", "tenant_id"):
            return Column(name, "bigint", required=True)
        default = "now()" if name in ("created_at", "updated_at") else None
        return Column(name, _TYPES.get(name, "bigint" if name.endswith("_id") else "text"), default=default)

    return Table(name, tuple(column(each) for each in ("id", "tenant_id", *columns.split())))


TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        _table("tenant", "name timezone max_events_per_second"),
        _table("client", "name"),
        _table("site", "client_id name latitude longitude geofence_radius_m geofence timezone"),
        _table("person", "name phone email"),
        _table("assignment", "person_id site_id shift_start shift_end"),
        _table("policy", "client_id site_id detector settings"),
        _table("device", "site_id name status last_seen battery_percent"),
        _table(
            "attendance",
            "site_id person_id verified_person_id device_id event_type occurred_at latitude longitude accuracy_m",
        ),
        _table(
            "jobneed",
            "site_id person_id job_type title status planned_start due_at started_at completed_at "
            "checkpoints_expected checkpoints_scanned",
        ),
        _table(
            "location",
            "person_id site_id device_id latitude longitude accuracy_m speed_mps is_mock recorded_at",
        ),
        _table(
            "ticket",
            "site_id ticket_no status priority assigned_to description escalation_level created_at updated_at",
        ),
        _table("work_order", "site_id status vendor due_at created_at updated_at"),
    )
}
"""Every canonical table by name, in the order of `contracts.topics.CAPTURED_TABLES`."""
