"""The service desk: tickets and work orders."""

import math
import random
from datetime import date

from simulation.labelled.calendar import DAY_S, HOUR_S, MINUTE_S, local_s, moment
from simulation.labelled.ledger import Ledger
from simulation.labelled.world import Site
from simulation.records import Row

_TICKETS_A_DAY = 0.9
_ORDERS_A_DAY = 0.35
_WRONG_SHARE = 0.15
_HOLD_SHARE = 0.15
_REOPENED_SHARE = 0.06
_HIGH_S = 4 * HOUR_S
"""The requirement's own figure (R3.4). What it leaves open is planted far from any sensible figure."""
_SLOWEST = {"CRITICAL": 25 * MINUTE_S, "HIGH": 3.8 * HOUR_S, "MEDIUM": 3.5 * HOUR_S, "LOW": 7 * HOUR_S}
"""A ticket that is dealt with well takes no longer."""
_BREACH_BY = {"CRITICAL": 6 * HOUR_S, "HIGH": _HIGH_S, "MEDIUM": 3 * DAY_S, "LOW": 6 * DAY_S}
"""One that is open so long is too late by anybody's figure."""


class Desk:
    """Lives the tickets and work orders of sites.

    Args:
        ledger: where rows and labels go.
        seed: of the life.
        planted: whether wrong things happen.
    """

    def __init__(self, ledger: Ledger, seed: int, *, planted: bool) -> None:
        self._ledger = ledger
        self._seed = seed
        self._planted = planted

    def live(self, site: Site, day: date) -> None:
        """A site's day."""
        chance = random.Random(f"{self._seed}/desk/{site.id}/{day}")
        while chance.random() < _TICKETS_A_DAY / (1 + _TICKETS_A_DAY):
            self._ticket(chance, site, local_s(day, chance.uniform(5, 23), site.zone))
        if chance.random() < _ORDERS_A_DAY:
            self._order(chance, site, local_s(day, chance.uniform(8, 17), site.zone))

    def _ticket(self, chance: random.Random, site: Site, at_s: float) -> None:
        priority = chance.choice(["CRITICAL", "HIGH", "HIGH", "MEDIUM", "LOW"])
        late = self._planted and chance.random() < _WRONG_SHARE
        slowest_s = _SLOWEST[priority]
        ends_s = at_s + (slowest_s if chance.random() < 0.05 else slowest_s * math.exp(-chance.uniform(0.1, 2)))
        if late:
            ends_s = at_s + _BREACH_BY[priority] + chance.uniform(0.3, 10) * HOUR_S
        row = self._ledger.insert(
            "ticket",
            site.tenant_id,
            at_s,
            site_id=site.id,
            ticket_no=f"T-{site.id}-{round(at_s)}",
            status="NEW",
            priority=priority,
            assigned_to=None,
            description="The door does not close",
            escalation_level=0,
            created_at=moment(at_s),
            updated_at=moment(at_s),
        )
        about = [f"ticket:{row['id']}"]
        if late:
            self._ledger.label(
                "TICKET_SLA_BREACH", site.tenant_id, about, at_s + _HIGH_S if priority == "HIGH" else at_s,
                f"{priority}, open for {(ends_s - at_s) / HOUR_S:.1f} hours",
                before_s=0.0, after_s=30.0 if priority == "HIGH" else _BREACH_BY[priority], exact=priority == "HIGH",
            )  # fmt: skip
        row = self._to(row, at_s + chance.uniform(0.05, 0.15) * (ends_s - at_s), status="OPEN", assigned_to=7)
        row = self._to(row, at_s + chance.uniform(0.2, 0.3) * (ends_s - at_s), status="IN_PROGRESS")
        exact = late and priority == "HIGH"
        if chance.random() < _HOLD_SHARE and not exact:  # whether the clock stops meanwhile makes no difference here
            row = self._to(row, at_s + 0.4 * (ends_s - at_s), status="ON_HOLD")
            row = self._to(row, at_s + 0.42 * (ends_s - at_s), status="IN_PROGRESS")
        if self._planted and chance.random() < 0.12:
            up_s = at_s + 0.5 * (ends_s - at_s)
            row = self._to(row, up_s, escalation_level=1)
            self._ledger.label("TICKET_ESCALATED", site.tenant_id, about, up_s, "escalated")
        row = self._to(row, at_s + 0.7 * (ends_s - at_s), description="The door does not close, hinge is ordered")
        if chance.random() < _REOPENED_SHARE and not late:  # the door sticks again, and is done within the time
            row = self._to(row, at_s + 0.8 * (ends_s - at_s), status="RESOLVED")
            row = self._to(row, at_s + 0.9 * (ends_s - at_s), status="OPEN")
        row = self._to(row, ends_s, status="CANCELLED" if chance.random() < 0.05 else "RESOLVED")
        if row["status"] == "RESOLVED":
            self._to(row, ends_s + chance.uniform(1, 30) * HOUR_S, status="CLOSED")

    def _to(self, row: Row, at_s: float, **columns: object) -> Row:
        return self._ledger.update("ticket", row, at_s, updated_at=moment(at_s), **columns)

    def _order(self, chance: random.Random, site: Site, at_s: float) -> None:
        due_s = at_s + chance.uniform(1, 6) * DAY_S
        row = self._ledger.insert(
            "work_order",
            site.tenant_id,
            at_s,
            site_id=site.id,
            status="OPEN",
            vendor="Lift & Co",
            due_at=moment(due_s),
            created_at=moment(at_s),
            updated_at=moment(at_s),
        )

        def to(row: Row, now_s: float, **columns: object) -> Row:
            return self._ledger.update("work_order", row, now_s, updated_at=moment(now_s), **columns)

        row = to(row, at_s + 0.3 * (due_s - at_s), status="IN_PROGRESS")
        fate = chance.random()
        if self._planted and fate < 2 * _WRONG_SHARE:
            self._ledger.label(
                "WORK_ORDER_OVERDUE", site.tenant_id, [f"work_order:{row['id']}"], due_s, "done after its deadline",
                before_s=0.0, after_s=10 * MINUTE_S, exact=True,
            )  # fmt: skip
            to(row, due_s + chance.uniform(0.3, 40) * HOUR_S, status="DONE")
        elif fate < 0.4:
            to(row, at_s + 0.5 * (due_s - at_s), status="CANCELLED")
        elif fate < 0.5:  # moved in time, and done by then
            later_s = due_s + 2 * DAY_S
            row = to(row, due_s - HOUR_S, due_at=moment(later_s))
            to(row, later_s - HOUR_S, status="DONE")
        else:
            to(row, due_s - chance.uniform(0.05, 12) * HOUR_S, status="DONE")
