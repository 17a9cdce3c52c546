"""Distances on the earth, and the area of a site; polygons are in `detectors.shared.geofence`."""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius (2a + b) / 3 of the WGS 84 ellipsoid (Moritz 2000, Geodetic Reference System 1980, table 2)."""

LATITUDE_MAX: Final = 90.0
LONGITUDE_MAX: Final = 180.0

M_PER_DEGREE = math.radians(EARTH_RADIUS_M)
POLAR_LATITUDE = 85.0
_CIRCLE_SURE = 0.9
"""Within this share of a circle's radius the flat distance is good enough: at most 9 % off at 100 km and 85 degrees."""

DistanceM: TypeAlias = Callable[[float, float], float]


def distance_m(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great-circle distance of two points (degrees north and east), metres; up to 0.6 % off the ellipsoid's.

    The haversine formula (Sinnott 1984, Virtues of the haversine, Sky and Telescope 68), which is exact for near points.

    >>> round(distance_m(48.8566, 2.3522, 51.5074, -0.1278) / 1000)  # Paris to London
    344
    >>> round(distance_m(0.0, 179.5, 0.0, -179.5) / 1000)  # across the antimeridian
    111
    """
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half_north = math.sin((other_phi - phi) / 2)
    half_east = math.sin(math.radians(other_longitude - longitude) / 2)
    haversine = half_north * half_north + math.cos(phi) * math.cos(other_phi) * half_east * half_east
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, haversine)))


class AreaError(ValueError):
    """There is no such area; the message is a reason without coordinates."""


class Area:
    """The area of a site, made by `circle` and by `detectors.shared.geofence.polygon`.

    Most fixes are well inside, within a circle that the area contains: that takes four multiplications to see.

    Args:
        latitude: of that inner circle's centre, degrees.
        longitude: the same.
        scale_latitude: at which a degree of longitude is measured, degrees.
        inner_radius_m: of the inner circle.
        exact: metres outside, for points that are not in the inner circle.
    """

    __slots__ = ("_exact", "_inner_m2", "_latitude", "_longitude", "_m_per_longitude")

    def __init__(
        self, latitude: float, longitude: float, scale_latitude: float, inner_radius_m: float, exact: DistanceM
    ) -> None:
        self._latitude = latitude
        self._longitude = longitude
        self._m_per_longitude = M_PER_DEGREE * math.cos(math.radians(scale_latitude))
        self._inner_m2 = inner_radius_m * inner_radius_m
        self._exact = exact

    def distance_m(self, latitude: float, longitude: float) -> float:
        """How far outside a point is, metres to the nearest point of the area; 0 inside. A hole is outside.

        >>> yard = circle(48.0, 11.0, 100.0, reach_m_max=1e5)
        >>> yard.distance_m(48.0005, 11.0), round(yard.distance_m(48.002, 11.0))
        (0.0, 122)
        """
        north_m = (latitude - self._latitude) * M_PER_DEGREE
        east_m = (longitude - self._longitude) * self._m_per_longitude
        if north_m * north_m + east_m * east_m <= self._inner_m2:
            return 0.0
        return self._exact(latitude, longitude)


def circle(latitude: float, longitude: float, radius_m: float, *, reach_m_max: float) -> Area:
    """The points within a distance of a point.

    Raises:
        AreaError: no such point, or a radius that is not above 0 and at most `reach_m_max`.
    """
    if not (abs(latitude) <= LATITUDE_MAX and abs(longitude) <= LONGITUDE_MAX):
        raise AreaError("its centre is not on the earth")
    if not 0 < radius_m <= reach_m_max:
        raise AreaError(f"its radius is not above 0 and at most {reach_m_max:g} m")

    def exact(other_latitude: float, other_longitude: float) -> float:
        return max(0.0, distance_m(latitude, longitude, other_latitude, other_longitude) - radius_m)

    sure_m = radius_m * _CIRCLE_SURE if abs(latitude) <= POLAR_LATITUDE else 0.0
    return Area(latitude, longitude, latitude, sure_m, exact)
