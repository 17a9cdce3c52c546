"""Where the parts of a life write: row changes and labels. Owns identifiers and the order of commits."""

import heapq
import itertools
from collections.abc import Iterator
from typing import Any

from simulation.records import Label, Row, RowChange

_AFTER_S = 5.0
"""Tolerance of what one row shows: the finding comes with the row."""


class Ledger:
    """Collects what happens, in any order, and gives it out in commit order."""

    def __init__(self) -> None:
        self.labels: list[Label] = []
        self._pending: list[tuple[int, int, RowChange]] = []
        self._sequence = itertools.count()
        self._ids: dict[str, Iterator[int]] = {}
        self._out_us = 0

    def new_id(self, table: str) -> int:
        """The next id of a table, unique over all tenants."""
        return next(self._ids.setdefault(table, itertools.count(1)))

    def insert(self, table: str, tenant_id: int, at_s: float, **columns: Any) -> Row:
        """A new row; returns it."""
        row = {"id": self.new_id(table), "tenant_id": tenant_id, **columns}
        if table == "tenant":
            del row["tenant_id"]
            row["id"] = tenant_id
        self._put(RowChange(table, "c", None, row, round(at_s * 1e6)))
        return row

    def update(self, table: str, row: Row, at_s: float, **columns: Any) -> Row:
        """A changed row; returns it as it is now. Updates of one row must come in the order of their times."""
        after = row | columns
        self._put(RowChange(table, "u", row, after, round(at_s * 1e6)))
        return after

    def label(
        self, finding_type: str, tenant_id: int, entities: list[str], at_s: float, note: str = "", **more: Any
    ) -> None:
        """Say what is wrong."""
        more.setdefault("after_s", _AFTER_S)
        more.setdefault("before_s", 1.0)
        label = Label(
            finding_type=finding_type, tenant_id=tenant_id, entities=entities, at_s=round(at_s, 3), note=note, **more
        )
        self.labels.append(label)

    def until(self, at_s: float) -> Iterator[RowChange]:
        """Give out what was committed before a time.

        Raises:
            ValueError: something was written for a time that had been given out already.
        """
        until_us = round(at_s * 1e6)
        while self._pending and self._pending[0][0] < until_us:
            commit_us, _, change = heapq.heappop(self._pending)
            if commit_us < self._out_us:
                raise ValueError(f"a change of {change.table} comes after later ones were given out")
            yield change
        self._out_us = until_us

    def _put(self, change: RowChange) -> None:
        heapq.heappush(self._pending, (change.commit_us, next(self._sequence), change))
