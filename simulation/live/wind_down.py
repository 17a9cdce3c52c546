"""How a run ends: people check out, work is closed, the devices are taken away.

A company that just stopped would be found: silent devices, missing check-outs, breached tickets. Pure; `sql` reads
what is open, `writer` commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulation.live.operations import Delete, Insert, Planted, Update, Value
from simulation.live.rounds import Told

ENDS = {"jobneed": "CANCELLED", "ticket": "CLOSED", "work_order": "CANCELLED"}
"""Tables of work, and with which status it is ended."""
ENDED = ("COMPLETED", "CLOSED", "DONE", "CANCELLED")
"""Statuses of work that has ended."""
CHECK_IN_AGE_MAX = timedelta(hours=11)
"""An older check-in is left alone: it was missed already, and a check-out now would make an endless day of it."""


@dataclass(frozen=True, slots=True)
class OpenRows:
    """What is open in the database."""

    check_ins: Sequence[tuple[int, int, int]]
    """Tenant, person and site of those whose last row is a check-in that is not too old."""
    work: Sequence[tuple[str, int, int]]
    """Table, tenant and id of the work that has not ended."""
    devices: Sequence[tuple[int, int]]
    """Tenant and id."""
    attendance_id: int
    """The next free one."""


def endings(rows: OpenRows, now: datetime) -> dict[int, list[Told]]:
    """By tenant the row changes that end what is open, first what could come due meanwhile."""
    told: dict[int, list[Told]] = {}
    for table, tenant_id, row_id in rows.work:
        values: dict[str, Value] = {"status": ENDS[table]}
        if table != "jobneed":
            values["updated_at"] = now
        planted = Planted.TICKET_UPDATED if table == "ticket" else None
        told.setdefault(tenant_id, []).append((Update(table, row_id, values), planted))
    for place, (tenant_id, person_id, site_id) in enumerate(rows.check_ins):
        ids = {"id": rows.attendance_id + place, "tenant_id": tenant_id, "site_id": site_id, "person_id": person_id}
        row = Insert("attendance", ids | {"event_type": "CHECK_OUT", "occurred_at": now})
        told.setdefault(tenant_id, []).append((row, None))
    for tenant_id, row_id in rows.devices:
        told.setdefault(tenant_id, []).append((Delete("device", row_id), None))
    return told
