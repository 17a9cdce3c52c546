"""The state of one partition: its tables, and the log time by which their entities age."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from streams.engine.state.bounded_table import BoundedTable, LogTime
from streams.engine.state.table import SEPARATOR, ChangelogRecord, Table, TableSpec

__all__ = ["PartitionState", "Table", "TableSpec"]

D = TypeVar("D")

SWEEP_STEPS_MAX = 1_000
"""Entries that are looked at after a micro-batch for what has expired, per table: about a millisecond."""


class PartitionState:
    """All tables of one partition."""

    def __init__(self, specs: tuple[TableSpec, ...]) -> None:
        self.log_time = LogTime()
        """To be set by the application before it reads or writes a bounded table."""
        self.tables: Mapping[str, Table[Any, Any]] = {
            spec.name: BoundedTable(spec, self.log_time) if spec.bounded else Table(spec) for spec in specs
        }
        self.bounded: Mapping[str, BoundedTable[Any, Any]] = {
            name: table for name, table in self.tables.items() if isinstance(table, BoundedTable)
        }
        self._derived: dict[type[Any], Any] = {}

    def __getitem__(self, name: str) -> Table[Any, Any]:
        return self.tables[name]

    def derived(self, build: type[D]) -> D:
        """The application's own view of these tables, such as typed access; the class is made once, of this state."""
        view = self._derived.get(build)
        if view is None:
            view = self._derived[build] = build(self)  # type: ignore[call-arg]
        return cast(D, view)

    def sweep(self) -> None:
        """Remove a little of what has expired; call it after each micro-batch, the same ones in a replay."""
        for table in self.bounded.values():
            table.sweep(SWEEP_STEPS_MAX)

    @property
    def dirty_count(self) -> int:
        """Keys that the next snapshot will write."""
        return sum(len(table.dirty) for table in self.tables.values())

    def take_changes(self, generation: int) -> Iterator[ChangelogRecord]:
        """Changelog records of every changed key of every table."""
        for table in self.tables.values():
            yield from table.take_changes(generation)

    def load(self, key: bytes, value: bytes | None) -> None:
        """Apply one changelog record; None removes the key. Raises KeyError for a table that does not exist."""
        name, _, rest = key.partition(SEPARATOR)
        self.tables[name.decode()].load(rest, value)

    def touch(self, key: bytes) -> None:
        """Write this changelog key again with the next snapshot."""
        name, _, rest = key.partition(SEPARATOR)
        self.tables[name.decode()].touch(rest)
