"""What people do that must be found: planted attendance and fixes.

Owns the choice of whom, so that nobody else's rows become wrong by it. Pure: time comes in as an argument, chance
from the `Random` given. Each `plant` gives the transaction, or None where just now nobody could do it.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from deploy.demo.duties import (
    CHECK_OUT_GRACE,
    DAY_LONG,
    Duty,
    Habit,
    Presence,
    far_site,
    foreign_sites,
)
from deploy.demo.geometry import moved
from deploy.demo.operations import Operation, Planted, Transaction, Value
from deploy.demo.roster import Roster
from deploy.demo.tracks import Tracks

Plant = Callable[[datetime], Transaction | None]
_LATE = timedelta(minutes=18)
_FAR_M_MIN = 6_000.0
_AWAY_M = (300.0, 400.0)
"""Beyond the site's radius, for whoever walks out."""
_CAFE_M = (450.0, 800.0)
"""Beyond the site's radius, for whoever checks in from a café."""
_BACK_AFTER = timedelta(minutes=6)
"""From the last fix before a break to the next one: somebody may have walked so far meanwhile."""
_OUTSIDE_FIXES, _OUTSIDE_TIME = 3, timedelta(seconds=20)
"""So many fixes over so long leave no doubt."""
_MOCK_PAUSE = timedelta(minutes=40)
_WRONG_FIXES: tuple[dict[str, Value], ...] = (
    {"latitude": 0.0, "longitude": 0.0},
    {"accuracy_m": -1.0},
    {"latitude": None},
)
"""What telephones send that cannot be."""


class Misdeeds:
    """Plants what people of one tenant do.

    Args:
        roster: whose.
        tracks: their fixes.
        rng: chance.
    """

    def __init__(self, roster: Roster, tracks: Tracks, rng: Random) -> None:
        self._roster = roster
        self._tracks = tracks
        self._rng = rng
        self._tenant = roster.tenant
        self._mocked: dict[int, datetime] = {}
        self._visited = {
            person.id: rng.choice(foreign_sites(roster.tenant, person)) for person in roster.tenant.persons
        }
        self._outside: dict[int, tuple[datetime, int]] = {}
        """Of those who walked out: the first fix outside, and how many there are."""
        self.plants: dict[Planted, Plant] = {
            Planted.WRONG_PERSON: self._wrong_person,
            Planted.UNAUTHORIZED_SITE: self._unauthorized_site,
            Planted.IMPOSSIBLE_SHIFTS: self._impossible_shifts,
            Planted.OVERTIME_VIOLATION: self._overtime,
            Planted.LATE_CHECK_IN: self._late,
            Planted.MISSING_CHECK_OUT: self._missing_check_out,
            Planted.UNEXPECTED_LOCATION: self._from_afar,
            Planted.GEOFENCE_VIOLATION: self._walk_out,
            Planted.LOCATION_SPOOFING: self._mock,
            Planted.DATA_QUALITY: self._wrong_fix,
        }

    @property
    def busy(self) -> bool:
        """Whether something is under way whose rows must not be dropped with a burst."""
        return bool(self._outside)

    def fix(self, duty: Duty, now: datetime) -> Transaction:
        """The next fix of somebody at work; of somebody who walked out, as long as it takes to be sure of it."""
        row = self._tracks.fix(duty, now)
        walked_out = self._outside.get(duty.person.id)
        if walked_out is None:
            return self._done(row)
        since, fixes = walked_out
        if fixes == 0:
            since = now
        fixes += 1
        self._outside[duty.person.id] = since, fixes
        if fixes < _OUTSIDE_FIXES or now - since < _OUTSIDE_TIME:
            return self._done(row)
        del self._outside[duty.person.id]
        # The way back takes a break.
        self._roster.later(duty, now, lambda duty, now: self._done(self._roster.pause(duty, now)))
        return self._done(row, planted=Planted.GEOFENCE_VIOLATION)

    def _wrong_person(self, now: datetime) -> Transaction | None:
        """A check-in at which the face check recognised a colleague."""

        def may(duty: Duty) -> bool:
            expected = duty.presence is Presence.AWAITED and duty.habit is Habit.PUNCTUAL
            return self._back(duty, now) or (expected and abs(duty.start - now) < timedelta(minutes=10))

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
                and duty.person.id not in self._outside
                and duty.end - now > timedelta(minutes=30)
                and far_site(self._tenant, duty.site, _FAR_M_MIN) is not None
            )

        duty = self._anyone(may)
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
            self._roster.assignment(person, site, left, left + timedelta(hours=4)),
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

    def _missing_check_out(self, now: datetime) -> Transaction | None:
        """Somebody went home without a check-out, and no supervisor enters it; a fix of a colleague says nothing of it."""

        def may(duty: Duty) -> bool:
            due = duty.end + CHECK_OUT_GRACE
            waits = duty.presence is Presence.UNACCOUNTED
            return waits and timedelta(seconds=20) < due - now < timedelta(seconds=90)

        duty, colleagues = self._anyone(may), self._roster.at_work()
        if duty is None or not colleagues:
            return None
        duty.enter(Presence.GONE, now)
        row = self._tracks.fix(min(colleagues, key=self._tracks.waiting_since), now)
        return self._done(row, later=(duty.end + CHECK_OUT_GRACE, Planted.MISSING_CHECK_OUT))

    def _from_afar(self, now: datetime) -> Transaction | None:
        """A check-in after a break, by telephone, from some streets away."""
        duty = self._anyone(lambda duty: self._back(duty, now))
        if duty is None:
            return None
        where = moved(duty.site.latitude, duty.site.longitude, *self._beyond(duty, _CAFE_M))
        self._roster.begin_work(duty, now)
        row = self._roster.check(duty.person, duty.site, now, "CHECK_IN", where=where)
        return self._done(row, planted=Planted.UNEXPECTED_LOCATION)

    def _walk_out(self, now: datetime) -> Transaction | None:
        """A check-in after a break, and the telephone says that its owner is outside: found after some fixes."""
        duty = self._anyone(lambda duty: self._back(duty, now) and duty.end - now > timedelta(minutes=30))
        if duty is None:
            return None
        self._roster.begin_work(duty, now)
        self._tracks.go_to(duty, *self._beyond(duty, _AWAY_M), now)
        self._outside[duty.person.id] = now, 0
        return self._done(self._roster.check(duty.person, duty.site, now, "CHECK_IN"))

    def _mock(self, now: datetime) -> Transaction | None:
        """A fix that says itself that an app made it up."""
        duty = self._anyone(lambda duty: self._sends(duty, now))
        if duty is None:
            return None
        self._mocked[duty.person.id] = now
        return self._done(self._tracks.fix(duty, now, is_mock=True), planted=Planted.LOCATION_SPOOFING)

    def _wrong_fix(self, now: datetime) -> Transaction | None:
        """A fix with a value that cannot be."""
        duty = self._anyone(lambda duty: self._sends(duty, now))
        if duty is None:
            return None
        row = self._tracks.fix(duty, now, **self._rng.choice(_WRONG_FIXES))
        return self._done(row, planted=Planted.DATA_QUALITY)

    def _back(self, duty: Duty, now: datetime) -> bool:
        """Whether somebody may come back from a break now."""
        return duty.presence is Presence.ON_BREAK and now - duty.since > _BACK_AFTER

    def _sends(self, duty: Duty, now: datetime) -> bool:
        """Whether a fix of this person can be made a wrong one."""
        mocked = self._mocked.get(duty.person.id)
        return (
            duty.presence is Presence.AT_WORK
            and duty.person.id not in self._outside
            and (mocked is None or now - mocked > _MOCK_PAUSE)
            and now - self._tracks.waiting_since(duty) >= timedelta(seconds=1)
        )

    def _beyond(self, duty: Duty, metres: tuple[float, float]) -> tuple[float, float]:
        """Metres east and north of a place outside a site, in any direction."""
        bearing, distance = self._rng.uniform(0, math.tau), duty.site.geofence_radius_m + self._rng.uniform(*metres)
        return distance * math.sin(bearing), distance * math.cos(bearing)

    def _anyone(self, may: Callable[[Duty], bool]) -> Duty | None:
        able = [duty for duty in self._roster.duties if may(duty)]
        return self._rng.choice(able) if able else None

    def _done(
        self, *rows: Operation, planted: Planted | None = None, later: tuple[datetime, Planted] | None = None
    ) -> Transaction:
        return Transaction(
            self._tenant.id,
            rows,
            () if planted is None else (planted,),
            () if later is None else (later,),
        )
