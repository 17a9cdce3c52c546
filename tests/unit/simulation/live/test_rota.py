"""Shifts around the clock: a third are under way at the opening, five days in a row and two off."""

from itertools import pairwise
from random import Random

import pytest

from simulation.live.company import build_company
from simulation.live.rota import PREPARED, SHIFT_S, Rota
from simulation.world.calendar import DAY_S
from simulation.world.timeline import Timeline

START_S = 1_772_442_000.0


def rota(seed: int = 1, *, is_prepared: bool = True) -> tuple[Rota, Timeline]:
    timeline = Timeline()
    [tenant] = build_company(seed, 1)
    return Rota(tenant, Random(seed), timeline, START_S, is_prepared=is_prepared), timeline


@pytest.mark.parametrize("seed", range(5))
def test_a_third_of_the_shifts_is_under_way_and_most_of_their_people_are_at_work(seed: int) -> None:
    made, _ = rota(seed, is_prepared=False)
    under_way = [shift for shift in made.shifts.values() if shift.start_s < START_S < shift.end_s]
    assert 29 <= len(under_way) <= 31
    at_work = made.at_work(START_S)
    assert 12 <= len(at_work) <= 30
    assert {shift.person for shift in at_work} >= {
        made.someone(site, START_S) for site in made.tenant.sites if any(shift.site is site for shift in at_work)
    }


def test_some_are_prepared_so_that_a_run_can_make_a_finding_of_each_kind() -> None:
    made, _ = rota()
    assert {kind: len(made.prepared_for(kind)) for kind in PREPARED} == dict.fromkeys(PREPARED, 6)
    assert not rota(is_prepared=False)[0].prepared


def test_who_begins_now_is_at_work_and_nothing_of_the_old_plan_happens() -> None:
    made, timeline = rota(is_prepared=False)
    shift = next(shift for shift in made.shifts.values() if shift.left_s(START_S) is not None)
    list(timeline.take(START_S))
    made.begin(shift, START_S + 1)
    assert shift.is_present(START_S + 2)
    own = [
        change.after["event_type"]
        for change in timeline.take(shift.end_s + 3_600)
        if change.table == "attendance" and change.after and change.after["person_id"] == shift.person.id
    ]
    assert own[::2] == ["CHECK_IN"] * (len(own) // 2)
    assert own[1::2] == ["CHECK_OUT"] * (len(own) // 2)


def test_everybody_works_five_days_in_a_row_and_has_two_off() -> None:
    made, timeline = rota(is_prepared=False)
    person = made.tenant.persons[0]
    starts = [
        change.after["shift_start"].timestamp()
        for change in timeline.take(START_S + 16 * DAY_S)
        if change.table == "assignment" and change.after and change.after["person_id"] == person.id
    ]
    days = [round((after - before) / DAY_S) for before, after in pairwise(starts)]
    assert days[:9] == [1, 1, 1, 1, 3, 1, 1, 1, 1]
    assert all(shift.end_s - shift.start_s == pytest.approx(SHIFT_S) for shift in made.shifts.values())
