"""The readers' rule: each record once, whatever a fenced-off writer or a repeat puts in the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchfloor_client.readers import FeedRule, generation_of


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
