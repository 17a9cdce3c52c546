"""The area of a geofence, a GeoJSON polygon. The work that any text can cause has a bound."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import shapely

from detectors.shared.geo import LATITUDE_MAX, LONGITUDE_MAX, M_PER_DEGREE, POLAR_LATITUDE, Area, AreaError, distance_m

GEOJSON_BYTES_MAX: Final = 524_288
"""Of the text of one geofence. No policy raises this and the three bounds below: they bound the time that one takes, which
is that of all tenants of the partition."""
POINTS_MAX: Final = 12_000
"""Of all rings of one geofence."""
REACH_M_MAX: Final = 100_000.0
"""The largest extent of a geofence from its middle, metres."""
RINGS_MAX: Final = 100
"""Outlines and holes of one geofence."""
OVERLAPS_MAX: Final = 200_000
"""How many pairs of edges of one geofence may lie side by side: where GEOS has to look for crossings."""

_RING_POINTS_MIN = 4
_SLENDER, _SIMPLE_POINTS = 10, 200
"""The search for the largest inner circle is fast in a polygon of this many points that fills this part of its box."""

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


class Built(NamedTuple):
    """The area of a geofence, and what a policy may limit of it."""

    area: Area
    points: int
    reach_m: float
    """Its largest extent from its middle."""


def polygon(geojson: str, *, points_max: int, reach_m_max: float) -> Area:
    """The area of a GeoJSON Polygon or MultiPolygon (RFC 7946), or of features with such geometries.

    Computed in metres on a plane: the equirectangular projection around the middle, whose error within `reach_m_max`
    of 100 km is below 2 % up to 60 degrees of latitude, and below 0.1 % for a site of some kilometres. Polygons that
    cross the antimeridian may be cut there, as the RFC says, or not. Parts may overlap or touch.

    Args:
        geojson: the text.
        points_max: of all rings; `POINTS_MAX` is the most that any geofence may have.
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
    return within(build(geojson), points_max=points_max, reach_m_max=reach_m_max)


def within(built: Built, *, points_max: int, reach_m_max: float) -> Area:
    """The area, if it is within these limits.

    Raises:
        AreaError: it is not.
    """
    if built.points > points_max:
        raise AreaError(f"it has more than {points_max} points")
    if built.reach_m > reach_m_max:
        raise AreaError(f"it reaches further than {reach_m_max:g} m")
    return built.area


def build(geojson: str) -> Built:
    """The area of a geofence, as `polygon` describes it, whatever a policy says.

    Raises:
        AreaError: see `polygon`.
    """
    built = _built_or_reason(geojson)
    if isinstance(built, str):
        raise AreaError(built)
    return built


@lru_cache(maxsize=32)  # the area of a site is needed right after its row has been checked
def _built_or_reason(geojson: str) -> Built | str:
    try:
        return _build(geojson)
    except AreaError as error:
        return str(error)


def _build(geojson: str) -> Built:
    parts = [[_coordinates(ring) for ring in part] for part in _checked(_parts(geojson))]
    rings: list[Any] = [ring for part in parts for ring in part]
    if any(abs(ring[:, 0]).max() > LONGITUDE_MAX or abs(ring[:, 1]).max() > LATITUDE_MAX for ring in rings):
        raise AreaError("a point is not on the earth")
    if any((ring[0] != ring[-1]).any() for ring in rings):
        raise AreaError("a ring is not closed")
    first = float(rings[0][0, 0])
    norths = [float(each) for ring in rings for each in (ring[:, 1].min(), ring[:, 1].max())]
    east_of_first = [_east(ring[:, 0] - first) for ring in rings]
    easts = [float(each) for ring in east_of_first for each in (ring.min(), ring.max())]
    latitude = (min(norths) + max(norths)) / 2
    longitude = _east(first + (min(easts) + max(easts)) / 2)
    if abs(latitude) > POLAR_LATITUDE:
        raise AreaError("too near to a pole")
    m_per_longitude = M_PER_DEGREE * math.cos(math.radians(latitude))

    def plane(point_longitude: Any, point_latitude: Any) -> tuple[Any, Any]:
        return _east(point_longitude - longitude) * m_per_longitude, (point_latitude - latitude) * M_PER_DEGREE

    for ring in rings:
        ring[:, 0], ring[:, 1] = plane(ring[:, 0], ring[:, 1])
    reach_m = max(float(abs(ring).max()) for ring in rings)
    if reach_m > REACH_M_MAX:
        raise AreaError(f"it reaches further than {REACH_M_MAX:g} m")
    shapes: Any = [_shape(part) for part in parts]
    shapely.prepare(shapes)

    def exact(point_latitude: float, point_longitude: float) -> float:
        east_m, north_m = plane(point_longitude, point_latitude)
        if any(shapely.intersects_xy(shapes, east_m, north_m)):
            return 0.0
        lines: Any = shapely.shortest_line(shapes, shapely.Point(east_m, north_m))
        nearest: Any = min(lines, key=lambda line: line.length).coords[0]
        return distance_m(
            latitude + nearest[1] / M_PER_DEGREE,
            longitude + nearest[0] / m_per_longitude,
            point_latitude,
            point_longitude,
        )

    east_m, north_m, inner_m = _inner_circle(max(shapes, key=lambda each: each.area))
    inner_latitude = latitude + north_m / M_PER_DEGREE
    area = Area(inner_latitude, _east(longitude + east_m / m_per_longitude), latitude, inner_m * 0.999, exact)
    return Built(area, sum(map(len, rings)), reach_m)


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


def _checked(parts: list[list[_Ring]]) -> list[list[_Ring]]:
    """The parts; what shapely does not check, or only after a long computation.

    Raises:
        AreaError: there are too many points or rings, or too few.
    """
    if not parts or not all(parts):
        raise AreaError("it is empty")
    rings = [ring for part in parts for ring in part]
    if len(rings) > RINGS_MAX:
        raise AreaError(f"it has more than {RINGS_MAX} outlines and holes")
    if sum(map(len, rings)) > POINTS_MAX:
        raise AreaError(f"it has more than {POINTS_MAX} points")
    if min(map(len, rings)) < _RING_POINTS_MIN:
        raise AreaError("a ring has fewer than 4 points")
    if any(min(map(len, ring)) < 2 for ring in rings):  # noqa: PLR2004 - a pair
        raise AreaError("a point is not on the earth")
    return parts


def _coordinates(ring: _Ring) -> Any:
    """An array of (longitude, latitude), without heights."""
    return shapely.get_coordinates(shapely.linestrings([point[:2] for point in ring]))


def _shape(part: Sequence[Any]) -> Any:
    """The polygon of an outline and its holes, in metres.

    Overlapping parts are not united: how often their edges cross has no bound, and a point is in the area where any of
    the parts has it.
    """
    made = shapely.Polygon(part[0], part[1:])
    corners: Any = shapely.get_coordinates(made)
    if min(_overlaps(corners[:, axis]) for axis in (0, 1)) > OVERLAPS_MAX:
        raise AreaError("too many of its edges lie side by side")
    if not made.is_valid:
        # GEOS adds the coordinates in brackets, which must not get into a log.
        raise AreaError(f"not valid: {shapely.is_valid_reason(made).split('[')[0].lower()}")
    return made


def _overlaps(values: Any) -> int:
    """How many ordered pairs of edges have an overlapping range of one coordinate: at least as many as may cross."""
    start, end = values[:-1], values[1:]
    middle, half = (start + end) / 2, abs(start - end) / 2
    lows, highs = middle - half, middle + half
    lows.sort()
    highs.sort()
    return int((lows.searchsorted(highs, "right") - highs.searchsorted(lows, "left")).sum())


def _east(degrees: Any) -> Any:
    """A difference of longitudes, or a longitude, within -180..180; of one number or of an array."""
    return (degrees + 180.0) % 360.0 - 180.0
