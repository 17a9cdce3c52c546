"""The timers of detectors that find absences: set when a state changes, moved when policies or shifts change, fired.

Owns when the timer of a group is due. The state is in the group's table, the order of all timers in
`streams.state.timers`.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import msgspec

from contracts.envelope import Change
from detectors.finding_draft import FindingDraft
from streams.detection.baselines import conclude
from streams.detection.site_context_cache import SiteContextCache
from streams.engine.state.bounded_table import BoundedTable
from streams.outcomes import AbsenceFound, Outcome, TimerFailed
from streams.state.detector_state import DetectorGroup, EntityKey, GroupState, Origin, replace_state
from streams.state.rearm import REARM, Rearm
from streams.state.site_context import SiteContext
from streams.state.tables import TenantTables
from streams.state.timers import Timer

REARM_STEP_ENTITIES = 500
"""How many entities of a tenant are looked at in one step after a change of its policies: about two milliseconds."""
_REARM_AT_ONCE_MAX = 100
"""A tenant with at most this many entities needs no steps."""
_REARM_STEP_MS = 100
"""The log time between two steps, and before the first one: a transaction may change many policies."""
_YEAR_3000_MS = 32_503_680_000_000


class Held(msgspec.Struct, frozen=True, gc=False):
    """The state of one entity in a group of detectors."""

    group: DetectorGroup
    key: EntityKey
    states: GroupState


class DetectorTimers:
    """Sets and fires timers.

    Args:
        groups: the groups of the running detectors, by name.
        site_contexts: the policies that apply at each site.
        snapshot_settle_ms: how long after reading a snapshot row its timer may fire, so that later rows of the
            snapshot, which may show that nothing is wrong, have been read.
        absence_age_ms_max: a deadline that had passed this long before its row was first read is not reported.
    """

    def __init__(
        self,
        groups: Mapping[str, DetectorGroup],
        site_contexts: SiteContextCache,
        *,
        snapshot_settle_ms: int,
        absence_age_ms_max: int,
    ) -> None:
        self._groups = groups
        self._site_contexts = site_contexts
        self._snapshot_settle_ms = snapshot_settle_ms
        self._absence_age_ms_max = absence_age_ms_max

    def rearm(
        self, tables: TenantTables, held: Held, change: Change, context: SiteContext, *, learn_only: bool
    ) -> Sequence[FindingDraft]:
        """Set, move or delete the group's timer after its state has changed.

        Returns:
            The findings of a timer that was already due when its row arrived; they are reported with the row.
        """
        group, states = held.group, held.states
        detector: Any = group.absence
        policy: Any = context.policies[detector.name]
        due_ms = _due_ms(detector, getattr(states, detector.name), policy)
        now_ms = change.commit_us // 1000
        drafts: Sequence[FindingDraft] = ()
        if due_ms is not None and due_ms <= now_ms:
            if detector in group.baselines:
                due_ms = now_ms + 1  # baseline detectors conclude only when their timer fires
            elif not learn_only:
                after, drafts = detector.expire(getattr(states, detector.name), now_ms, policy)
                replace_state(states, detector.name, after)
                due_ms = None if after is None else calendar_ms(detector.due_ms(after, policy))
            elif due_ms < now_ms - self._absence_age_ms_max:
                due_ms = None
        if due_ms is not None and change.snapshot:
            due_ms = max(due_ms, now_ms + self._snapshot_settle_ms)
        row: Any = change.row
        site_id, person_id = getattr(row, "site_id", None), getattr(row, "person_id", None)
        states.origin = Origin(change.table, row.id, change.lsn, change.commit_us, site_id, person_id)
        _arm(tables, held, due_ms)
        return drafts

    def fire(self, tables: TenantTables, tenant_id: int, timer: Timer) -> Outcome | None:
        """Fire the tenant's first timer, which is `timer`.

        Returns:
            The finding, or that the detector raised; None if there is nothing to report or if, with the present
            policy, the timer is not due yet.
        """
        tables.timers.take(tenant_id)
        key = (tenant_id, timer.entity_id)
        states = tables.detector_states[timer.table].data[key]
        group = self._groups.get(timer.table)
        due_ms, states.due_ms = states.due_ms, None
        if due_ms is None or states.origin is None or group is None or group.absence is None:
            tables.detector_states[timer.table].put(key, states)
            return None
        held = Held(group, key, states)
        context = self._site_contexts.at(tables, tenant_id, states.origin.site_id)
        policy: Any = context.policies[group.timed]
        state = getattr(states, group.timed)
        outcome = None
        if state is not None and policy.enabled:
            outcome = _expire_or_move(tables, held, due_ms, context, policy)
        if states.due_ms is not None:
            tables.timers.add(tenant_id, Timer(states.due_ms, timer.table, timer.entity_id))
        keep(tables, held)
        return outcome

    def rearm_tenant(self, tables: TenantTables, tenant_id: int, detectors: Collection[str], now_ms: int) -> None:
        """Let the tenant's timers of these detectors be moved, because its policies have changed.

        That is done at once where there are few, otherwise in small steps, by timers (`rearm_some`): a tenant may have
        many entities and change many policies.

        Args:
            tables: the tables of the tenant's partition.
            tenant_id: the tenant.
            detectors: their names.
            now_ms: log time.
        """
        groups = [group for group in self._groups.values() if group.timed in detectors]
        if not groups:
            return
        walk = tables.rearms.get(tenant_id)
        if (
            walk is None
            and sum(_states_of(tables, group).count_of(tenant_id) for group in groups) <= _REARM_AT_ONCE_MAX
        ):
            for group in groups:
                for key in _states_of(tables, group).keys_of(tenant_id):
                    self._rearm_entity(tables, group, key)
            return
        timed = {group.timed for group in groups}
        if walk is None:
            self._walk_on(tables, tenant_id, Rearm(now_ms + _REARM_STEP_MS, sorted(timed)))
        elif walk.table:
            tables.rearms.put(tenant_id, msgspec.structs.replace(walk, again=sorted(timed.union(walk.again))))
        else:
            tables.rearms.put(tenant_id, msgspec.structs.replace(walk, detectors=sorted(timed.union(walk.detectors))))

    def rearm_some(self, tables: TenantTables, tenant_id: int) -> None:
        """Move the timers of the next entities after a change of policies; called when the timer of the walk is due."""
        tables.timers.take(tenant_id)
        walk, left, held = tables.rearms.data[tenant_id], REARM_STEP_ENTITIES, tables.rearm_keys.pop(tenant_id, None)
        for name in sorted(self._groups):
            group = self._groups[name]
            if group.timed not in walk.detectors or name < walk.table:
                continue
            if held is None or held[0] != name:
                keys = _states_of(tables, group).keys_of(tenant_id)
                held = (
                    name,
                    keys[bisect_right(keys, (tenant_id, walk.entity_id)) if name == walk.table else 0 :][::-1],
                )
            keys = held[1]
            while keys and left:
                left -= 1
                self._rearm_entity(tables, group, last := keys.pop())
            if keys or not left:
                tables.rearm_keys[tenant_id] = held
                due_ms = walk.due_ms + _REARM_STEP_MS
                self._walk_on(
                    tables, tenant_id, msgspec.structs.replace(walk, due_ms=due_ms, table=name, entity_id=last[1])
                )
                return
        if walk.again:
            self._walk_on(tables, tenant_id, Rearm(walk.due_ms + _REARM_STEP_MS, walk.again))
        else:
            tables.rearms.delete(tenant_id)

    def _walk_on(self, tables: TenantTables, tenant_id: int, walk: Rearm) -> None:
        tables.rearms.put(tenant_id, walk)
        tables.timers.add(tenant_id, Timer(walk.due_ms, REARM, 0))

    def _rearm_entity(self, tables: TenantTables, group: DetectorGroup, key: EntityKey) -> None:
        states = tables.detector_states[group.name].data.get(key)
        state = None if states is None else getattr(states, group.timed)
        if states is None or state is None or states.origin is None:
            return
        context = self._site_contexts.at(tables, key[0], states.origin.site_id)
        due_ms = _due_ms(group.absence, state, context.policies[group.timed])
        if due_ms is None and group.absence in group.baselines:
            setattr(states, group.timed, None)  # what the detector does not count now must not be missed later
        if due_ms != states.due_ms:
            held = Held(group, key, states)
            _arm(tables, held, due_ms)
            keep(tables, held)

    def replan(self, tables: TenantTables, tenant_id: int, person_id: int) -> None:
        """Move the timers that depend on a person's shifts after these have changed."""
        key = (tenant_id, person_id)
        for group in self._groups.values():
            states = tables.detector_states[group.name].get(key) if group.planned else None
            state = getattr(states, group.timed, None)
            if states is None or state is None or states.origin is None:
                continue
            detector: Any = group.absence
            policy = self._site_contexts.at(tables, tenant_id, states.origin.site_id).policies[group.timed]
            after = detector.replan(state, tables.shifts.get(key) or (), policy)
            if after is not state:
                replace_state(states, group.timed, after)
                held = Held(group, key, states)
                _arm(tables, held, _due_ms(detector, after, policy))
                keep(tables, held)


def keep(tables: TenantTables, held: Held) -> None:
    """Store the states in their table, or delete the entity if nothing is left."""
    group, key, states = held.group, held.key, held.states
    table = tables.detector_states[group.name]
    if states.due_ms is None and all(getattr(states, name) is None for name in group.state_names):
        table.delete(key)
    else:
        table.put(key, states)


def _expire_or_move(tables: TenantTables, held: Held, due_ms: int, context: SiteContext, policy: Any) -> Outcome | None:
    """Ask the detector what is wrong now that its timer is due, unless by the present policy it is not due yet."""
    detector: Any = held.group.absence
    try:
        due_by_policy_ms = calendar_ms(detector.due_ms(getattr(held.states, detector.name), policy))
        if due_by_policy_ms is None or due_by_policy_ms <= due_ms:
            return _expire(tables, held, due_ms, context, policy)
    except Exception as error:  # noqa: BLE001 - the stream goes on; the timer is deleted, or it would raise again and again
        return TimerFailed(held.key[0], detector.name, type(error).__name__)
    held.states.due_ms = due_by_policy_ms
    return None


def _expire(tables: TenantTables, held: Held, due_ms: int, context: SiteContext, policy: Any) -> Outcome | None:
    """Let the detector expire; note when its timer should fire next."""
    group, key, states = held.group, held.key, held.states
    detector: Any = group.absence
    state = getattr(states, detector.name)
    if detector in group.baselines:
        after, drafts = conclude(tables, key, detector, state, due_ms, context, policy)
    else:
        after, drafts = detector.expire(state, due_ms, policy)
    again_ms = None if after is None else calendar_ms(detector.due_ms(after, policy))
    replace_state(states, detector.name, after)
    if again_ms is not None and detector in group.baselines:
        states.due_ms = max(again_ms, due_ms + 1)  # one span after the other, also if several are over
    elif again_ms is not None and again_ms > due_ms:
        states.due_ms = again_ms
    if not drafts:
        return None
    origin: Any = states.origin
    person = None if origin.person_id is None else tables.persons.get((key[0], origin.person_id))
    return AbsenceFound(key[0], detector.name, due_ms, origin, context, person.name if person else None, drafts)


def _states_of(tables: TenantTables, group: DetectorGroup) -> BoundedTable[EntityKey, GroupState]:
    return cast(BoundedTable[EntityKey, GroupState], tables.detector_states[group.name])  # all of these have bounds


def _arm(tables: TenantTables, held: Held, due_ms: int | None) -> None:
    group, (tenant_id, entity_id), states = held.group, held.key, held.states
    if due_ms != states.due_ms:
        states.due_ms = due_ms
        if due_ms is not None:
            tables.timers.add(tenant_id, Timer(due_ms, group.name, entity_id))


def _due_ms(detector: Any, state: Any, policy: Any) -> int | None:
    """When an absence detector is due, Unix milliseconds; None if it waits for nothing or is switched off."""
    return calendar_ms(detector.due_ms(state, policy)) if state is not None and policy.enabled else None


def calendar_ms(due_ms: int | None) -> int | None:
    """A time that a timer can have: what is due after the year 2999 is never due, what was due before 1970 was due then.

    >>> calendar_ms(10**40), calendar_ms(-1), calendar_ms(1_772_442_000_000)
    (None, 0, 1772442000000)
    """
    return None if due_ms is None or due_ms >= _YEAR_3000_MS else max(due_ms, 0)
