"""Whether a person is on duty at a site at a time: by attendance where there is some, else by shifts."""

from collections.abc import Sequence
from typing import TypeAlias

from contracts.rows import Attendance
from detectors.shared.facts import CHECK_IN, CHECKS, Shift

Marks: TypeAlias = tuple[tuple[float, int | None], ...]
"""A person's last check-ins and check-outs by time: Unix seconds, and the site; None for a check-out."""

MARKS_MAX = 8
"""Enough for a day with breaks, whose fixes may come after all of its attendance."""

VISIT_S_MAX = 16 * 3_600.0
"""A check-in without a check-out says nothing after so long."""

_EARLY_S_MAX = 2 * 3_600.0
"""A check-in belongs to a shift from so long before its start."""


def noted(marks: Marks, row: Attendance, at_s: float | None = None) -> Marks:
    """The marks with a check-in or check-out; the same object where it says nothing new.

    Args:
        marks: so far.
        row: the check.
        at_s: `Event.at_s`, where it is known.

    >>> from datetime import UTC, datetime
    >>> row = Attendance(id=1, tenant_id=1, site_id=4, event_type="CHECK_IN", occurred_at=datetime(1970, 1, 2, tzinfo=UTC))
    >>> noted(((90_000.0, None),), row)
    ((86400.0, 4), (90000.0, None))
    """
    kind, at = row.event_type, row.occurred_at
    if at is None or kind not in CHECKS or (kind == CHECK_IN and row.site_id is None):
        return marks
    at_s = at_s or at.timestamp()
    mark = (at_s, row.site_id if kind == CHECK_IN else None)
    if not marks or at_s > marks[-1][0]:  # nearly always: it is new, and there is nothing to sort
        return (*marks[1 - MARKS_MAX :], mark)
    if mark in marks:
        return marks
    return tuple(sorted((*marks, mark), key=_time_of))[-MARKS_MAX:]


def shift_on_duty(
    marks: Marks, shifts: Sequence[Shift], site_id: int, at_s: float, *, arrive_s: float, leave_s: float
) -> int | None:
    """The duty that a person is on at a site.

    Whose attendance is known is on duty from a check-in there to the next check-out, so not in a break that was
    checked out of; a shift to which the check-in belongs ends it `leave_s` early, for the check-out may be on its
    way. Whose attendance was never seen is on duty during the shifts there, without the first `arrive_s` and the
    last `leave_s`. Whoever has neither is not.

    Returns:
        The shift's assignment id, or 0 for a check-in without a shift; None: not on duty.
    """
    if not marks:
        for shift in shifts:
            if shift.site_id == site_id and shift.start_s + arrive_s <= at_s <= shift.end_s - leave_s:
                return shift.assignment_id
        return None
    mark = None
    for each in marks:
        if each[0] <= at_s:
            mark = each
    if mark is None or mark[1] != site_id or at_s - mark[0] > VISIT_S_MAX:
        return None
    for shift in shifts:
        if shift.site_id == site_id and shift.start_s - _EARLY_S_MAX <= mark[0] < shift.end_s:
            return shift.assignment_id if at_s <= shift.end_s - leave_s else None
    return 0


def _time_of(mark: tuple[float, int | None]) -> float:
    return mark[0]
