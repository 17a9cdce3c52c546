"""Phones: where a person on shift walks, what the receiver makes of it, and when it is uploaded."""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulation.labelled.calendar import MINUTE_S, moment
from simulation.labelled.ledger import Ledger
from simulation.labelled.roster import Duty
from simulation.labelled.world import moved

_MULTIPATH_SHARE = 0.008
_CACHED_SHARE = 0.01
_LOST_SHARE = 0.05
_COARSE_SHARE = 0.004
_CANYON_SHARE = 0.06
"""Of spans at work: a while beside a facade, where one fix after the other is bad."""


@dataclass(frozen=True, slots=True)
class Fix:
    """One position: metres east and north of the site's middle."""

    at_s: float
    east_m: float
    north_m: float
    accuracy_m: float
    speed_mps: float
    mock: bool = False


@dataclass(slots=True)
class Network:
    """When a phone has none; what is recorded meanwhile is uploaded in a burst, in any order."""

    chance: random.Random
    outages: list[tuple[float, float]] = field(default_factory=list)

    def committed_s(self, at_s: float) -> float:
        """When a row that was recorded then reaches the database."""
        for start_s, end_s in self.outages:
            if start_s <= at_s < end_s:
                return end_s + self.chance.uniform(1, 45)
        return at_s + self.chance.uniform(0.3, 2.5)


def walk(chance: random.Random, start_s: float, end_s: float, extent_m: float) -> list[Fix]:
    """The fixes of somebody who walks about a site between two times, one every three to five minutes."""
    fixes: list[Fix] = []
    east = north = 0.0
    before_s = start_s
    at_s = start_s + chance.uniform(20, 200)
    canyon_s = chance.uniform(start_s, end_s) if chance.random() < _CANYON_SHARE else end_s
    while at_s < end_s:
        new_east, new_north = _step(chance, east, north, extent_m)
        moved_m = math.hypot(new_east - east, new_north - north)
        if chance.random() >= _LOST_SHARE:
            speed = max(0.0, min(1.6, moved_m / (at_s - before_s) + chance.gauss(0, 0.1)))
            bad = 0 <= at_s - canyon_s < 12 * MINUTE_S
            fixes.append(received(chance, at_s, new_east, new_north, speed, multipath=0.8 if bad else None))
            if chance.random() < _CACHED_SHARE:  # the system hands out its last position once more
                last = fixes[-1]
                fixes.append(Fix(at_s + chance.uniform(20, 60), last.east_m, last.north_m, last.accuracy_m, 0.0))
        east, north, before_s = new_east, new_north, at_s
        at_s += chance.uniform(180, 300)
    return fixes


def received(
    chance: random.Random,
    at_s: float,
    east_m: float,
    north_m: float,
    speed_mps: float,
    *,
    multipath: float | None = None,
) -> Fix:
    """A true position as a receiver gives it: with noise, now and then by way of a facade or of a radio mast."""
    if chance.random() < _COARSE_SHARE:  # no satellite in view: the mast's word, which may be a kilometre off
        accuracy, angle = chance.uniform(400, 1_800), chance.uniform(0, 2 * math.pi)
        off_m = accuracy * chance.uniform(0.1, 1.0)
        return Fix(at_s, east_m + off_m * math.cos(angle), north_m + off_m * math.sin(angle), accuracy, 0.0)
    if chance.random() < (_MULTIPATH_SHARE if multipath is None else multipath):
        off_m, angle = chance.uniform(50, 150), chance.uniform(0, 2 * math.pi)
        # Most receivers know that such a fix is bad; some do not.
        accuracy = off_m * chance.uniform(0.7, 1.1) if chance.random() < 0.75 else chance.uniform(15, 40)
        return Fix(at_s, east_m + off_m * math.cos(angle), north_m + off_m * math.sin(angle), accuracy, speed_mps)
    accuracy = min(45.0, chance.lognormvariate(math.log(9), 0.4))
    sigma = accuracy * 0.45
    return Fix(at_s, east_m + chance.gauss(0, sigma), north_m + chance.gauss(0, sigma), accuracy, speed_mps)


def _step(chance: random.Random, east: float, north: float, extent_m: float) -> tuple[float, float]:
    east, north = 0.9 * east + chance.gauss(0, 22), 0.9 * north + chance.gauss(0, 22)
    far = math.hypot(east, north) / extent_m
    return (east / far, north / far) if far > 1 else (east, north)


def upload(ledger: Ledger, duty: Duty, fixes: Iterable[Fix], network: Network) -> list[tuple[float, float]]:
    """Write fixes as location rows; returns when each was recorded and committed."""
    times = []
    for fix in fixes:
        latitude, longitude = moved(duty.site.latitude, duty.site.longitude, fix.east_m, fix.north_m)
        committed_s = network.committed_s(fix.at_s)
        times.append((fix.at_s, committed_s))
        ledger.insert(
            "location",
            duty.site.tenant_id,
            committed_s,
            person_id=duty.person.id,
            site_id=duty.site.id,
            device_id=duty.phone_id,
            latitude=round(latitude, 7),
            longitude=round(longitude, 7),
            accuracy_m=round(fix.accuracy_m, 1),
            speed_mps=round(fix.speed_mps, 2),
            is_mock=fix.mock,
            recorded_at=moment(fix.at_s),
        )
    return times


def outage(chance: random.Random, start_s: float, end_s: float) -> tuple[float, float] | None:
    """A time without network well within a shift; uploads are back before its end."""
    room_s = end_s - start_s - 40 * MINUTE_S
    length_s = min(room_s, chance.uniform(15, 170) * MINUTE_S)
    if length_s <= 10 * MINUTE_S:
        return None
    begin_s = start_s + 20 * MINUTE_S + chance.uniform(0, room_s - length_s)
    return begin_s, begin_s + length_s
