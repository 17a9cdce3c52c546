"""Runs the detectors over one event or one timer, and keeps what they remember.

Owns the memories and the timers that follow from them. Knows of the feed only that somebody tells it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts.envelope import Change
from detectors.interface import Detector, Entity, Event
from detectors.judgement import Judgement
from streams.learning import conclude
from streams.memory import EntityKey, Family, Memory, Origin, families
from streams.places import Place, PlaceBook, Step
from streams.tables import TenantTables
from streams.timers import Timer

Failures = list[tuple[str, Exception]]
"""Names of detectors, and what they raised."""


class Absence(NamedTuple):
    """What a timer found."""

    detector: str
    due_ms: int
    origin: Origin
    judgements: Sequence[Judgement]


class Judge:
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
        families_that_run = families(detectors)
        self.places = PlaceBook(families_that_run, defaults)
        self._by_name = {family.name: family for family in families_that_run}
        self._by_table: dict[str, list[Family]] = {}
        for family in families_that_run:
            for table in family.tables:
                self._by_table.setdefault(table, []).append(family)
        self._snapshot_settle_ms = snapshot_settle_ms
        self._absence_age_ms_max = absence_age_ms_max

    def judge(  # noqa: C901, PLR0912 - the hot loop: a call inside it would be paid by every event
        self,
        tables: TenantTables,
        change: Change,
        event: Event[Any],
        place: Place,
        failures: Failures,
        *,
        taught: bool,
    ) -> list[Judgement]:
        """Every detector's judgements of an event; one that raises keeps its state and costs nobody else's.

        Args:
            tables: of the event's partition.
            change: the row change behind the event.
            event: what the detectors see.
            place: what holds at the event's site.
            failures: gets the detectors that raised.
            taught: whether the event only teaches: then there are no judgements.
        """
        judgements: list[Judgement] = []
        row, memories = event.row, tables.memories
        for family, steps in place.plans.get(change.table, ()):
            if not family.remembers:
                if not taught:
                    _judge_alone(steps, event, judgements, failures)
                continue
            key = family.key_of(row)
            if key is None:
                continue
            table = memories[family.name]
            held = table.get(key)
            memory = family.memory_type() if held is None else held
            changed = emptied = rearm = False
            for name, judge, policy, stateful, due_ms in steps:
                before = getattr(memory, name) if stateful else None
                try:
                    after, found = judge(before, event, policy)
                    if due_ms is not None and after is not before:  # mostly its time is what it was
                        rearm = after is None or due_ms(after, policy) != memory.due_ms or memory.origin is None
                except Exception as error:  # noqa: BLE001 - R3.9: the event's other detectors and the stream go on
                    failures.append((name, error))
                    continue
                if after is not before:
                    setattr(memory, name, after)
                    changed = True
                    if after is None:
                        emptied = True
                if found:
                    judgements.extend(found)
            if rearm:
                try:
                    judgements.extend(self._rearm(tables, family, key, memory, change, place, taught=taught))
                except Exception as error:  # noqa: BLE001 - as above
                    failures.append((family.timed, error))
            if rearm or emptied:
                self._keep(tables, family, key, memory)
            elif held is None and changed:
                table.put(key, memory)
            elif changed:  # most of the time: cheaper than a put
                table.changed(key)
        return [] if taught else judgements

    def forget(self, tables: TenantTables, change: Change) -> None:
        """A row is gone, and with it what was remembered of it and what it waited for."""
        for family in self._by_table.get(change.table, ()):
            if family.entity is Entity.ROW and family.remembers:
                tables.memories[family.name].delete((change.row.tenant_id, change.row.id))

    def fire(self, tables: TenantTables, tenant_id: int, timer: Timer, failures: Failures) -> Absence | None:
        """Let the tenant's first timer fire, which is this one.

        Returns:
            What was found; None where the policy says by now that it is not due yet, or there is nothing to say.
        """
        tables.timers.take(tenant_id)
        key = (tenant_id, timer.entity_id)
        memory = tables.memories[timer.table].data[key]
        due_ms, origin = memory.due_ms, memory.origin
        family = self._by_name.get(timer.table)
        if due_ms is None or origin is None or family is None or family.absence is None:
            memory.due_ms = None
            tables.memories[timer.table].put(key, memory)
            return None
        detector = family.absence
        place = self.places.at(tables, tenant_id, origin.site_id)
        policy: Any = place.policies[detector.name]
        state = getattr(memory, detector.name)
        absence = None
        memory.due_ms = None
        if state is not None and policy.enabled:
            due_by_policy_ms = detector.due_ms(state, policy)
            if due_by_policy_ms is not None and due_by_policy_ms > due_ms:
                memory.due_ms = due_by_policy_ms
            else:
                absence = self._expire(tables, key, memory, family, state, due_ms, place, policy, failures)
        if memory.due_ms is not None:
            tables.timers.add(tenant_id, Timer(memory.due_ms, timer.table, timer.entity_id))
        self._keep(tables, family, key, memory)
        return absence

    def _expire(
        self,
        tables: TenantTables,
        key: EntityKey,
        memory: Memory,
        family: Family,
        state: Any,
        due_ms: int,
        place: Place,
        policy: Any,
        failures: Failures,
    ) -> Absence | None:
        detector: Any = family.absence
        try:
            if detector in family.baselines:
                after, judgements = conclude(tables, key, detector, state, due_ms, place, policy)
            else:
                after, judgements = detector.expire(state, due_ms, policy)
        except Exception as error:  # noqa: BLE001 - as in `judge`; its timer is dropped, or it would raise for ever
            failures.append((detector.name, error))
            return None
        setattr(memory, detector.name, after)
        again_ms = None if after is None else detector.due_ms(after, policy)
        if again_ms is not None and detector in family.baselines:
            memory.due_ms = max(again_ms, due_ms + 1)  # one span after the other, also where several are over
        elif again_ms is not None and again_ms > due_ms:
            memory.due_ms = again_ms
        origin: Any = memory.origin
        return Absence(detector.name, due_ms, origin, judgements) if judgements else None

    def _rearm(
        self,
        tables: TenantTables,
        family: Family,
        key: EntityKey,
        memory: Memory,
        change: Change,
        place: Place,
        *,
        taught: bool,
    ) -> Sequence[Judgement]:
        """Set, move or drop the memory's timer after its state changed.

        Returns:
            The judgements of a time that had passed already when its row came: they are told with the row.
        """
        detector: Any = family.absence
        policy: Any = place.policies[detector.name]
        state = getattr(memory, detector.name)
        due_ms = _due_ms(detector, state, policy)
        now_ms = change.commit_us // 1000
        found: Sequence[Judgement] = ()
        if due_ms is not None and due_ms <= now_ms:
            if detector in family.baselines:
                due_ms = now_ms + 1  # it concludes only when its timer fires
            elif not taught:
                after, found = detector.expire(state, now_ms, policy)
                setattr(memory, detector.name, after)
                due_ms = None if after is None else detector.due_ms(after, policy)
            elif due_ms < now_ms - self._absence_age_ms_max:
                due_ms = None
        if due_ms is not None and change.snapshot:
            due_ms = max(due_ms, now_ms + self._snapshot_settle_ms)
        row: Any = change.row
        site_id, person_id = getattr(row, "site_id", None), getattr(row, "person_id", None)
        memory.origin = Origin(change.table, row.id, change.lsn, change.commit_us, site_id, person_id)
        self._arm(tables, family, key, memory, due_ms)
        return found

    def rearm_tenant(self, tables: TenantTables, tenant_id: int, detector: str) -> None:
        """Move the tenant's timers of a detector to where its policies, which have changed, put them now."""
        for family in self._by_name.values():
            absence: Any = family.absence
            if absence is None or absence.name != detector:
                continue
            for key, memory in list(tables.memories[family.name].data.items()):
                state = getattr(memory, detector)
                if key[0] != tenant_id or state is None or memory.origin is None:
                    continue
                policy: Any = self.places.at(tables, tenant_id, memory.origin.site_id).policies[detector]
                due_ms = _due_ms(absence, state, policy)
                if due_ms is None and absence in family.baselines:
                    setattr(memory, detector, None)  # what it does not count is not to be missed later
                if due_ms != memory.due_ms:
                    self._arm(tables, family, key, memory, due_ms)
                    self._keep(tables, family, key, memory)

    def replan(self, tables: TenantTables, tenant_id: int, person_id: int) -> None:
        """Move the timers that follow from a person's shifts, which have changed."""
        key = (tenant_id, person_id)
        for family in self._by_name.values():
            memory = tables.memories[family.name].get(key) if family.planned else None
            state = getattr(memory, family.timed, None)
            if memory is None or state is None or memory.origin is None:
                continue
            detector: Any = family.absence
            policy: Any = self.places.at(tables, tenant_id, memory.origin.site_id).policies[family.timed]
            after = detector.replan(state, tables.shifts.get(key) or (), policy)
            if after is not state:
                setattr(memory, family.timed, after)
                self._arm(tables, family, key, memory, _due_ms(detector, after, policy))
                self._keep(tables, family, key, memory)

    def _arm(self, tables: TenantTables, family: Family, key: EntityKey, memory: Memory, due_ms: int | None) -> None:
        if due_ms != memory.due_ms:
            memory.due_ms = due_ms
            if due_ms is not None:
                tables.timers.add(key[0], Timer(due_ms, family.name, key[1]))

    def _keep(self, tables: TenantTables, family: Family, key: EntityKey, memory: Memory) -> None:
        """Put the memory; one in which nothing is left goes."""
        table = tables.memories[family.name]
        if memory.due_ms is None:
            for name in family.state_names:
                if getattr(memory, name) is not None:
                    break
            else:
                table.delete(key)
                return
        table.put(key, memory)


def _due_ms(detector: Any, state: Any, policy: Any) -> int | None:
    """When an absence detector has something to say; None where it waits for nothing, or is switched off."""
    return detector.due_ms(state, policy) if state is not None and policy.enabled else None


def _judge_alone(steps: Sequence[Step], event: Event[Any], judgements: list[Judgement], failures: Failures) -> None:
    """Run detectors that keep nothing."""
    for name, judge, policy, *_ in steps:
        try:
            _, found = judge(None, event, policy)
        except Exception as error:  # noqa: BLE001 - as in `judge`
            failures.append((name, error))
            continue
        if found:
            judgements.extend(found)
