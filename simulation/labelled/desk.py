"""The tickets and work orders of a site's day, and which of them are late."""

import math
from datetime import date
from random import Random

from simulation.world.calendar import DAY_S, HOUR_S, MINUTE_S, local_s
from simulation.world.company import Site, Tenant
from simulation.world.desk import (
    HIGH_PRIORITY_S,
    PRIORITIES,
    PRIORITY_WEIGHTS,
    Ticket,
    WorkOrder,
    escalate,
    label_breach,
    write_ticket,
    write_work_order,
)
from simulation.world.timeline import Timeline

_TICKETS_A_DAY = 0.9
_ORDERS_A_DAY = 0.35
_LATE_SHARE, _ESCALATED_SHARE = 0.15, 0.12
_SLOWEST_S = {"CRITICAL": 25 * MINUTE_S, "HIGH": 3.8 * HOUR_S, "MEDIUM": 3.5 * HOUR_S, "LOW": 7 * HOUR_S}
"""A ticket that is dealt with well takes no longer."""
_BREACH_S = {"CRITICAL": 6 * HOUR_S, "HIGH": HIGH_PRIORITY_S, "MEDIUM": 3 * DAY_S, "LOW": 6 * DAY_S}
"""One that is open so long is too late by anybody's figure: what the requirement leaves open is far from any."""


class DeskDays:
    """The service desk of one tenant.

    Args:
        timeline: where rows and labels go.
        seed: of the scenario.
        tenant: whose desk it is.
        planted: whether wrong things happen.
    """

    def __init__(self, timeline: Timeline, seed: int, tenant: Tenant, *, planted: bool) -> None:
        self._timeline = timeline
        self._seed = seed
        self._tenant = tenant
        self._planted = planted

    def day(self, site: Site, day: date) -> None:
        """A site's day."""
        rng = Random(f"{self._seed}/desk/{site.id}/{day}")
        while rng.random() < _TICKETS_A_DAY / (1 + _TICKETS_A_DAY):
            self._ticket(rng, site, local_s(day, rng.uniform(5, 23), site.zone))
        if rng.random() < _ORDERS_A_DAY:
            self._order(rng, site, local_s(day, rng.uniform(8, 17), site.zone))

    def _ticket(self, rng: Random, site: Site, at_s: float) -> None:
        [priority] = rng.choices(PRIORITIES, PRIORITY_WEIGHTS)
        is_late = self._planted and rng.random() < _LATE_SHARE
        takes_s = _SLOWEST_S[priority] * (1.0 if rng.random() < 0.05 else math.exp(-rng.uniform(0.1, 2)))
        if is_late:
            takes_s = _BREACH_S[priority] + rng.uniform(0.3, 10) * HOUR_S
        ticket = Ticket(
            site=site,
            person=rng.choice(self._tenant.staff[site.id]),
            priority=priority,
            created_s=at_s,
            ends_s=at_s + takes_s,
            closed_after_s=rng.uniform(1, 30) * HOUR_S,
            is_late=is_late,
        )
        row_id = write_ticket(self._timeline, rng, ticket)
        if is_late:
            is_exact = priority == "HIGH"
            label_breach(self._timeline, ticket, row_id, 30.0 if is_exact else _BREACH_S[priority], is_exact=is_exact)
        if self._planted and rng.random() < _ESCALATED_SHARE:
            escalate(self._timeline, site.tenant_id, row_id, 1, at_s + 0.5 * takes_s)

    def _order(self, rng: Random, site: Site, at_s: float) -> None:
        due_s = at_s + rng.uniform(1, 6) * DAY_S
        outcome, moved_to_s = rng.random(), None
        if self._planted and outcome < 2 * _LATE_SHARE:
            ends_s = due_s + rng.uniform(0.3, 40) * HOUR_S
        elif outcome < 0.4:
            ends_s = at_s + 0.5 * (due_s - at_s)
        elif outcome < 0.5:  # moved in time, and done by then
            moved_to_s = due_s + 2 * DAY_S
            ends_s = moved_to_s - HOUR_S
        else:
            ends_s = due_s - rng.uniform(0.05, 12) * HOUR_S
        is_cancelled = outcome < 0.4 and ends_s < due_s
        begun_s = at_s + 0.3 * (due_s - at_s)
        order = WorkOrder(site, at_s, begun_s, due_s, ends_s, is_cancelled=is_cancelled, moved_to_s=moved_to_s)
        write_work_order(self._timeline, rng, order)
