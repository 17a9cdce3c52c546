"""How a run of the demo ends."""

from datetime import UTC, datetime

from simulation.live.wind_down import OpenRows, endings
from simulation.records import Row

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_people_check_out_work_is_closed_and_devices_go() -> None:
    work = [("ticket", 1, 5, "OPEN"), ("jobneed", 2, 6, "ASSIGNED")]
    rows = OpenRows([(1, 17, 4), (1, 18, 4)], work, [(2, 1004)], attendance_id=70)
    changes = {
        tenant_id: [(change.table, change.op, change.after) for change in each]
        for tenant_id, each in endings(rows, NOW.timestamp()).items()
    }
    assert changes == {
        1: [
            ("ticket", "u", {"id": 5, "tenant_id": 1, "status": "CLOSED", "updated_at": NOW}),
            ("attendance", "c", _out(70, 17)),
            ("attendance", "c", _out(71, 18)),
        ],
        2: [("jobneed", "u", {"id": 6, "tenant_id": 2, "status": "CANCELLED"}), ("device", "d", None)],
    }


def _out(row_id: int, person: int) -> Row:
    ids = {"id": row_id, "tenant_id": 1, "site_id": 4, "person_id": person}
    return ids | {"event_type": "CHECK_OUT", "occurred_at": NOW}
