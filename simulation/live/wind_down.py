"""How a run ends: people check out, work is closed, the devices are taken away.

A company that just stopped would be found: silent devices, missing check-outs, breached tickets. Pure; `sql` reads
what is open, `writer` commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from simulation.records import Row, RowChange
from simulation.world.attendance import CHECK_OUT
from simulation.world.calendar import HOUR_S, moment

FINAL_STATUS = {"jobneed": "CANCELLED", "ticket": "CLOSED", "work_order": "CANCELLED"}
"""Tables of work, and with which status it is ended."""
CHECK_IN_AGE_S_MAX = 11 * HOUR_S
"""An older check-in is left alone: it was missed already, and a check-out now would make an endless day of it."""


@dataclass(frozen=True, slots=True)
class OpenRows:
    """What is open in the database."""

    check_ins: Sequence[tuple[int, int, int]]
    """Tenant, person and site of those whose last row is a check-in that is not too old."""
    work: Sequence[tuple[str, int, int, str]]
    """Table, tenant, id and status of the work that has not ended."""
    devices: Sequence[tuple[int, int]]
    """Tenant and id."""
    attendance_id: int
    """The next free one."""


def endings(rows: OpenRows, now_s: float) -> dict[int, list[RowChange]]:
    """By tenant the row changes that end what is open, first what could come due meanwhile."""
    changes: dict[int, list[RowChange]] = {}
    now, now_us = moment(now_s), round(now_s * 1e6)

    def add(tenant_id: int, table: str, before: Row | None, after: Row | None) -> None:
        change = RowChange(table, "c" if before is None else "d" if after is None else "u", before, after, now_us)
        changes.setdefault(tenant_id, []).append(change)

    for table, tenant_id, row_id, status in rows.work:
        before: Row = {"id": row_id, "tenant_id": tenant_id, "status": status}
        stamp = {} if table == "jobneed" else {"updated_at": now}
        add(tenant_id, table, before, before | {"status": FINAL_STATUS[table]} | stamp)
    for number, (tenant_id, person_id, site_id) in enumerate(rows.check_ins):
        row = {"id": rows.attendance_id + number, "tenant_id": tenant_id, "site_id": site_id, "person_id": person_id}
        add(tenant_id, "attendance", None, row | {"event_type": CHECK_OUT, "occurred_at": now})
    for tenant_id, row_id in rows.devices:
        add(tenant_id, "device", {"id": row_id, "tenant_id": tenant_id}, None)
    return changes
