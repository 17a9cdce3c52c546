"""What is committed together: how many rows come at once, and which tickets the feed shows."""

import doctest

from hypothesis import given
from hypothesis import strategies as st

from simulation.live import transactions
from simulation.live.transactions import TICKET_UPDATED, rounds, transaction
from simulation.records import RowChange


def test_the_examples_hold() -> None:
    assert doctest.testmod(transactions).failed == 0


@given(sizes=st.dictionaries(st.integers(1, 9), st.integers(0, 50)), most=st.integers(1, 20))
def test_rounds_keep_the_order_lose_nothing_and_stay_small(sizes: dict[int, int], most: int) -> None:
    rows = {
        tenant: [RowChange("device", "d", {"id": number}, None, 0) for number in range(size)]
        for tenant, size in sizes.items()
    }
    made = rounds(rows, most)
    for tenant, changes in rows.items():
        parts = [[each.changes for each in one if each.tenant_id == tenant] for one in made]
        assert all(len(part) <= 1 for part in parts)
        assert [change for part in parts for one in part for change in one] == changes
    assert all(1 <= len(each.changes) <= most for one in made for each in one)


def test_only_a_ticket_whose_status_changes_shows() -> None:
    before = {"id": 5, "tenant_id": 1, "status": "NEW", "assigned_to": None}
    opened = RowChange("ticket", "u", before, before | {"status": "OPEN"}, 0)
    assigned = RowChange("ticket", "u", before, before | {"assigned_to": 7}, 0)
    created = RowChange("ticket", "c", None, before, 0)
    assert transaction(1, [opened, assigned, created]).planted == (TICKET_UPDATED,)
