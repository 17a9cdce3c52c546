"""Visits of people to another site: entered, not entered, or impossibly soon after a stay elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from random import Random

from simulation.labelled.plan import ScenarioPlan
from simulation.labelled.roster import Roster
from simulation.world.attendance import CHECK_IN, CHECK_OUT, AttendanceWriter
from simulation.world.calendar import HOUR_S, MINUTE_S, local_s
from simulation.world.company import Person, SiteKind, Tenant
from simulation.world.phones import Network
from simulation.world.shifts import assign
from simulation.world.timeline import ScheduledChange

_SHARE = 0.1
"""Of a tenant's days, for each kind of visit."""
_START_H = 8.0
_ENTERED_BEFORE_S = 3 * HOUR_S
_HOME, _NEAR = SiteKind.REMOTE, SiteKind.GUARDED
"""The remote site has people to spare; they visit the guarded one, an hour's drive away."""

Stay = tuple[SiteKind, float, float | None]
"""Where, and from and until which hour of the visit; None: never out."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A kind of visit."""

    note: str
    hours: float
    """For which the person has to be free."""
    stays: Callable[[float, float], tuple[Stay, ...]]
    """Made from two random times in hours: up to six hours, and some minutes."""
    finding_type: str = ""
    """What the last check-in is found as, or the check-out before; empty: nothing is wrong."""
    after_s: float = 10.0
    is_entered: bool = True


_RIGHT = Visit("a morning here and an afternoon there", 10, lambda *_: ((_NEAR, 0, 3.5), (_HOME, 6.5, 10)))
_STRANGER, _FLIGHT = "UNAUTHORIZED_SITE", "IMPOSSIBLE_SHIFTS"
_WRONG = (
    Visit("on a day off", 9, lambda some, _: ((_NEAR, some, some + 1),), _STRANGER, is_entered=False),
    Visit("a swap nobody entered", 8, lambda _, few: ((_NEAR, few, few + 7.5),), _STRANGER, is_entered=False),
    Visit("60 km or more in minutes", 9, lambda _, few: ((_NEAR, 0, 4), (_HOME, 4 + few, 8)), _FLIGHT),
    Visit("in at two sites within minutes", 9, lambda _, few: ((_NEAR, 0, None), (_HOME, few, 8)), _FLIGHT),
    Visit(
        "out here minutes after in there", 10, lambda _, few: ((_NEAR, 0, 5 + few), (_HOME, 5, 9)), _FLIGHT,
        after_s=15 * MINUTE_S,
    ),
)  # fmt: skip


class VisitDays:
    """The visits of one tenant."""

    def __init__(self, plan: ScenarioPlan, tenant: Tenant, roster: Roster) -> None:
        self._plan = plan
        self._tenant = tenant
        self._roster = roster
        self._sites = {site.kind: site for site in tenant.sites}

    def day(self, day: date) -> None:
        """The visits of a day."""
        rng = self._plan.rng("visits", self._tenant.id, day)
        home = self._sites[_HOME]
        for visit in (_RIGHT, *(_WRONG if self._plan.is_planted else ())):
            if rng.random() < _SHARE:
                start_s = local_s(day, _START_H, home.zone)
                end_s = start_s + visit.hours * HOUR_S
                person = self._roster.free(home, start_s, end_s)
                if person is not None:
                    self._roster.occupy(person, start_s, end_s)
                    self._play(rng, person, start_s, visit)

    def _play(self, rng: Random, person: Person, start_s: float, visit: Visit) -> None:
        timeline, network = self._plan.timeline, Network(rng, person.phone_id)
        attendance = AttendanceWriter(timeline, rng)
        comes: list[ScheduledChange] = []
        leaves: list[ScheduledChange] = []
        for kind, from_h, until_h in visit.stays(rng.uniform(0, 6), rng.uniform(4, 12) / 60):
            site, from_s = self._sites[kind], start_s + from_h * HOUR_S
            until_s = start_s + (visit.hours if until_h is None else until_h) * HOUR_S
            if visit.is_entered:
                assign(timeline, person, site, from_s, until_s, from_s - _ENTERED_BEFORE_S)
            comes.append(attendance.usual(CHECK_IN, site, person, from_s, network))
            if until_h is not None:
                leaves.append(attendance.usual(CHECK_OUT, site, person, until_s, network))
            elif visit.finding_type:
                ids, note = [f"person:{person.id}"], f"never out: {visit.note}"
                timeline.label(
                    "MISSING_CHECK_OUT", self._tenant.id, ids, until_s, note, after_s=8 * HOUR_S, required=False
                )
        if visit.finding_type:
            attendance.label(visit.finding_type, person, [comes[-1], *leaves[:-1]], visit.note, visit.after_s)
