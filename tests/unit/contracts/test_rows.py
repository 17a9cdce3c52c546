"""The structs and the schema are one and the same."""

import typing
from datetime import datetime

import msgspec
import pytest

from contracts.rows import ROW_TYPES, UNAVAILABLE, Device, Row, Tenant, known
from contracts.schema import TABLES
from contracts.topics import CAPTURED_TABLES

PYTHON_TYPES = {
    "bigint": int,
    "integer": int,
    "boolean": bool,
    "double precision": float,
    "text": str,
    "jsonb": str,
    "timestamptz": datetime,
}


def test_schema_structs_and_topics_name_the_same_tables_in_the_same_order() -> None:
    assert tuple(TABLES) == tuple(ROW_TYPES) == CAPTURED_TABLES


@pytest.mark.parametrize("table", CAPTURED_TABLES)
def test_a_struct_has_the_columns_of_its_table_with_their_types(table: str) -> None:
    hints = typing.get_type_hints(ROW_TYPES[table])
    columns = TABLES[table].columns
    assert sorted(hints) == sorted(column.name for column in columns)
    for column in columns:
        expected = PYTHON_TYPES[column.type]
        assert hints[column.name] == (expected if column.required else expected | None)


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
