"""Reference data: rows that teach the tables and are never scored. Snapshots teach here too."""

from typing import Any, cast

import msgspec

from contracts.envelope import Change
from contracts.rows import Assignment, Person, Policy, Site, Tenant, known
from detectors.policy import PolicyError
from detectors.shared.facts import Shift
from streams.detection.detector_runner import DetectorRunner
from streams.detection.site_context_cache import forget_site_contexts
from streams.state.entities import PersonState, PolicyState, SiteState, TenantState
from streams.state.tables import TenantTables


def learn_tenant(tables: TenantTables, change: Change) -> None:
    """Take over a tenant's limit and time zone; a deleted tenant falls back to the defaults and keeps its seq."""
    row = cast(Tenant, change.row)
    tenant = tables.tenants.get(row.tenant_id) or TenantState()
    tenant.events_per_second_max = None if change.op == "d" else row.max_events_per_second
    if tenant.timezone != (timezone := None if change.op == "d" else row.timezone):
        tenant.timezone = timezone
        forget_site_contexts(tables, row.tenant_id)
    tables.tenants.put(row.tenant_id, tenant)


def learn_site(tables: TenantTables, change: Change) -> None:
    """Keep what messages and detectors need of a site."""
    row = cast(Site, change.row)
    key = (row.tenant_id, row.id)
    forget_site_contexts(tables, row.tenant_id, row.id)
    if change.op == "d":
        tables.sites.delete(key)
    else:
        tables.sites.put(
            key,
            SiteState(
                row.name,
                row.client_id,
                row.latitude,
                row.longitude,
                row.geofence_radius_m,
                known(row.geofence),
                row.timezone,
            ),
        )


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
        judge: whose timers follow from shifts.
    """

    def __init__(self, shifts_per_person_max: int, judge: DetectorRunner) -> None:
        self._shifts_per_person_max = shifts_per_person_max
        self._runner = judge

    def learn(self, tables: TenantTables, change: Change) -> None:
        """Add, move or remove one assignment; a row without person, site or times is no shift."""
        before, after = cast(Assignment | None, change.before), cast(Assignment | None, change.after)
        if before is not None and before.person_id is not None:
            self._remove(tables, (before.tenant_id, before.person_id), before.id)
        shift = None if after is None or change.op == "d" else _shift(after)
        if shift is not None and after is not None and after.person_id is not None:
            self._add(tables, (after.tenant_id, after.person_id), shift)
        for person_id in {each.person_id for each in (before, after) if each is not None}:
            if person_id is not None:
                self._runner.replan(tables, change.row.tenant_id, person_id)

    def _remove(self, tables: TenantTables, key: tuple[int, int], assignment_id: int) -> None:
        held = tables.shifts.get(key)
        if held is None:
            return
        left = [shift for shift in held if shift.assignment_id != assignment_id]
        if left:
            tables.shifts.put(key, left)
        else:
            tables.shifts.delete(key)

    def _add(self, tables: TenantTables, key: tuple[int, int], shift: Shift) -> None:
        held = [old for old in tables.shifts.get(key) or [] if old.assignment_id != shift.assignment_id]
        held.append(shift)
        if len(held) > self._shifts_per_person_max:
            held.sort(key=lambda each: each.end_s)
            held = held[-self._shifts_per_person_max :]
        tables.shifts.put(key, held)


def _shift(row: Assignment) -> Shift | None:
    if row.site_id is None or row.shift_start is None or row.shift_end is None:
        return None
    return Shift(row.id, row.site_id, row.shift_start.timestamp(), row.shift_end.timestamp())


class PolicyBook:
    """Keeps the policies of tenants, clients and sites (B3.11).

    They are rows of the log like any other: a replay meets them where they were written, and judges by what held.

    Args:
        judge: whose detectors they are for.
    """

    def __init__(self, judge: DetectorRunner) -> None:
        self._runner = judge

    def learn(self, tables: TenantTables, change: Change) -> None:
        """Take over one policy row; it holds from the tenant's next row on, and for timers that wait already.

        Raises:
            PolicyError: its settings do not fit the detector. What held before goes on to hold.
        """
        row = cast(Policy, change.row)
        key = (row.tenant_id, row.id)
        held = tables.policies.get(key)
        made = None if change.op == "d" else self._read(row)
        if made is None:
            tables.policies.delete(key)
            tables.policy_rows.get(row.tenant_id, {}).pop(row.id, None)
        else:
            tables.policies.put(key, made)
            tables.policy_rows.setdefault(row.tenant_id, {})[row.id] = made
        forget_site_contexts(tables, row.tenant_id)
        for detector in {each.detector for each in (held, made) if each is not None}:
            self._runner.rearm_tenant(tables, row.tenant_id, detector)

    def _read(self, row: Policy) -> PolicyState:
        if row.detector is None or row.settings is None:
            raise PolicyError("a policy needs a detector and its settings")
        try:
            settings = msgspec.json.decode(row.settings, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise PolicyError(f"the settings are not a JSON object: {error}") from None
        self._runner.site_contexts.check(row.detector, settings)
        return PolicyState(row.client_id, row.site_id, row.detector, row.settings)
