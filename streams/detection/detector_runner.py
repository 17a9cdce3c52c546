"""Runs the detectors over one event or one timer, and keeps what they remember.

Owns the memories and the timers that follow from them. Knows of the feed only that somebody tells it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts.envelope import Change
from detectors.finding_draft import FindingDraft
from detectors.interface import Detector, Entity, Event
from streams.detection.baselines import conclude
from streams.detection.site_context_cache import SiteContextCache
from streams.state.detector_state import DetectorGroup, EntityKey, GroupState, Origin, detector_groups
from streams.state.site_context import SiteContext, Step
from streams.state.tables import TenantTables
from streams.state.timers import Timer

Failures = list[tuple[str, Exception]]
"""Names of detectors, and what they raised."""


class TimerFinding(NamedTuple):
    """What a timer found."""

    detector: str
    due_ms: int
    origin: Origin
    judgements: Sequence[FindingDraft]


class DetectorRunner:
    """Runs the detectors.

    Args:
        detectors: to run.
        defaults: per detector some fields of its policy, from the settings.
        snapshot_settle_ms: how long after a snapshot's row was read its timer fires at the earliest, so that
            the snapshot's later rows, which may say that all is well, are there.
        absence_age_ms_max: a deadline that had passed so long before its row was taught is no news.

    Raises:
        PolicyError: a default that does not fit its detector.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        defaults: Mapping[str, Mapping[str, Any]],
        *,
        snapshot_settle_ms: int,
        absence_age_ms_max: int,
    ) -> None:
        families_that_run = detector_groups(detectors)
        self.site_contexts = SiteContextCache(families_that_run, defaults)
        self._by_name = {group.name: group for group in families_that_run}
        self._by_table: dict[str, list[DetectorGroup]] = {}
        for group in families_that_run:
            for table in group.tables:
                self._by_table.setdefault(table, []).append(group)
        self._snapshot_settle_ms = snapshot_settle_ms
        self._absence_age_ms_max = absence_age_ms_max

    def judge(  # noqa: C901, PLR0912 - the hot loop: a call inside it would be paid by every event
        self,
        tables: TenantTables,
        change: Change,
        event: Event[Any],
        context: SiteContext,
        failures: Failures,
        *,
        learn_only: bool,
    ) -> list[FindingDraft]:
        """Every detector's judgements of an event; one that raises keeps its state and costs nobody else's.

        Args:
            tables: of the event's partition.
            change: the row change behind the event.
            event: what the detectors see.
            context: what holds at the event's site.
            failures: gets the detectors that raised.
            learn_only: whether the event only teaches: then there are no judgements.
        """
        judgements: list[FindingDraft] = []
        row, detector_states = event.row, tables.detector_states
        for group, steps in context.plans.get(change.table, ()):
            if not group.remembers:
                if not learn_only:
                    _judge_alone(steps, event, judgements, failures)
                continue
            key = group.key_of(row)
            if key is None:
                continue
            table = detector_states[group.name]
            held = table.get(key)
            states = group.memory_type() if held is None else held
            changed = emptied = rearm = False
            for name, judge, policy, stateful, due_ms in steps:
                before = getattr(states, name) if stateful else None
                try:
                    after, found = judge(before, event, policy)
                    if due_ms is not None and after is not before:  # mostly its time is what it was
                        rearm = after is None or due_ms(after, policy) != states.due_ms or states.origin is None
                except Exception as error:  # noqa: BLE001 - R3.9: the event's other detectors and the stream go on
                    failures.append((name, error))
                    continue
                if after is not before:
                    setattr(states, name, after)
                    changed = True
                    if after is None:
                        emptied = True
                if found:
                    judgements.extend(found)
            if rearm:
                try:
                    judgements.extend(self._rearm(tables, group, key, states, change, context, learn_only=learn_only))
                except Exception as error:  # noqa: BLE001 - as above
                    failures.append((group.timed, error))
            if rearm or emptied:
                self._keep(tables, group, key, states)
            elif held is None and changed:
                table.put(key, states)
            elif changed:  # most of the time: cheaper than a put
                table.changed(key)
        return [] if learn_only else judgements

    def forget(self, tables: TenantTables, change: Change) -> None:
        """A row is gone, and with it what was remembered of it and what it waited for."""
        for group in self._by_table.get(change.table, ()):
            if group.entity is Entity.ROW and group.remembers:
                tables.detector_states[group.name].delete((change.row.tenant_id, change.row.id))

    def fire(self, tables: TenantTables, tenant_id: int, timer: Timer, failures: Failures) -> TimerFinding | None:
        """Let the tenant's first timer fire, which is this one.

        Returns:
            What was found; None where the policy says by now that it is not due yet, or there is nothing to say.
        """
        tables.timers.take(tenant_id)
        key = (tenant_id, timer.entity_id)
        states = tables.detector_states[timer.table].data[key]
        due_ms, origin = states.due_ms, states.origin
        group = self._by_name.get(timer.table)
        if due_ms is None or origin is None or group is None or group.absence is None:
            states.due_ms = None
            tables.detector_states[timer.table].put(key, states)
            return None
        detector = group.absence
        context = self.site_contexts.at(tables, tenant_id, origin.site_id)
        policy: Any = context.policies[detector.name]
        state = getattr(states, detector.name)
        absence = None
        states.due_ms = None
        if state is not None and policy.enabled:
            due_by_policy_ms = detector.due_ms(state, policy)
            if due_by_policy_ms is not None and due_by_policy_ms > due_ms:
                states.due_ms = due_by_policy_ms
            else:
                absence = self._expire(tables, key, states, group, state, due_ms, context, policy, failures)
        if states.due_ms is not None:
            tables.timers.add(tenant_id, Timer(states.due_ms, timer.table, timer.entity_id))
        self._keep(tables, group, key, states)
        return absence

    def _expire(
        self,
        tables: TenantTables,
        key: EntityKey,
        states: GroupState,
        group: DetectorGroup,
        state: Any,
        due_ms: int,
        context: SiteContext,
        policy: Any,
        failures: Failures,
    ) -> TimerFinding | None:
        detector: Any = group.absence
        try:
            if detector in group.baselines:
                after, judgements = conclude(tables, key, detector, state, due_ms, context, policy)
            else:
                after, judgements = detector.expire(state, due_ms, policy)
        except Exception as error:  # noqa: BLE001 - as in `judge`; its timer is dropped, or it would raise for ever
            failures.append((detector.name, error))
            return None
        setattr(states, detector.name, after)
        again_ms = None if after is None else detector.due_ms(after, policy)
        if again_ms is not None and detector in group.baselines:
            states.due_ms = max(again_ms, due_ms + 1)  # one span after the other, also where several are over
        elif again_ms is not None and again_ms > due_ms:
            states.due_ms = again_ms
        origin: Any = states.origin
        return TimerFinding(detector.name, due_ms, origin, judgements) if judgements else None

    def _rearm(
        self,
        tables: TenantTables,
        group: DetectorGroup,
        key: EntityKey,
        states: GroupState,
        change: Change,
        context: SiteContext,
        *,
        learn_only: bool,
    ) -> Sequence[FindingDraft]:
        """Set, move or drop the memory's timer after its state changed.

        Returns:
            The judgements of a time that had passed already when its row came: they are told with the row.
        """
        detector: Any = group.absence
        policy: Any = context.policies[detector.name]
        state = getattr(states, detector.name)
        due_ms = _due_ms(detector, state, policy)
        now_ms = change.commit_us // 1000
        found: Sequence[FindingDraft] = ()
        if due_ms is not None and due_ms <= now_ms:
            if detector in group.baselines:
                due_ms = now_ms + 1  # it concludes only when its timer fires
            elif not learn_only:
                after, found = detector.expire(state, now_ms, policy)
                setattr(states, detector.name, after)
                due_ms = None if after is None else detector.due_ms(after, policy)
            elif due_ms < now_ms - self._absence_age_ms_max:
                due_ms = None
        if due_ms is not None and change.snapshot:
            due_ms = max(due_ms, now_ms + self._snapshot_settle_ms)
        row: Any = change.row
        site_id, person_id = getattr(row, "site_id", None), getattr(row, "person_id", None)
        states.origin = Origin(change.table, row.id, change.lsn, change.commit_us, site_id, person_id)
        self._arm(tables, group, key, states, due_ms)
        return found

    def rearm_tenant(self, tables: TenantTables, tenant_id: int, detector: str) -> None:
        """Move the tenant's timers of a detector to where its policies, which have changed, put them now."""
        for group in self._by_name.values():
            absence: Any = group.absence
            if absence is None or absence.name != detector:
                continue
            for key, states in list(tables.detector_states[group.name].data.items()):
                state = getattr(states, detector)
                if key[0] != tenant_id or state is None or states.origin is None:
                    continue
                policy: Any = self.site_contexts.at(tables, tenant_id, states.origin.site_id).policies[detector]
                due_ms = _due_ms(absence, state, policy)
                if due_ms is None and absence in group.baselines:
                    setattr(states, detector, None)  # what it does not count is not to be missed later
                if due_ms != states.due_ms:
                    self._arm(tables, group, key, states, due_ms)
                    self._keep(tables, group, key, states)

    def replan(self, tables: TenantTables, tenant_id: int, person_id: int) -> None:
        """Move the timers that follow from a person's shifts, which have changed."""
        key = (tenant_id, person_id)
        for group in self._by_name.values():
            states = tables.detector_states[group.name].get(key) if group.planned else None
            state = getattr(states, group.timed, None)
            if states is None or state is None or states.origin is None:
                continue
            detector: Any = group.absence
            policy: Any = self.site_contexts.at(tables, tenant_id, states.origin.site_id).policies[group.timed]
            after = detector.replan(state, tables.shifts.get(key) or (), policy)
            if after is not state:
                setattr(states, group.timed, after)
                self._arm(tables, group, key, states, _due_ms(detector, after, policy))
                self._keep(tables, group, key, states)

    def _arm(
        self, tables: TenantTables, group: DetectorGroup, key: EntityKey, states: GroupState, due_ms: int | None
    ) -> None:
        if due_ms != states.due_ms:
            states.due_ms = due_ms
            if due_ms is not None:
                tables.timers.add(key[0], Timer(due_ms, group.name, key[1]))

    def _keep(self, tables: TenantTables, group: DetectorGroup, key: EntityKey, states: GroupState) -> None:
        """Put the memory; one in which nothing is left goes."""
        table = tables.detector_states[group.name]
        if states.due_ms is None:
            for name in group.state_names:
                if getattr(states, name) is not None:
                    break
            else:
                table.delete(key)
                return
        table.put(key, states)


def _due_ms(detector: Any, state: Any, policy: Any) -> int | None:
    """When an absence detector has something to say; None where it waits for nothing, or is switched off."""
    return detector.due_ms(state, policy) if state is not None and policy.enabled else None


def _judge_alone(steps: Sequence[Step], event: Event[Any], judgements: list[FindingDraft], failures: Failures) -> None:
    """Run detectors that keep nothing."""
    for name, judge, policy, *_ in steps:
        try:
            _, found = judge(None, event, policy)
        except Exception as error:  # noqa: BLE001 - as in `judge`
            failures.append((name, error))
            continue
        if found:
            judgements.extend(found)
