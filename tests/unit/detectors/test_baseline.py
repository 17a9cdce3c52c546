"""The arithmetic of baselines: as river has it where river has it, robust where the docstrings say so.

Also of detectors/shared/hour_of_week.py.
"""

import random
from math import isclose, sqrt
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.drift import PageHinkley as RiverPageHinkley
from river.stats import EWMean, EWVar

from detectors.shared.baseline import PageHinkley, robust_moments, shrunk, updated_moments, updated_scale
from detectors.shared.hour_of_week import WEEKS, anscombe, anscombe_inverse, counts_of, hour_of_week, with_count

VALUES = st.lists(st.floats(-1_000, 1_000), min_size=1, max_size=60)


def close(ours: float, theirs: float) -> bool:
    return isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-6)


@given(VALUES, st.floats(0.01, 0.99))
def test_mean_and_variance_are_rivers(values: list[float], weight: float) -> None:
    mean, variance = values[0], 0.0
    their_mean, their_variance = EWMean(weight), EWVar(weight)
    for number, value in enumerate(values):
        if number:
            mean, variance = updated_moments(mean, variance, value, weight)
        their_mean.update(value)
        their_variance.update(value)
    assert close(mean, their_mean.get())
    assert isclose(variance, their_variance.get(), rel_tol=1e-6, abs_tol=1e-3)  # theirs subtracts two squares


@given(VALUES)
def test_with_falling_weights_they_are_the_plain_ones(values: list[float]) -> None:
    mean = variance = 0.0
    for number, value in enumerate(values, 1):
        mean, variance = updated_moments(mean, variance, value, 1 / number)
    assert close(mean, fmean(values))
    assert isclose(variance, pvariance(values), rel_tol=1e-6, abs_tol=1e-6)


@given(st.lists(st.integers(-8, 8), max_size=120), st.integers(0, 10), st.integers(5, 60))
def test_drift_is_found_when_river_finds_it(values: list[int], delta: int, threshold: int) -> None:
    ours = PageHinkley()
    theirs = RiverPageHinkley(min_instances=1, delta=delta / 10 + 0.013, threshold=threshold + 0.0071)
    for value in values:
        ours = ours.after(float(value), delta=delta / 10 + 0.013)
        theirs.update(float(value))
        drifted = ours.drifted(threshold=threshold + 0.0071)
        assert drifted == theirs.drift_detected
        if drifted:
            break


@given(st.floats(-100, 100), st.floats(0.01, 100), st.floats(-100, 100), st.floats(0.01, 100))
def test_shrinkage_lies_between_and_knows_more_than_either(
    own: float, noise: float, group: float, spread: float
) -> None:
    expected, variance, weight = shrunk(own, noise, group, spread)
    assert min(own, group) - 1e-9 <= expected <= max(own, group) + 1e-9
    assert variance <= min(noise, spread) + 1e-9
    assert 0 <= weight <= 1


def test_the_scale_finds_sigma_among_outliers() -> None:
    draw, sigma = random.Random(5), 1.0
    for _ in range(4_000):
        value = draw.gauss(0, 3) if draw.random() < 0.95 else 100.0
        sigma = updated_scale(sigma, value, 0.01)
    assert 2.5 < sigma < 4


@given(st.lists(st.floats(-10, 10), min_size=5, max_size=30))
def test_less_than_half_of_wild_values_do_not_move_the_median_far(values: list[float]) -> None:
    wild = values + [1e9] * ((len(values) - 1) // 2)
    centre, sigma = robust_moments(wild)
    assert -10 <= centre <= 10
    assert sigma <= 1.4826 * 20 + 1e-9


@given(st.integers(0, 60_000))
def test_a_steady_count_can_be_reported_as_a_count(count: int) -> None:
    assert anscombe_inverse(anscombe(count)) == pytest.approx(count, abs=1e-6)
    assert anscombe(count) >= 2 * sqrt(0.375)


@given(st.lists(st.tuples(st.integers(0, 167), st.integers(0, 70_000)), max_size=60))
def test_a_week_keeps_the_last_counts_of_each_hour(counts: list[tuple[int, int]]) -> None:
    week, kept = b"", dict[int, list[int]]()
    for hour, count in counts:
        week = with_count(week, hour, count)
        kept[hour] = [min(count, 65_534), *kept.get(hour, [])][:WEEKS]
    assert all(counts_of(week, hour) == kept.get(hour, []) for hour in range(168))
    assert len(week) in {0, 1_680}


def test_the_hour_of_the_week_follows_the_clock_of_the_place() -> None:
    winter, summer = 1_769_994_000, 1_782_900_000  # Mon 2 Feb 2026 1:00 UTC, Wed 1 July 2026 10:00 UTC
    assert [hour_of_week(each, "Europe/Berlin") for each in (winter, summer)] == [2, 60]
