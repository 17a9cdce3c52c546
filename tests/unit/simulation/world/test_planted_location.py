"""The fixes of somebody who is not where they should be, or which are made up."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.world.phones import Fix, Receiver
from simulation.world.planted_location import FINDINGS, Route, planted_fixes, travelled
from simulation.world.shifts import Special

EXTENT_M = 90.0


def far_m(fix: Fix) -> float:
    return math.hypot(fix.east_m, fix.north_m)


@given(seed=st.integers(0, 2**32), special=st.sampled_from(sorted(FINDINGS)))
def test_planted_fixes_begin_at_their_time_and_come_in_its_order(seed: int, special: Special) -> None:
    times = [fix.at_s for fix in planted_fixes(Random(seed), special, 1_000.0, EXTENT_M)]
    assert 1_000.0 <= times[0] < 2_500.0
    assert len(times) >= 5
    assert times == sorted(times) or special is Special.MOCKED  # a cached fix may come once more


def test_nothing_is_planted_where_nothing_is_wrong_with_the_location() -> None:
    assert planted_fixes(Random(1), Special.LATE, 0.0, EXTENT_M) == []


@pytest.mark.parametrize(
    ("special", "shortest_m", "longest_m"), [(Special.WALK_OUT, 650, 1_050), (Special.DRIVE_OUT, 3_900, 9_100)]
)
def test_a_trip_leads_out_and_back(special: Special, shortest_m: float, longest_m: float) -> None:
    fixes = [fix for fix in planted_fixes(Random(3), special, 0.0, EXTENT_M) if fix.accuracy_m < 46]
    assert shortest_m < max(far_m(fix) for fix in fixes) < longest_m
    assert far_m(fixes[0]) < 200
    assert far_m(fixes[-1]) < 1_000


def test_a_way_that_was_not_recorded_begins_where_it_ends() -> None:
    route = Route(500.0, 1.3, (12, 12), 30.0, (12, 12), comes_back=False, is_recorded=False)
    fixes = list(travelled(Random(1), Receiver(Random(1), is_clear=True), 50.0, route))
    assert [fix.at_s for fix in fixes] == [50.0, 62.0, 74.0]
    assert all(abs(far_m(fix) - 500) < 40 for fix in fixes)


def test_made_up_positions_are_frozen_too_exact_far_away_or_marked() -> None:
    frozen = planted_fixes(Random(1), Special.FROZEN, 0.0, EXTENT_M)
    assert len({(fix.east_m, fix.north_m) for fix in frozen}) == 1
    assert {fix.accuracy_m for fix in planted_fixes(Random(1), Special.TOO_PERFECT, 0.0, EXTENT_M)} == {0.1}
    assert all(fix.is_mock for fix in planted_fixes(Random(1), Special.MOCKED, 0.0, EXTENT_M))
    assert min(far_m(fix) for fix in planted_fixes(Random(1), Special.JUMP, 0.0, EXTENT_M)) > 30_000
