"""What is wrong with the capture of a database, by what its catalogs say. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from common.settings.source import SourceSettings
from connect.mapping import CapturedTable, captured_tables
from connect.source_state import Gap, Part, SlotState, SourceState, TableState

_NAMES_MAX = 3
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


class Effect(StrEnum):
    """What a problem of a database does."""

    UNPREPARED = "unprepared"
    """Capture cannot begin, or reads wrong rows."""
    BREAKS_WRITES = "breaks_writes"
    """UPDATE and DELETE of the application fail."""
    LOSES = "loses"
    """Rows that are written now are not captured, for good."""
    LOST = "lost"
    """Rows that were written in the past were not captured."""
    PARTIAL = "partial"
    """Deletes do not name their tenant."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a database, in one line, and what to do."""

    effect: Effect
    text: str
    advice: str
    table: str | None = None
    """The canonical table that it concerns; None: all."""
    since: str | None = None
    """When rows began to be lost, where the database knows."""


def refuses(problem: Problem) -> bool:
    """Whether capture must not begin with it: what lies in the past, or cannot be otherwise, does not count."""
    return problem.effect not in (Effect.PARTIAL, Effect.LOST)


def problems(source: SourceSettings, state: SourceState) -> Iterator[Problem]:
    """All that is wrong, what has to be corrected first at the beginning."""
    pairs = list(zip(captured_tables(source), state.tables, strict=True))
    yield from server_problems(state)
    for table, found in pairs:
        yield from table_problems(table, found)
    for table, found in pairs:
        yield from identity_problems(table, found, source.publication)
    yield from _publication_problems(source.publication, state, pairs)
    yield from _rights_problems(source.user, state, pairs)
    yield from _gap_problems(state.gaps)


def _gap_problems(gaps: Sequence[Gap]) -> Iterator[Problem]:
    for reason in dict.fromkeys(gap.reason for gap in gaps):
        of_it = [gap for gap in gaps if gap.reason == reason]
        tables = list(dict.fromkeys(gap.table for gap in of_it))
        names = ", ".join(tables[:_NAMES_MAX]) + (
            f" and {len(tables) - _NAMES_MAX} more" if tables[_NAMES_MAX:] else ""
        )
        since, ends = min(gap.since for gap in of_it), [gap.until for gap in of_it]
        until = "now" if None in ends else max(end for end in ends if end)
        yield Problem(
            Effect.LOST,
            f"changes of {names} were not captured from {since} until {until} ({reason})",
            "run watchfloor connect apply --new-snapshot, which reads all rows again; deletes in between remain unknown",
            since=since,
        )


def slot_problems(name: str, slot: SlotState | None) -> Iterator[Problem]:
    """Whether PostgreSQL keeps the log for the connector. There is no slot until the connector has run once."""
    if slot is None:
        yield Problem(
            Effect.LOSES,
            f"replication slot {name} is missing",
            "run watchfloor connect apply; where it says that the position is gone, with --new-snapshot",
        )
    elif slot.lost:
        yield Problem(
            Effect.LOSES,
            f"slot {name} has lost log that was not read",
            "run watchfloor connect apply --new-snapshot, which reads all rows again",
        )


def server_problems(state: SourceState) -> Iterator[Problem]:
    """Whether the server's log can be decoded."""
    if state.wal_level != "logical":
        yield Problem(
            Effect.UNPREPARED,
            f"PostgreSQL has wal_level={state.wal_level}, change capture needs logical",
            "run ALTER SYSTEM SET wal_level = logical, then restart PostgreSQL",
        )


def table_problems(table: CapturedTable, found: TableState) -> Iterator[Problem]:
    """Whether a captured table exists and has the columns that it needs, of the types that arrive."""
    name = table.canonical.name
    if not found.exists:
        yield Problem(
            Effect.LOSES,
            f"table {table.qualified} is missing in the watched database",
            f"create it, or correct source.tables.{name}",
            name,
        )
        return
    columns = found.columns or {}
    tenant = table.tenant_column
    if tenant not in columns:
        yield Problem(
            Effect.UNPREPARED,
            f"captured table {table.qualified} has no column {tenant}",
            f"add it, or name the column of the tenant's id in source.tables.{name}.columns.tenant_id",
            name,
        )
    for canonical in table.canonical.columns:
        theirs = table.column(canonical.name)
        if theirs not in columns:
            if (canonical.required or canonical.name in table.columns) and theirs != tenant:
                yield Problem(
                    Effect.UNPREPARED,
                    f"captured table {table.qualified} has no column {theirs}",
                    f"add it, or correct source.tables.{name}.columns",
                    name,
                )
        # Only the keys of the tables that we create are checked; a row with another problem becomes a dead letter.
        elif (table.mapped or canonical.required) and not _accepted(columns[theirs], canonical.type):
            yield Problem(
                Effect.UNPREPARED,
                f"column {theirs} of captured table {table.qualified} is {columns[theirs]}, not {canonical.type}",
                f"map {canonical.name} to a column of that type, or leave it out",
                name,
            )


def _accepted(theirs: str, canonical: str) -> bool:
    # Enums and domains have their own names, and arrive as text.
    builtin = any(theirs in types for types in _ACCEPTED.values()) or theirs in ("date", "time", "bytea", "interval")
    return theirs in _ACCEPTED[canonical] or (canonical == "text" and not builtin)


def identity_problems(table: CapturedTable, found: TableState, publication: str) -> Iterator[Problem]:
    """Whether writes work while the table is published, and whether its changes are complete."""
    name = table.canonical.name
    for part in found.parts:
        if part.breaks:
            way_out = f"ALTER TABLE {part.relation} {identity_clause(part)}" if part.best else None
            yield Problem(
                Effect.BREAKS_WRITES,
                f"UPDATE and DELETE of captured table {part.relation} fail ({part.breaks})",
                f"run {way_out or f'ALTER PUBLICATION {publication} DROP TABLE {table.qualified}'},"
                " then watchfloor connect apply",
                name,
            )
        elif part.best is None:
            yield Problem(
                Effect.LOSES,
                f"captured table {part.relation} cannot be published: its UPDATE and DELETE would fail"
                f" ({part.full_breaks}, and it has no key)",
                f"add a primary key or a unique index of ({table.tenant_column}, {table.column('id')}),"
                " then run watchfloor connect apply",
                name,
            )
        elif not part.fits:
            yield Problem(
                Effect.UNPREPARED,
                f"captured table {part.relation} does not log its old rows, so a delete would not name its tenant",
                f"run ALTER TABLE {part.relation} {identity_clause(part)}",
                name,
            )
        elif not part.names_tenant:
            yield Problem(
                Effect.PARTIAL,
                f"captured table {part.relation} cannot log its old rows ({part.full_breaks}),"
                " so its deletes do not name their tenant and are not processed",
                f"run CREATE UNIQUE INDEX CONCURRENTLY ON {part.relation} ({table.tenant_column},"
                f" {table.column('id')}), then watchfloor connect apply",
                name,
            )


def identity_clause(part: Part) -> str:
    """The SQL of the most complete replica identity with which writes work."""
    if part.best == "i":
        index = str(part.best_index).replace('"', '""')
        return f'REPLICA IDENTITY USING INDEX "{index}"'
    return f"REPLICA IDENTITY {'FULL' if part.best == 'f' else 'DEFAULT'}"


def _publication_problems(
    publication: str, state: SourceState, pairs: Sequence[tuple[CapturedTable, TableState]]
) -> Iterator[Problem]:
    if state.publication is None:
        yield Problem(
            Effect.LOSES,
            f"publication {publication} is missing in the watched database",
            "run watchfloor connect apply with source.admin_dsn set, or the output of watchfloor connect sql",
        )
        return
    if not state.publication.all_operations:
        yield Problem(
            Effect.LOSES,
            f"publication {publication} does not publish all of INSERT, UPDATE and DELETE",
            f"run ALTER PUBLICATION {publication} SET (publish = 'insert, update, delete')",
        )
    for table, found in pairs:
        if found.partitioned and not state.publication.via_root:
            yield Problem(
                Effect.LOSES,
                f"publication {publication} does not publish the partitions of {table.qualified} under its name",
                f"run ALTER PUBLICATION {publication} SET (publish_via_partition_root = true)",
                table.canonical.name,
            )
        if found.narrowed:
            yield Problem(
                Effect.LOSES,
                f"publication {publication} contains only some rows or columns of captured table {table.qualified}",
                f"run ALTER PUBLICATION {publication} DROP TABLE {table.qualified}, then ADD TABLE {table.qualified}",
                table.canonical.name,
            )
        if found.exists and not found.published:
            yield Problem(
                Effect.LOSES,
                f"captured table {table.qualified} is not in publication {publication}",
                f"run ALTER PUBLICATION {publication} ADD TABLE {table.qualified}",
                table.canonical.name,
            )


def _rights_problems(
    role: str, state: SourceState, pairs: Sequence[tuple[CapturedTable, TableState]]
) -> Iterator[Problem]:
    if not state.may_replicate:
        yield Problem(
            Effect.UNPREPARED, f"role {role} may not read the replication log", f"run ALTER ROLE {role} REPLICATION"
        )
    for table, found in pairs:
        if found.exists and not found.may_read:
            yield Problem(
                Effect.UNPREPARED,
                f"role {role} may not read captured table {table.qualified}",
                f"run GRANT USAGE ON SCHEMA {table.schema} TO {role}; GRANT SELECT ON {table.qualified} TO {role}",
                table.canonical.name,
            )
        if found.may_write:
            yield Problem(
                Effect.UNPREPARED,
                f"role {role} may write to captured table {table.qualified}, but must only read it",
                "set source.user to a separate role that has only SELECT on the captured tables",
                table.canonical.name,
            )
