import json
import time

from support.changes import NOW_US, change
from support.wrong_rows import reported, worker

SQUARE = {"type": "Polygon", "coordinates": [[[11, 48], [11.01, 48], [11.01, 48.01], [11, 48.01], [11, 48]]]}
LIMIT = {"rate_limit.reference_rows_per_second_max": 10}


def site(number: int, at_s: int = 0, **more: object) -> object:
    row = {"id": number, "tenant_id": 1, "latitude": 48.0, "longitude": 11.0} | more
    return change("site", row, lsn=number + 10, at_us=NOW_US + at_s * 1_000_000)


def test_beyond_it_rows_are_stored_and_not_reported() -> None:
    sut = worker(worker=LIMIT)
    found = sut.run([site(number, latitude=95.0, name=f"site {number}") for number in range(1, 31)])
    assert len(reported(found)) == 10
    assert {sut.memory.tables.sites.data[1, number].name for number in range(1, 31)} == {
        f"site {number}" for number in range(1, 31)
    }
    assert all(sut.memory.tables.sites.data[1, number].latitude is None for number in range(1, 31))
    assert len(reported(sut.run([site(31, at_s=1, latitude=95.0)]))) == 1


def test_geofences_that_change_too_often_are_not_built() -> None:
    text = json.dumps(SQUARE)
    sut = worker(worker={"state.geofence_characters_per_tenant_max": 10 * len(text)})
    found = sut.run([change("site", {"id": 1, "tenant_id": 1, "geofence": text}, lsn=lsn) for lsn in range(10, 30)])
    assert reported(found) == [("DATA_QUALITY", "no_area")] * 10
    assert sut.memory.tables.sites.data[1, 1].geofence == ""
    assert reported(sut.run([site(1, at_s=61, geofence=text)])) == []
    assert sut.memory.tables.sites.data[1, 1].geofence == text


def test_the_same_geofence_updated_a_thousand_times_takes_next_to_no_time() -> None:
    ring = [[11 + 0.01 * (index % 2), 48 + index * 1e-5] for index in range(900)]
    text = json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    sut = worker()
    started = time.process_time()
    for number in range(1_000):
        sut.run([site(1, geofence=text + " " * (number % 7))])
    assert time.process_time() - started < 3  # measured 0.4


def test_a_tenants_geofences_have_a_bound_together() -> None:
    text = json.dumps(SQUARE)
    sut = worker(worker={"state.geofence_characters_per_tenant_max": 3 * len(text)})
    later = iter(range(61, 10**6, 61))
    assert reported(sut.run([site(number, geofence=text) for number in (1, 2, 3)])) == []
    assert reported(sut.run([site(4, at_s=next(later), geofence=text, geofence_radius_m=10.0)])) == [
        ("DATA_QUALITY", "no_area")
    ]
    assert sut.memory.tables.sites.data[1, 4].geofence == "", "no circle replaces it"
    gone = {"id": 1, "tenant_id": 1}
    sut.run([change("site", None, gone, lsn=50)])
    assert reported(sut.run([site(5, at_s=next(later), geofence=text)])) == []
    assert sut.memory.tables.geofence_characters[1] == 3 * len(text)
