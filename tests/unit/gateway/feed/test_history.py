from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.history import History, StoredRecord


def stored(seq: int, size: int = 10) -> StoredRecord:
    return StoredRecord(seq, seq - 1, seq, 0, b"x" * size)


def seqs(records: list[StoredRecord] | None) -> list[int] | None:
    return None if records is None else [record.seq for record in records]


def test_the_whole_rest_or_none_of_it() -> None:
    history = History(3, 1000)
    for seq in range(1, 6):
        history.add(1, stored(seq))
    assert seqs(history.after(1, 2, 9)) == [3, 4, 5]
    assert seqs(history.after(1, 2, 2)) == [3, 4]
    assert seqs(history.after(1, 5, 9)) == []
    assert history.after(1, 1, 9) is None
    assert history.after(2, 0, 9) is None
    assert [history.reaches(1, seq) for seq in (1, 2, 5)] == [False, True, True]
    assert not history.reaches(2, 0)
    newest = history.newest(1)
    assert (newest and newest.seq, history.newest(2)) == (5, None)


def test_from_before_a_hole_nothing_can_be_given() -> None:
    history = History(10, 1000)
    history.add(1, stored(7))
    history.add(1, stored(12))
    assert history.after(1, 7, 9) is None
    assert seqs(history.after(1, 11, 9)) == [12]


def test_clearing_forgets() -> None:
    history = History(3, 1000)
    history.add(1, stored(1))
    history.clear()
    assert (history.bytes, history.messages, history.after(1, 0, 9)) == (0, 0, None)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 60)), max_size=200), st.integers(1, 5), st.integers(60, 300)
)
def test_it_is_bounded_and_forgets_the_oldest_first(
    adds: list[tuple[int, int]], messages_max: int, bytes_max: int
) -> None:
    history = History(messages_max, bytes_max)
    last: dict[int, int] = {}
    for tenant, size in adds:
        last[tenant] = last.get(tenant, 0) + 1
        history.add(tenant, stored(last[tenant], size))
        assert history.bytes <= bytes_max
        assert len(history._order) <= 2 * history.messages + 1
    kept = {tenant: [record.seq for record in records] for tenant, records in history._records.items()}
    assert sum(len(numbers) for numbers in kept.values()) == history.messages
    for tenant, numbers in kept.items():
        assert numbers == list(range(last[tenant] - len(numbers) + 1, last[tenant] + 1))
        assert len(numbers) <= messages_max
        for before in range(numbers[0] - 1, numbers[-1] + 1):
            assert seqs(history.after(tenant, before, 3)) == [seq for seq in numbers if seq > before][:3]
