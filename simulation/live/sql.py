"""The SQL of row operations, and where an earlier run stopped.

Owns every statement that the demo sends. Identifiers and values never meet a string: `psycopg.sql`
composes the one, the server binds the other.
"""

from collections.abc import Sequence
from functools import cache

from psycopg import Connection, sql

from simulation.live.simulation import ResumePoint
from simulation.live.wind_down import CHECK_IN_AGE_S_MAX, FINAL_STATUS, OpenRows
from simulation.records import RowChange
from simulation.world.calendar import moment
from simulation.world.company import CREWS, crew_of
from simulation.world.timeline import ENDED

GROWING_TABLES = ("assignment", "attendance", "jobneed", "location", "ticket", "work_order")
"""Those whose ids go on from run to run."""


def execute(connection: Connection, change: RowChange, *, replace: bool = False) -> None:
    """Send one row change within the caller's transaction.

    Args:
        connection: open, in a transaction.
        change: an insert of all columns, an update of those that differ, or a delete.
        replace: an insert whose id exists overwrites the row; otherwise it is skipped, so that a
            transaction whose outcome a lost connection left unknown can be sent again.
    """
    before, after = change.before or {}, change.after
    if after is None:
        table = sql.Identifier("public", change.table)
        connection.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(table), [before["id"]])
        return
    columns = {name: value for name, value in after.items() if change.before is None or before.get(name) != value}
    if change.before is None:
        statement = _insert(change.table, tuple(columns), replace=replace)
        connection.execute(statement, list(columns.values()))
    else:
        connection.execute(_update(change.table, tuple(columns)), [*columns.values(), after["id"]])


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


def read_open_rows(connection: Connection, tenants: Sequence[int], now_s: float) -> OpenRows:
    """What these tenants have open."""
    last_checks = (
        "SELECT DISTINCT ON (person_id) tenant_id, person_id, site_id, event_type FROM public.attendance"
        " WHERE tenant_id = ANY(%s) AND occurred_at > %s ORDER BY person_id, occurred_at DESC, id DESC"
    )
    checks = connection.execute(last_checks, [list(tenants), moment(now_s - CHECK_IN_AGE_S_MAX)]).fetchall()
    work: list[tuple[str, int, int, str]] = []
    for table in FINAL_STATUS:
        query = sql.SQL(
            "SELECT tenant_id, id, status FROM {} WHERE tenant_id = ANY(%s) AND NOT status = ANY(%s) ORDER BY id"
        )
        found = connection.execute(query.format(sql.Identifier("public", table)), [list(tenants), list(ENDED)])
        work.extend((table, *row) for row in found.fetchall())
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
