"""LOCATION_SPOOFING: each reason is reported once an episode, with its evidence; honest phones are not."""

import random
from collections import Counter
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fixes import attendance, fix, run

from detectors.interface import Event
from detectors.location.location_spoofing import LocationSpoofing

SUT = LocationSpoofing()


def reported(rows: Any, **more: Any) -> list[tuple[float, Any]]:
    """(minute after 10:00, reason) of each finding."""
    return [(row.id / 60, draft.evidence["reason"]) for row, draft in run(SUT, rows, **more)]


def walk(minutes: range, seed: int = 1, noise_m: float = 5.0) -> list[Any]:
    """An honest phone: each fix somewhere within its noise."""
    rng = random.Random(seed)
    return [fix(minute, rng.gauss(0, noise_m), rng.gauss(0, noise_m)) for minute in minutes]


def test_a_mock_is_reported_once_an_episode() -> None:
    rows = [msgspec.structs.replace(row, is_mock=True) for row in walk(range(0, 240, 4))]
    assert reported(rows) == [(0, "mock")]
    assert reported([*rows, *(msgspec.structs.replace(row, is_mock=True) for row in walk(range(320, 330)))]) == [
        (0, "mock"),
        (320, "mock"),
    ]
    ((_, draft),) = run(SUT, rows)
    assert draft.evidence == {"reason": "mock", "observed": True, "expected": False, "device_id": 9}
    assert (draft.severity, draft.fraud_score) == ("HIGH", 0.9)


def test_a_jump_is_reported_with_what_it_takes_to_redo_the_sum() -> None:
    ((_, draft),) = run(SUT, [fix(0), fix(2, 50_000)])
    assert draft.evidence == {
        "reason": "impossible_speed",
        "observed_mps": 416.5,
        "threshold": 70.0,
        "distance_m": 50000.0,
        "accuracies_m": 20.0,
        "seconds": 120.0,
        "device_id": 9,
    }


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_jump_is_found_in_whatever_order_a_phone_uploads(order: tuple[int, ...]) -> None:
    rows = [fix(0), fix(3, 60_000), fix(6, 60_000), fix(9)]
    assert [reason for _, reason in reported([rows[index] for index in order])] == ["impossible_speed"]


@given(st.permutations(range(30)))
def test_a_drive_uploaded_in_any_order_is_no_jump(order: list[int]) -> None:
    rows = [fix(minute, 1_800.0 * minute) for minute in range(30)]  # 30 m/s
    assert "impossible_speed" not in {reason for _, reason in reported([rows[index] for index in order])}


def test_short_jumps_and_bad_positions_are_not_reported() -> None:
    assert reported([fix(second / 60, 900 * (second % 2)) for second in range(60)]) == []
    assert reported([fix(0), fix(1, 9_000, accuracy_m=8_000.0), fix(2)]) == []


def test_two_phones_in_two_places_are_no_jump() -> None:
    assert reported([fix(minute, 40_000 * (minute % 2), device_id=minute % 2) for minute in range(20)]) == []


def test_frozen_fixes_are_reported_when_they_are_enough_and_last_long_enough() -> None:
    rows = [fix(minute, 3.7, 1.3) for minute in range(0, 60, 4)]
    assert reported(rows) == [(28, "frozen")]
    ((_, draft),) = run(SUT, rows)
    assert draft.evidence == {
        "reason": "frozen",
        "observed_s": 1680.0,
        "threshold": 1200.0,
        "n": 8,
        "fixes_min": 8,
        "device_id": 9,
    }
    assert reported([fix(second / 60, 3.7) for second in range(300)]) == []
    assert reported([fix(second / 60, 3.7) for second in range(1_300)]) == [(20, "frozen")]


def test_what_repeats_honestly_is_not_frozen() -> None:
    network = [fix(minute, latitude=48.1372, longitude=11.5761) for minute in range(90)]
    accuracy_varies = [fix(minute, 3.7, accuracy_m=10.0 + minute % 2) for minute in range(90)]
    cached = [row for minute in range(90) for row in [fix(minute, minute // 6)]]
    for rows in (network, accuracy_varies, cached):
        assert reported(rows) == []


def test_a_row_that_comes_twice_is_one_fix() -> None:
    assert reported([fix(0)] * 50 + [fix(30)] * 50) == []


def test_accuracy_that_no_phone_has_is_reported_by_the_fifth_fix() -> None:
    rows = [msgspec.structs.replace(row, accuracy_m=0.1) for row in walk(range(20))]
    assert reported(rows) == [(4, "perfect_accuracy")]
    assert run(SUT, rows)[0][1].evidence == {
        "reason": "perfect_accuracy",
        "observed_m": 0.1,
        "threshold": 1.0,
        "n": 5,
        "device_id": 9,
    }
    assert reported([msgspec.structs.replace(row, accuracy_m=0.0) for row in rows]) == [(4, "perfect_accuracy")]
    assert reported([msgspec.structs.replace(row, accuracy_m=0.0) for row in rows], perfect_accuracy_m_max=0.0) == []
    for accuracy_m in (1.0, 3.0, None):
        assert reported([msgspec.structs.replace(row, accuracy_m=accuracy_m) for row in rows]) == []


def test_a_line_that_no_noise_disturbs_is_reported() -> None:
    rng = random.Random(3)
    minutes = [0.0]
    for _ in range(15):
        minutes.append(minutes[-1] + rng.choice([0.5, 1.0, 1.5]))
    rows = [fix(minute, 80.0 * minute, 30.0 * minute) for minute in minutes]
    assert [reason for _, reason in reported(rows)] == ["perfect_line"]
    ((_, draft),) = run(SUT, rows)
    assert draft.evidence == {"reason": "perfect_line", "threshold": 0.5, "n": 8, "steps_min": 8, "device_id": 9}


def test_a_smoothed_second_by_second_drive_and_a_phone_at_rest_are_no_line() -> None:
    assert reported([fix(second / 60, 25.0 * second) for second in range(30)]) == []
    assert reported([fix(minute, minute * 0.001, accuracy_m=5.0) for minute in range(60)]) == []


@given(st.integers(0, 2**32), st.floats(2, 30), st.floats(1, 600), st.floats(0, 30))
def test_an_honest_phone_is_not_reported(seed: int, noise_m: float, every_s: float, speed_mps: float) -> None:
    rng = random.Random(seed)
    rows = [
        fix(
            number * every_s / 60,
            number * every_s * speed_mps + rng.gauss(0, noise_m),
            rng.gauss(0, noise_m),
            accuracy_m=round(noise_m * rng.uniform(0.7, 1.4), 1),
        )
        for number in range(60)
    ]
    assert reported(rows) == []


def test_a_late_burst_is_one_episode() -> None:
    rng = random.Random(2)
    rows = [msgspec.structs.replace(row, is_mock=True) for row in walk(range(0, 600, 10))]
    rng.shuffle(rows)
    state, found = None, []
    for row in rows:
        state, drafts = SUT.judge(state, Event(row, 10**15), SUT.policy)
        found.extend(drafts)
    assert len(found) == 1


def test_reasons_do_not_hide_each_other() -> None:
    rows = [fix(minute, 3.7, accuracy_m=0.5, is_mock=True) for minute in range(0, 60, 4)]
    assert Counter(reason for _, reason in reported(rows)) == {"mock": 1, "perfect_accuracy": 1, "frozen": 1}


def test_what_cannot_be_judged_is_not() -> None:
    rows = [fix(1, latitude=None, is_mock=True), fix(2, longitude=None), fix(3, recorded_at=None), fix(4, is_mock=None)]
    assert reported([*rows, attendance("CHECK_IN", 10)]) == []


def test_an_update_of_a_mock_is_not_reported_again() -> None:
    row = fix(0, is_mock=True)
    state, found = SUT.judge(None, Event(row, 0), SUT.policy)
    assert len(found) == 1
    late = Event(msgspec.structs.replace(row, speed_mps=1.0), 10**12, op="u", before=row)
    assert SUT.judge(state, late, SUT.policy) == (state, ())
