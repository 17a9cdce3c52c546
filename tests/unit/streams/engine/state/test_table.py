"""A table is what its changelog says, and nothing is loaded into one that is not there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.state.partition_state import PartitionState, TableSpec

COUNTERS = (TableSpec("count", int, int),)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9) | st.none()), max_size=60))
def test_a_table_survives_its_changelog(operations: list[tuple[int, int | None]]) -> None:
    state, restored = PartitionState(COUNTERS), PartitionState(COUNTERS)
    for index, (key, value) in enumerate(operations):
        if value is None:
            state["count"].delete(key)
        else:
            state["count"].put(key, value)
        if index % 7 == 0:
            for changed, stored in state.take_changes(3):
                restored.load(changed, stored)
    for changed, stored in state.take_changes(3):
        restored.load(changed, stored)
    assert restored["count"].data == state["count"].data
    assert state.dirty_count == 0


@pytest.mark.parametrize("bound", [None, 10])
def test_a_value_that_cannot_be_encoded_is_left_out(bound: int | None) -> None:
    specs = (TableSpec("any", tuple[int, int], Any, keys_per_group_max=bound),)
    state, restored = PartitionState(specs), PartitionState(specs)
    for key, value in ((1, "one"), (2, 10**30), (3, object()), (4, "four")):
        state["any"].put((1, key), value)
    state["any"].delete((1, 4))
    for key, stored in state.take_changes(3):
        restored.load(key, stored)
    assert restored["any"].data == {(1, 1): "one"}
    assert state.dirty_count == 0


def test_a_table_that_no_longer_exists_is_an_error_of_its_own() -> None:
    with pytest.raises(KeyError):
        PartitionState(COUNTERS).load(b"gone:1", b"")
