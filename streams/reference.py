"""Reference data: rows that teach the tables and are never scored. Snapshots teach here too."""

from typing import cast

from contracts.envelope import Change
from contracts.rows import Assignment, Person, Site, Tenant
from detectors.attendance import Shift
from streams.tables import PersonState, SiteState, TenantState, TenantTables


def learn_tenant(tables: TenantTables, change: Change) -> None:
    """Take over a tenant's limit; a deleted tenant falls back to the default and keeps its seq."""
    row = cast(Tenant, change.row)
    tenant = tables.tenants.get(row.tenant_id) or TenantState()
    tenant.events_per_second_max = None if change.op == "d" else row.max_events_per_second
    tables.tenants.put(row.tenant_id, tenant)


def learn_site(tables: TenantTables, change: Change) -> None:
    """Keep a site's name and client."""
    row = cast(Site, change.row)
    key = (row.tenant_id, row.id)
    if change.op == "d":
        tables.sites.delete(key)
    else:
        tables.sites.put(key, SiteState(row.name, row.client_id))


def learn_person(tables: TenantTables, change: Change) -> None:
    """Keep a person's name."""
    row = cast(Person, change.row)
    key = (row.tenant_id, row.id)
    if change.op == "d":
        tables.persons.delete(key)
    else:
        tables.persons.put(key, PersonState(row.name))


class ShiftBook:
    """Keeps the shifts of each person.

    Args:
        shifts_per_person_max: of more shifts than this the ones that end first are forgotten.
    """

    def __init__(self, shifts_per_person_max: int) -> None:
        self._shifts_per_person_max = shifts_per_person_max

    def learn(self, tables: TenantTables, change: Change) -> None:
        """Add, move or remove one assignment; a row without person, site or times is no shift."""
        before, after = cast(Assignment | None, change.before), cast(Assignment | None, change.after)
        if before is not None and before.person_id is not None:
            self._remove(tables, (before.tenant_id, before.person_id), before.id)
        if after is None or change.op == "d":
            return
        if after.person_id is None or after.site_id is None or after.shift_start is None or after.shift_end is None:
            return
        shift = Shift(after.id, after.site_id, after.shift_start.timestamp(), after.shift_end.timestamp())
        self._add(tables, (after.tenant_id, after.person_id), shift)

    def _remove(self, tables: TenantTables, key: tuple[int, int], assignment_id: int) -> None:
        known = tables.shifts.get(key)
        if known is None:
            return
        left = [shift for shift in known if shift.assignment_id != assignment_id]
        if left:
            tables.shifts.put(key, left)
        else:
            tables.shifts.delete(key)

    def _add(self, tables: TenantTables, key: tuple[int, int], shift: Shift) -> None:
        known = [old for old in tables.shifts.get(key) or [] if old.assignment_id != shift.assignment_id]
        known.append(shift)
        if len(known) > self._shifts_per_person_max:
            known.sort(key=lambda each: each.end_s)
            known = known[-self._shifts_per_person_max :]
        tables.shifts.put(key, known)
