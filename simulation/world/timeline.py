"""The schedule of the world: row changes in commit order, and the labels of what is wrong.

Owns identifiers, the commit order and the current rows. Decides nothing.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulation.records import Label, Row, RowChange
from simulation.world.company import Tenant

ENDED = frozenset({"COMPLETED", "CLOSED", "DONE", "CANCELLED"})
"""Statuses of work that has ended; a row that has one does not change any more."""
_CHANGING = frozenset({"assignment", "device", "jobneed", "ticket", "work_order"})
_AFTER_S, _BEFORE_S, _OVERDUE_AFTER_S = 5.0, 1.0, 600.0
"""Tolerances of labels: of what one row shows, and of what is missing by a deadline."""
_US_PER_S = 1_000_000

Action = Callable[[float], None]
"""Called at its time, with that time in Unix seconds."""


@dataclass(slots=True, eq=False)
class ScheduledChange:
    """A scheduled row change."""

    table: str
    row_id: int
    columns: Row
    at_s: float
    """Commit time, Unix seconds."""
    is_new: bool
    cancelled: bool = False
    """If set before its time, it does not happen."""


class Timeline:
    """A schedule that is filled in any order and read in commit order.

    Args:
        first_ids: the next free id of a table; 1 where it is not named.
    """

    def __init__(self, first_ids: Mapping[str, int] | None = None) -> None:
        self.labels: list[Label] = []
        self._next_ids = dict(first_ids or {})
        self._entries: list[tuple[int, int, ScheduledChange | Action]] = []
        self._sequence = itertools.count()
        self._rows: dict[str, dict[int, Row]] = {table: {} for table in _CHANGING}
        self._out_us = 0

    def insert(self, table: str, tenant_id: int, at_s: float, **columns: Any) -> ScheduledChange:
        """Add a row. It gets the next id of its table, unique over all tenants, if the columns have none."""
        if "id" not in columns:
            columns["id"] = self._next_ids.get(table, 1)
            self._next_ids[table] = columns["id"] + 1
        entry = ScheduledChange(table, columns["id"], {"tenant_id": tenant_id, **columns}, at_s, is_new=True)
        self._push(at_s, entry)
        return entry

    def insert_reference(self, tenant: Tenant, at_s: float, seen_s: float | None = None) -> None:
        """Add the reference rows of a tenant, whose devices were last seen at `seen_s`."""
        for table, row in tenant.rows(seen_s):
            self.insert(table, tenant.id, at_s, **row)

    def update(self, table: str, row_id: int, at_s: float, **columns: Any) -> ScheduledChange:
        """Change some columns of a row."""
        entry = ScheduledChange(table, row_id, columns, at_s, is_new=False)
        self._push(at_s, entry)
        return entry

    def follow(self, table: str, tenant_id: int, steps: Sequence[tuple[float, Row]], written_s: float = 0.0) -> int:
        """Add a row and its changes; returns the row's id.

        Args:
            table: of the row.
            tenant_id: whose it is.
            steps: times and columns, in the order of the times; the first is the new row.
            written_s: when the row is first written. Steps before that are part of the new row.
        """
        first_s = max(steps[0][0], written_s)
        columns: Row = {}
        for _, values in itertools.takewhile(lambda step: step[0] <= first_s, steps):
            columns |= values
        row_id = self.insert(table, tenant_id, first_s, **columns).row_id
        for at_s, values in steps:
            if at_s > first_s:
                self.update(table, row_id, at_s, **values)
        return row_id

    def call(self, at_s: float, action: Action) -> None:
        """Call an action at its time; it may schedule more."""
        self._push(at_s, action)

    def label(
        self, finding_type: str, tenant_id: int, about: Sequence[str], at_s: float, note: str, **more: Any
    ) -> None:
        """Add a label; see `records.Label`. By default a finding is expected with its row."""
        more = {"before_s": _BEFORE_S, "after_s": _AFTER_S, "at_s": round(at_s, 3), "note": note, **more}
        self.labels.append(Label(finding_type=finding_type, tenant_id=tenant_id, entities=list(about), **more))

    def label_overdue(self, finding_type: str, tenant_id: int, about: str, due_s: float) -> None:
        """Add the label of something that is not done by its deadline."""
        note = "not done by its deadline"
        self.label(finding_type, tenant_id, [about], due_s, note, before_s=0.0, after_s=_OVERDUE_AFTER_S, exact=True)

    def rows(self, table: str, tenant_id: int) -> list[Row]:
        """The current rows of a tenant that may still change."""
        return [row for row in self._rows[table].values() if row["tenant_id"] == tenant_id]

    def take(self, until_s: float) -> Iterator[RowChange]:
        """Yield the changes up to and including a time."""
        until_us = round(until_s * _US_PER_S)
        while self._entries and self._entries[0][0] <= until_us:
            self._out_us, _, entry = heapq.heappop(self._entries)
            if not isinstance(entry, ScheduledChange):
                entry(self._out_us / _US_PER_S)
            elif not entry.cancelled:
                yield self._commit(entry, self._out_us)

    def _push(self, at_s: float, entry: ScheduledChange | Action) -> None:
        at_us = round(at_s * _US_PER_S)
        if at_us < self._out_us:
            raise ValueError(f"{entry} is earlier than changes that were already taken")
        heapq.heappush(self._entries, (at_us, next(self._sequence), entry))

    def _commit(self, entry: ScheduledChange, at_us: int) -> RowChange:
        rows = self._rows.get(entry.table)
        before = None if entry.is_new or rows is None else rows[entry.row_id]
        after = entry.columns if before is None else before | entry.columns
        if rows is not None:
            if after.get("status") in ENDED:
                rows.pop(entry.row_id, None)
            else:
                rows[entry.row_id] = after
        return RowChange(entry.table, "c" if before is None else "u", before, after, at_us)
