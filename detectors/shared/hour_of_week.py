"""A week of hourly counts: which hour of the week it is at a site, and the last usual counts of each hour.

A week is one `bytes` value, little endian, so that it is kept and encoded as it is. A device's holds the last WEEKS
counts of each of the 168 hours, the newest first, two bytes a count (1,680 bytes). A group's holds the number, mean and
variance of each hour (1,680 bytes too).
"""

from datetime import datetime
from functools import lru_cache
from math import sqrt
from struct import Struct

from detectors.shared.times import zone

HOURS = 168
WEEKS = 5
"""Counts kept for each hour of the week; their median tolerates two odd weeks."""
NO_COUNT = 0xFFFF
COUNT_MAX = NO_COUNT - 1
_COUNTS = Struct(f"<{WEEKS}H")
_MOMENTS = Struct("<Hff")
_NO_COUNTS = _COUNTS.pack(*[NO_COUNT] * WEEKS) * HOURS
_NO_MOMENTS = _MOMENTS.pack(0, 0.0, 0.0) * HOURS
MOMENTS_N_MAX = 0xFFFF


@lru_cache(maxsize=1_024)
def offset_within_hour_s(timezone: str) -> int:
    """Seconds by which a zone's clock is ahead of UTC beyond whole hours.

    >>> offset_within_hour_s("Asia/Kolkata"), offset_within_hour_s("America/New_York")
    (1800, 0)
    """
    offset = datetime(2026, 1, 1, tzinfo=zone(timezone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) % 3600


def hour_of_week(unix_s: float, timezone: str) -> int:
    """0..167 from Monday 0:00 local time; daylight saving is followed.

    >>> hour_of_week(0, "UTC"), hour_of_week(0, "America/New_York"), hour_of_week(0, "no such zone")
    (72, 67, 72)
    """
    local = datetime.fromtimestamp(unix_s, zone(timezone))
    return local.weekday() * 24 + local.hour


def counts_of(week: bytes, hour: int) -> list[int]:
    """The counts that are kept for an hour of the week, the newest first.

    >>> counts_of(with_count(with_count(b"", 5, 7), 5, 9), 5)
    [9, 7]
    """
    if not week:
        return []
    return [count for count in _COUNTS.unpack_from(week, hour * _COUNTS.size) if count != NO_COUNT]


def with_count(week: bytes, hour: int, count: int) -> bytes:
    """The week with one more count in an hour; b"" is an empty week."""
    week = week or _NO_COUNTS
    start = hour * _COUNTS.size
    kept = _COUNTS.unpack_from(week, start)
    return week[:start] + _COUNTS.pack(min(count, COUNT_MAX), *kept[:-1]) + week[start + _COUNTS.size :]


def moments_of(week: bytes, hour: int) -> tuple[int, float, float]:
    """Number, mean and variance of a group's hour of the week.

    >>> moments_of(with_moments(b"", 5, (1, 2.0, 0.5)), 5), moments_of(b"", 5)
    ((1, 2.0, 0.5), (0, 0.0, 0.0))
    """
    return _MOMENTS.unpack_from(week, hour * _MOMENTS.size) if week else (0, 0.0, 0.0)


def with_moments(week: bytes, hour: int, moments: tuple[int, float, float]) -> bytes:
    """The group's week with an hour's moments replaced; b"" is an empty week."""
    week = week or _NO_MOMENTS
    n, mean, variance = moments
    start = hour * _MOMENTS.size
    return week[:start] + _MOMENTS.pack(min(n, MOMENTS_N_MAX), mean, variance) + week[start + _MOMENTS.size :]


def anscombe(count: float) -> float:
    """A count whose variance does not depend on its size: 2 sqrt(x + 3/8), sigma 1 for a Poisson (Anscombe 1948).

    >>> round(anscombe(12), 3)
    7.036
    """
    return 2.0 * sqrt(count + 0.375)


def anscombe_inverse(steady_count: float) -> float:
    """The count behind `anscombe`.

    >>> round(anscombe_inverse(anscombe(12)), 9)
    12.0
    """
    return max(0.0, steady_count * steady_count / 4.0 - 0.375)
