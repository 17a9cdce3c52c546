"""Distances on the earth, and the area of a site: a circle or a polygon. Never decides who may be where."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, Final, TypeAlias

import msgspec
import shapely

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius (2a + b) / 3 of the WGS 84 ellipsoid (Moritz 2000, Geodetic Reference System 1980, table 2)."""

LATITUDE_MAX: Final = 90.0
LONGITUDE_MAX: Final = 180.0

GEOJSON_BYTES_MAX: Final = 65_536
"""Of the text of one geofence. No policy raises this and the three bounds below: they bound the time that one takes, which
is that of all tenants of the partition."""
POINTS_MAX: Final = 1_000
"""Of all rings of one geofence."""
RINGS_MAX: Final = 100
"""Outlines and holes of one geofence."""
OVERLAPS_MAX: Final = 60_000
"""How many pairs of edges of one geofence may lie side by side: where GEOS has to look for crossings."""

_M_PER_DEGREE = math.radians(EARTH_RADIUS_M)
_POLAR_LATITUDE = 85.0
_CIRCLE_SURE = 0.9
"""Within this share of a circle's radius the flat distance is good enough: at most 9 % off at 100 km and 85 degrees."""
_RING_POINTS_MIN = 4
_SLENDER, _SIMPLE_POINTS = 10, 200
"""The search for the largest inner circle is fast in a polygon of this many points that fills this part of its box."""

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
    """The area of a site, made by `circle` and `polygon`.

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
        self._m_per_longitude = _M_PER_DEGREE * math.cos(math.radians(scale_latitude))
        self._inner_m2 = inner_radius_m * inner_radius_m
        self._exact = exact

    def distance_m(self, latitude: float, longitude: float) -> float:
        """How far outside a point is, metres to the nearest point of the area; 0 inside. A hole is outside.

        >>> yard = circle(48.0, 11.0, 100.0, reach_m_max=1e5)
        >>> yard.distance_m(48.0005, 11.0), round(yard.distance_m(48.002, 11.0))
        (0.0, 122)
        """
        north_m = (latitude - self._latitude) * _M_PER_DEGREE
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

    sure_m = radius_m * _CIRCLE_SURE if abs(latitude) <= _POLAR_LATITUDE else 0.0
    return Area(latitude, longitude, latitude, sure_m, exact)


_Ring: TypeAlias = list[list[float]]


class _Polygon(msgspec.Struct, tag_field="type", tag="Polygon"):
    coordinates: list[_Ring]


class _MultiPolygon(msgspec.Struct, tag_field="type", tag="MultiPolygon"):
    coordinates: list[list[_Ring]]


class _Feature(msgspec.Struct, tag_field="type", tag="Feature"):
    geometry: _Polygon | _MultiPolygon


class _FeatureCollection(msgspec.Struct, tag_field="type", tag="FeatureCollection"):
    features: list[_Feature]


_decoder = msgspec.json.Decoder(_Polygon | _MultiPolygon | _Feature | _FeatureCollection)


@lru_cache(maxsize=64)
def polygon(geojson: str, *, points_max: int, reach_m_max: float) -> Area:
    """The area of a GeoJSON Polygon or MultiPolygon (RFC 7946), or of features with such geometries.

    Computed in metres on a plane: the equirectangular projection around the middle, whose error within `reach_m_max`
    of 100 km is below 2 % up to 60 degrees of latitude, and below 0.1 % for a site of some kilometres. Polygons that
    cross the antimeridian may be cut there, as the RFC says, or not. Parts may overlap or touch. The latest results are
    kept, because the area is needed right after its row has been checked.

    Args:
        geojson: the text.
        points_max: of all rings; at most `POINTS_MAX` counts.
        reach_m_max: largest extent from the middle, metres.

    Raises:
        AreaError: the text is no GeoJSON, or the polygon is invalid (OGC Simple Features): not closed, crossing itself;
            or it is beyond one of the bounds of this module.

    >>> text = '{"type":"Polygon","coordinates":[[[11,48],[11.01,48],[11.01,48.01],[11,48.01],[11,48]]]}'
    >>> block = polygon(text, points_max=100, reach_m_max=1e5)
    >>> block.distance_m(48.005, 11.005), round(block.distance_m(48.005, 11.02))
    (0.0, 744)
    >>> polygon('{"type":"Point","coordinates":[11,48]}', points_max=100, reach_m_max=1e5)
    Traceback (most recent call last):
    detectors.shared.geo.AreaError: not GeoJSON of a polygon
    """
    parts = _parts(geojson)
    _check(parts, points_max)
    first = parts[0][0][0][0]
    norths = [point[1] for part in parts for ring in part for point in ring]
    easts = [_east(point[0] - first) for part in parts for ring in part for point in ring]
    latitude = (min(norths) + max(norths)) / 2
    longitude = _east(first + (min(easts) + max(easts)) / 2)
    if abs(latitude) > _POLAR_LATITUDE:
        raise AreaError("too near to a pole")
    m_per_longitude = _M_PER_DEGREE * math.cos(math.radians(latitude))

    def plane(point_longitude: float, point_latitude: float) -> tuple[float, float]:
        return _east(point_longitude - longitude) * m_per_longitude, (point_latitude - latitude) * _M_PER_DEGREE

    on_plane = [[[plane(point[0], point[1]) for point in ring] for ring in part] for part in parts]
    if max(map(abs, chain.from_iterable(chain.from_iterable(chain.from_iterable(on_plane))))) > reach_m_max:
        raise AreaError(f"it reaches further than {reach_m_max:g} m")
    shapes: Any = [_shape(part) for part in on_plane]
    shapely.prepare(shapes)

    def exact(point_latitude: float, point_longitude: float) -> float:
        east_m, north_m = plane(point_longitude, point_latitude)
        if any(shapely.intersects_xy(shapes, east_m, north_m)):
            return 0.0
        lines: Any = shapely.shortest_line(shapes, shapely.Point(east_m, north_m))
        nearest: Any = min(lines, key=lambda line: line.length).coords[0]
        near_latitude, near_longitude = latitude + nearest[1] / _M_PER_DEGREE, longitude + nearest[0] / m_per_longitude
        return distance_m(near_latitude, near_longitude, point_latitude, point_longitude)

    east_m, north_m, inner_m = _inner_circle(max(shapes, key=lambda each: each.area))
    inner_latitude = latitude + north_m / _M_PER_DEGREE
    return Area(inner_latitude, _east(longitude + east_m / m_per_longitude), latitude, inner_m * 0.999, exact)


def _inner_circle(shape: Any) -> tuple[float, float, float]:
    """The centre and radius of a circle in a polygon: the largest one where that is found quickly."""
    west, south, east, north = shape.bounds
    if shape.area * _SLENDER > (east - west) * (north - south) and shapely.get_num_coordinates(shape) <= _SIMPLE_POINTS:
        line: Any = shapely.maximum_inscribed_circle(shape, tolerance=math.sqrt(shape.area) / 20)
        return (*line.coords[0], line.length)
    centre: Any = shape.centroid if shape.contains(shape.centroid) else shape.representative_point()
    return centre.x, centre.y, centre.distance(shape.boundary)


def _parts(geojson: str) -> list[list[_Ring]]:
    if len(geojson) > GEOJSON_BYTES_MAX or len(geojson.encode()) > GEOJSON_BYTES_MAX:
        raise AreaError(f"its text has more than {GEOJSON_BYTES_MAX} bytes")
    try:
        found = _decoder.decode(geojson)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise AreaError("not GeoJSON of a polygon") from None
    features = found.features if isinstance(found, _FeatureCollection) else [found]
    parts: list[list[_Ring]] = []
    for each in features:
        geometry = each.geometry if isinstance(each, _Feature) else each
        parts.extend([geometry.coordinates] if isinstance(geometry, _Polygon) else geometry.coordinates)
    return parts


def _check(parts: list[list[_Ring]], points_max: int) -> None:
    """What shapely does not check, or only after a long computation."""
    if not parts or not all(parts):
        raise AreaError("it is empty")
    rings = [ring for part in parts for ring in part]
    if len(rings) > RINGS_MAX:
        raise AreaError(f"it has more than {RINGS_MAX} outlines and holes")
    if sum(map(len, rings)) > min(points_max, POINTS_MAX):
        raise AreaError(f"it has more than {min(points_max, POINTS_MAX)} points")
    for ring in rings:
        if len(ring) < _RING_POINTS_MIN:
            raise AreaError("a ring has fewer than 4 points")
        for point in ring:
            if not (len(point) >= 2 and abs(point[0]) <= LONGITUDE_MAX and abs(point[1]) <= LATITUDE_MAX):  # noqa: PLR2004 - a pair
                raise AreaError("a point is not on the earth")
        if ring[0][:2] != ring[-1][:2]:
            raise AreaError("a ring is not closed")


def _shape(part: Sequence[Sequence[tuple[float, float]]]) -> Any:
    """The polygon of an outline and its holes, in metres.

    Overlapping parts are not united: how often their edges cross has no bound, and a point is in the area where any of
    the parts has it.
    """
    if min(_overlaps(part, 0), _overlaps(part, 1)) > OVERLAPS_MAX:
        raise AreaError("too many of its edges lie side by side")
    made = shapely.Polygon(part[0], part[1:])
    if not made.is_valid:
        # GEOS adds the coordinates in brackets, which must not get into a log.
        raise AreaError(f"not valid: {shapely.is_valid_reason(made).split('[')[0].lower()}")
    return made


def _overlaps(rings: Iterable[Sequence[tuple[float, float]]], axis: int) -> int:
    """How many ordered pairs of edges have an overlapping range of one coordinate: at least as many as may cross."""
    ranges = [sorted((start[axis], end[axis])) for ring in rings for start, end in pairwise(ring)]
    lows, highs = sorted(low for low, _ in ranges), sorted(high for _, high in ranges)
    return sum(bisect_right(lows, high) - bisect_left(highs, low) for low, high in ranges)


def _east(degrees: float) -> float:
    """A difference of longitudes, or a longitude, within -180..180."""
    return (degrees + 180.0) % 360.0 - 180.0
