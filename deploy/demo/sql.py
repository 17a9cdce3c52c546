"""The SQL of row operations, and where an earlier run stopped.

Owns every statement that the demo sends. Identifiers and values never meet a string: `psycopg.sql`
composes the one, the server binds the other.
"""

from collections.abc import Sequence
from functools import cache

from psycopg import Connection, sql

from deploy.demo.operations import Insert, Operation, Update, Value
from deploy.demo.simulation import ResumePoint
from deploy.demo.work import OpenItem

_GROWING_TABLES = ("assignment", "attendance", "jobneed", "location", "ticket", "work_order")
_FINISHED = {
    "jobneed": ("COMPLETED", "CANCELLED"),
    "ticket": ("CLOSED", "CANCELLED"),
    "work_order": ("DONE", "CANCELLED"),
}
_CARRIED_OVER_MAX = 200
"""Unfinished rows of a table that a run takes over; what is older stays as it is."""


def execute(connection: Connection, operation: Operation, *, replace: bool = False) -> None:
    """Send one operation within the caller's transaction.

    Args:
        connection: open, in a transaction.
        operation: the row change.
        replace: an insert whose id exists overwrites the row; otherwise it is skipped, so that a
            transaction whose outcome a lost connection left unknown can be sent again.
    """
    columns = tuple(operation.values)
    parameters: list[Value] = list(operation.values.values())
    match operation:
        case Insert():
            connection.execute(_insert(operation.table, columns, replace=replace), parameters)
        case Update():
            connection.execute(_update(operation.table, columns), [*parameters, operation.row_id])


def read_resume_point(connection: Connection, tenants: Sequence[int]) -> ResumePoint:
    """Where earlier runs stopped: the next free ids and the unfinished work of these tenants."""
    first_ids = {}
    for table in _GROWING_TABLES:
        row = connection.execute(
            sql.SQL("SELECT coalesce(max(id), 0) + 1 FROM {}").format(sql.Identifier("public", table))
        ).fetchone()
        first_ids[table] = row[0] if row else 1
    open_items = {table: _open_items(connection, table, tenants) for table in _FINISHED}
    return ResumePoint(first_ids, open_items)


def clear_roster(connection: Connection, tenants: Sequence[int]) -> None:
    """Remove the assignments of earlier runs: another seed has other shifts, and two rosters would contradict."""
    connection.execute("DELETE FROM public.assignment WHERE tenant_id = ANY(%s)", [list(tenants)])


def _open_items(connection: Connection, table: str, tenants: Sequence[int]) -> list[OpenItem]:
    checkpoints = ("checkpoints_expected", "checkpoints_scanned") if table == "jobneed" else ()
    columns = ("id", "tenant_id", "site_id", "status", *checkpoints)
    query = sql.SQL(
        "SELECT {} FROM {} WHERE tenant_id = ANY(%s) AND NOT status = ANY(%s) ORDER BY id DESC LIMIT {}"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier("public", table),
        sql.Literal(_CARRIED_OVER_MAX),
    )
    rows = connection.execute(query, [list(tenants), list(_FINISHED[table])]).fetchall()
    return [OpenItem(*row) for row in reversed(rows)]


@cache
def _insert(table: str, columns: tuple[str, ...], *, replace: bool) -> sql.Composed:
    names = [sql.Identifier(column) for column in columns]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (id) DO ").format(
        sql.Identifier("public", table), sql.SQL(", ").join(names), sql.SQL(", ").join(sql.Placeholder() * len(names))
    )
    if not replace:
        return statement + sql.SQL("NOTHING")
    news = [sql.SQL("{0} = excluded.{0}").format(name) for name in names if name != sql.Identifier("id")]
    return statement + sql.SQL("UPDATE SET {}").format(sql.SQL(", ").join(news))


@cache
def _update(table: str, columns: tuple[str, ...]) -> sql.Composed:
    assignments = [sql.SQL("{} = %s").format(sql.Identifier(column)) for column in columns]
    return sql.SQL("UPDATE {} SET {} WHERE id = %s").format(
        sql.Identifier("public", table), sql.SQL(", ").join(assignments)
    )
