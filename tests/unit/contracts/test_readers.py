"""The readers' rule: each record once, whatever a fenced-off writer or a repeat puts in the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.feed import Fence, RateLimited, SourcePosition
from contracts.readers import FeedRule, generation_of


def record(seq: int, tenant_id: int = 1) -> RateLimited:
    position = SourcePosition("attendance", "1", seq, "t")
    return RateLimited(
        tenant_id=tenant_id, seq=seq, id="i", time="t", epoch="e", source=position, event_id="e",
        event_type="attendance", dropped=1, window="w", limit=1,
    )  # fmt: skip


def test_a_record_is_shown_once() -> None:
    rule = FeedRule()
    assert rule.accepts(0, 1, record(1))
    assert not rule.accepts(0, 1, record(1))
    assert rule.accepts(0, 1, record(2))
    assert rule.last_seq(1) == 2


def test_tenants_of_one_partition_do_not_touch() -> None:
    rule = FeedRule()
    assert rule.accepts(0, 1, record(9, tenant_id=1))
    assert rule.accepts(0, 1, record(1, tenant_id=2))
    assert rule.last_seq(3) == 0


def test_a_fence_is_not_shown_and_ends_older_generations_of_its_partition_only() -> None:
    rule = FeedRule()
    assert not rule.accepts(0, 2, Fence(generation=2, epoch="e"))
    assert not rule.accepts(0, 1, record(1))
    assert rule.accepts(1, 1, record(1, tenant_id=5))
    assert rule.accepts(0, 2, record(1))


def test_a_late_fence_of_an_older_generation_does_not_lower_the_bar() -> None:
    rule = FeedRule()
    rule.accepts(0, 3, Fence(generation=3, epoch="e"))
    rule.accepts(0, 2, Fence(generation=2, epoch="e"))
    assert not rule.accepts(0, 2, record(1))


@given(st.integers(1, 20), st.lists(st.integers(0, 19), max_size=5), st.integers(1, 20))
def test_takeovers_with_repeats_and_a_waking_writer_show_every_record_once(
    count: int, repeats: list[int], split: int
) -> None:
    first = [(1, record(seq)) for seq in range(1, min(split, count) + 1)]
    log: list[tuple[int, RateLimited | Fence]] = [*first, (2, Fence(generation=2, epoch="e"))]
    log += [(2, record(seq)) for seq in range(max(1, len(first) - 1), count + 1)]  # the new owner repeats the tail
    for position in repeats:  # the old one wakes up after the fence and writes what it had in hand
        log.insert(len(first) + 1 + position % (len(log) - len(first)), (1, record(count + 5)))
    rule = FeedRule()
    shown = [each.seq for generation, each in log if rule.accepts(0, generation, each) and not isinstance(each, Fence)]
    assert shown == list(range(1, count + 1))


@pytest.mark.parametrize(("headers", "expected"), [([], 0), ([("x", b"1"), ("generation", b"12")], 12)])
def test_the_generation_is_a_header(headers: list[tuple[str, bytes]], expected: int) -> None:
    assert generation_of(headers) == expected
