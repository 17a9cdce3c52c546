"""Whether one more connection or message is accepted, decided from values."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.settings.gateway import ConnectionSettings, HandshakeSettings
from gateway.access.admission import ConnectionCounts, ConnectRates, Refusal, SlidingMinute, TokenBucket

HANDSHAKES = HandshakeSettings(
    per_s_max=100, burst_max=50, per_address_per_s_max=2, per_address_burst_max=5, addresses_max=100
)
CONNECTIONS = ConnectionSettings(per_user_max=3, per_tenant_max=5)
HERE, THERE = "203.0.113.1", "203.0.113.2"


@settings(deadline=None)  # compares every stretch with the limit
@given(st.integers(1, 20), st.integers(1, 50), st.lists(st.integers(0, 3_000), max_size=200))
def test_no_stretch_of_time_lets_more_through_than_burst_and_rate(per_s: int, burst: int, steps: list[int]) -> None:
    bucket, now, taken = TokenBucket(per_s, burst, 0.0), 0.0, list[float]()
    for step in steps:
        now += step / 1000
        wait_s = bucket.take(now)
        assert wait_s == 0 or 1 <= wait_s <= 60
        if wait_s == 0:
            taken.append(now)
    for index, first in enumerate(taken):
        for count, last in enumerate(taken[index:], 1):
            assert count <= burst + per_s * (last - first) + 1e-6


def test_a_bucket_that_had_time_lets_its_burst_through_again() -> None:
    bucket = TokenBucket(10, 5, 0.0)
    assert [bucket.take(0.0) for _ in range(6)].count(0) == 5
    assert bucket.take(0.25) == 0
    assert [bucket.take(100.0) for _ in range(6)].count(0) == 5


def test_those_who_are_refused_are_spread_over_the_time_that_they_need() -> None:
    bucket = TokenBucket(10, 1, 0.0)
    waits = [bucket.take(0.0) for _ in range(101)][1:]
    assert all(9 <= waits.count(second) <= 11 for second in range(1, 11))
    assert all(first <= second for first, second in pairwise(waits))
    assert max(bucket.take(0.0) for _ in range(10_000)) == 60


def test_a_clock_that_goes_back_refills_nothing() -> None:
    bucket = TokenBucket(1, 1, 100.0)
    assert bucket.take(100.0) == 0
    assert bucket.take(50.0) == 1
    assert bucket.take(100.5) > 0
    assert bucket.take(101.0) == 0


def test_a_flood_from_one_address_takes_no_place_from_the_others() -> None:
    rates = ConnectRates(HANDSHAKES, 0.0)
    flood = [rates.take(HERE, 0.0) for _ in range(1_000)]
    assert flood.count(None) == 5
    assert {refusal.kind for refusal in flood if refusal is not None} == {"address_rate"}
    assert rates.take(THERE, 0.0) is None


def test_all_together_have_a_limit_too() -> None:
    rates = ConnectRates(HANDSHAKES, 0.0)
    answers = [rates.take(f"198.51.100.{number}", 0.0) for number in range(60)]
    assert answers.count(None) == 50
    assert answers[-1] == Refusal("rate", "too many clients connect at once", 1)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_counts_only_altogether(address: str) -> None:
    rates = ConnectRates(HANDSHAKES, 0.0)
    assert [rates.take(address, 0.0) for _ in range(60)].count(None) == 50
    assert len(rates) == 0


def test_the_addresses_of_one_ipv6_network_are_one() -> None:
    rates = ConnectRates(HANDSHAKES, 0.0)
    assert [rates.take(f"2001:db8::{number:x}", 0.0) for number in range(20)].count(None) == 5
    assert rates.take("2001:db8:0:1::1", 0.0) is None


@given(st.lists(st.integers(0, 100), min_size=200, max_size=200))
def test_the_table_of_addresses_is_bounded(steps: list[int]) -> None:
    limits = HANDSHAKES.model_copy(update={"per_s_max": 1_000_000, "addresses_max": 50})
    rates, now, largest = ConnectRates(limits, 0.0), 0.0, 0
    for number, step in enumerate(steps):
        now += step / 10_000
        rates.take(f"10.0.0.{number}", now)
        largest = max(largest, len(rates))
    assert largest == 50


def test_addresses_that_had_their_rest_are_forgotten() -> None:
    rates = ConnectRates(HANDSHAKES, 0.0)
    for number in range(40):
        rates.take(f"10.0.0.{number}", 0.0)
    assert len(rates) == 40
    rates.take(HERE, 3_600.0)
    assert len(rates) == 1


def test_a_user_and_a_tenant_have_so_many_connections() -> None:
    counts = ConnectionCounts(CONNECTIONS)
    assert [counts.take(1, "a") for _ in range(3)] == [None] * 3
    refusal = counts.take(1, "a")
    assert refusal is not None
    assert refusal.kind == "user_full"
    assert refusal.closing == "retry_after_s=10; a user has at most 3 connections here"
    assert counts.take(2, "a") is None
    assert [counts.take(1, "b"), counts.take(1, "c")] == [None, None]
    refusal = counts.take(1, "d")
    assert refusal is not None
    assert refusal.kind == "tenant_full"
    counts.release(1, "b")
    assert counts.take(1, "d") is None


@given(st.lists(st.tuples(st.integers(1, 2), st.sampled_from("ab"), st.booleans()), max_size=100))
def test_seats_are_what_was_taken_and_not_given_back(steps: list[tuple[int, str, bool]]) -> None:
    counts, taken = ConnectionCounts(CONNECTIONS), list[tuple[int, str]]()
    for tenant, subject, come in steps:
        if come:
            has_room = taken.count((tenant, subject)) < 3 and sum(one[0] == tenant for one in taken) < 5
            assert (counts.take(tenant, subject) is None) is has_room
            if has_room:
                taken.append((tenant, subject))
        elif (tenant, subject) in taken:
            taken.remove((tenant, subject))
            counts.release(tenant, subject)
        assert len(counts) == len(set(taken)) + len({one[0] for one in taken})


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
