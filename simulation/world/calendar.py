"""Time in the simulated company: days in a time zone, public holidays, and moments of rows. Reads no clock."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Interval = tuple[float, float]
"""From and until, in seconds."""

DAY_S = 86_400.0
HOUR_S = 3_600.0
MINUTE_S = 60.0
SATURDAY = 5

HOLIDAYS: dict[str, frozenset[date]] = {
    "Europe/Berlin": frozenset({date(2026, 4, 3), date(2026, 4, 6), date(2026, 5, 1), date(2026, 5, 14)}),
    "America/New_York": frozenset({date(2026, 4, 3), date(2026, 5, 25)}),
    "Asia/Kolkata": frozenset({date(2026, 3, 4), date(2026, 3, 20), date(2026, 4, 3), date(2026, 4, 14)}),
    "Australia/Sydney": frozenset({date(2026, 4, 3), date(2026, 4, 6), date(2026, 4, 25)}),
}
"""Public holidays of the spring of 2026, by time zone; offices are closed then, guards work."""


def local_s(day: date, hours: float, zone: ZoneInfo) -> float:
    """Unix seconds of a wall-clock time; `hours` since midnight may pass 24."""
    whole = day + timedelta(days=int(hours // 24))
    minutes = round(hours % 24 * 60)
    return datetime.combine(whole, time(minutes // 60, minutes % 60), zone).timestamp()


def midnight_utc_s(day: date) -> float:
    """Unix seconds of a day's beginning in UTC."""
    return datetime.combine(day, time(), UTC).timestamp()


def moment(at_s: float) -> datetime:
    """A row's value of a time, to the millisecond."""
    return datetime.fromtimestamp(round(at_s, 3), UTC)


def whole_hours(start_s: float, end_s: float, zone: ZoneInfo) -> list[float]:
    """Starts of the wall-clock hours that lie wholly within two times."""
    offset_s = datetime.fromtimestamp(start_s, zone).utcoffset() or timedelta()
    shift_s = offset_s.total_seconds() % HOUR_S
    first = -((-(start_s + shift_s)) // HOUR_S) * HOUR_S - shift_s
    hours = []
    while first + HOUR_S <= end_s:
        hours.append(first)
        first += HOUR_S
    return hours
