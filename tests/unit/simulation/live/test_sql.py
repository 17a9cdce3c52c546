"""The statements of the demo: composed, never pasted together."""

from typing import Any

import pytest

from simulation.live import sql
from simulation.records import RowChange


class RecordingConnection:
    """Stands in for PostgreSQL: keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[Any]]] = []

    def execute(self, query: Any, parameters: list[Any]) -> None:
        self.sent.append((query.as_string(None), list(parameters)))


def sent(change: RowChange, *, replace: bool = False) -> tuple[str, list[Any]]:
    connection = RecordingConnection()
    sql.execute(connection, change, replace=replace)  # type: ignore[arg-type]
    [statement] = connection.sent
    return statement


def updated(**columns: object) -> RowChange:
    before = {"id": 4, "tenant_id": 1, "status": "NEW"}
    return RowChange("ticket", "u", before, before | columns, 0)


def test_an_insert_that_is_sent_again_changes_nothing() -> None:
    row = {"id": 4, "tenant_id": 1, "status": "NEW"}
    assert sent(RowChange("ticket", "c", None, row, 0)) == (
        'INSERT INTO "public"."ticket" ("id", "tenant_id", "status") VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING',
        [4, 1, "NEW"],
    )


def test_reference_rows_replace_those_of_another_seed() -> None:
    change = RowChange("client", "c", None, {"id": 101, "tenant_id": 1, "name": "Orchid Group"}, 0)
    text, _ = sent(change, replace=True)
    assert text.endswith('DO UPDATE SET "tenant_id" = excluded."tenant_id", "name" = excluded."name"')


def test_an_update_names_its_row_by_id_and_sends_only_what_changes() -> None:
    assert sent(updated(status="OPEN")) == (
        'UPDATE "public"."ticket" SET "status" = %s WHERE id = %s',
        ["OPEN", 4],
    )


def test_a_row_is_deleted_by_id() -> None:
    change = RowChange("device", "d", {"id": 4, "tenant_id": 1}, None, 0)
    assert sent(change) == ('DELETE FROM "public"."device" WHERE id = %s', [4])


@pytest.mark.parametrize("name", ['x" = 1; --', "x y"])
def test_a_name_cannot_leave_its_quotes(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    assert sent(updated(**{name: 1}))[0] == f'UPDATE "public"."ticket" SET {quoted} = %s WHERE id = %s'  # noqa: S608 - expected text
