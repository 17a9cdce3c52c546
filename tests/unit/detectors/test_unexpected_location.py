"""UNEXPECTED_LOCATION: a check-in farther outside the site's area than its accuracy explains."""

import pytest
from support.attendance import Fold, place

from detectors.attendance.unexpected_location import UnexpectedLocation

M = 1 / 111_195
"""A metre to the north, degrees."""


def fold() -> Fold:
    """A site of 100 m."""
    return Fold(UnexpectedLocation(), sites={4: place(4)})


@pytest.mark.parametrize(
    ("metres", "accuracy_m", "found"),
    [
        (90, 5.0, False),
        (205, 5.0, False),
        (215, 5.0, True),
        (290, 50.0, False),
        (310, 50.0, True),
        (290, None, False),
        (310, None, True),
        (50_000, 1_500.0, False),
    ],
)
def test_the_radius_the_accuracy_and_a_margin_are_allowed(metres: int, accuracy_m: float | None, found: bool) -> None:
    assert bool(fold().check_in(8, latitude=48 + metres * M, longitude=11.0, accuracy_m=accuracy_m)) is found


def test_the_evidence_lets_the_sum_be_done_again() -> None:
    (draft,) = fold().check_in(8, latitude=48 + 1_100 * M, longitude=11.0, accuracy_m=10.0)
    assert (draft.finding_type, draft.severity) == ("UNEXPECTED_LOCATION", "MEDIUM")
    assert draft.evidence == {
        "observed_m": 1000.0,
        "expected_m": 0.0,
        "threshold_m": 120.0,
        "accuracy_m": 10.0,
        "margin_m": 100.0,
    }


def test_check_outs_and_what_has_no_position_or_area_are_not_judged() -> None:
    assert not fold().check_out(8, latitude=49.0, longitude=11.0)
    assert not fold().check_in(8, longitude=11.0)
    assert not fold().check_in(8, site_id=5, latitude=49.0, longitude=11.0)


def test_an_update_is_judged_only_where_the_position_is_new() -> None:
    sut = fold()
    there = {"latitude": 49.0, "longitude": 11.0, "id": 1}
    assert not sut.check_in(8, op="u", before=sut.row("CHECK_IN", 8, **there), verified_person_id=17, **there)
    assert len(sut.check_in(8, op="u", before=sut.row("CHECK_IN", 8, id=1), **there)) == 1
