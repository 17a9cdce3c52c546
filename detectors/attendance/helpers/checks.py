"""What the attendance detectors share about a check: whether it is new, and which shift it belongs to."""

from collections.abc import Sequence

from contracts.rows import Attendance
from detectors.interface import Event
from detectors.shared.facts import Shift


def is_unchanged(event: Event[Attendance]) -> bool:
    """Whether an update leaves person, site, kind and time of the check as they were."""
    before, row = event.before, event.row
    return (
        before is not None
        and before.occurred_at == row.occurred_at
        and before.site_id == row.site_id
        and before.event_type == row.event_type
        and before.person_id == row.person_id
    )


def shift_at(shifts: Sequence[Shift], site_id: int | None, at_s: float, early_s: float) -> Shift | None:
    """The shift that a check-in at a site belongs to.

    That is the next one that begins within `early_s`, otherwise the one under way that began last.

    >>> early, late = Shift(1, 4, 0.0, 100.0), Shift(2, 4, 100.0, 200.0)
    >>> [shift_at([early, late], 4, at_s, 20.0).assignment_id for at_s in (-10.0, 50.0, 90.0, 150.0)]
    [1, 1, 2, 2]
    >>> shift_at([early, late], 5, 50.0, 20.0), shift_at([early, late], 4, 200.0, 20.0)
    (None, None)
    """
    found: Shift | None = None
    for shift in shifts:
        if shift.site_id != site_id or not shift.start_s - early_s <= at_s < shift.end_s:
            continue
        if found is None:
            found = shift
        elif shift.start_s > at_s:
            if found.start_s <= at_s or shift.start_s < found.start_s:
                found = shift
        elif found.start_s < shift.start_s:  # both are under way
            found = shift
    return found
