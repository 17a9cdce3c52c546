"""UNAUTHORIZED_SITE: a check-in where no shift of the person is, by the row's own time."""

import pytest
from support.attendance import Fold, shift

from detectors.attendance.unauthorized_site import UnauthorizedSite


def fold() -> Fold:
    """Somebody with a night shift at site 4 and a day shift at site 5."""
    return Fold(UnauthorizedSite(), shifts=[shift(22, 30), shift(32, 40, site=5, number=2)])


@pytest.mark.parametrize(("hour", "reported"), [(20.9, True), (21.1, False), (26, False), (30.9, False), (31.1, True)])
def test_a_night_shift_may_be_entered_an_hour_early_and_late(hour: float, reported: bool) -> None:
    assert bool(fold().check_in(hour)) is reported


def test_the_evidence_says_where_the_person_was_expected_and_when_here() -> None:
    (draft,) = fold().check_in(33)
    assert draft.evidence == {
        "observed_site_id": 4,
        "expected_site_ids": [5],
        "n": 2,
        "observed_off_s": 7_200.0,
        "check_in_early_s_max": 3_600.0,
        "check_in_late_s_max": 3_600.0,
    }


def test_a_late_upload_is_judged_by_when_it_happened() -> None:
    assert not fold().check_in(23, uploaded=36)


def test_shifts_that_never_came_are_said_to_be_missing() -> None:
    (draft,) = Fold(UnauthorizedSite()).check_in(9, missing=("assignment",))
    assert draft.evidence["reference_missing"] is True
    assert draft.evidence["n"] == 0


def test_a_check_out_and_an_update_of_something_else_say_nothing_new() -> None:
    sut = fold()
    assert not sut.check_out(9)
    assert not sut.check_in(9, id=1, op="u", before=sut.row("CHECK_IN", 9, id=1), accuracy_m=3.0)
    assert len(sut.check_in(9, id=1, op="u", before=sut.row("CHECK_IN", 23, id=1))) == 1
