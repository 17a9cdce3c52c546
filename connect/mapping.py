"""The captured tables, and the names of these tables and their columns in the watched database.

Without a mapping the canonical tables of schema `public` are captured. With a mapping (`source.tables`)
exactly the tables that it lists are captured: a customer without work orders leaves that table out.
"""

import re
from dataclasses import dataclass

from common.errors import SettingsError
from common.settings.source import SourceSettings
from contracts.schema import TABLES, Table

# Names are used in Debezium's regular expressions and lists, where other characters have a meaning.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}")


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A canonical table and its name in the watched database."""

    canonical: Table
    schema: str
    name: str
    columns: dict[str, str]
    """The database's name for each canonical column whose name differs."""
    mapped: bool = False
    """Whether the configuration names the table: then it is a customer's, and is not created here."""

    @property
    def qualified(self) -> str:
        """`schema.table`, for messages and for Debezium's lists."""
        return f"{self.schema}.{self.name}"

    @property
    def tenant_column(self) -> str:
        """The column with the tenant's id, which is the key of the table's change records."""
        return self.column("tenant_id")

    def column(self, canonical: str) -> str:
        """The database's name for a canonical column."""
        return self.columns.get(canonical, canonical)


def captured_tables(source: SourceSettings) -> list[CapturedTable]:
    """The captured tables, reference data first.

    Raises:
        SettingsError: the mapping names a table or column that is not canonical, names one table twice, or
            contains a name that is not an identifier.
    """
    if not source.tables:
        return [CapturedTable(table, "public", table.name, {}) for table in TABLES.values()]
    for canonical in source.tables:
        if canonical not in TABLES:
            raise SettingsError(
                f"setting source.tables: {canonical} is not a table that can be captured",
                f"use one of {', '.join(TABLES)}",
            )
    mapped = [_mapped(source, name) for name in TABLES if name in source.tables]
    seen: dict[str, str] = {}
    for table in mapped:
        # One change record cannot go to two topics.
        if other := seen.get(table.qualified):
            raise SettingsError(
                f"setting source.tables: {table.qualified} stands for both {other} and {table.canonical.name}",
                "map each of them to a different table",
            )
        seen[table.qualified] = table.canonical.name
    return mapped


def _mapped(source: SourceSettings, canonical: str) -> CapturedTable:
    setting = f"setting source.tables.{canonical}"
    mapping = source.tables[canonical]
    schema, dot, name = mapping.table.rpartition(".")
    table = CapturedTable(TABLES[canonical], schema if dot else "public", name, dict(mapping.columns), mapped=True)
    for part in (table.schema, table.name, *table.columns.values()):
        if not _NAME.fullmatch(part):
            raise SettingsError(
                f"{setting}: {part!r} is not a name",
                'write "schema.table" and plain column names of letters, digits, _, $ and -',
            )
    for column in table.columns:
        if column not in table.canonical.column_names:
            raise SettingsError(
                f"{setting}.columns: {column} is not a column of {canonical}",
                f"use one of {', '.join(table.canonical.column_names)}",
            )
    return table
