"""What resuming costs: how many bytes a user may be given again, over all connections and also after reconnecting. Pure."""

import math
from collections import OrderedDict

from common.settings.gateway import ResumeSettings

User = tuple[int, str]
"""Tenant and subject."""

PRICE_BYTES_MIN = 64 * 1024
"""Of a resume that gives little or nothing again."""
_USERS_MAX = 10_000


class ResumeBudget:
    """The bytes that users were given again lately. Memory: one small entry for each of the last ten thousand users.

    Args:
        limits: of one user.
    """

    def __init__(self, limits: ResumeSettings) -> None:
        self._burst = limits.user_bytes_burst_max
        self._per_s = limits.user_bytes_per_s_max
        self._used: OrderedDict[User, tuple[float, float]] = OrderedDict()
        """User to bytes and when they were counted; who resumed longest ago first."""

    def take(self, user: User, price_bytes: int, now: float) -> int:
        """A user wants so many bytes again; one gap is given whatever its size, where nothing else was lately.

        Args:
            user: who.
            price_bytes: about how many bytes it is.
            now: seconds.

        Returns:
            0 where they are counted and given, otherwise the seconds after which to come back.
        """
        used, at = self._used.pop(user, (0.0, now))
        used = max(0.0, used - (now - at) * self._per_s)
        price = max(price_bytes, PRICE_BYTES_MIN)
        missing = min(used, used + price - self._burst)
        if missing <= 0:
            used += price
        self._used[user] = (used, now)
        if len(self._used) > _USERS_MAX:
            self._used.popitem(last=False)
        return max(0, math.ceil(missing / self._per_s))
