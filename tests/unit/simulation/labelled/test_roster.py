"""A week's roster: posts have people around the clock, who rest, and swaps are entered before the shift."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

from simulation.labelled.company import build_companies
from simulation.labelled.plan import ScenarioPlan, Span
from simulation.labelled.roster import Roster
from simulation.world.calendar import HOUR_S, midnight_utc_s
from simulation.world.company import SiteKind
from simulation.world.shifts import Shift

MONDAY = date(2026, 3, 2)


def weeks(*, is_planted: bool) -> Iterator[tuple[Roster, list[Shift]]]:
    """The shifts of three weeks of each of three tenants."""
    plan = ScenarioPlan(4, Span(), is_planted)
    for tenant in build_companies(4, 3):
        roster = Roster(plan, tenant)
        shifts = []
        for number in range(3):
            monday = MONDAY + timedelta(days=7 * number)
            for each in roster.week(monday, midnight_utc_s(monday)).values():
                shifts += each
        yield roster, shifts


def test_everybody_rests_between_two_shifts() -> None:
    for _, shifts in weeks(is_planted=True):
        by_person: dict[int, list[Shift]] = {}
        for shift in sorted(shifts, key=lambda shift: shift.start_s):
            by_person.setdefault(shift.person.id, []).append(shift)
        for own in by_person.values():
            assert all(after.start_s - before.end_s >= 9.4 * HOUR_S for before, after in pairwise(own))


def test_nearly_every_shift_of_a_post_has_somebody() -> None:
    for _, shifts in weeks(is_planted=False):
        posts = [shift for shift in shifts if shift.site.kind is SiteKind.GUARDED]
        assert len(posts) >= 0.9 * 3 * (5 * 6 + 2 * 3)
        assert all(shift.phone_id in shift.site.post_phone_ids for shift in posts)


def test_offices_are_closed_at_weekends_and_on_holidays_guarded_sites_never() -> None:
    [(roster, shifts), *_] = weeks(is_planted=False)
    guarded, office, _ = (next(s.site for s in shifts if s.site.kind is kind) for kind in SiteKind)
    good_friday, saturday = date(2026, 4, 3), date(2026, 3, 7)
    assert roster.is_open(office, MONDAY)
    assert not roster.is_open(office, good_friday)
    assert not roster.is_open(office, saturday)
    assert roster.is_open(guarded, good_friday)


def test_somebody_who_is_free_rests_before_and_after() -> None:
    [(roster, shifts), *_] = weeks(is_planted=False)
    shift = max(shifts, key=lambda shift: shift.start_s)
    free = roster.free(shift.site, shift.start_s, shift.end_s)
    assert free is not shift.person
    if free is not None:
        own = [each for each in shifts if each.person is free]
        gaps = [max(each.start_s - shift.end_s, shift.start_s - each.end_s) for each in own]
        assert min(gaps) >= 11 * HOUR_S
