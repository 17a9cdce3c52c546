import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from gateway.session.limits import SlidingMinute

LIMIT = 100
steps_ms = st.lists(st.one_of(st.integers(0, 1_500), st.integers(0, 70_000)), max_size=300)


@given(steps_ms, st.integers(1, 20))
def test_no_sixty_seconds_hold_more_than_the_limit(steps: list[int], limit: int) -> None:
    minute = SlidingMinute(limit)
    now_ms, taken_ms = 0, list[int]()
    for step in steps:
        now_ms += step
        recent = [at for at in taken_ms if now_ms - at <= 60_000]
        assert len(recent) <= limit
        assert minute.take(now_ms / 1000) is (len(recent) < limit)  # and none is refused without need
        if len(recent) < limit:
            taken_ms.append(now_ms)
        assert len(minute._taken or ()) <= limit


def test_a_steady_sender_gets_the_limit_in_its_first_minute_and_not_twice_that() -> None:
    minute = SlidingMinute(LIMIT)
    assert sum(minute.take(tenth / 10) for tenth in range(600)) == LIMIT


def test_a_clock_that_goes_back_frees_nothing() -> None:
    minute = SlidingMinute(2)
    assert [minute.take(now) for now in (1000.0, 10.0, 80.0, 1060.0, 1060.1)] == [True, True, False, False, True]


def test_who_says_nothing_costs_next_to_nothing() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        idle = [SlidingMinute(LIMIT) for _ in range(1_000)]
        each = (tracemalloc.get_traced_memory()[0] - before) / len(idle)
        assert each < 80
        for minute in idle:
            for tenth in range(LIMIT):
                minute.take(tenth / 10)
        full = (tracemalloc.get_traced_memory()[0] - before) / len(idle)
        assert full < 1_100
    finally:
        tracemalloc.stop()
