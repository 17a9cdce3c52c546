from hypothesis import given
from hypothesis import strategies as st

from common.settings.gateway import ResumeSettings
from gateway.feed.resume_budget import PRICE_BYTES_MIN, ResumeBudget

MIB = 1 << 20
LIMITS = ResumeSettings(user_bytes_burst_max=10 * MIB, user_bytes_per_s_max=MIB)


def test_what_was_given_counts_until_it_has_come_back() -> None:
    budget = ResumeBudget(LIMITS)
    assert [budget.take((1, "ops"), 4 * MIB, 0.0) for _ in range(3)] == [0, 0, 2]
    assert budget.take((1, "other"), 4 * MIB, 0.0) == 0
    assert budget.take((2, "ops"), 4 * MIB, 0.0) == 0
    assert budget.take((1, "ops"), 4 * MIB, 2.0) == 0


def test_one_gap_is_given_whatever_its_size_and_then_none_until_it_has_come_back() -> None:
    budget = ResumeBudget(LIMITS)
    assert budget.take((1, "ops"), 50 * MIB, 0.0) == 0
    assert budget.take((1, "ops"), 0, 0.0) == 41
    assert budget.take((1, "ops"), 0, 41.0) == 0


def test_a_resume_that_misses_nothing_has_a_price_too() -> None:
    budget = ResumeBudget(LIMITS)
    given = sum(budget.take((1, "ops"), 0, 0.0) == 0 for _ in range(1_000))
    assert given == 10 * MIB // PRICE_BYTES_MIN


@given(st.lists(st.tuples(st.integers(0, 20 * MIB), st.floats(0, 30)), max_size=40))
def test_who_waits_as_long_as_it_is_told_is_given_it(asked: list[tuple[int, float]]) -> None:
    budget, now = ResumeBudget(LIMITS), 0.0
    for price, pause_s in asked:
        now += pause_s
        wait_s = budget.take((1, "ops"), price, now)
        if wait_s:
            now += wait_s
            assert budget.take((1, "ops"), price, now) == 0
