"""Checks whether a PostgreSQL database can be captured; each problem is one line that says what to do.

Only reads. The same checks run before the schema is applied and, signed in as the capture role, afterwards.
"""

import re
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Connection, conninfo

from common.errors import WatchfloorError
from common.settings.source import SourceSettings
from connect.mapping import CapturedTable, captured_tables

# The error message already names the address.
_PREAMBLE = re.compile(r"^(?:connection failed: )?(?:connection to server (?:at|on) .*? failed: )?")
_INTEGERS = frozenset({"int2", "int4", "int8"})
# PostgreSQL's types that arrive in the form of the canonical type; any type can arrive as text.
_ACCEPTED = {
    "bigint": _INTEGERS,
    "integer": _INTEGERS,
    "boolean": frozenset({"bool"}),
    "double precision": _INTEGERS | {"float4", "float8", "numeric"},
    "timestamptz": frozenset({"timestamptz", "timestamp"}),
    "jsonb": frozenset({"json", "jsonb", "text", "varchar"}),
    "text": frozenset({"text", "varchar", "bpchar", "citext", "uuid", "name"}),
}


class SignInError(WatchfloorError):
    """No session was opened: no server answers, or it refuses the role."""


def connect_to(dsn: str, source: SourceSettings) -> Connection[Any]:
    """A connection in autocommit mode.

    Raises:
        SignInError: no server answers in `source.connect_timeout_s`, or it refuses the sign-in.
    """
    where = conninfo.conninfo_to_dict(dsn)
    address = f"{where.get('host', 'localhost')}:{where.get('port', 5432)}"
    try:
        return psycopg.connect(
            dsn, autocommit=True, connect_timeout=source.connect_timeout_s, application_name="watchfloor"
        )
    except psycopg.OperationalError as error:
        reason = _reason(str(error))
        if "FATAL" in reason or "no password supplied" in reason:
            raise SignInError(
                f"PostgreSQL at {address} refuses user {where.get('user')} ({_short(reason)})",
                "correct the user, password and database in the source settings",
            ) from error
        raise SignInError(
            f"no PostgreSQL server answers at {address} ({_short(reason)})",
            "start it, or correct source.host and source.port",
        ) from error


def capture_dsn(source: SourceSettings) -> str:
    """The connection string of the capture role."""
    return conninfo.make_conninfo(
        host=source.host,
        port=source.port,
        dbname=source.database,
        user=source.user,
        password=source.password.get_secret_value() or None,
        sslmode=source.sslmode,
        sslrootcert=str(source.ssl_ca_file) if source.ssl_ca_file else None,
    )


def check_source(source: SourceSettings) -> None:
    """Check everything that capture needs, signed in as the capture role.

    Raises:
        WatchfloorError: the server is unreachable or refuses the role, `wal_level` is not logical, a
            captured table or a required column is missing, its old rows are not logged, the publication
            does not contain it, or the role has too few or too many privileges.
    """
    tables = captured_tables(source)
    with connect_to(capture_dsn(source), source) as connection:
        check_server(connection)
        check_tables(connection, tables)
        check_identity(connection, tables)
        _check_publication(connection, source.publication, tables)
        _check_rights(connection, source.user, tables)


def check_server(connection: Connection[Any]) -> None:
    """Check that the server's log can be decoded; raise WatchfloorError if not."""
    level = _value(connection, "SELECT current_setting('wal_level')")
    if level != "logical":
        raise WatchfloorError(
            f"PostgreSQL has wal_level={level}, change capture needs logical",
            "run ALTER SYSTEM SET wal_level = logical, then restart PostgreSQL",
        )


def check_tables(
    connection: Connection[Any], tables: Sequence[CapturedTable], *, missing_allowed: bool = False
) -> None:
    """Check that every captured table exists and has an id and a tenant id of an integer type.

    With `missing_allowed` tables that do not exist are ignored, because they are about to be created.

    Raises:
        WatchfloorError: names the first table or column that is missing or has another type.
    """
    for table in tables:
        rows = connection.execute(
            "SELECT a.attname, t.typname FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0"
            " AND NOT a.attisdropped",
            (table.schema, table.name),
        ).fetchall()
        columns: dict[str, str] = dict(rows)
        if not columns and missing_allowed:
            continue
        if not columns:
            raise WatchfloorError(
                f"table {table.qualified} is missing in the watched database",
                f"create it, or correct source.tables.{table.canonical.name}",
            )
        _check_columns(table, columns)


def _check_columns(table: CapturedTable, columns: dict[str, str]) -> None:
    tenant = table.tenant_column
    if tenant not in columns:
        raise WatchfloorError(
            f"captured table {table.qualified} has no column {tenant}",
            f"add it, or name the column of the tenant's id in source.tables.{table.canonical.name}.columns.tenant_id",
        )
    for canonical in table.canonical.columns:
        name = table.column(canonical.name)
        if name not in columns:
            if canonical.required or canonical.name in table.columns:
                raise WatchfloorError(
                    f"captured table {table.qualified} has no column {name}",
                    f"add it, or correct source.tables.{table.canonical.name}.columns",
                )
            continue
        # Only the keys of the tables that we create are checked; a row with another problem becomes a dead letter.
        if (table.mapped or canonical.required) and not _accepted(columns[name], canonical.type):
            raise WatchfloorError(
                f"column {name} of captured table {table.qualified} is {columns[name]}, not {canonical.type}",
                f"map {canonical.name} to a column of that type, or leave it out",
            )


def _accepted(theirs: str, canonical: str) -> bool:
    # Enums and domains have their own names, and arrive as text.
    builtin = any(theirs in types for types in _ACCEPTED.values()) or theirs in ("date", "time", "bytea", "interval")
    return theirs in _ACCEPTED[canonical] or (canonical == "text" and not builtin)


def check_identity(connection: Connection[Any], tables: Sequence[CapturedTable]) -> None:
    """Check that updates and deletes log the whole old row; raise WatchfloorError if not."""
    for table in tables:
        for schema, name in without_full_identity(connection, table):
            raise WatchfloorError(
                f"captured table {schema}.{name} does not log its old rows, so a delete would not name its tenant",
                f"run ALTER TABLE {schema}.{name} REPLICA IDENTITY FULL",
            )


def without_full_identity(connection: Connection[Any], table: CapturedTable) -> list[tuple[str, str]]:
    """(schema, name) of the table and its partitions, as far as their old rows are not logged in full."""
    return connection.execute(
        "WITH root AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s)"
        " SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relreplident <> 'f' AND c.oid IN"
        " (SELECT oid FROM root UNION SELECT p.relid FROM root, pg_partition_tree(root.oid) p)",
        (table.schema, table.name),
    ).fetchall()


def published_tables(connection: Connection[Any], publication: str) -> set[tuple[str, str]] | None:
    """(schema, name) of the tables of a publication; None if it does not exist."""
    if _value(connection, "SELECT 1 FROM pg_publication WHERE pubname = %s", publication) is None:
        return None
    rows = connection.execute(
        "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = %s", (publication,)
    ).fetchall()
    return set(rows)


def _check_publication(connection: Connection[Any], publication: str, tables: Sequence[CapturedTable]) -> None:
    published = published_tables(connection, publication)
    if published is None:
        raise WatchfloorError(
            f"publication {publication} is missing in the watched database",
            "run watchfloor connect apply with source.admin_dsn set, or the output of watchfloor connect sql",
        )
    for table in tables:
        if (table.schema, table.name) not in published:
            raise WatchfloorError(
                f"captured table {table.qualified} is not in publication {publication}",
                f"run ALTER PUBLICATION {publication} ADD TABLE {table.qualified}",
            )


def _check_rights(connection: Connection[Any], role: str, tables: Sequence[CapturedTable]) -> None:
    if _value(connection, "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user") is not True:
        raise WatchfloorError(f"role {role} may not read the replication log", f"run ALTER ROLE {role} REPLICATION")
    for table in tables:
        row = connection.execute(
            "SELECT has_table_privilege(c.oid, 'SELECT'),"
            " has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s AND has_schema_privilege(n.oid, 'USAGE')",
            (table.schema, table.name),
        ).fetchone()
        may_read, may_write = row or (False, False)
        if not may_read:
            raise WatchfloorError(
                f"role {role} may not read captured table {table.qualified}",
                f"run GRANT USAGE ON SCHEMA {table.schema} TO {role}; GRANT SELECT ON {table.qualified} TO {role}",
            )
        if may_write:
            raise WatchfloorError(
                f"role {role} may write to captured table {table.qualified}, but must only read it",
                "set source.user to a separate role that has only SELECT on the captured tables",
            )


def _value(connection: Connection[Any], query: Any, *parameters: object) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def _reason(message: str) -> str:
    """The reason in an error of PostgreSQL's library, without the hints that it adds in further lines."""
    lines = [line for line in message.strip().splitlines() if line and not line[0].isspace()]
    # There is one line for each address that was tried; a server's answer says more than a missing answer.
    answers = [line for line in lines if "FATAL" in line or "no password supplied" in line]
    return (answers or lines or ["no reason given"])[0]


def _short(reason: str) -> str:
    return _PREAMBLE.sub("", reason).rpartition("FATAL:")[2].strip() or reason
