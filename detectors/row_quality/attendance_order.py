"""DATA_QUALITY: a check-out before its check-in."""

from typing import TypeAlias

import msgspec

from contracts.rows import Attendance
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import Policy, Positive
from detectors.row_quality.data_quality import data_quality
from detectors.row_quality.helpers.row_check import Reason
from detectors.shared.facts import CHECK_IN, CHECKS

Marks: TypeAlias = tuple[tuple[float, int | None, bool], ...]
"""A person's last attendance by time: Unix seconds, site, whether it is a check-in."""

_MARKS_MAX = 8


class AttendanceOrderPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of a check-out before its check-in."""

    before_s_max: Positive = 12 * 3_600.0
    """How long before the check-in; one that lies further back is of another day."""
    visit_s_max: Positive = 24 * 3_600.0
    """A check-in so long before the check-out may be its own."""


class OrderState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of a person."""

    marks: Marks


class AttendanceOrder(Detector):
    """A check-out for which there is no check-in, and soon after its time there is one at the same site.

    Told with the check-out, when its check-in is known: at its time no check-in is open before it, within
    `visit_s_max`, and one at the site follows within `before_s_max` that no other check-out ends. A check-out that
    comes before any such check-in is not reported: its own may still be on its way from a phone without network. The
    other detectors take both rows as they are.

    >>> from datetime import UTC, datetime
    >>> detector, noon = AttendanceOrder(), datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> row = Attendance(id=1, tenant_id=1, person_id=17, site_id=4, event_type="CHECK_IN", occurred_at=noon)
    >>> state, _ = detector.judge(None, Event(row, 0), detector.policy)
    >>> out = msgspec.structs.replace(row, id=2, event_type="CHECK_OUT", occurred_at=noon.replace(hour=11))
    >>> state, (judgement,) = detector.judge(state, Event(out, 0), detector.policy)
    >>> judgement.evidence["reason"], judgement.evidence["observed"]
    ('before_its_check_in', -3600.0)
    """

    name = "attendance_order"
    tables = ("attendance",)
    entity = Entity.PERSON
    state_type = OrderState
    policy = AttendanceOrderPolicy()

    def judge(
        self, state: OrderState | None, event: Event[Attendance], policy: AttendanceOrderPolicy
    ) -> tuple[OrderState | None, FindingDrafts]:
        """The finding at the check-out that comes after its check-in was known."""
        row = event.row
        if row.occurred_at is None or row.event_type not in CHECKS:
            return state, NOTHING
        marks: Marks = () if state is None else state.marks
        at_s = event.at_s or row.occurred_at.timestamp()
        mark = (at_s, row.site_id, row.event_type == CHECK_IN)
        if not marks or at_s > marks[-1][0]:  # nearly always: nothing follows it that it could come before
            return OrderState((*marks[1 - _MARKS_MAX :], mark)), NOTHING
        if mark in marks:
            return state, NOTHING
        after = OrderState(tuple(sorted((*marks, mark), key=_time_of))[-_MARKS_MAX:])
        if mark[2]:
            return after, NOTHING
        seconds = _before_s(marks, mark[0], row.site_id, policy)
        if seconds is None:
            return after, NOTHING
        return after, (data_quality([Reason("before_its_check_in", "occurred_at", -seconds, 0)]),)


def _before_s(marks: Marks, out_s: float, site_id: int | None, policy: AttendanceOrderPolicy) -> float | None:
    """How long after a check-out the check-in follows that can only be its own; None: there is none such."""
    earlier = [mark for mark in marks if mark[0] <= out_s]
    if earlier and earlier[-1][2] and out_s - earlier[-1][0] <= policy.visit_s_max:
        return None
    later = [mark for mark in marks if mark[0] > out_s]
    if not later or not later[0][2] or later[0][1] != site_id or later[0][0] - out_s > policy.before_s_max:
        return None
    if len(later) > 1 and not later[1][2]:
        return None
    return later[0][0] - out_s


def _time_of(mark: tuple[float, int | None, bool]) -> float:
    return mark[0]


DETECTOR = AttendanceOrder()
