"""How a run of the demo ends, and how many rows come at once."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from simulation.live.operations import Delete, Insert, Planted, Update
from simulation.live.rounds import rounds
from simulation.live.wind_down import OpenRows, endings

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_people_check_out_work_is_closed_and_devices_go() -> None:
    rows = OpenRows([(1, 17, 4), (1, 18, 4)], [("ticket", 1, 5), ("jobneed", 2, 6)], [(2, 1004)], attendance_id=70)
    assert endings(rows, NOW) == {
        1: [
            (Update("ticket", 5, {"status": "CLOSED", "updated_at": NOW}), Planted.TICKET_UPDATED),
            (_out(70, 17), None),
            (_out(71, 18), None),
        ],
        2: [(Update("jobneed", 6, {"status": "CANCELLED"}), None), (Delete("device", 1004), None)],
    }


def _out(row_id: int, person: int) -> Insert:
    ids = {"id": row_id, "tenant_id": 1, "site_id": 4, "person_id": person}
    return Insert("attendance", ids | {"event_type": "CHECK_OUT", "occurred_at": NOW})


@given(sizes=st.dictionaries(st.integers(1, 9), st.integers(0, 50)), most=st.integers(1, 20))
def test_rounds_keep_the_order_lose_nothing_and_stay_small(sizes: dict[int, int], most: int) -> None:
    rows = {tenant: [(Delete("device", number), None) for number in range(size)] for tenant, size in sizes.items()}
    made = rounds(rows, most)  # type: ignore[arg-type]
    for tenant, told in rows.items():
        parts = [[each.operations for each in one if each.tenant_id == tenant] for one in made]
        assert all(len(part) <= 1 for part in parts)
        assert [row for part in parts for one in part for row in one] == [row for row, _ in told]
    assert all(1 <= len(each.operations) <= most for one in made for each in one)
