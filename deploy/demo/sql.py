"""The SQL of row operations, and where an earlier run stopped.

Owns every statement that the demo sends. Identifiers and values never meet a string: `psycopg.sql`
composes the one, the server binds the other.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from psycopg import Connection, sql

from deploy.demo.company import CREWS, crew_of
from deploy.demo.operations import Delete, Insert, Operation, Planted, Update, Value
from deploy.demo.rounds import Told
from deploy.demo.simulation import ResumePoint

_GROWING_TABLES = ("assignment", "attendance", "jobneed", "location", "ticket", "work_order")
_ENDS = {"jobneed": "CANCELLED", "ticket": "CLOSED", "work_order": "CANCELLED"}
_ENDED = ["COMPLETED", "CLOSED", "DONE", "CANCELLED"]
_DAY_LONGEST = timedelta(hours=11)
"""A check-in that is older is left alone: it was missed already, and a check-out now would make an endless day of it."""


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
    first_ids = {table: _next_id(connection, table) for table in _GROWING_TABLES}
    query = "SELECT max(id) FROM public.person WHERE tenant_id = ANY(%s)"
    row = connection.execute(query, [list(tenants)]).fetchone()
    last = row[0] if row else None
    return ResumePoint(first_ids, 0 if last is None else (crew_of(last) + 1) % CREWS)


def clear_people(connection: Connection, tenants: Sequence[int]) -> None:
    """Remove the persons of earlier runs and their shifts: this run has people of its own."""
    for table in ("assignment", "person"):
        query = sql.SQL("DELETE FROM {} WHERE tenant_id = ANY(%s)").format(sql.Identifier("public", table))
        connection.execute(query, [list(tenants)])


def read_leftovers(connection: Connection, tenants: Sequence[int], now: datetime) -> dict[int, list[Told]]:
    """By tenant the row changes that end what is open: people go home, work is closed, devices are taken away.

    A company that just stops would be found: silent devices, missing check-outs, breached tickets.
    """
    told: dict[int, list[Told]] = {tenant: [] for tenant in tenants}
    next_id = _next_id(connection, "attendance")
    query = (
        "SELECT DISTINCT ON (person_id) tenant_id, person_id, site_id, event_type FROM public.attendance"
        " WHERE tenant_id = ANY(%s) AND occurred_at > %s ORDER BY person_id, occurred_at DESC, id DESC"
    )
    for tenant, person, site, kind in connection.execute(query, [list(tenants), now - _DAY_LONGEST]).fetchall():
        if kind == "CHECK_IN":
            values = {"id": next_id, "tenant_id": tenant, "site_id": site, "person_id": person}
            told[tenant].append((Insert("attendance", values | {"event_type": "CHECK_OUT", "occurred_at": now}), None))
            next_id += 1
    for table, end in _ENDS.items():
        columns = () if table == "jobneed" else ("updated_at",)
        changes: dict[str, Value] = {"status": end, **dict.fromkeys(columns, now)}
        planted = Planted.TICKET_UPDATED if table == "ticket" else None
        open_rows = sql.SQL(
            "SELECT tenant_id, id FROM {} WHERE tenant_id = ANY(%s) AND NOT status = ANY(%s) ORDER BY id"
        )
        found = connection.execute(open_rows.format(sql.Identifier("public", table)), [list(tenants), _ENDED])
        for tenant, row_id in found.fetchall():
            told[tenant].append((Update(table, row_id, changes), planted))
    devices = "SELECT tenant_id, id FROM public.device WHERE tenant_id = ANY(%s) ORDER BY id"
    for tenant, row_id in connection.execute(devices, [list(tenants)]).fetchall():
        told[tenant].append((Delete("device", row_id), None))
    return told


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
