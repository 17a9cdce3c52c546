"""What holds at a site: its area and limits, put together once and anew when they change."""

import json
from typing import Any

from support.changes import Worker
from support.wrong_rows import policy, reported, site, worker

from streams.detection.site_context_cache import SiteContextCache
from streams.state.detector_state import detector_groups


def test_a_wrong_site_is_told_with_its_id_and_what_was_right_of_it_is_kept() -> None:
    sut = worker("wrong_person")
    (record,) = sut.run([site(name="Depot", timezone="Mars/Base", geofence_radius_m=90.0)])
    assert reported([record]) == [("DATA_QUALITY", "no_time_zone")]
    assert (record.event_type, record.site_id, record.site_name) == ("site", 4, "Depot")
    facts = place_of(sut).facts
    assert (facts.timezone, facts.area.distance_m(48.0, 11.0)) == ("UTC", 0.0)


def place_of(sut: Worker) -> Any:
    return SiteContextCache(detector_groups(sut.detectors), sut.policies).at(sut.memory.tables, 1, 4)


SQUARE = {"type": "Polygon", "coordinates": [[[11, 48], [11.01, 48], [11.01, 48.01], [11, 48.01], [11, 48]]]}


def test_a_polygon_goes_before_the_radius_and_a_wrong_one_leaves_no_area() -> None:
    sut = worker()
    assert sut.run([site(geofence=json.dumps(SQUARE), geofence_radius_m=10.0)]) == []
    area = place_of(sut).facts.area
    assert (area.distance_m(48.005, 11.005), area.distance_m(48.02, 11.005) > 1_000) == (0.0, True)
    wrong = site(51, geofence='{"type":"Polygon","coordinates":[]}', geofence_radius_m=10.0)
    assert reported(sut.run([wrong])) == [("DATA_QUALITY", "no_area")]
    assert place_of(sut).facts.area is None


def test_an_area_is_built_once_and_anew_when_its_site_or_its_limits_change() -> None:
    sut = worker()
    sut.run([site(geofence=json.dumps(SQUARE))])
    area = place_of(sut).facts.area
    sut.run([policy({"future_s_max": 5}, 60)])
    assert place_of(sut).facts.area is area
    sut.run([policy({"geofence_points_max": 4}, 61)])
    assert place_of(sut).facts.area is None
    sut.run([policy({}, 62), site(63, geofence_radius_m=10.0)])
    assert place_of(sut).facts.area.distance_m(48.005, 11.005) > 0
