"""What a phone shows when something is wrong with where its person is: each replaces the fixes of some time."""

import math
import random

from simulation.labelled.calendar import MINUTE_S
from simulation.labelled.phones import Fix, received

_CAR_MPS = 15.0
_WALK_MPS = 1.3


def walk_out(chance: random.Random, start_s: float, far_m: float, stay_s: float) -> list[Fix]:
    """Walks out, stays outside, walks back."""
    return _trip(chance, start_s, far_m, stay_s, _WALK_MPS, 60.0)


def drive_out(chance: random.Random, start_s: float, far_m: float, stay_s: float) -> list[Fix]:
    """Drives off, stays away, drives back; a phone in a car records more often."""
    return _trip(chance, start_s, far_m, stay_s, _CAR_MPS, 45.0)


def _trip(
    chance: random.Random, start_s: float, far_m: float, stay_s: float, speed_mps: float, every_s: float
) -> list[Fix]:
    angle = chance.uniform(0, 2 * math.pi)
    way_s = far_m / speed_mps
    end_s = start_s + 2 * way_s + stay_s
    fixes, at_s = [], start_s
    while at_s < end_s:
        passed_s = at_s - start_s
        moving = passed_s < way_s or at_s > end_s - way_s
        distance = min(far_m, passed_s * speed_mps, max(0.0, (end_s - at_s) * speed_mps))
        speed = speed_mps * chance.uniform(0.85, 1.15) if moving else chance.uniform(0, 0.4)
        fixes.append(received(chance, at_s, distance * math.cos(angle), distance * math.sin(angle), speed))
        at_s += every_s * chance.uniform(0.8, 1.2) if moving else chance.uniform(150, 270)
    return fixes


def jump(chance: random.Random, start_s: float) -> list[Fix]:
    """A false position tens of kilometres away for a quarter of an hour."""
    angle, far_m = chance.uniform(0, 2 * math.pi), chance.uniform(40_000, 400_000)
    east, north = far_m * math.cos(angle), far_m * math.sin(angle)
    return [received(chance, start_s + number * 200, east, north, 0.0) for number in range(5)]


def frozen(chance: random.Random, start_s: float, hours: float, extent_m: float) -> list[Fix]:
    """The same position to the last digit, for hours."""
    angle = chance.uniform(0, 2 * math.pi)
    east, north = 0.5 * extent_m * math.cos(angle), 0.5 * extent_m * math.sin(angle)
    count = int(hours * 60 / 4)
    return [Fix(start_s + number * 4 * MINUTE_S, east, north, 10.0, 0.0) for number in range(count)]


def too_perfect(chance: random.Random, start_s: float, hours: float, extent_m: float) -> list[Fix]:
    """A program walks a circle, and says that it is right to the decimetre."""
    count, phase = int(hours * 60 / 3), chance.uniform(0, 2 * math.pi)
    fixes = []
    for number in range(count):
        angle = phase + number * 2 * math.pi / 20
        east, north = 0.6 * extent_m * math.cos(angle), 0.6 * extent_m * math.sin(angle)
        fixes.append(Fix(start_s + number * 3 * MINUTE_S, east, north, 0.1, 0.15))
    return fixes


def mocked(fixes: list[Fix]) -> list[Fix]:
    """The phone's system says that another program gives the position."""
    return [Fix(fix.at_s, fix.east_m, fix.north_m, fix.accuracy_m, fix.speed_mps, mock=True) for fix in fixes]
