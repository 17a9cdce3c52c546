"""GEOFENCE_VIOLATION: who is on duty and outside, surely, is reported once; nobody else."""

import random
from itertools import permutations
from typing import Any

import msgspec
import pytest
from support.fixes import DAY_SHIFT, SITE, at, attendance, fix, run

from contracts.rows import Location
from detectors.interface import Event
from detectors.location.geofence_violation import GeofenceViolation
from detectors.shared.facts import Shift, SiteFacts

SUT = GeofenceViolation()


def reported(rows: Any, **more: Any) -> list[float]:
    """Minutes after 10:00 at which it was reported."""
    return [row.id / 60 for row, _ in run(SUT, rows, **more)]


def test_outside_on_duty_is_reported_by_the_third_fix_and_once() -> None:
    rows = [fix(0), *[fix(minute, 400) for minute in range(3, 60, 3)]]
    assert reported(rows) == [9]
    ((_, draft),) = run(SUT, rows)
    assert draft.evidence == {
        "observed_m": 300.0,
        "expected_m": 0.0,
        "accuracy_m": 10.0,
        "threshold": 30.0,
        "n": 3,
        "outside_s": 360.0,
        "assignment_id": 71,
    }
    assert (draft.severity, draft.finding_type) == ("HIGH", "GEOFENCE_VIOLATION")


def test_back_inside_and_out_again_is_reported_again_but_one_fix_inside_is_not_back() -> None:
    out = [fix(minute, 400) for minute in range(0, 12, 3)]
    out_again = [fix(minute, 400) for minute in range(30, 42, 3)]
    assert reported([*out, fix(15), *out_again]) == [6]
    assert reported([*out, fix(15), fix(18), *out_again]) == [6, 36]


def test_reflections_between_good_fixes_are_not_reported() -> None:
    rng = random.Random(5)
    rows = [fix(minute, 300 if rng.random() < 0.2 else 20) for minute in range(300)]
    rows = [row for pair in zip(rows, [fix(minute + 0.5) for minute in range(300)], strict=True) for row in pair]
    assert reported(rows) == []


def test_a_reflection_that_lasts_for_seconds_is_not_reported() -> None:
    assert reported([fix(0), *[fix(1 + second / 60, 250) for second in range(15)], fix(2)]) == []


@pytest.mark.parametrize("north_m", [99.0, 125.0, 139.0])
def test_at_the_fence_within_margin_and_accuracy_is_not_reported(north_m: float) -> None:
    assert reported([fix(minute, north_m) for minute in range(30)]) == []


def test_a_fix_that_says_that_it_is_bad_is_not_reported() -> None:
    assert reported([fix(minute, 900, accuracy_m=1_200.0) for minute in range(30)]) == []


def test_without_a_stated_accuracy_a_usual_one_is_taken() -> None:
    assert reported([fix(minute, 155, accuracy_m=None) for minute in range(5)]) == []
    assert reported([fix(minute, 165, accuracy_m=None) for minute in range(5)]) == [2]


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_a_phone_uploads_in_any_order(order: tuple[int, ...]) -> None:
    away = [fix(minute, 500) for minute in (10, 13, 16, 19, 22)]
    assert len(reported([fix(0), fix(5), *[away[index] for index in order]])) == 1


def test_a_row_that_comes_twice_counts_once() -> None:
    assert reported([fix(1, 400), fix(1, 400), fix(4, 400), fix(4, 400)]) == []


class TestDuty:
    AWAY = tuple(fix(minute, 2_000) for minute in range(0, 30, 3))

    def test_without_shift_and_attendance_nobody_is_judged(self) -> None:
        assert reported(self.AWAY, shifts=()) == []

    def test_a_shift_elsewhere_is_no_duty_here(self) -> None:
        assert reported(self.AWAY, shifts=[Shift(1, 5, DAY_SHIFT.start_s, DAY_SHIFT.end_s)]) == []

    def test_the_way_to_work_and_home_is_not_told(self) -> None:
        early = [fix(minute, 2_000) for minute in range(-150, -91, 5)]
        home = [fix(minute, 2_000) for minute in range(351, 500, 5)]
        assert reported([*early, *home]) == []

    def test_before_the_check_in_and_after_the_check_out_it_is_not_told(self) -> None:
        assert reported([attendance("CHECK_OUT", 9.5), *self.AWAY]) == []
        assert reported([attendance("CHECK_IN", 11), *self.AWAY]) == []

    def test_a_break_that_was_checked_out_of_is_not_told_and_after_it_it_is(self) -> None:
        day = [attendance("CHECK_IN", 8), attendance("CHECK_OUT", 10), attendance("CHECK_IN", 10.25)]
        assert reported([*day, *self.AWAY]) == [21]
        assert reported([day[0], day[2], day[1], *self.AWAY]) == [21]

    def test_a_check_in_without_a_shift_is_a_duty(self) -> None:
        assert reported([attendance("CHECK_IN", 9), *self.AWAY], shifts=()) == [6]

    def test_a_check_in_at_another_site_is_none_here(self) -> None:
        assert reported([attendance("CHECK_IN", 9, site=5), *self.AWAY]) == []

    def test_a_forgotten_check_out_ends_with_its_shift(self) -> None:
        assert reported([attendance("CHECK_IN", 8), *[fix(minute, 2_000) for minute in range(352, 600, 9)]]) == []

    def test_the_next_duty_is_told_again(self) -> None:
        tomorrow = Shift(72, 4, at(32).timestamp(), at(40).timestamp())
        rows = [*self.AWAY, *[fix(24 * 60 + minute, 2_000) for minute in range(0, 30, 3)]]
        assert reported(rows, shifts=[DAY_SHIFT, tomorrow]) == [6, 1446]


def test_what_cannot_be_judged_is_not() -> None:
    rows = [fix(1, latitude=None), fix(2, longitude=None), fix(3, 900, recorded_at=None), fix(4, 900, is_mock=True)]
    assert reported(rows * 3) == []
    row = fix(1, 900)
    for site in (None, SiteFacts(site_id=4)):
        assert SUT.judge(None, Event(row, 0, site=site, shifts=[DAY_SHIFT]), SUT.policy) == (None, ())


def test_an_update_that_leaves_the_fix_as_it_was_is_not_counted() -> None:
    state = None
    for minute in range(9):
        row = fix(minute, 400)
        before = msgspec.structs.replace(row, speed_mps=3.0)
        event: Event[Location] = Event(row, 0, op="u", before=before, site=SITE, shifts=[DAY_SHIFT])
        state, found = SUT.judge(state, event, SUT.policy)
        assert (state, found) == (None, ())


def test_inside_nothing_is_kept() -> None:
    state, _ = SUT.judge(None, Event(fix(0), 0, site=SITE, shifts=[DAY_SHIFT]), SUT.policy)
    assert state is None


def test_the_policy_counts() -> None:
    rows = [fix(minute, 160) for minute in range(20)]
    assert reported(rows) == [2]
    assert reported(rows, outside_fixes_min=6) == [5]
    assert reported(rows, outside_s_min=400.0) == [7]
    assert reported(rows, margin_m=60.0) == []
