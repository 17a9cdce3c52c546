"""Devices that send heartbeats: updates of their row's `last_seen`, and their outages."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from simulation.labelled.calendar import DAY_S, HOUR_S, MINUTE_S, moment
from simulation.labelled.ledger import Ledger
from simulation.records import Row

_BEAT_S = 300.0
_OUTAGE_SHARE = 0.1
"""Of a device's days."""
_LOST_SHARE = 0.004


@dataclass(frozen=True, slots=True)
class _Gap:
    """A time without beats."""

    start_s: float
    end_s: float
    marked: bool
    """Whether somebody still has to mark the device OFFLINE."""


class Machines:
    """Lives the devices of one company. Keeps each one's row from day to day.

    Args:
        ledger: where rows and labels go.
        seed: of the life.
        rows: the devices as they were entered.
        planted: whether there are outages.
    """

    def __init__(self, ledger: Ledger, seed: int, rows: list[Row], *, planted: bool) -> None:
        self._ledger = ledger
        self._rows = {row["id"]: row for row in rows}
        self._chance = {number: random.Random(f"{seed}/machine/{number}") for number in self._rows}
        self._planted = planted

    def live(self, day_s: float) -> None:
        """Every device's beats of the 24 hours from then on."""
        for number in self._rows:
            self._day(number, day_s)

    def _day(self, number: int, day_s: float) -> None:
        chance, row = self._chance[number], self._rows[number]
        gap = self._outage(chance, row, day_s) if self._planted and chance.random() < _OUTAGE_SHARE else None
        for at_s in _beats(chance, day_s):
            if gap is not None and at_s > gap.start_s and gap.marked:
                row = self._ledger.update("device", row, gap.start_s + 4, status="OFFLINE")
                gap = _Gap(gap.start_s, gap.end_s, marked=False)
            if gap is not None and gap.start_s < at_s < gap.end_s:
                continue
            if chance.random() >= _LOST_SHARE:
                seen_s = at_s + chance.uniform(0.2, 3)
                row = self._ledger.update("device", row, seen_s, last_seen=moment(at_s), status="ONLINE")
        self._rows[number] = row

    def _outage(self, chance: random.Random, row: Row, day_s: float) -> _Gap:
        """A time without beats; the label with it."""
        start_s = day_s + chance.uniform(2, 18) * HOUR_S
        end_s = start_s + chance.uniform(2.2, 5) * HOUR_S
        marked = chance.random() < 0.5
        self._ledger.label(
            "DEVICE_OFFLINE",
            row["tenant_id"],
            [f"device:{row['id']}"],
            start_s,
            "marked OFFLINE" if marked else f"silent for {(end_s - start_s) / HOUR_S:.1f} hours",
            before_s=0.0 if not marked else 2 * MINUTE_S,
            after_s=2 * HOUR_S,
        )
        return _Gap(start_s, end_s, marked=marked)


def _beats(chance: random.Random, day_s: float) -> Iterator[float]:
    at_s = day_s + chance.uniform(5, 60)
    while at_s < day_s + DAY_S - 5:
        yield at_s
        at_s += _BEAT_S + chance.uniform(-20, 20)
