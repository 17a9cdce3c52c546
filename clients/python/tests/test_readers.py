"""The readers' rule: each record once, whatever a fenced-off writer or a repeat puts in the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchfloor_client.readers import HOLE_MAX, FeedRule, generation_of


def accepts(rule: FeedRule, partition: int, generation: int, seq: int, tenant_id: int = 1) -> bool:
    return rule.accepts(partition, generation, tenant_id=tenant_id, seq=seq)


def test_a_record_is_shown_once() -> None:
    rule = FeedRule()
    assert accepts(rule, 0, 1, 1)
    assert not accepts(rule, 0, 1, 1)
    assert accepts(rule, 0, 1, 2)
    assert rule.last_seq(1) == 2


def test_tenants_of_one_partition_do_not_touch() -> None:
    rule = FeedRule()
    assert accepts(rule, 0, 1, 9, tenant_id=1)
    assert accepts(rule, 0, 1, 1, tenant_id=2)
    assert rule.last_seq(3) == 0


def test_a_fence_ends_older_generations_of_its_partition_only() -> None:
    rule = FeedRule()
    rule.fence(0, 2)
    assert not accepts(rule, 0, 1, 1)
    assert accepts(rule, 1, 1, 1, tenant_id=5)
    assert accepts(rule, 0, 2, 1)


def test_a_late_fence_of_an_older_generation_does_not_lower_the_bar() -> None:
    rule = FeedRule()
    rule.fence(0, 3)
    rule.fence(0, 2)
    assert not accepts(rule, 0, 2, 1)


@given(
    last=st.integers(0, 10_000),
    forged=st.lists(st.integers(1, 2**63), max_size=5),
    distance=st.integers(1, 50),
    count=st.integers(1, 20),
)
def test_a_number_that_the_log_has_no_room_for_hides_nothing(
    last: int, forged: list[int], distance: int, count: int
) -> None:
    rule, offset = FeedRule(), 100_000
    assert rule.accepts(0, 1, tenant_id=1, seq=last + 1, offset=offset)
    for seq in forged:
        offset += distance
        if seq - (last + 1) > offset - 100_000 + HOLE_MAX:
            assert not rule.accepts(0, 1, tenant_id=1, seq=seq, offset=offset)
    for number in range(count):
        offset += distance
        assert rule.accepts(0, 1, tenant_id=1, seq=last + 2 + number, offset=offset)


def test_records_that_are_gone_leave_room_and_a_log_that_lost_its_end_bounds_nothing() -> None:
    rule = FeedRule()
    assert rule.accepts(0, 1, tenant_id=1, seq=5_000, offset=70_000), "a reader may begin anywhere"
    assert rule.accepts(0, 1, tenant_id=1, seq=25_000, offset=90_000), "as many as there were offsets"
    assert rule.accepts(0, 1, tenant_id=1, seq=25_900, offset=90_001), "some that never reached the log"
    assert not rule.accepts(0, 1, tenant_id=1, seq=30_000, offset=90_002)
    assert rule.accepts(0, 1, tenant_id=1, seq=40_000, offset=80_000), "the log was cut off below what was read"


@pytest.mark.parametrize("first", [True, False])
def test_without_offsets_only_what_no_log_can_reach_is_refused(first: bool) -> None:
    rule = FeedRule()
    if not first:
        assert accepts(rule, 0, 1, 1)
    assert not accepts(rule, 0, 1, 2**53)
    assert accepts(rule, 0, 1, 1_000_000)


@given(st.integers(1, 20), st.lists(st.integers(0, 19), max_size=5), st.integers(1, 20))
def test_takeovers_with_repeats_and_a_waking_writer_show_every_record_once(
    count: int, repeats: list[int], split: int
) -> None:
    first: list[tuple[int, int | None]] = [(1, seq) for seq in range(1, min(split, count) + 1)]
    log = [*first, (2, None)]  # the fence
    log += [(2, seq) for seq in range(max(1, len(first) - 1), count + 1)]  # the new owner repeats the tail
    for position in repeats:  # the old one wakes up after the fence and writes what it had in hand
        log.insert(len(first) + 1 + position % (len(log) - len(first)), (1, count + 5))
    rule = FeedRule()
    shown = []
    for generation, seq in log:
        if seq is None:
            rule.fence(0, generation)
        elif accepts(rule, 0, generation, seq):
            shown.append(seq)
    assert shown == list(range(1, count + 1))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [(None, 0), ([], 0), ([("x", b"1"), ("generation", b"12")], 12), ([("generation", None)], 0)],
)
def test_the_generation_is_a_header(headers: list[tuple[str, bytes | None]] | None, expected: int) -> None:
    assert generation_of(headers) == expected


def test_a_generation_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="invalid"):
        generation_of([("generation", b"x")])
