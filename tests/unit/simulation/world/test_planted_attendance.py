"""The checks of a shift, with what is special about it.

Also of simulation/world/attendance.py.
"""

from random import Random

import pytest

from simulation.labelled.company import build_companies
from simulation.records import Row
from simulation.world.attendance import AttendanceWriter
from simulation.world.calendar import HOUR_S
from simulation.world.company import Site
from simulation.world.geometry import distance_m
from simulation.world.phones import Network
from simulation.world.planted_attendance import attend
from simulation.world.shifts import Shift, Special
from simulation.world.timeline import Timeline

TENANT = build_companies(1, 1)[0]
GUARDED, OFFICE, _ = TENANT.sites
START_S, END_S = 100_000.0, 130_000.0
LUNCH = [(START_S - 60, 112_000.0), (114_000.0, END_S + 60)]


def attended(special: Special, site: Site = OFFICE) -> tuple[list[Row], list[tuple[str, bool]]]:
    """The rows and the labels of a shift with lunch."""
    timeline, rng = Timeline(), Random(5)
    staff = TENANT.staff[site.id]
    phone_id = staff[0].phone_id or site.post_phone_ids[0]
    shift = Shift(staff[0], site, START_S, END_S, phone_id, 1, special, list(LUNCH))
    attend(AttendanceWriter(timeline, rng), shift, Network(rng, phone_id), staff, staff[1])
    rows = [change.after or {} for change in timeline.take(1e6)]
    return rows, [(label.finding_type, label.required) for label in timeline.labels]


def kinds(rows: list[Row]) -> str:
    return "".join("i" if row["event_type"] == "CHECK_IN" else "o" for row in rows)


def test_an_ordinary_shift_is_checks_by_phone_near_the_site() -> None:
    rows, labels = attended(Special.NOTHING)
    assert (kinds(rows), labels) == ("ioio", [])
    for row in rows:
        assert row["verified_person_id"] in {row["person_id"], None}
        assert distance_m(row["latitude"], row["longitude"], OFFICE.latitude, OFFICE.longitude) < 300


def test_a_gate_reader_gives_no_position() -> None:
    rows, _ = attended(Special.NOTHING, GUARDED)
    assert {(row["device_id"], row["latitude"]) for row in rows} == {(GUARDED.reader_id, None)}


@pytest.mark.parametrize(
    ("special", "checks", "labels"),
    [
        (Special.LATE, "ioio", [("LATE_CHECK_IN", True)]),
        (Special.WRONG_FACE, "ioio", [("WRONG_PERSON", True)]),
        (Special.BUDDY, "iioio", [("WRONG_PERSON", True), ("WRONG_PERSON", False)]),
        (Special.ELSEWHERE, "ioio", [("UNEXPECTED_LOCATION", True)]),
        (Special.NO_CHECK_OUT, "ioi", [("MISSING_CHECK_OUT", True)]),
        (Special.CLOCK_SET_BACK, "ioio", [("DATA_QUALITY", True), ("MISSING_CHECK_OUT", False)]),
        (Special.LONG_DAY, "ioio", [("OVERTIME_VIOLATION", True)]),
        (Special.DOUBLE_TAP, "iioio", []),
        (Special.BORROWED_PHONE, "ioio", []),
        (Special.FORGOTTEN_BAG, "ioioio", []),
    ],
)
def test_what_is_special_is_in_the_rows_and_labelled_where_it_is_wrong(
    special: Special, checks: str, labels: list[tuple[str, bool]]
) -> None:
    rows, said = attended(special)
    assert (kinds(rows), said) == (checks, labels)


def test_the_wrong_ones_are_clearly_wrong() -> None:
    [first, *_], _ = attended(Special.WRONG_FACE)
    assert first["verified_person_id"] not in {first["person_id"], None}
    [first, *_], _ = attended(Special.ELSEWHERE)
    away_m = distance_m(first["latitude"], first["longitude"], OFFICE.latitude, OFFICE.longitude)
    assert away_m > OFFICE.radius_m + 300
    rows, _ = attended(Special.CLOCK_SET_BACK)
    assert (rows[0]["occurred_at"] - rows[-1]["occurred_at"]).total_seconds() >= HOUR_S
    [helper, helped, *_], _ = attended(Special.BUDDY)
    assert helper["device_id"] == helped["device_id"]
    assert helper["person_id"] != helped["person_id"]
