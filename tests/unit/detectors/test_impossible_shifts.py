"""IMPOSSIBLE_SHIFTS: two checks that cannot both be true, and many that look so and can."""

from support.attendance import Fold, place, shift

from detectors.attendance.impossible_shifts import ImpossibleShifts
from detectors.shared.facts import Shift


def fold(*shifts: Shift) -> Fold:
    """Site 4, its neighbour 5 at 20 km, 6 across the street and 7 far away."""
    sites = [place(4), place(5, north_km=20), place(6, north_km=0.3), place(7, north_km=300)]
    return Fold(ImpossibleShifts(), shifts=list(shifts), sites={site.site_id: site for site in sites})


def test_three_hundred_kilometres_in_an_hour_are_too_many() -> None:
    sut = fold()
    sut.check_in(7)
    sut.check_out(8)
    (draft,) = sut.check_in(9, site_id=7)
    assert (draft.finding_type, draft.severity) == ("IMPOSSIBLE_SHIFTS", "CRITICAL")
    assert draft.evidence == {
        "observed_site_id": 7,
        "other_site_id": 4,
        "other_attendance_id": 2,
        "other_at": "2026-03-02T08:00:00Z",
        "reason": "travel",
        "observed_mps": 81.9,
        "threshold_mps": 36.0,
        "distance_m": 299_800,
        "between_s": 3600.0,
        "clock_s_max": 60.0,
    }


def test_three_hundred_kilometres_in_three_hours_are_a_drive() -> None:
    sut = fold()
    sut.check_in(7)
    sut.check_out(8)
    assert not sut.check_in(11, site_id=7)


def test_the_way_is_judged_also_when_the_earlier_row_comes_later() -> None:
    sut = fold()
    assert not sut.check_in(9, site_id=7)
    assert len(sut.check_out(8, uploaded=10)) == 1


def test_the_way_back_is_not_reported_again() -> None:
    sut = fold(shift(6, 14))
    sut.check_in(6)
    assert len(sut.check_in(7, site_id=7)) == 1
    assert not sut.check_out(8)


def test_checking_in_elsewhere_in_the_middle_of_a_shift_is_an_overlap() -> None:
    sut = fold(shift(8, 16))
    sut.check_in(8)
    (draft,) = sut.check_in(12, site_id=5)
    assert draft.evidence["reason"] == "overlap"
    assert draft.evidence["checked_in_elsewhere_s"] == 4 * 3600
    assert draft.evidence["observed_overlap_s"] == 4 * 3600


def test_an_overlap_is_one_also_where_both_shifts_are_entered() -> None:
    sut = fold(shift(8, 16), shift(10, 18, site=5, number=2))
    sut.check_in(8)
    assert len(sut.check_in(10, site_id=5)) == 1
    assert not sut.check_out(11, site_id=5)
    assert not sut.check_in(11.5, site_id=5)


def test_a_forgotten_check_out_is_no_overlap_the_same_evening_or_the_next_day() -> None:
    sut = fold(shift(6, 14), shift(14, 22, site=5, number=2))
    sut.check_in(6)
    assert not sut.check_in(13.5, site_id=5)
    other_day = fold(shift(6, 14))
    other_day.check_in(6)
    assert not other_day.check_in(30, site_id=5)


def test_without_any_shift_an_hour_ago_is_an_overlap_and_half_a_day_is_none() -> None:
    sut = fold()
    sut.check_in(8)
    assert len(sut.check_in(9, site_id=5)) == 1
    later = fold()
    later.check_in(8)
    assert not later.check_in(18, site_id=5)


def test_a_check_out_proves_that_the_person_was_there_all_the_time() -> None:
    sut = fold(shift(8, 10), shift(12, 18, site=5, number=2))
    sut.check_in(8)
    assert not sut.check_in(12, site_id=5)
    (draft,) = sut.check_out(13)
    assert draft.evidence["other_attendance_id"] == 2


def test_two_gates_of_one_place_are_used_by_turns() -> None:
    sut = fold(shift(8, 16))
    sut.check_in(8)
    assert not sut.check_in(8.01, site_id=6)
    assert not sut.check_out(16)


def test_a_round_of_sites_as_planned_is_possible() -> None:
    sut = fold(shift(8, 10), shift(11, 13, site=5, number=2), shift(14, 16, number=3))
    for start, end, site in ((8, 10, 4), (11, 13, 5), (14, 16, 4)):
        assert not sut.check_in(start, site_id=site)
        assert not sut.check_out(end, site_id=site)


def test_a_check_of_somebody_else_does_not_say_where_the_person_was() -> None:
    sut = fold(shift(8, 16))
    sut.check_in(8, verified_person_id=17)
    assert len(sut.check_in(9, site_id=7, verified_person_id=23)) == 1
    assert not sut.check_in(9.5, verified_person_id=17)


def test_a_site_without_a_position_is_where_the_row_says() -> None:
    sut = fold()
    sut.sites.pop(7)
    sut.check_in(7)
    sut.check_out(8)
    assert not sut.check_in(8.5, site_id=7)
    assert len(sut.check_in(8.6, site_id=8, latitude=58.0, longitude=11.0, accuracy_m=10.0)) == 1


def test_a_row_that_comes_twice_is_judged_once() -> None:
    sut = fold()
    sut.check_in(8)
    assert len(sut.check_in(8.5, site_id=7, id=9)) == 1
    state = sut.state
    assert not sut.check_in(8.5, site_id=7, id=9)
    assert sut.state is state


def test_a_check_out_days_after_a_forgotten_one_proves_nothing() -> None:
    sut = fold()
    sut.check_in(8)
    sut.check_in(32, site_id=5)
    sut.check_out(36, site_id=5)
    assert not sut.check_out(112)
