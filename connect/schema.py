"""Prepares a PostgreSQL database for capture: tables, publication, heartbeat, capture role, guard.

Creates the canonical tables; of a customer's tables that `source.tables` maps, it changes only the replica
identity. Everything is idempotent. Locks on captured tables are short, and waiting for one is given up after
`source.lock_timeout_ms`, so that writers never queue behind it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql

from common.errors import WatchfloorError
from common.settings.source import SourceSettings
from connect.check import admin_dsn, capture_dsn, check_source, connect_to, raise_first, read_state
from connect.guard import event_trigger_statements, function_statements, guard_statements
from connect.mapping import CapturedTable, captured_tables
from connect.problems import Effect, identity_clause, identity_problems, server_problems, table_problems
from contracts.schema import Column

__all__ = ["HEARTBEAT_TABLE", "apply_schema", "check_source", "schema_sql"]

HEARTBEAT_TABLE = ("watchfloor", "heartbeat")
"""Schema and name. Debezium updates one row of it from time to time, so that its position in the log advances
and PostgreSQL can free the log even while no captured table changes."""

_KEEP_WRITES_WORKING = sql.SQL("SELECT watchfloor.keep_writes_working(false)").format()
_SQL_SERVER_VERSION = 150_000  # the oldest for which `connect sql` writes its statements
_ADVISORY_LOCK = 0x57617463  # "Watc": two launchers on one database create its objects one after the other


def apply_schema(source: SourceSettings) -> None:
    """Prepare the database for capture; change nothing that is already prepared.

    Args:
        source: `admin_dsn` signs in with a role that may create tables, roles and publications, and owns
            the captured tables (or is a superuser).

    Raises:
        WatchfloorError: `admin_dsn` is missing or refused, `wal_level` is not logical, a mapped table or
            its tenant column is missing, the role lacks a privilege, or a table stayed locked by others.
    """
    tables = captured_tables(source)
    dsn = admin_dsn(source)
    if dsn is None:
        raise WatchfloorError(
            "source.admin_dsn is not set, so the publication and the capture role cannot be created",
            "set it, or have the database's owner run the output of watchfloor connect sql",
        )
    with connect_to(dsn, source) as connection:
        _check(connection, source, tables, missing_allowed=not source.tables)
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{source.lock_timeout_ms}ms",))
        connection.execute(
            "SELECT set_config('watchfloor.keeping', 'on', false)"
        )  # our own DDL needs no look afterwards
        connection.execute("SET client_min_messages = warning")  # IF NOT EXISTS would print a notice for each table
        connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
        try:
            _apply(connection, source, tables)
        except psycopg.errors.LockNotAvailable as error:
            raise WatchfloorError(
                f"a captured table is locked by another session for more than {source.lock_timeout_ms} ms",
                "run this again when the long transaction has ended",
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise WatchfloorError(
                f"the role of source.admin_dsn may not prepare the database ({error.diag.message_primary})",
                "use the owner of the captured tables with CREATEROLE and REPLICATION, or a superuser",
            ) from error


def schema_sql(source: SourceSettings) -> str:
    """The statements of `apply_schema`, without a password, for a database administrator to read and run."""
    tables = captured_tables(source)
    statements = [
        *_statements(source, tables),
        *(_identity(table.schema, table.name, "REPLICA IDENTITY FULL") for table in tables),
        _create_publication(source, tables),
        _publish_generated(source),
        _create_role(source),
        *_grants(source, tables),
        *_guard(source, tables, _SQL_SERVER_VERSION),
        # Where FULL would make writes fail, another identity takes its place.
        _KEEP_WRITES_WORKING,
        # Without a superuser these two fail, and the heartbeat's trigger does alone.
        *event_trigger_statements(),
    ]
    return "".join(f"{statement.as_string()};\n" for statement in statements)


def _apply(connection: Connection[Any], source: SourceSettings, tables: Sequence[CapturedTable]) -> None:
    for statement in _statements(source, tables):
        connection.execute(statement)
    _check(connection, source, tables)
    known = connection.execute("SELECT to_regprocedure('watchfloor.keep_writes_working(boolean)')").fetchone()
    if known and known[0]:  # it notes what was not captured until now
        connection.execute(_KEEP_WRITES_WORKING)
    members = _members(connection, source.publication)
    wanted = {(table.schema, table.name) for table in tables} | {HEARTBEAT_TABLE}
    if members is not None and HEARTBEAT_TABLE in members and members <= wanted:  # nobody else reads from it
        connection.execute(_publish_generated(source))
    _set_identities(connection, source, tables)
    if members is None:
        connection.execute(_create_publication(source, tables))
        connection.execute(_publish_generated(source))
    elif missing := wanted - members:
        # Tables are only added: the publication may be the customer's own, and others may read from it.
        added = sql.SQL(", ").join(sql.Identifier(*each) for each in sorted(missing))
        connection.execute(
            sql.SQL("ALTER PUBLICATION {} ADD TABLE {}").format(sql.Identifier(source.publication), added)
        )
    _ensure_role(connection, source)
    for statement in [*_grants(source, tables), *_guard(source, tables, connection.info.server_version)]:
        connection.execute(statement)
    connection.execute(_KEEP_WRITES_WORKING)
    for statement in event_trigger_statements():
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return  # the trigger of the heartbeat does it, a little later


def _check(
    connection: Connection[Any],
    source: SourceSettings,
    tables: Sequence[CapturedTable],
    *,
    missing_allowed: bool = False,
) -> None:
    state = read_state(connection, source)
    raise_first(server_problems(state))
    for table, found in zip(tables, state.tables, strict=True):
        if found.exists or not missing_allowed:
            raise_first(table_problems(table, found))


def _set_identities(connection: Connection[Any], source: SourceSettings, tables: Sequence[CapturedTable]) -> None:
    """Give every table the most complete replica identity with which its writes work, before it is published."""
    for table, found in zip(tables, read_state(connection, source).tables, strict=True):
        raise_first(each for each in identity_problems(table, found, source.publication) if each.effect is Effect.LOSES)
        for part in found.parts:
            if part.breaks or not part.fits:
                connection.execute(
                    sql.SQL("ALTER TABLE {} {}").format(sql.SQL(part.relation), sql.SQL(identity_clause(part)))
                )


def _members(connection: Connection[Any], publication: str) -> set[tuple[str, str]] | None:
    """(schema, name) of the tables of a publication; None if it does not exist."""
    if not connection.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (publication,)).fetchone():
        return None
    rows = connection.execute(
        "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = %s", (publication,)
    ).fetchall()
    return set(rows)


def _guard(source: SourceSettings, tables: Sequence[CapturedTable], version: int) -> Iterator[sql.Composed]:
    yield from guard_statements(source.publication, source.user, tables)
    yield from function_statements(version)
    role = sql.Identifier(source.user)
    yield sql.SQL("GRANT SELECT ON watchfloor.captured, watchfloor.capture_gap TO {}").format(role)
    yield sql.SQL("GRANT EXECUTE ON FUNCTION watchfloor.forget_gaps(name) TO {}").format(role)


def _statements(source: SourceSettings, tables: Sequence[CapturedTable]) -> Iterator[sql.SQL | sql.Composed]:
    if not source.tables:
        for table in tables:
            yield _create_table(table)
        # A tenant's tenant_id is its own id, even if the writer leaves it out.
        yield sql.SQL(
            "CREATE OR REPLACE FUNCTION public.tenant_is_its_own_key() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN NEW.tenant_id := NEW.id; RETURN NEW; END'"
        )
        yield sql.SQL(
            "CREATE OR REPLACE TRIGGER tenant_is_its_own_key BEFORE INSERT OR UPDATE ON public.tenant"
            " FOR EACH ROW EXECUTE FUNCTION public.tenant_is_its_own_key()"
        )
    yield sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(HEARTBEAT_TABLE[0]))
    yield sql.SQL(
        "CREATE TABLE IF NOT EXISTS {} (id integer PRIMARY KEY CHECK (id = 1), beat_at timestamptz NOT NULL)"
    ).format(sql.Identifier(*HEARTBEAT_TABLE))


def _create_table(table: CapturedTable) -> sql.Composed:
    columns = sql.SQL(", ").join(_column(column) for column in table.canonical.columns)
    return sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY (id))").format(
        sql.Identifier(table.schema, table.name), columns
    )


def _column(column: Column) -> sql.Composed:
    parts: list[sql.Composable] = [sql.Identifier(column.name), sql.SQL(column.type)]
    if column.name == "id":
        # A writer may set the id itself.
        parts.append(sql.SQL("GENERATED BY DEFAULT AS IDENTITY"))
    if column.required:
        parts.append(sql.SQL("NOT NULL"))
    if column.default == "now()":
        parts.append(sql.SQL("DEFAULT now()"))
    return sql.SQL(" ").join(parts)


def _identity(schema: str, name: str, clause: LiteralString) -> sql.Composed:
    # The old row is needed for the tenant of a delete, the old values of an update, and unchanged long texts.
    return sql.SQL("ALTER TABLE {} " + clause).format(sql.Identifier(schema, name))


def _create_publication(source: SourceSettings, tables: Sequence[CapturedTable]) -> sql.Composed:
    # TRUNCATE is not published because it names no rows. Partitions are published under their parent's name.
    return sql.SQL(
        "CREATE PUBLICATION {} FOR TABLE {} WITH"
        " (publish = 'insert, update, delete', publish_via_partition_root = true)"
    ).format(
        sql.Identifier(source.publication),
        sql.SQL(", ").join(
            [*(sql.Identifier(table.schema, table.name) for table in tables), sql.Identifier(*HEARTBEAT_TABLE)]
        ),
    )


def _publish_generated(source: SourceSettings) -> sql.Composed:
    # With REPLICA IDENTITY FULL, PostgreSQL 18 refuses writes to a table whose generated columns are not published.
    return sql.SQL(
        "DO $$ BEGIN IF current_setting('server_version_num')::int >= 180000 THEN"
        " ALTER PUBLICATION {} SET (publish_generated_columns = stored); END IF; END $$"
    ).format(sql.Identifier(source.publication))


def _create_role(source: SourceSettings) -> sql.Composed:
    return sql.SQL("CREATE ROLE {} LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE").format(
        sql.Identifier(source.user)
    )


def _grants(source: SourceSettings, tables: Sequence[CapturedTable]) -> Iterator[sql.Composed]:
    role = sql.Identifier(source.user)
    for schema in sorted({table.schema for table in tables} | {HEARTBEAT_TABLE[0]}):
        yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), role)
    yield sql.SQL("GRANT SELECT ON {} TO {}").format(
        sql.SQL(", ").join(sql.Identifier(table.schema, table.name) for table in tables), role
    )
    yield sql.SQL("GRANT SELECT, INSERT, UPDATE ON {} TO {}").format(sql.Identifier(*HEARTBEAT_TABLE), role)


def _ensure_role(connection: Connection[Any], source: SourceSettings) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (source.user,)).fetchone()
    if not known:
        connection.execute(_create_role(source))
    password = source.password.get_secret_value()
    if not password or (known and _signs_in(source)):
        return
    # Only the verifier is sent, because a password in a statement may appear in the server's log.
    verifier = connection.pgconn.encrypt_password(password.encode(), source.user.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(source.user), sql.Literal(verifier.decode()))
    )


def _signs_in(source: SourceSettings) -> bool:
    try:
        connect_to(capture_dsn(source), source).close()
    except WatchfloorError:
        return False
    return True
