"""A labelled scenario is a function of its seed, is in commit order, has every kind of wrong, and stands alone.

Also of simulation/labelled/shift_days.py, simulation/labelled/visit_days.py, simulation/labelled/work_days.py and
simulation/world/wrong_rows.py.
"""

import functools
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from contracts.findings import FindingType
from contracts.rows import ROW_TYPES
from simulation.labelled import Scenario, Span
from simulation.live.planting import PLANTED_TYPES
from simulation.records import Row, RowChange
from simulation.world.calendar import local_s, whole_hours

SHORT = Span(weeks=1, learning_weeks=1)
MIDDLE = Span(weeks=3, learning_weeks=1)
LEARNED = {"UNUSUAL_COMPLETION_TIME", "ANOMALY_PHONE_EVENTS_BELOW", "ANOMALY_PHONE_EVENTS_ABOVE"}


@functools.cache
def weeks() -> tuple[list[RowChange], Scenario]:
    """Three weeks, made once."""
    return taken(5, MIDDLE)


def taken(seed: int, span: Span = SHORT, **more: bool) -> tuple[list[RowChange], Scenario]:
    scenario = Scenario(seed, span, tenants=2, **more)
    return list(scenario.changes()), scenario


def rows_of(changes: list[RowChange], table: str) -> Iterator[Row]:
    """The new rows of a table."""
    return (change.after or {} for change in changes if change.table == table and change.op == "c")


def test_the_same_seed_gives_the_same_scenario_and_another_seed_another() -> None:
    def digest(seed: int) -> str:
        changes, scenario = taken(seed)
        return hashlib.sha256(msgspec.json.encode([changes, scenario.labels, scenario.meta])).hexdigest()

    first = digest(1)
    assert digest(1) == first
    assert digest(2) != first


def test_changes_are_in_commit_order_and_each_update_starts_from_the_row_before_it() -> None:
    changes, _ = taken(3)
    rows: dict[tuple[str, int], object] = {}
    last_us = 0
    for change in changes:
        assert change.commit_us >= last_us
        last_us = change.commit_us
        assert change.after is not None
        key = (change.table, change.after["id"])
        assert change.before == rows.get(key)
        rows[key] = change.after


def test_rows_have_the_columns_of_the_contract_and_no_others() -> None:
    changes, _ = taken(4)
    for table, row in {change.table: change.after for change in changes}.items():
        assert row is not None
        assert set(row) <= set(ROW_TYPES[table].__struct_fields__)


def test_all_that_the_demo_plants_is_planted_and_what_has_to_be_learned() -> None:
    changes, scenario = weeks()
    assert changes
    planted = {label.finding_type for label in scenario.labels if label.required}
    assert planted == {*PLANTED_TYPES, *LEARNED}
    assert planted <= set(FindingType)


def test_every_label_is_about_something_that_exists() -> None:
    changes, scenario = weeks()
    there = {f"{change.table}:{change.after['id']}" for change in changes if change.after}
    for label in scenario.labels:
        assert there & set(label.entities), label


def test_what_is_learned_is_planted_only_after_the_learning_weeks() -> None:
    _, scenario = weeks()
    assert set(scenario.meta.learned) == LEARNED
    learned = [label for label in scenario.labels if label.finding_type in LEARNED and label.required]
    assert {label.finding_type for label in learned} == LEARNED
    assert min(label.at_s for label in learned) >= scenario.meta.judged_from_s


def test_a_clean_scenario_has_nothing_that_must_be_found() -> None:
    changes, scenario = taken(8, planted=False)
    assert changes
    assert not [label for label in scenario.labels if label.required]


def test_nobody_is_checked_in_at_two_sites_where_nothing_is_wrong() -> None:
    inside: dict[int, int] = {}
    changes, _ = taken(8, planted=False)
    checks = sorted(rows_of(changes, "attendance"), key=lambda row: row["occurred_at"])
    for row in checks:
        site_id = inside.get(row["person_id"], row["site_id"])
        assert row["site_id"] == site_id
        if row["event_type"] == "CHECK_IN":
            inside[row["person_id"]] = site_id
        else:
            assert inside.pop(row["person_id"], None) is not None
    assert len(checks) > 300


def test_some_phones_upload_late_and_out_of_order() -> None:
    changes, _ = taken(9)
    fixes = [change for change in changes if change.table == "location" and change.after]
    recorded = [change.after["recorded_at"].timestamp() for change in fixes if change.after]
    delays = [change.commit_us / 1e6 - at_s for change, at_s in zip(fixes, recorded, strict=True)]
    assert max(delays) > 3_600
    assert recorded != sorted(recorded)


def test_the_simulation_imports_nothing_of_what_judges_it() -> None:
    code = (
        "import sys, simulation.labelled, simulation.live.simulation;"
        "print([m for m in sys.modules if m.split('.')[0] in sys.argv[1:]])"
    )
    forbidden = ["detectors", "streams", "contracts", "watchfloor", "gateway", "common"]
    done = subprocess.run([sys.executable, "-c", code, *forbidden], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_night_shift_over_the_change_to_daylight_saving_time_is_seven_hours_long() -> None:
    saturday, zone = date(2026, 3, 28), ZoneInfo("Europe/Berlin")
    assert local_s(saturday, 30, zone) - local_s(saturday, 22, zone) == 7 * 3_600


def test_whole_hours_are_those_of_the_wall_clock_also_where_it_is_half_an_hour_off() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    noon = local_s(date(2026, 3, 2), 12, zone)
    assert whole_hours(noon - 600, noon + 2 * 3_600 + 600, zone) == [noon, noon + 3_600]
