"""Shifts as a whole: their checks and their phones, at most one special thing each, and its side effects."""

from collections.abc import Sequence
from datetime import date
from random import Random
from typing import Any

from simulation.labelled.plan import ScenarioPlan
from simulation.world.attendance import AttendanceWriter
from simulation.world.calendar import HOUR_S, MINUTE_S, Interval, moment, whole_hours
from simulation.world.company import Person, Tenant
from simulation.world.phones import Fix, Network, Receiver, outage, upload, walked
from simulation.world.planted_attendance import attend
from simulation.world.planted_location import FINDINGS, label_location, planted_fixes
from simulation.world.shifts import LUNCH, Shift, Special, arrival_s, departure_s, with_breaks

_SPECIAL_SHARE = 0.018
"""Of shifts, for each thing that may be special."""
_ATTENDANCE = (Special.LATE, Special.WRONG_FACE, Special.NO_CHECK_OUT, Special.CLOCK_SET_BACK)
_BY_PHONE = (Special.ELSEWHERE, Special.ELSEWHERE, Special.BUDDY)
LEARNED = {Special.QUIET: "ANOMALY_PHONE_EVENTS_BELOW", Special.FLOOD: "ANOMALY_PHONE_EVENTS_ABOVE"}
"""What has to be learned before it can be found."""
_HARMLESS = (
    Special.EXTENDED,
    Special.DOUBLE_TAP,
    Special.EARLY,
    Special.LATE_UPLOAD,
    Special.LATE_CHECK_OUT_UPLOAD,
    Special.BORROWED_PHONE,
    Special.FORGOTTEN_BAG,
    Special.WAY_HOME,
)
"""What looks wrong and is not."""
_OWN_PHONE_ONLY = frozenset({Special.BORROWED_PHONE, Special.LATE_UPLOAD, Special.LATE_CHECK_OUT_UPLOAD})
_WITH_HELPER = frozenset({Special.BUDDY, Special.BORROWED_PHONE})
_FEWER_EVENTS = frozenset({Special.LATE, Special.BUDDY})
_MORE_EVENTS = frozenset({Special.DRIVE_OUT, Special.WALK_OUT, Special.EXTENDED, Special.LONG_DAY, Special.LONG_WEEK})
_OUTAGE_SHARE = 0.07
_SHORT_S = 7 * HOUR_S


class ShiftDays:
    """The shifts of a tenant."""

    def __init__(self, plan: ScenarioPlan, tenant: Tenant) -> None:
        self._plan = plan
        self._timeline = plan.timeline
        self._staff = tenant.staff

    def day(self, shifts: Sequence[Shift], day: date) -> None:
        """The shifts that begin on a day."""
        rngs = {shift: self._plan.rng("shift", shift.assignment_id) for shift in shifts}
        for shift, rng in rngs.items():
            if shift.special is Special.NOTHING:
                shift.special = self._special(rng, shift, day)
        for shift, rng in rngs.items():
            # Nothing is special about a helper's own day.
            helpers = [
                each.person
                for each in shifts
                if each.site is shift.site
                and each.start_s == shift.start_s
                and each.special is Special.NOTHING
                and each.person.phone_id is not None
            ]
            self._play(rng, shift, helpers, self._staff[shift.site.id])

    def _special(self, rng: Random, shift: Shift, day: date) -> Special:
        kinds = list(_HARMLESS)
        if self._plan.is_planted:
            kinds += [*_ATTENDANCE, *FINDINGS]
            if shift.site.reader_id is None:
                kinds += _BY_PHONE
            if day >= self._plan.span.judged_from:
                kinds += 3 * [*LEARNED]
        if shift.site.reader_id is not None or shift.person.phone_id is None:
            kinds = [kind for kind in kinds if kind not in _OWN_PHONE_ONLY]
        drawn = int(rng.random() / _SPECIAL_SHARE)
        special = kinds[drawn] if drawn < len(kinds) else Special.NOTHING
        needs_long = special in LEARNED or special in FINDINGS or special in _WITH_HELPER
        return Special.NOTHING if needs_long and shift.end_s - shift.start_s < _SHORT_S else special

    def _play(self, rng: Random, shift: Shift, helpers: Sequence[Person], staff: Sequence[Person]) -> None:
        helper = rng.choice(helpers) if shift.special in _WITH_HELPER and helpers else None
        network = Network(rng, shift.phone_id)
        shift.presence = self._presence(rng, shift, network)
        attend(AttendanceWriter(self._timeline, rng), shift, network, staff, helper)
        first = shift.presence[0]
        if not network.outages and rng.random() < _OUTAGE_SHARE and shift.special in {Special.NOTHING, *_HARMLESS}:
            span = outage(rng, (max(shift.start_s, first[0]), first[1]))
            if span is not None and shift.site.reader_id is not None:
                network.outages.append(span)  # a phone that is also the terminal keeps its line
        is_helped = shift.special is Special.BUDDY and helper is not None
        phone_from_s = first[0] + rng.uniform(60, 80) * MINUTE_S * is_helped
        fixes = self._fixes(rng, shift, phone_from_s)
        times = []
        for fix in sorted(fixes, key=lambda fix: fix.at_s):
            committed_s = network.committed_s(fix.at_s)
            upload(self._timeline, shift, fix, committed_s)
            times.append((fix.at_s, committed_s))
        self._label_side_effects(shift, times)

    def _presence(self, rng: Random, shift: Shift, network: Network) -> list[Interval]:
        """When the person comes and goes, with what is special about it."""
        in_s, out_s = arrival_s(rng, shift.start_s), departure_s(rng, shift.end_s)
        match shift.special:
            case Special.LATE:
                in_s = shift.start_s + rng.uniform(30, 90) * MINUTE_S
            case Special.EARLY:
                in_s = shift.start_s - rng.uniform(30, 45) * MINUTE_S
            case Special.EXTENDED:
                longer_s = rng.uniform(1.5, 2.2) * HOUR_S
                asked_s = shift.end_s - rng.uniform(1, 2) * HOUR_S
                self._timeline.update(
                    "assignment", shift.assignment_id, asked_s, shift_end=moment(shift.end_s + longer_s)
                )
                out_s += longer_s
            case Special.LATE_UPLOAD:
                network.outages.append((in_s - 60, in_s + rng.uniform(20, 150) * MINUTE_S))
            case Special.LATE_CHECK_OUT_UPLOAD:
                network.outages.append((out_s - 10 * MINUTE_S, out_s + rng.uniform(5, 20) * MINUTE_S))
            case Special.CLOCK_SET_BACK:
                return [(in_s, out_s)]
            case _:
                pass
        return with_breaks(rng, in_s, out_s, LUNCH)

    def _fixes(self, rng: Random, shift: Shift, phone_from_s: float) -> list[Fix]:
        """What the phone records of the shift, with what is special about it."""
        extent_m, receiver = shift.site.extent_m, Receiver(rng)
        fixes: list[Fix] = []
        for from_s, until_s in shift.presence:
            fixes += walked(rng, receiver, (max(from_s, phone_from_s), until_s), extent_m)
        if shift.special is Special.WAY_HOME:
            left_s = max(shift.end_s, shift.presence[-1][1]) + 30
            fixes += [
                receiver.fix(left_s + number * 60, number * 540.0, number * 162.0, 9.0) for number in range(1, 10)
            ]
        start_s, end_s = max(shift.presence, key=lambda span: span[1] - span[0])
        start_s = max(start_s, phone_from_s, shift.start_s) + 15 * MINUTE_S
        if shift.special in LEARNED:
            return self._volume(rng, shift, (start_s, min(end_s, shift.end_s) - 10 * MINUTE_S), fixes)
        planted = planted_fixes(rng, shift.special, start_s, extent_m)
        if not planted:
            return fixes
        first_s, last_s = planted[0].at_s, planted[-1].at_s
        label_location(self._timeline, shift, shift.special, (first_s, last_s))
        return planted + [fix for fix in fixes if not first_s - 30 <= fix.at_s <= last_s + 120]

    def _volume(self, rng: Random, shift: Shift, span: Interval, fixes: list[Fix]) -> list[Fix]:
        """Two hours with next to no fixes, or with hundreds."""
        for number, hour_s in enumerate(whole_hours(*span, shift.site.zone)[:2]):
            if shift.special is Special.QUIET:
                lost = {fix for fix in fixes if hour_s <= fix.at_s < hour_s + HOUR_S}
                fixes = [fix for fix in fixes if fix not in lost] + sorted(lost, key=lambda fix: fix.at_s)[:1]
            else:
                east_m, receiver = rng.uniform(-0.5, 0.5) * shift.site.extent_m, Receiver(rng)
                fixes = fixes + [receiver.fix(hour_s + 12.0 * each, east_m, 0.0, 0.0) for each in range(299)]
            note = f"{shift.special}: the hour from {hour_s:.0f}"
            # Reported once, or once an hour: both will do.
            self._label_volume(shift, LEARNED[shift.special], hour_s, note, after_s=4 * HOUR_S, required=number == 0)
        return fixes

    def _label_side_effects(self, shift: Shift, times: Sequence[tuple[float, float]]) -> None:
        """Fewer or more rows than usual follow from lateness, from trips, from late uploads and from unusual hours."""
        half_s = HOUR_S / 2
        late = {at_s // half_s for at_s, committed_s in times if committed_s - at_s > half_s}
        for number in sorted(late):  # an hour whose rows came an hour late looked empty: saying so then is not wrong
            self._label_volume(shift, LEARNED[Special.QUIET], number * half_s, "uploaded late")
        if shift.special not in _FEWER_EVENTS | _MORE_EVENTS:
            return
        finding_type = LEARNED[Special.QUIET if shift.special in _FEWER_EVENTS else Special.FLOOD]
        begin, end = int((shift.start_s - HOUR_S) // half_s), int((shift.presence[-1][1] + HOUR_S) // half_s)
        for number in range(begin, end + 1):
            note = "follows from something else, or from an unusual shift"
            self._label_volume(shift, finding_type, number * half_s, note)

    def _label_volume(self, shift: Shift, finding_type: str, at_s: float, note: str, **more: Any) -> None:
        more = {"before_s": 0.0, "after_s": 2 * HOUR_S, "required": False, **more}
        self._timeline.label(finding_type, shift.site.tenant_id, [f"device:{shift.phone_id}"], at_s, note, **more)
