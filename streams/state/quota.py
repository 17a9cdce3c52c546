"""What a tenant has used of the limits that do not count its events: dead letters and work for reference rows."""

import msgspec

QUOTA = "quota"
"""The table, by tenant; also the table of the timers that report what was left out of the dead letters."""


class Quota(msgspec.Struct, array_like=True):
    """Windows are counted from 1970 in units of their length. Changed in place, then put."""

    letters_window: int = 0
    letters: int = 0
    """The number of dead letters in the window."""
    due_ms: int | None = None
    """When the records that were left out are reported, Unix milliseconds; None: there are none."""
    left_out: int = 0
    """The number of failed records without a dead letter of their own that have not been reported."""
    offsets: dict[int, list[tuple[int, int]]] = {}
    """Where they are: by index of their topic, ranges of offsets, both ends inclusive."""
    reference_window: int = 0
    reference_rows: int = 0
    """The number of reference rows in the window, a second."""
    geofence_window: int = 0
    geofence_characters: int = 0
    """The length of the geofences in the rows of the window, a minute."""


def count_in(window: int, counted_window: int, count: int) -> tuple[int, int]:
    """The window that a count belongs to once `window` has come, and the count: 0 in a later one. None goes back.

    >>> count_in(7, 6, 5), count_in(7, 7, 5), count_in(7, 8, 5)
    ((7, 0), (7, 5), (8, 5))
    """
    return (window, 0) if window > counted_window else (counted_window, count)
