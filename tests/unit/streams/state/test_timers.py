"""The index of what is due says what a look at everything would say, in the order of time."""

from hypothesis import given
from hypothesis import strategies as st

from streams.state.timers import Timer, Timers

Armed = dict[tuple[int, int], int]
"""(tenant, entity) to when it is due: what the tables say."""
steps = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.none() | st.integers(0, 50)), max_size=60)
"""Arm an entity's timer for a time, or disarm it."""


def index_of(armed: Armed) -> Timers:
    return Timers(lambda tenant, timer: armed.get((tenant, timer.entity_id)) == timer.due_ms)


def play(drawn: list[tuple[int, int, int | None]]) -> tuple[Armed, Timers]:
    armed: Armed = {}
    timers = index_of(armed)
    for tenant, entity, due_ms in drawn:
        if due_ms is None:
            armed.pop((tenant, entity), None)
        else:
            armed[tenant, entity] = due_ms
            timers.add(tenant, Timer(due_ms, "t", entity))
    return armed, timers


@given(steps)
def test_the_next_timer_is_the_earliest_of_those_that_hold(drawn: list[tuple[int, int, int | None]]) -> None:
    armed, timers = play(drawn)
    assert timers.next_ms() == min(armed.values(), default=None)
    for tenant in (1, 2, 3):
        own = [Timer(due_ms, "t", entity) for (whose, entity), due_ms in armed.items() if whose == tenant]
        assert timers.next_of(tenant) == min(own, default=None)


@given(steps, st.integers(0, 50))
def test_what_is_due_comes_once_and_in_order(drawn: list[tuple[int, int, int | None]], until_ms: int) -> None:
    armed, timers = play(drawn)
    expected = {
        tenant: sorted((due_ms, entity) for (whose, entity), due_ms in armed.items() if whose == tenant)
        for tenant in (1, 2, 3)
    }
    for tenant in timers.tenants_due(until_ms):
        fired = []
        while (timer := timers.next_of(tenant)) is not None and timer.due_ms <= until_ms:
            fired.append((timer.due_ms, timer.entity_id))
            del armed[tenant, timer.entity_id]
            timers.take(tenant)
        assert fired == [each for each in expected[tenant] if each[0] <= until_ms]
    assert all(due_ms > until_ms for due_ms in armed.values())
    assert timers.next_ms() == min(armed.values(), default=None)


def test_a_new_owner_builds_the_same_index_from_the_tables() -> None:
    armed: Armed = {(1, 1): 30, (1, 2): 10, (2, 1): 20}
    built = Timers(
        lambda tenant, timer: armed.get((tenant, timer.entity_id)) == timer.due_ms,
        [(tenant, Timer(due_ms, "t", entity)) for (tenant, entity), due_ms in armed.items()],
    )
    assert (built.next_ms(), built.next_of(1), built.next_of(2)) == (10, Timer(10, "t", 2), Timer(20, "t", 1))
