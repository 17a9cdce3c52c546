"""A NULL arrives as null whatever the column's default is: from a snapshot, an INSERT, an UPDATE, and as an old row."""

import json
from typing import Any, LiteralString

from psycopg import sql
from support.capture_databases import Database, own_connector, owners_session
from support.captured_records import Records

from common.settings.load import Settings
from connect.apply import apply_connector
from connect.schema import apply_schema
from contracts.schema import TABLES

DEFAULTS: dict[str, LiteralString] = {
    "bigint": "7",
    "integer": "0",
    "boolean": "false",
    "double precision": "0",
    "text": "'no'",
    "timestamptz": "now()",
    "jsonb": "'{}'",
}
THEIR_TYPES = {
    "smallint": "1", "numeric": "1.5", "numeric(9,2)": "1.5", "real": "1", "money": "1", "date": "'2026-01-01'",
    "time": "'10:00'", "timetz": "'10:00Z'", "timestamp": "'2026-01-01'", "interval": "'1 h'", "uuid": "gen_random_uuid()",
    "bytea": "'x'", "varchar(9)": "'x'", "char(3)": "'x'", "json": "'{}'", "text[]": "'{x}'", "int4range": "'[1,2)'",
    "inet": "'127.0.0.1'", "mood": "'fine'", "bit(3)": "'101'", "point": "'(1,2)'", "bigint": "8",
}  # fmt: skip
TENANT = 5


def prepare(owner: Database) -> dict[str, list[str]]:
    """Give each nullable column a default; the tables' nullable columns, with some of types that are theirs."""
    owner.execute("CREATE TYPE mood AS ENUM ('fine', 'bad')")
    columns = {}
    for table in TABLES.values():
        columns[table.name] = [column.name for column in table.columns if not column.required]
        for column in table.columns:
            if not column.required:
                owner.execute(
                    sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}").format(
                        sql.Identifier(table.name), sql.Identifier(column.name), sql.SQL(DEFAULTS[column.type])
                    )
                )
    for number, (kind, default) in enumerate(THEIR_TYPES.items()):
        owner.execute(f"ALTER TABLE jobneed ADD COLUMN theirs_{number} {kind} DEFAULT {default}".encode())
        columns["jobneed"].append(f"theirs_{number}")
    return columns


def insert(owner: Database, table: str, row_id: int, columns: list[str], value: str) -> None:
    owner.execute(
        sql.SQL("INSERT INTO {} (id, tenant_id, {}) VALUES (%s, %s, {})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.SQL("DEFAULT" if value == "DEFAULT" else "NULL")] * len(columns)),
        ),
        [TENANT if table == "tenant" else row_id, TENANT],
    )


def arrived(settings: Settings, count: int) -> list[tuple[str, dict[str, Any]]]:
    records = Records(settings.kafka, from_start=True)
    try:
        found = records.read(TENANT, count, wait_s=60)
    finally:
        records.consumer.close()
    return [(str(record.topic()).rpartition(".")[2], json.loads(record.value() or b"{}")) for record, _ in found]


def test_null_stays_null_of_every_column_with_a_default(scratch: Settings) -> None:
    apply_schema(scratch.source)
    with owners_session(scratch.source) as owner, own_connector(scratch):
        columns = prepare(owner)
        for table, names in columns.items():
            insert(owner, table, 1, names, "NULL")
        apply_connector(scratch)
        for table, names in columns.items():
            if table != "tenant":
                insert(owner, table, 2, names, "NULL")
                insert(owner, table, 3, names, "DEFAULT")
            nulls = sql.SQL(", ").join(sql.SQL("{} = NULL").format(sql.Identifier(name)) for name in names)
            owner.execute(sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), nulls))
            owner.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        expected = 9 * (len(columns) - 1) + 3
        found = arrived(scratch, expected)
    assert len(found) == expected
    for table, change in found:
        for side in ("before", "after"):
            row = change[side]
            if row is not None and not (
                row["id"] == 3 and (change["op"] == "c" or (change["op"], side) == ("u", "before"))
            ):
                assert {name: row[name] for name in columns[table] if row[name] is not None} == {}, (table, change)
    of_defaults = [change["after"] for table, change in found if change["op"] == "c" and change["after"]["id"] == 3]
    assert all(None not in row.values() for row in of_defaults)
