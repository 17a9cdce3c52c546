"""Handles a row of reference data: stores it in the tables and never scores it. Snapshot rows are treated like others.

Reads: changes of tenant, site, person, assignment and policy. Key: the tenant. State: their tables in `streams.state`.
Returns: findings about impossible values, and the outcomes of the events that have waited for this row.
On failure: if an exception is raised, the record becomes a dead letter and the tables keep the previous row.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec

from contracts.envelope import Change
from contracts.rows import Assignment, Person, Policy, Site, Tenant, known
from detectors.policy import PolicyError
from detectors.row_quality.data_quality import Reason, clean, quality_draft
from detectors.shared.facts import Shift
from streams.detection.detector_runner import DetectorRunner
from streams.detection.reference_wait import REFERENCES, ReferenceWait
from streams.detection.site_context_cache import forget_site_contexts
from streams.engine.model import Entry
from streams.handlers.scored_row import ScoredRowHandler
from streams.outcomes import FindingRaised, Outcome
from streams.state.entities import PersonState, PolicyState, SiteState, TenantState
from streams.state.tables import TenantTables


class ReferenceRowHandler:
    """Stores reference data.

    Args:
        runner: its site contexts say which values are impossible; its timers depend on shifts and policies.
        reference_wait: the waiting events, which a row may release.
        shifts_per_person_max: how many shifts of a person are kept; beyond that the ones that end first are dropped.
    """

    def __init__(
        self,
        runner: DetectorRunner,
        reference_wait: ReferenceWait,
        scored_rows: ScoredRowHandler,
        *,
        shifts_per_person_max: int,
    ) -> None:
        self._site_contexts = runner.site_contexts
        self._timers = runner.timers
        self._wait = reference_wait
        self._scored_rows = scored_rows
        self._shifts_per_person_max = shifts_per_person_max
        self._learners: dict[str, Callable[[TenantTables, Change], None]] = {
            "tenant": learn_tenant,
            "site": learn_site,
            "person": learn_person,
            "assignment": self._learn_shift,
            "policy": self._learn_policy,
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """The canonical names of the tables whose rows it handles."""
        return tuple(self._learners)

    def handle(self, tables: TenantTables, entry: Entry) -> Iterable[Outcome]:
        """Store a row without its impossible values, then judge the events that have waited for it."""
        change: Change = entry.change
        tenant_id, row, reasons = change.row.tenant_id, change.row, cast(Sequence[Reason], ())
        quality = self._site_contexts.at(tables, tenant_id, None).quality
        if quality is not None and change.op != "d":
            row, reasons = clean(change.table, row, change.commit_us, quality, change.before)
        learn = self._learners[change.table]
        learn(tables, change if row is change.row else msgspec.structs.replace(change, after=row, row=row))
        if reasons and not change.snapshot:
            yield self._finding(tables, entry, row, reasons)
        if change.table in REFERENCES and tenant_id in tables.wait_queues:
            released = self._wait.release(tables, tenant_id, change.commit_us // 1000)
            yield from self._scored_rows.judge_released(tables, released)

    def _finding(self, tables: TenantTables, entry: Entry, row: Any, reasons: Sequence[Reason]) -> FindingRaised:
        change: Change = entry.change
        tenant_id = change.row.tenant_id
        site_id = row.id if change.table == "site" else getattr(row, "site_id", None)
        person_id = getattr(row, "person_id", None)
        context = self._site_contexts.at(tables, tenant_id, site_id)
        person = None if person_id is None else tables.persons.get((tenant_id, person_id))
        name = person.name if person else None
        return FindingRaised(entry, change, context, site_id, person_id, name, [quality_draft(reasons)])

    def _learn_shift(self, tables: TenantTables, change: Change) -> None:
        """Add, move or remove an assignment; a row without person, site or times is not a shift."""
        before, after = cast(Assignment | None, change.before), cast(Assignment | None, change.after)
        if before is not None and before.person_id is not None:
            key = (before.tenant_id, before.person_id)
            if left := _shifts_but(tables, key, before.id):
                tables.shifts.put(key, left)
            else:
                tables.shifts.delete(key)
        shift = None if after is None or change.op == "d" else _shift(after)
        if shift is not None and after is not None and after.person_id is not None:
            key = (after.tenant_id, after.person_id)
            held = [*_shifts_but(tables, key, shift.assignment_id), shift]
            if len(held) > self._shifts_per_person_max:
                held = sorted(held, key=lambda each: each.end_s)[-self._shifts_per_person_max :]
            tables.shifts.put(key, held)
        for person_id in {each.person_id for each in (before, after) if each is not None}:
            if person_id is not None:
                self._timers.replan(tables, change.row.tenant_id, person_id)

    def _learn_policy(self, tables: TenantTables, change: Change) -> None:
        """Store a policy row; it applies from the tenant's next row on, and to timers that are already set.

        It is a row of the log like any other, so a replay reads it at the same position and uses what applied then.

        Raises:
            PolicyError: its settings do not fit the detector; the previous policy still applies.
        """
        row = cast(Policy, change.row)
        key = (row.tenant_id, row.id)
        held = tables.policies.get(key)
        made = None if change.op == "d" else self._read_policy(row)
        if made is None:
            tables.policies.delete(key)
            tables.policy_rows.get(row.tenant_id, {}).pop(row.id, None)
        else:
            tables.policies.put(key, made)
            tables.policy_rows.setdefault(row.tenant_id, {})[row.id] = made
        forget_site_contexts(tables, row.tenant_id)
        for detector in {each.detector for each in (held, made) if each is not None}:
            self._timers.rearm_tenant(tables, row.tenant_id, detector)

    def _read_policy(self, row: Policy) -> PolicyState:
        if row.detector is None or row.settings is None:
            raise PolicyError("a policy needs a detector and its settings")
        try:
            settings = msgspec.json.decode(row.settings, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise PolicyError(f"the settings are not a JSON object: {error}") from None
        self._site_contexts.check(row.detector, settings)
        return PolicyState(row.client_id, row.site_id, row.detector, row.settings)


def learn_tenant(tables: TenantTables, change: Change) -> None:
    """Store a tenant's limit and time zone; a deleted tenant gets the defaults and keeps its seq."""
    row = cast(Tenant, change.row)
    tenant = tables.tenants.get(row.tenant_id) or TenantState()
    tenant.events_per_second_max = None if change.op == "d" else row.max_events_per_second
    if tenant.timezone != (timezone := None if change.op == "d" else row.timezone):
        tenant.timezone = timezone
        forget_site_contexts(tables, row.tenant_id)
    tables.tenants.put(row.tenant_id, tenant)


def learn_site(tables: TenantTables, change: Change) -> None:
    """Store the columns of a site that messages and detectors need."""
    row = cast(Site, change.row)
    key = (row.tenant_id, row.id)
    forget_site_contexts(tables, row.tenant_id, row.id)
    if change.op == "d":
        tables.sites.delete(key)
    else:
        area = (row.latitude, row.longitude, row.geofence_radius_m, known(row.geofence))
        tables.sites.put(key, SiteState(row.name, row.client_id, *area, row.timezone))


def learn_person(tables: TenantTables, change: Change) -> None:
    """Store the name of a person."""
    row = cast(Person, change.row)
    key = (row.tenant_id, row.id)
    if change.op == "d":
        tables.persons.delete(key)
    else:
        tables.persons.put(key, PersonState(row.name))


def _shifts_but(tables: TenantTables, key: tuple[int, int], assignment_id: int) -> list[Shift]:
    """A person's shifts without that of an assignment."""
    return [shift for shift in tables.shifts.get(key) or [] if shift.assignment_id != assignment_id]


def _shift(row: Assignment) -> Shift | None:
    if row.site_id is None or row.shift_start is None or row.shift_end is None:
        return None
    return Shift(row.id, row.site_id, row.shift_start.timestamp(), row.shift_end.timestamp())
