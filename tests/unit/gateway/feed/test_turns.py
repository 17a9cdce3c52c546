from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.turns import FairTurns


def test_tenants_take_turns_and_then_their_users() -> None:
    turns: FairTurns[str] = FairTurns()
    for tenant, user, name in ((1, "a", "1a1"), (1, "a", "1a2"), (1, "b", "1b1"), (2, "c", "2c1"), (2, "c", "2c2")):
        turns.add(tenant, user, name)
    assert [turns.take() for _ in range(5)] == ["1a1", "2c1", "1b1", "2c2", "1a2"]
    assert not turns


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("ab")), max_size=60))
def test_nobody_waits_for_more_than_one_turn_of_each_other(waiting: list[tuple[int, str]]) -> None:
    turns: FairTurns[tuple[int, str, int]] = FairTurns()
    for number, (tenant, user) in enumerate(waiting):
        turns.add(tenant, user, (tenant, user, number))
    left, since = Counter(tenant for tenant, _ in waiting), Counter[tuple[int, int]]()
    order = []
    while turns:
        taken = turns.take()
        order.append(taken)
        for other in left:
            if other != taken[0] and left[other]:
                since[taken[0], other] += 1
                assert since[taken[0], other] <= 1
        for other in left:
            since[other, taken[0]] = 0
        left[taken[0]] -= 1
    assert sorted(number for _, _, number in order) == list(range(len(waiting)))
    for who in set(waiting):
        numbers = [number for tenant, user, number in order if (tenant, user) == who]
        assert numbers == sorted(numbers)
