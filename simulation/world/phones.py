"""Phones: where a person walks within a site, what the receiver makes of it, and when it is uploaded.

The error of a receiver wanders: it is a mean-reverting random walk (Ornstein-Uhlenbeck), so two fixes a second apart
are wrong in nearly the same way, and two that are minutes apart are independent. Owns no rows but those of `location`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from simulation.world.calendar import MINUTE_S, Interval, moment
from simulation.world.geometry import moved, offset
from simulation.world.shifts import Shift
from simulation.world.timeline import ScheduledChange, Timeline

_WALK_MPS = (0.4, 1.5)
_STAY_S = 90.0
"""Average pause."""
_ERROR_S = 30.0
"""Time constant of the error."""
_ERROR_SHARE = 0.45
"""Standard deviation of the error, east and north, as a share of the stated accuracy."""
_MULTIPATH_SHARE, _COARSE_SHARE = 0.008, 0.004
_CACHED_SHARE, _LOST_SHARE = 0.01, 0.05
_CANYON_SHARE, _CANYON_S, _CANYON_MULTIPATH_SHARE = 0.06, 12 * MINUTE_S, 0.8
"""Share of the spans at work with some time beside a facade, where most fixes are bad, and how long that is."""
_INTERVAL_S = (180.0, 300.0)


@dataclass(frozen=True, slots=True)
class Fix:
    """One position: metres east and north of the site's middle."""

    at_s: float
    east_m: float
    north_m: float
    accuracy_m: float
    speed_mps: float
    is_mock: bool = False


@dataclass(slots=True)
class Network:
    """The connection of one phone. What is recorded during an outage is uploaded after it, in any order."""

    rng: Random
    phone_id: int | None
    delay_s: Interval = (0.3, 2.5)
    """From recording to commit, from and to."""
    burst_s: Interval = (1.0, 45.0)
    """From the end of an outage to the commit."""
    outages: list[Interval] = field(default_factory=list)
    uses_reader: bool = True
    """Whether its owner checks in at the gate reader of a site that has one."""

    def committed_s(self, at_s: float) -> float:
        """When a row that was recorded then reaches the database."""
        for start_s, end_s in self.outages:
            if start_s <= at_s < end_s:
                return end_s + self.rng.uniform(*self.burst_s)
        return at_s + self.rng.uniform(*self.delay_s)


class Receiver:
    """What a phone's receiver says of a true position.

    Args:
        is_clear: whether it always sees satellites; otherwise some fixes are reflected or come from a radio mast.
    """

    def __init__(self, rng: Random, *, is_clear: bool = False) -> None:
        self._rng = rng
        self._is_clear = is_clear
        self._at_s = -math.inf
        self._east = self._north = self._accuracy = 0.0
        """The errors, in their standard deviations."""

    def fix(
        self, at_s: float, east_m: float, north_m: float, speed_mps: float, *, multipath_share: float = _MULTIPATH_SHARE
    ) -> Fix:
        """The fix of a true position; times must not go back."""
        rng = self._rng
        if not self._is_clear:
            if rng.random() < _COARSE_SHARE:
                # No satellite in view: the radio mast's position, which may be a kilometre off.
                accuracy = rng.uniform(400, 1_800)
                east, north = offset(rng, accuracy * rng.uniform(0.1, 1.0))
                return Fix(at_s, east_m + east, north_m + north, accuracy, 0.0)
            if rng.random() < multipath_share:
                off_m = rng.uniform(50, 150)
                east, north = offset(rng, off_m)
                # Most receivers know that such a fix is bad; some do not.
                accuracy = off_m * rng.uniform(0.7, 1.1) if rng.random() < 0.75 else rng.uniform(15, 40)
                return Fix(at_s, east_m + east, north_m + north, accuracy, speed_mps)
        kept = math.exp((self._at_s - at_s) / _ERROR_S)
        fresh = math.sqrt(1 - kept * kept)
        self._at_s = at_s
        self._east, self._north, self._accuracy = (
            error * kept + rng.gauss(0, fresh) for error in (self._east, self._north, self._accuracy)
        )
        accuracy = min(20.0 if self._is_clear else 45.0, 9.0 * math.exp(0.4 * self._accuracy))
        sigma = _ERROR_SHARE * accuracy
        return Fix(at_s, east_m + sigma * self._east, north_m + sigma * self._north, accuracy, speed_mps)


class Walk:
    """A person walking about a site from one point to the next, with a pause at each (random waypoint model).

    Args:
        extent_m: never farther than this from the site's middle.
        at_s: when it begins.
    """

    def __init__(self, rng: Random, extent_m: float, at_s: float) -> None:
        self._rng = rng
        self._extent_m = extent_m
        self._from = self._to = self._point()
        self._left_s = self._there_s = at_s
        self._until_s = at_s + rng.expovariate(1 / _STAY_S)

    def at(self, at_s: float) -> tuple[float, float, float]:
        """Metres east and north, and metres per second; times must not go back."""
        while at_s >= self._until_s:
            self._from, self._to = self._to, self._point()
            self._left_s = self._until_s
            self._there_s = self._left_s + math.dist(self._from, self._to) / self._rng.uniform(*_WALK_MPS)
            self._until_s = self._there_s + self._rng.expovariate(1 / _STAY_S)
        if at_s >= self._there_s:
            return *self._to, 0.0
        way_s = self._there_s - self._left_s
        share = (at_s - self._left_s) / way_s
        east, north = (start + share * (end - start) for start, end in zip(self._from, self._to, strict=True))
        return east, north, math.dist(self._from, self._to) / way_s

    def _point(self) -> tuple[float, float]:
        return offset(self._rng, self._extent_m * min(1.0, abs(self._rng.gauss(0, 0.45))))


def walked(rng: Random, receiver: Receiver, span: Interval, extent_m: float) -> Iterator[Fix]:
    """The fixes of somebody at work, one every three to five minutes."""
    start_s, end_s = span
    walk = Walk(rng, extent_m, start_s)
    canyon_s = rng.uniform(start_s, end_s) if rng.random() < _CANYON_SHARE else math.inf
    at_s = start_s + rng.uniform(20, 200)
    while at_s < end_s:
        east_m, north_m, speed = walk.at(at_s)
        if rng.random() >= _LOST_SHARE:
            is_canyon = 0 <= at_s - canyon_s < _CANYON_S
            share = _CANYON_MULTIPATH_SHARE if is_canyon else _MULTIPATH_SHARE
            speed = max(0.0, speed + rng.gauss(0, 0.1))
            fix = receiver.fix(at_s, east_m, north_m, speed, multipath_share=share)
            yield fix
            if rng.random() < _CACHED_SHARE:  # the system hands out its last position once more
                yield Fix(at_s + rng.uniform(20, 60), fix.east_m, fix.north_m, fix.accuracy_m, 0.0)
        at_s += rng.uniform(*_INTERVAL_S)


def upload(timeline: Timeline, shift: Shift, fix: Fix, committed_s: float) -> ScheduledChange:
    """Write a fix as a row."""
    latitude, longitude = moved(shift.site.latitude, shift.site.longitude, fix.east_m, fix.north_m)
    return timeline.insert(
        "location",
        shift.site.tenant_id,
        committed_s,
        person_id=shift.person.id,
        site_id=shift.site.id,
        device_id=shift.phone_id,
        latitude=latitude,
        longitude=longitude,
        accuracy_m=round(fix.accuracy_m, 1),
        speed_mps=round(fix.speed_mps, 2),
        is_mock=fix.is_mock,
        recorded_at=moment(fix.at_s),
    )


def outage(rng: Random, span: Interval) -> Interval | None:
    """A time without network well within a shift; uploads are back before its end."""
    start_s, end_s = span
    room_s = end_s - start_s - 40 * MINUTE_S
    length_s = min(room_s, rng.uniform(15, 170) * MINUTE_S)
    if length_s <= 10 * MINUTE_S:
        return None
    begin_s = start_s + 20 * MINUTE_S + rng.uniform(0, room_s - length_s)
    return begin_s, begin_s + length_s
