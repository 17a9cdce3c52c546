"""What people do with check-ins and check-outs that must be found.

Owns the choice of whom, so that nobody else's rows become wrong by it. Pure: time comes in as an argument, chance
from the `Random` given. Each of the `plants` gives the transaction, or None where just now nobody could do it.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from simulation.live.duties import (
    CHECK_OUT_GRACE,
    DAY_LONG,
    Duty,
    Habit,
    Presence,
    far_site,
    foreign_sites,
)
from simulation.live.geometry import moved
from simulation.live.operations import Operation, Planted, Transaction
from simulation.live.roster import Roster

Plant = Callable[[datetime], Transaction | None]
_LATE = timedelta(minutes=18)
_FAR_M_MIN = 6_000.0
_CAFE_M = (450.0, 800.0)
"""Beyond the site's radius, for whoever checks in from a café."""
_AT_WORK_SHARE_MIN = 0.2
"""Who is found at two sites has no fixes for the rest of the day; so many stay."""
_MISSED_WITHIN = (timedelta(seconds=20), timedelta(seconds=90))
"""Before a check-out is missed it is decided that it will be."""


class Misdeeds:
    """Plants what people of one tenant do.

    Args:
        roster: whose.
        rng: chance.
    """

    def __init__(self, roster: Roster, rng: Random) -> None:
        self._roster = roster
        self._rng = rng
        self._tenant = roster.tenant
        self._visited = {
            person.id: rng.choice(foreign_sites(roster.tenant, person)) for person in roster.tenant.persons
        }
        self.plants: dict[Planted, Plant] = {
            Planted.WRONG_PERSON: self._wrong_person,
            Planted.UNAUTHORIZED_SITE: self._unauthorized_site,
            Planted.IMPOSSIBLE_SHIFTS: self._impossible_shifts,
            Planted.OVERTIME_VIOLATION: self._overtime,
            Planted.LATE_CHECK_IN: self._late,
            Planted.MISSING_CHECK_OUT: self._missing_check_out,
            Planted.UNEXPECTED_LOCATION: self._from_afar,
        }

    def _wrong_person(self, now: datetime) -> Transaction | None:
        """A check-in at which the face check recognised a colleague."""

        def may(duty: Duty) -> bool:
            expected = duty.presence is Presence.AWAITED and duty.habit is Habit.PUNCTUAL
            return duty.back(now) or (expected and abs(duty.start - now) < timedelta(minutes=10))

        duty = self._anyone(may)
        if duty is None:
            return None
        others = [person.id for person in self._tenant.persons if person is not duty.person]
        self._roster.begin_work(duty, now)
        row = self._roster.check(duty.person, duty.site, now, "CHECK_IN", verified_id=self._rng.choice(others))
        return self._done(row, planted=Planted.WRONG_PERSON)

    def _unauthorized_site(self, now: datetime) -> Transaction | None:
        """A check-in of somebody off duty at a site where this person never works."""
        duty = self._anyone(lambda duty: duty.idle(now))
        if duty is None:
            return None
        site = self._visited[duty.person.id]
        duty.visiting = True

        def over(now: datetime) -> Transaction:
            duty.visiting = False
            return self._done(self._roster.check(duty.person, site, now, "CHECK_OUT"))

        self._roster.enter(now + timedelta(minutes=self._rng.uniform(3, 6)), over)
        row = self._roster.check(duty.person, site, now, "CHECK_IN", verified_id=duty.person.id)
        return self._done(row, planted=Planted.UNAUTHORIZED_SITE)

    def _impossible_shifts(self, now: datetime) -> Transaction | None:
        """A check-out at one site, and a minute later a check-in at the next shift's, across the city."""

        def may(duty: Duty) -> bool:
            at_work = duty.presence is Presence.AT_WORK and now - duty.since > timedelta(minutes=5)
            return (
                at_work
                and duty.end - now > timedelta(minutes=30)
                and far_site(self._tenant, duty.site, _FAR_M_MIN) is not None
            )

        enough = len(self._roster.at_work()) > _AT_WORK_SHARE_MIN * len(self._roster.duties)
        duty = self._anyone(may) if enough else None
        site = None if duty is None else far_site(self._tenant, duty.site, _FAR_M_MIN)
        if duty is None or site is None:
            return None
        person, left = duty.person, now - timedelta(seconds=45)
        duty.enter(Presence.ELSEWHERE, now)

        def over(duty: Duty, now: datetime) -> Transaction:
            duty.enter(Presence.GONE, now)
            return self._done(self._roster.check(person, site, now, "CHECK_OUT", own_phone=True))

        self._roster.later(duty, now + timedelta(minutes=self._rng.uniform(4, 9)), over)
        return self._done(
            self._roster.assignment(person, site, left, left + timedelta(hours=1)),
            self._roster.check(person, duty.site, left, "CHECK_OUT", own_phone=True),
            self._roster.check(person, site, now, "CHECK_IN", own_phone=True),
            planted=Planted.IMPOSSIBLE_SHIFTS,
        )

    def _overtime(self, now: datetime) -> Transaction | None:
        """A telephone that had no network all day sends a check-in and the check-out of far too long a day."""

        def may(duty: Duty) -> bool:
            return (
                duty.habit is Habit.UNCONNECTED
                and duty.presence is Presence.AWAITED
                and now - duty.start > DAY_LONG + timedelta(minutes=1)
            )

        duty = self._anyone(may)
        if duty is None:
            return None
        came = duty.start - timedelta(minutes=self._rng.uniform(1, 9))
        went = duty.start + DAY_LONG
        duty.enter(Presence.GONE, went)
        return self._done(
            self._roster.check(duty.person, duty.site, came, "CHECK_IN", own_phone=True),
            self._roster.check(duty.person, duty.site, went, "CHECK_OUT", own_phone=True),
            planted=Planted.OVERTIME_VIOLATION,
        )

    def _late(self, now: datetime) -> Transaction | None:
        """The first check-in of a shift, long after its start."""

        def may(duty: Duty) -> bool:
            awaited = duty.habit is Habit.TARDY and duty.presence is Presence.AWAITED and not duty.visiting
            return awaited and duty.start + _LATE < now < duty.end - timedelta(hours=1)

        duty = self._anyone(may)
        if duty is None:
            return None
        self._roster.begin_work(duty, now)
        return self._done(self._roster.check(duty.person, duty.site, now, "CHECK_IN"), planted=Planted.LATE_CHECK_IN)

    def _from_afar(self, now: datetime) -> Transaction | None:
        """A check-in after a break, by telephone, from some streets away."""
        duty = self._anyone(lambda duty: duty.back(now))
        if duty is None:
            return None
        bearing = self._rng.uniform(0, math.tau)
        away_m = duty.site.geofence_radius_m + self._rng.uniform(*_CAFE_M)
        east_m, north_m = away_m * math.sin(bearing), away_m * math.cos(bearing)
        where = moved(duty.site.latitude, duty.site.longitude, east_m, north_m)
        self._roster.begin_work(duty, now)
        row = self._roster.check(duty.person, duty.site, now, "CHECK_IN", where=where)
        return self._done(row, planted=Planted.UNEXPECTED_LOCATION)

    def _missing_check_out(self, now: datetime) -> Transaction | None:
        """Somebody went home without a check-out, and no supervisor enters it: there is no row to it."""

        def may(duty: Duty) -> bool:
            due = duty.end + CHECK_OUT_GRACE
            return duty.presence is Presence.UNACCOUNTED and _MISSED_WITHIN[0] < due - now < _MISSED_WITHIN[1]

        duty = self._anyone(may)
        if duty is None:
            return None
        duty.enter(Presence.GONE, now)
        return Transaction(self._tenant.id, (), later=((duty.end + CHECK_OUT_GRACE, Planted.MISSING_CHECK_OUT),))

    def _anyone(self, may: Callable[[Duty], bool]) -> Duty | None:
        able = [duty for duty in self._roster.duties if may(duty)]
        return self._rng.choice(able) if able else None

    def _done(self, *rows: Operation, planted: Planted | None = None) -> Transaction:
        return Transaction(self._tenant.id, rows, () if planted is None else (planted,))
