"""The open hours of a phone: how many events each has so far. What every event changes; kept small."""

import msgspec

HOUR_MS = 3_600_000
HOUR_US = 3_600_000_000
OPEN_HOURS_MAX = 24
"""Older counts belong to a time in which nobody judged: the device begins anew."""


class PhoneHours(msgspec.Struct, frozen=True, array_like=True):
    """The hours that are not judged yet, from `first_hour` on; at most OPEN_HOURS_MAX. Hours are Unix hours."""

    first_hour: int
    counts: tuple[int, ...] = ()
    heard_hour: int = 0
    """The last hour with an event."""
    waited_hours: int = 0
    """How often the first hour was put off, for the phone may be without a network."""
    pooled: bool = False
    """Whether the site knows of the first hour."""

    def waiting(self) -> "PhoneHours":
        """The first hour put off by an hour."""
        return PhoneHours(self.first_hour, self.counts, self.heard_hour, self.waited_hours + 1, self.pooled)

    def next(self) -> "PhoneHours":
        """The first hour is over."""
        return PhoneHours(self.first_hour + 1, self.counts[1:], self.heard_hour)


def counted(state: PhoneHours | None, at_s: float | None, now_us: int) -> PhoneHours:
    """One more event, which happened `at_s` and is known `now_us`; one of an hour that is closed changes nothing.

    The hour in which a device is first heard is not counted: of its beginning nothing is known.

    >>> counted(PhoneHours(10, (), 9), 10.5 * 3600, 12 * HOUR_US)
    PhoneHours(first_hour=10, counts=(1,), heard_hour=10, waited_hours=0, pooled=False)
    """
    now_hour = now_us // HOUR_US
    if state is None or now_hour - state.first_hour >= OPEN_HOURS_MAX:
        return PhoneHours(now_hour + 1, (), now_hour)
    hour = now_hour if at_s is None else min(int(at_s) // 3600, now_hour)
    index = hour - state.first_hour
    if index < 0:
        return state
    counts = state.counts
    if index < len(counts):
        counts = (*counts[:index], counts[index] + 1, *counts[index + 1 :])
    else:
        counts = counts + (0,) * (index - len(counts)) + (1,)
    heard = max(state.heard_hour, hour)
    return PhoneHours(state.first_hour, counts, heard, state.waited_hours, state.pooled)
