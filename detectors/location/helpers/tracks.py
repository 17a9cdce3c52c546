"""Series of fixes: which are surely near each other, which steps repeat, which positions are rounded. Finds nothing."""

from typing import Final

import msgspec

ROUNDED_DECIMALS: Final = 4
"""Positions with so few decimals (11 m) are rounded, or those of a mast: they repeat without any deceit."""

_M_PER_DEGREE = 111_195.0

NEAR_DEGREES_PER_M: Final = 1 / _M_PER_DEGREE / 1.5
"""Two fixes whose degrees differ by less than this times a distance are nearer than that: the diagonal is 1.42."""


class RepeatedSteps(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest fix of a series, the velocity of its last step, and how many steps in a row repeated the one before."""

    latitude: float
    longitude: float
    at_s: float
    north_per_s: float = 0.0
    """Degrees a second."""
    east_per_s: float = 0.0
    n: int = 0


def with_fix(
    line: RepeatedSteps | None,
    latitude: float,
    longitude: float,
    at_s: float,
    *,
    step_s_min: float,
    step_m_min: float,
    off_m_max: float,
) -> RepeatedSteps:
    """The series with one more fix.

    A step repeats the one before if it ends within `off_m_max` of where that velocity leads. A degree of longitude
    counts as long as one of latitude, which away from the equator only makes the test stricter.

    Args:
        line: so far; None: this fix begins it.
        latitude: degrees.
        longitude: degrees.
        at_s: Unix seconds.
        step_s_min: a fix that follows sooner is left out.
        step_m_min: a shorter step repeats nothing: a person who stands still is not on a line.
        off_m_max: see above.

    >>> line = None
    >>> for number in range(5):
    ...     line = with_fix(line, number / 1000, 11.0, number * 60.0, step_s_min=5, step_m_min=5, off_m_max=0.5)
    >>> line.n, with_fix(line, 0.0051, 11.0, 300.0, step_s_min=5, step_m_min=5, off_m_max=0.5).n
    (3, 0)
    """
    if line is None:
        return RepeatedSteps(latitude, longitude, at_s)
    seconds = at_s - line.at_s
    if seconds < step_s_min:
        return line
    north, east = latitude - line.latitude, longitude - line.longitude
    off_north, off_east = north - line.north_per_s * seconds, east - line.east_per_s * seconds
    off, least = off_m_max / _M_PER_DEGREE, step_m_min / _M_PER_DEGREE
    repeated = off_north * off_north + off_east * off_east <= off * off and north * north + east * east >= least * least
    return RepeatedSteps(latitude, longitude, at_s, north / seconds, east / seconds, line.n + 1 if repeated else 0)


def is_rounded(latitude: float, longitude: float, decimals: int) -> bool:
    """Whether neither number has more decimals than these.

    >>> is_rounded(48.1374, 11.5755, 4), is_rounded(48.13743, 11.5755, 4)
    (True, False)
    """
    return round(latitude, decimals) == latitude and round(longitude, decimals) == longitude
