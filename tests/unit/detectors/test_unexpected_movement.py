"""UNEXPECTED_MOVEMENT: a journey at a vehicle's speed while on duty is reported once; walking and noise never.

Also of detectors/location/helpers/tracks.py.
"""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.fixes import attendance, fix, run

from detectors.location.unexpected_movement import UnexpectedMovement

SUT = UnexpectedMovement()
DRIVE = [fix(minute, 600.0 * minute) for minute in range(8)]  # 10 m/s


def reported(rows: Any, **more: Any) -> list[float]:
    return [row.id / 60 for row, _ in run(SUT, rows, **more)]


def test_a_drive_on_duty_is_reported_by_its_second_step_and_once() -> None:
    assert reported(DRIVE) == [2]
    ((_, draft),) = run(SUT, DRIVE)
    assert draft.evidence == {
        "observed_mps": 9.7,
        "threshold": 6.0,
        "n": 2,
        "moving_s": 120.0,
        "displaced_m": 1200.0,
        "displaced_m_min": 300.0,
    }


def test_the_way_back_is_the_same_journey_and_the_next_one_is_another() -> None:
    away = [fix(minute, 4_200) for minute in range(12, 60, 4)]
    back = [fix(60 + minute, 4_200 - 600.0 * minute) for minute in range(8)]
    there = [fix(72), fix(76), *[fix(80 + minute, 600.0 * minute) for minute in range(1, 8)]]
    assert reported([*DRIVE, *away, *back]) == [2]
    assert reported([*DRIVE, *away, *back, *there]) == [2, 83]


def test_who_is_not_on_duty_may_drive() -> None:
    home = [fix(360 + minute, 600.0 * minute) for minute in range(8)]
    assert reported([attendance("CHECK_IN", 8), *home]) == []
    assert reported(DRIVE, shifts=()) == []
    assert reported([attendance("CHECK_OUT", 10), *DRIVE]) == []
    assert reported([attendance("CHECK_IN", 8), *DRIVE]) == [2]


def test_walking_and_running_are_not_reported() -> None:
    assert reported([fix(minute / 2, 1.6 * 30 * minute) for minute in range(60)]) == []
    assert reported([fix(minute / 2, 4.5 * 30 * minute) for minute in range(60)]) == []


def test_a_position_that_jumps_away_and_back_is_no_journey() -> None:
    assert reported([fix(minute / 2, 900 if minute % 7 == 3 else 0) for minute in range(60)]) == []


def test_a_false_position_far_away_is_not_reported_here() -> None:
    assert reported([fix(0), fix(3, 90_000), fix(6, 180_000), fix(9, 270_000)]) == []
    assert reported([fix(minute, 600.0 * minute, is_mock=True) for minute in range(8)]) == []


def test_two_phones_of_a_person_are_not_a_journey() -> None:
    assert reported([fix(minute, 900.0 * (minute % 2), device_id=minute % 2) for minute in range(20)]) == []


def test_rows_that_come_late_or_twice_are_left_out() -> None:
    assert reported([fix(30), *DRIVE]) == []
    assert reported([row for row in DRIVE for _ in range(2)]) == [2]


def test_a_long_silence_says_nothing() -> None:
    assert reported([fix(0), fix(40, 30_000), fix(80, 60_000), fix(120, 90_000)]) == []


def test_what_cannot_be_judged_is_not() -> None:
    assert reported([fix(1, latitude=None), fix(2, longitude=None), fix(3, recorded_at=None)]) == []
    assert reported([fix(minute, 600.0 * minute, site_id=None) for minute in range(8)]) == []


def test_the_policy_counts() -> None:
    assert reported(DRIVE, speed_mps_min=9.8) == []
    assert reported(DRIVE, steps_min=4) == [4]
    assert reported(DRIVE, displaced_m_min=2_000) == [4]
    assert reported(DRIVE, moving_s_min=300) == [5]


@given(st.integers(0, 2**32), st.floats(3, 40), st.floats(1, 300))
def test_noise_as_large_as_the_stated_accuracy_is_never_a_journey(seed: int, accuracy_m: float, every_s: float) -> None:
    rng = random.Random(seed)
    noise = accuracy_m * 0.7  # on either axis
    rows = [
        fix(number * every_s / 60, rng.gauss(0, noise), rng.gauss(0, noise), accuracy_m=accuracy_m)
        for number in range(60)
    ]
    assert reported(rows) == []
