"""What a mapping may say, and what it means."""

import pytest

from common.errors import SettingsError
from common.settings.source import SourceSettings, TableMapping
from connect.mapping import captured_tables
from contracts.topics import CAPTURED_TABLES


def source(**tables: TableMapping) -> SourceSettings:
    return SourceSettings(tables=tables)


def test_without_a_mapping_every_canonical_table_of_public_is_captured() -> None:
    tables = captured_tables(SourceSettings())
    assert [table.qualified for table in tables] == [f"public.{name}" for name in CAPTURED_TABLES]
    assert {table.tenant_column for table in tables} == {"tenant_id"}
    assert not any(table.mapped for table in tables)


def test_with_a_mapping_only_its_tables_are_captured_reference_data_first() -> None:
    tables = captured_tables(
        source(
            ticket=TableMapping(table="crm.Ticket", columns={"tenant_id": "client_id"}),
            site=TableMapping(table="bt"),
        )
    )
    assert [table.qualified for table in tables] == ["public.bt", "crm.Ticket"]
    assert [table.tenant_column for table in tables] == ["tenant_id", "client_id"]
    assert tables[1].column("status") == "status"
    assert all(table.mapped for table in tables)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"tickets": TableMapping(table="t")}, "tickets is not a table"),
        ({"ticket": TableMapping(table="t", columns={"colour": "c"})}, "colour is not a column of ticket"),
        ({"ticket": TableMapping(table='t"; DROP TABLE x')}, "is not a name"),
        ({"ticket": TableMapping(table="a.b.c")}, "is not a name"),
        ({"ticket": TableMapping(table="")}, "is not a name"),
        ({"ticket": TableMapping(table="t", columns={"status": "a,b"})}, "is not a name"),
        (
            {"ticket": TableMapping(table="t"), "site": TableMapping(table="public.t")},
            "stands for both site and ticket",
        ),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(tables: dict[str, TableMapping], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        captured_tables(SourceSettings(tables=tables))
