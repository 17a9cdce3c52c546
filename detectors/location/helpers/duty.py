"""Whether a person is on duty at a site at a time: by attendance where there is any, otherwise by shifts."""

from collections.abc import Sequence
from operator import itemgetter
from typing import TypeAlias

from contracts.rows import Attendance
from detectors.shared.facts import CHECK_IN, CHECKS, Shift

CheckHistory: TypeAlias = tuple[tuple[float, int | None], ...]
"""A person's last check-ins and check-outs in order of time: Unix seconds, and the site; None for a check-out."""

CHECKS_MAX = 8
"""Enough for a day with breaks, whose fixes may arrive after all of its attendance."""

VISIT_S_MAX = 16 * 3_600.0
"""How long a check-in without a check-out counts."""

_EARLY_S_MAX = 2 * 3_600.0
"""A check-in up to this long before a shift belongs to it."""
_time = itemgetter(0)


def with_check(history: CheckHistory, row: Attendance, at_s: float | None = None) -> CheckHistory:
    """The history with one more check-in or check-out; the same object where it adds nothing. `at_s` is `Event.at_s`.

    >>> from datetime import UTC, datetime
    >>> row = Attendance(id=1, tenant_id=1, site_id=4, event_type="CHECK_IN", occurred_at=datetime(1970, 1, 2, tzinfo=UTC))
    >>> with_check(((90_000.0, None),), row)
    ((86400.0, 4), (90000.0, None))
    """
    kind, at = row.event_type, row.occurred_at
    if at is None or kind not in CHECKS or (kind == CHECK_IN and row.site_id is None):
        return history
    at_s = at_s or at.timestamp()
    check = (at_s, row.site_id if kind == CHECK_IN else None)
    if not history or at_s > history[-1][0]:  # nearly always: it is new, and there is nothing to sort
        return (*history[1 - CHECKS_MAX :], check)
    if check in history:
        return history
    return tuple(sorted((*history, check), key=_time))[-CHECKS_MAX:]


def shift_on_duty(
    history: CheckHistory, shifts: Sequence[Shift], site_id: int, at_s: float, *, arrive_s: float, leave_s: float
) -> int | None:
    """The duty that a person is on at a site.

    A person whose attendance is known is on duty from a check-in there to the next check-out, so not in a break with a
    check-out; where the check-in belongs to a shift, duty ends `leave_s` before the shift does, for the check-out may
    still be on its way. A person whose attendance was never seen is on duty during the shifts there, without the first
    `arrive_s` and the last `leave_s`. A person with neither is not on duty.

    Returns:
        The shift's assignment id, or 0 for a check-in without a shift; None: not on duty.
    """
    if not history:
        for shift in shifts:
            if shift.site_id == site_id and shift.start_s + arrive_s <= at_s <= shift.end_s - leave_s:
                return shift.assignment_id
        return None
    check = None
    for each in history:
        if each[0] <= at_s:
            check = each
    if check is None or check[1] != site_id or at_s - check[0] > VISIT_S_MAX:
        return None
    for shift in shifts:
        if shift.site_id == site_id and shift.start_s - _EARLY_S_MAX <= check[0] < shift.end_s:
            return shift.assignment_id if at_s <= shift.end_s - leave_s else None
    return 0
