"""Runs the detectors over an event and stores their states.

Owns the boundary around a detector: if one raises, its state is unchanged and the other detectors still run. Timers
are in `streams.detection.detector_timers`. Knows nothing about what happens to a finding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.envelope import Change
from detectors.finding_draft import FindingDraft
from detectors.interface import Detector, Entity, Event
from streams.detection.detector_timers import DetectorTimers, Held, keep
from streams.detection.site_context_cache import SiteContextCache
from streams.state.detector_state import DetectorGroup, detector_groups
from streams.state.site_context import SiteContext, Step
from streams.state.tables import TenantTables

Failures = list[tuple[str, Exception]]
"""The names of detectors that raised, with their exceptions."""


class DetectorRunner:
    """Runs the detectors.

    Args:
        defaults: for each detector fields of its policy, from the settings.
        snapshot_settle_ms: see `DetectorTimers`.
        absence_age_ms_max: see `DetectorTimers`.

    Raises:
        PolicyError: a default does not fit its detector.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        defaults: Mapping[str, Mapping[str, Any]],
        *,
        snapshot_settle_ms: int,
        absence_age_ms_max: int,
    ) -> None:
        groups = detector_groups(detectors)
        self.site_contexts = SiteContextCache(groups, defaults)
        self.timers = DetectorTimers(
            {group.name: group for group in groups},
            self.site_contexts,
            snapshot_settle_ms=snapshot_settle_ms,
            absence_age_ms_max=absence_age_ms_max,
        )
        self._row_groups: dict[str, list[DetectorGroup]] = {}
        """For each table the groups that keep state of its rows."""
        for group in groups:
            if group.entity is Entity.ROW and group.remembers:
                for table in group.tables:
                    self._row_groups.setdefault(table, []).append(group)

    def judge(  # noqa: C901, PLR0912 - the hot loop: every event would pay for a call inside it
        self,
        tables: TenantTables,
        change: Change,
        event: Event[Any],
        context: SiteContext,
        failures: Failures,
        *,
        learn_only: bool,
    ) -> list[FindingDraft]:
        """The finding drafts of all detectors about an event; none where they only learn.

        `failures` receives the detectors that raised.
        """
        drafts: list[FindingDraft] = []
        row, detector_states = event.row, tables.detector_states
        for group, steps in context.plans.get(change.table, ()):
            if not group.remembers:
                if not learn_only:
                    _judge_stateless(steps, event, drafts, failures)
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
                    if due_ms is not None and after is not before:  # in most cases its time has not changed
                        rearm = after is None or due_ms(after, policy) != states.due_ms or states.origin is None
                except Exception as error:  # noqa: BLE001 - the event's other detectors and the stream go on
                    failures.append((name, error))
                    continue
                if after is not before:
                    setattr(states, name, after)
                    changed = True
                    if after is None:
                        emptied = True
                if found:
                    drafts.extend(found)
            if rearm or emptied:
                entity = Held(group, key, states)
                try:
                    if rearm:
                        drafts.extend(self.timers.rearm(tables, entity, change, context, learn_only=learn_only))
                except Exception as error:  # noqa: BLE001 - as above
                    failures.append((group.timed, error))
                keep(tables, entity)
            elif held is None and changed:
                table.put(key, states)
            elif changed:  # the most frequent case, cheaper than a put
                table.changed(key)
        return [] if learn_only else drafts

    def forget(self, tables: TenantTables, change: Change) -> None:
        """Drop the state and the timer of a deleted row."""
        for group in self._row_groups.get(change.table, ()):
            tables.detector_states[group.name].delete((change.row.tenant_id, change.row.id))


def _judge_stateless(steps: Sequence[Step], event: Event[Any], drafts: list[FindingDraft], failures: Failures) -> None:
    """Run detectors without state."""
    for name, judge, policy, *_ in steps:
        try:
            drafts.extend(judge(None, event, policy)[1])
        except Exception as error:  # noqa: BLE001 - as in `judge`
            failures.append((name, error))
