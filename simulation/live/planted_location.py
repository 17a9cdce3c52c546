"""What telephones say that must be found: owners who walk or drive off, made-up positions, values that cannot be.

Owns the choice of whom, so that nobody else's fixes become wrong by it. Pure: time comes in as an argument, chance
from the `Random` given. Each of the `plants` gives the transaction, or None where just now nobody could do it.
"""

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

from simulation.live.duties import Duty, Presence
from simulation.live.operations import Operation, Planted, Transaction, Value
from simulation.live.planted_attendance import Plant
from simulation.live.roster import Roster
from simulation.live.tracks import Tracks

_WALK_S, _WALK_FIXES = 12.0, 3
"""Seconds between the fixes of somebody who walked out; with the third of them there is no doubt."""
_AWAY_M = (300.0, 400.0)
"""Beyond the site's radius."""
_DRIVE_S, _DRIVE_M, _DRIVE_FIXES = 25.0, 400.0, 4
"""Seconds and metres between the fixes of somebody who drives off: 58 km/h from the middle of the site, outside it
from the second fix on. With the fourth there is no doubt of either."""
_SHIFT_LEFT_MIN = timedelta(minutes=30)
"""Towards the end of a shift people may be on their way home."""
_MOCK_PAUSE = timedelta(minutes=65)
"""Made-up positions of one telephone within an hour are one episode."""
_STRAY_PAUSE = timedelta(hours=3)
"""Who was astray has been seen at the site again before the next time, or it would be the same time."""
_WRONG_FIXES: tuple[dict[str, Value], ...] = ({"latitude": 0.0, "longitude": 0.0}, {"accuracy_m": -1.0})


class Astray:
    """Plants what the telephones of one tenant say.

    Args:
        roster: whose.
        tracks: their fixes.
        rng: chance.
    """

    def __init__(self, roster: Roster, tracks: Tracks, rng: Random) -> None:
        self._roster = roster
        self._tracks = tracks
        self._rng = rng
        self._mocked: dict[int, datetime] = {}
        self._strayed: dict[int, datetime] = {}
        self.plants: dict[Planted, Plant] = {
            Planted.GEOFENCE_VIOLATION: self._walk_out,
            Planted.UNEXPECTED_MOVEMENT: self._drive_off,
            Planted.LOCATION_SPOOFING: self._mock,
            Planted.DATA_QUALITY: self._wrong_fix,
        }

    @property
    def busy(self) -> bool:
        """Whether somebody is astray: those fixes must not be dropped with a burst."""
        return any(duty.presence is Presence.ASTRAY for duty in self._roster.duties)

    def _walk_out(self, now: datetime) -> Transaction | None:
        """A check-in after a break, and the fixes that follow are some streets away."""
        away_m = self._rng.uniform(*_AWAY_M)

        def far_m(duty: Duty, place: int) -> float:  # noqa: ARG001 - the same for all
            return duty.site.geofence_radius_m + away_m

        return self._stray(now, _WALK_S, _WALK_FIXES, far_m, (Planted.GEOFENCE_VIOLATION,))

    def _drive_off(self, now: datetime) -> Transaction | None:
        """A check-in after a break, and the fixes that follow lead away at the speed of a car."""

        def far_m(duty: Duty, place: int) -> float:  # noqa: ARG001 - the same for all
            return place * _DRIVE_M

        told = (Planted.UNEXPECTED_MOVEMENT, Planted.GEOFENCE_VIOLATION)
        return self._stray(now, _DRIVE_S, _DRIVE_FIXES, far_m, told)

    def _stray(
        self,
        now: datetime,
        interval_s: float,
        fixes: int,
        far_m: Callable[[Duty, int], float],
        told: Sequence[Planted],
    ) -> Transaction | None:
        def may(duty: Duty) -> bool:
            strayed = self._strayed.get(duty.person.id)
            again = strayed is None or now - strayed > _STRAY_PAUSE
            return again and duty.back(now) and duty.end - now > _SHIFT_LEFT_MIN

        duty = self._anyone(may)
        if duty is None:
            return None
        self._strayed[duty.person.id] = now
        bearing = self._rng.uniform(0, math.tau)
        duty.enter(Presence.ASTRAY, now)

        def fix(place: int, duty: Duty, now: datetime) -> Transaction:
            away_m, last = far_m(duty, place), place + 1 == fixes
            self._tracks.go_to(duty, away_m * math.sin(bearing), away_m * math.cos(bearing), now)
            row = self._tracks.fix(duty, now)
            if last:
                # The way back takes a break.
                return self._done(row, self._roster.pause(duty, now), planted=told)
            self._roster.later(duty, now + timedelta(seconds=interval_s), lambda duty, now: fix(place + 1, duty, now))
            return self._done(row)

        self._roster.later(duty, now + timedelta(seconds=1), lambda duty, now: fix(0, duty, now))
        return self._done(self._roster.check(duty.person, duty.site, now, "CHECK_IN"))

    def _mock(self, now: datetime) -> Transaction | None:
        """A fix that says itself that an app made it up."""

        def may(duty: Duty) -> bool:
            mocked = self._mocked.get(duty.person.id)
            return self._sends(duty, now) and (mocked is None or now - mocked > _MOCK_PAUSE)

        duty = self._anyone(may)
        if duty is None:
            return None
        self._mocked[duty.person.id] = now
        return self._done(self._tracks.fix(duty, now, is_mock=True), planted=(Planted.LOCATION_SPOOFING,))

    def _wrong_fix(self, now: datetime) -> Transaction | None:
        """A fix with a value that cannot be."""
        duty = self._anyone(lambda duty: self._sends(duty, now))
        if duty is None:
            return None
        row = self._tracks.fix(duty, now, **self._rng.choice(_WRONG_FIXES))
        return self._done(row, planted=(Planted.DATA_QUALITY,))

    def _sends(self, duty: Duty, now: datetime) -> bool:
        """Whether the next fix of this person may be a wrong one."""
        waited = now - self._tracks.waiting_since(duty)
        return duty.presence is Presence.AT_WORK and waited >= timedelta(seconds=1)

    def _anyone(self, may: Callable[[Duty], bool]) -> Duty | None:
        able = [duty for duty in self._roster.duties if may(duty)]
        return self._rng.choice(able) if able else None

    def _done(self, *rows: Operation, planted: Sequence[Planted] = ()) -> Transaction:
        return Transaction(self._roster.tenant.id, rows, tuple(planted))
