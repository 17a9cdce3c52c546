"""The rows of the recorded run, in the order of their commits: a thinned scenario of three companies, and the scenes."""

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from rows import Commit
from scenes import Scenes

from simulation.labelled import Scenario, Span
from simulation.records import RowChange

SEED = 7
FIRST = date(2026, 3, 2)
SPAN = Span(first=FIRST, weeks=2, learning_weeks=1)
TENANTS = 3
PARTITION_OF = {1: 0, 4: 0, 2: 1, 3: 1, 5: 1}
"""Tenant to partition. What comes late comes in partition 1 alone."""
_PHONES_OF_SITE = 1_002
"""Tenant 1's office: its phones are followed all the time, so that something is learned of them."""
_BEATS_KEPT = 6
"""One in so many of a device's heartbeats."""
_FOLLOWED_DAYS = {2: (3, 4), 3: (8, 9)}
"""Tenant to the first and the last day on which its phones and devices are seen."""
_REFERENCE = frozenset({"tenant", "client", "site", "person", "device", "assignment"})


def commits() -> list[Commit]:
    """Everything that is committed, in order."""
    parts = (
        _scenario(),
        Scenes(4, datetime(2026, 3, 4, 9, tzinfo=UTC)).commits(),
        Scenes(5, datetime(2026, 3, 9, 13, tzinfo=UTC)).commits(),
    )
    merged = list(heapq.merge(*parts, key=lambda each: each.at_us))
    end = datetime.fromtimestamp(merged[-1].at_us / 1e6, UTC) + timedelta(hours=1)
    return [*merged, *Scenes(5, end).another_database()]


def _scenario() -> Iterator[Commit]:
    """The scenario without most of its fixes and heartbeats; tenant 2's reference data is read by a snapshot."""
    first_us = round(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp() * 1e6) - 86_400_000_000
    thinning = _Thinning()
    last: tuple[int, int] = (0, 0)
    for change in Scenario(SEED, SPAN, tenants=TENANTS).changes():
        row = change.after or change.before or {}
        tenant = row["id"] if change.table == "tenant" else row["tenant_id"]
        thinned = thinning.of(change, tenant)
        if thinned is None:
            continue
        together = last == (tenant, change.commit_us)
        last = (tenant, change.commit_us)
        snapshot = tenant == 2 and change.table in _REFERENCE and change.commit_us < first_us
        op = "r" if snapshot else thinned.op
        yield Commit(change.commit_us, tenant, change.table, op, thinned.before, thinned.after, with_last=together)


class _Thinning:
    """Leaves rows out so that the others still follow from each other."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._kept: dict[int, RowChange] = {}

    def of(self, change: RowChange, tenant: int) -> RowChange | None:
        """The change as it is kept; None where it is left out."""
        if change.table == "location":
            return self._fix(change, tenant)
        return self._beat(change, tenant) if change.table == "device" and change.op == "u" else change

    def _fix(self, change: RowChange, tenant: int) -> RowChange | None:
        row = change.after or {}
        kept = row["site_id"] == _PHONES_OF_SITE if tenant == 1 else self._followed(change, tenant)
        return change if kept else None

    def _beat(self, change: RowChange, tenant: int) -> RowChange | None:
        row = change.after or {}
        number = row["id"]
        self._seen[number] = self._seen.get(number, 0) + 1
        online = row["status"] == "ONLINE"
        if online and (self._seen[number] % _BEATS_KEPT or not (tenant == 1 or self._followed(change, tenant))):
            return None
        before = self._kept.get(number)
        self._kept[number] = change
        return RowChange("device", "u", change.before if before is None else before.after, row, change.commit_us)

    def _followed(self, change: RowChange, tenant: int) -> bool:
        first, last = _FOLLOWED_DAYS[tenant]
        day = datetime.fromtimestamp(change.commit_us / 1e6, UTC).date()
        return FIRST + timedelta(days=first) <= day <= FIRST + timedelta(days=last)
