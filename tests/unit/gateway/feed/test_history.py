from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.history import RECORD_BYTES, History, StoredRecord

MANY = 1 << 30


def stored(seq: int, size: int = 10) -> StoredRecord:
    return StoredRecord(seq, seq - 1, 100 + seq, 0, b"x" * size)


def seqs(records: list[StoredRecord] | None) -> list[int] | None:
    return None if records is None else [record.seq for record in records]


def test_the_whole_rest_or_none_of_it() -> None:
    history = History(3, MANY, MANY)
    for seq in range(1, 6):
        history.add(1, stored(seq))
    assert seqs(history.after(1, 2, 9, MANY)) == [3, 4, 5]
    assert seqs(history.after(1, 2, 2, MANY)) == [3, 4]
    assert seqs(history.after(1, 2, 9, 25)) == [3, 4]
    assert seqs(history.after(1, 2, 9, 1)) == [3], "at least one"
    assert seqs(history.after(1, 5, 9, MANY)) == []
    assert history.after(1, 1, 9, MANY) is None
    assert history.after(2, 0, 9, MANY) is None
    assert [history.reaches(1, seq) for seq in (1, 2, 5)] == [False, True, True]
    assert not history.reaches(2, 0)
    oldest = history.oldest(1)
    assert (oldest and oldest.seq, history.oldest(2)) == (3, None)
    assert (history.offsets(1).tolist(), history.offsets(2).tolist()) == ([103, 104, 105], [])
    assert (history.record_bytes(1), history.record_bytes(2)) == (10 + RECORD_BYTES, 0)


def test_from_before_a_hole_nothing_can_be_given() -> None:
    history = History(10, MANY, MANY)
    history.add(1, stored(7))
    history.add(1, stored(12))
    assert history.after(1, 7, 9, MANY) is None
    assert seqs(history.after(1, 11, 9, MANY)) == [12]


def test_clearing_forgets() -> None:
    history = History(3, MANY, MANY)
    history.add(1, stored(1))
    history.clear()
    assert (history.bytes, history.oldest(1), history.after(1, 0, 9, MANY)) == (0, None, None)


def test_what_is_larger_than_everything_is_not_kept() -> None:
    history = History(3, 5_000, 20_000)
    history.add(1, stored(1, 4_000))
    history.add(1, stored(2, 5_000))
    assert (history.bytes, history.oldest(1), history.reaches(1, 2)) == (0, None, False)


def test_a_tenant_that_writes_much_takes_nothing_from_the_others() -> None:
    history = History(10_000, 1 << 20, 1 << 20)
    for tenant in range(2, 10):
        for seq in range(1, 101):
            history.add(tenant, stored(seq, 1_000 - RECORD_BYTES))
    for seq in range(1, 5_001):
        history.add(1, stored(seq, 1_000))
    assert all(history.reaches(tenant, 0) for tenant in range(2, 10))
    assert history.reaches(1, 4_900), "what the others leave is its own"


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 600)), max_size=200),
    st.integers(1, 9),
    st.integers(900, 4_000),
    st.integers(1_000, 8_000),
)
def test_it_is_bounded_and_nobody_loses_its_share_to_another(
    adds: list[tuple[int, int]], messages_max: int, tenant_bytes_max: int, bytes_max: int
) -> None:
    history = History(messages_max, tenant_bytes_max, bytes_max)
    sizes: dict[int, list[int]] = {}
    share = bytes_max * 15 // 16 // 4
    for tenant, size in adds:
        written = sizes.setdefault(tenant, [])
        written.append(size + RECORD_BYTES)
        history.add(tenant, stored(len(written), size))
        assert history.bytes <= bytes_max
    kept = {tenant: [record.seq for record in each.records] for tenant, each in history._tenants.items()}
    assert history.bytes == sum(each.bytes for each in history._tenants.values())
    for tenant, written in sizes.items():
        numbers = kept.get(tenant, [])
        last = len(written)
        assert numbers == list(range(last - len(numbers) + 1, last + 1))
        assert len(numbers) <= messages_max
        assert sum(written[number - 1] for number in numbers) <= tenant_bytes_max
        if len(numbers) < min(messages_max, last):  # what it lost had not fitted into its share
            assert sum(written[last - len(numbers) - 1 :]) > min(share, tenant_bytes_max)
        for before in range(last - len(numbers), last + 1) if numbers else ():
            assert seqs(history.after(tenant, before, 3, MANY)) == [seq for seq in numbers if seq > before][:3]
