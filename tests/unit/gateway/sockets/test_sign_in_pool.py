from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.sockets.sign_in_pool import SignInPool


def test_the_address_with_the_most_gives_up_its_oldest() -> None:
    pool: SignInPool[str] = SignInPool(4)
    out = [each for name in ("a1", "b1", "a2", "a3", "b2", "a4") for each in pool.add(name, name[0])]
    assert out == ["a1", "a2"]
    pool.discard("b1")
    assert pool.add("c1", "c") == []
    assert pool.add("c2", "c") in (["a3"], ["b2"])
    assert len(pool) == 4


def test_one_address_alone_gives_up_its_oldest() -> None:
    pool: SignInPool[int] = SignInPool(2)
    assert [pool.add(number, "here") for number in range(4)] == [[], [], [0], [1]]


def test_whose_address_is_another_one_moves() -> None:
    pool: SignInPool[int] = SignInPool(3)
    for number in range(3):
        pool.add(number, "proxy")
    pool.add(1, "client")
    assert pool.add(3, "other") == [0]
    assert 1 in pool


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.booleans(), st.integers(0, 11), st.sampled_from("abc")), max_size=80),
)
def test_it_is_bounded_and_nobody_loses_a_place_to_who_has_more(
    sockets_max: int, steps: list[tuple[bool, int, str]]
) -> None:
    pool: SignInPool[int] = SignInPool(sockets_max)
    inside: dict[int, str] = {}
    for opens, socket, address in steps:
        if not opens:
            pool.discard(socket)
            inside.pop(socket, None)
            continue
        inside.pop(socket, None)
        counts = Counter(inside.values())
        out = pool.add(socket, address)
        assert len(out) == max(0, len(inside) + 1 - sockets_max)
        for each in out:
            assert counts[inside[each]] == max(counts.values())
            assert each == next(other for other in inside if inside[other] == inside[each])
            del inside[each]
        inside[socket] = address
        assert set(inside) == {number for number in range(12) if number in pool}
        assert len(pool) == len(inside) <= sockets_max
