"""The open hours of a phone: how many events each has so far. Every event changes them, so they are kept small."""

import msgspec

HOUR_S = 3600
HOUR_MS = 3_600_000
OPEN_HOURS_MAX = 24
"""With more open hours than this the worker was not running in between: the device begins anew."""


class PhoneHours(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The hours that have not been judged yet, from `start_s` on; at most OPEN_HOURS_MAX."""

    start_s: int
    """When the first of them began, Unix seconds: a full hour on the site's clock."""
    counts: tuple[int, ...] = ()
    heard_s: int = 0
    """When the last hour began that had an event and was judged."""
    waited_hours: int = 0
    """How often the first hour was postponed, because the phone may be without a network."""
    pooled: bool = False
    """Whether the first hour has been added to the pools of site and tenant."""

    @property
    def hour(self) -> int:
        """The number of the first hour: the next one has the next number."""
        return self.start_s // HOUR_S

    @property
    def count(self) -> int:
        """Events of the first hour."""
        return self.counts[0] if self.counts else 0

    @property
    def heard_since(self) -> bool:
        """Whether anything arrived from the phone after the first hour."""
        return any(self.counts[1:])

    def waiting(self) -> "PhoneHours":
        """The first hour is postponed by an hour."""
        return PhoneHours(self.start_s, self.counts, self.heard_s, self.waited_hours + 1, self.pooled)

    def next(self) -> "PhoneHours":
        """The first hour is over."""
        heard_s = self.start_s if self.count else self.heard_s
        return PhoneHours(self.start_s + HOUR_S, self.counts[1:], heard_s)


def first_hours(now_s: float, offset_within_hour_s: int) -> PhoneHours:
    """The hours of a new device: the first full one, because the beginning of the present one is unknown.

    >>> first_hours(12.9 * 3600, offset_within_hour_s=1800).start_s == 13.5 * 3600
    True
    """
    present_s = (int(now_s) + offset_within_hour_s) // HOUR_S * HOUR_S - offset_within_hour_s
    return PhoneHours(present_s + HOUR_S, (), present_s)


def with_event(state: PhoneHours, at_s: float, now_s: float) -> PhoneHours:
    """The hours with one more event, which happened `at_s` and arrived `now_s`; in a closed hour it changes nothing.

    Called for every fix of every phone: it allocates one object and one tuple.

    >>> with_event(PhoneHours(36_000), 36_010, 36_020).counts, with_event(PhoneHours(36_000, (4,)), 39_601, 39_700).counts
    ((1,), (4, 1))
    """
    index = int(((at_s if at_s < now_s else now_s) - state.start_s) // 3600)  # noqa: FURB136 - half the cost of min()
    if index < 0:
        return state
    counts = state.counts
    later = index + 1 - len(counts)
    if later == 0:
        counts = (*counts[:-1], counts[index] + 1)
    elif later < 0:
        counts = (*counts[:index], counts[index] + 1, *counts[index + 1 :])
    elif index >= OPEN_HOURS_MAX:
        return first_hours(now_s, -state.start_s % HOUR_S)
    else:
        counts = counts + (0,) * (later - 1) + (1,)
    return PhoneHours(state.start_s, counts, state.heard_s, state.waited_hours, state.pooled)
