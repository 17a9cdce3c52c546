"""MISSING_CHECK_OUT: checked in and not out when the shift's end and its grace have passed."""

from support.attendance import Fold, shift

from detectors.attendance.missing_check_out import MissingCheckOut, OpenCheckIns


def fold() -> Fold:
    """Somebody with a shift from 8 to 16 at site 4."""
    return Fold(MissingCheckOut(), shifts=[shift(8, 16)])


def test_it_is_due_two_hours_after_the_shift_and_reported_once() -> None:
    sut = fold()
    assert not sut.check_in(7.9)
    assert sut.due_hour() == 18
    (draft,) = sut.wait_until(18)
    assert (draft.finding_type, draft.severity) == ("MISSING_CHECK_OUT", "MEDIUM")
    assert draft.evidence == {
        "attendance_id": 1,
        "expected_site_id": 4,
        "checked_in_at": "2026-03-02T07:54:00Z",
        "expected_by": "2026-03-02T16:00:00Z",
        "observed_hours": 10.1,
        "threshold_hours": 10.1,
    }
    assert not sut.wait_until(1_000)


def test_who_checks_out_in_time_is_not_missed() -> None:
    sut = fold()
    sut.check_in(8)
    sut.check_out(17.9)
    assert sut.due_hour() is None


def test_without_a_known_shift_it_is_due_after_the_longest_day() -> None:
    sut = Fold(MissingCheckOut())
    sut.check_in(8)
    assert sut.due_hour() == 22


def test_a_double_shift_ends_with_its_second_part() -> None:
    sut = fold()
    sut.shifts += [shift(40, 48, number=3), shift(16.5, 24, number=2)]
    sut.check_in(8)
    assert sut.due_hour() == 26


def test_a_check_out_that_was_uploaded_before_its_check_in_counts() -> None:
    sut = fold()
    sut.check_out(16)
    sut.check_in(8, uploaded=17)
    assert sut.due_hour() is None


def test_a_check_in_that_comes_hours_late_waits_for_the_check_out_behind_it() -> None:
    sut = fold()
    assert not sut.check_in(8, uploaded=20)
    due = sut.due_hour()
    assert due is not None
    assert 20 < due < 20.01
    sut.check_out(16, uploaded=20.001)
    assert sut.due_hour() is None


def test_a_check_out_of_before_the_check_in_does_not_end_it() -> None:
    sut = fold()
    sut.check_in(8)
    sut.check_out(6, uploaded=8.5)
    assert sut.due_hour() == 18


def test_a_break_does_not_leave_anything_open() -> None:
    sut = fold()
    sut.check_in(8)
    sut.check_in(12.5)  # the check-out for the break was forgotten
    sut.check_out(16)
    assert not sut.wait_until(100)


def test_who_goes_on_to_another_site_still_owes_the_first_one_a_check_out() -> None:
    sut = fold()
    sut.shifts.append(shift(16.5, 24, site=5, number=2))
    sut.check_in(8)
    sut.check_in(16.5, site_id=5)
    (draft,) = sut.wait_until(18)
    assert draft.evidence["expected_site_id"] == 4
    sut.check_out(24, site_id=5)
    assert not sut.wait_until(100)


def test_two_that_are_due_at_once_are_both_reported() -> None:
    sut = fold()
    sut.shifts.append(shift(8, 16, site=5, number=2))
    sut.check_in(8)
    sut.check_in(9, site_id=5)
    assert [each.evidence["expected_site_id"] for each in sut.wait_until(18)] == [4, 5]


def test_a_row_that_was_reported_and_comes_again_is_not_waited_for() -> None:
    sut = fold()
    sut.check_in(8)
    sut.wait_until(18)
    sut.check_in(8, id=1, op="u", uploaded=19)
    assert sut.due_hour() is None


def test_an_old_row_of_a_snapshot_is_dropped_by_the_next_check() -> None:
    sut = fold()
    sut.check_in(8, op="r", uploaded=900)
    assert sut.due_hour() == 18
    sut.check_in(901, site_id=5)
    assert sut.due_hour() == 915


def test_what_is_remembered_is_bounded() -> None:
    sut = fold()
    for number in range(50):
        sut.check_in(8 + number / 100, site_id=number)
    assert isinstance(sut.state, OpenCheckIns)
    assert len(sut.state.open) == 3
