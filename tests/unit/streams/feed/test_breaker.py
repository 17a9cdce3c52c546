import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.feed.breaker import BreakerOpenError, DeadLetterBreaker


class Counting(DeadLetterBreaker):
    """A fuse whose failures are of one tenant each unless a test says otherwise."""

    def count(self, records: int, failed: list[int], key: bytes | None = b"1") -> None:
        self.note(records, dict.fromkeys(failed, key))


def fuse(run_max: int = 3, share_max: float = 0.5, window_records: int = 10, tenants_min: int = 1) -> Counting:
    return Counting(run_max=run_max, share_max=share_max, window_records=window_records, tenants_min=tenants_min)


def test_a_poison_record_now_and_then_is_borne() -> None:
    of = fuse()
    for _ in range(100):
        of.count(5, [2])


def test_a_run_blows_it_also_across_micro_batches() -> None:
    of = fuse()
    of.count(4, [2, 3])
    of.count(1, [0])
    with pytest.raises(BreakerOpenError, match="more than 3 records in a row"):
        of.count(2, [0])


def test_a_good_record_ends_a_run() -> None:
    of = fuse()
    of.count(4, [1, 2, 3])
    of.count(4, [1, 2, 3])


def test_a_share_blows_it_once_there_are_enough_records() -> None:
    of = fuse(run_max=100)
    of.count(9, list(range(9)))
    with pytest.raises(BreakerOpenError, match="10 of the latest 10"):
        of.count(1, [0])


def test_old_failures_are_forgotten() -> None:
    of = fuse(run_max=100)
    of.count(8, [0, 1, 2, 3, 4, 5, 6])
    of.count(9, [])
    of.count(10, [0, 1, 2, 3, 4])


def test_one_tenants_rows_do_not_stop_the_others() -> None:
    of = fuse(tenants_min=2)
    for _ in range(100):
        of.count(10, list(range(10)), b"1")
    with pytest.raises(BreakerOpenError, match="of 2 tenants"):
        of.count(1, [0], b"2")


@given(st.lists(st.booleans(), max_size=200), st.lists(st.integers(1, 7), max_size=60), st.integers(1, 5))
def test_the_run_is_the_same_however_the_log_is_cut(failures: list[bool], sizes: list[int], run_max: int) -> None:
    longest = max((len(run) for run in "".join("x" if failed else " " for failed in failures).split()), default=0)
    of, at = fuse(run_max=run_max, share_max=1.0), 0
    blown = False
    for size in [*sizes, len(failures)]:
        part = failures[at : at + size]
        at += len(part)
        try:
            of.count(len(part), [index for index, failed in enumerate(part) if failed])
        except BreakerOpenError:
            blown = True
            break
    assert blown == (longest > run_max)
