"""The canonical source tables as SQL sees them: what the embedded database is made of, what a customer's is mapped to.

Derived from the structs of contracts/rows.py. The one source for the SQL of connect/schema.py, the checks of a
customer's database, the names that a mapping may use and the reference in docs/capture.md.
"""

from dataclasses import dataclass
from datetime import datetime
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, get_args, get_type_hints

from contracts.rows import ROW_TYPES, Row

SqlType: TypeAlias = Literal["bigint", "integer", "boolean", "double precision", "text", "timestamptz", "jsonb"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a canonical table."""

    name: str
    type: SqlType
    required: bool = False
    """NOT NULL in the tables that we create; demanded of a customer's table."""
    default: str | None = None
    """SQL expression for rows that do not set it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A canonical table. Its primary key is `id`, and the key of its change records is `tenant_id`."""

    name: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names in the order of the table."""
        return tuple(column.name for column in self.columns)


_SQL_TYPES: Final[dict[type[Any], SqlType]] = {
    int: "bigint",
    float: "double precision",
    bool: "boolean",
    str: "text",
    datetime: "timestamptz",
}
_OTHER_SQL_TYPES: Final[dict[str, SqlType]] = {
    "max_events_per_second": "integer",
    "checkpoints_expected": "integer",
    "checkpoints_scanned": "integer",
    "escalation_level": "integer",
    "geofence": "jsonb",
    "settings": "jsonb",
}
"""Of columns whose type in Python does not determine the one in SQL."""


def _column(name: str, hint: Any) -> Column:
    """A column of a struct's field, whose type is optional but for `id` and `tenant_id`."""
    (python_type,) = {*(get_args(hint) or (hint,))} - {NoneType}
    return Column(
        name,
        _OTHER_SQL_TYPES.get(name, _SQL_TYPES[python_type]),
        required=name in Row.__struct_fields__,
        default="now()" if name in ("created_at", "updated_at") else None,
    )


TABLES: Final[dict[str, Table]] = {
    table: Table(table, tuple(_column(*field) for field in get_type_hints(row_type).items()))
    for table, row_type in ROW_TYPES.items()
}
"""Every canonical table by name, in the order of `contracts.rows.ROW_TYPES`."""
