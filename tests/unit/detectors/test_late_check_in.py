"""LATE_CHECK_IN: late is the first check-in of a shift after its grace, by the row's own time, once."""

import pytest
from support.attendance import Fold, shift

from detectors.attendance.late_check_in import LateCheckIn, LateCheckInPolicy


def fold(policy: LateCheckInPolicy | None = None) -> Fold:
    """Somebody with a shift from 8 to 16 at site 4."""
    return Fold(LateCheckIn(), policy, [shift(8, 16)])


@pytest.mark.parametrize(("hour", "late"), [(7.5, False), (8.0, False), (8.25, False), (8.26, True), (15.9, True)])
def test_late_is_what_comes_after_the_grace(hour: float, late: bool) -> None:
    assert bool(fold().check_in(hour)) is late


def test_the_evidence_lets_the_sum_be_done_again() -> None:
    (draft,) = fold().check_in(8.5)
    assert (draft.finding_type, draft.severity) == ("LATE_CHECK_IN", "LOW")
    assert draft.evidence == {
        "assignment_id": 1,
        "expected_at": "2026-03-02T08:00:00Z",
        "observed_s": 1800.0,
        "threshold_s": 900.0,
    }


def test_whoever_comes_back_from_a_break_is_not_late() -> None:
    sut = fold()
    assert not sut.check_in(7.9)
    assert not sut.check_out(12)
    assert not sut.check_in(12.5)


def test_a_shift_is_reported_once() -> None:
    sut = fold()
    assert len(sut.check_in(9)) == 1
    assert not sut.check_in(9, id=1)
    assert not sut.check_out(12)
    assert not sut.check_in(13)


def test_a_phone_without_network_makes_nobody_late() -> None:
    assert not fold().check_in(8.1, uploaded=15)


def test_a_break_that_is_uploaded_before_the_check_in_makes_nobody_late() -> None:
    sut = fold()
    assert not sut.check_out(12)
    assert not sut.check_in(12.5)
    assert not sut.check_in(7.9, uploaded=13)


def test_without_a_shift_at_the_site_nobody_is_late() -> None:
    assert not fold().check_in(9, site_id=5)
    assert not fold().check_in(17)


def test_who_comes_early_for_the_next_shift_is_not_late_for_the_one_under_way() -> None:
    sut = fold()
    sut.shifts.append(shift(16, 24, number=2))
    assert not sut.check_in(15.5)


def test_yesterdays_shift_does_not_excuse_todays() -> None:
    sut = fold()
    sut.shifts.append(shift(32, 40, number=2))
    sut.check_in(8)
    sut.check_out(16)
    (draft,) = sut.check_in(33)
    assert draft.evidence["assignment_id"] == 2


def test_an_update_is_judged_only_where_the_check_is_another_one() -> None:
    sut = fold()
    row = sut.row("CHECK_IN", 9)
    assert not sut.check_in(9, id=row.id, op="u", before=row, latitude=48.0)
    assert len(sut.check_in(9, id=row.id, op="u", before=sut.row("CHECK_IN", 8, id=row.id))) == 1


def test_the_grace_is_a_policy() -> None:
    assert not fold(LateCheckInPolicy(grace_s_max=7_200)).check_in(9.9)
