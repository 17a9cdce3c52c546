"""Handles a row of reference data: stores it in the tables and never scores it. Snapshot rows are treated like others.

Reads: changes of tenant, site, person, assignment and policy. Key: the tenant. State: their tables in `streams.state`.
Returns: findings about impossible values, and the outcomes of the events that have waited for this row.
On failure: if an exception is raised, the record becomes a dead letter and the tables keep the previous row.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

import msgspec
from msgspec.structs import replace

from contracts.envelope import Change
from contracts.rows import Assignment, Person, Policy, Site, Tenant, known
from detectors.policy import PolicyError
from detectors.row_quality.data_quality import Reason, clean, quality_draft
from detectors.shared.facts import Shift
from detectors.shared.geofence import GEOJSON_BYTES_MAX
from streams.detection.detector_runner import DetectorRunner
from streams.detection.reference_wait import ReferenceWait
from streams.detection.site_context_cache import forget_site_contexts
from streams.engine.model import Entry
from streams.handlers.scored_row import ScoredRowHandler
from streams.outcomes import FindingRaised, Outcome
from streams.rate_limit.reference_limit import ReferenceLimit
from streams.state.entities import PersonState, PolicyState, SiteState, TenantState
from streams.state.policy_rows import SAME_MAX, PolicyRows
from streams.state.tables import TenantTables

_NAME_CHARACTERS_MAX = 10_000
_SETTINGS_CHARACTERS_MAX = 10_000
"""Of a policy row: several times what all fields of a detector take."""


class Learner(Protocol):
    """Stores a row of reference data."""

    def __call__(self, tables: TenantTables, change: Change) -> None:
        """Update the tables with the row."""
        ...


class ReferenceRowHandler:
    """Stores reference data.

    Args:
        runner: its site contexts say which values are impossible; its timers depend on shifts and policies.
        reference_wait: the waiting events, which a row may release.
        limit: which rows get all their work.
        shifts_per_person_max: how many shifts of a person are kept; beyond that the ones that end first are dropped.
        policies_per_tenant_max: how many policies a tenant can have; further rows become dead letters.
    """

    def __init__(
        self,
        runner: DetectorRunner,
        reference_wait: ReferenceWait,
        scored_rows: ScoredRowHandler,
        *,
        limit: ReferenceLimit,
        shifts_per_person_max: int,
        policies_per_tenant_max: int,
    ) -> None:
        self._site_contexts = runner.site_contexts
        self._wait = reference_wait
        self._scored_rows = scored_rows
        self._limit = limit
        self._learners: dict[str, Learner] = {
            "tenant": learn_tenant,
            "site": learn_site,
            "person": learn_person,
            "assignment": ShiftLearner(runner, shifts_per_person_max),
            "policy": PolicyLearner(runner, policies_per_tenant_max),
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """The canonical names of the tables whose rows it handles."""
        return tuple(self._learners)

    def handle(self, tables: TenantTables, entry: Entry) -> Iterable[Outcome]:
        """Store a row without its impossible values, then judge the events that have waited for it."""
        change: Change = entry.change
        tenant_id = change.row.tenant_id
        within = self._limit.admit(tables, tenant_id, change.commit_us // 1000)
        row, reasons = self._cleaned(tables, change)
        learn = self._learners[change.table]
        learn(tables, change if row is change.row else replace(change, after=row, row=row))
        if reasons and within and not change.snapshot:
            yield self._finding(tables, entry, row, reasons)
        if self._wait.is_awaited(tables, change):
            released = self._wait.release(tables, tenant_id, change.commit_us // 1000)
            yield from self._scored_rows.judge_released(tables, released)

    def _cleaned(self, tables: TenantTables, change: Change) -> tuple[Any, Sequence[Reason]]:
        """The row without its impossible values, and the reasons."""
        row: Any = change.row
        quality = self._site_contexts.at(tables, row.tenant_id, None).quality
        if change.op == "d":
            return row, ()
        reasons: Sequence[Reason] = ()
        if isinstance(row, Site) and (geofence := known(row.geofence)):
            key, commit_ms = (row.tenant_id, row.id), change.commit_us // 1000
            if not self._limit.admit_geofence(tables, key, commit_ms, len(geofence)):
                row = replace(row, geofence="")  # which is no area either: no circle must replace it
                reasons = [
                    Reason("no_area", "geofence", "the tenant's geofences are too long together, or change too often")
                ]
        if quality is None:
            return row, reasons
        if reasons:
            without, others = clean(change.table, replace(row, geofence=None), change.commit_us, quality, change.before)
            return replace(without, geofence=""), [*reasons, *others]
        return clean(change.table, row, change.commit_us, quality, change.before)

    def _finding(self, tables: TenantTables, entry: Entry, row: Any, reasons: Sequence[Reason]) -> FindingRaised:
        change: Change = entry.change
        tenant_id = change.row.tenant_id
        site_id = row.id if change.table == "site" else getattr(row, "site_id", None)
        person_id = getattr(row, "person_id", None)
        context = self._site_contexts.at(tables, tenant_id, site_id)
        person = None if person_id is None else tables.persons.get((tenant_id, person_id))
        name = person.name if person else None
        return FindingRaised(entry, change, context, site_id, person_id, name, [quality_draft(reasons)])


def learn_tenant(tables: TenantTables, change: Change) -> None:
    """Store a tenant's limit and time zone; a deleted tenant gets the defaults and keeps its seq."""
    row = cast(Tenant, change.row)
    tenant = tables.tenants.get(row.tenant_id) or TenantState()
    tenant.events_per_second_max = None if change.op == "d" else row.max_events_per_second
    if tenant.timezone != (timezone := None if change.op == "d" else _shortened(row.timezone)):
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
        tables.put_site(
            key,
            SiteState(
                _shortened(row.name),
                row.client_id,
                row.latitude,
                row.longitude,
                row.geofence_radius_m,
                _kept(known(row.geofence)),
                _shortened(row.timezone),
            ),
        )


def learn_person(tables: TenantTables, change: Change) -> None:
    """Store the name of a person."""
    row = cast(Person, change.row)
    key = (row.tenant_id, row.id)
    if change.op == "d":
        tables.persons.delete(key)
    else:
        tables.persons.put(key, PersonState(_shortened(row.name)))


def _kept(geofence: str | None) -> str | None:
    """A geofence as it is kept: one that is too long is no area, and its text is not needed to see that."""
    return "" if geofence and len(geofence) > GEOJSON_BYTES_MAX else geofence


def _shortened(text: str | None) -> str | None:
    """A name as it is kept: at most 10,000 characters, so that no row takes much of the memory or of a message."""
    return text[:_NAME_CHARACTERS_MAX] if text else text


class ShiftLearner:
    """Stores the shifts of each person.

    Args:
        runner: its timers depend on shifts.
        shifts_per_person_max: how many shifts of a person are kept; beyond that the ones that end first are dropped.
    """

    def __init__(self, runner: DetectorRunner, shifts_per_person_max: int) -> None:
        self._timers = runner.timers
        self._shifts_per_person_max = shifts_per_person_max

    def __call__(self, tables: TenantTables, change: Change) -> None:
        """Add, move or remove an assignment; a row without person, site or times is not a shift."""
        before, after = cast(Assignment | None, change.before), cast(Assignment | None, change.after)
        if before is not None and before.person_id is not None:
            self._remove(tables, (before.tenant_id, before.person_id), before.id)
        shift = None if after is None or change.op == "d" else _shift(after)
        if shift is not None and after is not None and after.person_id is not None:
            self._add(tables, (after.tenant_id, after.person_id), shift)
        for person_id in {each.person_id for each in (before, after) if each is not None}:
            if person_id is not None:
                self._timers.replan(tables, change.row.tenant_id, person_id)

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


class PolicyLearner:
    """Stores the policies of tenants, clients and sites.

    They are rows of the log like any other, so a replay reads them at the same position and uses what applied then.

    Args:
        runner: the detectors that use the policies.
        rows_max: how many policies a tenant can have.
    """

    def __init__(self, runner: DetectorRunner, rows_max: int) -> None:
        self._site_contexts = runner.site_contexts
        self._timers = runner.timers
        self._rows_max = rows_max

    def __call__(self, tables: TenantTables, change: Change) -> None:
        """Store a policy row; it applies from the tenant's next row on, and to timers that are already set.

        Raises:
            PolicyError: its settings do not fit the detector, or the tenant has too many; the previous policy still
                applies.
        """
        row = cast(Policy, change.row)
        key = (row.tenant_id, row.id)
        held = tables.policies.get(key)
        made = None if change.op == "d" else self._read(row)
        rows = tables.policy_rows.setdefault(row.tenant_id, PolicyRows())
        if made is None:
            tables.policies.delete(key)
            rows.remove(row.id)
        elif not rows.has_room(row.id, made, self._rows_max):
            raise PolicyError(
                f"the tenant has {self._rows_max} policies (worker.state.policies_per_tenant_max), or {SAME_MAX} of this "
                "detector for the same client and site"
            )
        else:
            tables.policies.put(key, made)
            rows.put(row.id, made)
        forget_site_contexts(tables, row.tenant_id)
        changed = {each.detector for each in (held, made) if each is not None}
        self._timers.rearm_tenant(tables, row.tenant_id, changed, change.commit_us // 1000)

    def _read(self, row: Policy) -> PolicyState:
        if row.detector is None or row.settings is None:
            raise PolicyError("a policy needs a detector and its settings")
        if len(row.settings) > _SETTINGS_CHARACTERS_MAX:
            raise PolicyError(f"the settings have more than {_SETTINGS_CHARACTERS_MAX} characters")
        try:
            settings = msgspec.json.decode(row.settings, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise PolicyError(f"the settings are not a JSON object: {error}") from None
        self._site_contexts.check(row.detector, settings)
        return PolicyState(row.client_id, row.site_id, row.detector, row.settings)
