import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.fuse import Fuse, FuseBlownError


def fuse(run_max: int = 3, share_max: float = 0.5, window_records: int = 10) -> Fuse:
    return Fuse(run_max=run_max, share_max=share_max, window_records=window_records)


def test_a_poison_record_now_and_then_is_borne() -> None:
    of = fuse()
    for _ in range(100):
        of.note(5, [2])


def test_a_run_blows_it_also_across_micro_batches() -> None:
    of = fuse()
    of.note(4, [2, 3])
    of.note(1, [0])
    with pytest.raises(FuseBlownError, match="more than 3 records in a row"):
        of.note(2, [0])


def test_a_good_record_ends_a_run() -> None:
    of = fuse()
    of.note(4, [1, 2, 3])
    of.note(4, [1, 2, 3])


def test_a_share_blows_it_once_there_are_enough_records() -> None:
    of = fuse(run_max=100)
    of.note(9, list(range(9)))
    with pytest.raises(FuseBlownError, match="10 of the latest 10"):
        of.note(1, [0])


def test_old_failures_are_forgotten() -> None:
    of = fuse(run_max=100)
    of.note(8, [0, 1, 2, 3, 4, 5, 6])
    of.note(9, [])
    of.note(10, [0, 1, 2, 3, 4])


@given(st.lists(st.booleans(), max_size=200), st.lists(st.integers(1, 7), max_size=60), st.integers(1, 5))
def test_the_run_is_the_same_however_the_log_is_cut(failures: list[bool], sizes: list[int], run_max: int) -> None:
    longest = max((len(run) for run in "".join("x" if failed else " " for failed in failures).split()), default=0)
    of, at = fuse(run_max=run_max, share_max=1.0), 0
    blown = False
    for size in [*sizes, len(failures)]:
        part = failures[at : at + size]
        at += len(part)
        try:
            of.note(len(part), [index for index, failed in enumerate(part) if failed])
        except FuseBlownError:
            blown = True
            break
    assert blown == (longest > run_max)
