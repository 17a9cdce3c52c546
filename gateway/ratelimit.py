"""How many messages one connection may send (R5.6): a sliding minute on the caller's clock."""

from collections import deque

_MINUTE_S = 60.0


class SlidingMinute:
    """Remembers when the messages of the last minute came.

    So no stretch of 60 seconds, wherever it begins, holds more than the limit; an allowance that refills evenly
    would let nearly twice as many through in its first minute. Memory: one number a message, at most the limit.

    Args:
        per_minute_max: messages in any 60 seconds, both ends included.
    """

    def __init__(self, per_minute_max: int) -> None:
        self._per_minute_max = per_minute_max
        self._taken: deque[float] = deque()
        """Seconds, ascending."""

    def take(self, now: float) -> bool:
        """Take one; False where the minute is full. A clock that goes back forgets nothing."""
        if self._taken:
            now = max(now, self._taken[-1])
        while self._taken and now - self._taken[0] > _MINUTE_S:
            self._taken.popleft()
        if len(self._taken) >= self._per_minute_max:
            return False
        self._taken.append(now)
        return True
