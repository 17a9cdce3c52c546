"""When people arrive, have breaks and leave."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from simulation.labelled.company import build_companies
from simulation.world.calendar import HOUR_S, MINUTE_S
from simulation.world.shifts import LUNCH, SHORT_BREAKS, Shift, arrival_s, departure_s, with_breaks

TENANT = build_companies(1, 1)[0]
seeds = st.integers(0, 2**32)


@given(seed=seeds)
def test_people_are_about_on_time(seed: int) -> None:
    rng = Random(seed)
    assert -22 * MINUTE_S <= arrival_s(rng, 0.0) <= 8 * MINUTE_S
    assert -6 * MINUTE_S <= departure_s(rng, 0.0) <= 22 * MINUTE_S


@given(seed=seeds, hours=st.floats(0.1, 15), breaks=st.sampled_from([LUNCH, SHORT_BREAKS]))
def test_breaks_lie_between_arrival_and_departure(seed: int, hours: float, breaks: object) -> None:
    presence = with_breaks(Random(seed), 0.0, hours * HOUR_S, breaks)  # type: ignore[arg-type]
    assert presence[0][0] == 0.0
    assert presence[-1][1] == hours * HOUR_S
    assert all(from_s < until_s for from_s, until_s in presence)
    assert all(12 * MINUTE_S < back_s - away_s < 46 * MINUTE_S for (_, away_s), (back_s, _) in pairwise(presence))
    if breaks is LUNCH:
        assert len(presence) <= 2


def test_somebody_is_present_on_a_break_or_neither() -> None:
    site = TENANT.sites[0]
    shift = Shift(TENANT.staff[site.id][0], site, 0.0, 100.0, None, 1, presence=[(10.0, 40.0), (50.0, 90.0)])
    assert [shift.is_present(at_s) for at_s in (5.0, 10.0, 40.0, 50.0, 90.0)] == [False, True, False, True, False]
    assert [shift.left_s(at_s) for at_s in (5.0, 20.0, 45.0, 60.0, 95.0)] == [None, None, 40.0, None, None]
