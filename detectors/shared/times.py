"""Times of rows as Unix seconds and as text, and time zones by name. Reads no clock."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_YEAR_3000_S: Final = 32_503_680_000.0


def unix_s(at: datetime | None) -> float | None:
    """A time in Unix seconds; None where it is unknown, before 1970, or so late that no calendar has it."""
    if at is None:
        return None
    at_s = at.timestamp()
    return at_s if 0 <= at_s < _YEAR_3000_S else None


def iso_utc(at_s: float) -> str:
    """A time for an operator to read, to the second; empty where no calendar has it.

    >>> iso_utc(1_772_442_000.9), iso_utc(-1)
    ('2026-03-02T09:00:00Z', '')
    """
    if not 0 <= at_s < _YEAR_3000_S:
        return ""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


@lru_cache(maxsize=1_024)
def zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name; UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # unknown; the name of a folder; no name of a file at all
        return ZoneInfo("UTC")
