"""Who works where and when: shifts, check-ins and check-outs, GPS tracks.

Owns the people of one tenant during the simulated day, and the two kinds of planted attendance
anomalies. Pure: time comes in as an argument, chance from the `Random` given, rows go out.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from deploy.demo.company import Person, Site, Tenant
from deploy.demo.geometry import distance_m, moved
from deploy.demo.operations import Insert, Planted

NextId = Callable[[str], int]
SHIFT_LENGTH = timedelta(hours=8)
_ON_SHIFT_AT_START = 0.7
_PRESENT_SHARE = 0.8
_AT_HOME_SITE_SHARE = 0.75
_VERIFIED_SHARE = 0.95
_WALK_RADIUS_SHARE = 0.6
"""Of the geofence's radius: a fix may be a little wrong and is still inside."""
_WALK_SPEED_MPS = (0.2, 1.6)
_STILL_SHARE = 0.3
_TRACK_GAP_S_MAX = 60.0


@dataclass(slots=True)
class Shift:
    """A person's current or next shift, and where the person is during it."""

    person: Person
    site: Site
    start: datetime
    end: datetime
    present: bool
    changed_at: datetime
    """Of the last check-in or check-out; whoever waited longest is next."""
    latitude: float
    longitude: float
    heading: float
    fixed_at: datetime


class Roster:
    """The shifts of one tenant."""

    def __init__(self, tenant: Tenant, rng: Random, next_id: NextId) -> None:
        self._tenant = tenant
        self._rng = rng
        self._next_id = next_id
        self._shifts: list[Shift] = []

    def opening(self, now: datetime) -> Iterator[Insert]:
        """One assignment for each person, most of them under way."""
        for person in self._tenant.persons:
            if self._rng.random() < _ON_SHIFT_AT_START:
                start = now - timedelta(minutes=self._rng.randrange(5, 300))
            else:
                start = now + timedelta(minutes=self._rng.randrange(30, 360))
            shift, row = self._plan(person, start, now)
            self._shifts.append(shift)
            yield row

    def renew(self, now: datetime) -> Insert | None:
        """The next assignment of one person whose shift has ended, or None where nobody's has."""
        for place, shift in enumerate(self._shifts):
            if shift.end < now and not shift.present:
                start = now + timedelta(minutes=self._rng.randrange(480, 840))
                self._shifts[place], row = self._plan(shift.person, start, now)
                return row
        return None

    def attend(self, now: datetime) -> Insert | None:
        """A check-in or check-out as planned, or None where nobody is on shift."""
        leaver = next((shift for shift in self._shifts if shift.present and shift.end <= now), None)
        if leaver is not None:
            return self._check(leaver, now, arrives=False)
        on_shift = [shift for shift in self._shifts if shift.start <= now < shift.end]
        present = [shift for shift in on_shift if shift.present]
        arrives = len(present) < _PRESENT_SHARE * len(on_shift)
        candidates = [shift for shift in on_shift if shift.present is not arrives]
        return self._check(self._longest_unchanged(candidates), now, arrives=arrives) if candidates else None

    def plant(self, kind: Planted, now: datetime) -> tuple[Planted, Insert] | None:
        """An attendance row that must be found; the other kind where this one is impossible just now.

        Returns None where everybody is at work, so that nothing can be planted.
        """
        expected = [shift for shift in self._shifts if shift.start <= now < shift.end and not shift.present]
        absent = [shift for shift in self._shifts if not shift.present]
        if kind is Planted.WRONG_PERSON and expected:
            shift = self._longest_unchanged(expected)
            others = [person.id for person in self._tenant.persons if person.id != shift.person.id]
            return kind, self._check(shift, now, arrives=True, verified_id=self._rng.choice(others))
        if not absent:
            return None
        shift = self._longest_unchanged(absent)
        return Planted.UNAUTHORIZED_SITE, self._visit(shift.person, self._foreign_site(shift.person), now)

    def fix(self, now: datetime) -> Insert | None:
        """The next GPS fix of whoever's last one is oldest, or None where nobody is at work."""
        shift = self._longest_unfixed()
        return None if shift is None else self._fix(shift, now)

    def backlog(self, now: datetime, fixes: int) -> list[Insert]:
        """What a telephone sends that was without a connection: a fix a second until now, all at once."""
        shift = self._longest_unfixed()
        if shift is None:
            return []
        first = now - timedelta(seconds=fixes)
        # Fixes before the backlog were sent then: a track never goes back in time.
        shift.fixed_at = max(shift.fixed_at, first)
        seconds = (now - shift.fixed_at).total_seconds() / fixes
        since = shift.fixed_at
        return [self._fix(shift, since + timedelta(seconds=seconds * (place + 1))) for place in range(fixes)]

    def someone(self, site_id: int) -> int:
        """The id of a person who works at this site."""
        local = [person.id for person in self._tenant.persons if any(site.id == site_id for site in person.sites)]
        return self._rng.choice(local or [self._tenant.persons[0].id])

    def _plan(self, person: Person, start: datetime, now: datetime) -> tuple[Shift, Insert]:
        home, other = person.sites
        site = home if self._rng.random() < _AT_HOME_SITE_SHARE else other
        shift = Shift(
            person=person,
            site=site,
            start=start,
            end=start + SHIFT_LENGTH,
            present=False,
            changed_at=now,
            latitude=site.latitude,
            longitude=site.longitude,
            heading=self._rng.uniform(0, math.tau),
            fixed_at=now,
        )
        row = Insert(
            "assignment",
            {
                "id": self._next_id("assignment"),
                "tenant_id": self._tenant.id,
                "person_id": person.id,
                "site_id": site.id,
                "shift_start": shift.start,
                "shift_end": shift.end,
            },
        )
        return shift, row

    def _longest_unchanged(self, shifts: list[Shift]) -> Shift:
        return self._rng.choice(sorted(shifts, key=lambda shift: (shift.changed_at, shift.person.id))[:4])

    def _longest_unfixed(self) -> Shift | None:
        present = [shift for shift in self._shifts if shift.present]
        return min(present, key=lambda shift: (shift.fixed_at, shift.person.id), default=None)

    def _foreign_site(self, person: Person) -> Site:
        """A site of the same city where this person never works."""
        own = {site.id for site in person.sites}
        city = person.sites[0].timezone
        foreign = [site for site in self._tenant.sites if site.id not in own]
        return self._rng.choice([site for site in foreign if site.timezone == city] or foreign)

    def _check(self, shift: Shift, now: datetime, *, arrives: bool, verified_id: int | None = None) -> Insert:
        shift.present = arrives
        shift.changed_at = now
        if arrives:
            shift.latitude, shift.longitude = self._near(shift.site, 0.4)
            shift.fixed_at = now
        verified = verified_id
        if verified is None:
            # The reader's camera is dirty now and then: then nobody was verified, which is no finding.
            verified = shift.person.id if self._rng.random() < _VERIFIED_SHARE else None
        return self._attendance(
            shift.person,
            shift.site,
            now,
            "CHECK_IN" if arrives else "CHECK_OUT",
            verified,
            (shift.latitude, shift.longitude),
        )

    def _visit(self, person: Person, site: Site, now: datetime) -> Insert:
        return self._attendance(person, site, now, "CHECK_IN", person.id, self._near(site, 0.4))

    def _attendance(
        self, person: Person, site: Site, now: datetime, kind: str, verified_id: int | None, where: tuple[float, float]
    ) -> Insert:
        reader = next(device for device in self._tenant.devices if device.site_id == site.id)
        return Insert(
            "attendance",
            {
                "id": self._next_id("attendance"),
                "tenant_id": self._tenant.id,
                "site_id": site.id,
                "person_id": person.id,
                "verified_person_id": verified_id,
                "device_id": reader.id,
                "event_type": kind,
                "occurred_at": now,
                "latitude": where[0],
                "longitude": where[1],
                "accuracy_m": self._accuracy(),
            },
        )

    def _fix(self, shift: Shift, now: datetime) -> Insert:
        speed = self._walk(shift, min((now - shift.fixed_at).total_seconds(), _TRACK_GAP_S_MAX))
        shift.fixed_at = now
        phone = [device for device in self._tenant.devices if device.site_id == shift.site.id][-1]
        return Insert(
            "location",
            {
                "id": self._next_id("location"),
                "tenant_id": self._tenant.id,
                "person_id": shift.person.id,
                "site_id": shift.site.id,
                "device_id": phone.id,
                "latitude": shift.latitude,
                "longitude": shift.longitude,
                "accuracy_m": self._accuracy(),
                "speed_mps": speed,
                "is_mock": False,
                "recorded_at": now,
            },
        )

    def _walk(self, shift: Shift, seconds: float) -> float:
        """Move a person on for so long, turning back at the edge; the speed in m/s that the fix reports."""
        if self._rng.random() < _STILL_SHARE:
            return 0.0
        speed = round(self._rng.uniform(*_WALK_SPEED_MPS), 2)
        shift.heading += self._rng.gauss(0, 0.6)
        site, reach_m = shift.site, shift.site.geofence_radius_m * _WALK_RADIUS_SHARE
        # A long time between two fixes is a walk there and back, so the steps stay short of the edge.
        step_m = min(speed * seconds, reach_m / 2)
        east, north = step_m * math.sin(shift.heading), step_m * math.cos(shift.heading)
        there = moved(shift.latitude, shift.longitude, east, north)
        if distance_m(*there, site.latitude, site.longitude) > reach_m:
            shift.heading += math.pi
            return 0.0
        shift.latitude, shift.longitude = there
        return speed

    def _near(self, site: Site, share: float) -> tuple[float, float]:
        bearing = self._rng.uniform(0, math.tau)
        distance = site.geofence_radius_m * share * math.sqrt(self._rng.random())
        return moved(site.latitude, site.longitude, distance * math.sin(bearing), distance * math.cos(bearing))

    def _accuracy(self) -> float:
        return round(self._rng.uniform(3, 14), 1)
