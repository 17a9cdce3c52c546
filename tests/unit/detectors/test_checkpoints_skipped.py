"""CHECKPOINTS_SKIPPED: a tour that was completed without all its checkpoints."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.judged import Judged

from detectors.work.checkpoints_skipped import CheckpointsSkipped, CheckpointsSkippedPolicy


def tour(policy: CheckpointsSkippedPolicy | None = None, **more: Any) -> Judged:
    """One under way with 3 of 8 checkpoints."""
    sut = Judged(CheckpointsSkipped(), policy)
    values = {"job_type": "TOUR", "status": "IN_PROGRESS", "checkpoints_expected": 8, "checkpoints_scanned": 3}
    assert sut.insert(0, **(values | more)) == []
    return sut


def test_a_tour_is_judged_when_it_is_completed() -> None:
    (draft,) = tour().update(9, status="COMPLETED", checkpoints_scanned=7)
    assert (draft.evidence["observed"], draft.evidence["expected"]) == (7, 8)


def test_a_full_tour_a_task_without_checkpoints_and_an_unknown_number_are_clean() -> None:
    for values in ({"checkpoints_scanned": 8}, {"checkpoints_expected": None}, {"checkpoints_scanned": None}):
        sut = tour()
        assert sut.update(9, status="COMPLETED", **values) == []
        assert sut.state is None
    assert tour().update(9, status="CANCELLED") == []


def test_the_same_tour_is_reported_once_whether_the_old_row_is_known_or_not() -> None:
    for logged in (True, False):
        sut = tour()
        assert sut.update(9, status="COMPLETED", logged=logged)
        assert sut.update(10, title="renamed", logged=logged) == []
        assert sut.update(11, checkpoints_scanned=4, logged=logged) == []
        assert sut.update(12, checkpoints_scanned=2, logged=logged)


def test_a_job_that_was_completed_before_anybody_watched_is_no_news() -> None:
    sut = tour()
    sut.update(1, status="COMPLETED")
    sut.state = None
    assert sut.update(2, title="renamed") == []


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 5), st.floats(0, 0.5))
def test_it_is_reported_just_where_both_thresholds_are_exceeded(
    expected: int, scanned: int, number: int, share: float
) -> None:
    policy = CheckpointsSkippedPolicy(skipped_checkpoints_max=number, skipped_share_max=share)
    found = Judged(CheckpointsSkipped(), policy).insert(
        0, status="COMPLETED", checkpoints_expected=expected, checkpoints_scanned=scanned
    )
    skipped = expected - scanned
    assert bool(found) == (skipped > number and skipped > share * expected)
