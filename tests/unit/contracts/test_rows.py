"""The structs of the rows, and the tables that follow from them.

Also of contracts/schema.py.
"""

import msgspec
import pytest

from contracts.rows import ROW_TYPES, UNAVAILABLE, Device, Row, Tenant, known
from contracts.schema import TABLES, Column
from contracts.topics import CAPTURED_TABLES

COLUMNS = {
    "tenant": "name text, timezone text, max_events_per_second integer",
    "client": "name text",
    "site": "client_id bigint, name text, latitude double precision, longitude double precision, "
    "geofence_radius_m double precision, geofence jsonb, timezone text",
    "person": "name text, phone text, email text",
    "assignment": "person_id bigint, site_id bigint, shift_start timestamptz, shift_end timestamptz",
    "policy": "client_id bigint, site_id bigint, detector text, settings jsonb",
    "device": "site_id bigint, name text, status text, last_seen timestamptz, battery_percent double precision",
    "attendance": "site_id bigint, person_id bigint, verified_person_id bigint, device_id bigint, event_type text, "
    "occurred_at timestamptz, latitude double precision, longitude double precision, accuracy_m double precision",
    "jobneed": "site_id bigint, person_id bigint, job_type text, title text, status text, planned_start timestamptz, "
    "due_at timestamptz, started_at timestamptz, completed_at timestamptz, checkpoints_expected integer, "
    "checkpoints_scanned integer",
    "location": "person_id bigint, site_id bigint, device_id bigint, latitude double precision, longitude double "
    "precision, accuracy_m double precision, speed_mps double precision, is_mock boolean, recorded_at timestamptz",
    "ticket": "site_id bigint, ticket_no text, status text, priority text, assigned_to bigint, description text, "
    "escalation_level integer, created_at timestamptz now(), updated_at timestamptz now()",
    "work_order": "site_id bigint, status text, vendor text, due_at timestamptz, created_at timestamptz now(), "
    "updated_at timestamptz now()",
}
"""What users have in their databases and mappings: a change of it needs a migration."""


def test_the_tables_are_the_documented_ones_in_the_order_of_their_references() -> None:
    assert tuple(TABLES) == tuple(COLUMNS) == CAPTURED_TABLES


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_the_documented_columns(table: str) -> None:
    row_id, tenant_id, *columns = TABLES[table].columns
    assert (row_id, tenant_id) == (Column("id", "bigint", required=True), Column("tenant_id", "bigint", required=True))
    assert not any(column.required for column in columns)
    shown = (f"{column.name} {column.type} {column.default or ''}".strip() for column in columns)
    assert ", ".join(shown) == COLUMNS[table]


@pytest.mark.parametrize("row_type", ROW_TYPES.values())
def test_a_row_needs_its_id_and_tenant_and_nothing_else(row_type: type[Row]) -> None:
    row = msgspec.json.decode(b'{"id":5,"tenant_id":3}', type=row_type)
    assert (row.id, row.tenant_id) == (5, 3)
    rest = set(row.__struct_fields__) - {"id", "tenant_id"}
    assert {getattr(row, name) for name in rest} == {None}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"tenant_id":3}', type=row_type)


def test_rows_are_values() -> None:
    device = Device(id=1, tenant_id=3)
    with pytest.raises(AttributeError):
        device.status = "OFFLINE"  # type: ignore[misc]
    assert device == Device(id=1, tenant_id=3)


def test_a_tenant_is_its_own_tenant() -> None:
    assert msgspec.json.decode(b'{"id":3}', type=Tenant).tenant_id == 3


def test_unavailable_is_not_a_value() -> None:
    assert known(UNAVAILABLE) is None
    assert known(None) is None
    assert known("") == ""
