from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.feed.breaker import BreakerOpenError, DeadLetterBreaker


def fuse(tenants_min: int = 3, window_records: int = 100) -> DeadLetterBreaker:
    return DeadLetterBreaker(
        share_max=0.2, window_records=window_records, tenants_min=tenants_min, tenant_failures_min=5
    )


def key(tenant: int) -> bytes:
    return b'{"tenant_id":%d}' % tenant


def count(sut: DeadLetterBreaker, good: dict[int, int], bad: dict[int, int]) -> None:
    """One micro-batch: how many records of each tenant are good, and how many fail."""
    failed = [key(tenant) for tenant, number in bad.items() for _ in range(number)]
    sut.note([*failed, *(key(tenant) for tenant, number in good.items() for _ in range(number))], failed)


def test_a_poison_record_now_and_then_is_borne() -> None:
    sut = fuse()
    for _ in range(100):
        count(sut, dict.fromkeys(range(1, 6), 10), dict.fromkeys(range(1, 6), 1))


def test_a_poisonous_tenant_and_single_failures_of_others_stop_nobody() -> None:
    sut = fuse(tenants_min=2)
    for _ in range(50):
        count(sut, {}, {1: 300})
        count(sut, {3: 1, 4: 1}, {2: 1})


def test_two_poisonous_tenants_do_not_stop_five() -> None:
    sut = fuse(tenants_min=2)
    for _ in range(50):
        count(sut, {3: 20, 4: 20, 5: 20}, {1: 300, 2: 300})


def test_it_opens_where_most_tenants_fail() -> None:
    sut = fuse()
    for _ in range(6):
        count(sut, {5: 3}, dict.fromkeys(range(1, 5), 3))
    with pytest.raises(BreakerOpenError, match="of 4 tenants"):
        count(sut, {5: 3}, dict.fromkeys(range(1, 5), 3))


def test_it_opens_where_very_many_tenants_fail_with_a_record_each() -> None:
    sut = fuse()
    with pytest.raises(BreakerOpenError, match="of 100 tenants"):
        count(sut, {}, dict.fromkeys(range(1, 101), 1))


def test_it_does_not_judge_the_first_few_records() -> None:
    count(fuse(), {}, dict.fromkeys(range(1, 10), 11))


def test_old_failures_are_forgotten() -> None:
    sut = fuse(window_records=1_000)
    count(sut, {}, dict.fromkeys(range(1, 5), 200))
    for _ in range(4):
        count(sut, dict.fromkeys(range(1, 5), 300), {})
    count(sut, {}, dict.fromkeys(range(1, 5), 6))


def test_it_counts_nothing_while_no_record_fails() -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    fuse().note(never(), [])


@given(
    st.lists(st.dictionaries(st.integers(1, 9), st.integers(0, 60), max_size=9), max_size=20),
    st.lists(st.dictionaries(st.sampled_from((1, 2)), st.integers(0, 900), max_size=2), max_size=20),
)
def test_two_tenants_can_never_open_it(good: list[dict[int, int]], bad: list[dict[int, int]]) -> None:
    sut = fuse(tenants_min=3)
    for its_good, its_bad in zip(good, bad, strict=False):
        count(sut, its_good, its_bad)
