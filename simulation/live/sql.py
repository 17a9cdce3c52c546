"""The SQL of row operations, and where an earlier run stopped.

Owns every statement that the demo sends. Identifiers and values never meet a string: `psycopg.sql`
composes the one, the server binds the other.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from psycopg import Connection, sql

from simulation.live.company import CREWS, crew_of
from simulation.live.operations import Delete, Insert, Operation, Update, Value
from simulation.live.simulation import ResumePoint
from simulation.live.wind_down import CHECK_IN_AGE_MAX, ENDED, ENDS, OpenRows

GROWING_TABLES = ("assignment", "attendance", "jobneed", "location", "ticket", "work_order")
"""Those whose ids go on from run to run."""


def execute(connection: Connection, operation: Operation, *, replace: bool = False) -> None:
    """Send one operation within the caller's transaction.

    Args:
        connection: open, in a transaction.
        operation: the row change.
        replace: an insert whose id exists overwrites the row; otherwise it is skipped, so that a
            transaction whose outcome a lost connection left unknown can be sent again.
    """
    columns: tuple[str, ...] = ()
    parameters: list[Value] = []
    if not isinstance(operation, Delete):
        columns, parameters = tuple(operation.values), list(operation.values.values())
    match operation:
        case Insert():
            connection.execute(_insert(operation.table, columns, replace=replace), parameters)
        case Update():
            connection.execute(_update(operation.table, columns), [*parameters, operation.row_id])
        case Delete():
            table = sql.Identifier("public", operation.table)
            connection.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(table), [operation.row_id])


def read_resume_point(connection: Connection, tenants: Sequence[int]) -> ResumePoint:
    """Where earlier runs stopped: the next free ids, and the crew after the last one."""
    first_ids = {table: _next_id(connection, table) for table in GROWING_TABLES}
    query = "SELECT max(id) FROM public.person WHERE tenant_id = ANY(%s)"
    row = connection.execute(query, [list(tenants)]).fetchone()
    last = row[0] if row else None
    return ResumePoint(first_ids, 0 if last is None else (crew_of(last) + 1) % CREWS)


def clear_people(connection: Connection, tenants: Sequence[int]) -> None:
    """Remove the persons of earlier runs and their shifts: this run has people of its own."""
    for table in ("assignment", "person"):
        query = sql.SQL("DELETE FROM {} WHERE tenant_id = ANY(%s)").format(sql.Identifier("public", table))
        connection.execute(query, [list(tenants)])


def read_open_rows(connection: Connection, tenants: Sequence[int], now: datetime) -> OpenRows:
    """What these tenants have open."""
    last_checks = (
        "SELECT DISTINCT ON (person_id) tenant_id, person_id, site_id, event_type FROM public.attendance"
        " WHERE tenant_id = ANY(%s) AND occurred_at > %s ORDER BY person_id, occurred_at DESC, id DESC"
    )
    checks = connection.execute(last_checks, [list(tenants), now - CHECK_IN_AGE_MAX]).fetchall()
    work: list[tuple[str, int, int]] = []
    for table in ENDS:
        query = sql.SQL("SELECT tenant_id, id FROM {} WHERE tenant_id = ANY(%s) AND NOT status = ANY(%s) ORDER BY id")
        found = connection.execute(query.format(sql.Identifier("public", table)), [list(tenants), list(ENDED)])
        work.extend((table, tenant_id, row_id) for tenant_id, row_id in found.fetchall())
    devices = "SELECT tenant_id, id FROM public.device WHERE tenant_id = ANY(%s) ORDER BY id"
    return OpenRows(
        check_ins=[
            (tenant_id, person_id, site_id) for tenant_id, person_id, site_id, kind in checks if kind == "CHECK_IN"
        ],
        work=work,
        devices=connection.execute(devices, [list(tenants)]).fetchall(),
        attendance_id=_next_id(connection, "attendance"),
    )


def _next_id(connection: Connection, table: str) -> int:
    query = sql.SQL("SELECT coalesce(max(id), 0) + 1 FROM {}").format(sql.Identifier("public", table))
    row = connection.execute(query).fetchone()
    return row[0] if row else 1


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
