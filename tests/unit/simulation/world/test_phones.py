"""Where a phone's owner walks, and what its receiver and its network make of it."""

import math
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.world.phones import Network, Receiver, Walk, outage, walked

seeds = st.integers(0, 2**32)


@given(seed=seeds, steps=st.lists(st.floats(0.1, 600), min_size=2, max_size=60))
def test_a_walk_stays_within_the_site_and_is_nowhere_faster_than_a_walk(seed: int, steps: list[float]) -> None:
    walk = Walk(Random(seed), 100.0, 0.0)
    at_s, before = 0.0, walk.at(0.0)
    for step_s in steps:
        at_s += step_s
        east_m, north_m, speed = walk.at(at_s)
        assert math.hypot(east_m, north_m) <= 100.01
        assert math.dist((east_m, north_m), before[:2]) <= 1.51 * step_s
        assert speed <= 1.51
        before = (east_m, north_m, speed)


@settings(max_examples=20)
@given(seed=seeds)
def test_a_clear_receiver_is_wrong_by_metres_and_wrong_alike_a_moment_later(seed: int) -> None:
    receiver = Receiver(Random(seed), is_clear=True)
    fixes = [receiver.fix(0.1 * number, 0.0, 0.0, 0.0) for number in range(100)]
    assert all(math.hypot(fix.east_m, fix.north_m) < 60 and fix.accuracy_m <= 20 for fix in fixes)
    assert all(math.dist((a.east_m, a.north_m), (b.east_m, b.north_m)) < 8 for a, b in pairwise(fixes))


def test_other_receivers_now_and_then_give_a_position_by_radio_mast_or_facade() -> None:
    receiver = Receiver(Random(1))
    accuracies = [receiver.fix(60.0 * number, 0.0, 0.0, 0.0).accuracy_m for number in range(2_000)]
    assert 0.002 < sum(accuracy > 300 for accuracy in accuracies) / 2_000 < 0.02
    assert sum(45 < accuracy < 200 for accuracy in accuracies) > 2


def test_a_phone_records_a_fix_every_few_minutes() -> None:
    rng = Random(3)
    times = [fix.at_s for fix in walked(rng, Receiver(rng), (0.0, 8 * 3_600.0), 90.0)]
    assert 90 < len(times) < 150


def test_what_is_recorded_without_a_network_comes_after_the_outage() -> None:
    network = Network(Random(1), 7, outages=[(100.0, 200.0)])
    assert 200.0 < network.committed_s(150.0) <= 245.0
    assert 50.0 < network.committed_s(50.0) < 53.0


@given(seed=seeds, length_s=st.floats(0, 40_000))
def test_an_outage_lies_well_within_the_shift(seed: int, length_s: float) -> None:
    span = outage(Random(seed), (1_000.0, 1_000.0 + length_s))
    if span is not None:
        assert 1_000 + 1_199 <= span[0] < span[1] <= 1_000 + length_s - 1_199
