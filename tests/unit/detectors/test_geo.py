"""Distances and areas: against known values, against plain geometry, and what is no area.

Also of detectors/shared/geofence.py.
"""

import contextlib
import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.shared.geo import Area, AreaError, circle, distance_m
from detectors.shared.geofence import POINTS_MAX, RINGS_MAX, polygon

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)
M_PER_DEGREE = 111_195.08


def area(*rings: list[tuple[float, float]], kind: str = "Polygon", points_max: int = 20_000) -> Area:
    """Of (longitude, latitude) rings; of a MultiPolygon each ring is a part."""
    coordinates: Any = list(rings) if kind == "Polygon" else [[ring] for ring in rings]
    return polygon(json.dumps({"type": kind, "coordinates": coordinates}), points_max=points_max, reach_m_max=100_000)


def square(west: float, south: float, size: float = 0.01) -> list[tuple[float, float]]:
    """A closed ring, counter-clockwise."""
    east, north = west + size, south + size
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def star(points: int, latitude: float = 48.0, depth_m: float = 40) -> list[tuple[float, float]]:
    """A ragged ring of about 1,000 m around (latitude, 11)."""
    ring = []
    for index in range(points):
        radius, angle = (1_000 if index % 2 else 1_000 - depth_m) / M_PER_DEGREE, 2 * math.pi * index / points
        ring.append(
            (11 + radius * math.cos(angle) / math.cos(math.radians(latitude)), latitude + radius * math.sin(angle))
        )
    return [*ring, ring[0]]


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        ((0.0, 0.0), (0.0, 1.0), 111.195),
        ((90.0, 0.0), (-90.0, 77.0), 20_015.114),
        ((52.5200, 13.4050), (35.6762, 139.6503), 8_914),
        ((-17.0, 179.9), (-17.0, -179.9), 21.267),
    ],
)
def test_known_distances(here: tuple[float, float], there: tuple[float, float], km: float) -> None:
    assert distance_m(*here, *there) / 1000 == pytest.approx(km, rel=1e-3)


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES)
def test_a_distance_is_the_same_both_ways_and_at_most_half_the_earth(a: float, b: float, c: float, d: float) -> None:
    there = distance_m(a, b, c, d)
    assert 0 <= there <= math.pi * 6_371_008.8 + 1e-6
    assert there == pytest.approx(distance_m(c, d, a, b), abs=1e-3)
    assert distance_m(a, b, a, b) == 0


@given(st.floats(-80, 80), LONGITUDES, st.floats(1, 100_000), st.floats(0, 2), st.floats(0, 2 * math.pi))
def test_outside_a_circle_is_the_distance_beyond_its_radius(
    latitude: float, longitude: float, radius_m: float, share: float, angle: float
) -> None:
    north = share * radius_m * math.sin(angle) / M_PER_DEGREE
    east = share * radius_m * math.cos(angle) / M_PER_DEGREE / math.cos(math.radians(latitude))
    there = (latitude + north, longitude + east)
    expected = max(0.0, distance_m(latitude, longitude, *there) - radius_m)
    assert circle(latitude, longitude, radius_m, reach_m_max=1e5).distance_m(*there) == pytest.approx(
        expected, abs=1e-6
    )


@given(st.floats(-60, 60), LONGITUDES, st.floats(-0.02, 0.03), st.floats(-0.02, 0.03))
def test_outside_a_square_is_the_distance_to_its_nearest_side(
    south: float, west: float, north: float, east: float
) -> None:
    nearest = (south + min(max(north, 0.0), 0.01), west + min(max(east, 0.0), 0.01))
    expected = distance_m(south + north, west + east, *nearest)
    found = area(square(max(-180.0, min(west, 179.99)), south)).distance_m(
        south + north, max(-180.0, min(west, 179.99)) + east
    )
    assert found == pytest.approx(expected, rel=2e-3, abs=1e-3)


def test_a_hole_is_outside() -> None:
    yard = area(square(11, 48), square(11.004, 48.004, 0.002)[::-1])
    assert yard.distance_m(48.001, 11.001) == 0
    assert yard.distance_m(48.005, 11.005) == pytest.approx(0.001 * M_PER_DEGREE * math.cos(math.radians(48)), rel=1e-3)


def test_the_parts_of_a_site_are_one_area_also_where_they_touch() -> None:
    both = area(square(11, 48), square(11.01, 48), square(11.1, 48), kind="MultiPolygon")
    assert [both.distance_m(48.005, east) for east in (11.005, 11.01, 11.015, 11.105)] == [0, 0, 0, 0]
    assert both.distance_m(48.005, 11.06) == pytest.approx(0.04 * M_PER_DEGREE * math.cos(math.radians(48)), rel=1e-3)


def test_an_area_across_the_antimeridian_cut_or_not() -> None:
    whole = area([(179.99, -17), (-179.99, -17), (-179.99, -16.98), (179.99, -16.98), (179.99, -17)])
    cut = area(
        [(179.99, -17), (180, -17), (180, -16.98), (179.99, -16.98), (179.99, -17)],
        [(-180, -17), (-179.99, -17), (-179.99, -16.98), (-180, -16.98), (-180, -17)],
        kind="MultiPolygon",
    )
    for point in [(-16.99, 179.995), (-16.99, -179.995), (-16.99, 180.0), (-16.99, -179.98), (-16.99, 179.97)]:
        assert whole.distance_m(*point) == pytest.approx(cut.distance_m(*point), abs=1e-3)
    assert whole.distance_m(-16.99, -179.995) == 0
    assert whole.distance_m(-16.99, -179.98) == pytest.approx(1_063, rel=2e-3)
    assert circle(-17, 179.999, 500, reach_m_max=1e5).distance_m(-17, -179.999) == 0


def test_features_are_read() -> None:
    geometry = {"type": "Polygon", "coordinates": [square(11, 48)]}
    feature = {"type": "Feature", "properties": {"name": "yard"}, "geometry": geometry}
    for text in (feature, {"type": "FeatureCollection", "features": [feature]}):
        assert polygon(json.dumps(text), points_max=9, reach_m_max=1e5).distance_m(48.005, 11.005) == 0


BOW_TIE = [(11.0, 48.0), (11.01, 48.01), (11.0, 48.01), (11.01, 48.0), (11.0, 48.0)]


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        ("", "not GeoJSON of a polygon"),
        ("[" * 50_000, "not GeoJSON of a polygon"),
        ("null", "not GeoJSON of a polygon"),
        ('{"type": "Point", "coordinates": [11, 48]}', "not GeoJSON of a polygon"),
        ('{"type": "Polygon", "coordinates": [[[11, NaN]]]}', "not GeoJSON of a polygon"),
        ('{"type": "Polygon", "coordinates": [[[11, null]]]}', "not GeoJSON of a polygon"),
        ([], "it is empty"),
        ([[]], "a ring has fewer than 4 points"),
        ([square(11, 48)[:4]], "a ring is not closed"),
        ([[(11, 48), (12, 48), (11, 48)]], "a ring has fewer than 4 points"),
        ([BOW_TIE], "not valid: self-intersection"),
        ([[(11, 48)] * 4], "not valid: too few points in geometry component"),
        ([[(11, 48), (11.1, 48), (11.2, 48), (11, 48)]], "not valid: "),
        ([square(11, 48), square(12, 48)], "not valid: hole lies outside shell"),
        ([square(200, 48)], "a point is not on the earth"),
        ([square(11, 91)], "a point is not on the earth"),
        ([[(11,), (12,), (12,), (11,)]], "a point is not on the earth"),
        ([square(11, 40, 5)], "it reaches further than 100000 m"),
        ([square(11, 86)], "too near to a pole"),
        ([star(200)], "it has more than 100 points"),
    ],
)
def test_what_is_no_area_says_why(geometry: Any, reason: str) -> None:
    text = geometry if isinstance(geometry, str) else json.dumps({"type": "Polygon", "coordinates": geometry})
    with pytest.raises(AreaError, match=f"^{reason}"):
        polygon(text, points_max=100, reach_m_max=100_000)


@pytest.mark.parametrize(
    ("latitude", "longitude", "radius_m"),
    [(91, 0, 10), (0, 181, 10), (0, 0, 0), (0, 0, -5), (0, 0, math.nan), (math.nan, 0, 10), (0, 0, 1e6)],
)
def test_what_is_no_circle(latitude: float, longitude: float, radius_m: float) -> None:
    with pytest.raises(AreaError):
        circle(latitude, longitude, radius_m, reach_m_max=1e5)


def test_a_polygon_of_many_points_is_built_once_and_quick_for_each_fix() -> None:
    started = time.process_time()
    large = area(star(10_000, depth_m=1))
    assert time.process_time() - started < 0.2  # measured 0.02
    started = time.process_time()
    for index in range(10_000):
        assert large.distance_m(48 + index * 1e-7, 11) == 0
    assert time.process_time() - started < 0.1  # 10 us a fix; measured 0.3
    assert large.distance_m(48.1, 11) == pytest.approx(0.1 * M_PER_DEGREE - 1_000, abs=50)


def strip(index: int, *, upright: bool) -> list[tuple[float, float]]:
    """One of many narrow strips beside each other, which cross all those of the other direction."""
    low, high = 0.0002 * index, 0.0002 * index + 0.0001
    ring = [(low, 0.0), (high, 0.0), (high, 0.05), (low, 0.05), (low, 0.0)]
    return [(11 + x, 48 + y) if upright else (11 + y, 48 + x) for x, y in ring]


def teeth(count: int) -> list[tuple[float, float]]:
    """A valid comb whose slanting teeth lie side by side: GEOS compares each edge with each."""
    ring = []
    for index in range(count):
        x = 0.00001 * index
        ring += [(x, 0.0), (x + 0.01, 0.01), (x + 0.010005, 0.01), (x + 0.000005, 0.0)]
    ring += [(0.02, 0.0), (0.02, -0.01), (0.0, -0.01)]
    return [(11 + x, 48 + y) for x, y in (*ring, ring[0])]


@pytest.mark.parametrize(
    ("rings", "reason"),
    [
        ([strip(index, upright=index % 2 == 0) for index in range(RINGS_MAX + 2)], "outlines and holes"),
        ([star(POINTS_MAX)], "points"),
        ([teeth(800)], "lie side by side"),
        ([star(POINTS_MAX * 2)], "bytes"),
    ],
)
def test_a_geofence_that_would_take_long_is_refused_before_it_does(rings: list[Any], reason: str) -> None:
    started = time.process_time()
    with pytest.raises(AreaError, match=reason):
        area(*rings, kind="MultiPolygon")
    assert time.process_time() - started < 0.1  # measured 0.005


def test_as_many_crossing_strips_as_there_may_be_take_no_time() -> None:
    started = time.process_time()
    lattice = area(*[strip(i // 2, upright=i % 2 == 0) for i in range(RINGS_MAX)], kind="MultiPolygon")
    assert time.process_time() - started < 0.1  # measured 0.003: they are not united
    assert lattice.distance_m(48.00005, 11.00005) == 0  # where two strips cross
    assert lattice.distance_m(48.00015, 11.00015) == pytest.approx(0.00005 * M_PER_DEGREE * 0.669, rel=0.01)


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=3, max_size=300), st.floats(0, 0.1))
def test_any_points_are_an_area_or_a_reason_at_once(points: list[tuple[float, float]], scale: float) -> None:
    ring = [(11 + x * scale, 48 + y * scale) for x, y in points]
    started = time.process_time()
    with contextlib.suppress(AreaError):
        area([*ring, ring[0]]).distance_m(48.0, 11.0)
    assert time.process_time() - started < 0.1
