"""DATA_QUALITY: a check-out before its check-in."""

from operator import itemgetter
from typing import TypeAlias

import msgspec

from contracts.rows import Attendance
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import Policy, PositiveSeconds
from detectors.row_quality.helpers.reason import Reason, quality_draft
from detectors.shared.facts import CHECK_IN, CHECKS

CheckSequence: TypeAlias = tuple[tuple[float, int | None, bool], ...]
"""A person's last attendance in order of time: Unix seconds, site, whether it is a check-in."""

_CHECKS_MAX = 8
_time = itemgetter(0)


class AttendanceOrderPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of a check-out before its check-in."""

    before_s_max: PositiveSeconds = 12 * 3_600.0
    """How long before the check-in; a check-out that lies further back is one of another day."""
    visit_s_max: PositiveSeconds = 24 * 3_600.0
    """A check-in up to this long before the check-out may be its own."""


class OrderState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's last checks."""

    checks: CheckSequence


class AttendanceOrder(Detector):
    """A check-out without a check-in before it, and with one at the same site soon after it.

    Reported with the check-out, when its check-in is known: at its time no check-in is open before it, within
    `visit_s_max`, and one at the site follows within `before_s_max` that no other check-out ends. A check-out that
    arrives before any such check-in is not reported: its own may still be on its way from a phone without a network. The
    other detectors take both rows as they are.

    >>> from datetime import UTC, datetime
    >>> detector, noon = AttendanceOrder(), datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> row = Attendance(id=1, tenant_id=1, person_id=17, site_id=4, event_type="CHECK_IN", occurred_at=noon)
    >>> state, _ = detector.judge(None, Event(row, 0), detector.policy)
    >>> out = msgspec.structs.replace(row, id=2, event_type="CHECK_OUT", occurred_at=noon.replace(hour=11))
    >>> state, (draft,) = detector.judge(state, Event(out, 0), detector.policy)
    >>> draft.evidence["reason"], draft.evidence["observed"]
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
        """The finding at the check-out whose check-in is known already."""
        row = event.row
        if row.occurred_at is None or row.event_type not in CHECKS:
            return state, NOTHING
        checks: CheckSequence = () if state is None else state.checks
        at_s = event.at_s or row.occurred_at.timestamp()
        check = (at_s, row.site_id, row.event_type == CHECK_IN)
        if not checks or at_s > checks[-1][0]:  # nearly always: no check follows it that it could come before
            return OrderState((*checks[1 - _CHECKS_MAX :], check)), NOTHING
        if check in checks:
            return state, NOTHING
        after = OrderState(tuple(sorted((*checks, check), key=_time))[-_CHECKS_MAX:])
        seconds = None if check[2] else _before_s(checks, at_s, row.site_id, policy)
        if seconds is None:
            return after, NOTHING
        return after, (quality_draft([Reason("before_its_check_in", "occurred_at", -seconds, 0)]),)


def _before_s(checks: CheckSequence, out_s: float, site_id: int | None, policy: AttendanceOrderPolicy) -> float | None:
    """How long after a check-out the check-in follows that can only be its own; None where there is none."""
    earlier = [check for check in checks if check[0] <= out_s]
    if earlier and earlier[-1][2] and out_s - earlier[-1][0] <= policy.visit_s_max:
        return None
    later = [check for check in checks if check[0] > out_s]
    if not later or not later[0][2] or later[0][1] != site_id or later[0][0] - out_s > policy.before_s_max:
        return None
    if len(later) > 1 and not later[1][2]:
        return None
    return later[0][0] - out_s


DETECTOR = AttendanceOrder()
