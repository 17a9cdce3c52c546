"""OVERTIME_VIOLATION: more than 13 hours in a day or 60 in a week, in the site's time zone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.attendance import Fold, place, shift

from detectors.attendance.overtime import Overtime
from detectors.finding_draft import FindingDraft


def fold(timezone: str = "UTC") -> Fold:
    """Somebody at site 4."""
    return Fold(Overtime(), sites={4: place(4, timezone=timezone)})


def work(sut: Fold, start: float, end: float) -> list[FindingDraft]:
    """From one hour to another."""
    return sut.check_in(start) + sut.check_out(end)


def periods(found: list[FindingDraft]) -> list[object]:
    """Whether of a day or a week."""
    return [each.evidence["period"] for each in found]


@pytest.mark.parametrize(("end", "found"), [(19, []), (19.1, ["day"])])
def test_a_day_has_thirteen_hours(end: float, found: list[str]) -> None:
    assert periods(work(fold(), 6, end)) == found


def test_the_evidence_lets_the_sum_be_done_again() -> None:
    sut = fold()
    work(sut, 5, 10)
    (draft,) = work(sut, 11, 20.5)
    assert (draft.finding_type, draft.severity) == ("OVERTIME_VIOLATION", "MEDIUM")
    assert draft.evidence == {
        "period": "day",
        "observed_hours": 14.5,
        "threshold_hours": 13.0,
        "last_stretch_hours": 9.5,
        "check_in_attendance_id": 3,
    }


def test_a_day_is_reported_once_and_the_next_day_again() -> None:
    sut = fold()
    assert periods(work(sut, 5, 19)) == ["day"]
    assert periods(work(sut, 20, 21)) == []
    assert periods(work(sut, 29, 43)) == ["day"]


def test_a_night_shift_with_a_break_is_one_days_work() -> None:
    sut = fold()
    assert periods(work(sut, 20, 25)) == []
    assert periods(work(sut, 25.5, 34.5)) == ["day"]
    assert periods(work(sut, 44, 49)) == []


def test_a_week_has_sixty_hours_from_monday_on() -> None:
    sut = fold()
    for day in range(5):
        assert periods(work(sut, day * 24 + 6, day * 24 + 18)) == []
    assert periods(work(sut, 5 * 24 + 6, 5 * 24 + 7)) == ["week"]
    assert periods(work(sut, 6 * 24 + 6, 6 * 24 + 14)) == []
    assert periods(work(sut, 7 * 24 + 6, 7 * 24 + 14)) == []


def test_the_week_begins_at_the_sites_midnight() -> None:
    def weeks_told(timezone: str) -> int:
        sut = fold(timezone)
        found = work(sut, -4, 2)  # a Sunday night in UTC; Monday morning in Auckland
        for day in range(5):
            found += work(sut, day * 24 + 6, day * 24 + 17)
        return periods(found).count("week")

    assert weeks_told("UTC") == 0
    assert weeks_told("Pacific/Auckland") == 1


def test_in_the_night_in_which_the_clocks_go_back_a_day_is_an_hour_longer() -> None:
    # Berlin, 24 to 25 October 2026: 236 days after the Monday.
    night = 236 * 24 + 16
    assert periods(work(fold("Europe/Berlin"), night, night + 13.5)) == []
    assert periods(work(fold("UTC"), night, night + 13.5)) == ["day"]


def test_coming_early_and_leaving_late_is_no_work() -> None:
    sut = fold()
    sut.shifts = [shift(6 + 24 * day, 18 + 24 * day, number=day) for day in range(5)]
    found = [each for day in range(5) for each in work(sut, day * 24 + 5.6, day * 24 + 18.4)]
    assert found == []


def test_a_forgotten_check_out_is_not_work() -> None:
    sut = fold()
    assert periods(sut.check_in(6)) == []
    assert periods(work(sut, 30, 38)) == []
    assert periods(sut.check_in(54)) == []
    assert periods(sut.check_out(54 + 30)) == []


def test_a_check_out_made_twice_counts_once() -> None:
    sut = fold()
    sut.check_in(6)
    sut.check_in(6.1)
    assert periods(sut.check_out(14)) == []
    assert periods(sut.check_out(14.1)) == []
    assert periods(sut.check_out(14, id=3)) == []
    assert sum(day.worked_s for day in sut.state.days) == round(7.9 * 3600)


@given(st.permutations([("CHECK_IN", 6.0), ("CHECK_OUT", 12.0), ("CHECK_IN", 13.0), ("CHECK_OUT", 21.0)]))
def test_rows_in_any_order_are_the_same_hours_where_they_can_be_reported_apart(order: list[tuple[str, float]]) -> None:
    sut = fold()
    found = [each for kind, hour in order for each in sut.check(kind, hour, uploaded=22)]
    worked_s = sum(day.worked_s for day in sut.state.days)
    assert worked_s <= 15 * 3600
    if order[0][1] + order[1][1] in {18.0, 34.0}:  # one stretch came whole, then the other one
        assert worked_s == 14 * 3600
        assert periods(found) == ["day"]


def test_an_unknown_time_zone_is_utc() -> None:
    for name in ("Nowhere/Else", "", "../etc", "Europe"):
        assert periods(work(fold(name), 6, 20)) == ["day"]
