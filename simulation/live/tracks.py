"""GPS tracks of those at work: a walk within the site, and what a receiver makes of it.

Owns the tracks of one tenant. Pure: time comes in as an argument, chance from the `Random` given.
The error of a receiver wanders: it is a mean-reverting random walk (Ornstein-Uhlenbeck), so two fixes a second
apart are wrong in nearly the same way, and no two are the same to the last digit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from simulation.live.company import Site
from simulation.live.duties import Duty
from simulation.live.geometry import distance_m, moved
from simulation.live.operations import Insert, Value

_WALK_RADIUS_SHARE = 0.6
"""Of the geofence's radius: a fix may be a little wrong and is still inside."""
_WALK_SPEED_MPS = (0.3, 1.5)
_STILL_SHARE = 0.3
_GAIT_S = 40.0
"""So long somebody keeps walking or standing, on average."""
_STEP_S_MAX = 20.0
"""A longer time between two fixes is a walk there and back."""
_ERROR_M = 2.5
"""Standard deviation of the receiver's error, east and north."""
_ERROR_S = 30.0
"""How fast the error forgets."""
_FIX_S, _FIX_S_MIN = 1.0, 0.1
"""Between the fixes that a telephone keeps while it has no network: where few people have to fill a burst, less."""


@dataclass(slots=True)
class Track:
    """Where a person is, and how wrong the telephone is about it."""

    site: Site
    latitude: float
    longitude: float
    fixed_at: datetime
    heading: float
    speed_mps: float = 0.0
    error_east_m: float = 0.0
    error_north_m: float = 0.0


class Tracks:
    """The tracks of one tenant.

    Args:
        tenant_id: whose.
        rng: chance.
        next_id: gives the next free id of a table.
    """

    def __init__(self, tenant_id: int, rng: Random, next_id: Callable[[str], int]) -> None:
        self._tenant_id = tenant_id
        self._rng = rng
        self._next_id = next_id
        self._tracks: dict[int, Track] = {}

    def waiting_since(self, duty: Duty) -> datetime:
        """When the person's last fix was taken, or work began."""
        track = self._tracks.get(duty.person.id)
        return duty.since if track is None else max(track.fixed_at, duty.since)

    def fix(self, duty: Duty, now: datetime, **more: Value) -> Insert:
        """The next fix of somebody at work; `more` replaces columns of its row."""
        track = self._track(duty, now)
        seconds = (now - track.fixed_at).total_seconds()
        track.fixed_at = now
        self._walk(track, seconds)
        self._err(track, seconds)
        latitude, longitude = moved(track.latitude, track.longitude, track.error_east_m, track.error_north_m)
        speed = max(0.0, track.speed_mps + self._rng.gauss(0, 0.08)) if track.speed_mps else 0.0
        values: dict[str, Value] = {
            "id": self._next_id("location"),
            "tenant_id": self._tenant_id,
            "person_id": duty.person.id,
            "site_id": duty.site.id,
            "device_id": duty.person.device_id,
            "latitude": latitude,
            "longitude": longitude,
            "accuracy_m": round(self._rng.uniform(4, 13), 1),
            "speed_mps": round(speed, 2),
            "is_mock": False,
            "recorded_at": now,
        }
        return Insert("location", values | more)

    def backlog(self, duties: Sequence[Duty], now: datetime, fixes: int) -> list[Insert]:
        """What the telephones of some people send after the network was away, up to now: a fix a second each, or more.

        Args:
            duties: of people at work, those who waited longest first.
            now: the time.
            fixes: how many; none come where they would be too close to each other.
        """
        waited_s = {duty.person.id: (now - self.waiting_since(duty)).total_seconds() for duty in duties}
        # One more for each than there is room for: nobody has a part of a fix.
        interval_s = min(_FIX_S, sum(waited_s.values()) / (fixes + len(duties)))
        if interval_s < _FIX_S_MIN:
            return []
        rows: list[Insert] = []
        for duty in duties:
            number = min(int(waited_s[duty.person.id] / interval_s), fixes - len(rows))
            first = now - timedelta(seconds=interval_s * (number - 1))
            rows.extend(self.fix(duty, first + timedelta(seconds=interval_s * place)) for place in range(number))
        return rows

    def go_to(self, duty: Duty, east_m: float, north_m: float, now: datetime) -> None:
        """Put a person so far from the site's middle; the way there was not recorded."""
        track = self._track(duty, now)
        track.latitude, track.longitude = moved(duty.site.latitude, duty.site.longitude, east_m, north_m)

    def _track(self, duty: Duty, now: datetime) -> Track:
        track = self._tracks.get(duty.person.id)
        if track is None or track.site is not duty.site or track.fixed_at < duty.since:
            # A new stretch of work begins at the gate.
            began = max(duty.since, now - timedelta(seconds=_STEP_S_MAX))
            where = near_gate(duty.site, self._rng)
            heading = self._rng.uniform(0, math.tau)
            track = self._tracks[duty.person.id] = Track(duty.site, *where, began, heading)
        return track

    def _walk(self, track: Track, seconds: float) -> None:
        """Move a person on for so long, turning back before the edge."""
        if self._rng.random() < min(1.0, seconds / _GAIT_S):
            still = self._rng.random() < _STILL_SHARE
            track.speed_mps = 0.0 if still else self._rng.uniform(*_WALK_SPEED_MPS)
        seconds = min(seconds, _STEP_S_MAX)
        track.heading += self._rng.gauss(0, 0.25 * math.sqrt(seconds))
        east, north = math.sin(track.heading), math.cos(track.heading)
        step_m, site = track.speed_mps * seconds, track.site
        there = moved(track.latitude, track.longitude, east * step_m, north * step_m)
        reach_m = site.geofence_radius_m * _WALK_RADIUS_SHARE
        if distance_m(*there, site.latitude, site.longitude) > reach_m:
            track.heading += math.pi
            track.speed_mps = 0.0
            return
        track.latitude, track.longitude = there

    def _err(self, track: Track, seconds: float) -> None:
        kept = math.exp(-seconds / _ERROR_S)
        fresh = _ERROR_M * math.sqrt(1 - kept * kept)
        track.error_east_m = track.error_east_m * kept + self._rng.gauss(0, fresh)
        track.error_north_m = track.error_north_m * kept + self._rng.gauss(0, fresh)


def near_gate(site: Site, rng: Random) -> tuple[float, float]:
    """A place within the site, as degrees."""
    bearing, distance = rng.uniform(0, math.tau), site.geofence_radius_m * 0.4 * math.sqrt(rng.random())
    return moved(site.latitude, site.longitude, distance * math.sin(bearing), distance * math.cos(bearing))
