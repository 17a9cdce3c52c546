"""Runs the detectors over one event, and keeps their states.

Owns the one boundary around a detector: one that raises keeps its state and costs nobody else's. Its timers are
`streams.detection.detector_timers`; what becomes of a finding is not known here.
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
"""Names of detectors, and what they raised."""


class DetectorRunner:
    """Runs the detectors.

    Args:
        detectors: to run.
        defaults: per detector some fields of its policy, from the settings.
        snapshot_settle_ms: see `DetectorTimers`.
        absence_age_ms_max: see `DetectorTimers`.

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
        groups = detector_groups(detectors)
        self.site_contexts = SiteContextCache(groups, defaults)
        self.timers = DetectorTimers(
            {group.name: group for group in groups},
            self.site_contexts,
            snapshot_settle_ms=snapshot_settle_ms,
            absence_age_ms_max=absence_age_ms_max,
        )
        self._row_groups: dict[str, list[DetectorGroup]] = {}
        """Table to the groups that keep something of each of its rows."""
        for group in groups:
            if group.entity is Entity.ROW and group.remembers:
                for table in group.tables:
                    self._row_groups.setdefault(table, []).append(group)

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
        """Every detector's drafts of findings about an event.

        Args:
            tables: of the event's partition.
            change: the row change behind the event.
            event: what the detectors see.
            context: what holds at the event's site.
            failures: gets the detectors that raised.
            learn_only: whether states are updated and nothing is reported: then there are no drafts.
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
                    drafts.extend(found)
            if rearm:
                its = Held(group, key, states)
                try:
                    drafts.extend(self.timers.rearm(tables, its, change, context, learn_only=learn_only))
                except Exception as error:  # noqa: BLE001 - as above
                    failures.append((group.timed, error))
            if rearm or emptied:
                keep(tables, Held(group, key, states))
            elif held is None and changed:
                table.put(key, states)
            elif changed:  # most of the time: cheaper than a put
                table.changed(key)
        return [] if learn_only else drafts

    def forget(self, tables: TenantTables, change: Change) -> None:
        """A row is gone, and with it what was kept of it and the timer that waited for it."""
        for group in self._row_groups.get(change.table, ()):
            tables.detector_states[group.name].delete((change.row.tenant_id, change.row.id))


def _judge_stateless(steps: Sequence[Step], event: Event[Any], drafts: list[FindingDraft], failures: Failures) -> None:
    """Run detectors that keep nothing."""
    for name, judge, policy, *_ in steps:
        try:
            drafts.extend(judge(None, event, policy)[1])
        except Exception as error:  # noqa: BLE001 - as in `judge`
            failures.append((name, error))
