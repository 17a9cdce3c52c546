"""The fixes of a phone whose owner is not where they should be, or which are made up, and their labels."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

from simulation.world.calendar import HOUR_S, MINUTE_S, Interval
from simulation.world.geometry import offset
from simulation.world.phones import Fix, Receiver, walked
from simulation.world.shifts import Shift, Special
from simulation.world.timeline import Timeline

FINDINGS: dict[Special, tuple[tuple[str, bool], ...]] = {
    Special.WALK_OUT: (("GEOFENCE_VIOLATION", True), ("UNEXPECTED_MOVEMENT", False)),
    # Out and back are two movements; that the second one is reported is not wrong.
    Special.DRIVE_OUT: (
        ("GEOFENCE_VIOLATION", True),
        ("UNEXPECTED_MOVEMENT", True),
        ("UNEXPECTED_MOVEMENT", False),
    ),
    Special.JUMP: (("LOCATION_SPOOFING", True), ("GEOFENCE_VIOLATION", False), ("UNEXPECTED_MOVEMENT", False)),
    Special.FROZEN: (("LOCATION_SPOOFING", True),),
    Special.TOO_PERFECT: (("LOCATION_SPOOFING", True),),
    Special.MOCKED: (("LOCATION_SPOOFING", True),),
}
"""Finding types, and whether such a finding is required."""
_WALK_MPS, _CAR_MPS = 1.3, 15.0
_REPORTED_WITHIN_S = 10 * MINUTE_S


@dataclass(frozen=True, slots=True)
class Route:
    """A trip: away from the site in one direction, a stay, and the way back."""

    far_m: float
    speed_mps: float
    moving_s: Interval
    """Between two fixes on the way, from and to."""
    stay_s: float = 0.0
    staying_s: Interval = (150.0, 270.0)
    """Between two fixes of the stay."""
    comes_back: bool = True
    is_recorded: bool = True
    """Whether there are fixes of the way out."""


def travelled(rng: Random, receiver: Receiver, start_s: float, route: Route) -> Iterator[Fix]:
    """The fixes of a trip; `start_s` is the time of the first one."""
    east, north = offset(rng, 1.0)
    way_s = route.far_m / route.speed_mps
    at_s = start_s
    if not route.is_recorded:
        start_s -= way_s
    end_s = start_s + way_s + route.stay_s + way_s * route.comes_back
    while at_s < end_s:
        back_s = end_s - at_s if route.comes_back else math.inf
        is_moving = at_s - start_s < way_s or back_s < way_s
        distance = min(route.far_m, (at_s - start_s) * route.speed_mps, back_s * route.speed_mps)
        speed = route.speed_mps * rng.uniform(0.85, 1.15) if is_moving else rng.uniform(0, 0.4)
        yield receiver.fix(at_s, distance * east, distance * north, speed)
        at_s += rng.uniform(*(route.moving_s if is_moving else route.staying_s))


def planted_fixes(rng: Random, special: Special, start_s: float, extent_m: float) -> list[Fix]:
    """The wrong fixes of a special shift from a time on; none if nothing about its location is special."""
    receiver = Receiver(rng)
    fixes: Iterable[Fix] = ()
    match special:
        case Special.WALK_OUT:
            route = Route(rng.uniform(700, 1_000), _WALK_MPS, (48, 72), rng.uniform(25, 45) * MINUTE_S)
            fixes = travelled(rng, receiver, start_s, route)
        case Special.DRIVE_OUT:  # a phone in a car records more often
            route = Route(rng.uniform(4_000, 9_000), _CAR_MPS, (36, 54), rng.uniform(10, 30) * MINUTE_S)
            fixes = travelled(rng, receiver, start_s, route)
        case Special.JUMP:
            east, north = offset(rng, rng.uniform(40_000, 400_000))
            fixes = [receiver.fix(start_s + number * 200, east, north, 0.0) for number in range(5)]
        case Special.FROZEN:
            east, north = offset(rng, 0.5 * extent_m)
            fixes = [Fix(start_s + number * 4 * MINUTE_S, east, north, 10.0, 0.0) for number in range(37)]
        case Special.TOO_PERFECT:
            phase, step = rng.uniform(0, math.tau), math.tau / 20
            points = [(math.cos(phase + number * step), math.sin(phase + number * step)) for number in range(40)]
            fixes = [
                Fix(start_s + number * 3 * MINUTE_S, 0.6 * extent_m * east, 0.6 * extent_m * north, 0.1, 0.15)
                for number, (east, north) in enumerate(points)
            ]
        case Special.MOCKED:
            genuine = walked(rng, receiver, (start_s, start_s + HOUR_S), extent_m)
            fixes = (replace(fix, is_mock=True) for fix in genuine)
        case _:
            pass
    return list(fixes)


def label_location(timeline: Timeline, shift: Shift, special: Special, span: Interval) -> None:
    """Add the labels of these fixes; a finding is due with the last of them."""
    first_s, last_s = span
    about, within = (
        [f"person:{shift.person.id}"],
        {"before_s": last_s - first_s + MINUTE_S, "after_s": _REPORTED_WITHIN_S},
    )
    for finding_type, required in FINDINGS[special]:
        timeline.label(finding_type, shift.site.tenant_id, about, last_s, special.value, required=required, **within)
